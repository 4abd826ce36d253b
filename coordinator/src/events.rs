//! What has changed, for everybody who listens: a bounded ring to catch up from, and a channel to go on with.
//!
//! Nobody is waited for. A listener that falls behind the ring loses its place, is told so, and asks for everything anew.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::broadcast;

/// How many events can be caught up with.
const RING: usize = 4096;
/// How far a listener may lag before it is dropped.
const LAG: usize = 1024;

/// One change.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Names it across reconnects: `RUN-NUMBER`.
    pub id: String,
    number: u64,
    /// What kind: `node` or `verdict`.
    pub kind: &'static str,
    /// JSON, one line.
    pub data: String,
}

/// Where changes are told.
#[derive(Debug)]
pub struct Events {
    /// Tells this run's events from those of the run before.
    run: String,
    ring: Mutex<Ring>,
    sender: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Ring {
    told: u64,
    events: VecDeque<Arc<Event>>,
}

/// A listener's start: what it missed, and where the rest will come.
pub struct Listening {
    /// The id of the last event before it began to listen.
    pub position: String,
    /// `false` when what it missed is no longer known: it has to ask for everything.
    pub complete: bool,
    /// What it missed.
    pub missed: Vec<Arc<Event>>,
    /// What comes.
    pub coming: broadcast::Receiver<Arc<Event>>,
}

impl Events {
    /// An empty ring; `run` is different after each start.
    pub fn new(run: impl Into<String>) -> Self {
        Self { run: run.into(), ring: Mutex::default(), sender: broadcast::channel(LAG).0 }
    }

    /// Tells everybody.
    pub fn tell(&self, kind: &'static str, data: String) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.told += 1;
        let number = ring.told;
        let event = Arc::new(Event { id: self.id(number), number, kind, data });
        if ring.events.len() == RING {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        // Under the lock, so that listeners get events in the order of their numbers; an error means nobody listens.
        let _ = self.sender.send(event);
    }

    /// Starts listening after the event named `last`, or from now on without one.
    pub fn listen(&self, last: Option<&str>) -> Listening {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let position = self.id(ring.told);
        let coming = self.sender.subscribe();
        let Some(last) = last else {
            return Listening { position, complete: true, missed: Vec::new(), coming };
        };
        let oldest = ring.events.front().map_or(ring.told + 1, |event| event.number);
        match self.number(last) {
            Some(number) if number <= ring.told && number + 1 >= oldest => {
                let missed = ring.events.iter().filter(|event| event.number > number).cloned().collect();
                Listening { position, complete: true, missed, coming }
            }
            _ => Listening { position, complete: false, missed: Vec::new(), coming },
        }
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// The number in an id of this run.
    fn number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: usize) -> Events {
        let events = Events::new("r1");
        for number in 1..=count {
            events.tell("node", number.to_string());
        }
        events
    }

    fn data(events: &[Arc<Event>]) -> Vec<&str> {
        events.iter().map(|event| event.data.as_str()).collect()
    }

    #[test]
    fn a_listener_that_comes_back_gets_what_it_missed() {
        let listening = told(5).listen(Some("r1-3"));
        assert!(listening.complete);
        assert_eq!(data(&listening.missed), ["4", "5"]);
    }

    #[test]
    fn a_listener_that_missed_nothing_gets_nothing_twice() {
        let listening = told(5).listen(Some("r1-5"));
        assert!(listening.complete && listening.missed.is_empty());
    }

    #[test]
    fn a_place_that_is_lost_is_said_to_be_lost() {
        let events = told(RING + 5);
        for lost in ["r1-3", "r0-5", "r1-99999999", "nonsense", ""] {
            assert!(!events.listen(Some(lost)).complete, "{lost}");
        }
        assert!(events.listen(Some("r1-5")).complete, "the oldest place that is still known");
    }

    #[tokio::test]
    async fn nothing_is_lost_between_catching_up_and_going_on() {
        let events = told(2);
        let mut listening = events.listen(Some("r1-1"));
        events.tell("verdict", "3".into());
        assert_eq!(data(&listening.missed), ["2"]);
        assert_eq!(listening.coming.recv().await.unwrap().data, "3");
    }
}
