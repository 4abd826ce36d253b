//! What comes next for an operation: events to write, an effect to do, or a wait that says for what.

mod undo;
mod waiting;

pub use waiting::Waiting;

use super::{
    Doer, Effect, Ending, Event, Executor, Machine, Operation, Outcome, Permit, Phase, State, Step,
    StepRecord, alarms, ledger,
    moves::{ToMove, to_move},
    steps::{self, Gate},
};
use crate::{
    Action, Code, Evidence, Mode, Policy, Reason, Request, Severity, Snapshot, Stage, TaskClass, Verdict,
    judge,
};
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::Fence;
use waiting::{objected, parked, stuck, wait};

/// A permit and an order are good for so long (DESIGN 3.3).
pub(super) const PERMIT_LASTS: SignedDuration = SignedDuration::from_mins(5);
/// Clocks may differ by so much before an order that is over is surely over on the node as well.
pub(super) const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// What can be looked at, or done again, is no question for people before this.
const TELLS_WITHIN: SignedDuration = SignedDuration::from_mins(3);
/// A step that has no effect is tried this often before a person is asked.
const MOST_TRIES: u32 = 5;
/// What the cloud has not finished is looked at again after this.
const LOOKS_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// How long a printed command may be run after it was printed.
pub(super) const PRINTED_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// Everything the answer depends on beside the operation.
pub struct Situation<'a> {
    /// The fleet, this operation's own summary included.
    pub snapshot: &'a Snapshot,
    /// The policy in force.
    pub policy: &'a Policy,
    /// The time.
    pub now: Timestamp,
    /// The node's machine and boot as its last report says.
    pub machine: Option<&'a Machine>,
    /// As whom the coordinator writes.
    pub fence: Fence,
    /// Whether the effect of the current step is being done by this process, so that its outcome will come.
    pub is_in_flight: bool,
    /// Set while nothing may be done at all, whatever the step, with the reason.
    pub frozen: Option<&'a Reason>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Write this, then ask again.
    Write(Event),
    /// Write the intent, then do the effect.
    Do(Event, Effect),
    /// The intent is written, and nobody does the effect: do it (again).
    Again(Effect),
    /// Nothing to do now.
    Wait(Waiting),
    /// Nothing to do ever.
    Over,
}

/// The one question the engine asks.
pub fn next(operation: &Operation, situation: &Situation<'_>) -> Next {
    match &operation.phase {
        Phase::Ended { .. } => Next::Over,
        Phase::Parked { since } => Next::Wait(parked(operation, *since)),
        Phase::Stuck { why, since, .. } => Next::Wait(stuck(operation, why, *since)),
        Phase::Undoing => undo::undo(operation, situation),
        Phase::Forward => match operation.current_step() {
            Some((step, record)) => forward(operation, step, record, situation),
            None => finish(operation),
        },
    }
}

fn finish(operation: &Operation) -> Next {
    if operation.wish.action == Action::Drain {
        return Next::Write(Event::Parked);
    }
    let sentence = format!("{} is {}", operation.wish.spelled, operation.wish.action.past());
    Next::Write(Event::Ended { ending: Ending::Succeeded, sentence })
}

fn forward(operation: &Operation, step: Step, record: &StepRecord, situation: &Situation<'_>) -> Next {
    let waiting = match &record.state {
        State::Pending => return begin_or_wait(operation, step, record, situation),
        State::NotDone { why, refusal } => {
            if let Some(evidence) = steps::already(operation, step, situation) {
                return finished(operation, record, Outcome::done(evidence));
            }
            if record.tries >= MOST_TRIES && !passes_by_itself(refusal.as_deref()) {
                return Next::Write(Event::Stuck {
                    why: format!("{step} was tried {} times: {why}", record.tries),
                });
            }
            let again = record.changed_at.and_then(|at| at.checked_add(pause_after(record.tries)).ok());
            if again.is_none_or(|again| again <= situation.now) {
                return begin_or_wait(operation, step, record, situation);
            }
            let mut waiting = wait(operation, record, format!("{step} is tried again: {why}"), "millwright");
            waiting.expected_at = again;
            waiting.needs_people = is_for_people(refusal.as_deref());
            waiting
        }
        State::Unknown { question } => {
            if let Some(evidence) = steps::settled(operation, step, record, situation) {
                return finished(operation, record, Outcome::done(evidence));
            }
            if let Some(why) = steps::refuted(operation, step, record, situation) {
                return finished(operation, record, Outcome::not_done(why));
            }
            let since = record.changed_at.unwrap_or(operation.changed_at);
            let is_pause_over = situation.now.duration_since(since) >= LOOKS_AGAIN;
            if operation.wish.executor.asks_the_cloud(step) && is_pause_over && !situation.is_in_flight {
                return Next::Again(Effect::Cloud { may_ask: false });
            }
            if let Some(before) = alarms::before(record).filter(|_| is_pause_over && !situation.is_in_flight)
            {
                return Next::Again(Effect::MaskAlarms { before });
            }
            let sentence = format!("nobody knows whether {step} happened: {question}");
            let tells_itself =
                steps::tells_itself(step, record) && situation.now.duration_since(since) < TELLS_WITHIN;
            let mut waiting =
                wait(operation, record, sentence, if tells_itself { "millwright" } else { "operators" });
            waiting.needs_people = !tells_itself;
            waiting
        }
        _ => match under_way(operation, step, record, situation) {
            Ok(next) => return next,
            Err(waiting) => waiting,
        },
    };
    or_ask(operation, step, record, situation, waiting)
}

