//! From the file as written to the checked policy: every contradiction is found, not only the first.

mod executors;

use super::fragment::{
    ClassFragment, ConsentFragment, ConsentKind, Fragment, FreezeFragment, Protections, Requirement,
    ShareFragment, Task, Weekly, example,
};
use crate::written::{Complaint, Written};
use jiff::{SignedDuration, Timestamp, civil::Time, tz::TimeZone};
use millwright_decision::{
    Class, ClassPolicy, Consent, Freeze, Mode, NodePolicy, Policy, Protection, Share, Source, TaskRule,
    Tasks, VolumePolicy, WeeklyWindow,
};
use millwright_protocol::NodeName;
use regex_lite::Regex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    hash::{DefaultHasher, Hash, Hasher},
};
use toml::Spanned;

/// DESIGN section 4: what holds for a class unless its policy says otherwise.
const OUT: Share = Share { at_least: 1, percent: 10 };
const DRAINING: Share = Share { at_least: 2, percent: 10 };
/// Time in which somebody may miss a server that is to be deleted.
const QUARANTINE: SignedDuration = SignedDuration::from_hours(7 * 24);
const AGENT_SETTLE: SignedDuration = SignedDuration::from_mins(5);
const MASTER_SETTLE: SignedDuration = SignedDuration::from_mins(60);
const OBJECTION_WINDOW: SignedDuration = SignedDuration::from_mins(30);
const SECOND_PERSON_OR: SignedDuration = SignedDuration::from_hours(12);

/// How days are written, in the order of [`WeeklyWindow`].
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads a text, or says everything that is wrong with it.
pub(super) fn read(text: &str) -> Result<Policy, Vec<Complaint>> {
    let written = Written::parse(text)?;
    let read = written.read::<Fragment>(example);
    let top = |complaint: &Complaint| complaint.key.split('.').next().unwrap_or_default().to_owned();
    let torn = read.complaints.iter().map(top).collect();
    let mut checker = Checker { written, torn, complaints: read.complaints };
    let policy = read.value.map(|fragment| checker.policy(&fragment, text));
    let mut complaints = checker.complaints;
    complaints.sort();
    complaints.dedup();
    policy.filter(|_| complaints.is_empty()).ok_or(complaints)
}

struct Checker<'a> {
    written: Written<'a>,
    /// Tables of which something could not be read; what seems to be missing there may be what was left out.
    torn: BTreeSet<String>,
    complaints: Vec<Complaint>,
}

