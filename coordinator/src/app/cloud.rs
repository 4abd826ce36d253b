//! Has the cloud take a step of an operation: who is meant, what is protected, and what became of it.
//!
//! Protections are asked once more right before each irreversible request, from the policy in force at that moment: what
//! was allowed when the permit was given may be forbidden now. Which volumes go with a delete was written down while the
//! server still had them; no other volume is ever touched.

use super::{App, operations::unreachable_outcome};
use crate::{
    config::openstack::NewServers,
    fleet::outside::openstack::{Server, Volume},
    integrations::openstack::{self, Intent, OpenStackAct, OpenStackDelete, Order, OrderedVolume, Target},
    operations::Task,
};
use millwright_decision::{
    Evidence, Policy, Protection, Volumes,
    operation::{Operation, Outcome, Step, Wish},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The end of a request is waited for so long before it is a question; it is looked at again later all the same.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The same for what was asked for before a crash.
const LOOK: Duration = Duration::from_secs(10 * 60);
/// A request that is in nobody's log after this was never made.
const LOST_AFTER: Duration = Duration::from_secs(60);
const GIB: u64 = 1 << 30;

/// What is done to the cloud, with the two credentials.
pub(super) struct Cloud {
    /// To act.
    pub act: Arc<dyn OpenStackAct>,
    /// To delete, where that is switched on.
    pub delete: Option<Arc<dyn OpenStackDelete>>,
    /// What new servers are like, where some are made.
    pub create: Option<NewServers>,
}

/// One step under way.
struct Errand {
    app: Arc<App>,
    cloud: Arc<Cloud>,
    operation: Operation,
    target: Target,
    intent: Intent,
}

/// A step that cannot be taken now, or not to its end.
type Halt = Outcome;

pub(super) async fn carry_out(
    app: Arc<App>,
    cloud: Option<Arc<Cloud>>,
    task: Task,
    may_ask: bool,
) -> Outcome {
    let Some(cloud) = cloud else { return unreachable_outcome("openstack") };
    let found = app
        .with_operations(|operations| {
            operations.get(&task.operation).map(|tracked| tracked.operation.clone())
        })
        .await;
    let Some(operation) = found else { return Outcome::unknown("the operation is not there any more") };
    let Some(at) = operation.steps.get(task.place).and_then(|record| record.began_at) else {
        return Outcome::unknown("its intent is not written");
    };
    let left = operation.permit.as_ref().map(|permit| permit.expires_at.duration_since(app.clock.now()));
    let left = left.map_or(Duration::ZERO, |left| Duration::try_from(left).unwrap_or(Duration::ZERO));
    let intent = Intent {
        operation: task.operation.clone(),
        at,
        send_before: may_ask.then(|| Instant::now() + left),
        patience: if may_ask { PATIENCE } else { LOOK },
        lost_after: LOST_AFTER,
    };
    let policy = app.policy();
    let project = policy.nodes.get(&task.node).and_then(|listed| listed.project.clone());
    let Some(project) = project else {
        return Outcome::not_done("policy names no OpenStack project for it (R20)");
    };
    let id = operation.wish.machine.as_ref().and_then(|machine| machine.server_uuid.clone());
    let target = Target { project, id, name: operation.wish.spelled.clone() };
    let errand = Errand { app, cloud, operation, target, intent };
    let done = match task.step {
        Step::HardReboot => errand.hard_reboot().await,
        Step::Rebuild => errand.rebuild().await,
        Step::Quarantine => errand.quarantine().await,
        Step::DeleteServer => errand.delete_server().await,
        Step::DeleteVolumes => errand.delete_volumes().await,
        Step::Create => errand.create().await,
        other => Err(Outcome::not_done(format!("the cloud knows nothing of {other}"))),
    };
    done.map_or_else(|halt| halt, Outcome::done)
}

impl Errand {
    async fn hard_reboot(&self) -> Result<Vec<Evidence>, Halt> {
        self.allowed(None)?;
        finished(self.cloud.act.hard_reboot(&self.target, &self.intent).await)
    }

    async fn rebuild(&self) -> Result<Vec<Evidence>, Halt> {
        self.allowed(Some(Protection::NeverRebuild))?;
        let image = self.operation.wish.image.as_deref();
        finished(self.cloud.act.rebuild(&self.target, image, &self.intent).await)
    }

    /// Stops and locks the server, and writes down which volumes it has.
    async fn quarantine(&self) -> Result<Vec<Evidence>, Halt> {
        let mut evidence = self.volumes().await?;
        self.allowed(Some(Protection::NeverDelete))?;
        finished(self.cloud.act.stop(&self.target, &self.intent).await)?;
        self.allowed(Some(Protection::NeverDelete))?;
        evidence.extend(finished(self.cloud.act.lock(&self.target, &self.intent).await)?);
        Ok(evidence)
    }

    async fn delete_server(&self) -> Result<Vec<Evidence>, Halt> {
        let Some(remover) = &self.cloud.delete else { return Err(unreachable_outcome("openstack.delete")) };
        let before = match self.volumes().await {
            Ok(evidence) => evidence,
            // It may have gone by an earlier request of ours: the log of the cloud tells.
            Err(Outcome::NotDone { refusal: Some(word), .. }) if word == "server_absent" => {
                return finished(remover.delete_server(&self.target, &self.intent).await);
            }
            Err(halt) => return Err(halt),
        };
        self.allowed(Some(Protection::NeverDelete))?;
        if self.intent.send_before.is_some() {
            finished(self.cloud.act.unlock(&self.target, &self.intent).await)?;
        }
        self.allowed(Some(Protection::NeverDelete))?;
        let outcome = remover.delete_server(&self.target, &self.intent).await;
        if matches!(outcome, openstack::Outcome::NotDone { .. }) && self.intent.send_before.is_some() {
            // It stays in quarantine as it was.
            if let Err(why) = finished(self.cloud.act.lock(&self.target, &self.intent).await) {
                log::warn!("lock {} again: {why:?}", self.target.name);
            }
        }
        let mut evidence = finished(outcome)?;
        evidence.extend(before.into_iter().filter(|fact| fact.fact.starts_with("volume")));
        Ok(evidence)
    }

    /// Deletes the volumes that the server had when it was last seen, each after one more look at what policy says.
    async fn delete_volumes(&self) -> Result<Vec<Evidence>, Halt> {
        let Some(remover) = &self.cloud.delete else { return Err(unreachable_outcome("openstack.delete")) };
        let Some(recorded) = recorded_volumes(&self.operation) else {
            return Err(refused(
                "volume_unknown",
                "nobody wrote down which volumes the server had; delete them by hand, then confirm `done`",
            ));
        };
        for (id, name) in &recorded {
            self.allowed_volume(id, name)?;
        }
        let mut evidence = Vec::new();
        for (id, name) in &recorded {
            self.allowed_volume(id, name)?;
            match finished(remover.delete_volume(&self.target.project, id, &self.intent).await) {
                Ok(facts) => evidence.extend(facts),
                // Some are gone already, so it cannot be said that nothing happened.
                Err(Outcome::NotDone { why, .. }) if !evidence.is_empty() => {
                    return Err(Outcome::unknown(format!(
                        "{} of {} volumes are deleted, then {why}; is the volume {id} still there?",
                        evidence.len(),
                        recorded.len()
                    )));
                }
                Err(halt) => return Err(halt),
            }
        }
        Ok(evidence)
    }

    async fn create(&self) -> Result<Vec<Evidence>, Halt> {
        self.allowed(None)?;
        let Some(usual) = self.cloud.create.clone() else {
            return Err(unreachable_outcome("openstack.create"));
        };
        let policy = self.app.policy();
        let listed = policy.nodes.get(&self.operation.wish.node);
        let class = listed.and_then(|listed| policy.class_of(listed));
        let size = class.and_then(|class| class.volume_bytes);
        let like = match class {
            Some(class) => usual.in_words_of(class),
            None => usual,
        };
        let order = Order {
            project: self.target.project.clone(),
            name: self.target.name.clone(),
            zone: listed.and_then(|listed| listed.zone.clone()),
            like,
            image: self.operation.wish.image.clone(),
            volume: size.map(|bytes| OrderedVolume {
                name: format!("{}_vol_001", self.target.name),
                size_gib: bytes.div_ceil(GIB),
            }),
        };
        finished(self.cloud.act.create(&order, &self.intent).await)
    }

    /// The server's volumes as facts, if every one of them may meet the fate that was decided on.
    async fn volumes(&self) -> Result<Vec<Evidence>, Halt> {
        let (server, volumes) = self.cloud.act.find(&self.target).await.map_err(not_finished)?;
        if let Some(objection) = volume_objection(&self.app.policy(), &self.operation.wish, &server, &volumes)
        {
            return Err(objection);
        }
        let mut evidence = vec![Evidence::new("volumes", volumes.len(), "cinder")];
        for volume in volumes {
            evidence.push(Evidence::new("volume", format!("{} {}", volume.id, volume.name), "cinder"));
        }
        Ok(evidence)
    }

    /// The policy in force at this moment still allows it.
    fn allowed(&self, protection: Option<Protection>) -> Result<(), Halt> {
        let policy = self.app.policy();
        let name = &self.target.name;
        if let Some(why) = &policy.unreadable {
            return Err(refused("policy_unreadable", why.to_string()));
        }
        let Some(listed) = policy.nodes.get(&self.operation.wish.node) else {
            return Err(refused("node_protected", format!("policy does not list {name} any more")));
        };
        match protection {
            Some(protection) if listed.protections.contains(&protection) => {
                Err(refused("node_protected", format!("{name} is protected by now: {protection}")))
            }
            _ => Ok(()),
        }
    }

    fn allowed_volume(&self, id: &str, name: &str) -> Result<(), Halt> {
        self.allowed(Some(Protection::NeverDelete))?;
        match fate(&self.app.policy(), id, name) {
            Fate::MayGo => Ok(()),
            forbidden => Err(forbidden.refusal(id, name, &self.target.name)),
        }
    }
}

/// What policy says about a volume.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    MayGo,
    Protected,
    Unknown,
}

