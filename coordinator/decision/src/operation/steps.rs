//! What each step asks of the world: is it already so, may it begin, has it happened.

use super::{
    Doer, Operation, Situation, State, Step, StepRecord, alarms, ledger,
    moves::{self, ToMove},
    next::{go_ahead, verdict, verdict_on},
};
use crate::{
    Action, Class, Code, Evidence, Reason, Severity, Source, Volumes,
    case::spell,
    fleet::{AgentView, EmptySpan, MasterView, Node, STALE},
};
use jiff::{SignedDuration, Timestamp};

/// R14, R15 of a rebuilt node.
const CLEAN_RUNS: u32 = 2;

/// Whether a step may begin.
pub(super) enum Gate {
    /// It may.
    Open,
    /// These object.
    Closed(Vec<Reason>),
    /// Not yet, and nothing objects.
    Wait {
        /// For people.
        sentence: String,
        /// Who or what ends the wait.
        owner: String,
    },
    /// It never will without a person.
    Stuck(String),
}

/// Objections that people clear before anything is done.
const CONSENT: [Code; 10] = [
    Code::ApprovalMissing,
    Code::ObjectionWindow,
    Code::ConfirmReboot,
    Code::DedicatedNode,
    Code::CoordinatorLivesHere,
    Code::IntentMissing,
    Code::SilentNode,
    Code::ProjectUnknown,
    Code::VolumeUnknown,
    Code::LastOfLabel,
];

/// Objections that a proof of emptiness answers.
const NOT_EMPTY: [Code; 12] = [
    Code::TaskProtected,
    Code::TaskChecker,
    Code::TaskService,
    Code::TaskPinned,
    Code::OwnerObjects,
    Code::OrphanContainer,
    Code::EmptyNotProven,
    Code::NotCordoned,
    Code::FactStale,
    Code::SourceUnknown,
    Code::ViewsDisagree,
    Code::IdentityChanged,
];

fn node<'a>(operation: &Operation, situation: &Situation<'a>) -> Option<&'a Node> {
    situation.snapshot.nodes.get(&operation.wish.node).map(Box::as_ref)
}

/// The agent's account, if it is fresh.
fn agent<'a>(operation: &Operation, situation: &Situation<'a>) -> Option<&'a AgentView> {
    node(operation, situation)
        .filter(|node| node.is_fresh(situation.now))
        .and_then(|node| node.agent.as_ref())
}

/// The Mesos master's account, if it is fresh.
pub(super) fn master<'a>(operation: &Operation, situation: &Situation<'a>) -> Option<&'a MasterView> {
    let view = node(operation, situation)?.master.as_ref()?;
    (situation.now.duration_since(view.at) <= STALE).then_some(view)
}

/// Whether the node takes tasks from Mesos, as far as policy says.
pub(super) fn takes_tasks(operation: &Operation, situation: &Situation<'_>) -> bool {
    let listed = situation.policy.nodes.get(&operation.wish.node);
    let class = listed.and_then(|listed| situation.policy.class_of(listed));
    operation.wish.class != Class::Master
        && class.is_some_and(|class| class.required.contains(&Source::MesosMaster))
}

/// The boot before this operation did anything irreversible.
fn boot_before(operation: &Operation) -> Option<&str> {
    let out = operation.plan.steps.iter().zip(&operation.steps).find(|(step, _)| step.is_irreversible());
    let began = out.and_then(|(_, record)| record.machine.as_ref());
    began.or(operation.wish.machine.as_ref()).map(|machine| machine.boot_id.as_str())
}

fn machine_before(operation: &Operation) -> Option<&str> {
    operation.wish.machine.as_ref().map(|machine| machine.machine_id.as_str())
}

