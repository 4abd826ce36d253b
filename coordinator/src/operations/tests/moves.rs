//! What schedulers are asked to take away from a node that is emptied, when, and how often.

use super::*;
use crate::fleet::{
    Instance, Observation, Part, Scheduler, Service,
    testing::{at, mesos_id, report, task},
};
use millwright_decision::{fleet::Move, operation::Effect};
use std::collections::BTreeMap;

const HERE: &str = "alibuild01";

/// A service with an instance on the node that is emptied, and one on another where there are two.
struct Moving {
    engine: Engine,
    instances: Vec<(&'static str, &'static str)>,
    /// Whether Marathon answers.
    answers: bool,
}

impl Moving {
    fn new(instances: Vec<(&'static str, &'static str)>, change: impl FnOnce(&mut Policy)) -> Self {
        let mut engine = engine(change);
        engine.fleet.get_mut().unwrap().may_ask_to_move(Source::Marathon, true, true);
        for (node, id) in &instances {
            let host = format!("{node}.example.org");
            let agent = engine.master.agents.iter_mut().find(|agent| agent.hostname == host).unwrap();
            agent.tasks = vec![service_task(id)];
        }
        let mut moving = Self { engine, instances, answers: true };
        moving.hear();
        moving
    }

    /// Ten seconds later everybody is heard.
    fn hear(&mut self) {
        let marathon = self.marathon();
        let engine = &mut self.engine;
        engine.now += SignedDuration::from_secs(10);
        let now = engine.now;
        let fleet = engine.fleet.get_mut().unwrap();
        let sequence = u64::try_from(now.duration_since(at(0)).as_secs() / 10).unwrap();
        let listed: Vec<String> =
            fleet.policy().nodes.values().map(|listed| listed.display.clone()).collect();
        for display in listed {
            let mut said = report(&display, sequence);
            said.sent_at = now;
            let here = self.instances.iter().filter(|(node, _)| *node == display);
            if let Some(facts) = &mut said.facts.mesos_agent {
                facts.tasks = here.map(|(_, id)| service_task(id)).collect();
            }
            fleet.take_report(&name(&display), said, now);
        }
        if self.answers {
            fleet.take_observation(Source::Marathon, Ok(Observation::Marathon(marathon)), now);
        }
        engine.hear_master();
    }

    fn marathon(&self) -> Scheduler {
        let instance = |(node, id): &(&str, &str)| Instance {
            agent_id: mesos_id(node),
            task: (*id).to_owned(),
            is_well: true,
            ..Instance::default()
        };
        let instances: Vec<Instance> = self.instances.iter().map(instance).collect();
        let service =
            Service { name: "/web".into(), wanted: instances.len(), instances, ..Service::default() };
        let servers = BTreeMap::from([
            (name("alimesos01"), Ok(Part::Leads)),
            (name("alimesos02"), Ok(Part::StandsBy(None))),
        ]);
        Scheduler { servers, services: vec![service], ..Scheduler::default() }
    }

    /// Up to where tasks are moved: asked for, cordoned, read back.
    fn cordoned(&mut self) -> String {
        let id = self.engine.request(&ask(Action::Drain, HERE, "alice")).unwrap().id;
        let cordon = self.engine.advance().remove(0);
        self.engine.stop_offers(HERE, true);
        self.engine.operations.outcome(&cordon, Outcome::done(Vec::new()), self.engine.now).unwrap();
        self.hear();
        id
    }