impl Fate {
    fn refusal(&self, id: &str, name: &str, node: &str) -> Outcome {
        match self {
            Self::Protected => refused(
                "volume_protected",
                format!("the volume {name} ({id}) of {node} must never be deleted"),
            ),
            _ => refused(
                "volume_unknown",
                format!(
                    "policy.toml has no entry for the volume {name} ({id}) of {node}; add one by its Cinder id"
                ),
            ),
        }
    }
}

/// Every entry that fits is asked, by Cinder id or by name: two entries for one volume must not hide its protection.
fn fate(policy: &Policy, id: &str, name: &str) -> Fate {
    let fits = |cinder: Option<&String>, listed: &str| {
        cinder.is_some_and(|cinder| cinder.eq_ignore_ascii_case(id)) || (!name.is_empty() && listed == name)
    };
    let mut entries =
        policy.volumes.iter().filter(|volume| fits(volume.cinder.as_ref(), &volume.name)).peekable();
    if entries.peek().is_none() {
        return Fate::Unknown;
    }
    let is_kept = entries.any(|entry| entry.protections.contains(&Protection::NeverDeleteVolume));
    if is_kept { Fate::Protected } else { Fate::MayGo }
}

/// What speaks against deleting a server that has these volumes.
fn volume_objection(policy: &Policy, wish: &Wish, server: &Server, volumes: &[Volume]) -> Option<Outcome> {
    for volume in volumes {
        let goes_with_it =
            server.volumes.iter().any(|attached| attached.volume == volume.id && attached.goes_with_server);
        let fate = fate(policy, &volume.id, &volume.name);
        let is_meant_to_go = wish.volumes == Volumes::Delete;
        if is_meant_to_go && fate != Fate::MayGo {
            return Some(fate.refusal(&volume.id, &volume.name, &wish.spelled));
        }
        if goes_with_it && !is_meant_to_go {
            return Some(refused(
                "volume_kept",
                format!(
                    "Nova would delete the volume {} ({}) together with {}, and it is to be kept; say `openstack server \
                     volume update --preserve-on-termination {} {}`",
                    volume.name, volume.id, wish.spelled, server.id, volume.id
                ),
            ));
        }
        if volume.attached_to.iter().any(|other| *other != server.id) && is_meant_to_go {
            return Some(refused(
                "volume_in_use",
                format!(
                    "the volume {} ({}) is also on another server than {}",
                    volume.name, volume.id, wish.spelled
                ),
            ));
        }
    }
    None
}

