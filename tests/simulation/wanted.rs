//! What has to be reached, twenty times each, before a clean ledger proves anything; and what cannot be, with its reason.

use super::{
    coverage::Coverage,
    world::{DIRECTED, never},
};
use millwright_decision::{
    Action, Class, Code,
    operation::{Doer, Executor, Step},
};
use millwright_protocol::RefusalCode;

const ENOUGH: u64 = 20;

/// Codes that no operation of a history can meet.
const CODES_NEVER_MET: [(&[Code], &str); 7] = [
    (
        &[
            Code::IsLeader,
            Code::VolumesLeft,
            Code::RebuildInstead,
            Code::RebootHint,
            Code::RightsNeeded,
            Code::OutsideBlamed,
            Code::LastOfClass,
            Code::Attested,
        ],
        "a note: it stands beside a verdict, and nothing waits for it",
    ),
    (
        &[Code::NodeUnlisted, Code::NotManaged, Code::DedicatedNode, Code::OutsideWindow, Code::Freeze],
        "the shipped policy, cut to masters and build agents, has none of it; the scenarios have",
    ),
    (
        &[Code::ZoneTaken, Code::ZoneUnknown, Code::ProjectUnknown],
        "the shipped policy says it for every node",
    ),
    (&[Code::OwnerObjects], "the shipped policy names no owner of a task"),
    (&[Code::LastOfLabel], "the shipped policy gives its build agents no labels"),
    (
        &[Code::IntentMissing],
        "a request to delete without the typed name is declined by the programs before it is judged",
    ),
    (
        &[Code::RebuildSilence, Code::KnownDead],
        "said of nodes that nobody in a history asks about at that time",
    ),
];

/// Steps with no effect of their own, or that are over in the round in which they begin, nearly always.
fn is_passed(step: Step) -> bool {
    matches!(step, Step::MoveTasks | Step::Baseline | Step::Compare | Step::LiftHold)
}

/// Words that were reached too seldom.
pub fn missing(counts: &Coverage) -> Vec<String> {
    let reached = |word: &String| counts.counts.get(word).copied().unwrap_or(0) >= ENOUGH;
    all().into_iter().filter(|word| !reached(word)).collect()
}

fn all() -> Vec<String> {
    let mut words = transitions();
    let is_met = |code: &&Code| !CODES_NEVER_MET.iter().any(|(codes, _)| codes.contains(code));
    words.extend(Code::ALL.iter().filter(is_met).map(|code| format!("code/{code}")));
    words.extend(
        RefusalCode::ALL
            .iter()
            .filter(|code| is_ordered(**code))
            .map(|code| format!("order/{}", code.as_str())),
    );
    words.extend(["prepared", "starting", "done", "failed", "unknown"].map(|state| format!("order/{state}")));
    for class in [Class::Agent, Class::Master] {
        words.push(format!("brake/{class}/failures"));
    }
    // Three masters that go bad at once are every master there is.
    words.push(format!("brake/{}/storm", Class::Agent));
    words.extend(troubles());
    words
}

/// Refusals that the orders of a history can meet: there is no node without Puppet, and what a node protects is not ordered.
fn is_ordered(code: RefusalCode) -> bool {
    !matches!(code, RefusalCode::NotHere | RefusalCode::Protected)
}

fn transitions() -> Vec<String> {
    let mut words: Vec<String> = ["granted", "cancelled", "retried", "parked", "stuck"]
        .into_iter()
        .chain(["prepared/reboot", "committed/reboot", "undo_began/cordon"])
        .chain(["undo_finished/cordon/done", "undo_finished/cordon/not_done", "undo_finished/cordon/unknown"])
        .map(|word| format!("event/{word}"))
        .collect();
    for step in Step::ALL.iter().copied() {
        words.push(format!("event/finished/{step}/done"));
        if step.doer() != Doer::Sight {
            words.push(format!("event/began/{step}"));
        }
        if matches!(step.doer(), Doer::Mesos | Doer::Scheduler | Doer::Agent | Doer::Executor) {
            words.push(format!("event/finished/{step}/not_done"));
            words.push(format!("event/finished/{step}/unknown"));
        }
        // Its rest is over before anybody would be asked.
        if !is_passed(step) && step != Step::Rest {
            words.push(format!("event/asked/{step}"));
        }
    }
    for action in Action::ALL {
        words.push(format!("event/requested/{action}"));
        words.push(format!("event/ended/{action}/succeeded"));
        words.push(format!("event/ended/{action}/cancelled"));
        // Where nothing is irreversible, calling off is enough.
        if action != Action::Prepull && action != Action::Drain {
            words.push(format!("event/ended/{action}/abandoned"));
        }
    }
    words
}

/// Every kind of trouble, and with every step in which it can come.
fn troubles() -> Vec<String> {
    let mut words: Vec<String> = ["message_lost", "message_twice", "never_comes_back", "cloud_lies", "crl"]
        .map(|kind| format!("fault/{kind}"))
        .into();
    for step in Step::ALL.iter().filter(|step| step.doer() == Doer::Executor) {
        words.push(format!("fault/cloud_refuses/{step}"));
        words.push(format!("fault/cloud_half_done/{step}"));
    }
    for step in Step::ALL.iter().filter(|step| Executor::OpenStack.asks_the_cloud(**step)) {
        for end in ["silent", "hangs", "fails"] {
            words.push(format!("fault/cloud_{end}/{step}"));
        }
    }
    words.push("fault/build_outlives_task".to_owned());
    for step in Step::ALL.iter().filter(|step| step.doer() == Doer::Scheduler) {
        words.push(format!("fault/marathon_refuses/{step}"));
        words.push(format!("fault/marathon_hangs/{step}"));
    }
    for step in [Step::Cordon, Step::Uncordon] {
        words.push(format!("fault/mesos_refuses/{step}"));
        words.push(format!("fault/mesos_hangs/{step}"));
    }
    for kind in DIRECTED {
        words.push(format!("fault/{kind}"));
        let steps = Step::ALL.iter().filter(|step| never(kind, **step).is_none());
        words.extend(steps.map(|step| format!("pair/{kind}/{step}")));
    }
    for step in Step::ALL.iter().filter(|step| step.doer() == Doer::Agent) {
        words.push(format!("pair/message_lost/{step}"));
    }
    for step in [Step::HardReboot, Step::Rebuild] {
        words.push(format!("pair/cloud_lies/{step}"));
    }
    words
}

/// What is left out, for whoever reads the ledger.
pub fn left_out() -> Vec<String> {
    let codes = CODES_NEVER_MET.iter().map(|(codes, why)| {
        let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        format!("{}: {why}", codes.join(", "))
    });
    let mut reasons = std::collections::BTreeMap::<&str, usize>::new();
    for kind in DIRECTED {
        for why in Step::ALL.iter().filter_map(|step| never(kind, *step)) {
            *reasons.entry(why).or_default() += 1;
        }
    }
    codes
        .chain(reasons.into_iter().map(|(why, pairs)| format!("{pairs} pairs of trouble and step: {why}")))
        .collect()
}