/// The step has not begun, or had no effect.
fn begin_or_wait(operation: &Operation, step: Step, record: &StepRecord, situation: &Situation<'_>) -> Next {
    if let Some(evidence) = steps::already(operation, step, situation) {
        let was_so = record.attempt == 0;
        return finished(operation, record, Outcome::Done { evidence, was_so });
    }
    let gate = match situation.frozen {
        Some(reason) if step.doer() != Doer::Sight => Gate::Closed(vec![reason.clone()]),
        _ => steps::gate(operation, step, situation),
    };
    let waiting = match gate {
        Gate::Closed(reasons) => objected(operation, record, step, reasons),
        Gate::Wait { sentence, owner } => wait(operation, record, sentence, owner),
        Gate::Stuck(why) => return Next::Write(Event::Stuck { why }),
        Gate::Open => match begin(operation, step, record, situation) {
            Ok(next) => return next,
            Err(waiting) => waiting,
        },
    };
    or_ask(operation, step, record, situation, waiting)
}

/// The intent of a step whose gate is open.
fn begin(
    operation: &Operation,
    step: Step,
    record: &StepRecord,
    situation: &Situation<'_>,
) -> Result<Next, Waiting> {
    let began = |permit: Option<Permit>, command: Vec<String>| Event::Began {
        step: operation.at,
        attempt: record.attempt + 1,
        machine: situation.machine.cloned(),
        permit,
        command,
        by: None,
        moves: Vec::new(),
    };
    match step.doer() {
        Doer::Sight => Err(wait(operation, record, step.doing().to_owned(), "millwright")),
        Doer::People => Ok(Next::Do(began(None, Vec::new()), Effect::Announce)),
        Doer::Mesos => {
            let effect = if step == Step::Cordon { Effect::Cordon } else { Effect::Uncordon };
            Ok(Next::Do(began(None, Vec::new()), effect))
        }
        Doer::Scheduler => match to_move(operation, situation) {
            ToMove::These(moves) => {
                let mut began = began(None, Vec::new());
                if let Event::Began { moves: intended, .. } = &mut began {
                    intended.clone_from(&moves);
                }
                Ok(Next::Do(began, Effect::Move { moves }))
            }
            _ => Err(wait(operation, record, step.doing().to_owned(), "millwright")),
        },
        // The order names the machine, so there has to be one.
        Doer::Agent if situation.machine.is_none() => {
            Err(wait(operation, record, "its agent has not reported yet".to_owned(), "agent"))
        }
        // The agent fetches it: the intent is all there is to write.
        Doer::Agent => {
            let permit = step.is_irreversible().then(|| permit(operation, step, situation));
            Ok(Next::Write(began(permit, Vec::new())))
        }
        Doer::Executor if alarms::by_roger(step, situation) => {
            let head = situation.policy.command(step, &operation.wish).unwrap_or_default();
            match alarms::begin(operation, record, situation, head) {
                Some((words, effect)) => Ok(Next::Do(began(None, words), effect)),
                None => Err(wait(operation, record, step.doing().to_owned(), "roger")),
            }
        }
        Doer::Executor
            if situation.policy.command(step, &operation.wish).is_err() && !step.is_irreversible() =>
        {
            let what = match step {
                Step::Ledger => format!(": {}", ledger::story(&ledger::of(operation, situation))),
                _ => String::new(),
            };
            let sentence =
                format!("{}{what}: do it, then say `millwright confirm {} done`", step.doing(), operation.id);
            let mut waiting = wait(operation, record, sentence, "operators");
            waiting.needs_people = true;
            Err(waiting)
        }
        Doer::Executor if operation.wish.executor == Executor::ByHand => {
            let sentence = format!(
                "{}: run `millwright step {}` where the cloud's credentials are",
                step.doing(),
                operation.id
            );
            let mut waiting = wait(operation, record, sentence, "operators");
            waiting.needs_people = true;
            Err(waiting)
        }
        Doer::Executor => match situation.policy.command(step, &operation.wish) {
            Ok(command) => {
                let permit = step.is_irreversible().then(|| permit(operation, step, situation));
                let effect = match operation.wish.executor.asks_the_cloud(step) {
                    true => Effect::Cloud { may_ask: true },
                    false => Effect::Run { command: command.clone() },
                };
                Ok(Next::Do(began(permit, command), effect))
            }
            Err(why) => Ok(Next::Write(Event::Stuck { why: why.to_string() })),
        },
    }
}

