//! Takes in a report: order, identity, boot, findings, facts.

use super::{
    Fleet, MOST_UNLISTED, Taken,
    packed::Packed,
    record::{Identity, Order, Said, worst_disk},
    tasks,
};
use crate::view::{FindingCounts, Transition};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Class, Policy, TaskClass,
    fleet::{AgentView, AttachedVolume, GatingFinding, Image, Progress, PuppetRuns, STALE, View},
};
use millwright_protocol::{Facts, Finding, NodeName, Report, Status};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

impl Fleet {
    /// See [`Fleet::take_report`].
    pub(super) fn take(&mut self, name: &NodeName, mut report: Report, now: Timestamp) -> Taken {
        let listed = self.policy.nodes.contains_key(name);
        let mut taken = Taken { listed, ..Taken::default() };
        if !self.make_room(name, listed) {
            return taken;
        }
        let order = self.order(name, &report);
        if order == Order::Late {
            taken.late = true;
            return taken;
        }
        self.compare_identity(name, &report, order, now, &mut taken.transitions);
        self.hear_whitelist(name, report.whitelist.take().map(|hosts| hosts.into_iter().collect()), now);
        self.hear_of_orders(name, std::mem::take(&mut report.local_holds), report.seen);
        let is_new_boot = self.note_head(name, &report, now, &mut taken.transitions);
        self.compare_findings(name, &report.findings, now, &mut taken.transitions);
        taken.tasks_changed = self.see(name, report, is_new_boot, now);
        self.settle_state(name, now, &mut taken.transitions);
        let boundary = add(now, STALE);
        self.next_boundary = Some(self.next_boundary.map_or(boundary, |at| at.min(boundary)));
        if let Some(record) = self.records.get_mut(name)
            && (taken.tasks_changed || !taken.transitions.is_empty())
        {
            record.saved_at = None;
        }
        taken
    }

    /// Whether the node may be kept; makes its entries.
    fn make_room(&mut self, name: &NodeName, listed: bool) -> bool {
        let is_known = self.snapshot.nodes.contains_key(name);
        if is_known && self.records.contains_key(name) {
            return true;
        }
        // One text for every place that names the node.
        let name = self.policy.nodes.get_key_value(name).map_or(name, |(listed, _)| listed);
        if !is_known {
            if !listed && self.unlisted >= MOST_UNLISTED {
                return false;
            }
            self.unlisted += usize::from(!listed);
            self.snapshot.nodes.insert(name.clone(), Box::default());
        }
        self.records.entry(name.clone()).or_default();
        true
    }

    fn order(&self, name: &NodeName, report: &Report) -> Order {
        let said = self.records.get(name).and_then(|record| record.said.as_ref());
        said.map_or(Order::Next, |said| said.order(report))
    }

    /// The certname is the authority; a machine that is not the recorded one is held until a person accepts it.
    fn compare_identity(
        &mut self,
        name: &NodeName,
        report: &Report,
        order: Order,
        now: Timestamp,
        transitions: &mut Vec<Transition>,
    ) {
        let expected = self.snapshot.operations.on(name).any(|operation| {
            matches!(operation.action, Action::Rebuild | Action::Create)
                && operation.progress >= Progress::Out
        });
        let Some(record) = self.records.get_mut(name) else { return };
        let Some(known) = &mut record.identity else { return };
        let difference = known.difference(&report.machine_id, report.server_uuid.as_deref());
        if difference.is_none() && known.server_uuid.is_none() {
            known.server_uuid.clone_from(&report.server_uuid);
        }
        let Some(what) = difference.or_else(|| {
            (order == Order::Rewound)
                .then(|| "it counts from an earlier point: it came back from a snapshot".to_owned())
        }) else {
            return;
        };
        if expected {
            record.identity = None;
            return;
        }
        let Some(node) = self.snapshot.nodes.get_mut(name) else { return };
        if node.identity_changed.as_ref().is_some_and(|(_, known)| *known == what) {
            return;
        }
        let since = node.identity_changed.as_ref().map_or(now, |(since, _)| *since);
        node.identity_changed = Some((since, what.clone()));
        let sentence = format!("{} is not the machine it was: {what}", self.policy.spell(name));
        transitions.push(self.transition(name, now, "identity", None, "changed", sentence));
    }