    /// The step it is at, how that stands, and the attempt.
    fn step(&self, id: &str) -> (Step, (&'static str, u32)) {
        let (step, record) = self.engine.operation(id).current_step().unwrap();
        (step, (record.state.as_str(), record.attempt))
    }

    fn moves(&mut self) -> Vec<Move> {
        let tasks = self.engine.advance();
        let effects = tasks.into_iter().map(|task| task.effect);
        let moves = effects.filter_map(|effect| match effect {
            Effect::Move { moves } => Some(moves),
            _ => None,
        });
        moves.flatten().collect()
    }

    /// The move that is under way ends so.
    fn ends(&mut self, id: &str, outcome: Outcome) {
        let tracked = self.engine.operations.get(id).unwrap();
        let task = tracked.task(Effect::Move { moves: Vec::new() }).unwrap();
        self.engine.operations.outcome(&task, outcome, self.engine.now).unwrap();
    }

    fn waits(&self, id: &str) -> &Waiting {
        self.engine.operations.waiting(id).unwrap()
    }
}

fn service_task(id: &str) -> millwright_protocol::Task {
    millwright_protocol::Task { name: "web".into(), framework: "marathon".into(), ..task(id) }
}

fn two() -> Vec<(&'static str, &'static str)> {
    vec![(HERE, "service.1"), ("alibuild02", "service.2")]
}

fn of_web(task: &str) -> Move {
    Move::Task { by: Source::Marathon, service: "/web".into(), task: task.into() }
}

fn refused(word: &str) -> Outcome {
    Outcome::NotDone { why: "service.1 stays".into(), refusal: Some(word.into()) }
}

#[test]
fn a_service_that_runs_elsewhere_is_moved_by_name_and_again_after_a_restart() {
    let mut moving = Moving::new(two(), |_| {});
    let id = moving.cordoned();
    assert_eq!(moving.moves(), [of_web("service.1")]);
    let last = moving.engine.journal.read().unwrap().entries.last().unwrap().draft.clone();
    assert!(last.kind == "began" && last.payload.contains("service.1"), "{last:?}");
    assert!(moving.moves().is_empty(), "it is under way");
    moving.engine.restart();
    // It has gone meanwhile: whether its successor runs is still to be seen.
    moving.instances = vec![("alibuild02", "service.2"), ("alibuild03", "service.3")];
    moving.engine.master.agents.iter_mut().for_each(|agent| agent.tasks.clear());
    moving.hear();
    assert_eq!(moving.moves(), [of_web("service.1")]);
    assert_eq!(moving.step(&id), (Step::MoveTasks, ("begun", 1)));
    moving.ends(&id, Outcome::done(Vec::new()));
    assert_eq!(moving.step(&id).0, Step::ProveEmpty);
}

#[test]
fn with_no_scheduler_to_ask_and_in_a_class_that_is_not_acted_on_nothing_is_moved() {
    let mut moving = Moving::new(two(), |_| {});
    let mut advised = Moving::new(two(), |policy| {
        policy.classes.values_mut().for_each(|class| class.mode = Mode::Advise);
    });
    let id = advised.cordoned();
    assert!(advised.moves().is_empty());
    assert_eq!(advised.step(&id).0, Step::ProveEmpty);
    moving.engine.fleet.get_mut().unwrap().may_ask_to_move(Source::Marathon, false, true);
    let id = moving.cordoned();
    assert!(moving.moves().is_empty());
    assert_eq!(moving.step(&id).0, Step::ProveEmpty);
}

#[test]
fn the_last_instance_is_left_to_people_and_everything_else_to_itself() {
    let mut moving = Moving::new(vec![(HERE, "service.1")], |_| {});
    let id = moving.cordoned();
    assert!(moving.moves().is_empty());
    assert_eq!(moving.step(&id).0, Step::ProveEmpty);
    let waiting = moving.waits(&id);
    assert!(
        waiting.needs_people && waiting.sentence.contains("without another healthy instance"),
        "{waiting:?}"
    );
    let mut other = Moving::new(vec![(HERE, "mesos-jenkins-1"), ("alibuild02", "mesos-jenkins-2")], |_| {});
    let id = other.cordoned();
    assert!(other.moves().is_empty());
    assert_eq!(other.step(&id).0, Step::ProveEmpty);
}

#[test]
fn nothing_is_moved_before_the_cordon_is_read_back_and_before_its_scheduler_has_spoken() {
    let mut moving = Moving::new(two(), |_| {});
    let id = moving.cordoned();
    moving.engine.stop_offers(HERE, false);
    moving.hear();
    assert!(moving.moves().is_empty());
    assert!(moving.waits(&id).sentence.contains("offers are not known to be stopped"));
    moving.engine.stop_offers(HERE, true);
    moving.answers = false;
    for _ in 0..7 {
        moving.hear();
    }
    assert!(moving.moves().is_empty());
    let waiting = moving.waits(&id);
    assert!(
        waiting.sentence.starts_with("Marathon has not said for ") && !waiting.needs_people,
        "{waiting:?}"
    );
    moving.answers = true;
    moving.hear();
    assert_eq!(moving.moves(), [of_web("service.1")]);
}

#[test]
fn one_that_does_not_go_is_tried_a_few_times_and_is_then_a_persons_by_name() {
    let mut moving = Moving::new(two(), |_| {});
    let id = moving.cordoned();
    for attempt in 1..=5 {
        assert_eq!(moving.moves(), [of_web("service.1")], "attempt {attempt}");
        moving.ends(
            &id,
            Outcome::not_done("Marathon says that it takes service.1 away, and it is still there"),
        );
        assert!(moving.moves().is_empty(), "not at once");
        for _ in 0..60 {
            moving.hear();
        }
    }
    assert!(moving.moves().is_empty());
    let waiting = moving.waits(&id);
    assert!(waiting.needs_people && waiting.sentence.contains("service.1 away"), "{waiting:?}");
    assert!(waiting.sentence.contains(&format!("millwright retry {id}")), "{waiting:?}");
}

#[test]
fn a_lock_is_waited_for_however_long_and_people_hear_of_it_after_an_hour() {
    let mut moving = Moving::new(two(), |_| {});
    let id = moving.cordoned();
    let mut tries = 0;
    for _ in 0..60 * 6 {
        moving.hear();
        tries += moving.moves().len();
        if moving.step(&id).1.0 == "begun" {
            moving.ends(&id, refused("service_changing"));
            moving.moves();
        }
        if moving.waits(&id).needs_people {
            break;
        }
    }
    assert_eq!(moving.engine.operation(&id).phase, Phase::Forward);
    assert!(moving.waits(&id).needs_people && tries > 5, "{tries}: {:?}", moving.waits(&id));
    // What only people can mend is theirs at once.
    let mut pinned = Moving::new(two(), |_| {});
    let id = pinned.cordoned();
    pinned.moves();
    pinned.ends(&id, refused("service_pinned"));
    pinned.moves();
    assert!(pinned.waits(&id).needs_people);
}

#[test]
fn the_lead_is_given_away_before_the_master_that_has_it_goes() {
    let mut moving = Moving::new(two(), |_| {});
    let asked = ask(Action::Reboot, "alimesos01", "alice");
    let id = moving.engine.request(&asked).unwrap().id;
    let mut moves = Vec::new();
    for _ in 0..80 {
        moving.hear();
        let tasks = moving.engine.advance();
        for task in tasks {
            match &task.effect {
                Effect::Move { moves: found } => moves.extend(found.clone()),
                _ => {
                    let now = moving.engine.now;
                    moving.engine.operations.outcome(&task, Outcome::done(Vec::new()), now).unwrap();
                }
            }
        }
        if !moves.is_empty() {
            break;
        }
    }
    assert_eq!(moves, [Move::Lead { by: Source::Marathon }], "{:?}", moving.step(&id));
}
