//! The event stream of the leading master (Mesos ≥ 1.5), used as a nudge and nothing else: when something happened that
//! is worth a look, the state is asked for at once. What an event says is never taken for a fact, so one that is lost,
//! repeated or made up costs a question and no more.

use super::{
    MesosMasters,
    masters::{Answer, Masters, NoAnswer, Question, read_refusal, spell},
    record_io::{Reader, Record},
};
use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use millwright_protocol::TaskState;
use reqwest::StatusCode;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// Mesos sends a heartbeat every 15 s; after three that did not come nobody is there.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Where it is told that something happened.
pub trait MesosEvents: Send {
    /// Returns when something happened that is worth a look: a task ended, an agent came or went, or the stream was
    /// opened, before which anything may have happened.
    ///
    /// # Errors
    /// There is no stream, or it broke off or fell silent. The next call opens another.
    fn wait(&mut self) -> BoxFuture<'_, Result<(), String>>;
}

/// The stream of whoever leads.
pub struct LeaderEvents {
    masters: Arc<Masters>,
    patience: Duration,
    open: Option<Open>,
}

struct Open {
    leader: String,
    pieces: BoxStream<'static, Result<Vec<u8>, String>>,
    reader: Reader,
}

impl LeaderEvents {
    /// Of the masters that are observed. A stream that is silent for longer than `patience` is given up.
    pub fn new(masters: &MesosMasters, patience: Duration) -> Self {
        Self { masters: masters.masters(), patience, open: None }
    }

    async fn next(&mut self) -> Result<(), String> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => subscribe(&self.masters).await?,
        };
        loop {
            let piece = match tokio::time::timeout(self.patience, open.pieces.next()).await {
                Ok(Some(piece)) => piece.map_err(|why| format!("follow {}: {why}", open.leader))?,
                Ok(None) => return Err(format!("follow {}: it has ended the stream", open.leader)),
                Err(_) => {
                    let (leader, patience) = (&open.leader, self.patience);
                    return Err(format!("follow {leader}: no heartbeat for {patience:?}"));
                }
            };
            let records = open.reader.take(&piece).map_err(|why| format!("follow {}: {why}", open.leader))?;
            if records.iter().any(is_worth_a_look) {
                self.open = Some(open);
                return Ok(());
            }
        }
    }
}

