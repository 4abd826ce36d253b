//! When nothing is taken at all: paused, nobody knows who is revoked, just started, Mesos just changed its leader.

use crate::{
    action::{Action, Request},
    case::{Case, Subject},
    code::Code,
    fleet::{PATIENCE, Snapshot},
    policy::Policy,
    verdict::{Reason, Severity},
};

/// DESIGN 3.10: the off switch.
pub(crate) fn paused(case: &Case<'_>, _: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    let Some(pause) = case.snapshot.pause.as_ref().filter(|_| case.action() != Action::Prepull) else {
        return;
    };
    reasons.push(
        Reason::new(
            Code::Paused,
            Severity::NeedsPeople,
            format!("{} has paused Millwright: {}", pause.by, pause.reason),
            "`millwright resume` by a person",
        )
        .owner(pause.by.clone())
        .since(Some(pause.since))
        .fact("pause", &pause.reason, "people", case.age(pause.since)),
    );
}

/// X3: with a list of revoked certificates that is too old, a host that was revoked since may still report for its node,
/// and every verdict rests on reports. Nobody can decide around that.
pub(crate) fn crl_expired(case: &Case<'_>, _: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    let Some(expired) = case.snapshot.crl_expired.filter(|_| case.action() != Action::Prepull) else {
        return;
    };
    let day = expired.expired_at.strftime("%Y-%m-%d");
    reasons.push(
        Reason::new(
            Code::CrlExpired,
            Severity::Refused,
            format!(
                "the list of revoked certificates expired on {day}, so reports may come from hosts that were revoked since"
            ),
            "a new list of revoked certificates; the manual's page on certificates says how it comes",
        )
        .owner("the certificate authority")
        .since(Some(expired.since))
        .fact("crl_expired", expired.expired_at, "tls", case.age(expired.expired_at)),
    );
}

/// S9: a store that agents have seen more of was put back, and what happened since then is not in it.
pub(crate) fn store_behind(case: &Case<'_>, _: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    let Some(behind) = case.snapshot.store_behind.as_ref().filter(|_| case.action() != Action::Prepull)
    else {
        return;
    };
    reasons.push(
        Reason::new(
            Code::StoreBehind,
            Severity::NeedsPeople,
            format!(
                "{} has seen a newer store than this one, so this one was put back and does not know what was done since",
                case.policy.spell(&behind.node)
            ),
            "a person who has looked at what was done since, then `millwright-coordinator raise-generation`",
        )
        .owner("operators")
        .fact("seen", &behind.seen, "agent", 0)
        .fact("store", &behind.ours, "store", 0),
    );
}

/// An operation of which nothing can be read may be about any node.
pub(crate) fn journal_damaged(case: &Case<'_>, _: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    let Some(why) = case.snapshot.journal_damaged.as_ref().filter(|_| case.action() != Action::Prepull)
    else {
        return;
    };
    reasons.push(
        Reason::new(
            Code::JournalDamaged,
            Severity::NeedsPeople,
            format!("a part of the journal cannot be read, and nobody knows which node it is about: {why}"),
            "a backup put back with `millwright-coordinator restore`, by a person who has looked at what was done since",
        )
        .owner("operators")
        .fact("journal", why, "store", 0),
    );
}

/// What keeps every operation from doing anything, whatever its step.
pub(crate) fn frozen(snapshot: &Snapshot, policy: &Policy, now: jiff::Timestamp) -> Option<Reason> {
    let request = Request::set(Action::Return, []);
    let case = Case::new(&request, snapshot, policy, now);
    let mut reasons = Vec::new();
    super::policy::unreadable(&case, &mut reasons);
    for rule in [paused, crl_expired, store_behind, journal_damaged] {
        rule(&case, &[], &mut reasons);
    }
    reasons.into_iter().next()
}

/// S6: no action from partial facts. Two full rounds after a start, and the nodes that were healthy before.
pub(crate) fn warming_up(case: &Case<'_>, _: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    // A server that is made cannot be unmade either, and whether the store was put back shows in the first reports.
    let waits = case.action().is_disruptive() || case.action() == Action::Create;
    let Some(warm_up) = case.snapshot.warm_up.as_ref().filter(|_| waits) else { return };
    let severity = case.patience(warm_up.since);
    let missing: Vec<&str> = warm_up.missing.iter().take(5).map(|name| case.policy.spell(name)).collect();
    let sentence = if warm_up.rounds < 2 || missing.is_empty() {
        format!("the coordinator has just started and has heard {} of two full rounds", warm_up.rounds)
    } else {
        format!(
            "{} nodes that were healthy before the start have not been heard of: {}",
            warm_up.missing.len(),
            missing.join(", ")
        )
    };
    let clears = match severity {
        Severity::NeedsPeople => {
            "reports from the missing nodes, or a person who accepts each of them by name"
        }
        _ => "two full rounds of reports",
    };
    reasons.push(
        Reason::new(Code::WarmingUp, severity, sentence, clears)
            .owner(if severity == Severity::Wait { "millwright" } else { "operators" })
            .since(Some(warm_up.since))
            .fact("rounds", warm_up.rounds, "fleet", 0)
            .fact("missing", warm_up.missing.len(), "fleet", 0),
    );
}

/// After a change of leader agents have ten minutes to come back (protocols.md 1.8): nothing is judged meanwhile.
pub(crate) fn leader_changed(case: &Case<'_>, _: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    let Some(changed) = case.snapshot.leader_changed_at.filter(|_| case.action().is_disruptive()) else {
        return;
    };
    let Some(until) = changed.checked_add(PATIENCE).ok().filter(|until| case.now < *until) else { return };
    reasons.push(
        Reason::new(
            Code::LeaderChanged,
            Severity::Wait,
            "Mesos has changed its leader, and agents have 10 min to register again".to_owned(),
            "ten quiet minutes after the change",
        )
        .owner("mesos")
        .since(Some(changed))
        .expected_at(Some(until))
        .fact("leader_changed", changed, "mesos_master", case.age(changed)),
    );
}
