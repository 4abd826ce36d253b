//! Operations of an example fleet, one in every state that a page has to show; holds; and what people said.

use super::name;
use crate::{store::AuditEntry, view::*};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Code,
    operation::{Plan, Step},
};
use millwright_protocol::Evidence;

/// Everything that was begun, the newest first.
pub(super) fn operations(now: Timestamp) -> Vec<OperationView> {
    let begin = |number, action, node, by, reason| Story::new(number, action, node, by, reason, now);
    vec![
        begin(33, Action::Prepull, "alibuild04", "jane", "the new builder image").doing("begun").story,
        begin(32, Action::Drain, "alibuild24", "jane", "its fan is loud")
            .at(Step::ProveEmpty)
            .waits("a build must finish: mesos-jenkins-7c1 (Jenkins builds)", "the build", false)
            .objects(Code::TaskProtected, "wait", "a build must finish", "the end of the build")
            .expects(SignedDuration::from_mins(74))
            .may(&["cancel"])
            .story,
        begin(31, Action::Rebuild, "alimesos02", "joe", "CentOS 7 goes out of support")
            .at(Step::Consent)
            .waits("a second person has to agree", "approvers", true)
            .objects(Code::ApprovalMissing, "needs_people", "nobody but joe has agreed", "a yes of a second person, or 12 h in which nobody calls it off")
            .expects(SignedDuration::from_hours(9))
            .may(&["approve", "cancel"])
            .story,
        begin(30, Action::Delete, "alibuild18", "jane", "the flavor is gone")
            .at(Step::Consent)
            .waits("a second person has to agree", "approvers", true)
            .objects(Code::ApprovalMissing, "needs_people", "nobody but jane has agreed", "a yes of a second person")
            .may(&["approve", "cancel"])
            .story,
        begin(29, Action::Reboot, "alibuild11", "joe", "new kernel")
            .at(Step::Reboot)
            .waits("the class is in mode advise: a person says when it is rebooted", "operators", true)
            .may(&["begin", "cancel"])
            .story,
        begin(28, Action::Rebuild, "alibuild14", "joe", "file system errors")
            .at(Step::Rebuild)
            .approved("ann", true)
            .waits("rebuild alibuild14 with `millwright step op-28`, where the credentials are", "operators", true)
            .by_hand("ai-rebuild --nova-image slc7-builder alibuild14.cern.ch")
            .may(&["begin", "cancel"])
            .story,
        begin(27, Action::Rebuild, "alibuild15", "joe", "file system errors")
            .at(Step::Rebuild)
            .doing("unknown")
            .approved("ann", true)
            .permit(SignedDuration::from_mins(-40))
            .waits("nobody knows whether rebuild happened: joe was shown its command; nobody knows whether it was run", "operators", true)
            .by_hand("ai-rebuild --nova-image slc7-builder alibuild15.cern.ch")
            .may(&["done", "not_run", "abandon"])
            .story,
        begin(26, Action::Reboot, "alibuild07", "ann", "memory leak")
            .at(Step::Reboot)
            .doing("committed")
            .permit(SignedDuration::from_mins(4))
            .waits("rebooting: the agent has the order", "agent", false)
            .may(&["abandon"])
            .story,
        begin(25, Action::Reboot, "alibuild09", "ann", "memory leak")
            .at(Step::Uncordon)
            .doing("not_done")
            .waits("the Mesos master did not take the node back in 3 tries; mend it and say `millwright retry op-25`, or `millwright cancel op-25 --abandon`", "operators", true)
            .state("stuck")
            .may(&["retry", "abandon"])
            .story,
        begin(24, Action::Drain, "alibuild16", "jane", "kept for the memory test")
            .over("parked", "")
            .waits("alibuild16 is empty and stays so for jane: kept for the memory test; `millwright return alibuild16` brings it back", "jane", false)
            .story,
        begin(23, Action::Reboot, "alibuild13", "joe", "new kernel")
            .at(Step::ProveEmpty)
            .state("undoing")
            .waits("the cordon is being lifted", "mesos master", false)
            .story,
        begin(22, Action::Reboot, "alibuild19", "joe", "new kernel").at(Step::Verify).broken().story,
        begin(21, Action::Reboot, "alibuild06", "joe", "new kernel").over("succeeded", "alibuild06 is rebooted").story,
        begin(20, Action::Drain, "alibuild05", "jane", "wrong node").at(Step::ProveEmpty).over("cancelled", "called off by jane: wrong node").story,
        begin(19, Action::Rebuild, "alibuild02", "joe", "file system errors").at(Step::Converge).over("abandoned", "joe has taken alibuild02 over as it is: Puppet does not converge").story,
    ]
}