    /// Keeps the head of the report; tells whether the boot is a new one.
    fn note_head(
        &mut self,
        name: &NodeName,
        report: &Report,
        now: Timestamp,
        transitions: &mut Vec<Transition>,
    ) -> bool {
        let Some(record) = self.records.get_mut(name) else { return false };
        let before = record.said.take();
        let is_new_boot = before
            .as_ref()
            .is_none_or(|said| said.boot_id != report.boot_id || said.machine_id != report.machine_id);
        let previous_boot = match &before {
            Some(said) if said.boot_id != report.boot_id => Some(said.boot_id.clone()),
            Some(said) => said.previous_boot.clone(),
            None => None,
        };
        let said = Said {
            machine_id: report.machine_id.clone(),
            server_uuid: report.server_uuid.clone(),
            boot_id: report.boot_id.clone(),
            previous_boot,
            agent_version: report.agent_version.clone(),
            sequence: report.sequence,
            sent_at: report.sent_at,
            uptime_seconds: report.uptime_seconds,
        };
        record.identity.get_or_insert_with(|| Identity::of(&said, now));
        record.said = Some(said);
        record.heard = record.heard.saturating_add(1).min(2);
        if is_new_boot {
            record.clean_since = None;
            if before.is_some() {
                let sentence = format!("{} has booted anew", self.policy.spell(name));
                transitions.push(self.transition(name, now, "boot", None, "new", sentence));
            }
        }
        is_new_boot
    }

    /// Tells what changed among the findings. Equal digests, the everyday case, cost no look at the old ones.
    fn compare_findings(
        &mut self,
        name: &NodeName,
        findings: &[Finding],
        now: Timestamp,
        transitions: &mut Vec<Transition>,
    ) {
        let digest = fingerprint(findings);
        let Some(record) = self.records.get_mut(name) else { return };
        record.counts = count(findings);
        if std::mem::replace(&mut record.fingerprint, digest) == digest {
            return;
        }
        let before: BTreeMap<String, Finding> =
            record.packed.findings(&self.words).into_iter().map(|finding| (finding.key(), finding)).collect();
        let mut gone: BTreeSet<&String> = before.keys().collect();
        for finding in findings {
            let key = finding.key();
            gone.remove(&key);
            let was = before.get(&key).map(|finding| finding.status);
            let is_news = was.map_or(finding.status != Status::Ok, |was| was != finding.status);
            if is_news {
                let mut change = self.transition(
                    name,
                    now,
                    &key,
                    was.map(Status::as_str),
                    finding.status.as_str(),
                    finding.sentence.clone(),
                );
                change.gating = finding.gating;
                transitions.push(change);
            }
        }
        for finding in gone.into_iter().filter_map(|key| before.get(key)) {
            if finding.status != Status::Ok {
                let sentence = format!("{} is no longer looked at", finding.key());
                let mut change = self.transition(
                    name,
                    now,
                    &finding.key(),
                    Some(finding.status.as_str()),
                    "gone",
                    sentence,
                );
                change.gating = finding.gating;
                transitions.push(change);
            }
        }
    }

