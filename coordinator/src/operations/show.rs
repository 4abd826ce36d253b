//! Operations as people see them.

use super::{Operations, Tracked, digest, words};
use crate::fleet::OperationAsk;
use crate::view::{
    AttestationView, GrantView, HoldView, ObjectionView, OperationSummary, OperationView, PermitView,
    StepView, StoryLine, WaitingView,
};
use millwright_decision::{
    Code, Policy, Snapshot, Volumes,
    operation::{Doer, Executor, Operation, Phase, State, Step, StepRecord, Waiting, is_rogers},
};
use millwright_protocol::Evidence;

impl Operations {
    /// One operation in a list.
    pub fn show_summary(&self, tracked: &Tracked) -> OperationSummary {
        let operation = &tracked.operation;
        let done = operation.steps.iter().filter(|record| matches!(record.state, State::Done { .. })).count();
        let ended = match &operation.phase {
            Phase::Ended { sentence, .. } => Some(sentence.clone()),
            _ => None,
        };
        OperationSummary {
            id: operation.id.clone(),
            action: operation.wish.action.to_string(),
            node: operation.wish.spelled.clone(),
            key: operation.wish.node.to_string(),
            by: operation.wish.by.clone(),
            reason: operation.wish.reason.clone(),
            requested_at: operation.requested_at,
            state: operation.phase.word().to_owned(),
            step: operation.current_step().filter(|_| ended.is_none()).map(|(step, _)| step.to_string()),
            waiting: self.waiting(&operation.id).filter(|_| ended.is_none()).map(waiting),
            steps_done: done,
            steps_all: operation.steps.len(),
            changed_at: operation.changed_at,
            ended,
            broken: tracked.broken.clone(),
        }
    }

    /// One operation with everything about it.
    pub fn show(&self, tracked: &Tracked, policy: &Policy) -> OperationView {
        let operation = &tracked.operation;
        let wish = &operation.wish;
        let current = digest(wish, policy);
        let steps = operation.plan.steps.iter().zip(&operation.steps).enumerate();
        OperationView {
            summary: self.show_summary(tracked),
            class: wish.class.to_string(),
            executor: wish.executor.as_str().to_owned(),
            volumes: if wish.volumes == Volumes::Keep { "keep" } else { "delete" }.to_owned(),
            image: wish.image.clone(),
            is_silent: wish.is_silent,
            let_go: wish.let_go.clone(),
            is_past_no_return: operation.is_past_no_return(),
            permit: operation.permit.as_ref().map(|permit| PermitView {
                step: permit.step.to_string(),
                at: permit.at,
                expires_at: permit.expires_at,
            }),
            steps: steps.map(|(place, (step, record))| show_step(operation, place, *step, record)).collect(),
            grants: operation
                .grants
                .iter()
                .map(|grant| GrantView {
                    code: grant.code.to_string(),
                    task: grant.task.clone(),
                    by: grant.by.clone(),
                    at: grant.at,
                    counts: grant.code != Code::ApprovalMissing
                        || grant.digest.as_deref() == Some(current.as_str()),
                })
                .collect(),
            may: self.may(tracked, policy),
            command: command(operation, policy),
            story: tracked
                .story
                .iter()
                .map(|recorded| StoryLine {
                    at: recorded.at,
                    what: recorded.event.word().to_owned(),
                    sentence: words::sentence(operation, &recorded.event),
                })
                .collect(),
            digest: current,
        }
    }

    /// What may be said to it now.
    fn may(&self, tracked: &Tracked, policy: &Policy) -> Vec<String> {
        let operation = &tracked.operation;
        let mut may: Vec<&str> = Vec::new();
        if tracked.broken.is_some() || operation.is_over() {
            return Vec::new();
        }
        let waits_for = |code: Code| {
            self.waiting(&operation.id)
                .is_some_and(|waiting| waiting.reasons.iter().any(|reason| reason.code == code))
        };
        if waits_for(Code::ApprovalMissing) {
            may.push("approve");
        }
        let is_past = operation.is_past_no_return();
        match &operation.phase {
            Phase::Forward => may.push(if is_past { "abandon" } else { "cancel" }),
            Phase::Stuck { undoing, .. } => {
                may.push("retry");
                may.push(if is_past || *undoing { "abandon" } else { "cancel" });
            }
            Phase::Undoing | Phase::Parked { .. } | Phase::Ended { .. } => {}
        }
        if let Some((step, record)) = operation.current_step().filter(|_| operation.phase == Phase::Forward) {
            let by_hand = step.doer() == Doer::Executor
                && operation.wish.executor == Executor::ByHand
                && !is_rogers(step, record, policy);
            match &record.state {
                State::Unknown { .. } => may.extend(["done", "not_run"]),
                State::Begun if by_hand => may.push("not_run"),
                State::Pending | State::NotDone { .. } if by_hand && step.is_irreversible() => {
                    may.push("begin")
                }
                State::Pending | State::NotDone { .. }
                    if step.doer() == Doer::Executor && !step.is_irreversible() =>
                {
                    may.push("done");
                }
                State::Pending | State::NotDone { .. } if waits_for(Code::GoAhead) => may.push("begin"),
                _ => {}
            }
        }
        may.into_iter().map(str::to_owned).collect()
    }

