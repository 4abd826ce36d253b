//! Mesos and the cloud, as they are: they refuse, hang, or do it without saying so.

use super::*;
use std::hash::{DefaultHasher, Hash, Hasher};

impl World {
    pub(super) fn register(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get(name).filter(|node| node.takes_tasks()) else { return };
        let id = node.mesos_id();
        let known = self.mesos.entry(id).or_insert_with(|| MesosAgent {
            node: name.clone(),
            deactivated: false,
            is_connected: true,
            unlisted_until: Timestamp::MIN,
        });
        known.is_connected = true;
    }

    pub(super) fn disconnect(&mut self, name: &NodeName) {
        for agent in self.mesos.values_mut().filter(|agent| agent.node == *name) {
            agent.is_connected = false;
        }
    }

    pub fn look_at_mesos(&mut self) {
        let now = self.now;
        if self.is_paused() {
            return;
        }
        let down = now < self.mesos_down_until;
        let content = self.mesos_content();
        if self.mesos_answer.as_ref().is_none_or(|(known, _)| *known != content) {
            self.mesos_answer = Some((content, self.mesos_says()));
        }
        let Some((_, answer)) = &self.mesos_answer else { return };
        let answer = if down { Err("connection refused") } else { Ok(answer) };
        let old = self.old.as_ref().map(|(old, _)| old);
        for coordinator in self.coordinator.iter().chain(old) {
            coordinator.fleet().take_master_state(answer, coordinator.clock.read(now));
        }
        self.mesos_asked_at = now;
        self.look_at_marathon();
    }

    fn mesos_says(&self) -> MasterAnswer {
        let agents = self.mesos.iter().filter(|(_, agent)| agent.unlisted_until <= self.now);
        MasterAnswer {
            leader: format!("alimesos0{}", 1 + self.mesos_elected_at % 3),
            elected_at_secs: Some(self.mesos_elected_at),
            version: "1.11.0".to_owned(),
            agents: agents.filter_map(|(id, agent)| self.listed(id, agent)).collect(),
            ..MasterAnswer::default()
        }
    }

    /// A digest of everything that the master's answer depends on.
    fn mesos_content(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.mesos_elected_at.hash(&mut hasher);
        for agent in self.mesos.values() {
            let is_listed = agent.unlisted_until <= self.now;
            (agent.deactivated, agent.is_connected, is_listed).hash(&mut hasher);
            if let Some(node) = self.nodes.get(&agent.node) {
                node.mesos_number.hash(&mut hasher);
                node.tasks.iter().for_each(|task| task.id.hash(&mut hasher));
            }
        }
        hasher.finish()
    }

    pub(super) fn listed(&self, id: &str, agent: &MesosAgent) -> Option<MasterAgent> {
        let node = self.nodes.get(&agent.node)?;
        let is_current = node.mesos_id() == id;
        Some(MasterAgent {
            id: id.to_owned(),
            hostname: node.host(),
            active: agent.is_connected && !agent.deactivated,
            deactivated: agent.deactivated,
            unreachable: !agent.is_connected,
            attributes: node.attributes.clone(),
            tasks: if is_current && agent.is_connected {
                node.tasks.iter().map(task_of).collect()
            } else {
                Vec::new()
            },
            ..MasterAgent::default()
        })
        .filter(|_| is_current || agent.is_connected)
    }