/// Whether the step is so already, whoever made it so; `None` while it is not, or nobody can tell.
///
/// What was read of a node's offers before this operation was asked for may be older than what another one has just done to
/// them. They are let flow in any case: to do it twice is to do it once.
pub(super) fn already(operation: &Operation, step: Step, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    match step {
        Step::Consent => closed_by(operation, situation, &CONSENT).is_empty().then(|| {
            let said = operation.grants.iter().filter(|grant| grant.task.is_none());
            said.map(|grant| Evidence::new(grant.code.as_str(), &grant.by, "people")).collect()
        }),
        Step::Cordon if !takes_tasks(operation, situation) => {
            Some(vec![Evidence::new("takes_tasks", "no", "policy")])
        }
        Step::Cordon => cordoned(operation, situation, Some(operation.requested_at)),
        Step::MoveTasks => match moves::to_move(operation, situation) {
            ToMove::Nothing => Some(moves::left(operation, situation)),
            ToMove::These(_) | ToMove::Kept(_) | ToMove::Unknown { .. } => None,
        },
        Step::ProveEmpty => empty(operation, situation),
        Step::Baseline => {
            agent(operation, situation).map(|agent| baseline(agent, master(operation, situation)))
        }
        // Somebody else has rebooted it meanwhile: that is recognised, and not done once more.
        Step::Reboot => {
            let is_untried = operation.current_step().is_some_and(|(_, record)| record.attempt == 0);
            new_boot(operation, situation).filter(|_| is_untried)
        }
        Step::NewBoot => new_boot(operation, situation),
        Step::FirstReport => first_report(operation, situation),
        Step::Converge => converged(operation, situation),
        Step::PullImages => images(operation, situation),
        Step::Compare => compared(operation, situation).ok(),
        Step::Verify => verified(operation, situation),
        Step::LiftHold => Some(Vec::new()),
        Step::Uncordon if !takes_tasks(operation, situation) => {
            Some(vec![Evidence::new("takes_tasks", "no", "policy")])
        }
        Step::Settle => settled_down(operation, situation),
        Step::MaskAlarms => alarms::masked(operation, situation),
        Step::Puppet => agent(operation, situation)
            .filter(|agent| agent.puppet.is_none())
            .map(|_| vec![Evidence::new("puppet", "none on the node", "agent")]),
        Step::DeleteVolumes if operation.wish.volumes == Volumes::Keep => {
            Some(vec![Evidence::new("volumes", "kept", "request")])
        }
        Step::Rest => {
            let since = operation.done_at(Step::Quarantine)?;
            let listed = situation.policy.nodes.get(&operation.wish.node)?;
            let rested = situation.now.duration_since(since) >= situation.policy.class_of(listed)?.quarantine;
            rested.then(|| vec![Evidence::new("rested_since", since, "operations")])
        }
        _ => None,
    }
}

/// Whether a step that was begun has happened, as far as can be seen.
pub(super) fn settled(
    operation: &Operation,
    step: Step,
    record: &StepRecord,
    situation: &Situation<'_>,
) -> Option<Vec<Evidence>> {
    match step {
        // Only what was read after the intent proves its effect.
        Step::Cordon => cordoned(operation, situation, record.began_at),
        Step::Uncordon => uncordoned(operation, situation, record.began_at),
        // An uncommitted order cannot have done it: then somebody else has, and that is another story.
        Step::Reboot if matches!(record.state, State::Committed { .. } | State::Unknown { .. }) => {
            new_boot(operation, situation)
        }
        Step::HardReboot if matches!(record.state, State::Unknown { .. }) => new_boot(operation, situation),
        Step::Rebuild | Step::Create if matches!(record.state, State::Unknown { .. }) => {
            first_report(operation, situation)
        }
        Step::PullImages => images(operation, situation),
        Step::MaskAlarms if alarms::before(record).is_some() => {
            let is_unknown = matches!(record.state, State::Unknown { .. });
            alarms::masked(operation, situation).filter(|_| is_unknown)
        }
        Step::Ledger if matches!(record.state, State::Unknown { .. }) => {
            ledger::settled(operation, situation, record.changed_at)
        }
        _ => None,
    }
}

/// A request that nobody heard the end of is surely over after this.
const REQUESTS_LAST: SignedDuration = SignedDuration::from_secs(60);

/// Whether a step of which nobody knows how it ended is looked at, or done once more, without anybody being asked.
pub(super) fn tells_itself(step: Step, record: &StepRecord) -> bool {
    match step.doer() {
        Doer::Mesos | Doer::Scheduler => true,
        Doer::Executor => alarms::before(record).is_some(),
        Doer::Agent | Doer::People => !step.is_irreversible(),
        _ => false,
    }
}

/// Whether it can be seen that a step of which nobody knew has not happened, or may simply be done again.
pub(super) fn refuted(
    operation: &Operation,
    step: Step,
    record: &StepRecord,
    situation: &Situation<'_>,
) -> Option<String> {
    let since = record.changed_at?;
    match step.doer() {
        Doer::Mesos => {
            let view =
                master(operation, situation).filter(|view| view.at.duration_since(since) > REQUESTS_LAST)?;
            let is_so =
                if step == Step::Cordon { view.deactivated } else { !view.deactivated && !view.undecided };
            (!is_so).then(|| "the Mesos master says that it is not so".to_owned())
        }
        // Doing it once more does no harm, and answers the question.
        Doer::Agent | Doer::People | Doer::Scheduler if tells_itself(step, record) => {
            let over = situation.now.duration_since(since) > REQUESTS_LAST;
            over.then(|| "nobody knows how it ended, and it can be done again".to_owned())
        }
        _ => None,
    }
}

