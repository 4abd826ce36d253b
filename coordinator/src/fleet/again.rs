//! Takes in a report that says what the one before it said: only clocks move.
//!
//! For simulators, whose nodes have nothing new to say for hours. It does what [`Fleet::take_report`] would have done, or
//! nothing: a test compares both.

use super::{
    Fleet, Taken,
    report::{add, ago},
    tasks::{compare_views, watch_emptiness_again},
};
use jiff::Timestamp;
use millwright_decision::fleet::STALE;
use millwright_protocol::NodeName;

/// What is new in such a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again<'a> {
    /// See [`Report`](millwright_protocol::Report).
    pub sequence: u64,
    /// See [`Report`](millwright_protocol::Report).
    pub sent_at: Timestamp,
    /// See [`Report`](millwright_protocol::Report).
    pub uptime_seconds: u64,
    /// How long before it the node looked for its tasks and containers.
    pub looked_seconds_ago: u64,
    /// Which Mesos agent the node says it has.
    pub mesos_id: Option<&'a str>,
}

impl Fleet {
    /// Takes in that the same boot of a node has said once more what it said last, head apart. `None`, and nothing is done,
    /// where that might mean more: then the whole report is wanted.
    pub fn take_again(&mut self, name: &NodeName, again: Again<'_>, now: Timestamp) -> Option<Taken> {
        if !self.policy.nodes.contains_key(name) {
            return None;
        }
        let record = self.records.get_mut(name)?;
        let node = self.snapshot.nodes.get_mut(name)?;
        let said = record.said.as_mut().filter(|said| said.sequence < again.sequence)?;
        let identity = record.identity.as_ref()?;
        let is_same_machine = identity.difference(&said.machine_id, said.server_uuid.as_deref()).is_none();
        let claims_another = again.mesos_id.is_some() && record.own_mesos_id.as_deref() != again.mesos_id;
        if claims_another || !is_same_machine || node.identity_changed.is_some() || record.heard == 0 {
            return None;
        }
        // What is bad has a beginning, which is told by the node's clock.
        if !node.agent.as_ref()?.is_gating_clean() {
            return None;
        }
        let was_healthy = node.is_proven_healthy(now);
        let agent = node.agent.as_mut()?;
        said.sequence = again.sequence;
        said.sent_at = again.sent_at;
        said.uptime_seconds = again.uptime_seconds;
        record.heard = record.heard.saturating_add(1).min(2);
        let is_gap = now.duration_since(agent.at) > STALE;
        agent.at = now;
        agent.healthy_since = agent.healthy_since.filter(|_| !is_gap).or(Some(now));
        record.verify(agent, now);
        watch_emptiness_again(node, ago(now, again.looked_seconds_ago));
        node.ssh = None;
        compare_views(node, now);
        if was_healthy != node.is_proven_healthy(now) || is_gap {
            self.counts_stale = true;
        }
        let mut taken = Taken { listed: true, ..Taken::default() };
        self.settle_state(name, now, &mut taken.transitions);
        let boundary = add(now, STALE);
        self.next_boundary = Some(self.next_boundary.map_or(boundary, |at| at.min(boundary)));
        if let Some(record) = self.records.get_mut(name)
            && !taken.transitions.is_empty()
        {
            record.saved_at = None;
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{Story, at, name, report};
    use jiff::SignedDuration;
    use millwright_protocol::Report;

    /// Everything that decisions and pages rest on.
    fn all(story: &mut Story) -> String {
        let now = story.now();
        let records = format!("{:?}", story.fleet.records);
        let snapshot = format!("{:?}", story.fleet.snapshot_at(now));
        format!("{snapshot} {records} {:?}", story.fleet.next_boundary)
    }

    #[test]
    fn a_report_that_repeats_is_taken_like_a_whole_one() {
        for (rounds, pause) in [(1, 1), (3, 10), (10, 45), (10, 75), (30, 700)] {
            let mut whole = Story::new(5);
            let mut again = Story::new(5);
            whole.rounds(rounds);
            again.rounds(rounds);
            let node = name("alibuild02");
            let now = whole.now() + SignedDuration::from_secs(pause);
            let before = report("alibuild02", rounds);
            let new = Again {
                sequence: before.sequence + 1,
                sent_at: now,
                uptime_seconds: before.uptime_seconds + pause.unsigned_abs(),
                looked_seconds_ago: before.facts.containers.as_ref().map_or(0, |facts| facts.age_seconds),
                mesos_id: Some("S-alibuild02"),
            };
            let one = Report {
                sequence: new.sequence,
                sent_at: new.sent_at,
                uptime_seconds: new.uptime_seconds,
                ..before.clone()
            };
            let one = whole.fleet.take_report(&node, one, now);
            let other = again.fleet.take_again(&node, new, now).unwrap();
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "after {pause} s");
            assert_eq!(all(&mut whole), all(&mut again), "after {pause} s");
        }
    }

    #[test]
    fn what_might_mean_more_is_left_to_a_whole_report() {
        let mut story = Story::new(5);
        let again = |sequence| Again {
            sequence,
            sent_at: at(200),
            uptime_seconds: 1,
            looked_seconds_ago: 0,
            mesos_id: Some("S-alibuild02"),
        };
        let node = name("alibuild02");
        let now = story.now();
        assert!(story.fleet.take_again(&node, again(9), now).is_none(), "nobody has heard of it yet");
        story.rounds(10);
        let now = story.now();
        assert!(story.fleet.take_again(&node, again(10), now).is_none(), "it has been taken");
        let claim = Again { mesos_id: Some("S-alibuild03"), ..again(99) };
        assert!(story.fleet.take_again(&node, claim, now).is_none(), "that Mesos agent is another node's");
        assert!(story.fleet.take_again(&name("stranger"), again(99), now).is_none());
        story.twist("alibuild02", |report| report.findings[0].status = millwright_protocol::Status::Crit);
        story.rounds(1);
        let now = story.now();
        assert!(story.fleet.take_again(&node, again(99), now).is_none(), "it is ill");
    }
}
