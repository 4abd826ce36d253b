//! What people have to say first: holds, agreement, intent (R6, R18).

use crate::{
    action::Action,
    case::{Case, Subject, spell},
    code::Code,
    fleet::Operation,
    policy::Consent,
    verdict::{Reason, Severity},
};
use jiff::{SignedDuration, Timestamp};

/// Another person's hold objects to everything that changes the node, never to a drain.
pub(crate) fn hold_present(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().ends_tasks() && case.action() != Action::Return {
        return;
    }
    let own = case.operation.map(|operation| operation.id.as_str());
    let requester = case.operation.map(|operation| operation.requester.as_str());
    for hold in case.snapshot.holds.on(subject.name) {
        let is_own =
            (hold.operation.is_some() && hold.operation.as_deref() == own) || requester == Some(&hold.author);
        if is_own {
            continue;
        }
        let expired = hold.expires_at.is_some_and(|at| at <= case.now);
        let asks = if expired { " (expired; it asks to be renewed or lifted)" } else { "" };
        reasons.push(
            Reason::new(
                Code::HoldPresent,
                Severity::NeedsPeople,
                format!("{} wants {} kept as it is: {}{asks}", hold.author, subject.display(), hold.reason),
                format!("{} lifting the hold {}", hold.author, hold.id),
            )
            .owner(hold.author.clone())
            .since(Some(hold.since))
            .expected_at(hold.expires_at.filter(|_| !expired))
            .fact("hold", &hold.id, "people", case.age(hold.since)),
        );
    }
}

/// R6: discuss with your colleagues, made checkable.
pub(crate) fn consent(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let consent = subject.class.consent(case.action(), subject.is_silent);
    let announced = case.operation.and_then(|own| own.announced_at);
    match consent {
        Consent::None => {}
        Consent::ObjectionWindow(window) => {
            let ends = ends(announced, window);
            if ends.is_none_or(|ends| case.now < ends) {
                reasons.push(objection_window(case, announced, window, ends));
            }
        }
        Consent::SecondPerson(wait) => {
            let ends = ends(announced, wait);
            if !case.operation.is_some_and(has_second_person) && ends.is_none_or(|ends| case.now < ends) {
                reasons.push(approval_missing(case, subject, announced, wait, ends));
            }
        }
    }
}

fn ends(announced: Option<Timestamp>, window: SignedDuration) -> Option<Timestamp> {
    announced.and_then(|at| at.checked_add(window).ok())
}

/// The requester's own yes is no second opinion.
fn has_second_person(operation: &Operation) -> bool {
    operation
        .grants
        .iter()
        .any(|grant| grant.code == Code::ApprovalMissing && grant.by != operation.requester)
}

fn objection_window(
    case: &Case<'_>,
    announced: Option<Timestamp>,
    window: SignedDuration,
    ends: Option<Timestamp>,
) -> Reason {
    let (sentence, unblocked_by) = match announced {
        Some(at) => (
            format!(
                "announced {} ago; colleagues may object for {}",
                spell(case.now.duration_since(at)),
                spell(window)
            ),
            "the end of the objection window",
        ),
        None => (
            format!(
                "a {} must be announced first; from then on colleagues may object for {}",
                case.action(),
                spell(window)
            ),
            "an announcement, and the end of the objection window after it",
        ),
    };
    Reason::new(Code::ObjectionWindow, Severity::Wait, sentence, unblocked_by)
        .rule("R6")
        .owner("colleagues")
        .since(announced)
        .expected_at(ends)
        .fact("window_seconds", window.as_secs(), "policy", 0)
}

fn approval_missing(
    case: &Case<'_>,
    subject: &Subject<'_>,
    announced: Option<Timestamp>,
    wait: SignedDuration,
    ends: Option<Timestamp>,
) -> Reason {
    Reason::new(
        Code::ApprovalMissing,
        Severity::NeedsPeople,
        format!(
            "nobody beside the requester has agreed that {} be {}",
            subject.display(),
            case.action().past()
        ),
        format!(
            "the approval of a second person, or {} after the announcement if nobody cancels",
            spell(wait)
        ),
    )
    .rule("R6")
    .owner("colleagues")
    .since(announced)
    .expected_at(ends)
    .fact("approvals", 0, "operations", 0)
}

/// R18: delete only for good.
pub(crate) fn intent_missing(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if case.action() != Action::Delete || super::protection::granted(case, Code::IntentMissing) {
        return;
    }
    reasons.push(
        Reason::new(
            Code::IntentMissing,
            Severity::NeedsPeople,
            format!("nobody has said that {} goes for good", subject.display()),
            "a request that says so and types the node's name; a rebuild repairs as well",
        )
        .rule("R18")
        .owner("requester")
        .fact("intent", "none", "request", 0),
    );
}
