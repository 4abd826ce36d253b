//! Example fleets under the shipped policy, for tests and for looking at the pages. Verdicts are the real ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "example data that is wrong has to be found at once"
)]

mod node;
mod operations;

use super::{PageData, Refused};
use crate::{
    people::{Caller, How, Rights},
    store::AuditEntry,
    view::*,
};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Class, Mode, Policy, Protection, Request, Source, TaskClass, TaskMatch, Unreadable, Verdict,
    example::ExampleFleet,
    fleet::{Brake, Listing, Pause, SshProbe, WarmUp},
    judge,
};
use millwright_protocol::{NodeName, Status};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

const POLICY: &str = include_str!("../../../packaging/coordinator/etc/millwright/policy.alice.toml");

/// A release build, named as Jenkins names it.
pub const BUILD: &str = "mesos-jenkins-0123456789abcdef0123456789abcdef-slc7_x86-64-larg";

/// A fleet with everything that its pages show.
pub struct Example {
    /// The fleet page's data.
    pub fleet: FleetView,
    /// The node pages' data.
    pub nodes: BTreeMap<NodeName, NodeDetail>,
    verdicts: BTreeMap<NodeName, Vec<Verdict>>,
    /// The pages about operations.
    pub operations: Vec<OperationView>,
    /// Holds that stand.
    pub holds: Vec<HoldView>,
    /// What people said.
    pub audit: Vec<AuditEntry>,
    /// What the API is told by forms.
    pub said: Mutex<Vec<(String, Value)>>,
    /// What it answers to that.
    pub answer: Result<Value, Refused>,
}

/// Jane, who may what her rights say.
pub fn jane(rights: &str) -> Caller {
    let rights = Rights::of_words(rights.split_whitespace()).unwrap();
    Caller { name: "jane".to_owned(), rights, how: How::Token { id: "t1".to_owned() } }
}

impl PageData for Example {
    fn fleet(&self) -> FleetView {
        self.fleet.clone()
    }

    async fn node(&self, name: &NodeName) -> Option<NodeDetail> {
        self.nodes.get(name).cloned()
    }

    fn verdict(&self, action: Action, name: &NodeName) -> Option<Verdict> {
        self.verdicts.get(name)?.iter().find(|verdict| verdict.action == action).cloned()
    }

    async fn operations(&self) -> Vec<OperationSummary> {
        self.operations.iter().map(|operation| operation.summary.clone()).collect()
    }

    async fn operation(&self, id: &str) -> Option<OperationView> {
        self.operations.iter().find(|operation| operation.summary.id == id).cloned()
    }

    fn holds(&self) -> Vec<HoldView> {
        self.holds.clone()
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, Refused> {
        Ok(self.audit.iter().take(limit).cloned().collect())
    }

    fn form_seal(&self, caller: &Caller) -> String {
        format!("seal of {}", caller.name)
    }

    fn is_form_of(&self, caller: &Caller, seal: &str) -> bool {
        seal == self.form_seal(caller)
    }

    async fn say(self: &Arc<Self>, _: &Caller, path: &str, body: &Value) -> Result<Value, Refused> {
        self.said.lock().unwrap().push((path.to_owned(), body.clone()));
        self.answer.clone()
    }
}

impl Example {
    /// Every example with its name.
    pub fn all() -> Vec<(&'static str, Self)> {
        vec![
            ("busy", Self::busy()),
            ("calm", Self::calm()),
            ("empty", Self::empty()),
            ("unreadable", Self::unreadable()),
            ("starting", Self::starting()),
            ("storm", Self::storm()),
        ]
    }

