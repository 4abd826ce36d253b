//! Is this node's Mesos agent registered, which tasks live on it, and do they get going?

use super::{
    Context,
    patience::Patience,
    shared::{Owned, Shared},
};
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{MesosAgentConfig, units::spoken},
    mesos::{self, AgentMetrics, AgentState, Client, StateReader, read_agent_metrics},
};
use hyper::StatusCode;
use jiff::Timestamp;
use millwright_protocol::{MesosAgentFacts, Status, Task, TaskState};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use tokio::time::timeout;

/// A `/state` longer than this is refused.
const LONGEST_STATE: u64 = 256 << 20;
/// A restart by Puppet or a person takes no longer.
const BETWEEN_RUNS: Duration = Duration::from_secs(60);

/// The check `mesos_agent`.
pub struct MesosAgentCheck {
    config: MesosAgentConfig,
    client: Client,
    shared: Rc<Shared>,
    patience: Patience,
    /// The agent id seen last.
    id: Option<String>,
    /// The last change of the agent id.
    id_change: Option<IdChange>,
    /// By task: since when it has been staging.
    staging_since: BTreeMap<String, Timestamp>,
    /// Since when too many have been staging.
    crowded_since: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct IdChange {
    from: String,
    to: String,
    at: Timestamp,
}

/// Why a look ended early.
#[derive(Debug)]
enum Trouble {
    /// It answers, but it is still putting itself together.
    Recovering,
    /// Nobody answers, or not with success.
    NoAnswer(String),
    /// The answer cannot be read.
    Unreadable(String),
    /// It hides tasks from us.
    Hidden(usize),
}

impl MesosAgentCheck {
    /// The check, with its section and where it leaves the containers it knows.
    pub fn new(config: &MesosAgentConfig, shared: Rc<Shared>) -> Self {
        Self {
            config: config.clone(),
            client: Client::default(),
            shared,
            patience: Patience::default(),
            id: None,
            id_change: None,
            staging_since: BTreeMap::new(),
            crowded_since: None,
        }
    }

    async fn ask(&self) -> Result<(AgentMetrics, AgentState), Trouble> {
        let health = self.config.url.endpoint("health");
        let response = self.client.ask(&health).await.map_err(Trouble::NoAnswer)?;
        expect_success(&health, response.status())?;
        // In a test cluster several agents share one program and its metrics.
        let metrics = self.config.url.root_endpoint("metrics/snapshot");
        let (status, body) = self.client.fetch(&metrics).await.map_err(Trouble::NoAnswer)?;
        expect_success(&metrics, status)?;
        let metrics = read_agent_metrics(&body).map_err(Trouble::Unreadable)?;
        Ok((metrics, self.ask_state().await?))
    }

    /// Reads `/state` as it comes; before 0.25 it was called `/state.json`.
    async fn ask_state(&self) -> Result<AgentState, Trouble> {
        let mut url = self.config.url.endpoint("state");
        let mut response = self.client.ask(&url).await.map_err(Trouble::NoAnswer)?;
        if response.status() == StatusCode::NOT_FOUND {
            url = self.config.url.endpoint("state.json");
            response = self.client.ask(&url).await.map_err(Trouble::NoAnswer)?;
        }
        expect_success(&url, response.status())?;
        let unreadable = |why: String| Trouble::Unreadable(format!("{url}: {why}"));
        let mut reader = StateReader::default();
        let mut length = 0;
        while let Some(piece) = mesos::next_piece(&mut response, &url).await.map_err(Trouble::NoAnswer)? {
            length += piece.len() as u64;
            if length > LONGEST_STATE {
                return Err(unreadable("longer than 256 MiB".to_owned()));
            }
            reader.feed(&piece).map_err(|error| unreadable(error.to_string()))?;
        }
        let state = reader.finish().map_err(|error| unreadable(error.to_string()))?;
        if state.hidden_count > 0 {
            return Err(Trouble::Hidden(state.hidden_count));
        }
        Ok(state)
    }

