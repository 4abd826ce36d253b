//! The fleet page: what needs a human first, what stands in most nodes' way, then every node by class and zone.

mod blockers;

use super::{
    attention::{self, Line},
    markdown::Span,
    shell::Shell,
    words::{self, Mark, Moment, Tone},
};
use crate::view::{ClassView, DiskSummary, FleetView, NodeState, NodeSummary, PolicyView, SourceView};
use askama::Template;
use blockers::{Blocker, blockers};
use jiff::Timestamp;
use millwright_decision::{Class, Protection, Severity, Verdict};
use millwright_protocol::Status;
use std::collections::BTreeMap;

/// Things that need a human before the rest folds away: in a storm the first ones tell the story.
const SHOWN: usize = 10;

/// Above this many nodes the page shows those with trouble, unless all are asked for.
const ALL_UP_TO: usize = 250;

/// Which nodes to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Every one.
    All,
    /// Those that are not healthy, or not listed.
    Trouble,
}

impl Show {
    /// What `?show=` asks for; without it, or with another word, what suits the size of the fleet.
    pub fn asked(word: Option<&str>, fleet: &FleetView) -> Self {
        match word {
            Some("all") => Self::All,
            Some("trouble") => Self::Trouble,
            _ if fleet.nodes().count() <= ALL_UP_TO => Self::All,
            _ => Self::Trouble,
        }
    }

    /// Whether a node is listed.
    pub fn includes(self, node: &NodeSummary) -> bool {
        self == Self::All || !matches!(node.state, NodeState::Healthy | NodeState::Physical)
    }
}

/// The page.
#[derive(Template)]
#[template(path = "fleet.html")]
pub struct FleetPage {
    shell: Shell,
    headline: String,
    headline_tone: Tone,
    lead: String,
    attention: Vec<Line>,
    more_attention: Vec<Line>,
    blockers: Vec<Blocker>,
    groups: Vec<Group>,
    sources: Vec<SourceLine>,
    not_configured: Vec<String>,
    policy_version: String,
    policy_story: String,
    is_policy_readable: bool,
    /// Whether there is one, be it the last that could be read.
    is_policy_known: bool,
    started_at: Moment,
    is_empty: bool,
    shows_all: bool,
    /// Whether the off switch is there to be pressed.
    can_pause: bool,
}

/// A class, or the nodes without one.
struct Group {
    id: &'static str,
    title: String,
    counts: Vec<String>,
    mode: Option<&'static str>,
    zones: Vec<Zone>,
    /// Whether zones have lines of their own; where every node has its own zone, the zone stands beside the node.
    has_zone_lines: bool,
    hidden: usize,
}

struct Zone {
    name: Option<String>,
    nodes: Vec<Row>,
}

struct Row {
    name: String,
    key: String,
    protections: Vec<&'static str>,
    state: Mark,
    since: Option<Moment>,
    sentence: String,
    /// How the whole row stands out, where it does.
    look: Option<Tone>,
    identity_changed: Option<Moment>,
    tasks: Option<Vec<TaskCount>>,
    disk: Option<Gauge>,
    verdicts: Vec<Glyph>,
    report: Option<String>,
    is_old: bool,
}

struct TaskCount {
    mark: Mark,
    number: u32,
}

/// How full a disk is.
pub struct Gauge {
    /// Where.
    pub mount: String,
    /// 0 to 100.
    pub percent: u8,
    /// How it is to be read.
    pub tone: Tone,
    /// "120 GiB free".
    pub free: String,
    /// "full in 3 h"; absent while it is not filling.
    pub forecast: Option<String>,
}

struct Glyph {
    action: &'static str,
    mark: Mark,
    short: &'static str,
    why: String,
}

struct SourceLine {
    mark: Mark,
    name: String,
    sentence: String,
    last_answer: Option<Moment>,
    details: Vec<String>,
}

