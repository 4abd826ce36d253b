//! The warm-up after a start (DESIGN section 4): two full rounds before anything is taken.

use super::{Fleet, report::add};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{Source, fleet::WarmUp};
use millwright_protocol::NodeName;

/// Reports come every ten seconds, so that is a round.
const ROUND: SignedDuration = SignedDuration::from_secs(10);
const ROUNDS: u8 = 2;
/// This share of the nodes that were healthy before may stay away, or one.
const MAY_MISS_PERCENT: usize = 5;

/// How far the warm-up is.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    is_over: bool,
}

impl Fleet {
    /// Moves the warm-up on; once over it stays over until the next start.
    pub(super) fn warm_up(&mut self, now: Timestamp) {
        if self.rounds.is_over {
            return;
        }
        let rounds = (1..=ROUNDS).take_while(|round| self.is_round_full(*round, now)).count();
        let rounds = u8::try_from(rounds).unwrap_or(ROUNDS);
        if rounds == ROUNDS {
            self.rounds.is_over = true;
            self.snapshot.warm_up = None;
            // Those that stayed away are stale from now on like any other node.
            self.next_boundary = Some(now);
            return;
        }
        let missing = self.missing(1);
        let missing = if missing.len() > self.may_miss() { missing } else { Vec::new() };
        self.snapshot.warm_up = Some(WarmUp { since: self.snapshot.started_at, rounds, missing });
    }

    /// A round takes ten seconds, and everybody who was healthy has reported, and Mesos has been asked.
    fn is_round_full(&self, round: u8, now: Timestamp) -> bool {
        let ends = add(self.snapshot.started_at, ROUND * i32::from(round));
        let asks_mesos = self.snapshot.sources.contains_key(&Source::MesosMaster);
        now >= ends
            && (!asks_mesos || self.mesos.polls >= round)
            && self.missing(round).len() <= self.may_miss()
    }

    /// Nodes that were healthy before the start and have not reported so often since.
    fn missing(&self, times: u8) -> Vec<NodeName> {
        self.awaited()
            .filter(|(_, record)| record.heard < times && !record.is_accepted_missing)
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn may_miss(&self) -> usize {
        (self.awaited().count() * MAY_MISS_PERCENT / 100).max(1)
    }

    fn awaited(&self) -> impl Iterator<Item = (&NodeName, &super::record::Record)> {
        let records = self.records.iter().map(|(name, record)| (name, record.as_ref()));
        records.filter(|(name, record)| {
            record.was_healthy
                && self.policy.nodes.contains_key(*name)
                && self.snapshot.nodes.get(*name).is_some_and(|node| !node.is_uncounted())
        })
    }

    /// A person goes on without a node that has not come back since the start; tells whether it was awaited.
    pub(super) fn accept_missing(&mut self, name: &NodeName) -> bool {
        let is_awaited = !self.rounds.is_over && self.missing(ROUNDS).contains(name);
        if let Some(record) = self.records.get_mut(name)
            && is_awaited
        {
            record.is_accepted_missing = true;
        }
        is_awaited
    }
}