    fn of_trouble(&mut self, trouble: Trouble) -> Look {
        self.patience.answered();
        let url = self.config.url.to_string();
        let observation = match trouble {
            Trouble::Recovering => Observation::new(Status::Unknown, "the Mesos agent is recovering")
                .next("wait; if it lasts, look at the agent's log"),
            Trouble::NoAnswer(why) => {
                Observation::new(Status::Crit, format!("the Mesos agent does not answer: {why}"))
                    .debounce(BETWEEN_RUNS)
                    .next("see that its container or service runs, then look at its log")
            }
            Trouble::Unreadable(why) => {
                Observation::new(Status::Unknown, format!("the Mesos agent's answer cannot be read: {why}"))
                    .next("check `checks.mesos_agent.url`; if it is right, please report this")
            }
            Trouble::Hidden(count) => Observation::new(
                Status::Unknown,
                format!("the Mesos agent hides {count} frameworks, executors or tasks from us"),
            )
            .next(
                "allow this agent to view them (VIEW_EXECUTOR, VIEW_TASK), or switch http authorisation off",
            ),
        };
        let observation = observation.gating().evidence("url", &url, "agent.toml");
        Look { observations: vec![observation], facts: vec![FactPart::MesosAgent(None)] }
    }

    fn saw(&mut self, metrics: AgentMetrics, mut state: AgentState, now: Timestamp) -> Look {
        self.patience.answered();
        state.tasks.retain(|task| task.state.is_living());
        self.remember(&state, now);
        let registered = metrics.registered.map(|registered| registered > 0.0);
        let mut observations = vec![self.of_registration(registered, &state)];
        observations.push(self.of_staging(&state.tasks, metrics.uptime_secs, now));
        observations.extend(self.id_change.as_ref().map(of_id_change));
        let facts = MesosAgentFacts {
            url: self.config.url.to_string(),
            agent_id: state.id,
            version: state.version,
            hostname: state.hostname,
            registered,
            attributes: state.attributes,
            tasks: state.tasks,
            age_seconds: 0,
        };
        Look { observations, facts: vec![FactPart::MesosAgent(Some(facts))] }
    }

    fn remember(&mut self, state: &AgentState, now: Timestamp) {
        *self.shared.owned.borrow_mut() =
            Some(Owned { ids: state.containers.iter().cloned().collect(), at: now });
        if let (Some(from), Some(to)) = (&self.id, &state.id)
            && from != to
        {
            self.id_change = Some(IdChange { from: from.clone(), to: to.clone(), at: now });
        }
        if state.id.is_some() {
            self.id.clone_from(&state.id);
        }
    }

    fn of_registration(&self, registered: Option<bool>, state: &AgentState) -> Observation {
        let url = self.config.url.to_string();
        let version = if state.version.is_empty() { String::new() } else { format!(" {}", state.version) };
        let id = state.id.as_deref().unwrap_or("no id yet");
        let observation = match registered {
            Some(true) => Observation::new(
                Status::Ok,
                format!(
                    "the Mesos agent{version} is registered as {id} and runs {}",
                    tasks(state.tasks.len())
                ),
            ),
            Some(false) => Observation::new(
                Status::Crit,
                format!("the Mesos agent{version} answers but no master has it registered"),
            )
            .debounce(self.config.registered_within)
            .next("see that the masters have a leader; then look at the agent's log"),
            None => Observation::new(
                Status::Unknown,
                format!("the Mesos agent{version} does not say whether it is registered"),
            )
            .next("look at its /metrics/snapshot: slave/registered is missing"),
        };
        let said = registered.map_or("not said".to_owned(), |registered| registered.to_string());
        observation.gating().evidence("slave/registered", said, &url).evidence("agent_id", id, &url)
    }