impl Checker<'_> {
    fn policy(&mut self, fragment: &Fragment, text: &str) -> Policy {
        let cluster = fragment.cluster.as_ref();
        if cluster.is_none() {
            self.miss_table(
                "cluster",
                "the table is missing; write `[cluster]`, and below it `name = \"build\"` and \
                 `coordinator = \"HOST\"`, the host the coordinator runs on",
            );
        }
        let zones: BTreeSet<String> = cluster.iter().flat_map(|cluster| &cluster.zones).cloned().collect();
        let mut nodes = self.nodes(fragment, &zones);
        self.protect(fragment, &mut nodes);
        let classes = self.classes(fragment, &nodes);
        self.masters_stand_apart(fragment);
        Policy {
            unreadable: None,
            version: digest(text),
            cluster: cluster.map_or_else(String::new, |cluster| cluster.name.clone()),
            coordinator: cluster
                .and_then(|cluster| self.name(&cluster.coordinator))
                .unwrap_or_else(placeholder),
            zones,
            classes,
            volumes: self.volumes(fragment, &nodes),
            nodes,
            tasks: Tasks { rules: fragment.tasks.iter().filter_map(|task| self.task(task)).collect() },
            executors: self.executors(fragment),
            external_checks: cluster.iter().flat_map(|cluster| &cluster.external_checks).cloned().collect(),
            reboot_hint: fragment.hints.reboot.clone(),
            rights_hint: fragment.hints.rights.clone(),
        }
    }

    fn refuse<T>(&mut self, at: &Spanned<T>, error: impl Display) {
        self.complaints.push(self.written.complain(&at.span(), error.to_string()));
    }

    /// Refuses what misses something in a table.
    fn miss<T>(&mut self, table: &str, at: &Spanned<T>, error: impl Display) {
        if !self.torn.contains(table) {
            self.refuse(at, error);
        }
    }

    /// Refuses the file as a whole for a table that is not in it.
    fn miss_table(&mut self, table: &str, message: &str) {
        if !self.torn.contains(table) {
            let (key, message) = (table.to_owned(), message.to_owned());
            self.complaints.push(Complaint { line: None, key, message });
        }
    }

    fn name(&mut self, given: &Spanned<String>) -> Option<NodeName> {
        given.get_ref().parse().map_err(|error| self.refuse(given, error)).ok()
    }

    fn nodes(&mut self, fragment: &Fragment, zones: &BTreeSet<String>) -> BTreeMap<NodeName, NodePolicy> {
        let mut nodes: BTreeMap<NodeName, NodePolicy> = BTreeMap::new();
        for group in &fragment.nodes {
            if let Some(zone) = group.zone.as_ref().filter(|zone| !zones.contains(zone.get_ref())) {
                let known = zones.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                self.miss(
                    "cluster",
                    zone,
                    format!("the zone {:?} is not one of cluster.zones ({known})", zone.get_ref()),
                );
            }
            for given in &group.names {
                let Some(name) = self.name(given) else { continue };
                if let Some(twin) = nodes.get(&name) {
                    let twin = &twin.display;
                    self.refuse(
                        given,
                        format!("{:?} and {twin:?} are the same node; list it once", given.get_ref()),
                    );
                    continue;
                }
                let node = NodePolicy {
                    display: given.get_ref().split('.').next().unwrap_or_default().trim().to_lowercase(),
                    class: group.class,
                    zone: group.zone.as_ref().map(|zone| zone.get_ref().clone()),
                    labels: group.labels.iter().cloned().collect(),
                    protections: BTreeSet::new(),
                    project: group
                        .project
                        .clone()
                        .or_else(|| fragment.cluster.as_ref().and_then(|cluster| cluster.project.clone())),
                    attributes: group.attributes.clone(),
                };
                nodes.insert(name, node);
            }
        }
        nodes
    }

    /// DESIGN 3.7: nothing to protect has to be said, not left out.
    fn protect(&mut self, fragment: &Fragment, nodes: &mut BTreeMap<NodeName, NodePolicy>) {
        const SAY: &str = "list the protected nodes under [protections], or say `protections = \"none\"` above the first table";
        let Some(protections) = &fragment.protections else {
            return self.miss_table("protections", &format!("there are no protections; {SAY}"));
        };
        let table = match protections.get_ref() {
            Protections::Word(word) if word == "none" => return,
            Protections::Word(word) => {
                return self.refuse(protections, format!("{word:?} is not understood; {SAY}"));
            }
            Protections::Table(table) if table.is_empty() => {
                return self.miss("protections", protections, format!("the table is empty; {SAY}"));
            }
            Protections::Table(table) => table,
        };
        let mut seen = BTreeSet::new();
        for (given, protections) in table {
            let Some(name) = self.name(given) else { continue };
            if !seen.insert(name.clone()) {
                self.refuse(
                    given,
                    format!("{:?} is protected twice, in two spellings; keep one", given.get_ref()),
                );
            } else if protections.is_empty() {
                self.refuse(given, format!("{:?} has an empty list of protections; {SAY}", given.get_ref()));
            } else if let Some(node) = nodes.get_mut(&name) {
                node.protections = protections.iter().copied().collect();
            } else {
                self.miss(
                    "nodes",
                    given,
                    format!("{:?} is protected, and is not one of the nodes; list it", given.get_ref()),
                );
            }
        }
    }

    fn volumes(&mut self, fragment: &Fragment, nodes: &BTreeMap<NodeName, NodePolicy>) -> Vec<VolumePolicy> {
        let mut volumes = Vec::new();
        for volume in &fragment.volumes {
            let Some(node) = self.name(&volume.node) else { continue };
            if !nodes.contains_key(&node) {
                self.miss(
                    "nodes",
                    &volume.node,
                    format!("the volume {:?} names a node that is not listed", volume.name),
                );
            }
            if volume.cinder.is_none() && volume.uuid.is_none() {
                let error = format!(
                    "the volume {:?} has neither `cinder` nor `uuid`, so it can never be recognised",
                    volume.name
                );
                self.miss("volumes", &volume.node, error);
            }
            volumes.push(VolumePolicy {
                name: volume.name.clone(),
                node,
                cinder: volume.cinder.clone(),
                uuid: volume.uuid.clone(),
                protections: volume.protections.iter().copied().collect(),
            });
        }
        let Some(Protections::Table(table)) = fragment.protections.as_ref().map(Spanned::get_ref) else {
            return volumes;
        };
        for (given, protections) in table {
            if protections.contains(&Protection::NeverDeleteVolume)
                && !volumes.iter().any(|volume| given.get_ref().parse() == Ok(volume.node.clone()))
            {
                let error = "has never_delete_volume, and no volume under [[volumes]]";
                self.miss(
                    "volumes",
                    given,
                    format!("{} {error}; add its Cinder id or file-system UUID", given.get_ref()),
                );
            }
        }
        for volume in &mut volumes {
            // A node's protection of its volumes holds for each of them, wherever it is attached.
            if nodes
                .get(&volume.node)
                .is_some_and(|node| node.protections.contains(&Protection::NeverDeleteVolume))
            {
                volume.protections.insert(Protection::NeverDeleteVolume);
            }
        }
        volumes
    }

    fn classes(
        &mut self,
        fragment: &Fragment,
        nodes: &BTreeMap<NodeName, NodePolicy>,
    ) -> BTreeMap<Class, ClassPolicy> {
        let used: BTreeSet<Class> = nodes.values().map(|node| node.class).collect();
        let empty = ClassFragment::default();
        used.iter()
            .chain(fragment.classes.keys())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|class| (*class, self.class(*class, fragment.classes.get(class).unwrap_or(&empty))))
            .collect()
    }

    fn class(&mut self, class: Class, fragment: &ClassFragment) -> ClassPolicy {
        let is_master = class == Class::Master;
        let second_person = Consent::SecondPerson(SECOND_PERSON_OR);
        let (reboot, rebuild) = if matches!(class, Class::Master | Class::Dedicated) {
            (second_person, second_person)
        } else {
            (Consent::None, Consent::ObjectionWindow(OBJECTION_WINDOW))
        };
        let mut required: BTreeSet<Source> = fragment
            .sources
            .iter()
            .filter(|(_, requirement)| **requirement == Requirement::Required)
            .map(|(source, _)| *source)
            .collect();
        if !fragment.sources.contains_key(&Source::Agent) && class != Class::Physical {
            required.insert(Source::Agent);
        }
        ClassPolicy {
            mode: fragment.mode.unwrap_or(Mode::Observe),
            required,
            out: self.share(fragment.out.as_ref(), OUT),
            draining: self.share(fragment.draining.as_ref(), DRAINING),
            settle: self
                .duration_or(fragment.settle.as_ref(), if is_master { MASTER_SETTLE } else { AGENT_SETTLE }),
            quarantine: self.duration_or(fragment.quarantine.as_ref(), QUARANTINE),
            windows: fragment.windows.iter().filter_map(|window| self.weekly(window)).collect(),
            quiet_hours: fragment.quiet_hours.iter().filter_map(|window| self.weekly(window)).collect(),
            freezes: fragment.freezes.iter().filter_map(|freeze| self.freeze(freeze)).collect(),
            reboot_consent: self.consent(fragment.consent.reboot.as_ref(), reboot),
            rebuild_consent: self.consent(fragment.consent.rebuild.as_ref(), rebuild),
            delete_consent: self.consent(fragment.consent.delete.as_ref(), second_person),
            volume_bytes: fragment.volume.as_ref().and_then(|given| self.size(given)),
            images: fragment.images.clone(),
            words: self.words(fragment),
        }
    }

    fn share(&mut self, given: Option<&ShareFragment>, default: Share) -> Share {
        let Some(given) = given else { return default };
        let percent = *given.percent.get_ref();
        if percent > 100 {
            self.refuse(
                &given.percent,
                format!("{percent} % is more than all; write a number from 0 to 100"),
            );
        }
        Share { at_least: given.at_least, percent }
    }

    /// R1: a master has a zone of its own, where zones are known at all.
    fn masters_stand_apart(&mut self, fragment: &Fragment) {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for group in fragment.nodes.iter().filter(|group| group.class == Class::Master) {
            let Some(zone) = &group.zone else { continue };
            for given in &group.names {
                if let Some(other) = taken.insert(zone.get_ref(), given.get_ref()) {
                    let error = format!(
                        "{} and {other} are masters in the same zone {}; R1 wants one each",
                        given.get_ref(),
                        zone.get_ref()
                    );
                    self.refuse(given, error);
                }
            }
        }
    }

    fn consent(&mut self, given: Option<&ConsentFragment>, default: Consent) -> Consent {
        let Some(given) = given else { return default };
        let (wanted, key, stray) = match given.kind.get_ref() {
            ConsentKind::None => (None, "", given.lasts.as_ref().or(given.or_after.as_ref())),
            ConsentKind::ObjectionWindow => (given.lasts.as_ref(), "lasts", given.or_after.as_ref()),
            ConsentKind::SecondPerson => (given.or_after.as_ref(), "or_after", given.lasts.as_ref()),
        };
        if let Some(stray) = stray {
            self.refuse(stray, "`lasts` goes with \"objection_window\", `or_after` with \"second_person\"");
        }
        let length = wanted.and_then(|wanted| self.duration(wanted));
        match (given.kind.get_ref(), length) {
            (ConsentKind::None, _) => Consent::None,
            (ConsentKind::ObjectionWindow, Some(length)) => Consent::ObjectionWindow(length),
            (ConsentKind::SecondPerson, Some(length)) => Consent::SecondPerson(length),
            _ => {
                if wanted.is_none() {
                    self.refuse(&given.kind, format!("`{key}` is missing; write it such as \"12h\""));
                }
                default
            }
        }
    }

    fn weekly(&mut self, given: &Weekly) -> Option<WeeklyWindow> {
        let mut days = [false; 7];
        for day in &given.days {
            match DAYS.iter().position(|name| name == day.get_ref()).and_then(|index| days.get_mut(index)) {
                Some(slot) => *slot = true,
                None => self
                    .refuse(day, format!("{:?} is not a day; days are {}", day.get_ref(), DAYS.join(", "))),
            }
        }
        let start = Time::strptime("%H:%M", given.start.get_ref())
            .map_err(|_| self.refuse(&given.start, "a start is written \"HH:MM\", such as \"22:00\""))
            .ok();
        let zone = TimeZone::get(given.zone.get_ref())
            .map_err(|_| {
                let error = format!(
                    "the time zone {:?} is not known here; write one such as \"Europe/Zurich\" or \"UTC\"",
                    given.zone.get_ref()
                );
                self.refuse(&given.zone, error);
            })
            .ok();
        let length = self.duration(&given.lasts)?;
        if length > SignedDuration::from_hours(24) {
            self.refuse(&given.lasts, "a window lasts 24h at most; list more days instead");
        }
        Some(WeeklyWindow { name: given.name.clone(), days, start: start?, length, zone: zone? })
    }

    fn freeze(&mut self, given: &FreezeFragment) -> Option<Freeze> {
        let mut moment = |text: &Spanned<String>| {
            text.get_ref()
                .parse::<Timestamp>()
                .map_err(|_| self.refuse(text, "a moment is written \"2026-01-31T10:00:00Z\""))
                .ok()
        };
        let (from, until) = (moment(&given.from)?, moment(&given.until)?);
        if until <= from {
            self.refuse(&given.until, format!("the freeze {:?} ends before it begins", given.name));
        }
        Some(Freeze { name: given.name.clone(), from, until })
    }

    fn task(&mut self, given: &Task) -> Option<TaskRule> {
        let mut pattern = |text: &Option<Spanned<String>>| {
            let text = text.as_ref()?;
            Regex::new(text.get_ref())
                .map_err(|error| {
                    self.refuse(text, format!("the pattern of task rule {:?}: {error}", given.name.get_ref()))
                })
                .ok()
        };
        let (id, task_name) = (pattern(&given.id), pattern(&given.task_name));
        let (framework, role) = (pattern(&given.framework), pattern(&given.role));
        let has_condition =
            [&given.id, &given.task_name, &given.framework, &given.role].iter().any(|text| text.is_some())
                || given.min_cpus.is_some()
                || given.below_cpus.is_some();
        if !has_condition {
            let error = format!(
                "the task rule {:?} has no condition, so it would match every task; add one, such as \
                 `framework = \"(?i)marathon\"`",
                given.name.get_ref()
            );
            self.miss("tasks", &given.name, error);
        }
        let warm_up = self.duration_or(given.warm_up.as_ref(), SignedDuration::ZERO);
        if let Some(owner) = given.owner.as_ref().filter(|owner| owner.get_ref().trim().is_empty()) {
            let error = format!(
                "the owner of the task rule {:?} is empty; name whom [owners] of coordinator.toml can ask, such as \
                 \"releases\"",
                given.name.get_ref()
            );
            self.refuse(owner, error);
        }
        Some(TaskRule {
            name: given.name.get_ref().clone(),
            id,
            task_name,
            framework,
            role,
            min_cpus: given.min_cpus,
            below_cpus: given.below_cpus,
            class: given.class,
            warm_up_seconds: u64::try_from(warm_up.as_secs()).unwrap_or(0),
            owner: given.owner.as_ref().map(|owner| owner.get_ref().clone()),
        })
    }

    fn duration_or(&mut self, given: Option<&Spanned<String>>, default: SignedDuration) -> SignedDuration {
        given.map_or(Some(default), |given| self.duration(given)).unwrap_or(default)
    }

    fn duration(&mut self, given: &Spanned<String>) -> Option<SignedDuration> {
        let duration =
            given.get_ref().parse::<SignedDuration>().ok().filter(|length| *length > SignedDuration::ZERO);
        if duration.is_none() {
            self.refuse(
                given,
                format!("{:?} is not a length of time; write \"30s\", \"15m\" or \"12h\"", given.get_ref()),
            );
        }
        duration
    }

    fn size(&mut self, given: &Spanned<String>) -> Option<u64> {
        let size = bytes(given.get_ref());
        if size.is_none() {
            self.refuse(given, format!("{:?} is not a size; write \"500GB\" or \"500GiB\"", given.get_ref()));
        }
        size
    }
}

/// "500GB" is 500 · 10⁹, "500GiB" is 500 · 2³⁰.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Stands in while other errors are collected; a policy with an error is never used.
fn placeholder() -> NodeName {
    #[expect(clippy::unwrap_used, reason = "a constant that is a name")]
    "unnamed".parse().unwrap()
}

/// Names a version of the file. Equal texts have equal digests; it guards against mix-ups, not against attackers.
fn digest(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
