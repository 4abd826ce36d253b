//! The checks before anything is done, in their order; the first that objects refuses. The first of the fourteen, who it is
//! that speaks, is the connection's: an answer over TLS counts only from the pinned name, not revoked.
//!
//! Each is a function of plain data and answers for itself alone. `machine` calls them in order, and adds what is no
//! question: the order that is known already, the intent, and what the next boot tells.

use super::{bound::ClockBound, local::LocalFacts};
use crate::{
    config::units::spoken,
    identity::Identity,
    memory::{Disk, Memory},
};
use jiff::SignedDuration;
use millwright_protocol::{ContainerRole, NodeName, Order, OrderState, RefusalCode, Verb};
use serde_json::Value;
use std::time::Duration;

/// An order is no longer than this, in bytes.
pub const LONGEST_ORDER: usize = 64 << 10;
/// And not valid for longer.
pub const LONGEST_TTL: u64 = 3600;
/// A reboot must be committed to within this time of its preparation.
pub const COMMIT_WITHIN: Duration = Duration::from_secs(60);
/// No reboot this soon after a boot (S18).
pub const AFTER_BOOT: Duration = Duration::from_secs(600);
/// No second reboot by order this soon after another, and no third in a day (S18).
pub const BETWEEN_REBOOTS: SignedDuration = SignedDuration::from_hours(2);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const REBOOTS_A_DAY: usize = 2;

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No {
    /// Which check says so.
    pub code: RefusalCode,
    /// For people: what was found, and what would help.
    pub sentence: String,
}

impl No {
    /// A refusal.
    pub fn new(code: RefusalCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    /// As it is told.
    pub fn state(self) -> OrderState {
        OrderState::Refused { code: self.code, sentence: self.sentence }
    }
}

/// What a check says.
pub type Answer = Result<(), No>;

/// What this node is and may do, by its own configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Who this is, in this boot.
    pub identity: Identity,
    /// Whether orders are carried out at all.
    pub enabled: bool,
    /// Whether a person must have confirmed a reboot.
    pub confirm_reboot: bool,
    /// Images that pre-pull keeps; empty where it is off.
    pub images: Vec<String>,
    /// Whether it can run Puppet.
    pub puppet: bool,
    /// Whether it keeps a Mesos master's whitelist.
    pub whitelist: bool,
    /// Whether anything is on its list of what may be removed.
    pub cleanup: bool,
}

/// One order, and everything it is judged by.
pub struct Case<'a, D> {
    /// The order.
    pub order: &'a Order,
    /// The node's own rules.
    pub rules: &'a Rules,
    /// What is remembered.
    pub memory: &'a Memory<D>,
    /// The coordinator's clock.
    pub bound: ClockBound,
    /// What the node says.
    pub facts: &'a LocalFacts,
    /// Verbs that are being carried out.
    pub running: &'a [(String, &'static str)],
    /// Since boot.
    pub uptime: Duration,
}

/// The order's id, where it has one that can be answered by.
pub fn id(order: &Value) -> Option<&str> {
    let id = order.get("id")?.as_str()?;
    let is_good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    (!id.is_empty() && id.len() <= 80 && id.bytes().all(is_good)).then_some(id)
}

/// 2: an order of this version, of bounded size, with every argument.
///
/// # Errors
/// What is wrong with it.
pub fn is_well_formed(order: &Value) -> Result<Order, No> {
    let no = |why: String| {
        let why: String = why.chars().take(300).collect();
        No::new(RefusalCode::Malformed, format!("the order cannot be read: {why}"))
    };
    let length = order.to_string().len();
    if length > LONGEST_ORDER {
        return Err(no(format!("{length} bytes are more than {LONGEST_ORDER}")));
    }
    let read = serde_json::from_value::<Order>(order.clone()).map_err(|error| no(error.to_string()))?;
    if read.ttl_seconds == 0 || read.ttl_seconds > LONGEST_TTL {
        return Err(no(format!("ttl_seconds is {}, and must be from 1 to {LONGEST_TTL}", read.ttl_seconds)));
    }
    // A missing argument is a refusal, not a default.
    let bad = match &read.verb {
        Verb::Prepull { images } if images.is_empty() => Some("no image is named"),
        Verb::PuppetRun { tries } if !(1..=5).contains(tries) => Some("tries must be from 1 to 5"),
        Verb::SetFact { .. } if order.get("value").is_none() => {
            Some("value is missing; null removes the fact")
        }
        Verb::SetFact { name, .. } if !is_fact_name(name) => {
            Some("a fact's name is millwright_ and lower-case letters and _")
        }
        Verb::SetFact { value: Some(value), .. } if !is_fact_value(value) => {
            Some("a fact's value is one line of 1 to 200 characters")
        }
        Verb::SetWhitelist { hosts, .. } if hosts.is_empty() => {
            Some("a whitelist without a host would stop the cluster")
        }
        Verb::SetWhitelist { hosts, .. } if !hosts.iter().all(|host| is_host(host)) => {
            Some("a host is no host name")
        }
        _ => None,
    };
    bad.map_or(Ok(read), |why| Err(no(why.to_owned())))
}

