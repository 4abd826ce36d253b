//! What remains of a node that was deleted: every place that knew it is proven gone, or is left to a person by name.

use super::{Operation, Situation, Step};
use crate::{
    Evidence, Source,
    fleet::{Listing, Node, STALE},
};
use jiff::{SignedDuration, Timestamp};

/// An answer that is older proves nothing about now.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What became of one place that knew the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remain {
    /// It knows the node no more, seen after the server was deleted.
    Gone {
        /// For people, such as `Foreman`.
        place: &'static str,
        /// What was seen.
        evidence: Evidence,
    },
    /// It still knows it.
    Still {
        /// For people.
        place: &'static str,
        /// Under which name.
        host: String,
        /// What was seen.
        evidence: Evidence,
    },
    /// Nobody has looked since, or nobody can.
    Unproven {
        /// For people.
        place: &'static str,
    },
}

/// Every place, as far as is known now. Only what was seen after `since` counts.
pub fn remains(node: Option<&Node>, since: Timestamp, now: Timestamp) -> Vec<Remain> {
    let hosts = [Source::Foreman, Source::PuppetDb].map(|source| of_place(node, source, since, now));
    let others =
        [Remain::Unproven { place: "DNS" }, mesos(node, since, now), Remain::Unproven { place: "Jenkins" }];
    hosts.into_iter().chain(others).collect()
}

fn of_place(node: Option<&Node>, source: Source, since: Timestamp, now: Timestamp) -> Remain {
    let place = node.into_iter().flat_map(|node| &node.places).find(|place| place.source == source);
    let Some(seen) = place.filter(|seen| seen.at > since && now.duration_since(seen.at) <= FRESH) else {
        return Remain::Unproven { place: source.title() };
    };
    let age = now.duration_since(seen.at).as_secs().max(0).unsigned_abs();
    let evidence =
        |value: &str| Evidence { age_seconds: age, ..Evidence::new(&*seen.host, value, source.as_str()) };
    if seen.known {
        Remain::Still {
            place: source.title(),
            host: seen.host.to_string(),
            evidence: evidence("still known"),
        }
    } else {
        Remain::Gone { place: source.title(), evidence: evidence("gone") }
    }
}

fn mesos(node: Option<&Node>, since: Timestamp, now: Timestamp) -> Remain {
    let view = node.and_then(|node| node.master.as_ref());
    match view.filter(|view| view.at > since && now.duration_since(view.at) <= STALE) {
        Some(view) if view.listing == Listing::Absent => {
            let evidence = Evidence::new("listing", view.listing.as_str(), "mesos_master");
            Remain::Gone { place: "Mesos", evidence }
        }
        _ => Remain::Unproven { place: "Mesos" },
    }
}

/// The same of an operation's node; `None` where nothing was deleted.
pub(super) fn of(operation: &Operation, situation: &Situation<'_>) -> Vec<Remain> {
    let node = situation.snapshot.nodes.get(&operation.wish.node).map(Box::as_ref);
    let since = operation.done_at(Step::DeleteServer).unwrap_or(operation.requested_at);
    remains(node, since, situation.now)
}

/// What is seen, as evidence: what is not proven gone is left to whoever says that it is seen to.
pub fn evidence(remains: &[Remain], left_to: &str) -> Vec<Evidence> {
    let told = |remain: &Remain| match remain {
        Remain::Gone { evidence, .. } | Remain::Still { evidence, .. } => evidence.clone(),
        Remain::Unproven { place } => {
            Evidence::new(*place, format!("not proven; left to {left_to}"), "people")
        }
    };
    remains.iter().map(told).collect()
}

/// In one sentence.
pub(super) fn story(remains: &[Remain]) -> String {
    let mut gone = Vec::new();
    let mut still = Vec::new();
    let mut unproven = Vec::new();
    for remain in remains {
        match remain {
            Remain::Gone { place, .. } => gone.push((*place).to_owned()),
            Remain::Still { place, host, .. } => still.push(format!("{place} still knows {host}")),
            Remain::Unproven { place } => unproven.push((*place).to_owned()),
        }
    }
    let gone = (!gone.is_empty()).then(|| format!("gone from {}", gone.join(", ")));
    let unproven = (!unproven.is_empty()).then(|| format!("to be looked for in {}", unproven.join(", ")));
    still.into_iter().chain(gone).chain(unproven).collect::<Vec<_>>().join("; ")
}

/// Whether every place of hosts that is asked at all knows it no more, as seen after `since`.
pub(super) fn settled(
    operation: &Operation,
    situation: &Situation<'_>,
    since: Option<Timestamp>,
) -> Option<Vec<Evidence>> {
    let node = situation.snapshot.nodes.get(&operation.wish.node)?;
    let is_gone = |place: &crate::fleet::Place| {
        let is_new = since.is_none_or(|since| place.at > since);
        !place.known && is_new && situation.now.duration_since(place.at) <= FRESH
    };
    (!node.places.is_empty() && node.places.iter().all(is_gone)).then(|| {
        let all = of(operation, situation);
        evidence(&all, &operation.wish.by)
    })
}