    /// A usual afternoon: some builds, some trouble.
    pub fn busy() -> Self {
        let mut story = Story::new();
        for class in story.fleet.policy.classes.values_mut() {
            class.mode = Mode::Advise;
        }
        story.trouble();
        story.attention.push(Attention {
            operation: Some("op-25".to_owned()),
            next: Some("see `millwright operations op-25`".to_owned()),
            ..story.crit("alibuild09", "the Mesos master did not take the node back in 3 tries")
        });
        let mut example = story.told();
        let now = example.fleet.asked_at;
        example.operations = operations::operations(now);
        example.holds = operations::holds(now);
        example.audit = operations::audit(now);
        example
    }

    /// Nothing to do.
    pub fn calm() -> Self {
        Story::new().told()
    }

    /// The first minute of an installation.
    pub fn empty() -> Self {
        let mut example = Story::new().told();
        example.nodes.clear();
        example.verdicts.clear();
        example.fleet.classes.clear();
        example.fleet.policy.listed = 0;
        example
    }

    /// A policy with a fault in it.
    pub fn unreadable() -> Self {
        let mut story = Story::new();
        story.fleet.policy.unreadable = Some(Unreadable {
            why: "line 14: `protectoins`: unknown key; known keys are `cluster`, `hints`, `protections`"
                .to_owned(),
            path: Some("/etc/millwright/policy.toml".to_owned()),
            since: Some(story.ago(SignedDuration::from_mins(3))),
        });
        story.told()
    }

    /// A coordinator that has just started.
    pub fn starting() -> Self {
        let mut story = Story::new();
        let now = story.fleet.now;
        story.fleet.snapshot.warm_up = Some(WarmUp {
            since: now - SignedDuration::from_secs(12),
            rounds: 1,
            missing: vec![name("alibuild30")],
        });
        for name in ["alibuild30", "alibuild31"] {
            story.stale(name, SignedDuration::from_secs(95));
        }
        story.told()
    }

    /// A bad night.
    pub fn storm() -> Self {
        let mut story = Story::new();
        let now = story.fleet.now;
        story.trouble();
        for number in 30..=42 {
            story.silent(&format!("alibuild{number}"));
        }
        for number in [1, 4, 5, 6, 7, 8, 11, 14] {
            let sentence = format!("Docker has restarted mesos-slave {number} times within the hour");
            let node = format!("alibuild{number:02}");
            story.sick(
                &node,
                "container/mesos-slave",
                &sentence,
                SignedDuration::from_mins(number),
                "look at its log",
            );
        }
        let ago = |minutes| now - SignedDuration::from_mins(minutes);
        story.fleet.snapshot.brakes.insert(
            Class::Agent,
            Brake { since: ago(3), why: "13 of 45 nodes went bad within 10 min".to_owned() },
        );
        story.fleet.snapshot.pause =
            Some(Pause { since: ago(1), by: "jane".to_owned(), reason: "switch in building 513".to_owned() });
        story.fleet.snapshot.leader_changed_at = Some(ago(4));
        story.told()
    }
}

/// The canonical name.
pub fn name(spelled: &str) -> NodeName {
    spelled.parse().unwrap()
}

/// A fleet under construction: facts for the decision beside words for the pages.
struct Story {
    fleet: ExampleFleet,
    told: BTreeMap<NodeName, (NodeState, String, SignedDuration)>,
    attention: Vec<Attention>,
    disks: BTreeMap<NodeName, (u8, Option<f64>)>,
    unlisted: Vec<NodeSummary>,
}

impl Story {
    fn new() -> Self {
        let policy: Policy = crate::policy::parse(POLICY, Path::new("policy.alice.toml")).unwrap();
        let now: Timestamp = "2026-01-31T14:20:07Z".parse().unwrap();
        Self {
            fleet: ExampleFleet::new(policy, now),
            told: BTreeMap::new(),
            attention: Vec::new(),
            disks: BTreeMap::new(),
            unlisted: Vec::new(),
        }
    }

    fn ago(&self, age: SignedDuration) -> Timestamp {
        self.fleet.now - age
    }

