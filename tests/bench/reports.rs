//! Reports of about four kibibytes, as busy builders send them.
//!
//! Making one takes longer than sending it, so each node has a few made before, and only the sequence number is
//! written anew, in place.

use crate::sample_fleet::{node_name, now};
use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use millwright_protocol::{
    Container, ContainerFacts, ContainerRole, Evidence, Facts, Finding, ImageFact, MesosAgentFacts,
    PROTOCOL_VERSION, PuppetFacts, Report, Resources, Status, SystemFacts, Task, TaskState, VolumeFact,
};
use std::collections::BTreeMap;

/// Sequence numbers of ten digits, so that writing another never changes the length.
pub const FIRST_SEQUENCE: u64 = 1_000_000_000;

/// Reports of one node, one body for each look of the machine.
pub struct Bodies {
    variants: Vec<Vec<u8>>,
    /// Where the sequence number stands in each.
    places: Vec<usize>,
}

impl Bodies {
    /// Two variants: load, memory and free space move between two reports, findings and tasks do not.
    pub fn of(number: u32) -> Result<Self> {
        let (mut variants, mut places) = (Vec::new(), Vec::new());
        for variant in 0..2 {
            let body = serde_json::to_vec(&report(number, variant))?;
            let key = b"\"sequence\":";
            let place = body.windows(key.len()).position(|window| window == key);
            places.push(place.context("find the sequence number in a report")? + key.len());
            variants.push(body);
        }
        ensure!(
            variants.iter().all(|body| (3_600..4_600).contains(&body.len())),
            "make a report of 4 KiB: {:?} bytes",
            variants.iter().map(Vec::len).collect::<Vec<_>>()
        );
        Ok(Self { variants, places })
    }

    /// The report of round `round`, counted from 0.
    pub fn body(&mut self, round: u64) -> &[u8] {
        let variant = (round % 2) as usize;
        let place = self.places.get(variant).copied().unwrap_or_default();
        let Some(body) = self.variants.get_mut(variant) else { return &[] };
        let digits = (FIRST_SEQUENCE + round).to_string();
        if let Some(there) = body.get_mut(place..place + digits.len()) {
            there.copy_from_slice(digits.as_bytes());
        }
        body
    }
}

/// What the node with this number says.
pub fn report(number: u32, variant: u64) -> Report {
    let name = node_name(number);
    Report {
        protocol: PROTOCOL_VERSION,
        node: format!("{name}.cern.ch"),
        agent_version: "0.1.0".to_owned(),
        boot_id: format!("5a1f0000-0000-4000-8000-{number:012}"),
        machine_id: format!("{number:032x}"),
        server_uuid: Some(format!("6b2f0000-0000-4000-8000-{number:012}")),
        sequence: FIRST_SEQUENCE,
        sent_at: now(),
        uptime_seconds: 500_000 + variant * 10,
        findings: findings(number),
        facts: facts(number, variant),
        seen: None,
        local_holds: Vec::new(),
        whitelist: None,
    }
}

fn findings(number: u32) -> Vec<Finding> {
    let checks: [(&str, Option<&str>, bool, &str); 10] = [
        ("docker", None, true, "Docker 20.10.24 answers, lists 6 containers and inspects them"),
        (
            "volume",
            Some("/build"),
            true,
            "/build is mounted on a disk of its own and can be written to (/dev/vdb, xfs)",
        ),
        ("volume", Some("/"), true, "/ is the root file system and can be written to (/dev/vda, ext4)"),
        ("space", Some("/build"), false, "/build is 41 % full: 291 GiB of 500 GiB free"),
        ("mesos_agent", None, true, "the Mesos agent 1.11.0 is registered and runs 2 tasks of 1 framework"),
        ("puppet", None, false, "Puppet ran last 14 min ago and was clean"),
        ("puppet", Some("failing"), true, "Puppet does not keep failing"),
        ("system", Some("memory"), false, "61 % of the memory is available"),
        ("system", Some("load"), false, "the load is 17.2, as expected for 16 processors"),
        ("certificate", None, false, "the host certificate is good for 211 days"),
    ];
    let evidence = [Evidence::new("device", format!("/dev/vd{}", number % 4), "/proc/self/mountinfo")];
    checks
        .into_iter()
        .map(|(check, item, gating, sentence)| Finding {
            check: check.to_owned(),
            item: item.map(str::to_owned),
            status: Status::Ok,
            gating,
            sentence: sentence.to_owned(),
            evidence: if check == "volume" { evidence.to_vec() } else { Vec::new() },
            since: now() - SignedDuration::from_hours(9),
            age_seconds: 4,
            next: None,
        })
        .collect()
}