    /// Turns the report into what decisions need; tells whether the living tasks changed.
    fn see(&mut self, name: &NodeName, mut report: Report, is_new_boot: bool, now: Timestamp) -> bool {
        let class = self.policy.nodes.get(name).map(|listed| listed.class);
        let (Some(record), Some(node)) = (self.records.get_mut(name), self.snapshot.nodes.get_mut(name))
        else {
            return false;
        };
        cut_sizes(&mut report);
        record.packed = Packed::new(&report.findings, &report.facts, &mut self.words, &mut self.scratch);
        record.disk = worst_disk(&report.facts.volumes);
        let moved = match (&report.facts.mesos_agent, &record.own_mesos_id) {
            (Some(facts), own) if facts.agent_id.is_some() => facts.agent_id.as_deref() != own.as_deref(),
            _ => false,
        };
        if moved
            && let Some(id) = report.facts.mesos_agent.as_ref().and_then(|facts| facts.agent_id.as_deref())
        {
            match self.mesos.owners.get(id).filter(|owner| *owner != name) {
                // Whoever had it first keeps it: a node cannot take another one's tasks out of sight.
                Some(owner) => {
                    let what = format!("it claims the Mesos agent of {}: {id}", self.policy.spell(owner));
                    let since = node.identity_changed.as_ref().map_or(now, |(since, _)| *since);
                    node.identity_changed = Some((since, what));
                }
                None => {
                    if let Some(old) = record.own_mesos_id.replace(id.into()) {
                        self.mesos.owners.remove(&old);
                    }
                    self.mesos.owners.insert(id.into(), name.clone());
                }
            }
        }
        let was_healthy = node.is_proven_healthy(now);
        let before = node.agent.take();
        let tasks_before =
            before.as_ref().and_then(|agent| agent.tasks.known()).map_or(&[][..], Vec::as_slice);
        let tasks = tasks::own_tasks(&self.policy, class, &report.facts, tasks_before);
        let tasks_changed = !tasks::same(tasks_before, tasks.known().map_or(&[][..], Vec::as_slice));
        let services_changed = tasks_changed && {
            let is_service = |task: &&_| {
                matches!(task, millwright_decision::fleet::NodeTask { class: TaskClass::Service, .. })
            };
            tasks_before.iter().find(is_service).is_some()
                || tasks.known().into_iter().flatten().find(is_service).is_some()
        };
        let mut agent = agent_view(&report, tasks, now);
        (agent.boot_first_heard_at, agent.verified_at) = match &before {
            Some(before) if !is_new_boot => (before.boot_first_heard_at, before.verified_at),
            _ => (now, None),
        };
        // What was restored after a start tells nothing about gaps: nobody listened.
        let heard_before = before.as_ref().filter(|_| !is_new_boot && record.heard > 1);
        agent.healthy_since = healthy_since(heard_before, &agent, &report, now);
        record.verify(&mut agent, now);
        tasks::watch_own_emptiness(node, &agent, &report.facts, now);
        let failing_changed = before.as_ref().is_none_or(|before| {
            before.failing_checks != agent.failing_checks || now.duration_since(before.at) > STALE
        });
        node.agent = Some(agent);
        // Heard of: whatever TCP 22 said while it was silent is history.
        node.ssh = None;
        tasks::compare_views(node, now);
        if was_healthy != node.is_proven_healthy(now) || failing_changed || services_changed {
            self.counts_stale = true;
        }
        tasks_changed
    }

    /// A node's last report under a policy that has changed.
    pub(super) fn look_again(&mut self, name: &NodeName, now: Timestamp) {
        let class = self.policy.nodes.get(name).map(|listed| listed.class);
        let (Some(record), Some(node)) = (self.records.get(name), self.snapshot.nodes.get_mut(name)) else {
            return;
        };
        if let Some(agent) = &mut node.agent {
            let (_, facts) = record.packed.open(&self.words);
            agent.tasks = tasks::own_tasks(&self.policy, class, &facts, &[]);
            // What was empty under other rules is proven anew.
            node.agent_empty = None;
        }
        if let Some(master) = &mut node.master {
            tasks::protect_all(&mut master.tasks);
            node.master_empty = None;
        }
        tasks::compare_views(node, now);
    }

