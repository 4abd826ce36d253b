//! People, as they are: they ask for things, change their minds, press twice, approve what they have not read, forget to
//! come back, and in the end look after what needs them.

use super::world::World;
use jiff::{SignedDuration, Timestamp};
use millwright_coordinator::operations::{Ask, Confirmation, Declined, Operations, Task};
use millwright_decision::{
    Action, Class, Code, Source, Volumes,
    operation::{Effect, Executor, Outcome, Phase, State, Step, Waiting},
};
use millwright_protocol::NodeName;

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// One look of somebody at the dashboard.
pub fn act(world: &mut World) {
    if world.is_paused() {
        return;
    }
    let by = world.chance.one_of(&PEOPLE).copied().unwrap_or("alice");
    look_after(world, by);
    if world.coordinator.is_none() {
        return;
    }
    match world.chance.below(10) {
        0..=4 => ask_for_something(world, by),
        5 => cancel_something(world, by),
        6 => hold_something(world, by),
        7 => pause_or_resume(world, by),
        8 => return_something(world, by),
        9 => only_look(world, by),
        _ => {}
    }
    world.advance();
}

fn ask_for_something(world: &mut World, by: &str) {
    let names: Vec<NodeName> = world.nodes.keys().cloned().collect();
    let Some(node) = world.chance.one_of(&names).cloned() else { return };
    let actions = [
        Action::Reboot,
        Action::Reboot,
        Action::Reboot,
        Action::Drain,
        Action::Rebuild,
        Action::Rebuild,
        Action::Return,
        Action::Prepull,
    ];
    let mut action = world.chance.one_of(&actions).copied().unwrap_or(Action::Reboot);
    // Long histories have the time to see it through.
    let deletes = if world.setting.hours > 200 { 2500 } else { 200 };
    if world.chance.happens(deletes) {
        action = Action::Delete;
    }
    let is_gone = world.nodes.get(&node).is_some_and(|node| node.is_deleted);
    if is_gone || world.chance.happens(50) {
        return create(world, by, node);
    }
    let running: Vec<String> = world
        .nodes
        .get(&node)
        .map(|node| node.tasks.iter().map(|task| task.id.clone()).collect())
        .unwrap_or_default();
    let lets_go = action.ends_tasks() && world.chance.happens(1500);
    let confirms = world.chance.happens(7000);
    let mut confirm = Vec::new();
    if confirms {
        confirm.push(Code::ConfirmReboot);
        confirm.push(Code::LastOfLabel);
    }
    if world.chance.happens(3000) {
        confirm.push(Code::OrphanContainer);
    }
    let ask = Ask {
        action,
        by: by.to_owned(),
        reason: "it has to be".to_owned(),
        volumes: if world.chance.happens(3000) && action == Action::Delete {
            Volumes::Delete
        } else {
            Volumes::Keep
        },
        let_go: if lets_go { running } else { Vec::new() },
        image: None,
        confirm,
        typed: (action == Action::Delete).then(|| node.to_string()),
        executor: None,
        node,
    };
    request(world, &ask);
    if world.chance.happens(2000) {
        // Pressed twice.
        request(world, &ask);
    }
}

/// What was deleted is forgotten, and made anew.
fn create(world: &mut World, by: &str, node: NodeName) {
    let now = world.clock();
    let is_forgotten = world.chance.happens(8000);
    let Some(coordinator) = &mut world.coordinator else { return };
    if is_forgotten {
        let _ = coordinator.fleet().forget(&node, "it was deleted", by, now);
    }
    request(world, &Ask::plain(Action::Create, node, by, "it is needed again"));
}

