//! What the page of an example node shows.

use crate::view::*;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Class, Source,
    fleet::{Node, NodeTask},
};
use millwright_protocol::{
    Container, ContainerRole, Evidence, ImageFact, MesosMasterFacts, PullProgress, PullState, PuppetFacts,
    Resources, Status, SystemFacts, TaskState, VolumeFact, ZooKeeperFacts,
};
use std::collections::BTreeMap;

/// Everything about one node of an example.
pub(super) fn detail(summary: &NodeSummary, seen: Option<&Node>, now: Timestamp) -> NodeDetail {
    let ago = |age: SignedDuration| now - age;
    let minutes = SignedDuration::from_mins;
    let agent = seen.and_then(|node| node.agent.as_ref());
    let is_sick = summary.state == NodeState::Sick;
    let is_master = summary.class == Some(Class::Master);
    let changed = seen.and_then(|node| node.identity_changed.clone()).map(|(_, what)| what);
    NodeDetail {
        summary: summary.clone(),
        asked_at: now,
        reported_at: agent.map(|agent| agent.at),
        is_stale: matches!(summary.state, NodeState::Silent | NodeState::Stale),
        identity: agent.map(|_| IdentityView {
            machine_id: "9ac3f0a0e4a54a5fb9a1b3d0c2e4f617".to_owned(),
            server_uuid: Some("c6f6ae0f-6a6e-4c0b-9f0a-0d6f5d9b1c11".to_owned()),
            agent_version: "0.1.0".to_owned(),
            recorded_at: ago(minutes(60 * 24 * 40)),
            changed,
        }),
        boot: agent.map(|agent| BootView {
            boot_id: "5b0f7d5e-9c0f-4f52-a9f0-2f5f9d6f2a10".to_owned(),
            first_heard_at: agent.boot_first_heard_at,
            uptime_seconds: 1_728_000,
            verified_at: agent.verified_at,
            healthy_since: agent.healthy_since,
        }),
        known_dead: None,
        checklist: checklist(summary, is_sick),
        diagnosis: diagnosis(summary, is_sick),
        all_findings: findings(summary, is_sick, now),
        volumes: volumes(summary, is_sick),
        containers: agent.map(|_| containers(now, is_master)),
        living_tasks: tasks(seen, now),
        mesos_agent: agent.filter(|_| !is_master).map(|_| AgentFacts {
            url: "http://127.0.0.1:5051/slave(1)".to_owned(),
            agent_id: Some("3f1c8e5e-5d0e-4a5c-9e55-5c0d0b3a4f11-S12".to_owned()),
            version: "1.4.3".to_owned(),
            hostname: format!("{}.cern.ch", summary.name),
            registered: Some(true),
            attributes: BTreeMap::new(),
        }),
        mesos_listing: seen.and_then(|node| node.master.as_ref()).map(|view| MasterListing {
            at: view.at,
            listing: view.listing.as_str().to_owned(),
            deactivated: view.deactivated,
            agent_id: Some("3f1c8e5e-5d0e-4a5c-9e55-5c0d0b3a4f11-S12".to_owned()),
            attributes: BTreeMap::new(),
        }),
        images: images(now, is_master),
        puppet: agent.map(|_| PuppetFacts {
            last_run_at: Some(ago(minutes(4))),
            clean: Some(true),
            clean_streak: 118,
            failed_streak: 0,
            disabled: None,
            environment: Some("production".to_owned()),
            version: Some("5.5.10".to_owned()),
        }),
        machine: agent.map(|_| MachineView {
            facts: SystemFacts {
                cpus: 16,
                memory_bytes: 29_000_000_000,
                memory_available_bytes: 9_400_000_000,
                load: [14.2, 15.1, 12.9],
                kernel: "3.10.0-957.27.2.el7.x86_64".to_owned(),
                os: "CentOS Linux 7".to_owned(),
                reboot_required: Some("kernel 3.10.0-1062.el7 is installed and does not run".to_owned()),
            },
            clock_offset_seconds: 0,
        }),
        mesos_master: is_master.then(|| MesosMasterFacts {
            elected: Some(summary.name.ends_with("01")),
            leader: Some("alimesos01.cern.ch:5050".to_owned()),
            registrar_recovered: Some(true),
            agents_active: Some(45),
            uptime_seconds: Some(1_700_000),
            age_seconds: 3,
        }),
        outside: is_master
            .then(|| OutsideView {
                source: Source::ZooKeeper,
                status: Status::Ok,
                sentence: "its member of mesos: it follows, for 12 d, version 3.4.13".to_owned(),
                at: now,
            })
            .into_iter()
            .collect(),
        zookeeper: is_master.then(|| ZooKeeperFacts {
            mode: Some("follower".to_owned()),
            version: "3.4.5".to_owned(),
            ..ZooKeeperFacts::default()
        }),
        cannot_see: vec![
            blind("jenkins", true, "the policy says that this site has none"),
            blind("openstack", true, "the policy says that this site has none"),
        ],
        history: history(summary, now),
        verdict_history: verdict_history(summary, now),
    }
}

