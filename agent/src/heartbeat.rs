//! Sends reports: in a rhythm with jitter, at once when work changed, ever more rarely while the coordinator is away.
//!
//! Nothing queues: a report is made from the board when it is sent, so there is only ever the newest one.

use crate::{
    board::SharedBoard,
    clock::{Clock, Moment},
    config::CoordinatorConfig,
    coordinator_client::{CoordinatorClient, ReportError},
    holds,
    identity::Identity,
    orders::{SharedMachine, whitelist_in_force},
    sequence::Sequence,
};
use millwright_protocol::{Fence, Report, ReportAnswer};
use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Reports that tell of changed work are at least this far apart.
const AT_MOST_ONE_IN: Duration = Duration::from_secs(1);
/// The first wait after a failed report.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Without contact for so long the coordinator is silent, and then this node is alone.
const SILENT_AFTER: Duration = Duration::from_secs(30);
const ALONE_AFTER: Duration = Duration::from_secs(300);
/// So long the first report waits for every check's first look.
const FIRST_LOOKS: Duration = Duration::from_secs(5);

/// How the agent and its coordinator get on, for the local status.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contact {
    /// The last report that was taken in.
    pub accepted: Option<Moment>,
    /// Whether the coordinator's policy lists this node, as of then.
    pub listed: Option<bool>,
    /// The UUID of its cluster, as of then.
    pub cluster: Option<String>,
    /// The coordinator's clock minus ours, in seconds, as of then.
    pub clock_offset_seconds: Option<f64>,
    /// The number of the last report.
    pub sequence: u64,
    /// Why the last report was not taken in, and since when that is so.
    pub problem: Option<(String, Moment)>,
}

/// [`Contact`], as the heartbeat and the status server share it.
#[derive(Debug, Clone, Default)]
pub struct SharedContact(Arc<Mutex<Contact>>);

impl SharedContact {
    /// The contact, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Contact> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything a report needs.
pub struct Heartbeat {
    /// What is reported.
    pub board: SharedBoard,
    /// Who reports.
    pub identity: Identity,
    /// How often.
    pub config: CoordinatorConfig,
    /// To whom.
    pub client: Rc<CoordinatorClient>,
    /// What orders there were; it learns from answers who the coordinator is and what time it has.
    pub machine: SharedMachine,
    /// Where holds of the node are.
    pub state: PathBuf,
    /// The whitelist file of this node's Mesos master, where orders may write it.
    pub whitelist: Option<PathBuf>,
    /// Its number.
    pub sequence: Sequence,
    /// What came of it.
    pub contact: SharedContact,
    /// What time it is.
    pub clock: Clock,
    /// Poked when work changed.
    pub report_soon: Rc<Notify>,
}

impl Heartbeat {
    /// Reports for ever.
    pub async fn beat(mut self) {
        // Late first looks are reported as not yet looked, which is true.
        let _ = timeout(FIRST_LOOKS, self.first_looks()).await;
        let mut failures = 0;
        loop {
            // A machine that is about to go down is none to count on: its silence is the truth.
            if self.machine.lock().is_going_down() {
                sleep(self.config.report_every).await;
                continue;
            }
            let sent_at = Instant::now();
            let wait = match self.send().await {
                Ok(()) => {
                    failures = 0;
                    jittered(self.config.report_every, fraction())
                }
                Err(error) => {
                    failures += 1;
                    self.back_off(failures, &error)
                }
            };
            if failures > 0 {
                sleep(wait).await;
                continue;
            }
            tokio::select! {
                () = sleep_until(sent_at + wait) => {}
                () = self.report_soon.notified() => sleep_until(sent_at + AT_MOST_ONE_IN).await,
            }
        }
    }

    async fn first_looks(&self) {
        while !self.board.lock().is_complete() {
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send(&mut self) -> Result<(), ReportError> {
        let (sequence, now) = (self.sequence.take(), (self.clock)());
        let answer = self.client.report(&self.report(sequence, now)).await;
        let (sent, now) = (now, (self.clock)());
        if let Ok(answer) = &answer {
            let mut machine = self.machine.lock();
            machine.hear_clock(answer.received_at, sent.uptime, now.uptime);
            if let (Some(generation), Some(epoch)) = (answer.generation, answer.epoch) {
                machine.hear_fence(Fence { generation, epoch });
            }
        }
        let mut contact = self.contact.lock();
        contact.sequence = sequence;
        match answer {
            Ok(answer) => {
                contact.accept(&answer, now);
                Ok(())
            }
            Err(error) => {
                contact.refuse(&error, now);
                Err(error)
            }
        }
    }

    fn report(&self, sequence: u64, now: Moment) -> Report {
        // Holds that cannot be read object to every order all the same.
        let local_holds = holds::in_force(&self.state, now.wall).unwrap_or_default();
        let report = self.board.lock().report(&self.identity, sequence, now);
        let whitelist = self.whitelist.as_deref().and_then(whitelist_in_force);
        Report { seen: self.machine.lock().seen(), local_holds, whitelist, ..report }
    }

    /// How long to wait after so many failures; what the coordinator asks for is heard, within our limit.
    fn back_off(&self, failures: u32, error: &ReportError) -> Duration {
        let asked = match error {
            ReportError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            ReportError::Away(_) | ReportError::NotUnderstood(_) | ReportError::OtherCluster { .. } => {
                Duration::ZERO
            }
        };
        back_off(failures, self.config.retry_at_most, fraction()).max(asked.min(self.config.retry_at_most))
    }
}

/// How long the coordinator was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Lately.
    InTouch,
    /// For 30 s.
    Silent,
    /// For 5 min: nobody gives orders, and nothing is begun.
    Alone,
}

impl Standing {
    /// The word in log, page and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InTouch => "in_touch",
            Self::Silent => "silent",
            Self::Alone => "alone",
        }
    }
}