    /// Tasks that do not get going: a stuck Docker or registry shows here first.
    fn of_staging(&mut self, tasks: &[Task], uptime: Option<f64>, now: Timestamp) -> Observation {
        let staging: BTreeSet<&str> = tasks
            .iter()
            .filter(|task| task.state == TaskState::Staging)
            .map(|task| task.id.as_str())
            .collect();
        self.staging_since.retain(|task, _| staging.contains(task.as_str()));
        for task in &staging {
            self.staging_since.entry((*task).to_owned()).or_insert(now);
        }
        let is_crowded = staging.len() > self.config.staging_tasks;
        self.crowded_since = is_crowded.then(|| self.crowded_since.unwrap_or(now));

        let for_how_long = |since: Timestamp| {
            Duration::from_secs(u64::try_from(now.as_second() - since.as_second()).unwrap_or_default())
        };
        let url = self.config.url.to_string();
        let told = |sentence: String| {
            Observation::new(Status::Warn, sentence)
                .item("staging")
                .evidence("staging", staging.len(), &url)
                .next("see the findings `docker` and `images`; a pull or a hung Docker holds tasks up")
        };
        let is_young = uptime.is_some_and(|uptime| uptime < self.config.grace_after_start.as_secs_f64());
        if !is_young {
            let longest = self.staging_since.iter().max_by_key(|(_, since)| for_how_long(**since));
            if let Some((task, since)) = longest
                && for_how_long(*since) > self.config.staging_longest
            {
                return told(format!("task {task} has been staging for {}", spoken(for_how_long(*since))));
            }
            if let Some(since) = self.crowded_since
                && for_how_long(since) >= self.config.staging_for
            {
                let lasted = spoken(for_how_long(since));
                return told(format!("{} tasks have been staging for {lasted}", staging.len()));
            }
        }
        let sentence = match staging.len() {
            0 => "no task is held up".to_owned(),
            1 => "1 task is staging".to_owned(),
            count => format!("{count} tasks are staging"),
        };
        Observation::new(Status::Ok, sentence).item("staging")
    }
}

fn tasks(count: usize) -> String {
    match count {
        0 => "no task".to_owned(),
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    }
}

fn of_id_change(change: &IdChange) -> Observation {
    Observation::new(
        Status::Ok,
        format!("the agent id changed from {} to {} at {:.0}", change.from, change.to, change.at),
    )
    .item("identity")
    .next("a reboot or rebuild does this; otherwise find out who cleared the agent's work directory")
}

fn expect_success(url: &str, status: StatusCode) -> Result<(), Trouble> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::SERVICE_UNAVAILABLE => Err(Trouble::Recovering),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Trouble::Unreadable(format!("{url} answers {status}: it wants a login")))
        }
        status => Err(Trouble::NoAnswer(format!("{url} answers {status}"))),
    }
}

/// The check of this node's Mesos agent.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    let config = &context.config.checks.mesos_agent;
    vec![Box::new(MesosAgentCheck::new(config, context.shared.clone()))]
}