/// A person begins the step that is due, with their own credentials: the intent, or what objects.
///
/// # Errors
/// What the step waits for.
pub fn begin_by_hand(operation: &Operation, by: &str, situation: &Situation<'_>) -> Result<Event, Waiting> {
    let Some((step, record)) = operation.current_step().filter(|_| operation.phase == Phase::Forward) else {
        return Err(Waiting::about(operation, format!("it is {}", operation.phase.word())));
    };
    let is_due = matches!(record.state, State::Pending | State::NotDone { .. });
    let is_rogers = alarms::by_roger(step, situation);
    if step.doer() != Doer::Executor || operation.wish.executor != Executor::ByHand || !is_due || is_rogers {
        let sentence = format!("its step {step} is {} and not for a person to run", record.state.as_str());
        return Err(Waiting::about(operation, sentence));
    }
    let gate = match situation.frozen {
        Some(reason) => Gate::Closed(vec![reason.clone()]),
        None => steps::gate(operation, step, situation),
    };
    match gate {
        Gate::Open => {}
        Gate::Closed(reasons) => return Err(objected(operation, record, step, reasons)),
        Gate::Wait { sentence, owner } => return Err(wait(operation, record, sentence, owner)),
        Gate::Stuck(why) => return Err(Waiting::about(operation, why)),
    }
    let command = situation
        .policy
        .command(step, &operation.wish)
        .map_err(|why| Waiting::about(operation, why.to_string()))?;
    Ok(Event::Began {
        step: operation.at,
        attempt: record.attempt + 1,
        machine: situation.machine.cloned(),
        permit: step.is_irreversible().then(|| permit(operation, step, situation)),
        command,
        by: Some(by.to_owned()),
        moves: Vec::new(),
    })
}

/// The intent is written. Evidence ends it; otherwise it depends on who does it.
fn under_way(
    operation: &Operation,
    step: Step,
    record: &StepRecord,
    situation: &Situation<'_>,
) -> Result<Next, Waiting> {
    if let Some(evidence) = steps::settled(operation, step, record, situation) {
        return Ok(finished(operation, record, Outcome::done(evidence)));
    }
    if situation.is_in_flight {
        return Err(wait(operation, record, format!("{} (under way)", step.doing()), "millwright"));
    }
    let age = record.began_at.map_or(SignedDuration::ZERO, |at| situation.now.duration_since(at));
    match step.doer() {
        Doer::Sight => Err(wait(operation, record, step.doing().to_owned(), "millwright")),
        Doer::People => Ok(Next::Again(Effect::Announce)),
        Doer::Mesos if step == Step::Cordon => Ok(Next::Again(Effect::Cordon)),
        // Between the intent and now the node may have fallen ill.
        Doer::Mesos => match steps::gate(operation, step, situation) {
            Gate::Open if situation.frozen.is_none() => Ok(Next::Again(Effect::Uncordon)),
            _ => Ok(finished(operation, record, Outcome::not_done("what allowed it does so no more"))),
        },
        Doer::Scheduler => match steps::gate(operation, step, situation) {
            Gate::Open if situation.frozen.is_none() => {
                Ok(Next::Again(Effect::Move { moves: record.moves.clone() }))
            }
            _ => Ok(finished(operation, record, Outcome::not_done("what allowed it does so no more"))),
        },
        Doer::Agent => ordered(operation, step, record, situation, age),
        Doer::Executor if let Some(before) = alarms::before(record) => {
            Ok(Next::Again(Effect::MaskAlarms { before }))
        }
        Doer::Executor if record.by.is_some() => {
            if age > PRINTED_LASTS + step.patience() {
                let question = format!(
                    "{} has not said how `{}` ended",
                    record.by.as_deref().unwrap_or_default(),
                    record.command.join(" ")
                );
                return Ok(finished(operation, record, Outcome::unknown(question)));
            }
            let sentence =
                format!("{} runs `{}`", record.by.as_deref().unwrap_or_default(), record.command.join(" "));
            Err(wait(operation, record, sentence, record.by.clone().unwrap_or_default()))
        }
        // The cloud remembers what it was asked.
        Doer::Executor if operation.wish.executor.asks_the_cloud(step) => {
            Ok(Next::Again(Effect::Cloud { may_ask: false }))
        }
        Doer::Executor => {
            let question = format!(
                "the coordinator stopped while `{}` ran; look whether it took effect",
                record.command.join(" ")
            );
            Ok(finished(operation, record, Outcome::unknown(question)))
        }
    }
}

