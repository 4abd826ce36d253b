//! R1, R2: where a new node may stand.

use crate::{
    action::Action,
    case::{Case, Subject},
    code::Code,
    fleet::Progress,
    policy::Class,
    verdict::{Reason, Severity},
};

/// R1, R2: masters stand in zones of their own, and zones are those of the policy.
pub(crate) fn zones(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if case.action() != Action::Create {
        return;
    }
    let Some(zone) = &subject.listed.zone else {
        if subject.is_master() {
            reasons.push(zone_unknown(subject, "none"));
        }
        return;
    };
    if !case.policy.zones.contains(zone) {
        reasons.push(zone_unknown(subject, zone));
        return;
    }
    if !subject.is_master() {
        return;
    }
    let taken = case
        .policy
        .nodes_of(Class::Master)
        .find(|(name, other)| *name != subject.name && other.zone.as_ref() == Some(zone));
    if let Some((_, other)) = taken {
        reasons.push(
            Reason::new(
                Code::ZoneTaken,
                Severity::Refused,
                format!("{} is in {zone} already, and each master has a zone of its own", other.display),
                "another zone for one of them in policy.toml",
            )
            .rule("R1")
            .owner("policy")
            .fact("zone", zone, "policy", 0),
        );
    }
}

fn zone_unknown(subject: &Subject<'_>, zone: &str) -> Reason {
    Reason::new(
        Code::ZoneUnknown,
        Severity::Refused,
        format!("{} has the zone {zone}, which is not one of the policy's", subject.display()),
        "one of the policy's zones for the node in policy.toml",
    )
    .rule("R2")
    .owner("policy")
    .fact("zone", zone, "policy", 0)
}

/// A node that reports is there already.
pub(crate) fn node_exists(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some(agent) = subject.node.and_then(|node| node.agent.as_ref()) else { return };
    if case.action() != Action::Create || is_own_creation(case, subject) {
        return;
    }
    reasons.push(
        Reason::new(
            Code::NodeExists,
            Severity::NeedsPeople,
            format!("{} has reported before, so there is, or was, a machine of that name", subject.display()),
            format!("`millwright node forget {}` once the machine is gone", subject.display()),
        )
        .owner("operators")
        .since(Some(agent.at))
        .fact("last_report", agent.at, "agent", case.age(agent.at)),
    );
}

/// Whether what reports is what this operation has made: before its command was begun it is somebody else's.
fn is_own_creation(case: &Case<'_>, subject: &Subject<'_>) -> bool {
    case.operation.is_some_and(|own| {
        own.action == Action::Create
            && own.progress != Progress::Requested
            && own.nodes.contains(subject.name)
    })
}
