//! Asks the Mesos masters for the state of the leader.
//!
//! Any master may be asked; one that does not lead points at the one that does (307, an address without a scheme). We
//! follow by hand, a few times, and to configured masters only: an answer must not send us to strangers.

use super::{MasterState, ReadError, read_state};
use crate::fleet::{MasterAgent, MasterAnswer};
use futures_util::{StreamExt, TryStreamExt, future::BoxFuture};
use reqwest::{Client, Response, StatusCode, Url, header::LOCATION, redirect::Policy};
use std::{collections::BTreeMap, io, io::Read, time::Duration};
use tokio_util::io::{StreamReader, SyncIoBridge};

/// How often an answer may point elsewhere.
const HOPS: usize = 3;
/// No state is larger; more is a fault, not a cluster.
const LARGEST: u64 = 512 * 1024 * 1024;

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

/// The masters over HTTP.
pub struct MesosMasters {
    client: Client,
    masters: Vec<Url>,
}

impl MesosMasters {
    /// Addresses such as `http://alimesos01.cern.ch:5050`; `timeout` bounds each request with its body.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(addresses: &[String], timeout: Duration) -> Result<Self, MesosError> {
        let masters = addresses.iter().map(|address| parse(address)).collect::<Result<_, _>>()?;
        let mut client = Client::builder();
        if !addresses.iter().any(|address| address.starts_with("https:")) {
            // A host without a list of authorities is no obstacle where none is needed.
            client = client.tls_certs_only([]);
        }
        let client = client
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(3)))
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(MesosError::Client)?;
        Ok(Self { client, masters })
    }

    async fn ask_all(&self) -> Result<MasterAnswer, MesosError> {
        let mut troubles = Vec::new();
        for master in &self.masters {
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
        let mut address = join(master, "/state")?;
        for _ in 0..=HOPS {
            let response =
                self.client.get(address.clone()).send().await.map_err(|why| chain(&why.without_url()))?;
            match response.status() {
                StatusCode::OK => return answer(read(response).await?),
                status if status.is_redirection() => address = self.follow(&address, &response)?,
                status => return Err(format!("it answers {status}")),
            }
        }
        Err(format!("it points on more than {HOPS} times"))
    }

    /// Where the answer points, if that is one of ours.
    fn follow(&self, from: &Url, response: &Response) -> Result<Url, String> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or("it points elsewhere without saying where")?;
        let to = from.join(location).map_err(|why| format!("it points at {location:?}: {why}"))?;
        let is_ours = self.masters.iter().any(|master| {
            (master.scheme(), master.host_str(), master.port_or_known_default())
                == (to.scheme(), to.host_str(), to.port_or_known_default())
        });
        if is_ours {
            return Ok(to);
        }
        Err(format!("it points at {}, which is none of the configured masters", spell(&to)))
    }
}

impl ObserveMesos for MesosMasters {
    fn state(&self) -> BoxFuture<'_, Result<MasterAnswer, MesosError>> {
        Box::pin(self.ask_all())
    }
}

fn parse(address: &str) -> Result<Url, MesosError> {
    let refuse = || MesosError::Address { address: address.to_owned() };
    let url: Url = address.parse().map_err(|_| refuse())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(refuse()) }
}

fn join(master: &Url, path: &str) -> Result<Url, String> {
    master.join(path).map_err(|why| why.to_string())
}

/// An address without what might be secret in it.
fn spell(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut story = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        story = format!("{story}: {cause}");
        source = cause.source();
    }
    story
}

/// Reads the body as it comes, on a thread that may wait; the client's time-out ends it in any case.
async fn read(response: Response) -> Result<MasterState, String> {
    let stream = response.bytes_stream().map_err(io::Error::other).boxed();
    let body = SyncIoBridge::new(StreamReader::new(stream)).take(LARGEST);
    let reading = tokio::task::spawn_blocking(move || read_state(body));
    match reading.await {
        Ok(state) => state.map_err(|why: ReadError| chain(&why)),
        Err(why) => Err(format!("reading its answer was given up: {why}")),
    }
}

/// In the words of the fleet. Tasks of agents that are listed nowhere are kept: they may be at work.
fn answer(state: MasterState) -> Result<MasterAnswer, String> {
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
        let entry = MasterAgent {
            id: agent.id.clone(),
            hostname: agent.hostname,
            active: agent.active && is_back,
            deactivated: agent.deactivated,
            unreachable: false,
            attributes: agent.attributes,
            tasks: Vec::new(),
        };
        agents.entry(agent.id).or_insert(entry);
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
        agents: agents.into_values().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A master that answers every request with the same bytes; `PORT` in them is its own.
    async fn master(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = listener.accept().await {
                let mut request = [0; 4096];
                drop(peer.read(&mut request).await);
                let answer = answer.replace("PORT", &port.to_string());
                drop(peer.write_all(answer.as_bytes()).await);
            }
        });
        format!("http://127.0.0.1:{port}")
    }

    fn ok(body: &str) -> &'static str {
        let text =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        Box::leak(text.into_boxed_str())
    }

    fn points_at(location: &str) -> &'static str {
        let text = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        Box::leak(text.into_boxed_str())
    }

    const LEADER: &str = r#"{"version":"1.11.0","pid":"master@1:5050","leader":"master@1:5050","hostname":"m1",
        "slaves":[{"id":"S0","hostname":"n1","active":true}],
        "frameworks":[{"id":"F","name":"Jenkins","tasks":[
            {"id":"t1","slave_id":"S0","state":"TASK_RUNNING","statuses":[]},
            {"id":"t2","slave_id":"S0","state":"TASK_FINISHED","statuses":[]}],
          "unreachable_tasks":[{"id":"t3","slave_id":"S9","state":"TASK_UNREACHABLE","statuses":[]}]}]}"#;

    async fn ask(addresses: &[String]) -> Result<MasterAnswer, String> {
        // Without a provider of its own the client has no TLS; plain addresses do not miss it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let masters = MesosMasters::new(addresses, Duration::from_secs(5)).unwrap();
        masters.state().await.map_err(|why| why.to_string())
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
    async fn masters_that_point_in_a_circle_are_given_up() {
        let refusal = ask(&[master(points_at("//127.0.0.1:PORT/state")).await]).await.unwrap_err();
        assert!(refusal.contains("points on more than 3 times"), "{refusal}");
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
            ("HTTP/1.1 503 No leader\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "503"),
            (ok(hides), "hides"),
        ] {
            let refusal = ask(&[master(answer).await]).await.unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_the_accepted_form() {
        for bad in ["alimesos01", "zk://a:2181/mesos", "", "http://"] {
            let refusal = MesosMasters::new(&[bad.to_owned()], Duration::from_secs(1)).err().unwrap();
            assert!(refusal.to_string().contains("write one such as"), "{refusal}");
        }
    }
}