/// Whether the step may begin now.
pub(super) fn gate(operation: &Operation, step: Step, situation: &Situation<'_>) -> Gate {
    match step {
        Step::Cordon if operation.is_past_no_return() => Gate::Open,
        // Whoever stopped them before keeps them stopped when this is called off: that has to be known first.
        Step::Cordon
            if master(operation, situation).is_some_and(|view| view.at <= operation.requested_at) =>
        {
            Gate::Wait {
                sentence: "asking the Mesos master whether it gets offers".into(),
                owner: "mesos".into(),
            }
        }
        Step::Cordon => judged(verdict_on(Action::Drain, operation, situation).reasons),
        Step::Consent => judged(closed_by(operation, situation, &CONSENT)),
        // Its scheduler may start it on the same node again, as long as that gets offers.
        Step::MoveTasks
            if takes_tasks(operation, situation) && cordoned(operation, situation, None).is_none() =>
        {
            Gate::Wait { sentence: "its offers are not known to be stopped".into(), owner: "mesos".into() }
        }
        Step::MoveTasks => match moves::to_move(operation, situation) {
            ToMove::Unknown { sentence, owner } => Gate::Wait { sentence, owner },
            ToMove::Kept(reason) => Gate::Closed(vec![*reason]),
            ToMove::These(_) | ToMove::Nothing => Gate::Open,
        },
        Step::ProveEmpty => judged(not_empty(operation, situation)),
        Step::Verify => judged(verdict_on(Action::Return, operation, situation).reasons),
        Step::Uncordon => {
            let mut reasons = verdict_on(Action::Return, operation, situation).reasons;
            // What is called off was never away: it needs no images and no Puppet run, only to be healthy and free.
            if operation.cancelled.is_some() {
                reasons.retain(|reason| {
                    matches!(
                        reason.code,
                        Code::NotHealthy
                            | Code::IdentityChanged
                            | Code::PolicyUnreadable
                            | Code::CrlExpired
                            | Code::Paused
                    )
                });
            }
            judged(reasons)
        }
        Step::Puppet if agent(operation, situation).is_none() => {
            Gate::Wait { sentence: "its agent does not report".into(), owner: "agent".into() }
        }
        Step::NewBoot | Step::FirstReport => waits_for_report(operation, step, situation),
        Step::Converge => judged(
            verdict_on(Action::Return, operation, situation)
                .reasons
                .into_iter()
                .filter(|reason| matches!(reason.code, Code::PuppetFailing | Code::PuppetNotConverged))
                .collect(),
        ),
        Step::Compare => match compared(operation, situation) {
            Ok(_) => Gate::Open,
            Err(None) => Gate::Wait { sentence: "its agent does not report".into(), owner: "agent".into() },
            Err(Some(difference)) => Gate::Stuck(difference),
        },
        Step::MaskAlarms if alarms::by_roger(step, situation) => alarms::gate(operation, situation),
        Step::Settle => Gate::Wait { sentence: step.doing().into(), owner: "millwright".into() },
        Step::DeleteServer if let Some(since) = started_again(operation, situation) => Gate::Stuck(format!(
            "{} was stopped and reports again since {since}: somebody has started it, and may need it",
            operation.wish.spelled
        )),
        // It was to be reset for its silence, and a person may begin that hours later.
        Step::HardReboot if let Some(agent) = agent(operation, situation) => Gate::Wait {
            sentence: format!(
                "it reports again (last at {}), so there is nothing to reset; `millwright cancel {}` ends this",
                agent.at, operation.id
            ),
            owner: "operators".into(),
        },
        Step::Reboot
        | Step::HardReboot
        | Step::Rebuild
        | Step::Quarantine
        | Step::DeleteServer
        | Step::DeleteVolumes
        | Step::Create => {
            let mut reasons = match step {
                // The server is stopped: what a running node would have to prove is proven already.
                Step::DeleteServer | Step::DeleteVolumes => protections(operation, situation),
                _ => verdict(operation, situation).reasons,
            };
            reasons.extend(go_ahead(operation, step, situation));
            reasons.sort_by_key(|reason| std::cmp::Reverse(reason.severity));
            judged(reasons)
        }
        _ => Gate::Open,
    }
}

