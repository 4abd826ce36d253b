//! Judges what the coordinator writes, event by event, by what is really so; and whether everybody is served.

use super::{checker::Checker, world::World};
use jiff::{SignedDuration, Timestamp};
use millwright_coordinator::operations::Tracked;
use millwright_decision::{
    Action, Class, Code, Consent,
    operation::{Event, Operation, Outcome, Phase, Step},
};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

type Found = (&'static str, String);

/// Two rounds of reports: nothing is begun sooner after a start (S6).
const WARM_UP: SignedDuration = SignedDuration::from_secs(20);
/// A step that is late by so much has told somebody (L1).
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// Everybody knows by then that a node is broken.
const KNOWN: SignedDuration = SignedDuration::from_mins(10);

/// Judges the events that are new.
pub fn judge(world: &World, judged: &mut BTreeMap<String, usize>) -> Vec<Found> {
    let Some(coordinator) = &world.coordinator else { return Vec::new() };
    let mut found = Vec::new();
    let looked_at = world.checker.looked_at;
    let is_new = |tracked: &&Tracked| tracked.operation.changed_at >= looked_at;
    for tracked in coordinator.operations.list().filter(is_new) {
        let length = tracked.story.len();
        let seen = match judged.get_mut(&tracked.operation.id) {
            Some(seen) if *seen >= length => continue,
            Some(seen) => std::mem::replace(seen, length),
            None => {
                judged.insert(tracked.operation.id.clone(), length);
                0
            }
        };
        // What was written before this run began has been judged, or was forgotten with an older store.
        for (place, recorded) in tracked.story.iter().enumerate().skip(seen) {
            if recorded.at >= coordinator.started_at {
                found.extend(event(world, tracked, place, recorded.at, &recorded.event));
            }
        }
    }
    found
}

fn event(world: &World, tracked: &Tracked, place: usize, at: Timestamp, event: &Event) -> Option<Found> {
    let operation = &tracked.operation;
    let (id, node) = (&operation.id, &operation.wish.node);
    let checker: &Checker = &world.checker;
    let kind = |step: &usize| operation.plan.steps.get(*step).copied();
    match event {
        Event::Began { step, permit, .. } => {
            // The second one of a plan only holds a node that has come back.
            let first = operation.plan.steps.iter().position(|known| *known == Step::Cordon);
            let is_first_cordon = first == Some(*step) && !is_past(tracked, place);
            let step = kind(step)?;
            let coordinator = world.coordinator.as_ref()?;
            let uptime = at.duration_since(coordinator.started_at);
            if (permit.is_some() || is_first_cordon) && uptime < WARM_UP && !operation.wish.is_silent {
                return Some(("S6", format!("{id} began {step} {} s after the start", uptime.as_secs())));
            }
            let missing = coordinator.awaited.iter().filter(|name| is_counted(world, name)).count();
            if (permit.is_some() || is_first_cordon) && missing > coordinator.may_miss {
                return Some((
                    "S6",
                    format!("{id} began {step} while {missing} nodes had not been heard of"),
                ));
            }
            if let Some(found) =
                super::checker::put_back(world).filter(|_| permit.is_some() || is_first_cordon)
            {
                return Some(found);
            }
            permit.as_ref()?;
            may_be_given(world, tracked, at)
                .or_else(|| is_agreed(world, tracked, place, at, step))
                .or_else(|| other_zone(world, tracked, step))
                .or_else(|| world.told_against(node, step, &operation.wish.let_go))
        }
        Event::Committed { .. } => {
            let given = tracked.story.get(..place)?.iter().rev().find_map(|recorded| match &recorded.event {
                Event::Began { permit, .. } => permit.as_ref(),
                _ => None,
            });
            match given {
                Some(permit) if at > permit.expires_at => {
                    Some(("S5", format!("{id} goes on with a permit that has run out")))
                }
                Some(_) => may_be_given(world, tracked, at)
                    .or_else(|| world.told_against(node, Step::Reboot, &operation.wish.let_go)),
                None => Some(("S5", format!("{id} goes on without a permit"))),
            }
        }
        // What an older store had forgotten is nothing to be judged by.
        Event::Finished { by: None, step, attempt, outcome } if !checker.was_put_back => {
            let order = format!("{id}.{step}.{attempt}");
            let step = kind(step)?;
            match outcome {
                Outcome::NotDone { .. } if checker.rebooted.contains(&order) => {
                    Some(("S12", format!("{step} of {id} is called not done, and it was done")))
                }
                Outcome::NotDone { .. } if checker.done.contains(&(id.clone(), step)) => {
                    Some(("S12", format!("{step} of {id} is called not done, and it was done")))
                }
                Outcome::Done { .. } if step == Step::Verify && world.is_out_of_ensemble(node) => Some((
                    "S23",
                    format!("{node} is returned by {id}, and its member of ZooKeeper still copies"),
                )),
                Outcome::Done { .. } if step == Step::Puppet && *attempt > 0 => {
                    (!checker.ended_well.contains(&order))
                        .then(|| ("S12", format!("{step} of {id} is called done, and it was cut short")))
                }
                Outcome::Done { was_so: false, .. } => {
                    let what = (id.clone(), step);
                    let is_so = match step {
                        Step::Rebuild => {
                            let of =
                                operation.wish.machine.as_ref().map(|machine| machine.machine_id.clone());
                            // Or somebody has made it anew by hand meanwhile.
                            let is_another = world.nodes.get(node).map(|node| node.machine_id()) != of;
                            checker.done.contains(&what) || checker.lied.contains(&what) || is_another
                        }
                        // Or somebody starts it between its stop and the program's last word.
                        Step::Quarantine => {
                            let is_stopped = world.nodes.get(node).is_some_and(|node| node.is_stopped);
                            is_stopped || checker.done.contains(&what)
                        }
                        Step::DeleteServer => world.nodes.get(node).is_some_and(|node| node.is_deleted),
                        _ => true,
                    };
                    (!is_so).then(|| ("S12", format!("{step} of {id} is called done, and it is not so")))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_counted(world: &World, name: &NodeName) -> bool {
    world.policy.nodes.contains_key(name)
        && world.coordinator.as_ref().is_some_and(|coordinator| {
            coordinator.fleet().snapshot().nodes.get(name).is_none_or(|node| !node.is_uncounted())
        })
}

/// Whether something irreversible had been begun before an event.
fn is_past(tracked: &Tracked, place: usize) -> bool {
    let before = tracked.story.get(..place).unwrap_or_default();
    before.iter().any(|recorded| matches!(recorded.event, Event::Began { permit: Some(_), .. }))
}

/// Nobody has said no: the off switch, another person's hold (S5).
fn may_be_given(world: &World, tracked: &Tracked, at: Timestamp) -> Option<Found> {
    let (id, wish) = (&tracked.operation.id, &tracked.operation.wish);
    let words = world.coordinator.as_ref()?.operations.words();
    if let Some(pause) = words.pause.as_ref().filter(|pause| pause.since < at) {
        return Some(("S5", format!("{id} goes on though {} has paused everything", pause.by)));
    }
    let objects = |(since, hold): &&(Timestamp, millwright_coordinator::operations::Hold)| {
        hold.node == wish.node && hold.by != wish.by && *since < at
    };
    // A hold is about the machine that is there.
    let may = wish.is_silent || wish.action == Action::Create;
    let (_, hold) = words.held.values().find(objects).filter(|_| !may)?;
    Some(("S5", format!("{id} goes on though {} holds {} as it is", hold.by, wish.node)))
}

/// A second person has agreed to what is done, as it is now, or had long enough to object (S14).
fn is_agreed(world: &World, tracked: &Tracked, place: usize, at: Timestamp, step: Step) -> Option<Found> {
    let wish = &tracked.operation.wish;
    let class = world.policy.class_of(world.policy.nodes.get(&wish.node)?)?;
    let consent = match wish.action {
        Action::Reboot if !wish.is_silent => class.reboot_consent,
        Action::Rebuild => class.rebuild_consent,
        Action::Delete => class.delete_consent,
        _ => return None,
    };
    let Consent::SecondPerson(wait) = consent else { return None };
    let before = tracked.story.get(..place)?;
    let agrees = |event: &Event, given: Timestamp| {
        matches!(event, Event::Granted { code: Code::ApprovalMissing, by, .. } if *by != wish.by)
            && (given >= world.policy_changed_at || world.coverage.counts.contains_key("fault/own_clock"))
    };
    if before.iter().any(|recorded| agrees(&recorded.event, recorded.at)) {
        return None;
    }
    let announced = tracked.operation.done_at(Step::Announce);
    if announced.is_some_and(|told| at.duration_since(told) >= wait) {
        return None;
    }
    Some((
        "S14",
        format!("{step} of {} was begun, and nobody agreed to it as it is now", tracked.operation.id),
    ))
}

/// Operations take nodes of one zone at a time (S3).
fn other_zone(world: &World, tracked: &Tracked, step: Step) -> Option<Found> {
    let operation = &tracked.operation;
    // What rests in quarantine is out already, and what is made was never there.
    if matches!(step, Step::DeleteServer | Step::DeleteVolumes | Step::Create) {
        return None;
    }
    let zone_of = |name: &NodeName| world.policy.nodes.get(name).and_then(|listed| listed.zone.as_deref());
    let zone = zone_of(&operation.wish.node)?;
    if operation.wish.class == Class::Master || world.ill_since(&operation.wish.node).is_some() {
        return None;
    }
    let coordinator = world.coordinator.as_ref()?;
    let fleet = coordinator.fleet();
    // What was kept empty before is out already: taking it costs nothing more.
    let was_out = coordinator.operations.list().any(|other| {
        other.operation.wish.node == operation.wish.node
            && matches!(other.operation.phase, Phase::Parked { .. })
    });
    if was_out {
        return None;
    }
    let counts = |name| fleet.snapshot().nodes.get(name).is_some_and(|node| !node.is_uncounted());
    let mut open = coordinator.operations.list();
    let other = open.find(|other| {
        let wish = &other.operation.wish;
        // Of two that began in one round, the later one is asked about the earlier.
        let began = |operation: &Operation| {
            operation.permit.as_ref().map(|permit| (permit.at, operation.id.len(), operation.id.clone()))
        };
        began(&other.operation).is_some_and(|first| began(operation).is_none_or(|own| first < own))
            && wish.action != Action::Create
            && counts(&wish.node)
            && wish.class == operation.wish.class
            && wish.node != operation.wish.node
            && zone_of(&wish.node).is_some_and(|other| other != zone)
    })?;
    let told = |operation: &Operation| {
        let wish = &operation.wish;
        format!("{} ({} of {} in {:?})", operation.id, wish.action, wish.node, zone_of(&wish.node))
    };
    Some(("S3", format!("{} begins beside {}", told(operation), told(&other.operation))))
}

/// Nobody is forgotten: every operation moves, waits for something that is told, or has asked (L1, L7); and a node that is
/// broken is not kept from its repair by what guards healthy ones (L1).
pub fn served(world: &World) -> Vec<Found> {
    let mut found = Vec::new();
    let Some(coordinator) = &world.coordinator else { return found };
    let operations = &coordinator.operations;
    if operations.trouble().is_some() || operations.is_fenced() {
        return found;
    }
    let alive = operations.list().filter(|tracked| tracked.broken.is_none() && !tracked.operation.is_over());
    for tracked in alive {
        let operation = &tracked.operation;
        let id = &operation.id;
        let Some(waiting) = operations.waiting(id) else {
            if !coordinator.in_flight.iter().any(|(operation, ..)| operation == id) {
                found.push(("L7", format!("{id} neither moves nor waits: nobody looks after it")));
            }
            continue;
        };
        if operation.phase == Phase::Forward
            && let Some((step, record)) = operation.current_step()
            && record.asked_at.is_none()
            && world.now.duration_since(coordinator.born_at) > LATE
            && record.due_at.is_some_and(|due| world.clock().duration_since(due) > step.patience() + LATE)
        {
            found.push(("L1", format!("{id} is late with {step} and has asked nobody")));
        }
        let guards = [Code::BudgetSpent, Code::BrakeTripped, Code::DrainBudget, Code::OtherZoneOut];
        let kept = waiting.reasons.iter().find(|reason| guards.contains(&reason.code));
        // What was heard before its clock is set looks older than it is, until it is heard again.
        let listens_since = coordinator.born_at.max(world.paused_until).max(coordinator.clock.set_at());
        let listened = world.now.duration_since(listens_since);
        if let Some(reason) = kept
            && is_known_broken(world, tracked)
            && listened > KNOWN
        {
            let node = &operation.wish.node;
            let told =
                format!("{id} is to repair {node} and waits for the healthy ones: {}", reason.sentence);
            found.push(("L1", told));
        }
    }
    found
}

fn is_known_broken(world: &World, tracked: &Tracked) -> bool {
    world.nodes.get(&tracked.operation.wish.node).is_some_and(|node| {
        let is_heard =
            node.is_up && !node.is_hung && node.agent.as_ref().is_some_and(|agent| !agent.is_going_down());
        let since = node.ill_since.unwrap_or(world.now);
        is_heard
            && !node.volume_ok
            && node.cut_off_until < world.now - KNOWN
            && world.now.duration_since(since) > KNOWN
            && world.now.duration_since(node.booted_at) > KNOWN
    })
}