/// Holds that stand.
pub(super) fn holds(now: Timestamp) -> Vec<HoldView> {
    let hold = |id: &str, node: &str, by: &str, reason: &str, hours: Option<i64>| HoldView {
        id: id.to_owned(),
        node: node.to_owned(),
        by: by.to_owned(),
        reason: reason.to_owned(),
        since: now - SignedDuration::from_hours(30),
        until: hours.map(|hours| now + SignedDuration::from_hours(hours)),
        operation: id.starts_with("op-").then(|| id.to_owned()),
        is_local: id.contains('/'),
    };
    vec![
        hold("hold-4", "alibuild10", "ann", "a debugger is attached to its build", Some(4)),
        hold("hold-2", "alibuild12", "joe", "the vendor looks at it", Some(-5)),
        hold("op-24", "alibuild16", "jane", "kept for the memory test", None),
        hold("alibuild17/1", "alibuild17", "root", "disk is being moved (said on the node itself)", None),
    ]
}

/// What people said.
pub(super) fn audit(now: Timestamp) -> Vec<AuditEntry> {
    let said = |minutes: i64, by: &str, what: &str, about: &str, reason: &str| AuditEntry {
        at: now - SignedDuration::from_mins(minutes),
        by: by.to_owned(),
        what: what.to_owned(),
        about: about.to_owned(),
        reason: reason.to_owned(),
    };
    vec![
        said(3, "jane", "drain", "alibuild24 (op-32)", "its fan is loud"),
        said(9, "ann", "approve", "op-28", "looked at the disk, agreed"),
        said(30, "ann", "hold", "alibuild10", "a debugger is attached to its build"),
        said(55, "jane", "reset_brake", "agent", "it was the switch"),
        said(90, "root", "dead", "alibuild99", "its disk controller burned"),
        said(400, "jane", "sign_in", "t4", "from 127.0.0.1"),
    ]
}

/// An operation under construction.
struct Story {
    story: OperationView,
    now: Timestamp,
}

impl Story {
    fn new(number: u32, action: Action, node: &str, by: &str, reason: &str, now: Timestamp) -> Self {
        let requested_at = now - SignedDuration::from_mins(i64::from(40 - number) * 25 + 4);
        let steps: Vec<StepView> = Plan::of(action, false).steps.into_iter().map(pending).collect();
        let summary = OperationSummary {
            id: format!("op-{number}"),
            action: action.to_string(),
            node: node.to_owned(),
            key: name(node).to_string(),
            by: by.to_owned(),
            reason: reason.to_owned(),
            requested_at,
            state: "running".to_owned(),
            step: None,
            waiting: None,
            steps_done: 0,
            steps_all: steps.len(),
            changed_at: requested_at,
            ended: None,
            broken: None,
        };
        let story = OperationView {
            summary,
            class: if node.starts_with("alimesos") { "master" } else { "agent" }.to_owned(),
            executor: "by_hand".to_owned(),
            volumes: "keep".to_owned(),
            image: None,
            is_silent: false,
            let_go: Vec::new(),
            digest: format!("5f2c90d1e7a3{number:04}"),
            is_past_no_return: false,
            permit: None,
            steps,
            grants: Vec::new(),
            may: Vec::new(),
            command: Vec::new(),
            story: vec![StoryLine {
                at: requested_at,
                what: "requested".to_owned(),
                sentence: format!("{by} wants {node} {}: {reason}", action.past()),
            }],
        };
        Self { story, now }.at_place(0)
    }

    fn at(self, step: Step) -> Self {
        let place = self.story.steps.iter().position(|known| known.step == step.as_str()).unwrap();
        self.at_place(place)
    }

    fn at_place(mut self, place: usize) -> Self {
        let from = self.story.summary.requested_at;
        let first = self.story.steps.iter().position(|step| step.is_irreversible);
        self.story.is_past_no_return = first.is_some_and(|first| first < place);
        for (number, step) in self.story.steps.iter_mut().enumerate().take(place) {
            let began = from + SignedDuration::from_secs(number as i64 * 20);
            step.state = "done".to_owned();
            step.is_current = false;
            step.attempt = 1;
            step.began_at = Some(began);
            step.changed_at = Some(began + SignedDuration::from_secs(12));
            step.evidence = vec![Evidence {
                fact: "deactivated".to_owned(),
                value: "true".to_owned(),
                source: "mesos_master".to_owned(),
                age_seconds: 2,
            }];
            self.story.story.push(StoryLine {
                at: began + SignedDuration::from_secs(12),
                what: "finished".to_owned(),
                sentence: format!("{} is done", step.step),
            });
        }
        for (number, step) in self.story.steps.iter_mut().enumerate() {
            step.is_current = number == place;
        }
        self.story.summary.steps_done = place;
        self.story.summary.step = self.story.steps.get(place).map(|step| step.step.clone());
        self
    }