/// A night with a build that ended.
fn verdict_history(summary: &NodeSummary, now: Timestamp) -> Vec<VerdictChange> {
    let said = |minutes, verdict: &str, codes: &[&str], sentence: &str| VerdictChange {
        at: now - SignedDuration::from_mins(minutes),
        node: summary.name.clone(),
        key: summary.key.clone(),
        action: "reboot".to_owned(),
        verdict: verdict.to_owned(),
        may_start: "allowed".to_owned(),
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        sentence: sentence.to_owned(),
    };
    vec![
        said(610, "allowed", &[], ""),
        said(611, "wait", &["empty_not_proven"], "it is not proven empty: agent has seen it empty for 2 s"),
        said(690, "wait", &["task_protected", "not_a_code_yet"], "a build must finish: Jenkins builds"),
    ]
}

fn blind(what: &str, not_configured: bool, sentence: &str) -> CannotSee {
    CannotSee { what: what.to_owned(), not_configured, sentence: sentence.to_owned() }
}

fn diagnosis(summary: &NodeSummary, is_sick: bool) -> Diagnosis {
    let (layer, sentence, next) = match (summary.state == NodeState::Silent, is_sick) {
        (true, _) => (
            "ssh",
            format!("{} neither reports nor answers ssh: it is off, frozen or cut off", summary.name),
            format!("look at its console: `openstack console log show {} --lines 50`", summary.name),
        ),
        (false, true) => (
            "volume",
            "it stops at “Volumes are mounted”: /build is not mounted".to_owned(),
            "see what is attached: `lsblk -f`, then mount it".to_owned(),
        ),
        (false, false) => {
            return Diagnosis {
                state: Some(ChecklistState::Warn),
                sentence: format!(
                    "every layer of {} is as it should be; worth a look beside them: the load is 41.3, more than 18.0 \
                     for 16 processors (for 5 h)",
                    summary.name
                ),
                next: vec!["see what takes the time: `top -b -n 1 | head -20`".to_owned()],
                also: vec![
                    "the kernel killed 2 processes for want of memory, the last 20 min ago (for 20 min)"
                        .to_owned(),
                ],
                ..Diagnosis::default()
            };
        }
    };
    Diagnosis {
        layer: Some(layer.to_owned()),
        state: Some(ChecklistState::Failed),
        sentence,
        next: vec![next],
        untold: vec!["Docker answers".to_owned()],
        also: Vec::new(),
    }
}

fn checklist(summary: &NodeSummary, is_sick: bool) -> Vec<ChecklistItem> {
    let is_silent = summary.state == NodeState::Silent;
    let reported = if is_silent { ChecklistState::Failed } else { ChecklistState::Done };
    let rest = if is_silent { ChecklistState::Unknown } else { ChecklistState::Done };
    let volume = if is_sick { ChecklistState::Failed } else { rest };
    let last = format!("last report {} s ago", summary.report_age_seconds.unwrap_or(0));
    [
        ("report", "The agent reports", reported, last.as_str()),
        (
            "ssh",
            "ssh answers",
            if is_silent { ChecklistState::Failed } else { ChecklistState::NotConfigured },
            if is_silent { "no answer on TCP 22" } else { "not asked while the node reports" },
        ),
        ("puppet", "Puppet is clean", rest, "118 clean runs in a row"),
        ("docker", "Docker answers", rest, "version, list and inspect within 40 ms"),
        ("container", "Required containers run", rest, "mesos-slave"),
        (
            "volume",
            "Volumes are mounted",
            volume,
            if is_sick { "/build is not mounted" } else { "/build on /dev/vdb, read-write" },
        ),
        ("mesos", "The Mesos agent is registered", rest, "registered with alimesos01"),
        ("image", "Images are there", rest, "alisw/slc7-builder:latest"),
        ("verified", "Verified since boot", rest, "two clean reports, 61 s apart"),
    ]
    .into_iter()
    .map(|(step, title, state, sentence)| ChecklistItem {
        step: step.to_owned(),
        title: title.to_owned(),
        state,
        sentence: sentence.to_owned(),
        evidence: if state == ChecklistState::Failed {
            vec![Evidence { age_seconds: 6, ..Evidence::new("mounted", false, "/proc/self/mountinfo") }]
        } else {
            Vec::new()
        },
    })
    .collect()
}