/// An order waits for its agent. The last look comes when the agent has bound itself to a nonce.
fn ordered(
    operation: &Operation,
    step: Step,
    record: &StepRecord,
    situation: &Situation<'_>,
    age: SignedDuration,
) -> Result<Next, Waiting> {
    let attempt = record.attempt;
    match &record.state {
        State::Prepared { .. } if age < PERMIT_LASTS => match steps::gate(operation, step, situation) {
            Gate::Open if situation.frozen.is_none() => {
                Ok(Next::Write(Event::Committed { step: operation.at, attempt }))
            }
            // Without its nonce the order can never be carried out, so this is sure.
            _ => Ok(finished(
                operation,
                record,
                Outcome::not_done("the last look found what the first had not"),
            )),
        },
        State::Prepared { .. } => {
            Ok(finished(operation, record, Outcome::not_done("its permit ran out before the last look")))
        }
        State::Begun if step.is_irreversible() && age > PERMIT_LASTS + SKEW => {
            Ok(finished(operation, record, Outcome::not_done("the agent did not fetch the order in time")))
        }
        State::Committed { .. } if age > step.patience() => Ok(finished(
            operation,
            record,
            Outcome::unknown(
                "the agent was told to go on and has neither refused nor come back in another boot",
            ),
        )),
        State::Begun if age > step.patience() => Ok(finished(
            operation,
            record,
            Outcome::not_done("the agent has not said how it ended within the time of the step"),
        )),
        _ => Err(wait(operation, record, format!("{}: the agent has the order", step.doing()), "agent")),
    }
}

/// People are asked once when something needs them or takes too long.
fn or_ask(
    operation: &Operation,
    step: Step,
    record: &StepRecord,
    situation: &Situation<'_>,
    waiting: Waiting,
) -> Next {
    let waited = record.due_at.map_or(SignedDuration::ZERO, |at| situation.now.duration_since(at));
    let is_late = waited > step.patience();
    if (waiting.needs_people || is_late) && record.asked_at.is_none() {
        let late = if is_late { format!(" (for {} min)", waited.as_mins()) } else { String::new() };
        let sentence = format!("{}: {}{late}", operation.wish.spelled, waiting.sentence);
        return Next::Write(Event::Asked { step: operation.at, sentence });
    }
    Next::Wait(Waiting { needs_people: waiting.needs_people || is_late, ..waiting })
}

/// Whether a refusal is about something that ends without anybody mending anything.
fn passes_by_itself(refusal: Option<&str>) -> bool {
    matches!(
        refusal,
        Some("too_soon" | "veto" | "busy" | "changed_mind" | "expired" | "prepare_lost")
            | Some("server_busy" | "cloud_silent" | "service_changing" | "leader_unsure")
            | Some("roger_silent" | "alarms_changed")
    )
}

/// Whether a refusal of the cloud's is about something that only people can mend.
fn is_for_people(refusal: Option<&str>) -> bool {
    let of_the_cloud = |word: &str| {
        word.starts_with("server_")
            || word.starts_with("volume_")
            || matches!(word, "forbidden" | "node_protected" | "service_pinned" | "last_instance")
    };
    refusal.is_some_and(of_the_cloud) && !passes_by_itself(refusal)
}