/// Somebody only wants to know what would come of it: that changes nothing (S16).
fn only_look(world: &mut World, by: &str) {
    let names: Vec<NodeName> = world.nodes.keys().cloned().collect();
    let Some(node) = world.chance.one_of(&names).cloned() else { return };
    let now = world.clock();
    let Some(coordinator) = &mut world.coordinator else { return };
    let before = coordinator.operations.position();
    let ask = Ask {
        action: Action::Reboot,
        node,
        by: by.to_owned(),
        reason: "I only look".to_owned(),
        volumes: Volumes::Keep,
        let_go: Vec::new(),
        image: None,
        confirm: vec![Code::ConfirmReboot],
        typed: None,
        executor: None,
    };
    let word = match coordinator.operations.rehearse(&ask, &coordinator.fleet, now) {
        Ok(()) => "people/looked_and_may",
        Err(_) => "people/looked_and_may_not",
    };
    let fleet = coordinator.fleet();
    let known = |id: &String| coordinator.operations.get(id).is_some();
    let left = fleet.snapshot().operations.iter().map(|operation| operation.id.clone()).find(|id| !known(id));
    let is_written = coordinator.operations.position() != before;
    drop(fleet);
    world.coverage.count(word);
    if is_written || left.is_some() {
        world
            .checker
            .violate("S16", format!("{by} only looked, and that has left something behind: {left:?}"));
    }
}

fn request(world: &mut World, ask: &Ask) {
    let now = world.clock();
    let Some(coordinator) = &mut world.coordinator else { return };
    match coordinator.operations.request(ask, &coordinator.fleet, now) {
        Ok(taken) if taken.is_known => world.coverage.count("people/pressed_twice"),
        Ok(_) => world.coverage.count_word("people/asked", ask.action.as_str()),
        Err(declined) => {
            world.coverage.count_word("people/declined", declined.code());
            if let Declined::Objected(verdict) = &declined {
                verdict.reasons.iter().for_each(|reason| world.coverage.reason(reason.code));
            }
        }
    }
}

fn open(operations: &Operations) -> Vec<String> {
    operations
        .list()
        .filter(|tracked| !tracked.operation.is_over())
        .map(|tracked| tracked.operation.id.clone())
        .collect()
}

fn cancel_something(world: &mut World, by: &str) {
    let Some(ids) = world.coordinator.as_ref().map(|coordinator| open(&coordinator.operations)) else {
        return;
    };
    let Some(id) = world.chance.one_of(&ids).cloned() else { return };
    let now = world.clock();
    let Some(coordinator) = &mut world.coordinator else { return };
    match coordinator.operations.cancel(&id, by, "another day", false, now) {
        Ok(()) => world.coverage.count("people/cancelled"),
        Err(_) => world.coverage.count("people/could_not_cancel"),
    }
}

fn hold_something(world: &mut World, by: &str) {
    let names: Vec<NodeName> = world.nodes.keys().cloned().collect();
    let Some(node) = world.chance.one_of(&names).cloned() else { return };
    let now = world.clock();
    let until = Some(now + SignedDuration::from_hours(2));
    if world.chance.happens(4000) {
        hold_locally(world, &node, by);
        return;
    }
    let Some(coordinator) = &mut world.coordinator else { return };
    let _ = coordinator.operations.hold(node, by, "a core dump", until, now);
}

/// On the node itself, without a network.
fn hold_locally(world: &mut World, node: &NodeName, by: &str) {
    let now = world.clock();
    if let Some(node) = world.nodes.get_mut(node) {
        node.holds.push(millwright_protocol::LocalHold {
            id: "h1".to_owned(),
            author: by.to_owned(),
            reason: "I am looking at it".to_owned(),
            since: now,
            until: Some(now + SignedDuration::from_hours(2)),
        });
    }
}

/// Somebody objects in the very moment in which a node has said that it is ready.
pub fn at_the_last_moment(world: &mut World, node: &NodeName) {
    if !world.trouble("people", 450) {
        return;
    }
    world.coverage.count("people/objected_at_the_last_moment");
    object(world, node);
}

/// Somebody says no: on the node, to Mesos, or to everybody.
pub fn object(world: &mut World, node: &NodeName) {
    let by = world.chance.one_of(&PEOPLE).copied().unwrap_or("alice");
    let now = world.clock() - SignedDuration::from_secs(1);
    let until = Some(now + SignedDuration::from_hours(2));
    match world.chance.below(3) {
        0 => return hold_locally(world, node, by),
        1 => return world.uncordoned_by_hand(node),
        _ => {}
    }
    if let Some(coordinator) = &mut world.coordinator {
        let _ = coordinator.operations.hold(node.clone(), by, "wait a moment", until, now);
    }
}

