//! Having schedulers take things away from nodes: what they have in common.
//!
//! ```text
//!  look ─▶ may it go? ─▶ ask ─▶ look until it is gone and another instance is healthy elsewhere ─▶ what came of it
//! ```
//!
//! What a scheduler answers when it is asked proves nothing: some say yes and do nothing, some do it and say nothing. Only
//! what it lists afterwards counts. Asked for what is so already, nothing is asked of it.

use crate::fleet::{Instance, Place, Scheduler, Service};
use futures_util::future::BoxFuture;
use millwright_decision::{Evidence, Source, operation::Outcome};
use millwright_protocol::NodeName;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A task that has not gone after this was not taken away. Containers are given up to a minute to end by themselves.
const GOES_WITHIN: Duration = Duration::from_secs(120);
/// How often is looked meanwhile.
const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// One instance that is to be somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// What its scheduler calls the service.
    pub service: String,
    /// Mesos' id of the instance's task.
    pub task: String,
    /// Where it must not be any more.
    pub place: Place,
}

/// What we have schedulers do, and nothing more.
pub trait MoveAway: Send + Sync {
    /// Has one instance end, so that another one is started elsewhere. Never the last healthy one, never one that may run
    /// there only, and how many there are to be stays as it is.
    fn move_task<'a>(&'a self, errand: &'a Errand) -> BoxFuture<'a, Outcome>;

    /// Has the server of a node give the lead to another one.
    fn hand_over<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Outcome>;
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From one look to the next.
    pub every: Duration,
    /// A task that is still there after this was not taken away.
    pub goes_within: Duration,
    /// Until another instance is healthy.
    pub patience: Duration,
}

impl Pace {
    /// With this much time for another instance.
    pub fn new(patience: Duration) -> Self {
        let every = LOOKS_EVERY.min(patience / 4);
        Self { every, goes_within: GOES_WITHIN.min(patience), patience }
    }
}

/// What became of asking.
pub(super) enum Asked {
    /// It says that it does it.
    Taken,
    /// Nobody knows, and this is why.
    Unheard(String),
}

/// A scheduler as far as moving one task goes.
pub(super) trait Scheduled {
    fn source(&self) -> Source;

    /// What it has where.
    async fn look(&self) -> Result<Scheduler, String>;

    /// Asks it to take one instance away. `Err` holds the outcome where that is certain already.
    async fn ask(&self, seen: &Scheduler, instance: &Instance, errand: &Errand) -> Result<Asked, Outcome>;
}

/// A refusal with its word: see `passes_by_itself` of the decision for those that do.
pub(super) fn refused(word: &str, why: impl Into<String>) -> Outcome {
    Outcome::NotDone { why: why.into(), refusal: Some(word.to_owned()) }
}

/// Takes one instance away and looks what came of it.
pub(super) async fn move_task(scheduler: &impl Scheduled, pace: Pace, errand: &Errand) -> Outcome {
    let seen = match scheduler.look().await {
        Ok(seen) => seen,
        Err(why) => return Outcome::not_done(format!("{} is not moved: {why}", errand.task)),
    };
    let Some(service) = seen.services.iter().find(|service| service.name == errand.service) else {
        return gone_with_its_service(scheduler.source(), &seen, errand);
    };
    let mut asked = None;
    if let Some(instance) = there(service, errand) {
        if let Err(outcome) = may_go(scheduler.source(), &seen, service, errand) {
            return outcome;
        }
        asked = match scheduler.ask(&seen, instance, errand).await {
            Ok(asked) => Some(asked),
            Err(outcome) => return outcome,
        };
    }
    follow(scheduler, pace, errand, service, asked).await
}

/// The instance, where it still is where it must not be.
fn there<'a>(service: &'a Service, errand: &Errand) -> Option<&'a Instance> {
    service.instances.iter().find(|instance| instance.task == errand.task && is_here(instance, errand))
}

fn is_here(instance: &Instance, errand: &Errand) -> bool {
    errand.place.has(&instance.agent_id, &instance.host)
}

/// The scheduler has no such service. If the task is nowhere either, there is nothing left to move.
fn gone_with_its_service(source: Source, seen: &Scheduler, errand: &Errand) -> Outcome {
    let Errand { service, task, .. } = errand;
    let mut all = seen.services.iter();
    match all.find(|other| other.instances.iter().any(|instance| instance.task == *task)) {
        Some(other) => Outcome::not_done(format!(
            "{task} is not moved: {} has it as one of {} and not of {service}",
            source.title(),
            other.name
        )),
        None => Outcome::done(vec![Evidence::new(format!("service {service}"), "gone", source.as_str())]),
    }
}

