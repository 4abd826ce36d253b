//! Puts the parts together and runs them until told to stop.

use crate::{
    board::{SharedBoard, Slot},
    check::Check,
    checks::{self, Context},
    clock::{Clock, Moment},
    config::{Config, NodeClass},
    coordinator_client::CoordinatorClient,
    docker::Engine,
    heartbeat::{Heartbeat, SharedContact},
    identity::Identity,
    memory::FileDisk,
    orders::{
        SharedMachine,
        check::Rules,
        driver::Driver,
        machine::Machine,
        memory_check::MemoryCheck,
        poll::{self, Poller, Teller},
    },
    prepull::{self, Images},
    probe,
    runner::Runner,
    sequence::Sequence,
    status::{self, view::StatusSource, view::StatusView},
    telemetry,
};
use anyhow::Context as _;
use millwright_protocol::NodeName;
use std::{io::Write, path::PathBuf, rc::Rc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    task::LocalSet,
    time::sleep,
};

/// How often the line of `systemctl status` is written when systemd does not watch.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// The parts of one agent.
struct Agent {
    config: Rc<Config>,
    identity: Identity,
    runner: Runner,
    contact: SharedContact,
    checks: Vec<(Slot, Box<dyn Check>)>,
    images: Images,
}

impl Agent {
    fn new(config: Config, identity: Identity) -> Self {
        let config = Rc::new(config);
        let (board, report_soon) = (SharedBoard::default(), Rc::new(Notify::new()));
        let context = Context::new(config.clone(), report_soon.clone(), Rc::new(probe::answer));
        let checks = checks::all(&context)
            .into_iter()
            .map(|check| (board.lock().add(check.as_ref(), Moment::now()), check))
            .collect();
        let clock: Clock = Rc::new(Moment::now);
        Self {
            config,
            identity,
            runner: Runner { board, clock, report_soon },
            contact: SharedContact::default(),
            checks,
            images: context.images,
        }
    }

    fn status(&self) -> StatusSource {
        StatusSource {
            identity: self.identity.clone(),
            class: self.config.node.class,
            protections: self.config.protections,
            coordinator: self.config.coordinator.url.as_ref().map(ToString::to_string),
            board: self.runner.board.clone(),
            contact: self.contact.clone(),
            machine: None,
            state: self.config.paths.state.clone(),
        }
    }

    /// The file by which this node's Mesos master keeps nodes from getting offers, where it is a master and orders may write it.
    fn whitelist(&self) -> Option<PathBuf> {
        let file = self.config.mesos_master.whitelist.as_deref();
        let file = file.filter(|_| self.config.node.class == NodeClass::Master)?;
        Some(self.config.paths.rooted(file))
    }

    /// What orders may do here.
    fn rules(&self) -> Rules {
        let config = &self.config;
        let images = if config.prepull.enabled { self.images.borrow().names() } else { Vec::new() };
        Rules {
            identity: self.identity.clone(),
            enabled: config.orders.enabled,
            confirm_reboot: config.protections.confirm_reboot,
            images: images.iter().map(ToString::to_string).collect(),
            puppet: !config.orders.puppet_unit.is_empty() || !config.orders.puppet_command.is_empty(),
            whitelist: self.whitelist().is_some(),
            cleanup: !config.cleanup.globs.is_empty(),
        }
    }

    /// Opens the memory, and has a check say how it is.
    fn remember(&mut self) -> SharedMachine {
        let disk = FileDisk::new(self.config.paths.state.join("memory"));
        let machine = SharedMachine::new(Machine::open(disk, self.rules(), self.now()));
        let check: Box<dyn Check> = Box::new(MemoryCheck(machine.clone()));
        let slot = self.runner.board.lock().add(check.as_ref(), self.now());
        self.checks.push((slot, check));
        machine
    }