async fn subscribe(masters: &Masters) -> Result<Open, String> {
    let question = Question { path: "/api/v1", body: Some(r#"{"type":"SUBSCRIBE"}"#), endless: true };
    let mut troubles = Vec::new();
    for master in masters.urls() {
        match masters.ask(master, question).await.map_err(NoAnswer::why) {
            Ok(Answer { from, response }) if response.status() == StatusCode::OK => {
                let pieces = response.bytes_stream().map_ok(|piece| piece.to_vec());
                let pieces = pieces.map_err(|why| why.without_url().to_string()).boxed();
                return Ok(Open { leader: spell(&from), pieces, reader: Reader::default() });
            }
            Ok(Answer { from, response }) => {
                troubles.push(format!("{} answers {}", spell(&from), read_refusal(response).await));
            }
            Err(why) => troubles.push(format!("{}: {why}", spell(master))),
        }
    }
    Err(format!("follow the events of Mesos: {}", troubles.join("; ")))
}

impl MesosEvents for LeaderEvents {
    fn wait(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.next())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    r#type: String,
    task_updated: Option<TaskUpdated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TaskUpdated {
    /// The latest state of the task; the one in `status` may be older.
    state: String,
}

/// Whether the state may be another one now in a way that somebody waits for. A task that starts is not waited for.
fn is_worth_a_look(record: &Record) -> bool {
    let Record::Whole(bytes) = record else {
        // The first record holds the state of the whole cluster; nothing else is that long.
        return true;
    };
    let Ok(event) = serde_json::from_slice::<Event>(bytes) else { return true };
    match event.r#type.as_str() {
        "SUBSCRIBED" | "AGENT_ADDED" | "AGENT_REMOVED" | "FRAMEWORK_REMOVED" => true,
        "TASK_UPDATED" => {
            event.task_updated.is_none_or(|update| !TaskState::from_mesos(&update.state).is_living())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing, *};

    fn is_worth(text: &str) -> bool {
        is_worth_a_look(&Record::Whole(text.as_bytes().to_vec()))
    }

    #[test]
    fn ends_of_tasks_and_comings_and_goings_of_agents_are_worth_a_look() {
        for text in [
            r#"{"type":"TASK_UPDATED","task_updated":{"status":{"state":"TASK_RUNNING"},"state":"TASK_FINISHED"}}"#,
            r#"{"subscribed":{"get_state":{}},"type":"SUBSCRIBED"}"#,
            r#"{"type":"AGENT_ADDED","agent_added":{"agent":{"agent_info":{"hostname":"n1"}}}}"#,
            r#"{"type":"AGENT_REMOVED","agent_removed":{"agent_id":{"value":"S0"}}}"#,
            r#"{"type":"TASK_UPDATED"}"#,
            r#"{"type":7}"#,
            "not JSON",
        ] {
            assert!(is_worth(text), "{text}");
        }
        assert!(is_worth_a_look(&Record::PassedOver));
    }

    #[test]
    fn heartbeats_beginnings_of_tasks_and_words_of_the_future_are_not() {
        for text in [
            r#"{"type":"HEARTBEAT"}"#,
            r#"{"type":"TASK_ADDED","task_added":{"task":{"state":"TASK_STAGING"}}}"#,
            r#"{"type":"TASK_UPDATED","task_updated":{"state":"TASK_RUNNING"}}"#,
            r#"{"type":"FRAMEWORK_UPDATED"}"#,
            r#"{"type":"SOMETHING_NEW","something_new":[1]}"#,
            "{}",
        ] {
            assert!(!is_worth(text), "{text}");
        }
    }

    #[test]
    fn nanoseconds_beyond_what_a_float_can_count_make_no_event_unreadable() {
        let update = |state: &str| {
            format!(
                r#"{{"type":"TASK_UPDATED","task_updated":{{"state":"{state}","status":{{
                "timestamp":1.5e9,"unreachable_time":{{"nanoseconds":9223372036854775807}}}}}}}}"#
            )
        };
        assert!(is_worth(&update("TASK_LOST")));
        assert!(!is_worth(&update("TASK_RUNNING")), "it was read, since it is passed over");
    }

    fn events(master: &str, patience: Duration) -> LeaderEvents {
        let masters = testing::masters(&[master.to_owned()]);
        LeaderEvents::new(&masters, patience)
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_opening_counts_heartbeats_do_not_and_an_end_is_told() {
        let stream = format!("{HEAD}21\n{{\"type\":\"SUBSCRIBED\"}}20\n{{\"type\":\"HEARTBEAT\"}}");
        let mut events = events(&testing::master(testing::text(&stream)).await, LONG);
        assert_eq!(events.wait().await, Ok(()));
        assert!(events.wait().await.unwrap_err().contains("ended the stream"));
        assert_eq!(events.wait().await, Ok(()), "another one is opened");
    }

    #[tokio::test]
    async fn a_stream_without_heartbeats_is_given_up() {
        let master =
            testing::silent_after(testing::text(&format!("{HEAD}21\n{{\"type\":\"SUBSCRIBED\"}}"))).await;
        let mut events = events(&master, Duration::from_millis(50));
        assert_eq!(events.wait().await, Ok(()));
        assert!(events.wait().await.unwrap_err().contains("no heartbeat for 50ms"));
    }

    #[tokio::test]
    async fn what_is_no_stream_of_events_is_refused_with_what_was_said() {
        for (answer, why) in [
            (format!("{HEAD}<html>"), "where the length of the next one should be"),
            (testing::refusal("404 Not Found", ""), "404"),
            (testing::refusal("501 Not Implemented", "Unknown call"), "Unknown call"),
        ] {
            let refusal =
                events(&testing::master(testing::text(&answer)).await, LONG).wait().await.unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
    }
}