/// The volumes that were written down while the server still had them: when it was deleted, or when it was stopped.
fn recorded_volumes(operation: &Operation) -> Option<Vec<(String, String)>> {
    let of = |wanted: Step| {
        let place = operation.plan.steps.iter().position(|step| *step == wanted)?;
        let evidence = &operation.steps.get(place)?.evidence;
        evidence.iter().any(|fact| fact.fact == "volumes").then_some(evidence)
    };
    let evidence = of(Step::DeleteServer).or_else(|| of(Step::Quarantine))?;
    let volumes = evidence.iter().filter(|fact| fact.fact == "volume");
    Some(
        volumes
            .map(|fact| match fact.value.split_once(' ') {
                Some((id, name)) => (id.to_owned(), name.to_owned()),
                None => (fact.value.clone(), String::new()),
            })
            .collect(),
    )
}

fn refused(word: &str, why: impl Into<String>) -> Outcome {
    Outcome::NotDone { why: why.into(), refusal: Some(word.to_owned()) }
}

fn finished(outcome: openstack::Outcome) -> Result<Vec<Evidence>, Halt> {
    match outcome {
        openstack::Outcome::Done(facts) => Ok(facts
            .into_iter()
            .map(|fact| Evidence {
                fact: fact.fact,
                value: fact.value,
                source: fact.source,
                age_seconds: fact.age_seconds,
            })
            .collect()),
        other => Err(not_finished(other)),
    }
}

fn not_finished(outcome: openstack::Outcome) -> Halt {
    match outcome {
        openstack::Outcome::NotDone { why, refusal } => {
            Outcome::NotDone { why, refusal: refusal.map(|word| word.as_str().to_owned()) }
        }
        openstack::Outcome::Unknown(question) => Outcome::unknown(question),
        openstack::Outcome::Done(_) => Outcome::unknown("it was looked at and not done"),
    }
}

#[cfg(test)]
mod tests;
