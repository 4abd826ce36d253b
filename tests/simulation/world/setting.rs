//! What is simulated: how long, how many nodes, which kinds of trouble, on which policy.

use millwright_decision::{
    Class, Mode, Policy, Protection, Source, VolumePolicy,
    operation::{Executor, Step},
};
use std::{collections::BTreeSet, path::Path};

const SHIPPED: &str = include_str!("../../../packaging/coordinator/etc/millwright/policy.alice.toml");

/// Which kinds of trouble there are. Each can be left out, to find the ones a failure needs.
pub const FAULTS: [&str; 36] = [
    "crash_coordinator",
    "journal",
    "disk_full",
    "messages",
    "partition",
    "node_death",
    "docker",
    "agent_restart",
    "mesos",
    "cloud",
    "marathon",
    "hand_reboot",
    "clock",
    "restored_store",
    "second_coordinator",
    "damaged_record",
    "policy",
    "hang",
    "one_way",
    "agent_disk",
    "mesos_leader",
    "foreign",
    "replay",
    "pause",
    "cloud_lies",
    "people",
    "own_clock",
    "upgrade",
    "mesos_id",
    "liar",
    "crl",
    "source_silent",
    "jenkins_forgets",
    "member_lost",
    "server_locked",
    "server_twin",
];

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Setting {
    pub seed: u64,
    pub hours: i64,
    /// Agents beside the three masters.
    pub agents: usize,
    /// Kinds of trouble that do not happen.
    pub without: BTreeSet<&'static str>,
    /// Every report is taken in whole, also one that only repeats the one before it.
    pub is_eager: bool,
    /// Nodes that are dead from the first hour on, for ever.
    pub dead: usize,
}

impl Setting {
    /// Whether the cloud is asked itself, without a command in between.
    pub fn asks_the_cloud(&self) -> bool {
        self.seed % 6 == 5
    }

    /// Whether there is a Marathon that may be asked to move tasks.
    pub fn has_marathon(&self) -> bool {
        self.seed % 7 < 3
    }

    /// Whether policy asks for what Jenkins, ZooKeeper and the cloud say.
    pub fn asks_others(&self) -> bool {
        self.seed % 4 == 3
    }
}

/// The shipped policy in mode `act`, cut to three masters and so many agents.
pub(super) fn policy(setting: &Setting) -> Policy {
    let mut policy = millwright_coordinator::policy::parse(SHIPPED, Path::new("policy.alice.toml")).unwrap();
    for class in policy.classes.values_mut() {
        class.mode = Mode::Act;
    }
    let mut kept = 0;
    policy.nodes.retain(|_, node| match node.class {
        Class::Master => true,
        Class::Agent => {
            kept += 1;
            kept <= setting.agents
        }
        _ => false,
    });
    // Of every third node's volume nobody knows.
    let nodes = policy.nodes.iter().zip(1..).filter(|(_, place)| place % 3 != 0);
    policy.volumes = nodes
        .map(|((name, listed), _)| VolumePolicy {
            name: format!("{name}_vol_001"),
            node: name.clone(),
            cinder: None,
            uuid: Some(format!("uuid-of-{name}")),
            protections: listed
                .protections
                .iter()
                .copied()
                .filter(|protection| *protection == Protection::NeverDeleteVolume)
                .collect(),
        })
        .collect();
    // In some histories the coordinator lives on a node that it looks after.
    if setting.seed % 11 == 3 {
        let place = usize::try_from(setting.seed / 11).unwrap_or(0) % policy.nodes.len();
        policy.coordinator = policy.nodes.keys().nth(place).unwrap().clone();
    }
    // In some, people take the steps of the cloud themselves, as the shipped policy has it.
    policy.executors.by = match setting.seed % 6 {
        1 => Executor::ByHand,
        _ if setting.asks_the_cloud() => Executor::OpenStack,
        _ => Executor::Command,
    };
    if setting.asks_others() {
        for (class, asked) in [
            (Class::Agent, [Source::Jenkins, Source::OpenStack]),
            (Class::Master, [Source::ZooKeeper, Source::OpenStack]),
        ] {
            policy.classes.entry(class).and_modify(|class| class.required.extend(asked));
        }
    }
    // In some, people begin every irreversible step.
    if setting.seed % 13 == 4 {
        policy.classes.values_mut().for_each(|class| class.mode = Mode::Advise);
    }
    for step in [
        Step::Create,
        Step::HardReboot,
        Step::Rebuild,
        Step::Quarantine,
        Step::DeleteServer,
        Step::DeleteVolumes,
        Step::MaskAlarms,
        Step::Ledger,
    ] {
        policy.executors.commands.insert(step, vec![step.as_str().to_owned(), "{node}".to_owned()]);
        policy.executors.harmless_exits.insert(step, vec![2, 3, 4, 5]);
    }
    policy
}