    pub(super) fn start_tasks(&mut self) {
        let after = self.chance.between(20, 240);
        self.after(after, Happening::TaskStarts);
        let offered: Vec<NodeName> = self
            .mesos
            .values()
            .filter(|agent| agent.is_connected && !agent.deactivated)
            .map(|agent| agent.node.clone())
            .collect();
        let Some(name) = self.chance.one_of(&offered).cloned() else { return };
        let hours = self.chance.between(1, 9);
        let never_ends = self.chance.happens(60);
        self.tasks_ever += 1;
        let kind = match self.chance.below(20) {
            0 => TaskKind::Checker,
            1 => TaskKind::Service,
            2 => TaskKind::Pinned,
            3 | 4 => TaskKind::Disposable,
            5..=7 if self.setting.has_marathon() => TaskKind::Service,
            _ => TaskKind::Build,
        };
        let id = kind.id(self.tasks_ever);
        let ends_at = (!never_ends).then(|| self.now + SignedDuration::from_mins(hours * 20));
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&name).filter(|node| node.is_healthy() && node.tasks.len() < 2)
        else {
            return;
        };
        node.tasks.push(SimTask { id: id.clone(), kind, started_at: now });
        if let Some(ends_at) = ends_at {
            self.after(ends_at.duration_since(now).as_secs(), Happening::TaskEnds(name, id));
        }
    }

    pub(super) fn end_task(&mut self, name: &NodeName, id: &str) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let is_build = |task: &SimTask| matches!(task.kind, TaskKind::Build | TaskKind::Checker);
        let builds = node.is_up && node.tasks.iter().any(|task| task.id == id && is_build(task));
        node.tasks.retain(|task| task.id != id);
        if builds {
            self.outlives_its_task(name, id);
        }
    }

    pub(super) fn effect(&mut self, task: Task, run: u64) {
        self.checker.effect_is_recorded(&self.writes.lock().unwrap(), &task);
        let trick = self.trick.filter(|(number, _)| *number == self.effects).map(|(_, trick)| trick);
        let mut seconds = None;
        let is_kept_away = matches!(trick, Some(Trick::Refused | Trick::Unanswered));
        let outcome = match &task.effect {
            _ if is_kept_away => Some(Outcome::done(Vec::new())),
            Effect::Announce => Some(Outcome::done(Vec::new())),
            Effect::Cordon | Effect::Uncordon => self.offers(&task),
            Effect::Move { moves } => self.take_away(&task, moves),
            Effect::Cloud { may_ask } => {
                let (outcome, heard) = self.ask_cloud(&task, *may_ask);
                seconds = Some(heard);
                Some(outcome)
            }
            // The shipped policy leaves alarms to the executor.
            Effect::MaskAlarms { .. } | Effect::RestoreAlarms { .. } => {
                Some(Outcome::not_done("roger is not configured in coordinator.toml"))
            }
            Effect::Run { command } => Some(self.cloud(task.step, command, run, &task)),
        };
        self.coverage.count_word("effect", task.effect.as_str());
        let Some(mut outcome) = outcome else { return };
        if let Some(trick) = trick {
            outcome = trick.heard(outcome);
        }
        self.effects += 1;
        let after = seconds.unwrap_or_else(|| self.chance.between(1, 20));
        self.after(after, Happening::EffectDone(Box::new(task), run, outcome));
    }

    pub(super) fn effect_done(&mut self, task: &Task, run: u64, outcome: Outcome) {
        let now = self.now;
        if self.is_paused() {
            let seconds = self.paused_until.duration_since(now).as_secs() + 1;
            return self.after(seconds, Happening::EffectDone(Box::new(task.clone()), run, outcome));
        }
        let old = self.old.as_mut().map(|(old, _)| old);
        let both = self.coordinator.as_mut().into_iter().chain(old);
        let Some(coordinator) = both.into_iter().find(|coordinator| coordinator.run == run) else { return };
        coordinator.in_flight.remove(&effect_of(task));
        let _ = coordinator.operations.outcome(task, outcome, coordinator.clock.read(now));
        self.advance();
    }

    /// Mesos is told; it may refuse, answer late, or do it without saying so.
    pub(super) fn offers(&mut self, task: &Task) -> Option<Outcome> {
        let stop = task.effect == Effect::Cordon;
        if self.now < self.mesos_down_until {
            return Some(Outcome::unknown("the masters do not tell"));
        }
        if self.trouble("mesos", 300) {
            self.coverage.count_word("fault/mesos_refuses", task.step.as_str());
            return Some(Outcome::not_done("400 Bad Request"));
        }
        let is_lost = self.trouble("mesos", 300);
        if is_lost {
            self.coverage.count_word("fault/mesos_hangs", task.step.as_str());
            if self.chance.happens(5000) {
                return Some(Outcome::unknown("no answer within 10 s"));
            }
        }
        let ids: Vec<String> = {
            let coordinator = self.coordinator.as_ref()?;
            let fleet = coordinator.fleet();
            fleet.mesos_id(&task.node).into_iter().collect()
        };
        if ids.is_empty() {
            return Some(Outcome::not_done("Mesos lists no agent of this node"));
        }
        if !stop {
            super::super::checker::uncordoned(self, task);
        }
        for id in ids {
            if let Some(agent) = self.mesos.get_mut(&id) {
                agent.deactivated = stop;
            }
        }
        if is_lost {
            return Some(Outcome::unknown("no answer within 10 s"));
        }
        Some(Outcome::done(Vec::new()))
    }

    /// A command of the cloud: it may touch nothing, end half done, or take effect without saying so.
    pub fn cloud(&mut self, step: Step, command: &[String], _run: u64, task: &Task) -> Outcome {
        let Some(name) = command.get(1).and_then(|word| word.parse::<NodeName>().ok()) else {
            return Outcome::not_done("no node is named");
        };
        // Each attempt is judged by what became of it.
        self.checker.done.remove(&(task.operation.clone(), step));
        if self.trouble("cloud", 800) {
            self.coverage.count_word("fault/cloud_refuses", step.as_str());
            return self.policy.executors.outcome(step, Some(2), "usage");
        }
        // Names are unique.
        if step == Step::Create && self.nodes.get(&name).is_some_and(|node| !node.is_deleted) {
            return self.policy.executors.outcome(step, Some(2), "it exists");
        }
        if matches!(step, Step::HardReboot | Step::Rebuild) && self.trouble("cloud_lies", 300) {
            self.note("cloud_lies", Some(&name));
            self.checker.lied.insert((task.operation.clone(), step));
            return self.policy.executors.outcome(step, Some(0), "accepted");
        }
        let is_half = self.trouble("cloud", 800);
        if is_half {
            self.coverage.count_word("fault/cloud_half_done", step.as_str());
            if self.chance.happens(5000) {
                return self.policy.executors.outcome(step, Some(30), "Nova: 500");
            }
        }
        super::super::checker::touched_by_cloud(self, &name, task);
        self.touch(&name, step);
        if self.trick.is_some_and(|(number, trick)| number == self.effects && trick == Trick::Twice) {
            self.touch(&name, step);
        }
        if is_half {
            return self.policy.executors.outcome(step, Some(30), "Nova: 500");
        }
        self.policy.executors.outcome(step, Some(0), "accepted")
    }

    pub(super) fn touch(&mut self, name: &NodeName, step: Step) {
        match step {
            Step::HardReboot => {
                self.take_down(name);
                let seconds = self.chance.between(60, 600);
                self.boot_after(name, seconds);
            }
            Step::Rebuild | Step::Create => {
                self.take_down(name);
                if let Some(node) = self.nodes.get_mut(name) {
                    node.rebuild();
                    node.is_deleted = false;
                    node.is_stopped = false;
                    node.is_dead = false;
                }
                let seconds = self.chance.between(600, 3000);
                self.boot_after(name, seconds);
            }
            Step::Quarantine => {
                self.take_down(name);
                if let Some(node) = self.nodes.get_mut(name) {
                    node.is_stopped = true;
                }
            }
            Step::DeleteServer => {
                if let Some(node) = self.nodes.get_mut(name) {
                    node.is_deleted = true;
                }
            }
            _ => {}
        }
    }
}