fn findings(summary: &NodeSummary, is_sick: bool, now: Timestamp) -> Vec<FindingView> {
    let finding =
        |check: &str, item: Option<&str>, status, gating, sentence: &str, next: Option<&str>| FindingView {
            id: millwright_protocol::finding_id(&summary.key, check, item),
            check: check.to_owned(),
            item: item.map(str::to_owned),
            status,
            gating,
            sentence: sentence.to_owned(),
            evidence: if status == Status::Ok {
                Vec::new()
            } else {
                vec![Evidence::new("free_bytes", 45_000_000_000_u64, "statfs")]
            },
            since: now - SignedDuration::from_mins(47),
            age_seconds: 6,
            next: next.map(str::to_owned),
            acknowledged: None,
        };
    let volume = if is_sick {
        finding(
            "volume",
            Some("/build"),
            Status::Crit,
            true,
            "/build is not mounted",
            Some("log in, then `mount /build`"),
        )
    } else if summary.worst == Some(Status::Warn) {
        FindingView {
            acknowledged: Some(Acknowledgement {
                finding: finding("volume", Some("/build"), Status::Warn, false, "", None).id,
                by: "jane".to_owned(),
                at: now,
                until: now + SignedDuration::from_hours(8),
            }),
            ..finding(
                "volume",
                Some("/build"),
                Status::Warn,
                false,
                "/build is 91 % full and will be full in 5 h",
                Some("remove old work areas"),
            )
        }
    } else {
        finding("volume", Some("/build"), Status::Ok, true, "/build is mounted read-write, 38 % full", None)
    };
    vec![
        volume,
        finding(
            "memory",
            None,
            Status::Warn,
            false,
            "the kernel has killed 2 processes since yesterday",
            Some("see which: `dmesg | grep -i oom`"),
        ),
        finding("docker", None, Status::Ok, true, "answers within 40 ms", None),
        finding("container", Some("mesos-slave"), Status::Ok, true, "runs since 20 days", None),
        finding("puppet", None, Status::Ok, true, "last run 4 min ago, clean", None),
        finding("clock", None, Status::Ok, false, "synchronised", None),
    ]
}

fn volumes(summary: &NodeSummary, is_sick: bool) -> Vec<VolumeView> {
    let Some(disk) = &summary.disk else { return Vec::new() };
    let data = VolumeFact {
        mount: disk.mount.clone(),
        mounted: !is_sick,
        device: Some("/dev/vdb".to_owned()),
        file_system: Some("xfs".to_owned()),
        uuid: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        serial: Some("a11b0003-0000-4000-8".to_owned()),
        read_write: true,
        size_bytes: 500_000_000_000,
        free_bytes: disk.free_bytes,
        used_percent: None,
        inodes_used_percent: Some(12),
        hours_to_full: disk.hours_to_full,
        is_root: false,
    };
    let root = VolumeFact {
        mount: "/".to_owned(),
        mounted: true,
        device: Some("/dev/vda1".to_owned()),
        uuid: None,
        serial: None,
        size_bytes: 160_000_000_000,
        free_bytes: 120_000_000_000,
        hours_to_full: None,
        is_root: true,
        ..data.clone()
    };
    vec![
        VolumeView { used_percent: (!is_sick).then_some(disk.used_percent), name: None, fact: data },
        VolumeView { used_percent: Some(25), name: None, fact: root },
    ]
}

