//! Windows, freezes and quiet hours of a class.

use crate::{
    case::{Case, Subject},
    code::Code,
    verdict::{Reason, Severity},
};

/// Disruption keeps to its windows and out of freezes and quiet hours.
pub(crate) fn windows(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() {
        return;
    }
    let class = subject.class;
    for freeze in class.freezes.iter().filter(|freeze| freeze.is_on(case.now)) {
        reasons.push(
            closed(
                Code::Freeze,
                format!("the freeze {:?} is on", freeze.name),
                "the end of the freeze",
                &freeze.name,
            )
            .since(Some(freeze.from))
            .expected_at(Some(freeze.until)),
        );
    }
    for quiet in &class.quiet_hours {
        if let Some(until) = quiet.open_until(case.now) {
            let sentence =
                format!("these are the quiet hours {:?} of class {}", quiet.name, subject.listed.class);
            reasons.push(
                closed(Code::QuietHours, sentence, "the end of the quiet hours", &quiet.name)
                    .since(until.checked_sub(quiet.length).ok())
                    .expected_at(Some(until)),
            );
        }
    }
    if !class.windows.is_empty() && class.windows.iter().all(|window| window.open_until(case.now).is_none()) {
        let next = class.windows.iter().filter_map(|window| window.next_opening(case.now)).min();
        let names: Vec<&str> = class.windows.iter().map(|window| window.name.as_str()).collect();
        let sentence = format!("class {} is touched in its maintenance windows only", subject.listed.class);
        reasons.push(
            closed(Code::OutsideWindow, sentence, "the next maintenance window", &names.join(", "))
                .expected_at(next),
        );
    }
}

fn closed(code: Code, sentence: String, unblocked_by: &'static str, name: &str) -> Reason {
    Reason::new(code, Severity::Wait, sentence, unblocked_by)
        .owner("policy")
        .fact("calendar", name, "policy", 0)
}