fn pause_or_resume(world: &mut World, by: &str) {
    let now = world.clock();
    let presses = world.chance.happens(1500);
    let Some(coordinator) = &mut world.coordinator else { return };
    if coordinator.operations.words().pause.is_some() {
        let _ = coordinator.operations.resume(by, "it is over", now);
    } else if presses {
        let _ = coordinator.operations.pause(by, "something is strange", now);
    }
}

fn return_something(world: &mut World, by: &str) {
    let Some(coordinator) = &world.coordinator else { return };
    let parked: Vec<(NodeName, String)> = coordinator
        .operations
        .list()
        .filter(|tracked| matches!(tracked.operation.phase, Phase::Parked { .. }))
        .map(|tracked| (tracked.operation.wish.node.clone(), tracked.operation.wish.by.clone()))
        .collect();
    let Some((node, owner)) = world.chance.one_of(&parked).cloned() else { return };
    let by = if world.chance.happens(7000) { owner } else { by.to_owned() };
    request(world, &Ask::plain(Action::Return, node, &by, "back to work"));
}

/// Whatever waits for people gets them, sooner or later.
fn look_after(world: &mut World, by: &str) {
    let now = world.clock();
    let true_now = world.now;
    for node in world.nodes.values_mut() {
        node.holds.retain(|hold| hold.until.is_none_or(|until| true_now < until));
    }
    let Some(coordinator) = &mut world.coordinator else { return };
    let mut dead = Vec::new();
    {
        let mut fleet = coordinator.fleet.lock().unwrap();
        let classes: Vec<Class> = fleet.snapshot().brakes.keys().copied().collect();
        for class in classes {
            let _ = fleet.reset_brake(class, by, now);
            world.coverage.count("people/reset_brake");
        }
        let missing =
            fleet.snapshot().warm_up.as_ref().map(|warm_up| warm_up.missing.clone()).unwrap_or_default();
        let changed: Vec<NodeName> = fleet
            .snapshot()
            .nodes
            .iter()
            .filter(|(_, node)| node.identity_changed.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in missing.into_iter().chain(changed) {
            coordinator.awaited.remove(&name);
            let _ = fleet.accept(&name, "seen", by, now);
        }
        for (name, node) in &world.nodes {
            let known = fleet.snapshot().nodes.get(name);
            let silent = known
                .and_then(|known| known.report_age(now))
                .is_none_or(|age| age > SignedDuration::from_hours(8));
            let is_said = known.is_some_and(|known| known.known_dead.is_some());
            if silent && (node.is_dead || node.is_deleted) && !is_said {
                dead.push(name.clone());
            }
            if is_said && node.is_up {
                let _ = fleet.accept(name, "it is alive", by, now);
            }
        }
        for name in &dead {
            let _ = fleet.dead(name, "it does not come back", by, now);
            world.coverage.count("people/declared_dead");
        }
    }
    if coordinator.operations.words().pause.is_some() && world.chance.happens(3000) {
        let _ = coordinator.operations.resume(by, "it is over", now);
    }
    lift_expired(world, by);
    repair_silent(world, by);
    answer(world, by);
}

/// A hold whose time is over asks, and somebody who looks lifts it.
fn lift_expired(world: &mut World, by: &str) {
    let now = world.clock();
    let Some(coordinator) = &mut world.coordinator else { return };
    let held = &coordinator.operations.words().held;
    let is_over = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
    let expired: Vec<String> =
        held.iter().filter(|(_, (_, hold))| is_over(hold.until)).map(|(id, _)| id.clone()).collect();
    for id in expired {
        let _ = coordinator.operations.lift(&id, by, "its time is over", now);
        world.coverage.count("people/lifted_expired");
    }
}

/// A silent node is reset from outside, its tasks named.
fn repair_silent(world: &mut World, by: &str) {
    let now = world.clock();
    let Some(coordinator) = &world.coordinator else { return };
    let silent: Option<(NodeName, Vec<String>)> = {
        let fleet = coordinator.fleet();
        let silent = fleet.snapshot().nodes.iter().find(|(name, node)| {
            node.known_dead.is_none()
                && node.report_age(now).is_some_and(|age| age > SignedDuration::from_mins(20))
                && fleet.snapshot().operation_on(name).is_none()
        });
        silent.map(|(name, node)| {
            let own = node.agent.as_ref().and_then(|agent| agent.tasks.known().cloned()).unwrap_or_default();
            let listed = node.master.as_ref().map(|view| view.tasks.clone()).unwrap_or_default();
            (name.clone(), own.into_iter().chain(listed).map(|task| task.id).collect())
        })
    };
    let Some((node, let_go)) = silent else { return };
    request(
        world,
        &Ask {
            action: Action::Reboot,
            node,
            by: by.to_owned(),
            reason: "it is frozen".to_owned(),
            volumes: Volumes::Keep,
            let_go,
            image: None,
            confirm: vec![Code::SilentNode, Code::ConfirmReboot],
            typed: None,
            executor: None,
        },
    );
}

/// Operations that wait for a person get an answer.
fn answer(world: &mut World, by: &str) {
    let now = world.clock();
    let Some(coordinator) = &world.coordinator else { return };
    for id in open(&coordinator.operations) {
        let Some(coordinator) = &mut world.coordinator else { return };
        let Some(tracked) = coordinator.operations.get(&id) else { continue };
        let operation = tracked.operation.clone();
        let right = millwright_coordinator::operations::digest(&operation.wish, &world.policy);
        let digest = if world.chance.happens(1000) { "0000000000000000".to_owned() } else { right.clone() };
        let operations = &mut coordinator.operations;
        let needs = operations.waiting(&id).is_some_and(|waiting| waiting.needs_people);
        let unheard = operations.waiting(&id).and_then(unheard);
        let wants_approval =
            operations.waiting(&id).is_some_and(|waiting| waits_for(waiting, Code::ApprovalMissing));
        if wants_approval {
            let taken = operations.approve(&id, by, &digest, "looks right", &coordinator.fleet, now);
            // Somebody changes what was just agreed to.
            let is_edited = taken.is_ok() && digest == right;
            if taken.is_ok() && digest != right {
                let sentence = format!("{by} looked at {digest}, and {id} would do {right}: that counts");
                world.checker.violate("S14", sentence);
            }
            if is_edited && world.trouble("policy", 400) {
                world.edit_policy(&operation.wish.node);
            }
            continue;
        }
        // Somebody looks for themselves.
        if let Some(source) = unheard.filter(|_| needs && world.chance.happens(5000)) {
            let node = operation.wish.node.clone();
            if operations.attest(node.clone(), source, by, "I have looked there", now).is_ok() {
                world.coverage.count_word("people/attested", source.as_str());
                world.vouch(&node, source);
            }
            continue;
        }
        match &operation.phase {
            Phase::Stuck { .. } => {
                if world.chance.happens(3000) {
                    let abandon = operation.is_past_no_return() || world.chance.happens(5000);
                    let _ = operations.cancel(&id, by, "by hand then", abandon, now);
                } else {
                    let _ = operations.retry(&id, by, "mended", now);
                }
                continue;
            }
            Phase::Forward if needs => {}
            _ => continue,
        }
        if operations.waiting(&id).is_some_and(|waiting| waits_for(waiting, Code::GoAhead)) {
            let _ = operations.confirm(&id, by, &Confirmation::Begin, "go", &coordinator.fleet, now);
            continue;
        }
        if operation.wish.executor == Executor::ByHand && run_by_hand(world, &id, by) {
            continue;
        }
        let Some((_, record)) = operation.current_step() else { continue };
        if let State::Unknown { .. } = record.state {
            settle(world, by);
            continue;
        }
        // What has waited for a day is called off, or taken over.
        let Some(coordinator) = &mut world.coordinator else { return };
        let operations = &mut coordinator.operations;
        let waited = now.duration_since(operation.changed_at);
        if waited > SignedDuration::from_hours(10) {
            let abandon = operation.is_past_no_return();
            let _ = operations.cancel(&id, by, "it takes too long", abandon, now);
        }
    }
}

/// The system whose silence an operation waits for.
fn unheard(waiting: &Waiting) -> Option<Source> {
    let reason = waiting.reasons.iter().find(|reason| reason.code == Code::SourceUnknown)?;
    Source::ALL
        .iter()
        .copied()
        .find(|source| reason.evidence.iter().any(|fact| fact.source == source.as_str()))
}

fn waits_for(waiting: &Waiting, code: Code) -> bool {
    waiting.reasons.iter().any(|reason| reason.code == code)
}

/// A person takes a step of the cloud with their own credentials, and mostly says how it ended; tells whether it was theirs.
fn run_by_hand(world: &mut World, id: &str, by: &str) -> bool {
    let (now, forgets) = (world.clock(), world.chance.happens(1000));
    let Some(coordinator) = &mut world.coordinator else { return false };
    let operations = &mut coordinator.operations;
    let said = if forgets { Confirmation::Printed } else { Confirmation::Begin };
    let command = operations.confirm(id, by, &said, "by hand", &coordinator.fleet, now).unwrap_or_default();
    let Some(operation) = operations.get(id).map(|tracked| tracked.operation.clone()) else { return false };
    // Before anything else moves: what is begun now is judged by what is so now.
    super::checker::judge(world);
    let Some((step, record)) = operation.current_step().filter(|_| !command.is_empty()) else { return false };
    let task = Task {
        operation: id.to_owned(),
        node: operation.wish.node.clone(),
        place: operation.at,
        step,
        attempt: record.attempt,
        is_undo: false,
        effect: Effect::Run { command: command.clone() },
    };
    let code = match world.cloud(step, &command, 0, &task) {
        Outcome::Done { .. } => 0,
        Outcome::NotDone { .. } => 2,
        Outcome::Unknown { .. } => 30,
    };
    world.coverage.count_word("people/by_hand", step.as_str());
    let Some(coordinator) = world.coordinator.as_mut().filter(|_| !forgets) else { return true };
    let said = Confirmation::Exit { code: Some(code), said: "so it ended".to_owned() };
    let _ = coordinator.operations.confirm(id, by, &said, "by hand", &coordinator.fleet, now);
    true
}

/// A person looks at the cloud and at the node, and says of what nobody knows whether it happened.
pub fn settle(world: &mut World, by: &str) {
    let now = world.clock();
    let at_work = world.cloud_is_at_work_for();
    let Some(coordinator) = &mut world.coordinator else { return };
    for id in open(&coordinator.operations) {
        let Some(operation) = coordinator.operations.get(&id).map(|tracked| tracked.operation.clone()) else {
            continue;
        };
        let Some((step, record)) = operation.current_step().filter(|_| operation.phase == Phase::Forward)
        else {
            continue;
        };
        // Whoever sees the cloud at work on it waits for its end.
        if !matches!(record.state, State::Unknown { .. }) || at_work.contains(&id) {
            continue;
        }
        let node = world.nodes.get(&operation.wish.node);
        let happened = match step {
            Step::HardReboot | Step::Reboot => node.is_some_and(|node| {
                record.machine.as_ref().is_none_or(|machine| machine.boot_id != node.boot_id())
                    || node.is_booting
            }),
            Step::Rebuild => node.is_some_and(|node| {
                operation.wish.machine.as_ref().is_none_or(|machine| machine.machine_id != node.machine_id())
            }),
            Step::Quarantine => node.is_some_and(|node| node.is_stopped),
            Step::DeleteServer => node.is_some_and(|node| node.is_deleted),
            Step::Create => node.is_some_and(|node| !node.is_deleted),
            // Done once more it does no harm.
            Step::DeleteVolumes | Step::MaskAlarms | Step::Ledger => false,
            _ => continue,
        };
        let said = if happened { Confirmation::Done } else { Confirmation::NotRun };
        let _ = coordinator.operations.confirm(&id, by, &said, "I have looked", &coordinator.fleet, now);
        world.coverage.count("people/settled_unknown");
    }
}