fn containers(now: Timestamp, is_master: bool) -> ContainersView {
    let container = |name: &str, image: &str, role| Container {
        name: name.to_owned(),
        image: image.to_owned(),
        state: "running".to_owned(),
        role,
        started_at: Some(now - SignedDuration::from_hours(31)),
        restarts: 0,
    };
    let infrastructure: &[&str] = if is_master {
        &["mesos-master", "zookeeper", "marathon", "aurora-scheduler", "mesos-dns"]
    } else {
        &["mesos-slave"]
    };
    let mut containers: Vec<Container> = infrastructure
        .iter()
        .map(|name| container(name, &format!("alisw/{name}:1.4.3"), ContainerRole::Infrastructure))
        .collect();
    if !is_master {
        containers.push(container(
            "mesos-3f1c8e5e-5d0e-4a5c-9e55-5c0d0b3a4f11-S12.8f7c1f2e-0f5b-4a0e-8f6e-6a1d0c9b2e3f",
            "alisw/slc7-builder:latest",
            ContainerRole::Task,
        ));
    }
    ContainersView { containers, version: "18.09.1".to_owned(), storage_driver: "overlay2".to_owned() }
}

/// What Jenkins is at work on in a task.
fn builds(task: &NodeTask) -> Option<&'static str> {
    task.id.starts_with("mesos-jenkins-").then_some("daily-tags #1432")
}

fn tasks(seen: Option<&Node>, now: Timestamp) -> TasksView {
    let listed = seen.and_then(|node| node.master.as_ref()).map_or(&[][..], |view| &view.tasks);
    let end = now.checked_add(SignedDuration::from_mins(95)).ok();
    TasksView {
        agent_known: seen.and_then(|node| node.agent.as_ref()).map(|_| true),
        master_known: seen.and_then(|node| node.master.as_ref()).map(|_| true),
        disagree_since: None,
        agent_empty_since: seen.and_then(|node| node.agent_empty).map(|span| span.first),
        jenkins_known: seen.map(|_| true),
        jenkins_empty_since: None,
        builds: listed
            .iter()
            .filter_map(|task| {
                Some(BuildView {
                    name: builds(task)?.to_owned(),
                    computer: task.id.clone(),
                    task: Some(task.id.clone()),
                    started_at: task.started_at,
                    expected_end: end,
                })
            })
            .collect(),
        master_empty_since: seen.and_then(|node| node.master_empty).map(|span| span.first),
        tasks: listed
            .iter()
            .map(|task| {
                let ran =
                    task.started_at.map(|at| u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0));
                TaskView {
                    id: task.id.clone(),
                    name: task.name.clone(),
                    framework: task.framework.clone(),
                    class: task.class,
                    rule: task.rule.clone(),
                    state: Some(TaskState::Running),
                    resources: Some(Resources { cpus: 8.0, mem_mib: 12_288.0, disk_mib: 0.0 }),
                    started_at: task.started_at,
                    runtime_seconds: ran,
                    kill_cost_seconds: ran.map(|ran| ran + task.warm_up_seconds),
                    expected_end: builds(task).and(end),
                    build: builds(task).map(str::to_owned),
                    named_by: vec![Source::Agent, Source::MesosMaster],
                }
            })
            .collect(),
    }
}

fn images(now: Timestamp, is_master: bool) -> Vec<ImageFact> {
    if is_master {
        return Vec::new();
    }
    vec![
        ImageFact {
            name: "alisw/slc7-builder:latest".to_owned(),
            present: true,
            size_bytes: 4_200_000_000,
            verified_at: Some(now - SignedDuration::from_hours(3)),
            ..ImageFact::default()
        },
        ImageFact {
            name: "alisw/slc8-builder:latest".to_owned(),
            pull: Some(PullProgress {
                state: PullState::Pulling,
                done_bytes: 1_700_000_000,
                total_bytes: 4_400_000_000,
                attempts: 1,
                error: None,
                next_try_at: None,
            }),
            ..ImageFact::default()
        },
    ]
}

fn history(summary: &NodeSummary, now: Timestamp) -> Vec<Transition> {
    let transition = |minutes: i64, what: &str, from: &str, to: &str, sentence: &str| Transition {
        at: now - SignedDuration::from_mins(minutes),
        node: summary.name.clone(),
        key: summary.key.clone(),
        what: what.to_owned(),
        from: Some(from.to_owned()),
        to: to.to_owned(),
        gating: true,
        sentence: sentence.to_owned(),
    };
    vec![
        transition(47, "volume/build", "ok", "warn", "/build is 86 % full"),
        transition(60 * 30, "state", "verifying", "healthy", "two clean reports since boot"),
        transition(60 * 30 + 2, "boot", "5f0c…", "5b0f…", "rebooted"),
    ]
}
