//! Marathon, as it is: it keeps one service running, says where, and starts an instance that was killed elsewhere. It may
//! refuse, and whether it did what it was asked may stay open.

use super::*;
use millwright_coordinator::fleet::{Instance, Observation, Part, Scheduler, Service};
use millwright_decision::{Source, fleet::Move};

impl World {
    /// It is asked while somebody may go by what it says.
    pub(super) fn look_at_marathon(&self) {
        let Some(coordinator) = self.coordinator.as_ref().filter(|_| self.setting.has_marathon()) else {
            return;
        };
        let is_emptied = |tracked: &Tracked| {
            let step = tracked.operation.current_step().map(|(step, _)| step);
            !tracked.operation.is_over() && matches!(step, Some(Step::Cordon | Step::MoveTasks))
        };
        if !coordinator.operations.list().any(is_emptied) {
            return;
        }
        let instances: Vec<Instance> =
            self.services().map(|(name, task)| self.instance(name, task)).collect();
        let service =
            Service { name: "/web".into(), wanted: instances.len(), instances, ..Service::default() };
        let servers = self.policy.nodes.iter().filter(|(_, listed)| listed.class == Class::Master).take(1);
        let servers = servers.map(|(name, _)| (name.clone(), Ok(Part::Leads))).collect();
        let seen = Scheduler { servers, services: vec![service], ..Scheduler::default() };
        let at = coordinator.clock.read(self.now);
        coordinator.fleet().take_observation(Source::Marathon, Ok(Observation::Marathon(seen)), at);
    }

    fn services(&self) -> impl Iterator<Item = (&NodeName, &SimTask)> {
        let of_node = |(name, node)| {
            let node: &SimNode = node;
            node.tasks.iter().filter(|task| task.kind == TaskKind::Service).map(move |task| (name, task))
        };
        self.nodes.iter().flat_map(of_node)
    }

    fn instance(&self, name: &NodeName, task: &SimTask) -> Instance {
        let node = self.nodes.get(name);
        Instance {
            host: node.map(SimNode::host).unwrap_or_default(),
            agent_id: node.map(SimNode::mesos_id).unwrap_or_default(),
            is_well: node.is_some_and(SimNode::is_healthy),
            task: task.id.clone(),
            ..Instance::default()
        }
    }

    /// Has it take tasks away from a node, one after the other, as the coordinator does.
    pub(super) fn take_away(&mut self, task: &Task, moves: &[Move]) -> Option<Outcome> {
        for one in moves {
            let Move::Task { task: id, .. } = one else { continue };
            let may = {
                let coordinator = self.coordinator.as_ref()?;
                let known = coordinator.operations.get(&task.operation);
                if known.is_none_or(|known| known.operation.cancelled.is_some()) {
                    return Some(Outcome::not_done("it was called off"));
                }
                coordinator.fleet().may_move(&task.node, id, coordinator.clock.read(self.now)).map(drop)
            };
            if let Err(why) = may {
                return Some(Outcome::not_done(why));
            }
            if let Some(outcome) = self.take_one(task, id) {
                return Some(outcome);
            }
        }
        Some(Outcome::done(Vec::new()))
    }

    /// `None` once it runs elsewhere.
    fn take_one(&mut self, task: &Task, id: &str) -> Option<Outcome> {
        let is_there = self.nodes.get(&task.node)?.tasks.iter().any(|there| there.id == id);
        if !is_there {
            return None;
        }
        if self.trouble("marathon", 1000) {
            self.coverage.count_word("fault/marathon_refuses", task.step.as_str());
            let locked = Outcome::NotDone { why: "409".into(), refusal: Some("service_changing".into()) };
            return Some(if self.chance.happens(5000) {
                locked
            } else {
                Outcome::not_done("it is still there")
            });
        }
        let is_lost = self.trouble("marathon", 1000);
        if is_lost {
            self.coverage.count_word("fault/marathon_hangs", task.step.as_str());
            if self.chance.happens(5000) {
                return Some(Outcome::unknown("no answer within 10 s"));
            }
        }
        let elsewhere = self.services().filter(|(name, _)| **name != task.node).count();
        if elsewhere == 0 {
            let why = "Marathon knows no other healthy instance".to_owned();
            return Some(Outcome::NotDone { why, refusal: Some("last_instance".into()) });
        }
        super::super::checker::moved(self, task, id);
        self.end_task(&task.node, id);
        if !self.start_elsewhere(&task.node) {
            return Some(Outcome::not_done("no other instance comes up"));
        }
        is_lost.then(|| Outcome::unknown("no answer within 10 s"))
    }

    fn start_elsewhere(&mut self, not_on: &NodeName) -> bool {
        let offered = self.mesos.values().filter(|agent| agent.is_connected && !agent.deactivated);
        let can = |name: &&NodeName| {
            *name != not_on
                && self.nodes.get(*name).is_some_and(|node| node.is_healthy() && node.tasks.len() < 2)
        };
        let places: Vec<NodeName> = offered.map(|agent| &agent.node).filter(can).cloned().collect();
        let Some(place) = self.chance.one_of(&places).cloned() else { return false };
        self.tasks_ever += 1;
        let (id, now) = (TaskKind::Service.id(self.tasks_ever), self.now);
        let Some(node) = self.nodes.get_mut(&place) else { return false };
        node.tasks.push(SimTask { id: id.clone(), kind: TaskKind::Service, started_at: now });
        let seconds = self.chance.between(1200, 10_800);
        self.after(seconds, Happening::TaskEnds(place, id));
        true
    }
}