fn is_fact_name(name: &str) -> bool {
    name.len() <= 64
        && name.strip_prefix("millwright_").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
}

fn is_fact_value(value: &str) -> bool {
    (1..=200).contains(&value.chars().count()) && !value.chars().any(char::is_control)
}

fn is_host(host: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' || byte == b'_';
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(is_good)
        && host.starts_with(|letter: char| letter != '-')
}

impl<D: Disk> Case<'_, D> {
    /// 3: this node, this machine, this server: all that is known of it is so (S21). Never by name alone.
    pub fn is_meant(&self) -> Answer {
        let (target, us) = (&self.order.target, &self.rules.identity);
        let names = (target.node.parse::<NodeName>(), us.name.parse::<NodeName>());
        let is_our_name = matches!(names, (Ok(theirs), Ok(ours)) if theirs == ours);
        let differing = [
            (!is_our_name).then(|| format!("the node {:?}, and this is {}", target.node, us.name)),
            (target.machine_id != us.machine_id)
                .then(|| format!("the machine {:?}, and this is {}", target.machine_id, us.machine_id)),
            (target.server_uuid != us.server_uuid)
                .then(|| format!("the server {:?}, and this is {:?}", target.server_uuid, us.server_uuid)),
        ];
        match differing.into_iter().flatten().next() {
            None => Ok(()),
            Some(what) => Err(No::new(
                RefusalCode::NotMe,
                format!("the order is for {what}: somebody's list of machines is wrong; find out whose"),
            )),
        }
    }

    /// 4: the generation is the one known here, the epoch not below the highest seen (S8).
    pub fn leader_is_current(&self) -> Answer {
        let (Some(seen), theirs) = (self.memory.seen(), self.order.fence) else { return Ok(()) };
        let ours = seen.fence;
        let why = if theirs.generation < ours.generation {
            format!(
                "of generation {}, and generation {} has spoken since",
                theirs.generation, ours.generation
            )
        } else if theirs.generation > ours.generation {
            format!("of generation {}, which has answered no report of this node yet", theirs.generation)
        } else if theirs.epoch < ours.epoch {
            format!("of epoch {}, and epoch {} has spoken since", theirs.epoch, ours.epoch)
        } else {
            return Ok(());
        };
        Err(No::new(RefusalCode::StaleLeader, format!("the order is {why}")))
    }

    /// 6: not void, by the latest that the coordinator's clock can be (S11).
    pub fn is_in_time(&self) -> Answer {
        let unknown = |why: String| Err(No::new(RefusalCode::ClockUnknown, why));
        let Some(now) = self.bound.now(self.uptime) else {
            return unknown("the coordinator has not said what time it is".to_owned());
        };
        if !now.is_narrow() {
            let wide = now.latest.duration_since(now.earliest).as_secs();
            return unknown(format!(
                "the coordinator's clock is known to {wide} s only, so nobody can tell the order's age"
            ));
        }
        let issued_at = self.order.issued_at;
        if issued_at > now.latest {
            return unknown(format!(
                "the order was made at {issued_at}, and no clock of the coordinator's can be later than {}",
                now.latest
            ));
        }
        if self.bound.is_from_before(issued_at) {
            return unknown(format!(
                "since the order was made at {issued_at} the coordinator's clock and this machine's have contradicted each \
                 other, as after a machine was put back from a snapshot"
            ));
        }
        let void_at = self.order.void_at();
        if void_at <= now.latest {
            return Err(No::new(
                RefusalCode::Expired,
                format!("the order was valid until {void_at}, and it may be {} now", now.latest),
            ));
        }
        Ok(())
    }

    /// Made while this memory was kept, or nobody can tell whether it was begun already: that it was not is no more than a
    /// guess, so the machine answers `unknown`.
    pub fn is_within_memory(&self) -> Answer {
        let Some(kept) = self.memory.age(&self.rules.identity.boot_id, self.uptime) else { return Ok(()) };
        let latest = self.bound.now(self.uptime).map(|now| now.latest.duration_since(self.order.issued_at));
        let age = latest.map(|age| Duration::try_from(age).unwrap_or_default());
        if age.is_some_and(|age| age <= kept) {
            return Ok(());
        }
        let old = age.map_or("of unknown age".to_owned(), |age| format!("{} old", spoken(age)));
        let sentence = format!(
            "the order is {old} and this node's memory begins {} ago, so nobody can tell whether it was carried out; it is \
             not begun now",
            spoken(kept)
        );
        Err(No::new(RefusalCode::MemoryBroken, sentence))
    }

    /// 7: for this boot, and no earlier one (S10, S11).
    pub fn is_for_this_boot(&self) -> Answer {
        if self.order.target.boot_id == self.rules.identity.boot_id {
            return Ok(());
        }
        Err(No::new(
            RefusalCode::EarlierBoot,
            format!(
                "the order is for boot {:?}, and this is {}",
                self.order.target.boot_id, self.rules.identity.boot_id
            ),
        ))
    }

    /// The node's own word (DESIGN rule 7): no order overrules its agent.toml.
    pub fn is_permitted_here(&self) -> Answer {
        let no = |why: &str| Err(No::new(RefusalCode::Protected, why));
        match &self.order.verb {
            _ if !self.rules.enabled => no("orders.enabled is false in this node's agent.toml"),
            Verb::Reboot { confirmed_by: None, .. } if self.rules.confirm_reboot => no(
                "protections.confirm_reboot is set in this node's agent.toml, and the order names nobody who confirmed",
            ),
            _ => Ok(()),
        }
    }

    /// 8: nobody on the node objects (S17).
    pub fn nobody_objects(&self) -> Answer {
        let no = |why: String| Err(No::new(RefusalCode::Veto, why));
        if let Some(hold) = self.facts.holds.first().filter(|_| changes_something(&self.order.verb)) {
            let until = hold.until.map_or("until lifted".to_owned(), |until| format!("until {until}"));
            return no(format!(
                "{} holds this node as it is since {}, {until}: {}; `millwright-agent hold lift {}` there ends that",
                hold.author, hold.since, hold.reason, hold.id
            ));
        }
        if !matches!(self.order.verb, Verb::Reboot { .. }) {
            return Ok(());
        }
        match self.facts.objections.iter().chain(&self.facts.puppet).next() {
            Some(objection) => no(objection.clone()),
            None => Ok(()),
        }
    }

    /// 9: nothing runs that nobody let go, and what runs is known (S7). Unknown is never idle.
    pub fn nothing_runs(&self) -> Answer {
        let busy = |why: String| Err(No::new(RefusalCode::Busy, why));
        let verb = self.order.verb.as_str();
        let is_reboot = matches!(self.order.verb, Verb::Reboot { .. });
        if let Some((id, under_way)) =
            self.running.iter().find(|(_, other)| is_reboot || *other == verb || *other == "reboot")
        {
            return busy(format!("{under_way} by order {id} is under way"));
        }
        let Verb::Reboot { may_end, .. } = &self.order.verb else { return Ok(()) };
        if let Some(raid) = &self.facts.raid {
            return busy(raid.clone());
        }
        match self.work(may_end) {
            Ok(None) => Ok(()),
            Ok(Some(work)) => busy(format!("{work} runs here, and nobody let it go")),
            Err(why) => busy(why),
        }
    }

    /// The first piece of work that is not among those that may end.
    fn work(&self, may_end: &[String]) -> Result<Option<String>, String> {
        let is_let_go = |name: &String| may_end.contains(name);
        self.facts.zookeeper.fresh("what the ZooKeeper member here does")?;
        let tasks = self.facts.tasks.fresh("what Mesos runs here")?;
        if let Some(task) = tasks.into_iter().flatten().find(|task| !is_let_go(task)) {
            return Ok(Some(format!("the task {task}")));
        }
        // Where Mesos says that every task may end, so may the containers that it says are theirs.
        let tasks_may_end = tasks.is_some_and(|tasks| !tasks.is_empty());
        let containers = self.facts.containers.fresh("what Docker runs here")?;
        let working = containers.into_iter().flatten().find(|(name, role)| match role {
            ContainerRole::Infrastructure => false,
            ContainerRole::Task if tasks_may_end => false,
            ContainerRole::Task | ContainerRole::Orphan | ContainerRole::Other => !is_let_go(name),
        });
        Ok(working.map(|(name, _)| format!("the container {name}")))
    }

    /// 10: not booted too lately, and not rebooted by order too often (S18), whatever orders say. A boot that somebody made
    /// by hand is no reboot of ours.
    pub fn is_not_too_soon(&self) -> Answer {
        if !matches!(self.order.verb, Verb::Reboot { .. }) {
            return Ok(());
        }
        let no = |why: String| Err(No::new(RefusalCode::TooSoon, why));
        if self.uptime < AFTER_BOOT {
            return no(format!(
                "this node booted {} ago; {} must pass",
                spoken(self.uptime),
                spoken(AFTER_BOOT)
            ));
        }
        // By the coordinator's clock, since the node's own may say anything after a boot.
        let Some(now) = self.bound.now(self.uptime) else { return no("the time is not known".to_owned()) };
        let begun = self.memory.orders().iter().filter(|order| order.verb == "reboot");
        let ages: Vec<_> = begun
            .filter_map(|order| order.begun.as_ref())
            .map(|begun| now.earliest.duration_since(begun.at))
            .collect();
        if let Some(age) = ages.iter().find(|age| **age < BETWEEN_REBOOTS) {
            return no(format!("an order rebooted this node {} min ago; 2 h must pass", age.as_mins()));
        }
        if ages.iter().filter(|age| **age < DAY).count() >= REBOOTS_A_DAY {
            return no("orders rebooted this node twice within 24 h".to_owned());
        }
        Ok(())
    }

    /// The node has what the verb needs.
    pub fn can_be_done_here(&self) -> Answer {
        let rules = self.rules;
        let missing = match &self.order.verb {
            Verb::Prepull { images } => match images.iter().find(|image| !rules.images.contains(image)) {
                Some(image) => {
                    format!("{image:?} is not among this node's prepull.images, or prepull.enabled is false")
                }
                None => return Ok(()),
            },
            Verb::PuppetRun { .. } if !rules.puppet => {
                "orders.puppet_unit is empty in this node's agent.toml".to_owned()
            }
            Verb::SetWhitelist { .. } if !rules.whitelist => {
                "this is no master, or mesos_master.whitelist is not set in its agent.toml".to_owned()
            }
            Verb::Cleanup { .. } if !rules.cleanup => {
                "cleanup.globs is empty in this node's agent.toml".to_owned()
            }
            _ => return Ok(()),
        };
        Err(No::new(RefusalCode::NotHere, missing))
    }

    /// No list of hosts replaces a newer one, in whatever order they arrive.
    pub fn is_newest_list(&self) -> Answer {
        let Verb::SetWhitelist { version, .. } = &self.order.verb else { return Ok(()) };
        match self.memory.whitelist().filter(|newest| newest > version) {
            None => Ok(()),
            Some(newest) => Err(No::new(
                RefusalCode::StaleLeader,
                format!(
                    "the whitelist is of version {version}, and one of version {newest} was written since"
                ),
            )),
        }
    }

    /// 12: the last look, a moment before: 8 and 9 again.
    pub fn last_look(&self) -> Answer {
        let changed = |no: No| No { code: RefusalCode::ChangedMind, ..no };
        self.nobody_objects().map_err(changed)?;
        self.nothing_runs().map_err(changed)
    }
}

/// Whether a verb leaves the node other than it found it.
fn changes_something(verb: &Verb) -> bool {
    !matches!(verb, Verb::CollectDiagnostics {} | Verb::Cleanup { dry_run: true })
}
