//! The storm brake: many nodes of a class go bad at once, so nothing more is taken until a person has looked.

use super::{Fleet, report::add};
use crate::view::Transition;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{Class, fleet::Brake};
use millwright_protocol::NodeName;

/// So many nodes, and this share of the class, newly bad within this time (DESIGN section 4).
const AT_LEAST: usize = 3;
const PERCENT: usize = 20;
const WITHIN: SignedDuration = SignedDuration::from_mins(10);

impl Fleet {
    /// Trips the brake of every class that has a storm; it stays on until a person resets it.
    ///
    /// Called after each count. While the coordinator warms up nobody has been seen to leave health, so nothing trips.
    pub(super) fn brake(&mut self, now: Timestamp) {
        for class in Class::ALL.iter().copied().filter(|class| *class != Class::Physical) {
            if self.snapshot.brakes.contains_key(&class) {
                continue;
            }
            let listed = usize::try_from(self.snapshot.counts.class(class).listed).unwrap_or(usize::MAX);
            let bad = self.newly_bad(class, now);
            if bad.len() < AT_LEAST || bad.len() * 100 < listed.saturating_mul(PERCENT) {
                continue;
            }
            let some: Vec<&str> = bad.iter().take(5).map(|name| self.policy.spell(name)).collect();
            let why = format!(
                "{} of {listed} {class} nodes have gone bad within 10 min: {}{}",
                bad.len(),
                some.join(", "),
                if bad.len() > some.len() { ", …" } else { "" }
            );
            self.pending.push(about_brake(class, now, "on", why.clone()));
            self.snapshot.brakes.insert(class, Brake { since: now, why });
        }
    }

    /// Puts the brake of a class on for another reason.
    pub fn trip_brake(&mut self, class: Class, why: String, now: Timestamp) {
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.snapshot.brakes.entry(class) {
            self.pending.push(about_brake(class, now, "on", why.clone()));
            vacant.insert(Brake { since: now, why });
        }
    }

    /// Nodes of the class that were healthy within the last ten minutes and are not, the outside not to blame.
    fn newly_bad(&self, class: Class, now: Timestamp) -> Vec<NodeName> {
        let armed = self.brake_armed_at.get(&class).copied().unwrap_or(self.snapshot.started_at);
        let out = &self.snapshot.counts.class(class).out;
        let is_newly_bad = |name: &NodeName| {
            let left = self.records.get(name).and_then(|record| record.left_health_at);
            left.is_some_and(|left| left > armed && add(left, WITHIN) > now)
        };
        out.iter()
            .filter(|name| is_newly_bad(name) && !self.snapshot.is_taken(name) && !self.is_blamed(name))
            .cloned()
            .collect()
    }

    /// Whether everything that gates the node is an outside check that many nodes fail.
    fn is_blamed(&self, name: &NodeName) -> bool {
        let Some(agent) = self.snapshot.nodes.get(name).and_then(|node| node.agent.as_ref()) else {
            return false;
        };
        let blamed = &self.snapshot.counts.blamed;
        let check = |key: &str| key.split('/').next().unwrap_or_default().to_owned();
        !agent.gating.is_empty() && agent.gating.iter().all(|finding| blamed.contains(&check(&finding.key)))
    }

    /// A person resets the brake of a class: nodes that are bad already trip it no more.
    ///
    /// # Errors
    /// It is not on.
    pub fn reset_brake(
        &mut self,
        class: Class,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<Transition>, super::NotTaken> {
        if self.snapshot.brakes.remove(&class).is_none() {
            return Err(super::NotTaken::Nothing(format!("the brake of {class} is not on")));
        }
        self.brake_armed_at.insert(class, now);
        Ok(vec![about_brake(class, now, "off", format!("{by} has reset the brake of {class}"))])
    }
}

fn about_brake(class: Class, at: Timestamp, to: &str, sentence: String) -> Transition {
    Transition {
        at,
        node: String::new(),
        key: String::new(),
        what: format!("brake/{class}"),
        from: None,
        to: to.to_owned(),
        gating: false,
        sentence,
    }
}