    /// What nothing but a person can help on: a damaged record, a step that was given up, a question.
    pub(super) fn asks(&self, policy: &Policy) -> Vec<OperationAsk> {
        let ask = |tracked: &Tracked| {
            let operation = &tracked.operation;
            let waiting = self.waiting(&operation.id).filter(|waiting| waiting.needs_people);
            let (sentence, since) = match (&tracked.broken, waiting) {
                (Some(why), _) => (format!("its record is damaged: {why}"), operation.changed_at),
                (None, Some(waiting)) => (waiting.sentence.clone(), waiting.since),
                (None, None) => return None,
            };
            let is_stuck = tracked.broken.is_some() || matches!(operation.phase, Phase::Stuck { .. });
            let node = operation.wish.node.clone();
            // The worst of what objects: lesser ones come and go while it stands.
            let what = match waiting.and_then(|waiting| waiting.reasons.first()) {
                Some(worst) => worst.code.to_string(),
                None => operation.current_step().map_or_else(String::new, |(step, _)| step.to_string()),
            };
            let mut words = self.may(tracked, policy);
            words.sort_by_key(|word| matches!(word.as_str(), "cancel" | "abandon"));
            let helps = words.iter().filter_map(|word| command_line(operation, word)).collect();
            let operation = operation.id.clone();
            Some(OperationAsk { operation, node, sentence, what, helps, since, is_stuck })
        };
        self.list().filter(|tracked| !tracked.operation.is_over()).filter_map(ask).collect()
    }

    /// Holds as people see them, those of the nodes themselves among them.
    pub fn show_holds(snapshot: &Snapshot, policy: &Policy) -> Vec<HoldView> {
        let mut holds: Vec<HoldView> = snapshot
            .holds
            .iter()
            .map(|hold| HoldView {
                id: hold.id.clone(),
                node: policy.spell(&hold.node).to_owned(),
                by: hold.author.clone(),
                reason: hold.reason.clone(),
                since: hold.since,
                until: hold.expires_at,
                operation: hold.operation.clone(),
                is_local: hold.id.contains('/'),
            })
            .collect();
        holds.sort_by(|a, b| (&a.node, a.since).cmp(&(&b.node, b.since)));
        holds
    }

    /// Attestations as people see them.
    pub fn show_attestations(snapshot: &Snapshot, policy: &Policy) -> Vec<AttestationView> {
        let view = |given: &millwright_decision::fleet::Attestation| AttestationView {
            node: policy.spell(&given.node).to_owned(),
            source: given.source.to_string(),
            by: given.by.clone(),
            until: given.until,
        };
        snapshot.attestations.iter().map(view).collect()
    }
}

fn command(operation: &Operation, policy: &Policy) -> Vec<String> {
    let Some((step, _)) = operation.current_step().filter(|(step, _)| step.doer() == Doer::Executor) else {
        return Vec::new();
    };
    policy.command(step, &operation.wish).unwrap_or_default()
}

/// What a person types to say this to an operation.
fn command_line(operation: &Operation, word: &str) -> Option<String> {
    let id = &operation.id;
    Some(match word {
        // Who agrees has looked; the digest to agree to stands there.
        "approve" => format!("millwright operations {id}"),
        "cancel" => format!("millwright cancel {id} --reason \"…\""),
        "abandon" => format!("millwright cancel {id} --abandon --reason \"…\""),
        "retry" => format!("millwright retry {id} --reason \"…\""),
        "begin" => format!("millwright step {id}"),
        "done" | "not_run" => format!("millwright confirm {id} {word} --reason \"…\""),
        _ => return None,
    })
}

fn show_step(operation: &Operation, place: usize, step: Step, record: &StepRecord) -> StepView {
    let why = match &record.state {
        State::NotDone { why, .. } => Some(why.clone()),
        State::Unknown { question } => Some(question.clone()),
        _ => None,
    };
    StepView {
        step: step.to_string(),
        doing: step.doing().to_owned(),
        state: record.state.as_str().to_owned(),
        is_current: place == operation.at && !operation.is_over(),
        is_irreversible: step.is_irreversible(),
        was_so: matches!(record.state, State::Done { was_so: true }),
        attempt: record.attempt,
        began_at: record.began_at,
        changed_at: record.changed_at,
        why,
        by: record.by.clone(),
        command: record.command.clone(),
        evidence: record
            .evidence
            .iter()
            .map(|fact| Evidence {
                fact: fact.fact.clone(),
                value: fact.value.clone(),
                source: fact.source.clone(),
                age_seconds: fact.age_seconds,
            })
            .collect(),
    }
}

fn waiting(waiting: &Waiting) -> WaitingView {
    WaitingView {
        sentence: waiting.sentence.clone(),
        owner: waiting.owner.clone(),
        since: waiting.since,
        expected_at: waiting.expected_at,
        needs_people: waiting.needs_people,
        reasons: waiting
            .reasons
            .iter()
            .map(|reason| ObjectionView {
                code: reason.code.to_string(),
                severity: reason.severity.as_str().to_owned(),
                sentence: reason.sentence.clone(),
                unblocked_by: reason.unblocked_by.to_string(),
            })
            .collect(),
    }
}