impl Check for MesosAgentCheck {
    fn name(&self) -> &'static str {
        "mesos_agent"
    }

    fn is_gating(&self) -> bool {
        true
    }

    fn when_silent(&self) -> Option<&str> {
        Some("see that the Mesos agent's container or service runs, then look at its log")
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: self.config.every, deadline: self.config.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            match timeout(self.config.deadline.mul_f64(0.9), self.ask()).await {
                Ok(Ok((metrics, state))) => self.saw(metrics, state, now),
                Ok(Err(trouble)) => self.of_trouble(trouble),
                Err(_) => {
                    let deadline = spoken(self.config.deadline);
                    let sentence =
                        format!("the Mesos agent accepts connections but does not answer within {deadline}");
                    let observation = Observation::new(self.patience.late(now), sentence)
                        .gating()
                        .evidence("url", &self.config.url, "agent.toml")
                        .next("look at the agent's log; it may be hung");
                    Look { observations: vec![observation], facts: vec![FactPart::MesosAgent(None)] }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::read_state;

    fn check() -> MesosAgentCheck {
        MesosAgentCheck::new(&MesosAgentConfig::default(), Rc::default())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn state(id: &str, staging: &[&str]) -> AgentState {
        let tasks: Vec<String> =
            staging.iter().map(|id| format!(r#"{{"id":"{id}","state":"TASK_STAGING"}}"#)).collect();
        let body = format!(
            r#"{{"id":"{id}","frameworks":[{{"id":"f","name":"F","executors":[{{"id":"e","container":"c-{id}",
                "tasks":[{}]}}]}}]}}"#,
            tasks.join(",")
        );
        read_state(body.as_bytes()).unwrap()
    }

    const REGISTERED: AgentMetrics = AgentMetrics { registered: Some(1.0), uptime_secs: Some(9000.0) };

    fn status_of(look: &Look, item: Option<&str>) -> Status {
        look.observations.iter().find(|one| one.item.as_deref() == item).unwrap().status
    }

    #[test]
    fn a_registered_agent_is_well_and_one_without_a_master_is_not() {
        for (registered, seen) in
            [(Some(1.0), Status::Ok), (Some(0.0), Status::Crit), (None, Status::Unknown)]
        {
            let metrics = AgentMetrics { registered, uptime_secs: Some(9000.0) };
            let look = check().saw(metrics, state("S0", &[]), at(0));
            assert_eq!(status_of(&look, None), seen, "{registered:?}");
            assert!(look.observations[0].gating);
        }
    }

    #[test]
    fn more_than_two_tasks_staging_for_five_minutes_are_told() {
        let mut check = check();
        let mut status_at = |second, staging: &[&str]| {
            status_of(&check.saw(REGISTERED, state("S0", staging), at(second)), Some("staging"))
        };
        assert_eq!(status_at(0, &["a", "b", "c"]), Status::Ok);
        assert_eq!(status_at(299, &["a", "b", "d"]), Status::Ok);
        assert_eq!(status_at(300, &["a", "b", "d"]), Status::Warn);
        assert_eq!(status_at(310, &["a", "b"]), Status::Ok);
        assert_eq!(status_at(901, &["a", "b"]), Status::Warn, "15 minutes of one task are too long too");
    }

    #[test]
    fn staging_is_not_judged_right_after_the_agent_started() {
        let mut check = check();
        let young = AgentMetrics { uptime_secs: Some(250.0), ..REGISTERED };
        check.saw(young, state("S0", &["a", "b", "c"]), at(0));
        assert_eq!(
            status_of(&check.saw(young, state("S0", &["a", "b", "c"]), at(400)), Some("staging")),
            Status::Ok
        );
    }

    #[test]
    fn a_change_of_the_agent_id_is_noted() {
        let mut check = check();
        assert_eq!(check.saw(REGISTERED, state("S0", &[]), at(0)).observations.len(), 2);
        let look = check.saw(REGISTERED, state("S7", &[]), at(10));
        let noted = look.observations.iter().find(|one| one.item.as_deref() == Some("identity")).unwrap();
        assert!(noted.sentence.starts_with("the agent id changed from S0 to S7"), "{}", noted.sentence);
        assert!(check.shared.owned.borrow().as_ref().unwrap().ids.contains("c-S7"));
    }

    #[test]
    fn without_an_answer_tasks_are_not_known() {
        for (trouble, seen) in [
            (Trouble::NoAnswer("connection refused".into()), Status::Crit),
            (Trouble::Recovering, Status::Unknown),
            (Trouble::Hidden(2), Status::Unknown),
            (Trouble::Unreadable("not JSON".into()), Status::Unknown),
        ] {
            let look = check().of_trouble(trouble);
            assert_eq!(status_of(&look, None), seen, "{look:?}");
            assert_eq!(look.facts, [FactPart::MesosAgent(None)]);
        }
    }
}