/// When a server that was stopped to be deleted has reported since: somebody has missed it. What was on its way when it
/// was stopped has come in within a minute.
fn started_again(operation: &Operation, situation: &Situation<'_>) -> Option<Timestamp> {
    let stopped_at = operation.done_at(Step::Quarantine)?;
    let heard_at = node(operation, situation)?.agent.as_ref()?.at;
    (heard_at.duration_since(stopped_at) > STALE).then_some(heard_at)
}

/// What stands whatever the node's state: asked again before each part of a delete.
fn protections(operation: &Operation, situation: &Situation<'_>) -> Vec<Reason> {
    let mut keep = vec![
        Code::PolicyUnreadable,
        Code::NodeUnlisted,
        Code::NotManaged,
        Code::NodeProtected,
        Code::VolumeProtected,
        Code::VolumeUnknown,
        Code::Paused,
        Code::CrlExpired,
        Code::ApprovalMissing,
        Code::IntentMissing,
        Code::HoldPresent,
        Code::CoordinatorLivesHere,
        // What a stopped master's disk holds is a way back while another member has lost its own.
        Code::EnsembleQuorum,
        // That a store was put back is only noticed once agents have been heard.
        Code::WarmingUp,
    ];
    // What was last heard of its ensemble is no proof once nobody hears of it.
    if operation.wish.class == Class::Master {
        keep.push(Code::SourceUnknown);
    }
    closed_by(operation, situation, &keep)
}

fn judged(reasons: Vec<Reason>) -> Gate {
    if reasons.is_empty() { Gate::Open } else { Gate::Closed(reasons) }
}

fn closed_by(operation: &Operation, situation: &Situation<'_>, codes: &[Code]) -> Vec<Reason> {
    let mut reasons = verdict(operation, situation).reasons;
    // A refusal hides everything lesser, and nobody's consent helps against it.
    reasons.retain(|reason| reason.severity == Severity::Refused || codes.contains(&reason.code));
    reasons
}

/// What speaks against the node being empty. A drain is charged to the budget here, since from here on it is out.
fn not_empty(operation: &Operation, situation: &Situation<'_>) -> Vec<Reason> {
    let mut codes = NOT_EMPTY.to_vec();
    if operation.wish.action == Action::Drain {
        codes.extend([Code::BudgetSpent, Code::OtherZoneOut, Code::WarmingUp, Code::LeaderChanged]);
    }
    closed_by(operation, situation, &codes)
}

fn empty(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    if !not_empty(operation, situation).is_empty() {
        return None;
    }
    let node = node(operation, situation)?;
    let story = |span: EmptySpan| format!("since {} until {}", span.first, span.last);
    let mut evidence = vec![Evidence::new("verdict", "nothing that runs objects", "decision")];
    evidence.extend(node.agent_empty.map(|span| Evidence::new("empty", story(span), "agent")));
    evidence.extend(node.master_empty.map(|span| Evidence::new("empty", story(span), "mesos_master")));
    let jenkins = node.jenkins.as_ref().and_then(|view| view.empty);
    evidence.extend(jenkins.map(|span| Evidence::new("empty", story(span), "jenkins")));
    Some(evidence)
}

/// The master's offers are stopped, as read at `after` or later.
fn cordoned(
    operation: &Operation,
    situation: &Situation<'_>,
    after: Option<Timestamp>,
) -> Option<Vec<Evidence>> {
    let view = master(operation, situation)?;
    let is_read = after.is_none_or(|after| view.at > after);
    (view.deactivated && is_read).then(|| vec![Evidence::new("deactivated", "yes", "mesos_master")])
}

/// The master offers the node's resources, as read at `after` or later.
pub(super) fn uncordoned(
    operation: &Operation,
    situation: &Situation<'_>,
    after: Option<Timestamp>,
) -> Option<Vec<Evidence>> {
    if !takes_tasks(operation, situation) {
        return Some(vec![Evidence::new("takes_tasks", "no", "policy")]);
    }
    let view = master(operation, situation)?;
    let is_read = after.is_none_or(|after| view.at > after);
    let is_offered = view.gets_offers();
    (is_offered && is_read).then(|| vec![Evidence::new("deactivated", "no", "mesos_master")])
}