    /// Reports and orders, when there is somebody to speak to.
    fn speak(&self, machine: &SharedMachine) -> anyhow::Result<()> {
        let config = &self.config.coordinator;
        let Some(endpoint) = &config.url else {
            log::info!("coordinator.url is not set: checks run and show, nothing is reported");
            return Ok(());
        };
        let node: NodeName = self.identity.name.parse()?;
        let client = Rc::new(CoordinatorClient::new(endpoint, &node, config, &self.config.tls)?);
        let (clock, contact) = (&self.runner.clock, &self.contact);
        let heartbeat = Heartbeat {
            board: self.runner.board.clone(),
            identity: self.identity.clone(),
            config: config.clone(),
            client: client.clone(),
            machine: machine.clone(),
            state: self.config.paths.state.clone(),
            whitelist: self.whitelist(),
            sequence: Sequence::open(&self.config.paths.state, self.now().wall),
            contact: contact.clone(),
            clock: clock.clone(),
            report_soon: self.runner.report_soon.clone(),
        };
        let driver = Driver {
            machine: machine.clone(),
            config: self.config.clone(),
            identity: self.identity.clone(),
            board: self.runner.board.clone(),
            images: self.images.clone(),
            clock: clock.clone(),
            tell: Rc::default(),
        };
        let teller = Teller { machine: machine.clone(), client: client.clone(), tell: driver.tell.clone() };
        tokio::task::spawn_local(heartbeat.beat());
        tokio::task::spawn_local(Poller { driver, client, contact: contact.clone() }.poll());
        tokio::task::spawn_local(teller.tell());
        tokio::task::spawn_local(poll::tick(machine.clone(), contact.clone(), clock.clone()));
        Ok(())
    }

    fn now(&self) -> Moment {
        (self.runner.clock)()
    }
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot begin: no identity, no address to listen on, an endpoint that cannot be used.
pub fn run(config: Config) -> anyhow::Result<()> {
    let identity = Identity::read(&config)?;
    let agent = Agent::new(config, identity);
    on_one_thread(serve(agent))?
}

async fn serve(mut agent: Agent) -> anyhow::Result<()> {
    let listener = status::bind(agent.config.status.listen).await?;
    let address = listener.local_addr().context("ask for the address of the status")?;
    let mut stop = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let machine = agent.remember();
    let status = StatusSource { machine: Some(machine.clone()), ..agent.status() };
    log::info!(
        node = agent.identity.name.as_str(), version = env!("CARGO_PKG_VERSION");
        "{} ({}, name from {}): {} checks, status on http://{address}",
        agent.identity.name, agent.config.node.class, agent.identity.name_source, agent.checks.len()
    );
    // The only line on stdout: whoever asked for port 0 reads it.
    let _ = writeln!(std::io::stdout(), "status on http://{address}");
    telemetry::ready();
    agent.speak(&machine)?;
    for (slot, check) in agent.checks {
        tokio::task::spawn_local(agent.runner.clone().watch(slot, check));
    }
    if agent.config.prepull.enabled && !agent.images.borrow().names().is_empty() {
        let engine = Engine::new(&agent.config.checks.docker.socket);
        let (paths, clock) = (agent.config.paths.clone(), agent.runner.clock.clone());
        tokio::task::spawn_local(prepull::drive(agent.images, engine, paths, clock));
    }
    tokio::select! {
        result = status::serve(listener, status.clone()) => result.context("serve the status")?,
        () = tell_the_service_manager(status) => {}
        _ = stop.0.recv() => {}
        _ = stop.1.recv() => {}
    }
    telemetry::stopping();
    log::info!("stopped as told");
    Ok(())
}

/// One line for `systemctl status`; saying it also proves that this one thread still turns.
async fn tell_the_service_manager(status: StatusSource) {
    let every = telemetry::watched_every().unwrap_or(TELL_EVERY).min(TELL_EVERY);
    loop {
        let findings = status.view().findings;
        let worst = findings.first().map(|finding| finding.sentence.as_str()).unwrap_or_default();
        telemetry::alive(&format!("{}; {worst}", status::view::tally(&findings)));
        sleep(every).await;
    }
}

/// Looks once with every check and says what was seen. Reports to nobody.
///
/// # Errors
/// When it cannot be told whose status this is.
pub fn check(config: Config) -> anyhow::Result<StatusView> {
    let identity = Identity::read(&config)?;
    let mut agent = Agent::new(config, identity);
    let checks = std::mem::take(&mut agent.checks);
    on_one_thread(agent.runner.once(checks))?;
    Ok(agent.status().view())
}

/// Runs the future on this thread, and starts no other one.
///
/// # Errors
/// When the kernel gives no means to wait for events.
pub fn on_one_thread<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .context("start the runtime")?;
    Ok(LocalSet::new().block_on(&runtime, future))
}