/// Whether the instance may be taken away as things are.
fn may_go(source: Source, seen: &Scheduler, service: &Service, errand: &Errand) -> Result<(), Outcome> {
    let (task, name, title) = (&errand.task, &service.name, source.title());
    if seen.only_leader().is_none() {
        let why = format!("{task} is not moved: which server of {title} leads is not sure just now");
        return Err(refused("leader_unsure", why));
    }
    if service.is_changing {
        let why =
            format!("{task} is not moved: {title} is changing {name} just now, and that has to end first");
        return Err(refused("service_changing", why));
    }
    if let Some(place) = &service.pinned_to {
        let why = format!(
            "{task} cannot be moved: {name} may run on {place} only; change its constraints, or let it stop with a new \
             request and `--let-go {task}`"
        );
        return Err(refused("service_pinned", why));
    }
    let others = || service.instances.iter().filter(|other| other.task != *task && other.is_well);
    if !others().any(|other| !is_here(other, errand)) {
        let why = format!(
            "{task} is not moved: {title} knows no other healthy instance of {name}, so that would stop it; start one \
             elsewhere, or let it stop with a new request and `--let-go {task}`"
        );
        return Err(refused("last_instance", why));
    }
    let well = others().count();
    if well + 1 < service.wanted {
        let why = format!(
            "{task} is not moved: {well} others of {name} are healthy and {} are wanted; that has to mend first",
            service.wanted
        );
        return Err(refused("service_short", why));
    }
    Ok(())
}

/// How things stand after asking.
enum Stands {
    /// It is still there.
    There,
    /// Its successor was started on the same node.
    CameBack(String),
    /// It is gone, and something is missing yet.
    Short(String),
    /// It is gone, and everything runs that should.
    Moved(Vec<Evidence>),
}

async fn follow(
    scheduler: &impl Scheduled,
    pace: Pace,
    errand: &Errand,
    before: &Service,
    asked: Option<Asked>,
) -> Outcome {
    let (began, title) = (Instant::now(), scheduler.source().title());
    let Errand { service, task, .. } = errand;
    loop {
        let stands =
            scheduler.look().await.map(|seen| stands(scheduler.source(), &seen, errand, before, &asked));
        let waited = began.elapsed();
        match stands {
            Ok(Stands::Moved(evidence)) => return Outcome::done(evidence),
            Ok(Stands::CameBack(successor)) => {
                return Outcome::not_done(format!(
                    "{title} took {task} away and started {successor} of {service} on the same node again; see that its \
                     offers are stopped"
                ));
            }
            Ok(Stands::There) if waited >= pace.goes_within => {
                return match asked {
                    Some(Asked::Unheard(why)) => Outcome::unknown(format!(
                        "does {title} take {task} away? It is still there, and {why}"
                    )),
                    _ => Outcome::not_done(format!(
                        "{title} said that it takes {task} of {service} away, and it is still there after {} s; look at its log",
                        waited.as_secs()
                    )),
                };
            }
            Ok(Stands::Short(story)) if waited >= pace.patience => {
                return Outcome::not_done(format!(
                    "{task} is gone and {story} after {} s; see in {title} why no other instance of {service} comes up",
                    waited.as_secs()
                ));
            }
            Err(why) if waited >= pace.patience => {
                return Outcome::unknown(format!("has {title} moved {task} of {service}? {why}"));
            }
            _ => sleep(pace.every).await,
        }
    }
}

fn stands(
    source: Source,
    seen: &Scheduler,
    errand: &Errand,
    before: &Service,
    asked: &Option<Asked>,
) -> Stands {
    let Some(service) = seen.services.iter().find(|service| service.name == errand.service) else {
        // It was there a moment ago: half an answer is no proof that it is gone.
        return Stands::Short(format!("{} does not list its service", source.title()));
    };
    if there(service, errand).is_some() {
        return Stands::There;
    }
    let is_known = |task: &str| before.instances.iter().any(|instance| instance.task == task);
    let back = service.instances.iter().find(|new| is_here(new, errand) && !is_known(&new.task));
    if let Some(back) = back.filter(|_| asked.is_some()) {
        return Stands::CameBack(back.task.clone());
    }
    // How many there are to be must not have changed by it.
    let wanted = service.wanted.max(before.wanted);
    let well = service.well();
    if well < wanted || service.is_changing {
        let change = if service.is_changing { " and it is being changed" } else { "" };
        return Stands::Short(format!("{well} of {wanted} instances are healthy{change}"));
    }
    let mut hosts: Vec<&str> = service.instances.iter().map(|instance| instance.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    Stands::Moved(vec![
        Evidence::new(format!("task {}", errand.task), "gone", source.as_str()),
        Evidence::new(
            format!("service {}", errand.service),
            format!("{well} of {wanted} healthy, on {}", hosts.join(", ")),
            source.as_str(),
        ),
    ])
}