fn finished(operation: &Operation, record: &StepRecord, outcome: Outcome) -> Next {
    Next::Write(Event::Finished { step: operation.at, attempt: record.attempt, outcome, by: None })
}

/// 30 s, 1 min, 2 min, 4 min, …
fn pause_after(tries: u32) -> SignedDuration {
    SignedDuration::from_secs(30 << tries.saturating_sub(1).min(6))
}

fn permit(operation: &Operation, step: Step, situation: &Situation<'_>) -> Permit {
    let verdict = verdict(operation, situation);
    Permit {
        fence: situation.fence,
        step,
        at: situation.now,
        expires_at: situation.now.checked_add(PERMIT_LASTS).unwrap_or(situation.now),
        may_end: may_end(operation, situation),
        rests_on: vec![
            Evidence::new("verdict", verdict.verdict.as_str(), "decision"),
            Evidence::new("oldest_fact_seconds", verdict.oldest_fact_seconds, "decision"),
            Evidence::new("policy", &situation.policy.version, "policy"),
            Evidence::new("out", situation.snapshot.counts.class(operation.wish.class).out.len(), "fleet"),
        ],
    }
}

/// Tasks that the step may end: what policy calls disposable, as far as anybody knows of it, and what a person let go.
fn may_end(operation: &Operation, situation: &Situation<'_>) -> Vec<String> {
    let node = situation.snapshot.nodes.get(&operation.wish.node);
    let own =
        node.and_then(|node| node.agent.as_ref()).and_then(|agent| agent.tasks.known()).into_iter().flatten();
    let listed = node.and_then(|node| node.master.as_ref()).into_iter().flat_map(|view| &view.tasks);
    let disposable =
        own.chain(listed).filter(|task| task.class == TaskClass::Disposable).map(|task| task.id.clone());
    let let_go = operation.grants.iter().filter_map(|grant| grant.task.clone());
    let mut tasks: Vec<String> = disposable.chain(let_go).collect();
    tasks.sort_unstable();
    tasks.dedup();
    tasks
}

/// The verdict on the operation's own irreversible step, now.
pub(super) fn verdict(operation: &Operation, situation: &Situation<'_>) -> Verdict {
    let action = if operation.wish.action == Action::Drain { Action::Reboot } else { operation.wish.action };
    verdict_on(action, operation, situation)
}

/// The verdict on an action of this operation, at the permit.
pub(super) fn verdict_on(action: Action, operation: &Operation, situation: &Situation<'_>) -> Verdict {
    let request = Request {
        volumes: operation.wish.volumes,
        stage: Stage::Permit,
        operation: Some(operation.id.clone()),
        ..Request::one(action, operation.wish.node.clone())
    };
    judge(&request, situation.snapshot, situation.policy, situation.now)
}

/// In mode `advise` people take every irreversible step.
pub(super) fn go_ahead(operation: &Operation, step: Step, situation: &Situation<'_>) -> Option<Reason> {
    let listed = situation.policy.nodes.get(&operation.wish.node);
    let mode =
        listed.and_then(|listed| situation.policy.class_of(listed)).map_or(Mode::Observe, |class| class.mode);
    let (severity, unblocked_by) = match mode {
        Mode::Act => return None,
        // Whoever runs the command is that person.
        Mode::Advise if step.doer() == Doer::Executor && operation.wish.executor == Executor::ByHand => {
            return None;
        }
        Mode::Advise => {
            let record = operation.steps.get(operation.at);
            let since = record.and_then(|record| record.due_at);
            let is_given = operation
                .grants
                .iter()
                .any(|grant| grant.code == Code::GoAhead && since.is_none_or(|since| grant.at >= since));
            if is_given {
                return None;
            }
            (Severity::NeedsPeople, format!("`millwright step {}` by a person who has looked", operation.id))
        }
        Mode::Observe => {
            (Severity::Refused, "mode `advise` or `act` for the class in policy.toml".to_owned())
        }
    };
    let sentence = format!(
        "class {} is in mode {mode}: {step} of {} is for a person to begin",
        operation.wish.class, operation.wish.spelled
    );
    Some(
        Reason::new(Code::GoAhead, severity, sentence, unblocked_by)
            .owner("operators")
            .fact("mode", mode, "policy", 0),
    )
}