    fn attend(
        &mut self,
        spelled: &str,
        status: Status,
        finding: Option<&str>,
        sentence: &str,
        age: SignedDuration,
        next: &str,
    ) {
        self.attention.push(Attention {
            node: Some(spelled.to_owned()),
            key: Some(name(spelled).as_str().to_owned()),
            status,
            finding: finding.map(|check| format!("{}/{check}", name(spelled))),
            operation: None,
            sentence: sentence.to_owned(),
            since: Some(self.ago(age)),
            next: Some(next.to_owned()),
        });
    }

    fn crit(&self, spelled: &str, sentence: &str) -> Attention {
        Attention {
            node: Some(spelled.to_owned()),
            key: Some(name(spelled).as_str().to_owned()),
            status: Status::Crit,
            finding: None,
            operation: None,
            sentence: sentence.to_owned(),
            since: Some(self.ago(SignedDuration::from_mins(3))),
            next: None,
        }
    }

    fn stale(&mut self, spelled: &str, age: SignedDuration) {
        self.fleet.report_age(&name(spelled), age);
        let sentence = format!("last report {} s ago", age.as_secs());
        self.told.insert(name(spelled), (NodeState::Stale, sentence, age));
    }

    fn silent(&mut self, spelled: &str) {
        let age = SignedDuration::from_mins(7);
        let at = self.fleet.now;
        self.fleet.report_age(&name(spelled), age);
        let node = self.fleet.node(&name(spelled));
        node.ssh = Some(SshProbe {
            at,
            answered: Some(false),
            story: "no connection to alibuild12:22 within 5 s".into(),
            ping: None,
        });
        if let Some(view) = &mut node.master {
            view.listing = Listing::Unreachable;
        }
        let sentence = "no report for 7 min, ssh does not answer, Mesos lists it as unreachable";
        self.told.insert(name(spelled), (NodeState::Silent, sentence.to_owned(), age));
        self.attend(
            spelled,
            Status::Crit,
            None,
            sentence,
            age,
            &format!("look at its console in OpenStack, then `millwright may reboot {spelled}`"),
        );
    }

    fn sick(&mut self, spelled: &str, check: &str, sentence: &str, age: SignedDuration, next: &str) {
        self.fleet.gating(&name(spelled), check, true, age);
        self.told.insert(name(spelled), (NodeState::Sick, sentence.to_owned(), age));
        self.attend(spelled, Status::Crit, Some(check), sentence, age, next);
    }

    fn runs(&mut self, spelled: &str, id: &str, task: &str, framework: &str, cpus: f64) {
        self.fleet.runs(&name(spelled), TaskMatch { id, name: task, framework, role: "*", cpus });
    }

    fn trouble(&mut self) {
        let minutes = SignedDuration::from_mins;
        self.silent("alibuild12");
        self.sick(
            "alibuild17",
            "volume/build",
            "/build is not mounted; what is written there fills the root disk",
            minutes(47),
            "log in, then `mount /build`; if the disk is missing, look at its volume in OpenStack",
        );
        let disk = "/build is 91 % full and will be full in 5 h, before tonight's tags";
        self.disks.insert(name("alibuild10"), (91, Some(5.2)));
        self.attend(
            "alibuild10",
            Status::Warn,
            Some("volume/build"),
            disk,
            minutes(130),
            "remove old work areas under /build/workarea/sw",
        );
        self.told.insert(name("alibuild10"), (NodeState::Healthy, disk.to_owned(), minutes(1200)));
        self.runs("alibuild10", BUILD, BUILD, "Jenkins Scheduler", 8.0);
        self.runs(
            "alibuild10",
            "1769-mesosci-prod-ci_slc7-0-7a",
            "mesosci/prod/ci_slc7",
            "TwitterScheduler",
            2.0,
        );
        for (node, number) in [("alibuild01", 1), ("alibuild04", 2), ("alibuild08", 1), ("alibuild24", 3)] {
            for task in 0..number {
                self.runs(
                    node,
                    &format!("1769-mesosci-prod-ci_slc7-{task}"),
                    "mesosci/prod/ci_slc7",
                    "TwitterScheduler",
                    2.0,
                );
            }
        }
        self.runs("alibuild03", "repo.7b1c", "repo", "marathon", 1.0);
        let changed = "another machine id than recorded: 4f1e… was 9ac3…";
        let since = self.ago(minutes(25));
        self.fleet.node(&name("alibuild21")).identity_changed = Some((since, changed.to_owned()));
        self.attend(
            "alibuild21",
            Status::Warn,
            None,
            changed,
            minutes(25),
            "`millwright node accept alibuild21` once you know who rebuilt it",
        );
        self.told.insert(
            name("alibuild22"),
            (NodeState::Verifying, "clean, one report of two since its boot".to_owned(), minutes(0)),
        );
        self.fleet.agent(&name("alibuild22")).verified_at = None;
        self.unlisted.push(NodeSummary {
            state: NodeState::Unlisted,
            sentence: "reports, and is not in the policy".to_owned(),
            class: None,
            zone: None,
            ..self.summary("alibuild99", Class::Agent, None, &[])
        });
    }