fn facts(number: u32, variant: u64) -> Facts {
    let id = |which: u32| format!("mesos-jenkins-{:032x}-slc7_x86-64-larg", number * 10 + which);
    let task = |which| Task {
        id: id(which),
        name: format!("task {}", id(which)),
        framework: "Jenkins Scheduler".to_owned(),
        framework_id: "20260101-000000-16842879-5050-1-0000".to_owned(),
        role: Some("*".to_owned()),
        state: TaskState::Running,
        resources: Resources { cpus: 8.0, mem_mib: 24_576.0, disk_mib: 0.0 },
        labels: BTreeMap::new(),
        started_at_secs: Some(now().as_second() - 3_600),
    };
    let container = |name: &str, role| Container {
        name: name.to_owned(),
        image: "alisw/slc7-builder:latest".to_owned(),
        state: "running".to_owned(),
        role,
        started_at: Some(now() - SignedDuration::from_hours(1)),
        restarts: 0,
    };
    let volume = |mount: &str, is_root: bool| VolumeFact {
        mount: mount.to_owned(),
        mounted: true,
        device: Some(if is_root { "/dev/vda" } else { "/dev/vdb" }.to_owned()),
        file_system: Some("xfs".to_owned()),
        uuid: Some(format!("7c3f0000-0000-4000-8000-{number:012}")),
        serial: Some(format!("{number:08x}-1507-44f8-a")),
        read_write: true,
        size_bytes: 536_870_912_000,
        free_bytes: 312_000_000_000 - variant * 4_096_000,
        used_percent: Some(41),
        inodes_used_percent: Some(3),
        hours_to_full: None,
        is_root,
    };
    Facts {
        mesos_agent: Some(MesosAgentFacts {
            url: "http://127.0.0.1:5051".to_owned(),
            agent_id: Some(format!("20260101-000000-16842879-5050-1-S{number}")),
            version: "1.11.0".to_owned(),
            hostname: format!("{}.cern.ch", node_name(number)),
            registered: Some(true),
            attributes: BTreeMap::from([("os".to_owned(), "slc7".to_owned())]),
            tasks: vec![task(1)],
            age_seconds: 2,
        }),
        containers: Some(ContainerFacts {
            containers: vec![
                container("mesos-slave", ContainerRole::Infrastructure),
                container("docker-gc", ContainerRole::Infrastructure),
                container(&format!("mesos-{number:08x}"), ContainerRole::Task),
            ],
            version: "20.10.24".to_owned(),
            storage_driver: "overlay2".to_owned(),
            age_seconds: 2,
        }),
        volumes: vec![volume("/build", false), volume("/", true)],
        images: vec![ImageFact {
            name: "alisw/slc7-builder:latest".to_owned(),
            present: true,
            size_bytes: 4_000_000_000,
            ..ImageFact::default()
        }],
        puppet: Some(PuppetFacts { clean: Some(true), clean_streak: 40, ..PuppetFacts::default() }),
        system: Some(SystemFacts {
            cpus: 16,
            memory_bytes: 64 << 30,
            memory_available_bytes: (39 << 30) + variant * 8_192,
            load: [17.0 + variant as f64, 17.2, 16.9],
            kernel: "3.10.0-1160.el7.x86_64".to_owned(),
            os: "CentOS Linux 7".to_owned(),
            reboot_required: None,
        }),
        ..Facts::default()
    }
}
