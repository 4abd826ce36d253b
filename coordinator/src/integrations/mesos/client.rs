//! Asks the Mesos masters for the state of the leader.

use super::{
    MasterState,
    agents::Agent,
    masters::{Masters, Question, read_body, read_refusal, spell},
    read_state,
};
use crate::fleet::{MasterAgent, MasterAnswer};
use futures_util::future::BoxFuture;
use reqwest::{StatusCode, Url};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What we want from Mesos, and nothing more.
pub trait ObserveMesos: Send + Sync {
    /// The leading master's account of agents and tasks.
    ///
    /// # Errors
    /// No configured master leads, answers in time, or tells everything.
    fn state(&self) -> BoxFuture<'_, Result<MasterAnswer, MesosError>>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum MesosError {
    /// An address in the configuration that is none.
    #[error(
        "{address:?} is no address of a Mesos master; write one such as \"http://alimesos01.cern.ch:5050\""
    )]
    Address {
        /// As written.
        address: String,
    },
    /// The HTTP client cannot be made.
    #[error("make an HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// Nobody leads, or nobody can be reached.
    #[error("ask the Mesos masters: {}", .0.join("; "))]
    Nobody(Vec<String>),
}

/// The masters over HTTP, to look at.
pub struct MesosMasters {
    masters: Arc<Masters>,
}

impl MesosMasters {
    /// Addresses such as `http://alimesos01.cern.ch:5050`; `timeout` bounds each request with its body.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(addresses: &[String], timeout: Duration) -> Result<Self, MesosError> {
        Ok(Self { masters: Arc::new(Masters::new(addresses, timeout)?) })
    }

    pub(super) fn masters(&self) -> Arc<Masters> {
        self.masters.clone()
    }

    async fn ask_all(&self) -> Result<MasterAnswer, MesosError> {
        let mut troubles = Vec::new();
        for master in self.masters.urls() {
            match self.ask(master).await {
                Ok(answer) => return Ok(answer),
                Err(why) => troubles.push(format!("{}: {why}", spell(master))),
            }
        }
        if troubles.is_empty() {
            troubles.push("none is configured".to_owned());
        }
        Err(MesosError::Nobody(troubles))
    }

    async fn ask(&self, master: &Url) -> Result<MasterAnswer, String> {
        let question = Question { path: "/state", body: None, endless: false };
        let answer = self.masters.ask(master, question).await.map_err(super::masters::NoAnswer::why)?;
        match answer.response.status() {
            StatusCode::OK => in_our_words(read_body(answer.response, read_state).await?),
            _ => Err(format!("it answers {}", read_refusal(answer.response).await)),
        }
    }
}

impl ObserveMesos for MesosMasters {
    fn state(&self) -> BoxFuture<'_, Result<MasterAnswer, MesosError>> {
        Box::pin(self.ask_all())
    }
}

/// In the words of the fleet. Tasks of agents that are listed nowhere are kept: they may be at work.
fn in_our_words(state: MasterState) -> Result<MasterAnswer, String> {
    if !state.leads() {
        return Err("it does not lead".to_owned());
    }
    if state.hidden_count > 0 {
        return Err(format!(
            "it hides {} frameworks or tasks from us, so nothing can be said about what runs; allow us to view them",
            state.hidden_count
        ));
    }
    let mut agents: BTreeMap<String, MasterAgent> = BTreeMap::new();
    let registered = state.agents.into_iter().map(|agent| (agent, true));
    for (agent, is_back) in registered.chain(state.recovered.into_iter().map(|agent| (agent, false))) {
        agents.entry(agent.id.clone()).or_insert_with(|| entry(agent, is_back));
    }
    for (id, task) in state.tasks.into_iter().chain(state.unreachable_tasks) {
        if !task.state.is_living() {
            continue;
        }
        let stranger = || MasterAgent { id: id.clone(), unreachable: true, ..MasterAgent::default() };
        agents.entry(id.clone()).or_insert_with(stranger).tasks.push(task);
    }
    let leader = if state.hostname.is_empty() { state.leader } else { state.hostname };
    Ok(MasterAnswer {
        leader,
        elected_at_secs: state.elected_at_secs,
        version: state.version,
        capabilities: state.capabilities,
        agents: agents.into_values().collect(),
    })
}

