//! The node page: may it be touched, why not, and everything that is known about it.

mod tasks;

use super::{
    acts::{self, Act},
    fleet::{Gauge, protection_word},
    holds,
    markdown::{self, Span},
    operations::Row,
    shell::Shell,
    verdict::{Card, EvidenceView, capital},
    words::{self, Mark, Moment, Tone},
};
use crate::{
    people::{Caller, Role},
    view::{
        ChecklistItem, ChecklistState, Diagnosis, FindingView, FleetView, HoldView, NodeDetail, NodeState,
        OperationSummary, OutsideView, Transition, VerdictChange, VolumeView,
    },
};
use askama::Template;
use jiff::Timestamp;
use millwright_decision::{Action, Class, Code, Verdict};
use millwright_protocol::{Container, ContainerRole, ImageFact, PullState, Status};

/// Earlier answers that the page shows; the command line tells all that are read.
const EARLIER: usize = 40;

/// The page.
#[derive(Template)]
#[template(path = "node.html")]
pub struct NodePage {
    shell: Shell,
    name: String,
    key: String,
    state: Mark,
    since: Option<Moment>,
    sentence: String,
    class: String,
    zone: Option<String>,
    protections: Vec<&'static str>,
    reported: Option<Moment>,
    is_stale: bool,
    known_dead: Option<String>,
    identity_changed: Option<String>,
    operations: Vec<Row>,
    holds: Vec<holds::Line>,
    /// What can be begun beside what the cards are about.
    also: Vec<Act>,
    /// Why nothing can be begun, or by whom not.
    not_begun: Option<String>,
    sign_in: Option<String>,
    can_hold: bool,
    stacks: Vec<Vec<Card>>,
    earlier: Vec<Earlier>,
    earlier_more: bool,
    diagnosis: Diagnosed,
    checklist: Vec<Check>,
    checklist_done: usize,
    checklist_applies: usize,
    troubles: Vec<FindingLine>,
    fine: Vec<FindingLine>,
    volumes: Vec<Volume>,
    outside: Vec<OutsideLine>,
    tasks: Vec<tasks::Task>,
    tasks_count: Option<usize>,
    tasks_story: String,
    other_builds: Vec<String>,
    tasks_disagree: Option<Moment>,
    containers: Option<Containers>,
    /// Whether its agent looks at Docker, and at Puppet; an agent that has not spoken may well.
    asks_docker: bool,
    asks_puppet: bool,
    images: Vec<Image>,
    puppet: Option<Vec<(&'static str, String)>>,
    machine: Vec<(&'static str, String)>,
    mesos: Vec<(&'static str, String)>,
    cannot_see: Vec<(String, String, bool)>,
    history: Vec<Change>,
}

/// Where the checklist ends.
struct Diagnosed {
    mark: Mark,
    is_open: bool,
    sentence: String,
    next: Vec<Vec<Span>>,
    untold: String,
    also: Vec<String>,
}

struct Check {
    mark: Mark,
    title: String,
    sentence: String,
    evidence: Vec<EvidenceView>,
}

struct FindingLine {
    id: String,
    mark: Mark,
    name: String,
    gating: bool,
    sentence: String,
    evidence: Vec<EvidenceView>,
    since: Moment,
    next: Option<Vec<Span>>,
    acknowledged: Option<String>,
}

struct Volume {
    title: String,
    is_mounted: bool,
    /// Whether its agent has looked into it.
    is_measured: bool,
    gauge: Gauge,
    details: Vec<String>,
}

struct OutsideLine {
    mark: Mark,
    name: &'static str,
    sentence: String,
    at: Moment,
}

impl OutsideLine {
    fn new(seen: &OutsideView, now: Timestamp) -> Self {
        Self {
            mark: seen.status.into(),
            name: seen.source.title(),
            sentence: seen.sentence.clone(),
            at: Moment::new(seen.at, now),
        }
    }
}

struct Containers {
    story: String,
    shown: Vec<ContainerLine>,
}

struct ContainerLine {
    name: String,
    image: String,
    state: String,
    role: &'static str,
    tone: Tone,
    started: Option<Moment>,
    restarts: u64,
}

struct Image {
    name: String,
    mark: Mark,
    story: String,
    percent: Option<u8>,
}

/// An answer that a verdict gave before, or gives since then.
struct Earlier {
    at: Moment,
    action: String,
    mark: Mark,
    sentence: String,
    codes: Vec<String>,
}

struct Change {
    at: Moment,
    what: String,
    from: String,
    to: String,
    sentence: String,
}

/// What stands around a node: who looks, and what was begun and said.
pub struct Around<'a> {
    /// Who looks.
    pub caller: &'a Caller,
    /// Operations, those of other nodes included.
    pub operations: &'a [OperationSummary],
    /// Holds, those of other nodes included.
    pub holds: &'a [HoldView],
}

impl NodePage {
    /// The page of a node; `verdicts` in the order in which the cards stand.
    pub fn new(fleet: &FleetView, node: &NodeDetail, verdicts: &[Verdict], around: &Around<'_>) -> Self {
        let now = node.asked_at;
        let summary = &node.summary;
        let caller = around.caller;
        let not_begun = acts::is_only_looked_at(fleet, summary.class);
        let lacks = acts::lacks(caller, Role::Operate, summary.class, "Begin an operation");
        let may_begin = not_begun.is_none() && lacks.is_none();
        let open: Vec<&OperationSummary> =
            around.operations.iter().filter(|one| one.key == summary.key && !one.is_over()).collect();
        let mut cards: Vec<Card> = verdicts.iter().map(|verdict| Card::new(verdict, now)).collect();
        for (card, verdict) in cards.iter_mut().zip(verdicts) {
            card.begin = (may_begin && acts::to_confirm(verdict).is_some())
                .then(|| begin(verdict.action, &summary.key));
        }
        let state = Mark::from(summary.state);
        let (troubles, fine): (Vec<&FindingView>, Vec<&FindingView>) =
            node.all_findings.iter().partition(|finding| finding.status != Status::Ok);
        let lines = |findings: Vec<&FindingView>| -> Vec<FindingLine> {
            findings.into_iter().map(|finding| finding_line(finding, now)).collect()
        };
        let checklist: Vec<Check> = node.checklist.iter().map(check).collect();
        let in_state =
            |wanted: ChecklistState| node.checklist.iter().filter(|item| item.state == wanted).count();
        let asks = |checks: &[&str]| {
            node.all_findings.is_empty()
                || node.all_findings.iter().any(|finding| checks.contains(&finding.check.as_str()))
        };
        Self {
            shell: Shell::new(fleet)
                .about(&summary.key, &format!("{} is {}: {}", summary.name, state.word, summary.sentence)),
            name: summary.name.clone(),
            key: summary.key.clone(),
            state,
            since: summary.since.map(|at| Moment::new(at, now)),
            sentence: summary.sentence.clone(),
            class: summary.class.map_or_else(|| "not in the policy".to_owned(), |class| class.to_string()),
            zone: summary.zone.clone(),
            protections: summary.protections.iter().map(|protection| protection_word(*protection)).collect(),
            reported: node.reported_at.map(|at| Moment::new(at, now)),
            is_stale: node.is_stale,
            known_dead: node.known_dead.clone(),
            identity_changed: node.identity.as_ref().and_then(|identity| identity.changed.clone()),
            operations: open.iter().map(|one| Row::new(one, now)).collect(),
            holds: around
                .holds
                .iter()
                .filter(|hold| hold.node == summary.name)
                .map(|hold| holds::Line::new(hold, caller, now))
                .collect(),
            also: if may_begin {
                also(summary.state, summary.class, &open, &summary.key)
            } else {
                Vec::new()
            },
            sign_in: (not_begun.is_none() && !caller.is_somebody())
                .then(|| format!("/sign-in?next=/nodes/{}", summary.key)),
            not_begun: not_begun.or(lacks.filter(|_| caller.is_somebody())),
            can_hold: holds::may_operate(caller),
            stacks: stacks(cards),
            earlier: node.verdict_history.iter().take(EARLIER).map(|change| earlier(change, now)).collect(),
            earlier_more: node.verdict_history.len() > EARLIER,
            checklist_done: in_state(ChecklistState::Done),
            checklist_applies: checklist.len() - in_state(ChecklistState::NotConfigured),
            diagnosis: diagnosed(&node.diagnosis),
            checklist,
            troubles: lines(troubles),
            fine: lines(fine),
            volumes: node.volumes.iter().map(volume).collect(),
            outside: node.outside.iter().map(|seen| OutsideLine::new(seen, now)).collect(),
            tasks: node.living_tasks.tasks.iter().map(|living| tasks::task(living, now)).collect(),
            tasks_count: tasks::count_told(node),
            tasks_story: tasks::story(node, now),
            other_builds: tasks::other_builds(node, now),
            tasks_disagree: node.living_tasks.disagree_since.map(|at| Moment::new(at, now)),
            containers: node.containers.as_ref().map(|seen| Containers {
                story: format!(
                    "Docker {}, storage driver {}",
                    or_unknown(&seen.version),
                    or_unknown(&seen.storage_driver)
                ),
                shown: containers(&seen.containers, now),
            }),
            asks_docker: asks(&["docker", "container", "containers"]),
            asks_puppet: asks(&["puppet"]),
            images: node.images.iter().map(|seen| image(seen, now)).collect(),
            puppet: super::facts::puppet(node, now),
            machine: super::facts::machine(node, now),
            mesos: super::facts::mesos(node, now),
            cannot_see: node
                .cannot_see
                .iter()
                .map(|blind| (blind.what.replace('_', " "), blind.sentence.clone(), blind.not_configured))
                .collect(),
            history: node.history.iter().map(|transition| change(transition, now)).collect(),
        }
    }
}

fn begin(action: Action, key: &str) -> Act {
    Act {
        href: format!("/begin/{action}/{key}"),
        label: acts::begin_label(action),
        is_grave: action == Action::Delete,
    }
}

/// Return, for a node that is kept out; creation, for one that has never been heard of; and images.
fn also(state: NodeState, class: Option<Class>, open: &[&OperationSummary], key: &str) -> Vec<Act> {
    let is_kept =
        open.iter().any(|one| one.state == "parked") || matches!(state, NodeState::Draining | NodeState::Out);
    let mut actions = Vec::new();
    if is_kept {
        actions.push(Action::Return);
    }
    if state == NodeState::NeverHeard {
        actions.push(Action::Create);
    } else if class != Some(Class::Master) {
        actions.push(Action::Prepull);
    }
    actions.into_iter().map(|action| begin(action, key)).collect()
}

/// Two stacks of about the same height, the order kept.
fn stacks(mut cards: Vec<Card>) -> Vec<Vec<Card>> {
    let all: usize = cards.iter().map(Card::height).sum();
    let mut left = 0;
    let fits = |card: &&Card| {
        left += card.height();
        2 * left <= all + card.height()
    };
    let split = cards.iter().take_while(fits).count();
    let right = cards.split_off(split);
    vec![cards, right]
}

/// The text, or the word that says that there is none.
pub(super) fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn diagnosed(diagnosis: &Diagnosis) -> Diagnosed {
    Diagnosed {
        mark: diagnosis.state.unwrap_or(ChecklistState::Done).into(),
        is_open: diagnosis.state.is_some(),
        sentence: capital(&diagnosis.sentence),
        next: diagnosis.next.iter().map(|next| markdown::line(next)).collect(),
        untold: diagnosis.untold.join("; "),
        also: diagnosis.also.iter().map(|also| capital(also)).collect(),
    }
}

fn check(item: &ChecklistItem) -> Check {
    Check {
        mark: item.state.into(),
        title: item.title.clone(),
        sentence: item.sentence.clone(),
        evidence: item.evidence.iter().map(evidence).collect(),
    }
}

fn evidence(seen: &millwright_protocol::Evidence) -> EvidenceView {
    EvidenceView::new(&seen.fact, &seen.value, &seen.source, seen.age_seconds)
}

fn finding_line(finding: &FindingView, now: Timestamp) -> FindingLine {
    let name = match &finding.item {
        Some(item) => format!("{} {item}", finding.check),
        None => finding.check.clone(),
    };
    FindingLine {
        id: finding.id.clone(),
        mark: finding.status.into(),
        name,
        gating: finding.gating,
        sentence: finding.sentence.clone(),
        evidence: finding.evidence.iter().map(evidence).collect(),
        since: Moment::new(finding.since, now),
        next: finding.next.as_deref().map(markdown::line),
        acknowledged: finding.acknowledged.as_ref().map(|known| {
            format!("acknowledged by {} until {}", known.by, Moment::new(known.until, now).absolute)
        }),
    }
}

fn volume(seen: &VolumeView) -> Volume {
    let fact = &seen.fact;
    let title = match &seen.name {
        Some(name) => format!("{} ({name})", fact.mount),
        None => fact.mount.clone(),
    };
    let mut details = Vec::new();
    let is_measured = fact.size_bytes > 0;
    if is_measured {
        details.push(format!("{} in all", words::size(fact.size_bytes)));
    }
    if fact.mounted {
        details.push(if fact.read_write { "read-write" } else { "read-only" }.to_owned());
    }
    details.extend(fact.inodes_used_percent.map(|percent| format!("{percent} % of inodes used")));
    details.extend([&fact.device, &fact.file_system].into_iter().flatten().cloned());
    details.extend(fact.uuid.as_ref().map(|uuid| format!("UUID {uuid}")));
    details.extend(fact.serial.as_ref().map(|serial| format!("serial {serial}")));
    Volume {
        title,
        is_mounted: fact.mounted,
        is_measured,
        gauge: Gauge::new(&fact.mount, seen.used_percent.unwrap_or(0), fact.free_bytes, fact.hours_to_full),
        details,
    }
}

/// What may be somebody's work first, infrastructure last.
fn containers(seen: &[Container], now: Timestamp) -> Vec<ContainerLine> {
    let mut sorted: Vec<&Container> = seen.iter().collect();
    let rank = |role: ContainerRole| match role {
        ContainerRole::Orphan => 0,
        ContainerRole::Other => 1,
        ContainerRole::Task => 2,
        ContainerRole::Infrastructure => 3,
    };
    sorted.sort_by(|a, b| {
        (!a.is_running(), rank(a.role), &a.name).cmp(&(!b.is_running(), rank(b.role), &b.name))
    });
    sorted.into_iter().map(|container| container_line(container, now)).collect()
}

fn container_line(container: &Container, now: Timestamp) -> ContainerLine {
    let (role, tone) = match container.role {
        ContainerRole::Infrastructure => ("infrastructure", Tone::Quiet),
        ContainerRole::Task => ("task", Tone::Busy),
        ContainerRole::Orphan => ("orphan", Tone::Notice),
        ContainerRole::Other => ("on no list", Tone::Notice),
    };
    ContainerLine {
        name: container.name.clone(),
        image: container.image.clone(),
        state: or_unknown(&container.state).to_owned(),
        role,
        tone: if container.is_running() { tone } else { Tone::Quiet },
        started: container.started_at.map(|at| Moment::new(at, now)),
        restarts: container.restarts,
    }
}

fn image(seen: &ImageFact, now: Timestamp) -> Image {
    let pull = seen.pull.as_ref();
    let pulling = pull.filter(|pull| pull.state == PullState::Pulling);
    let percent = pulling.filter(|pull| pull.total_bytes > 0).map(|pull| {
        u8::try_from(pull.done_bytes.min(pull.total_bytes).saturating_mul(100) / pull.total_bytes)
            .unwrap_or(100)
    });
    let mark = match (seen.present, pull.map(|pull| pull.state)) {
        (_, Some(PullState::Failed | PullState::NoRoom)) => {
            Mark { word: "pull failed", symbol: "✕", tone: Tone::Notice }
        }
        (_, Some(PullState::Pulling)) => Mark { word: "pulling", symbol: "◔", tone: Tone::Busy },
        (true, _) => Mark { word: "present", symbol: "✓", tone: Tone::Good },
        (false, _) => Mark { word: "missing", symbol: "!", tone: Tone::Notice },
    };
    let mut story = Vec::new();
    if seen.size_bytes > 0 {
        story.push(words::size(seen.size_bytes));
    }
    story.extend(seen.verified_at.map(|at| format!("verified {}", Moment::new(at, now).relative)));
    if let Some(pulling) = pulling {
        story.push(format!("{} of {}", words::size(pulling.done_bytes), words::size(pulling.total_bytes)));
    }
    if let Some(pull) = pull {
        if pull.state == PullState::NoRoom {
            story.push("too little room".to_owned());
        }
        story.extend(pull.error.clone());
        story.extend(pull.next_try_at.map(|at| format!("next try {}", Moment::new(at, now).relative)));
    }
    Image { name: seen.name.clone(), mark, story: story.join(", "), percent }
}

fn earlier(change: &VerdictChange, now: Timestamp) -> Earlier {
    // Codes of a later version have no page here yet.
    let known = |word: &&String| Code::ALL.iter().any(|code| code.as_str() == word.as_str());
    Earlier {
        at: Moment::new(change.at, now),
        action: change.action.clone(),
        mark: words::verdict_word(&change.verdict),
        sentence: if change.sentence.is_empty() {
            "nothing objected".to_owned()
        } else {
            change.sentence.clone()
        },
        codes: change.codes.iter().filter(known).cloned().collect(),
    }
}

fn change(transition: &Transition, now: Timestamp) -> Change {
    Change {
        at: Moment::new(transition.at, now),
        what: transition.what.clone(),
        from: transition.from.clone().unwrap_or_default().replace('_', " "),
        to: transition.to.replace('_', " "),
        sentence: transition.sentence.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{Story, name, task};

    fn told(story: &mut Story) -> (Option<usize>, String) {
        let now = story.now();
        let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
        (tasks::count_told(&detail), tasks::story(&detail, now))
    }

    #[test]
    fn each_view_says_which_it_is_tasks_or_no_proof_yet() {
        let mut story = Story::new(1);
        story.rounds(7);
        let empty =
            "The node's agent has seen it empty for 60 s; the Mesos master has seen it empty for 60 s.";
        assert_eq!(told(&mut story), (Some(0), empty.to_owned()));
        story.twist("alibuild01", |report| {
            report.facts.mesos_agent.as_mut().unwrap().tasks.push(task("mesos-jenkins-1"));
        });
        story.rounds(1);
        let busy = "The node's agent names 1 task; the Mesos master has seen it empty for 70 s.";
        assert_eq!(told(&mut story), (Some(1), busy.to_owned()));
    }

    #[test]
    fn where_nobody_looks_there_is_no_number_of_tasks() {
        let mut story = Story::new(1);
        let mut policy = story.fleet.policy().as_ref().clone();
        for class in policy.classes.values_mut() {
            class.required.remove(&millwright_decision::Source::MesosMaster);
        }
        story.fleet.set_policy(policy.into(), story.now());
        story.master = None;
        story.twist("alibuild01", |report| {
            (report.facts.mesos_agent, report.facts.containers) = (None, None);
            report.findings.retain(|finding| finding.check == "load");
        });
        story.rounds(3);
        assert_eq!(told(&mut story), (None, "No source tells what runs here.".to_owned()));
    }
}
