//! Whoever owns a task is asked before an operation ends or moves it, where policy names them.
//!
//! A yes permits nothing that another rule forbids; anything but a fresh yes objects.

use super::tasks::{is_overridden, living, objection, who_says};
use crate::{
    case::{Case, Subject},
    code::Code,
    fleet::{NodeTask, OwnerSaid, OwnerWord},
    verdict::{Reason, Severity},
};

/// Objects for every task that has an owner, and that nothing else keeps, until the owner agrees.
pub(crate) fn owner_objects(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().ends_tasks() {
        return;
    }
    for task in living(subject).into_iter().filter(|task| is_asked_about(case, task)) {
        let Some(owner) = &task.owner else { continue };
        let word = case.snapshot.owners.get(&task.id).filter(|word| word.owner == *owner);
        if word.is_some_and(|word| word.allows(owner, case.now)) {
            continue;
        }
        let (said, severity) = told(owner, word);
        let mut reason = Reason::new(
            Code::OwnerObjects,
            severity,
            format!("{} ({}) may not end: {said}", task.id, task.framework),
            "the yes of its owner, its end, or a person who lets it go by name",
        )
        .rule("R11")
        .owner(owner.clone())
        .fact("task", &task.id, who_says(subject, task), 0)
        .fact("owner", owner, "policy", 0);
        if let Some(word) = word {
            reason = reason.since(Some(word.at)).fact("answer", answer(word), "owner", case.age(word.at));
        }
        reasons.push(reason);
    }
}

/// A task that has to end by itself is nobody's to give away; what would end or move now is.
fn is_asked_about(case: &Case<'_>, task: &NodeTask) -> bool {
    let would_go = matches!(objection(case, task), None | Some((Code::TaskService, Severity::Wait)));
    would_go && !is_overridden(case, Code::OwnerObjects, task)
}

/// What the owner says, and whether the wait ends without anybody.
fn told(owner: &str, word: Option<&OwnerWord>) -> (String, Severity) {
    match word.map(|word| &word.said) {
        Some(OwnerSaid::No(why)) => (format!("{owner} says no: {why}"), Severity::Wait),
        Some(OwnerSaid::Nothing(why)) => (format!("{owner} does not answer: {why}"), Severity::NeedsPeople),
        // A yes that is too old is asked for again at once.
        Some(OwnerSaid::Yes) | None => {
            (format!("its owner, {owner}, is asked once an operation waits for it"), Severity::Wait)
        }
    }
}

fn answer(word: &OwnerWord) -> String {
    match &word.said {
        OwnerSaid::Yes => "yes".to_owned(),
        OwnerSaid::No(why) => format!("no: {why}"),
        OwnerSaid::Nothing(why) => format!("none: {why}"),
    }
}
