//! The plain facts of a node page: Puppet, the machine, Mesos and ZooKeeper, as pairs of a name and a value.

use super::{
    node::or_unknown,
    words::{self, Moment},
};
use crate::view::NodeDetail;
use jiff::Timestamp;

type Pairs = Vec<(&'static str, String)>;

fn yes_no(known: Option<bool>) -> String {
    match known {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not told",
    }
    .to_owned()
}

/// Puppet's last run; `None` when nothing is known about Puppet.
pub(super) fn puppet(node: &NodeDetail, now: Timestamp) -> Option<Pairs> {
    let puppet = node.puppet.as_ref()?;
    let last = puppet.last_run_at.map_or_else(|| "never seen".to_owned(), |at| Moment::new(at, now).relative);
    let mut pairs = vec![
        ("last run", last),
        ("clean", yes_no(puppet.clean)),
        ("clean runs in a row", puppet.clean_streak.to_string()),
    ];
    if puppet.failed_streak > 0 {
        pairs.push(("failed runs in a row", puppet.failed_streak.to_string()));
    }
    if let Some(why) = &puppet.disabled {
        pairs.push((
            "disabled",
            if why.is_empty() { "yes, without a reason".to_owned() } else { why.clone() },
        ));
    }
    pairs.extend(puppet.environment.clone().map(|environment| ("environment", environment)));
    pairs.extend(puppet.version.clone().map(|version| ("version", version)));
    Some(pairs)
}

/// The machine, its boot and its identity.
pub(super) fn machine(node: &NodeDetail, now: Timestamp) -> Pairs {
    let mut pairs = Pairs::new();
    if let Some(machine) = &node.machine {
        let facts = &machine.facts;
        let [one, five, fifteen] = facts.load;
        if let Some(why) = &facts.reboot_required {
            pairs.push(("reboot wanted", why.clone()));
        }
        pairs.push(("system", format!("{}, kernel {}", or_unknown(&facts.os), or_unknown(&facts.kernel))));
        pairs.push(("processors", facts.cpus.to_string()));
        pairs.push((
            "memory",
            format!(
                "{} of {} available",
                words::size(facts.memory_available_bytes),
                words::size(facts.memory_bytes)
            ),
        ));
        pairs.push(("load over 1, 5, 15 min", format!("{one:.1}, {five:.1}, {fifteen:.1}")));
        pairs.push(("clock offset", format!("{} s", machine.clock_offset_seconds)));
    }
    if let Some(boot) = &node.boot {
        pairs.push(("up for", words::seconds(boot.uptime_seconds)));
        pairs.push((
            "verified since boot",
            boot.verified_at.map_or_else(|| "not yet".to_owned(), |at| Moment::new(at, now).relative),
        ));
        pairs.push(("boot id", boot.boot_id.clone()));
    }
    if let Some(identity) = &node.identity {
        pairs.push(("machine id", identity.machine_id.clone()));
        pairs.extend(identity.server_uuid.clone().map(|uuid| ("server UUID", uuid)));
        pairs.push(("identity recorded", Moment::new(identity.recorded_at, now).absolute));
        pairs.push(("agent version", or_unknown(&identity.agent_version).to_owned()));
    }
    pairs
}

/// Mesos on the node, the master's word about it, and ZooKeeper.
pub(super) fn mesos(node: &NodeDetail, now: Timestamp) -> Pairs {
    let mut pairs = Pairs::new();
    if let Some(listing) = &node.mesos_listing {
        let offers = if listing.deactivated { ", offers stopped" } else { "" };
        pairs.push(("listed by the master", format!("{}{offers}", listing.listing)));
        pairs.push(("read", Moment::new(listing.at, now).relative));
        pairs.extend(listing.agent_id.clone().map(|id| ("listed under", id)));
    }
    if let Some(agent) = &node.mesos_agent {
        pairs.push(("Mesos agent", format!("{} at {}", or_unknown(&agent.version), agent.url)));
        pairs.push(("registered", yes_no(agent.registered)));
        pairs.push(("agent id", agent.agent_id.clone().unwrap_or_else(|| "none yet".to_owned())));
        pairs.push(("host name", or_unknown(&agent.hostname).to_owned()));
        let attributes: Vec<String> =
            agent.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        if !attributes.is_empty() {
            pairs.push(("attributes", attributes.join(", ")));
        }
    }
    if let Some(master) = &node.mesos_master {
        pairs.push(("leads Mesos", yes_no(master.elected)));
        pairs.extend(master.leader.clone().map(|leader| ("names as leader", leader)));
        if let Some(recovered) = master.registrar_recovered {
            pairs.push(("registrar recovered", yes_no(Some(recovered))));
        }
        pairs.extend(master.agents_active.map(|agents| ("active agents", agents.to_string())));
        pairs.extend(master.uptime_seconds.map(|up| ("master up for", words::seconds(up))));
    }
    if let Some(member) = &node.zookeeper {
        let mode = member.mode.as_deref().unwrap_or("does not serve");
        pairs.push(("ZooKeeper", format!("{mode}, version {}", or_unknown(&member.version))));
        pairs.extend(member.synced_followers.map(|number| ("followers in sync", number.to_string())));
    }
    pairs
}