impl Contact {
    /// How long the coordinator was not heard; since it should have been, where it never was.
    pub fn standing(&self, now: Moment) -> Standing {
        let last = self.accepted.or(self.problem.as_ref().map(|(_, since)| *since));
        match last.map(|last| now.since(last)) {
            Some(silent) if silent >= ALONE_AFTER => Standing::Alone,
            Some(silent) if silent >= SILENT_AFTER => Standing::Silent,
            _ => Standing::InTouch,
        }
    }

    fn accept(&mut self, answer: &ReportAnswer, now: Moment) {
        if self.problem.take().is_some() || self.accepted.is_none() {
            log::info!("the coordinator takes reports");
        }
        if !answer.listed && self.listed != Some(false) {
            log::warn!("the coordinator's policy does not list this node: it is seen and never touched");
        }
        if let (Some(before), Some(cluster)) = (&self.cluster, &answer.cluster)
            && before != cluster
        {
            log::warn!(
                "the coordinator was of cluster {before:?} and is now of {cluster:?}: its store is another one"
            );
        }
        self.cluster.clone_from(&answer.cluster);
        self.accepted = Some(now);
        self.listed = Some(answer.listed);
        self.clock_offset_seconds = Some(answer.received_at.duration_since(now.wall).as_secs_f64());
    }

    fn refuse(&mut self, error: &ReportError, now: Moment) {
        let why = error.to_string();
        match &mut self.problem {
            Some((known, _)) if *known == why => {}
            Some((known, _)) => {
                log::warn!("{why}");
                *known = why;
            }
            None => {
                log::warn!("{why}; checks go on, reports are tried again ever more rarely");
                self.problem = Some((why, now));
            }
        }
    }
}

/// Doubles from one second up to `at_most`, and takes between half and all of it, so that agents that lost
/// their coordinator together do not come back together.
pub(crate) fn back_off(failures: u32, at_most: Duration, fraction: f64) -> Duration {
    let doubled =
        FIRST_RETRY.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(at_most).mul_f64(0.5 + fraction / 2.0)
}

/// A tenth more or less.
fn jittered(every: Duration, fraction: f64) -> Duration {
    every.mul_f64(0.9 + fraction / 5.0)
}

/// A number from 0 up to 1 that differs from agent to agent and from call to call.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn waits_double_up_to_the_limit_and_are_spread() {
        let longest = |failures| back_off(failures, MINUTE, 1.0).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 100, u32::MAX].map(longest), [1, 2, 4, 32, 60, 60, 60]);
        assert_eq!(back_off(7, MINUTE, 0.0), MINUTE / 2);
    }

    #[test]
    fn the_rhythm_has_a_tenth_of_jitter() {
        assert_eq!(jittered(Duration::from_secs(10), 0.0), Duration::from_secs(9));
        assert_eq!(jittered(Duration::from_secs(10), 1.0), Duration::from_secs(11));
        let spread: Vec<f64> = (0..50).map(|_| fraction()).collect();
        assert!(spread.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
        assert!(spread.iter().any(|fraction| fraction != &spread[0]));
    }

    #[test]
    fn without_contact_a_node_is_first_silent_and_then_alone() {
        let start = Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: MINUTE };
        let heard = Contact { accepted: Some(start), ..Contact::default() };
        let never = Contact { problem: Some(("refused".into(), start)), ..Contact::default() };
        for contact in [heard, never] {
            let words = [0, 29, 30, 299, 300]
                .map(|seconds| contact.standing(start.after(Duration::from_secs(seconds))).as_str());
            assert_eq!(words, ["in_touch", "in_touch", "silent", "silent", "alone"]);
        }
    }

    #[test]
    fn a_problem_keeps_its_beginning_and_ends_with_the_next_accepted_report() {
        let start = Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: MINUTE };
        let mut contact = Contact::default();
        contact.refuse(&ReportError::Away("refused".into()), start);
        contact.refuse(&ReportError::Away("reset".into()), start.after(MINUTE));
        assert_eq!(contact.problem, Some(("reset".into(), start)));
        let received_at = start.wall + MINUTE * 3;
        let answer = ReportAnswer {
            protocol: 1,
            received_at,
            listed: true,
            cluster: None,
            generation: None,
            epoch: None,
        };
        contact.accept(&answer, start.after(2 * MINUTE));
        assert_eq!(
            (contact.problem, contact.listed, contact.clock_offset_seconds),
            (None, Some(true), Some(60.0))
        );
    }
}
