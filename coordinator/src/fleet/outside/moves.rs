//! What schedulers may be asked to take away from nodes, and whether that still holds at the moment of asking.

use crate::fleet::Fleet;
use jiff::Timestamp;
use millwright_decision::{
    Mode, Source, TaskClass,
    fleet::{Movable, STALE},
    operation::frozen,
};
use millwright_protocol::NodeName;

/// A node as schedulers know it: by the Mesos agents that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Mesos' ids of them.
    pub agent_ids: Vec<String>,
    /// The host names that they registered with.
    pub hosts: Vec<String>,
}

impl Place {
    /// Whether something that stands on this agent, by id or else by host name, stands here. Ids count first: several
    /// agents may share a name.
    pub fn has(&self, agent_id: &str, host: &str) -> bool {
        if agent_id.is_empty() {
            return self.hosts.iter().any(|known| known == host);
        }
        self.agent_ids.iter().any(|known| known == agent_id)
    }
}

impl Fleet {
    /// We may have this scheduler move tasks, give its lead away, or both.
    pub fn may_ask_to_move(&mut self, source: Source, moves_tasks: bool, gives_lead: bool) {
        let movable = Movable { moves_tasks, gives_lead, ..Movable::default() };
        self.snapshot.movable.insert(source, movable);
    }

    /// Where a node is for schedulers, if this task of it may be moved at this moment.
    ///
    /// # Errors
    /// What speaks against it, for people.
    pub fn may_move(&self, node: &NodeName, task: &str, now: Timestamp) -> Result<Place, String> {
        self.may_act(node, now)?;
        let spelled = self.policy.spell(node);
        let known = self.snapshot.nodes.get(node);
        let master = known.and_then(|node| node.master.as_ref());
        // Its scheduler may start it on the same node again, as long as that gets offers.
        let is_cordoned = master.is_some_and(|view| view.deactivated && now.duration_since(view.at) <= STALE);
        if !is_cordoned {
            return Err(format!("the offers of {spelled} are not known to be stopped just now"));
        }
        let own = known.and_then(|node| node.agent.as_ref()).and_then(|agent| agent.tasks.known());
        let living = own.into_iter().flatten().chain(master.into_iter().flat_map(|view| &view.tasks));
        for living in living.filter(|living| living.id == task) {
            if living.class != TaskClass::Service {
                return Err(format!("policy takes {task} for {} by now", living.class.as_str()));
            }
            let agrees =
                |owner: &String| self.snapshot.owners.get(task).is_some_and(|word| word.allows(owner, now));
            if let Some(owner) = living.owner.as_ref().filter(|owner| !agrees(owner)) {
                return Err(format!("its owner, {owner}, has not just said yes"));
            }
        }
        let agents = self.mesos_agents(node);
        if agents.is_empty() {
            return Err(format!("Mesos lists no agent of {spelled}"));
        }
        Ok(Place {
            agent_ids: agents.iter().map(|agent| agent.id.to_string()).collect(),
            hosts: agents.iter().map(|agent| agent.hostname.to_string()).collect(),
        })
    }

    /// Whether anything may be taken away from a node at this moment.
    ///
    /// # Errors
    /// What speaks against it, for people.
    pub fn may_act(&self, node: &NodeName, now: Timestamp) -> Result<(), String> {
        if let Some(why) = &self.policy.unreadable {
            return Err(why.to_string());
        }
        if let Some(reason) = frozen(&self.snapshot, &self.policy, now) {
            return Err(reason.sentence);
        }
        let class = self.policy.nodes.get(node).and_then(|listed| self.policy.class_of(listed));
        match class {
            Some(class) if class.mode == Mode::Act => Ok(()),
            _ => Err(format!("{} is in no class that is acted on by now", self.policy.spell(node))),
        }
    }
}