    fn summary(
        &self,
        spelled: &str,
        class: Class,
        zone: Option<&str>,
        protections: &[Protection],
    ) -> NodeSummary {
        let key = name(spelled);
        let told = self.told.get(&key);
        let seen = self.fleet.snapshot.nodes.get(&key).map(Box::as_ref);
        let mut tasks: BTreeMap<TaskClass, u32> = BTreeMap::new();
        for task in seen.and_then(|node| node.master.as_ref()).into_iter().flat_map(|view| &view.tasks) {
            *tasks.entry(task.class).or_default() += 1;
        }
        let (used_percent, hours_to_full) = self.disks.get(&key).copied().unwrap_or((38, None));
        let state = told.map_or(NodeState::Healthy, |(state, ..)| *state);
        let worst = match state {
            NodeState::Sick => Status::Crit,
            NodeState::Healthy if told.is_some() => Status::Warn,
            _ => Status::Ok,
        };
        let is_physical = class == Class::Physical;
        NodeSummary {
            name: spelled.to_owned(),
            key: key.as_str().to_owned(),
            class: Some(class),
            zone: zone.map(str::to_owned),
            protections: protections.to_vec(),
            state: if is_physical { NodeState::Physical } else { state },
            since: told.map(|(_, _, age)| self.ago(*age)),
            sentence: told
                .map_or_else(|| "all checks are ok".to_owned(), |(_, sentence, _)| sentence.clone()),
            finding: None,
            worst: (!is_physical).then_some(worst),
            findings: FindingCounts { ok: 14, ..FindingCounts::default() },
            tasks: Some(tasks),
            disk: (!is_physical).then(|| DiskSummary {
                mount: if class == Class::Master { "/data" } else { "/build" }.to_owned(),
                used_percent,
                free_bytes: 500_000_000_000 / 100 * u64::from(100 - used_percent),
                hours_to_full,
            }),
            report_age_seconds: seen
                .and_then(|node| node.report_age(self.fleet.now))
                .map(|age| u64::try_from(age.as_secs()).unwrap() + 4),
            identity_changed_at: seen.and_then(|node| node.identity_changed.as_ref()).map(|(at, _)| *at),
            mesos: Some("active".to_owned()),
        }
    }

    fn class(&self, class: Class) -> ClassView {
        let mut nodes: Vec<NodeSummary> = self
            .fleet
            .policy
            .nodes_of(class)
            .map(|(_, node)| {
                let protections: Vec<Protection> = node.protections.iter().copied().collect();
                self.summary(&node.display, class, node.zone.as_deref(), &protections)
            })
            .collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let out = nodes.iter().filter(|node| node.state != NodeState::Healthy).count();
        let number = |count: usize| u32::try_from(count).unwrap();
        let policy = self.fleet.policy.classes.get(&class);
        ClassView {
            class,
            mode: policy.map_or(Mode::Observe, |policy| policy.mode),
            listed: number(nodes.len()),
            in_service: number(nodes.len() - out),
            out: number(out),
            may_be_out: policy.map_or(0, |policy| policy.out.of(number(nodes.len()))),
            draining: 0,
            nodes,
        }
    }