    fn current(&mut self) -> Option<&mut StepView> {
        self.story.steps.iter_mut().find(|step| step.is_current)
    }

    fn doing(mut self, state: &str) -> Self {
        let began = self.now - SignedDuration::from_mins(3);
        if let Some(step) = self.current() {
            state.clone_into(&mut step.state);
            step.attempt = 1;
            step.began_at = Some(began);
            step.changed_at = Some(began);
            step.why = match state {
                "not_done" => Some("the Mesos master answered 503".to_owned()),
                "unknown" => Some("joe was shown its command; nobody knows whether it was run".to_owned()),
                _ => None,
            };
            self.story.is_past_no_return |= step_is_risky(&self.story);
        }
        self
    }

    fn waits(mut self, sentence: &str, owner: &str, needs_people: bool) -> Self {
        self.story.summary.waiting = Some(WaitingView {
            sentence: sentence.to_owned(),
            owner: owner.to_owned(),
            since: self.now - SignedDuration::from_mins(3),
            expected_at: None,
            needs_people,
            reasons: Vec::new(),
        });
        self
    }

    fn objects(mut self, code: Code, severity: &str, sentence: &str, unblocked_by: &str) -> Self {
        if let Some(waiting) = &mut self.story.summary.waiting {
            waiting.reasons.push(ObjectionView {
                code: code.to_string(),
                severity: severity.to_owned(),
                sentence: sentence.to_owned(),
                unblocked_by: unblocked_by.to_owned(),
            });
        }
        self
    }

    fn expects(mut self, after: SignedDuration) -> Self {
        let at = self.now + after;
        if let Some(waiting) = &mut self.story.summary.waiting {
            waiting.expected_at = Some(at);
        }
        self
    }

    fn may(mut self, may: &[&str]) -> Self {
        self.story.may = may.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn by_hand(mut self, command: &str) -> Self {
        self.story.command = command.split(' ').map(str::to_owned).collect();
        self
    }

    fn approved(mut self, by: &str, counts: bool) -> Self {
        self.story.grants.push(GrantView {
            code: Code::ApprovalMissing.to_string(),
            task: None,
            by: by.to_owned(),
            at: self.now - SignedDuration::from_mins(9),
            counts,
        });
        self
    }

    fn permit(mut self, left: SignedDuration) -> Self {
        let expires_at = self.now + left;
        let step = self.story.summary.step.clone().unwrap();
        self.story.permit =
            Some(PermitView { step, at: expires_at - SignedDuration::from_mins(5), expires_at });
        self
    }

    fn state(mut self, state: &str) -> Self {
        state.clone_into(&mut self.story.summary.state);
        self
    }

    fn broken(mut self) -> Self {
        self.story.summary.broken =
            Some("event 14 does not carry the checksum of the one before it".to_owned());
        self
    }

    fn over(self, state: &str, sentence: &str) -> Self {
        let all = self.story.steps.len();
        let is_through = matches!(state, "succeeded" | "parked");
        let mut over = if is_through { self.at_place(all) } else { self }.state(state);
        let summary = &mut over.story.summary;
        summary.step = None;
        summary.ended = (!sentence.is_empty()).then(|| sentence.to_owned());
        summary.changed_at = over.now - SignedDuration::from_mins(30);
        for step in &mut over.story.steps {
            step.is_current = false;
        }
        over
    }
}

/// Whether the step that it is at may have happened and cannot be taken back.
fn step_is_risky(story: &OperationView) -> bool {
    story
        .steps
        .iter()
        .any(|step| step.is_irreversible && matches!(step.state.as_str(), "committed" | "unknown" | "done"))
}

fn pending(step: Step) -> StepView {
    StepView {
        step: step.to_string(),
        doing: step.doing().to_owned(),
        state: "pending".to_owned(),
        is_current: false,
        is_irreversible: step.is_irreversible(),
        was_so: false,
        attempt: 0,
        began_at: None,
        changed_at: None,
        why: None,
        by: None,
        command: Vec::new(),
        evidence: Vec::new(),
    }
}