impl FleetPage {
    /// The page; `verdicts` are those of the nodes that [`Show::includes`], by canonical name.
    pub fn new(fleet: &FleetView, verdicts: &BTreeMap<String, Vec<Verdict>>, show: Show) -> Self {
        let now = fleet.asked_at;
        let mut attention = attention::lines(&fleet.attention, now);
        let shell = Shell::new(fleet).at("/");
        let (headline, headline_tone) = headline(fleet, attention.len(), &shell);
        let more_attention = attention.split_off(attention.len().min(SHOWN));
        let mut groups: Vec<Group> = Vec::new();
        if !fleet.unlisted.is_empty() {
            groups.push(unlisted(fleet, verdicts, show));
        }
        groups.extend(
            fleet
                .classes
                .iter()
                .filter(|class| !class.nodes.is_empty())
                .map(|class| group(class, verdicts, show, now)),
        );
        Self {
            shell: shell.about("", &headline),
            headline,
            headline_tone,
            lead: lead(fleet),
            attention,
            more_attention,
            blockers: blockers(verdicts),
            groups,
            sources: fleet.sources.iter().map(|source| source_line(source, now)).collect(),
            not_configured: fleet
                .not_configured
                .iter()
                .map(|source| source.as_str().replace('_', " "))
                .collect(),
            policy_version: fleet.policy.version.chars().take(12).collect(),
            policy_story: policy_story(&fleet.policy),
            is_policy_readable: fleet.policy.unreadable.is_none(),
            is_policy_known: fleet.policy.is_known(),
            started_at: Moment::new(fleet.started_at, now),
            is_empty: fleet.nodes().next().is_none(),
            shows_all: show == Show::All,
            can_pause: fleet.paused.is_none(),
        }
    }
}

/// What a tired person reads first. Calm is claimed only when nothing at all stands against it.
fn headline(fleet: &FleetView, things: usize, shell: &Shell) -> (String, Tone) {
    let worst = fleet.attention.iter().map(|attention| attention.status).max();
    match (things, shell.banners.first()) {
        (0, Some(banner)) => (banner.headline.to_owned(), banner.tone),
        (0, None) if fleet.nodes().next().is_none() => ("No nodes yet".to_owned(), Tone::Quiet),
        (0, None) => ("Nothing needs a human".to_owned(), Tone::Good),
        (1, _) => ("1 thing needs a human".to_owned(), tone(worst)),
        (more, _) => (format!("{more} things need a human"), tone(worst)),
    }
}

/// The fleet in numbers: nodes that Millwright looks after, by state.
fn lead(fleet: &FleetView) -> String {
    let mut numbers: BTreeMap<NodeState, usize> = BTreeMap::new();
    for node in fleet.nodes().filter(|node| node.state != NodeState::Physical) {
        *numbers.entry(node.state).or_default() += 1;
    }
    let listed: Vec<String> =
        numbers.iter().rev().map(|(state, number)| format!("{number} {}", state.label())).collect();
    listed.join(", ")
}

fn tone(worst: Option<Status>) -> Tone {
    worst.map_or(Tone::Quiet, |status| Mark::from(status).tone)
}

fn group(class: &ClassView, verdicts: &BTreeMap<String, Vec<Verdict>>, show: Show, now: Timestamp) -> Group {
    let is_managed = class.class != Class::Physical;
    let mut counts = Vec::new();
    if is_managed {
        counts.push(format!("{} of {} in service", class.in_service, class.listed));
        counts.push(format!("{} out (at most {} may be)", class.out, class.may_be_out));
        if class.draining > 0 {
            counts.push(format!("{} draining", class.draining));
        }
    } else {
        counts.push(words::count(class.nodes.len(), "node"));
        counts.push("seen through Mesos, never acted on".to_owned());
    }
    let shown: Vec<&NodeSummary> = class.nodes.iter().filter(|node| show.includes(node)).collect();
    let zones = by_zone(&shown, verdicts, now);
    Group {
        id: class.class.as_str(),
        title: title(class.class).to_owned(),
        counts,
        mode: is_managed.then(|| class.mode.as_str()),
        hidden: class.nodes.len() - shown.len(),
        has_zone_lines: zones.iter().any(|zone| zone.nodes.len() > 1),
        zones,
    }
}

fn title(class: Class) -> &'static str {
    match class {
        Class::Master => "Masters",
        Class::Agent => "Agents",
        Class::AgentNoVolume => "Agents without a volume",
        Class::Dedicated => "Dedicated nodes",
        Class::Physical => "Physical nodes",
    }
}

fn unlisted(fleet: &FleetView, verdicts: &BTreeMap<String, Vec<Verdict>>, show: Show) -> Group {
    let shown: Vec<&NodeSummary> = fleet.unlisted.iter().filter(|node| show.includes(node)).collect();
    Group {
        id: "unlisted",
        title: "Not in the policy".to_owned(),
        counts: vec![words::count(fleet.unlisted.len(), "node"), "shown, never touched".to_owned()],
        mode: None,
        has_zone_lines: false,
        hidden: 0,
        zones: by_zone(&shown, verdicts, fleet.asked_at),
    }
}