    /// A change, spelled as policy spells the node.
    pub(super) fn transition(
        &self,
        name: &NodeName,
        at: Timestamp,
        what: &str,
        from: Option<&str>,
        to: &str,
        sentence: String,
    ) -> Transition {
        Transition {
            at,
            node: self.policy.spell(name).to_owned(),
            key: name.as_str().to_owned(),
            what: what.to_owned(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
            gating: false,
            sentence,
        }
    }
}

/// So many findings, containers, … of one node are kept; more come from an agent that has lost its mind.
const MOST_ROWS: usize = 1_000;

fn cut_sizes(report: &mut Report) {
    report.findings.truncate(MOST_ROWS);
    report.facts.volumes.truncate(MOST_ROWS);
    report.facts.images.truncate(MOST_ROWS);
}

/// What decisions need of a report. Boot, verification and health are the caller's.
pub(super) fn agent_view(
    report: &Report,
    tasks: View<Vec<millwright_decision::fleet::NodeTask>>,
    now: Timestamp,
) -> AgentView {
    let facts = &report.facts;
    AgentView {
        at: now,
        boot_first_heard_at: now,
        verified_at: None,
        healthy_since: None,
        gating: gating(report, now),
        failing_checks: failing(&report.findings),
        tasks,
        containers: tasks::containers(report),
        volumes: attached(facts),
        images: facts
            .images
            .iter()
            .map(|image| Image {
                name: image.name.clone(),
                present: image.present,
                size_bytes: image.size_bytes,
            })
            .collect(),
        puppet: facts
            .puppet
            .as_ref()
            .map(|puppet| PuppetRuns { clean: puppet.clean_streak, failed: puppet.failed_streak }),
        leads_mesos: facts.mesos_master.as_ref().is_some_and(|master| master.elected == Some(true)),
    }
}

/// Gating findings that are neither `ok` nor `warn`. A report that says nothing at all is no clean report.
fn gating(report: &Report, now: Timestamp) -> Vec<GatingFinding> {
    if report.findings.is_empty() {
        return vec![GatingFinding {
            key: "report".into(),
            is_crit: false,
            sentence: "its agent reports no findings at all".into(),
            since: now,
        }];
    }
    report
        .findings
        .iter()
        .filter(|finding| finding.gating && !finding.status.is_healthy())
        .map(|finding| GatingFinding {
            key: finding.key(),
            is_crit: finding.status == Status::Crit,
            sentence: finding.sentence.clone(),
            since: by_our_clock(finding.since, report.sent_at, now),
        })
        .collect()
}

fn failing(findings: &[Finding]) -> Vec<String> {
    let failing: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| finding.status == Status::Crit)
        .map(|finding| finding.check.as_str())
        .collect();
    failing.into_iter().map(str::to_owned).collect()
}

fn attached(facts: &Facts) -> Vec<AttachedVolume> {
    let mut volumes: Vec<AttachedVolume> = facts
        .volumes
        .iter()
        .filter(|volume| !volume.is_root)
        .map(|volume| AttachedVolume {
            mount: volume.mount.clone(),
            mounted: volume.mounted,
            uuid: volume.uuid.clone(),
            serial: volume.serial.clone(),
            size_bytes: volume.size_bytes,
        })
        .collect();
    // A filtered list is made with room for four. A node has one, and there are many nodes.
    volumes.shrink_to_fit();
    volumes
}

/// R4: since when every gating finding has been `ok` or `warn` while reports came in.
///
/// The node's own account of the time before the first report counts: a coordinator that restarts does not make a
/// healthy master young. A gap in the reports does, and so does a finding that was bad in between.
fn healthy_since(
    before: Option<&AgentView>,
    agent: &AgentView,
    report: &Report,
    now: Timestamp,
) -> Option<Timestamp> {
    if !agent.is_gating_clean() {
        return None;
    }
    let Some(before) = before else {
        let gating = report.findings.iter().filter(|finding| finding.gating);
        let youngest = gating.map(|finding| by_our_clock(finding.since, report.sent_at, now)).max();
        let booted = ago(now, report.uptime_seconds);
        return Some(youngest.unwrap_or(now).max(booted));
    };
    let is_gap = now.duration_since(before.at) > STALE;
    before.healthy_since.filter(|_| !is_gap).or(Some(now))
}

/// A moment of the node's clock by ours: it was as long ago as the node says. Never in the future.
pub(super) fn by_our_clock(moment: Timestamp, sent_at: Timestamp, now: Timestamp) -> Timestamp {
    let age = sent_at.duration_since(moment).max(SignedDuration::ZERO);
    now.checked_sub(age).unwrap_or(now)
}

/// So many seconds before `now`.
pub(super) fn ago(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(now)
}

pub(super) fn add(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(at)
}

pub(super) fn count(findings: &[Finding]) -> FindingCounts {
    let mut counts = FindingCounts::default();
    for finding in findings {
        match finding.status {
            Status::Ok => counts.ok += 1,
            Status::Warn => counts.warn += 1,
            Status::Unknown => counts.unknown += 1,
            Status::Crit => counts.crit += 1,
        }
    }
    counts
}

/// A digest of what makes a finding another one: its name, status, weight and beginning.
pub(super) fn fingerprint(findings: &[Finding]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for finding in findings {
        (&finding.check, &finding.item, finding.status, finding.gating, finding.since).hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether nodes of the class take tasks.
pub(super) fn takes_tasks(policy: &Policy, class: Option<Class>) -> bool {
    let Some(class) = class else { return true };
    class != Class::Master
        && policy
            .classes
            .get(&class)
            .is_none_or(|class| class.required.contains(&millwright_decision::Source::MesosMaster))
}