fn new_boot(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    let machine = situation.machine.filter(|_| agent(operation, situation).is_some())?;
    let before = boot_before(operation)?;
    (machine.boot_id != before).then(|| {
        vec![
            Evidence::new("boot_id", &machine.boot_id, "agent"),
            Evidence::new("boot_id_before", before, "operations"),
        ]
    })
}

fn first_report(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    let machine = situation.machine.filter(|_| agent(operation, situation).is_some())?;
    let is_new = machine_before(operation).is_none_or(|before| before != machine.machine_id);
    is_new.then(|| vec![Evidence::new("machine_id", &machine.machine_id, "agent")])
}

fn waits_for_report(operation: &Operation, step: Step, situation: &Situation<'_>) -> Gate {
    let age = node(operation, situation).and_then(|node| node.report_age(situation.now));
    let sentence = match age {
        Some(age) if age > STALE => format!("{}; silent for {}", step.doing(), spell(age)),
        Some(_) => format!("{}; it still reports as it was", step.doing()),
        None => format!("{}; it has never reported", step.doing()),
    };
    Gate::Wait { sentence, owner: "agent".into() }
}

fn converged(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    let runs = agent(operation, situation)?.puppet?;
    (runs.failed == 0 && runs.clean >= CLEAN_RUNS)
        .then(|| vec![Evidence::new("clean_runs", runs.clean, "agent")])
}

fn images(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    let agent = agent(operation, situation)?;
    let missing = verdict_on(Action::Return, operation, situation);
    let is_missing = missing
        .reasons
        .iter()
        .any(|reason| reason.code == Code::ImageMissing || reason.severity == Severity::Refused)
        || agent.images.iter().any(|image| !image.present);
    (!is_missing)
        .then(|| agent.images.iter().map(|image| Evidence::new("image", &image.name, "agent")).collect())
}

/// What a rebuilt node must have again, as facts that can be compared word by word.
fn baseline(agent: &AgentView, master: Option<&MasterView>) -> Vec<Evidence> {
    let mut facts = Vec::new();
    for volume in agent.volumes.iter().filter(|volume| volume.mounted) {
        let uuid = volume.uuid.as_deref().unwrap_or("none");
        facts.push(Evidence::new(
            format!("volume {}", volume.mount),
            format!("uuid {uuid}, {} bytes", volume.size_bytes),
            "agent",
        ));
    }
    for (name, value) in master.into_iter().flat_map(|view| &view.attributes) {
        facts.push(Evidence::new(format!("attribute {name}"), value, "mesos_master"));
    }
    facts
}

/// The facts of now beside those of the baseline.
///
/// # Errors
/// What differs; `None` while it cannot be told.
fn compared(operation: &Operation, situation: &Situation<'_>) -> Result<Vec<Evidence>, Option<String>> {
    let place = operation.plan.steps.iter().position(|step| *step == Step::Baseline);
    let before =
        place.and_then(|place| operation.steps.get(place)).map_or(&[][..], |record| &record.evidence);
    let agent = agent(operation, situation).ok_or(None)?;
    let view = master(operation, situation);
    if takes_tasks(operation, situation) && view.is_none() {
        return Err(None);
    }
    let now = baseline(agent, view);
    let lost = before.iter().find_map(|fact| {
        let found = now.iter().find(|found| found.fact == fact.fact);
        let seen = found.map_or("nothing", |found| found.value.as_str());
        (seen != fact.value).then(|| {
            format!("{} had {}: {}; it has {seen} now", operation.wish.spelled, fact.fact, fact.value)
        })
    });
    match lost {
        Some(difference) => Err(Some(difference)),
        None => Ok(now),
    }
}

fn verified(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    if !verdict_on(Action::Return, operation, situation).reasons.is_empty() {
        return None;
    }
    let agent = agent(operation, situation)?;
    let mut evidence = vec![Evidence::new("proven_healthy", "yes", "decision")];
    evidence.extend(agent.verified_at.map(|at| Evidence::new("verified_since_boot", at, "agent")));
    Some(evidence)
}

fn settled_down(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    let back = operation.done_at(Step::Uncordon)?;
    let listed = situation.policy.nodes.get(&operation.wish.node)?;
    let settle = situation.policy.class_of(listed)?.settle;
    let healthy = node(operation, situation)?.is_proven_healthy(situation.now);
    (healthy && situation.now.duration_since(back) >= settle)
        .then(|| vec![Evidence::new("healthy_since_return", back, "agent")])
}