fn by_zone(nodes: &[&NodeSummary], verdicts: &BTreeMap<String, Vec<Verdict>>, now: Timestamp) -> Vec<Zone> {
    let mut zones: BTreeMap<Option<&str>, Vec<Row>> = BTreeMap::new();
    for node in nodes {
        let of_node = verdicts.get(&node.key).map_or(&[][..], Vec::as_slice);
        zones.entry(node.zone.as_deref()).or_default().push(row(node, of_node, now));
    }
    for rows in zones.values_mut() {
        rows.sort_by_cached_key(|row| words::natural(&row.name));
    }
    zones.into_iter().map(|(name, nodes)| Zone { name: name.map(str::to_owned), nodes }).collect()
}

fn row(node: &NodeSummary, verdicts: &[Verdict], now: Timestamp) -> Row {
    let mark = Mark::from(node.state);
    let is_fine =
        matches!(node.state, NodeState::Healthy) && node.worst.is_none_or(|worst| worst == Status::Ok);
    Row {
        name: node.name.clone(),
        key: node.key.clone(),
        protections: node.protections.iter().map(|protection| protection_word(*protection)).collect(),
        state: mark,
        since: node.since.map(|at| Moment::new(at, now)),
        sentence: if is_fine { String::new() } else { node.sentence.clone() },
        look: match mark.tone {
            Tone::Bad | Tone::Unknown | Tone::Notice => Some(mark.tone),
            _ => node.identity_changed_at.map(|_| Tone::Notice),
        },
        identity_changed: node.identity_changed_at.map(|at| Moment::new(at, now)),
        tasks: node.tasks.as_ref().map(|tasks| {
            tasks
                .iter()
                .filter(|(_, number)| **number > 0)
                .map(|(class, number)| TaskCount { mark: (*class).into(), number: *number })
                .collect()
        }),
        disk: node.disk.as_ref().map(disk),
        verdicts: verdicts.iter().map(glyph).collect(),
        report: node.report_age_seconds.map(words::seconds),
        is_old: node.report_age_seconds.is_some_and(|age| age > 60),
    }
}

/// A protection for people.
pub fn protection_word(protection: Protection) -> &'static str {
    match protection {
        Protection::NeverRebuild => "never rebuild",
        Protection::NeverDelete => "never delete",
        Protection::NeverDeleteVolume => "never delete its volume",
        Protection::ConfirmReboot => "confirm reboot",
    }
}

fn disk(disk: &DiskSummary) -> Gauge {
    Gauge::new(&disk.mount, disk.used_percent, disk.free_bytes, disk.hours_to_full)
}

impl Gauge {
    /// A gauge; a disk that is nearly full, or will be within a day, stands out.
    pub fn new(mount: &str, percent: u8, free_bytes: u64, hours_to_full: Option<f64>) -> Self {
        let percent = percent.min(100);
        let soon = hours_to_full.is_some_and(|hours| hours < 24.0);
        let tone = match percent {
            95.. => Tone::Bad,
            _ if hours_to_full.is_some_and(|hours| hours < 6.0) => Tone::Bad,
            85.. => Tone::Notice,
            _ if soon => Tone::Notice,
            _ => Tone::Good,
        };
        Self {
            mount: mount.to_owned(),
            percent,
            tone,
            free: format!("{} free", words::size(free_bytes)),
            forecast: hours_to_full.map(words::hours_to_full),
        }
    }
}

fn glyph(verdict: &Verdict) -> Glyph {
    let first = verdict.reasons.first();
    let why = first.map_or_else(|| "nothing objects".to_owned(), |reason| reason.sentence.clone());
    let why = match verdict.reasons.len() {
        0 | 1 => why,
        more => format!("{why} (and {})", words::count(more - 1, "other reason")),
    };
    Glyph {
        action: verdict.action.as_str(),
        mark: verdict.verdict.into(),
        short: short(verdict.verdict),
        why,
    }
}

fn short(severity: Severity) -> &'static str {
    match severity {
        Severity::Allowed => "allowed",
        Severity::Wait => "wait",
        Severity::NeedsPeople => "people",
        Severity::Refused => "refused",
    }
}

fn policy_story(policy: &PolicyView) -> String {
    let listed = words::count(usize::try_from(policy.listed).unwrap_or(usize::MAX), "node");
    match &policy.unreadable {
        None => format!("lists {listed}"),
        Some(_) if policy.is_known() => format!("cannot be read; the last one that could lists {listed}"),
        Some(_) => "cannot be read, and none is known from before".to_owned(),
    }
}

fn source_line(source: &SourceView, now: Timestamp) -> SourceLine {
    SourceLine {
        mark: source.state.into(),
        name: source.source.as_str().replace('_', " "),
        sentence: source.sentence.clone(),
        last_answer: source.last_answer.map(|at| Moment::new(at, now)),
        details: source.details.clone(),
    }
}