fn entry(agent: Agent, is_back: bool) -> MasterAgent {
    let offered = agent.offered_resources;
    MasterAgent {
        id: agent.id,
        hostname: agent.hostname,
        active: agent.active && is_back,
        deactivated: agent.deactivated.unwrap_or(false),
        draining: agent.drain_state.is_some(),
        unreachable: false,
        recovered: !is_back,
        offered: offered.cpus > 0.0 || offered.mem_mib > 0.0,
        registered_at_secs: agent.registered_at_secs,
        version: agent.version,
        attributes: agent.attributes,
        tasks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{master, masters, ok, pointing_at_each_other, points_at},
        *,
    };
    use crate::fleet::CordonWay;

    const LEADER: &str = r#"{"version":"1.11.0","pid":"master@1:5050","leader":"master@1:5050","hostname":"m1",
        "slaves":[{"id":"S0","hostname":"n1","active":true}],
        "frameworks":[{"id":"F","name":"Jenkins","tasks":[
            {"id":"t1","slave_id":"S0","state":"TASK_RUNNING","statuses":[]},
            {"id":"t2","slave_id":"S0","state":"TASK_FINISHED","statuses":[]}],
          "unreachable_tasks":[{"id":"t3","slave_id":"S9","state":"TASK_UNREACHABLE","statuses":[]}]}]}"#;

    async fn ask(addresses: &[String]) -> Result<MasterAnswer, String> {
        masters(addresses).state().await.map_err(|why| why.to_string())
    }

    #[tokio::test]
    async fn the_leader_is_found_by_its_redirect_and_told_in_our_words() {
        let leader = master(ok(LEADER)).await;
        let follower = master(points_at(&format!("//{}/state", leader.trim_start_matches("http://")))).await;
        let answer = ask(&[follower, leader]).await.unwrap();
        assert_eq!((answer.leader.as_str(), answer.version.as_str()), ("m1", "1.11.0"));
        let agents: Vec<(&str, bool, usize)> = answer
            .agents
            .iter()
            .map(|agent| (agent.id.as_str(), agent.unreachable, agent.tasks.len()))
            .collect();
        assert_eq!(agents, [("S0", false, 1), ("S9", true, 1)]);
    }

    #[tokio::test]
    async fn a_redirect_to_a_stranger_is_not_followed() {
        let stranger = master(ok(LEADER)).await;
        let follower =
            master(points_at(&format!("//{}/state", stranger.trim_start_matches("http://")))).await;
        let refusal = ask(&[follower]).await.unwrap_err();
        assert!(refusal.contains("none of the configured masters"), "{refusal}");
    }

    #[tokio::test]
    async fn a_leader_that_calls_itself_otherwise_is_known_by_its_address() {
        let leader = master(ok(LEADER)).await;
        let elsewhere = leader.replace("http://127.0.0.1", "//localhost");
        let follower = master(points_at(&elsewhere)).await;
        assert_eq!(ask(&[follower, leader]).await.unwrap().leader, "m1");
    }

    #[tokio::test]
    async fn masters_that_point_in_a_circle_are_given_up() {
        let refusal = ask(&[master(points_at("//127.0.0.1:PORT/state")).await]).await.unwrap_err();
        assert!(refusal.contains("points on more than 3 times"), "{refusal}");
        let [(one, _), (two, _)] = pointing_at_each_other([None, None]).await;
        let refusal = ask(&[one, two]).await.unwrap_err();
        assert_eq!(refusal.matches("points on more than 3 times").count(), 2, "{refusal}");
    }

    #[tokio::test]
    async fn a_follower_that_answers_for_itself_is_no_leader_and_the_next_is_asked() {
        let other = master(ok(r#"{"pid":"a","leader":"b","slaves":[],"frameworks":[]}"#)).await;
        let leader = master(ok(LEADER)).await;
        assert!(ask(std::slice::from_ref(&other)).await.unwrap_err().contains("does not lead"));
        assert_eq!(ask(&[other, leader]).await.unwrap().leader, "m1");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_hides_something_or_is_an_error_is_never_an_empty_cluster() {
        let hides = r#"{"pid":"a","leader":"a","slaves":[],"frameworks":[{}]}"#;
        for (answer, why) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 900\r\nConnection: close\r\n\r\n{\"slaves\":[", "read"),
            (
                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\nConnection: close\r\n\r\nNo leader elected",
                "503 Service Unavailable: No leader elected",
            ),
            (ok(hides), "hides"),
        ] {
            let refusal = ask(&[master(answer).await]).await.unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[tokio::test]
    async fn what_masters_of_0_28_1_0_and_1_11_leave_out_is_not_made_up() {
        for (body, way, has_events) in [
            // 0.28: no leader_info, no capabilities, counts as floats, agents without version.
            (
                r#"{"version":"0.28.2","pid":"master@10.0.0.1:5050","leader":"master@10.0.0.1:5050","hostname":"m1",
                "activated_slaves":1.0,"deactivated_slaves":0.0,"elected_time":1500000000.5,"orphan_tasks":[],
                "slaves":[{"id":"S0","pid":"slave(1)@10.0.0.9:5051","hostname":"n1","registered_time":1500000100.25,
                  "resources":{"cpus":8,"mem":16000,"disk":1000,"ports":"[31000-32000]"},"used_resources":{},
                  "offered_resources":{"cpus":0,"mem":0},"attributes":{},"active":true}],
                "frameworks":[],"completed_frameworks":[],"unregistered_frameworks":["F9"]}"#,
                CordonWay::Whitelist,
                false,
            ),
            // 1.0: with a version of the agent.
            (
                r#"{"version":"1.0.1","pid":"a","leader":"a","leader_info":{"hostname":"m1","port":5050},"hostname":"m1",
                "slaves":[{"id":"S0","hostname":"n1","version":"1.0.1","active":true,"registered_time":1500000100.25,
                  "offered_resources":{"cpus":0.0,"mem":0.0,"disk":0.0,"gpus":0.0}}],"frameworks":[]}"#,
                CordonWay::Whitelist,
                false,
            ),
            // 1.11: everything, one agent deactivated, and one from the registry.
            (
                r#"{"version":"1.11.0","capabilities":["AGENT_UPDATE","AGENT_DRAINING","QUOTA_V2"],"pid":"a","leader":"a",
                "hostname":"m1","slaves":[{"id":"S0","hostname":"n1","version":"1.11.0","active":true,
                  "deactivated":false,"registered_time":1500000100.25,"capabilities":["MULTI_ROLE","AGENT_DRAINING"]}],
                "recovered_slaves":[{"id":"S9","hostname":"n1","port":5051,"attributes":{}}],"frameworks":[]}"#,
                CordonWay::Deactivate,
                true,
            ),
        ] {
            let answer = ask(&[master(ok(body)).await]).await.unwrap();
            assert_eq!((answer.cordon_way(), answer.has_events()), (way, has_events), "{}", answer.version);
            let agent = &answer.agents[0];
            assert!(agent.active && !agent.deactivated && !agent.offered && !agent.recovered, "{agent:?}");
            assert_eq!((agent.hostname.as_str(), agent.registered_at_secs), ("n1", Some(1_500_000_100)));
            for away in answer.agents.iter().skip(1) {
                assert!(away.recovered && !away.active, "{away:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_offer_that_a_framework_holds_is_seen() {
        let body = LEADER.replace("\"active\":true", "\"active\":true,\"offered_resources\":{\"cpus\":0.5}");
        assert!(ask(&[master(ok(&body)).await]).await.unwrap().agents[0].offered);
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_the_accepted_form() {
        for bad in ["alimesos01", "zk://a:2181/mesos", "", "http://"] {
            let refusal = MesosMasters::new(&[bad.to_owned()], Duration::from_secs(1)).err().unwrap();
            assert!(refusal.to_string().contains("write one such as"), "{refusal}");
        }
    }
}