    fn told(mut self) -> Example {
        self.attention.sort_by_key(|attention| std::cmp::Reverse(attention.status));
        let snapshot = &self.fleet.snapshot;
        let fleet = FleetView {
            cluster: self.fleet.policy.cluster.clone(),
            asked_at: self.fleet.now,
            started_at: snapshot.started_at,
            warming_up: snapshot.warm_up.as_ref().map(|warm_up| WarmUpView {
                since: warm_up.since,
                rounds: warm_up.rounds,
                missing: vec!["alibuild30".to_owned()],
            }),
            paused: snapshot.pause.as_ref().map(|pause| PauseView {
                since: pause.since,
                by: pause.by.clone(),
                reason: pause.reason.clone(),
            }),
            brakes: snapshot
                .brakes
                .iter()
                .map(|(class, brake)| BrakeView { class: *class, since: brake.since, why: brake.why.clone() })
                .collect(),
            sources: [
                (Source::Agent, "50 of 50 nodes report"),
                (Source::MesosMaster, "alimesos01 leads, Mesos 1.4.3"),
                (Source::ZooKeeper, "ensemble mesos: 3 of 3 take part, alimesos02 leads"),
                (Source::Jenkins, "Jenkins 2.176.2 answers and runs 31 builds; 4 wait"),
            ]
            .into_iter()
            .map(|(source, sentence)| SourceView {
                source,
                state: SourceWord::Fresh,
                last_answer: Some(self.ago(SignedDuration::from_secs(3))),
                unknown_since: None,
                sentence: sentence.to_owned(),
                details: details(source),
            })
            .collect(),
            policy: PolicyView {
                version: "9f86d081884c7d65".to_owned(),
                unreadable: self.fleet.policy.unreadable.as_ref().map(ToString::to_string),
                unreadable_since: self.fleet.policy.unreadable.as_ref().and_then(|policy| policy.since),
                listed: 55,
            },
            not_configured: vec![Source::Marathon, Source::Aurora, Source::OpenStack],
            outside_blamed: Vec::new(),
            leader_changed_at: snapshot.leader_changed_at,
            own_troubles: Vec::new(),
            attention: self.attention.clone(),
            classes: Class::ALL.iter().map(|class| self.class(*class)).collect(),
            unlisted: self.unlisted.clone(),
        };
        let (snapshot, policy, now) = self.fleet.snapshot();
        let mut example = Example {
            nodes: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            fleet,
            operations: Vec::new(),
            holds: Vec::new(),
            audit: Vec::new(),
            said: Mutex::default(),
            answer: Err(Refused {
                status: StatusCode::CONFLICT,
                message: "these are example pages; nothing is begun here".to_owned(),
            }),
        };
        for summary in example.fleet.nodes() {
            let key = name(&summary.name);
            let verdict = |action| judge(&Request::one(action, key.clone()), &snapshot, &policy, now);
            example.verdicts.insert(key.clone(), Action::ALL.map(verdict).to_vec());
            example
                .nodes
                .insert(key.clone(), node::detail(summary, snapshot.nodes.get(&key).map(Box::as_ref), now));
        }
        example
    }
}

fn details(source: Source) -> Vec<String> {
    if source != Source::ZooKeeper {
        return Vec::new();
    }
    ["alimesos01: it follows", "alimesos02: it leads", "alimesos03: it follows"]
        .map(|member| format!("mesos, {member}, for 12 d, version 3.4.13, 0 ms a request, 1.2 MiB"))
        .to_vec()
}
