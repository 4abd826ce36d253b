//! What must never happen, compared with what really happened: the world's own truth, not what the coordinator believes.
//! Each check names the invariant that it stands for (S1–S24 and L1–L7 of the project's rules).

use super::{
    crash::Writes,
    node::{Lie, SimNode, SimTask, TaskKind},
    world::World,
};
use jiff::{SignedDuration, Timestamp};
use millwright_coordinator::{
    operations::{Operations, Task, Tracked},
    store::journal::{Journal, MemoryJournal},
};
use millwright_decision::{
    Action, Class, Protection,
    operation::{Event, Phase, State, Step},
};
use millwright_protocol::{Fence, NodeName, Order, Seen, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// Illness is known everywhere after so long: a stale report, a permit's life, and a little.
const KNOWN: SignedDuration = SignedDuration::from_secs(480);

/// What happens on a node is in a report after so long.
const REPORTED: SignedDuration = SignedDuration::from_secs(15);

/// Something that must never happen.
#[derive(Debug, Clone)]
pub struct Violation {
    pub invariant: &'static str,
    pub sentence: String,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct Checker {
    pub violation: Option<Violation>,
    pub rebooted: BTreeSet<String>,
    /// Orders that agents have begun, and those whose deed came to its end.
    begun: BTreeSet<String>,
    pub ended_well: BTreeSet<String>,
    /// Effects of the cloud that came about: operation, step.
    pub done: BTreeSet<(String, Step)>,
    /// Those of which the cloud said so, and they did not.
    pub lied: BTreeSet<(String, Step)>,
    /// When agents first said that they are ready for an order, by its number and the nonce they bound themselves to.
    prepared: BTreeMap<(String, String), Timestamp>,
    /// Events of each operation that were judged, and when that was last done.
    judged: BTreeMap<String, usize>,
    pub looked_at: Timestamp,
    /// Reboots by order, by machine.
    reboots: BTreeMap<String, Vec<Timestamp>>,
    fences: BTreeMap<NodeName, Fence>,
    /// Events of each operation that were acknowledged.
    recorded: BTreeMap<String, u64>,
    /// The store was put back, and no person has raised the generation since.
    pub is_put_back: bool,
    /// It was, some time in this history: numbers may have been given twice.
    pub was_put_back: bool,
}

impl Checker {
    pub fn violate(&mut self, invariant: &'static str, sentence: String) {
        self.violation.get_or_insert(Violation { invariant, sentence });
    }

    /// A journal was replayed: nothing that was acknowledged is missing (S15).
    pub fn replayed(&mut self, operations: &Operations, damaged: &BTreeSet<String>) {
        // What was written before this start has been judged, or was forgotten with an older store.
        let lengths = operations.list().map(|tracked| (tracked.operation.id.clone(), tracked.story.len()));
        self.judged.extend(lengths);
        for stream in damaged {
            self.recorded.remove(stream);
        }
        for tracked in operations.list().filter(|tracked| !damaged.contains(&tracked.operation.id)) {
            let id = &tracked.operation.id;
            let known = self.recorded.get(id).copied().unwrap_or(0);
            if tracked.operation.events < known {
                let events = tracked.operation.events;
                self.violate("S15", format!("{id} had {known} events and has {events} after a crash"));
            }
        }
        for id in self.recorded.keys().cloned().collect::<Vec<_>>() {
            if operations.get(&id).is_none() {
                self.violate("S15", format!("{id} is gone after a crash"));
            }
        }
    }

    /// An older copy is put in the place of the store: what was recorded since is gone, and everybody may know it.
    pub fn restored(&mut self, last: u64, journal: &MemoryJournal) {
        self.is_put_back = true;
        self.was_put_back = true;
        self.judged.clear();
        let kept = journal.read().unwrap().entries.into_iter().filter(|entry| entry.position <= last);
        self.recorded.clear();
        for entry in kept {
            *self.recorded.entry(entry.draft.stream).or_default() += 1;
        }
        self.recorded.remove("fleet");
    }

    pub fn generation_raised(&mut self) {
        self.is_put_back = false;
    }

    /// A coordinator has answered a report.
    pub fn heard(&mut self, name: &NodeName, fence: Fence) {
        let highest = self.fences.entry(name.clone()).or_default();
        *highest = fence.max(*highest);
    }

    /// An agent has said that it is ready for an order.
    pub fn prepared(&mut self, id: String, nonce: String, now: Timestamp) {
        self.prepared.entry((id, nonce)).or_insert(now);
    }

    /// An agent has begun an order: once, in its time and boot, and never for a coordinator that is not the newest it knows.
    pub fn begun(&mut self, node: &SimNode, order: &Order, made_at: Timestamp, now: Timestamp) {
        let name = &node.name;
        let highest = self.fences.entry(name.clone()).or_default();
        let (found, known) = (order.fence, *highest);
        *highest = found.max(known);
        let id = &order.id;
        if order.target.machine_id != node.machine_id() {
            self.violate("S21", format!("{name} began {id}, which was for another machine of this name"));
        }
        if found < known {
            self.violate("S8", format!("{name} began {id} of {found:?} after it had heard {known:?}"));
        }
        // A machine made anew has forgotten what the one before it did, and an older store which numbers it gave.
        if !self.begun.insert(format!("{id} on {}", order.target.machine_id)) {
            self.violate("S10", format!("{name} began {id} a second time"));
        }
        let lasts =
            SignedDuration::try_from(std::time::Duration::from_secs(order.ttl_seconds)).unwrap_or_default();
        if now.duration_since(made_at) > lasts {
            self.violate("S11", format!("{name} began {id} after it was void"));
        }
        if order.target.boot_id != node.boot_id() {
            self.violate("S11", format!("{name} began {id}, which was for another boot"));
        }
        // It is alone when nobody has answered for so long, and stops.
        let Verb::Reboot { commit: Some(nonce), .. } = &order.verb else { return };
        let ready = self.prepared.get(&(id.clone(), nonce.clone()));
        let waited = ready.map_or(0, |ready| now.duration_since(*ready).as_secs());
        if waited > 62 {
            self.violate("S19", format!("{name} went on with {id} after {waited} s without an answer"));
        }
    }

    /// What an order asked for is so.
    pub fn ended_well(&mut self, id: &str) {
        self.ended_well.insert(id.to_owned());
    }

    /// No effect without its intent on the disk (S15).
    pub fn effect_is_recorded(&mut self, writes: &Writes, task: &Task) {
        let is_it = |event: &Event| match event {
            Event::Began { step, attempt, .. } => {
                !task.is_undo && *step == task.place && *attempt == task.attempt
            }
            Event::UndoBegan { step, attempt } => {
                task.is_undo && *step == task.place && *attempt == task.attempt
            }
            _ => false,
        };
        let found =
            writes.record.get(&task.operation).is_some_and(|all| all.iter().any(|(.., event)| is_it(event)));
        if !found && !self.is_put_back {
            self.violate(
                "S15",
                format!("{} of {} was done and is not in the journal", task.step, task.operation),
            );
        }
    }
}

/// Judges what has been written since the last look.
pub fn judge(world: &mut World) {
    let mut judged = std::mem::take(&mut world.checker.judged);
    let wrong = super::judge::judge(world, &mut judged);
    world.checker.judged = judged;
    world.checker.looked_at = world.clock();
    for (invariant, sentence) in wrong {
        world.checker.violate(invariant, sentence);
    }
}

/// After each round of the coordinator.
pub fn look(world: &mut World) {
    judge(world);
    let now = world.clock();
    let Some(coordinator) = &world.coordinator else { return };
    let mut found: Vec<(&'static str, String)> = Vec::new();
    // By node: one that was left where it stood and is taken up again is out once.
    let mut permits: BTreeMap<Class, BTreeMap<NodeName, String>> = BTreeMap::new();
    let mut recorded = Vec::new();
    for tracked in coordinator.operations.list() {
        let operation = &tracked.operation;
        let id = &operation.id;
        if operation.is_over() {
            if operation.changed_at == now {
                recorded.push((id.clone(), operation.events));
            }
            if operation.permit.is_some() {
                found.push(("L2", format!("{id} is over and holds a permit")));
            }
            continue;
        }
        recorded.push((id.clone(), operation.events));
        if tracked.broken.is_some() {
            continue;
        }
        // What is made takes nothing away.
        if operation.permit.is_some() && operation.wish.action != Action::Create {
            let step = operation.current_step().map_or("end", |(step, _)| step.as_str());
            let (action, node, phase) = (operation.wish.action, &operation.wish.node, operation.phase.word());
            let told = format!("{id} ({action} of {node}, {phase} at {step})");
            permits.entry(operation.wish.class).or_default().insert(node.clone(), told);
        }
        for (step, record) in operation.plan.steps.iter().zip(&operation.steps) {
            let unknown = matches!(record.state, State::Unknown { .. });
            let gave_up = operation.cancelled.as_ref().is_some_and(|cancelled| cancelled.abandon);
            if unknown && step.is_irreversible() && operation.permit.is_none() && !gave_up {
                found.push(("S12", format!("{id}: nobody knows how {step} ended, and its permit is gone")));
            }
        }
        let undone = operation.steps.iter().map(|record| record.undo_attempt).max().unwrap_or(0);
        if undone > 5 {
            found.push(("S13", format!("{id} has tried {undone} times to take something back")));
        }
        let is_open = matches!(operation.phase, Phase::Forward | Phase::Undoing);
        let waited = now.duration_since(operation.changed_at);
        let people = coordinator.operations.waiting(id).is_some_and(|waiting| waiting.needs_people);
        let is_patient = operation
            .current_step()
            .is_some_and(|(step, _)| step.patience() > SignedDuration::from_hours(30));
        // A store that has just been put back may hold what stood so long ago, and nobody has looked at it yet; one
        // that cannot write tells that instead.
        let looks_since = coordinator.born_at.max(world.paused_until);
        let has_looked = world.now.duration_since(looks_since) > SignedDuration::from_mins(10)
            && coordinator.operations.trouble().is_none();
        if is_open && has_looked && !people && !is_patient && waited > SignedDuration::from_hours(30) {
            let waiting = coordinator.operations.waiting(id).map(|waiting| waiting.sentence.clone());
            let step = operation.current_step().map(|(step, record)| (step, record.state.as_str()));
            let story = format!("{:?} at {step:?}, {waiting:?}", operation.phase);
            found.push((
                "L1",
                format!("{id} has not moved for {} h and asks nobody: {story}", waited.as_hours()),
            ));
        }
    }
    found.extend(super::judge::served(world));
    if let Some(out) = permits.get(&Class::Master).filter(|out| out.len() > 1) {
        let told: Vec<&str> = out.values().map(String::as_str).collect();
        found.push(("S1", format!("two masters at once: {}", told.join(", "))));
    }
    world.checker.recorded.extend(recorded);
    for (invariant, sentence) in found {
        world.checker.violate(invariant, sentence);
    }
}

/// A node reboots because an order says so.
pub fn rebooted_by_order(world: &mut World, name: &NodeName, order: &Order) {
    world.coverage.count("done/reboot_by_order");
    let now = world.now;
    let mut found: Vec<(&'static str, String)> = Vec::new();
    if !world.checker.rebooted.insert(order.id.clone()) {
        found.push(("S10", format!("{} rebooted {name} a second time", order.id)));
    }
    // By true time, whatever anybody's clock says.
    let made_at = world.made.get(&(order.id.clone(), order.issued_at)).copied().unwrap_or(now);
    let age = now.duration_since(made_at).as_secs();
    if age > i64::try_from(order.ttl_seconds).unwrap_or(0) + 2 {
        found.push(("S11", format!("{} was carried out {age} s after it was made", order.id)));
    }
    let Some(node) = world.nodes.get(name) else { return };
    if let Verb::Reboot { may_end, .. } = &order.verb {
        // Where the agent lies as well, what somebody let in since the master was last asked nobody can know.
        let is_unseen = |task: &SimTask| {
            node.lie == Some(Lie::Idle) && world.now.duration_since(task.started_at) < REPORTED
        };
        let ended = node.tasks.iter().filter(|task| {
            task.kind != TaskKind::Disposable && !may_end.contains(&task.id) && !is_unseen(task)
        });
        for task in ended {
            found.push(("S7", format!("{} ended {} on {name}, which nobody let go", order.id, task.id)));
        }
    }
    if !node.holds.is_empty() {
        found.push(("S17", format!("{name} was rebooted though somebody there said no")));
    }
    let uptime = now.duration_since(node.booted_at);
    if uptime < SignedDuration::from_mins(10) {
        found.push(("S18", format!("{name} was rebooted {} s after its boot", uptime.as_secs())));
    }
    // The agent counts from its intent, which is seconds older, and by the time that its coordinator tells.
    let was_wrong = world.coverage.counts.contains_key("fault/own_clock");
    let off = if was_wrong { SignedDuration::from_hours(1) } else { SignedDuration::from_mins(1) };
    // The count is the machine's own, and one that is made anew begins anew.
    let before = world.checker.reboots.entry(node.machine_id()).or_default();
    let within = |hours: i64| {
        let within = SignedDuration::from_hours(hours) - off;
        before.iter().filter(|at| now.duration_since(**at) < within).count()
    };
    if within(2) > 0 || within(24) > 1 {
        let ago: Vec<i64> = before.iter().map(|at| now.duration_since(*at).as_mins()).collect();
        found.push(("S18", format!("{name} was rebooted too often by orders: {ago:?} min ago")));
    }
    before.push(now);
    found.extend(own_host(world, name));
    found.extend(without_permit(world, &order.operation, Step::Reboot));
    found.extend(called_off(world, &order.operation));
    found.extend(too_many(world, name));
    found.extend(put_back(world));
    for (invariant, sentence) in found {
        world.checker.violate(invariant, sentence);
    }
}

/// The cloud does something irreversible to a node.
pub fn touched_by_cloud(world: &mut World, name: &NodeName, task: &Task) {
    let step = task.step;
    world.coverage.count_word("done", step.as_str());
    if !step.is_irreversible() {
        return;
    }
    world.checker.done.insert((task.operation.clone(), step));
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let Some(listed) = world.policy.nodes.get(name) else { return };
    let is_protected = match step {
        Step::Rebuild => listed.protections.contains(&Protection::NeverRebuild),
        Step::Quarantine | Step::DeleteServer => listed.protections.contains(&Protection::NeverDelete),
        Step::DeleteVolumes => listed.protections.contains(&Protection::NeverDeleteVolume),
        _ => false,
    };
    // Whoever says it while the command is being started comes too late.
    let is_known = world.now.duration_since(world.policy_changed_at) > SignedDuration::from_secs(30);
    if (is_protected && is_known) || listed.class == Class::Physical {
        found.push(("S4", format!("{step} of {name}, which is protected")));
    }
    let Some(node) = world.nodes.get(name) else { return };
    // From the record: a command runs on while its coordinator is down.
    let (let_go, is_forgotten): (BTreeSet<String>, bool) = {
        let writes = world.writes.lock().unwrap();
        // An older store was put back since it began: what people let go on its behalf stands nowhere any more.
        let is_forgotten = writes.record.get(&task.operation).is_none_or(Vec::is_empty);
        let of_node = writes.record.values().flatten().filter_map(|(.., event)| match event {
            Event::Requested { wish, .. } if wish.node == *name => Some(wish.let_go.clone()),
            _ => None,
        });
        (of_node.flatten().collect(), is_forgotten)
    };
    let settled = world.now.duration_since(node.booted_at) > KNOWN;
    if step == Step::HardReboot && node.is_up && settled {
        found.push((
            "S20",
            format!(
                "{} has reset {name} for its agent's silence: it answers ssh, and works on since {}",
                task.operation, node.booted_at
            ),
        ));
    }
    let of = &task.operation;
    for task in node.tasks.iter().filter(|task| {
        settled && !is_forgotten && task.kind != TaskKind::Disposable && !let_go.contains(&task.id)
    }) {
        let ran = world.now.duration_since(task.started_at);
        // No agent looks a last time before a command: what somebody let in since its last report nobody can know.
        if ran < REPORTED {
            continue;
        }
        let ran = ran.as_secs();
        let told = format!("{step} of {of} ended {} on {name} after {ran} s, which nobody let go", task.id);
        found.push(("S7", told));
    }
    found.extend(own_host(world, name));
    found.extend(called_off(world, &task.operation));
    if step != Step::Create {
        found.extend(too_many(world, name));
    }
    found.extend(put_back(world));
    for (invariant, sentence) in found {
        world.checker.violate(invariant, sentence);
    }
}

/// A scheduler ends a task because an operation says so: only one of a service (S7).
pub fn moved(world: &mut World, task: &Task, id: &str) {
    world.coverage.count("done/move");
    let Some(node) = world.nodes.get(&task.node) else { return };
    let ended = node.tasks.iter().find(|there| there.id == id);
    if let Some(ended) = ended.filter(|ended| ended.kind != TaskKind::Service) {
        let sentence = format!("{} had {} ({:?}) of {} ended", task.operation, id, ended.kind, task.node);
        world.checker.violate("S7", sentence);
    }
    if let Some(found) = called_off(world, &task.operation) {
        world.checker.violate(found.0, found.1);
    }
}

/// New work is let come to a node because an operation says so: only to one that works (S23).
pub fn uncordoned(world: &mut World, task: &Task) {
    let Some(node) = world.nodes.get(&task.node) else { return };
    let known_ill = |node: &SimNode| {
        let ill_since = world.ill_since(&node.name);
        ill_since.is_some_and(|since| world.now.duration_since(since) > SignedDuration::from_secs(150))
    };
    if known_ill(node) {
        let sentence = format!("{} was returned to service while it is ill ({})", node.name, task.operation);
        world.checker.violate("S23", sentence);
    }
}

/// No irreversible step without a permit in the journal that had not run out when the agent was let go on (S5).
fn without_permit(world: &World, id: &str, wanted: Step) -> Option<(&'static str, String)> {
    if world.checker.is_put_back {
        return None;
    }
    let mut permit = None;
    let mut committed = None;
    let mut steps: &[Step] = &[];
    let writes = world.writes.lock().unwrap();
    for (_, at, event) in writes.record.get(id).into_iter().flatten() {
        match event {
            Event::Requested { plan, .. } => steps = &plan.steps,
            Event::Began { step, permit: Some(given), .. } if steps.get(*step) == Some(&wanted) => {
                permit = Some(given);
                committed = None;
            }
            Event::Committed { .. } => committed = Some(*at),
            _ => {}
        }
    }
    match (permit, committed) {
        (Some(permit), Some(at)) if at <= permit.expires_at => None,
        (Some(_), Some(_)) => Some(("S5", format!("{id} went on after its permit had run out"))),
        (Some(_), None) => Some(("S5", format!("{id} went on without the last look"))),
        (None, _) => Some(("S5", format!("{id} went on without a permit"))),
    }
}

/// The coordinator does not take down its own host (S22).
fn own_host(world: &World, name: &NodeName) -> Option<(&'static str, String)> {
    let lives_there =
        world.policy.coordinator == *name && world.nodes.get(name).is_some_and(|node| node.is_up);
    lives_there.then(|| ("S22", format!("{name} was taken, and the coordinator runs there")))
}

/// What was called off as a whole does not happen any more (S12).
fn called_off(world: &World, id: &str) -> Option<(&'static str, String)> {
    if world.checker.is_put_back {
        return None;
    }
    let writes = world.writes.lock().unwrap();
    let mut record = writes.record.get(id)?.iter();
    record
        .any(|(.., event)| matches!(event, Event::Cancelled { abandon: false, .. }))
        .then(|| ("S12", format!("{id} was called off, and happened all the same")))
}

/// One more healthy node is taken: the class must bear it (S1, S2).
fn too_many(world: &World, name: &NodeName) -> Option<(&'static str, String)> {
    let node = world.nodes.get(name)?;
    if world.ill_since(name).is_some() {
        return None;
    }
    let coordinator = world.coordinator.as_ref()?;
    let fleet = coordinator.fleet();
    let snapshot = fleet.snapshot();
    // What a drain has left empty counts already, and costs nothing more.
    let is_parked = |tracked: &&Tracked| {
        matches!(tracked.operation.phase, Phase::Parked { .. }) && tracked.operation.wish.node == *name
    };
    if coordinator.operations.list().any(|tracked| is_parked(&tracked)) {
        return None;
    }
    // A coordinator that has just started has not looked at its operations yet: what is stopped by one is out of every count.
    let is_stopped = |other: &NodeName| world.nodes.get(other).is_some_and(|node| node.is_stopped);
    let uncounted = |other: &NodeName| {
        is_stopped(other) || snapshot.nodes.get(other).is_some_and(|node| node.is_uncounted())
    };
    let of_class: Vec<&SimNode> =
        world.nodes.values().filter(|other| other.class == node.class && !uncounted(&other.name)).collect();
    let is_out = |other: &&&SimNode| {
        let ill = world.ill_since(&other.name);
        other.name != *name && ill.is_some_and(|since| world.now.duration_since(since) > KNOWN)
    };
    let out = of_class.iter().filter(is_out).count();
    let listed = of_class.len();
    let limit = if node.class == Class::Master { 1 } else { (listed / 10).max(1) };
    (out + 1 > limit).then(|| {
        let invariant = if node.class == Class::Master { "S1" } else { "S2" };
        (invariant, format!("{name} was taken while {out} of {listed} are out, and {limit} may be"))
    })
}

/// Nothing irreversible from a store that was put back, as soon as anybody can know (S9).
pub fn put_back(world: &World) -> Option<(&'static str, String)> {
    let born_at = world.coordinator.as_ref()?.born_at;
    let is_new = world.now.duration_since(born_at) < SignedDuration::from_mins(5);
    if !world.checker.is_put_back || is_new {
        return None;
    }
    let ours = Seen { fence: world.journal.fence(), position: coordinator_position(world), ordered_at: None };
    let knows = |node: &&SimNode| {
        let seen = node.agent.as_ref().and_then(|agent| agent.seen());
        node.is_up
            && node.cut_off_until < world.now - SignedDuration::from_mins(5)
            && !node.is_hung
            && world.now.duration_since(node.booted_at) > SignedDuration::from_mins(5)
            && seen.is_some_and(|seen| {
                seen.fence > ours.fence || (seen.fence == ours.fence && seen.position > ours.position)
            })
    };
    let node = world.nodes.values().find(knows)?;
    Some(("S9", format!("something was done from a store that {} knows to be old", node.name)))
}

fn coordinator_position(world: &World) -> u64 {
    world.coordinator.as_ref().map_or(0, |coordinator| coordinator.operations.position())
}

/// Trouble stopped hours ago: nothing is forgotten.
pub fn at_the_end(world: &mut World) {
    let Some(coordinator) = &world.coordinator else {
        return world.checker.violate("L5", "the coordinator did not come back".to_owned());
    };
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let mut on_node: BTreeSet<NodeName> = BTreeSet::new();
    let damaged = world.writes.lock().unwrap().damaged_streams.clone();
    for tracked in coordinator.operations.list() {
        let operation = &tracked.operation;
        if operation.is_over() {
            continue;
        }
        on_node.insert(operation.wish.node.clone());
        if tracked.broken.is_some() && !damaged.contains(&operation.id) {
            found.push(("L7", format!("{} cannot be gone on with", operation.id)));
        }
    }
    for agent in world.mesos.values().filter(|agent| agent.deactivated && agent.is_connected) {
        let node = world.nodes.get(&agent.node);
        let is_gone = node.is_none_or(|node| node.is_deleted);
        // Of a record that cannot be read nobody knows which node it is about, and that is told everywhere.
        let is_unreadable = coordinator.fleet().snapshot().journal_damaged.is_some();
        // A history whose store was put back has forgotten what it did, and says so.
        if !on_node.contains(&agent.node)
            && !is_gone
            && !is_unreadable
            && !world.coverage.counts.contains_key("fault/restored_store")
        {
            found.push(("L3", format!("{} stays cordoned, and no operation knows why", agent.node)));
        }
    }
    for (invariant, sentence) in found {
        world.checker.violate(invariant, sentence);
    }
}
