//! Carries effects out in the real world: Mesos, colleagues, commands.

use super::{
    App, announce,
    cloud::{self, Cloud},
    moves::{self, Movers},
    operations::unreachable_outcome,
    places, whitelist,
};
use crate::{
    fleet::CordonWay,
    integrations::{
        Observe,
        jenkins::JenkinsAct,
        mesos::{self, MesosAct},
        roger::RogerAct,
    },
    operations::{Outside, Task},
};
use futures_util::future::BoxFuture;
use millwright_decision::{
    Evidence,
    operation::{Effect, Outcome, Step},
};
use millwright_protocol::NodeName;
use std::{
    process::Stdio,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

/// What a command prints is kept up to so many bytes of its end.
const KEPT: usize = 16 * 1024;

/// The real world.
pub(super) struct RealWorld {
    /// Whose fleet it acts for. Weak, since the application outlives whoever it starts.
    pub app: Weak<App>,
    /// The Mesos masters, where there are any.
    pub mesos: Option<Arc<dyn MesosAct>>,
    /// Jenkins, where it is asked.
    pub jenkins: Option<Arc<dyn JenkinsAct>>,
    /// Whether colleagues listen.
    pub has_channels: bool,
    /// Schedulers that may be asked to move what they run.
    pub movers: Movers,
    /// The cloud, where we may act on it.
    pub cloud: Option<Arc<Cloud>>,
    /// Roger, where it is asked.
    pub roger: Option<Arc<dyn RogerAct>>,
    /// Who knows nodes as hosts, to be asked what remains of one.
    pub places: Vec<Arc<dyn Observe>>,
}

impl Outside for RealWorld {
    fn carry_out(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let Some(app) = self.app.upgrade() else {
            return Box::pin(async { Outcome::unknown("the coordinator is stopping") });
        };
        match task.effect.clone() {
            Effect::Announce => Box::pin(announce::carry_out(app, self.has_channels, task)),
            Effect::Cordon | Effect::Uncordon => {
                let stop = task.effect == Effect::Cordon;
                Box::pin(new_work(app, self.mesos.clone(), self.jenkins.clone(), task, stop))
            }
            Effect::Move { moves } => Box::pin(moves::carry_out(app, self.movers.clone(), task, moves)),
            Effect::Cloud { may_ask } => Box::pin(cloud::carry_out(app, self.cloud.clone(), task, may_ask)),
            Effect::Run { command } => {
                let places = self.places.clone();
                Box::pin(async move {
                    let outcome = run(Arc::clone(&app), task.step, command).await;
                    places::read_back(app, places, task, outcome).await
                })
            }
            Effect::MaskAlarms { before } | Effect::RestoreAlarms { before } => {
                Box::pin(places::alarms(app, self.roger.clone(), task, before))
            }
        }
    }
}

/// Stops new work on a node wherever it may come from, or lets it come.
async fn new_work(
    app: Arc<App>,
    mesos: Option<Arc<dyn MesosAct>>,
    jenkins: Option<Arc<dyn JenkinsAct>>,
    task: Task,
    stop: bool,
) -> Outcome {
    let (node, operation) = (task.node.clone(), task.operation.clone());
    let mut outcome = offers(Arc::clone(&app), mesos, task, stop).await;
    if let (Outcome::Done { evidence, .. }, Some(jenkins)) = (&mut outcome, jenkins) {
        evidence.extend(computers(&app, jenkins.as_ref(), &node, &operation, stop).await);
    }
    outcome
}

/// Jenkins may give builds to a computer that Mesos has made on the node before: it is taken out as well. That it cannot
/// be makes the wait longer and nothing less safe, so it is told and is no failure.
async fn computers(
    app: &App,
    jenkins: &dyn JenkinsAct,
    node: &NodeName,
    operation: &str,
    stop: bool,
) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for computer in app.with_fleet(|fleet, _| fleet.computers_on(node)) {
        let why = format!("{operation} drains {}", app.policy().spell(node));
        let outcome =
            if stop { jenkins.take_out(&computer, &why).await } else { jenkins.bring_back(&computer).await };
        match outcome {
            Outcome::Done { evidence: seen, .. } => evidence.extend(seen),
            Outcome::NotDone { why, .. } | Outcome::Unknown { question: why } => {
                evidence.push(Evidence::new(format!("computer {computer}"), why, "jenkins"));
            }
        }
    }
    evidence
}

/// Stops offers of a node, or lets them flow.
async fn offers(app: Arc<App>, mesos: Option<Arc<dyn MesosAct>>, task: Task, stop: bool) -> Outcome {
    let Some(mesos) = mesos else { return unreachable_outcome("mesos.masters") };
    match app.with_fleet(|fleet, _| fleet.cordon_way()) {
        Some(CordonWay::Deactivate) => {}
        Some(CordonWay::Whitelist) => return whitelist::change_offers(app, task, stop).await,
        None => {
            return Outcome::not_done(
                "the Mesos master has not answered yet, so nobody knows how its version stops offers",
            );
        }
    }
    // Nobody else stops them meanwhile.
    let _turn = app.offers_turn.lock().await;
    let agents: Vec<String> = app.with_fleet(|fleet, _| {
        let seen = fleet.mesos_agents(&task.node);
        // An id that the node has left behind gets no offers, and nobody could read what became of it.
        let registered = seen.iter().filter(|agent| agent.registered).map(|agent| agent.id.to_string());
        let mut ids: Vec<String> = registered.collect();
        if ids.is_empty() {
            ids.extend(seen.iter().map(|agent| agent.id.to_string()));
            ids.extend(fleet.mesos_id(&task.node));
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    });
    if agents.is_empty() {
        return Outcome::not_done(
            "Mesos lists no agent of this node, so there are no offers to stop or to let flow",
        );
    }
    let mut evidence = Vec::new();
    for agent in &agents {
        let outcome = if stop { mesos.deactivate(agent).await } else { mesos.reactivate(agent).await };
        match outcome {
            mesos::Outcome::Done(facts) => evidence.extend(facts.into_iter().map(|fact| Evidence {
                fact: fact.fact,
                value: fact.value,
                source: fact.source,
                age_seconds: fact.age_seconds,
            })),
            mesos::Outcome::NotDone(why) => return Outcome::not_done(why),
            mesos::Outcome::Unknown(question) => return Outcome::unknown(question),
        }
    }
    app.ask_mesos_soon();
    Outcome::done(evidence)
}

/// Runs an exact argument list, without a shell.
async fn run(app: Arc<App>, step: Step, command: Vec<String>) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Outcome::not_done("its command is empty");
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(why) => return Outcome::not_done(format!("start {program}: {why}")),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let patience = Duration::from_secs(step.patience().as_secs().unsigned_abs());
    let ended = timeout(patience, async {
        let (said, complained, status) = tokio::join!(tail(stdout), tail(stderr), child.wait());
        (format!("{said}\n{complained}"), status)
    });
    match ended.await {
        Ok((said, Ok(status))) => app.policy().executors.outcome(step, status.code(), &said),
        Ok((_, Err(why))) => Outcome::unknown(format!("{program} was started and lost: {why}")),
        Err(_) => Outcome::unknown(format!(
            "{program} has not ended after {} min and still runs as process {}",
            step.patience().as_mins(),
            child.id().unwrap_or_default()
        )),
    }
}

/// Reads to the end, and keeps the end.
async fn tail(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Vec::new();
    let mut chunk = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        kept.extend(chunk.iter().take(read));
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}
