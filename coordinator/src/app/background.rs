//! What runs in the background of a coordinator, at which rhythm.

use super::{App, cloud::Cloud, moves::Movers, operations, outside::RealWorld, places};
use crate::{
    fleet::Fleet,
    integrations::{
        Observe,
        aurora::{AuroraClient, AuroraOperator},
        authority::PuppetAuthority,
        channels,
        foreman::ForemanClient,
        jenkins::{JenkinsAct, JenkinsClient},
        marathon::{MarathonClient, MarathonOperator},
        mesos::{LeaderEvents, MesosAct, MesosError, MesosMasters, MesosOperator, PATIENCE},
        mesos_dns::MesosDnsClient,
        openstack::{OpenStackObserver, OpenStackOperator, OpenStackRemover, Sessions},
        owners::{AskOwner, Owners},
        peer::PeerError,
        puppetdb::PuppetDbClient,
        roger::{RogerAct, RogerClient},
        ssh::Ssh,
        zookeeper::ZooKeeperClient,
    },
    serve::tls::Identity,
    store::StoreError,
    tasks::{
        AskOwnersTask, Backup, Driver, FollowMesosTask, Hub, Notify, ObserveMesosTask, ObserveTask,
        ProbeSshTask, Prune, Remember, RenewRevokedTask, Tick, Watchdog,
    },
    view::Transition,
};
use jiff::Timestamp;
use millwright_decision::Source;
use std::{sync::Arc, time::Duration};

/// Everything that changes by age alone changes within this.
const TICK: Duration = Duration::from_secs(1);
/// Tasks that wait for their turn by themselves begin again after this.
const TURN: Duration = Duration::from_millis(100);
/// A silent node is tried this often (DESIGN section 1: from 90 s of silence on).
const PROBE: Duration = Duration::from_secs(30);
/// What was heard since is handed to the store this often.
const REMEMBER: Duration = Duration::from_secs(5);
/// Conditions are compared with what people were told this often.
const NOTIFY: Duration = Duration::from_secs(5);
/// Operations that wait for owners whom nobody can reach are told so this often.
const ASK_OWNERS: Duration = Duration::from_secs(30);
const PRUNE: Duration = Duration::from_secs(6 * 3600);

/// An outside system that is configured in a way that can never work.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The Mesos masters.
    #[error("use mesos.masters of coordinator.toml")]
    Mesos(#[from] MesosError),
    /// Jenkins.
    #[error("use jenkins.url of coordinator.toml")]
    Jenkins(#[source] PeerError),
    /// Marathon.
    #[error("use marathon.servers of coordinator.toml")]
    Marathon(#[source] PeerError),
    /// Aurora.
    #[error("use aurora.servers of coordinator.toml")]
    Aurora(#[source] PeerError),
    /// Mesos-DNS.
    #[error("use mesos_dns.servers of coordinator.toml")]
    MesosDns(#[source] PeerError),
    /// A way to people.
    #[error("{0}")]
    Channel(String),
    /// What people have been told cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Foreman.
    #[error("use [foreman] of coordinator.toml")]
    Foreman(#[source] PeerError),
    /// PuppetDB.
    #[error("use [puppetdb] of coordinator.toml")]
    PuppetDb(#[source] PeerError),
    /// Roger.
    #[error("use [roger] of coordinator.toml")]
    Roger(#[source] PeerError),
    /// Owners of tasks.
    #[error("use [owners] of coordinator.toml")]
    Owners(#[source] PeerError),
    /// The cloud.
    #[error("use openstack of coordinator.toml")]
    OpenStack(#[source] PeerError),
}

/// Starts all of it; dropping the driver ends it. The second part hands over the last state of every node at the end.
pub(super) fn start(
    app: &Arc<App>,
    identity: Option<&Arc<Identity>>,
) -> Result<(Driver, Remember), OutsideError> {
    let hub: Arc<dyn Hub> = app.clone();
    let mut driver = Driver::new(hub.clone());
    driver.every(TICK, Tick { hub: hub.clone() });
    if let Some(period) = Watchdog::period() {
        driver.every(period, Watchdog { hub: hub.clone() });
    }
    let mesos = &app.config.mesos;
    let mut act: Option<Arc<dyn MesosAct>> = None;
    if !mesos.masters.is_empty() {
        let masters = Arc::new(MesosMasters::new(&mesos.masters, mesos.timeout)?);
        act = Some(Arc::new(MesosOperator::new(&mesos.masters, mesos.timeout)?));
        let news = app.mesos_news.clone();
        if mesos.events {
            driver.every(TURN, FollowMesosTask::new(LeaderEvents::new(&masters, PATIENCE), news.clone()));
        }
        driver.every(TURN, ObserveMesosTask::new(hub.clone(), masters, news, mesos.every));
    }
    let zookeeper = &app.config.zookeeper;
    if !zookeeper.ensembles.is_empty() {
        let client = ZooKeeperClient::new(zookeeper.ensembles.clone(), zookeeper.timeout);
        driver.every(zookeeper.every, ObserveTask::new(hub.clone(), Arc::new(client)));
    }
    let mut jenkins: Option<Arc<dyn JenkinsAct>> = None;
    if let Some(system) = &app.config.jenkins {
        let client =
            JenkinsClient::new(&system.url, system.credentials.clone(), system.timeout, &app.metrics.outside);
        let client = Arc::new(client.map_err(OutsideError::Jenkins)?);
        jenkins = Some(client.clone());
        driver.every(system.every, ObserveTask::new(hub.clone(), client));
    }
    look_at_services(app, &hub, &mut driver)?;
    let movers = movers(app)?;
    let registers = look_at_registers(app, &hub, &mut driver)?;
    let mut roger: Option<Arc<dyn RogerAct>> = None;
    if let Some(given) = &app.config.roger {
        let client = RogerClient::new(given, places::hosts(app), &app.metrics.outside);
        let client = Arc::new(client.map_err(OutsideError::Roger)?);
        roger = Some(client.clone());
        driver.every(given.every, ObserveTask::new(hub.clone(), client));
    }
    ask_owners(app, &hub, &mut driver)?;
    let probe = &app.config.probe;
    let ssh = Ssh::new(probe.port, probe.domain.clone(), probe.timeout);
    driver.every(PROBE, ProbeSshTask { hub: hub.clone(), ssh: Arc::new(ssh) });
    let has_channels = tell_people(app, &hub, &mut driver)?;
    let world = RealWorld {
        app: Arc::downgrade(app),
        mesos: act.clone(),
        jenkins,
        has_channels,
        movers,
        cloud: cloud(app).map_err(OutsideError::OpenStack)?,
        roger,
        places: registers,
    };
    if let Some(config) = &app.config.openstack {
        let sessions = Sessions::new(config, &config.credential, &app.metrics.outside);
        let observer = OpenStackObserver::new(Arc::new(sessions.map_err(OutsideError::OpenStack)?));
        driver.every(config.every, ObserveTask::new(hub.clone(), Arc::new(observer)));
    }
    operations::run(app, Arc::new(world), act);
    if let Some(identity) = identity
        && let Some(config) = app.config.tls.as_ref().and_then(|tls| tls.authority.clone())
    {
        let (every, url) = (config.every, config.url.clone());
        let authority = Arc::new(PuppetAuthority::new(Arc::clone(identity), config));
        driver.every(every, RenewRevokedTask::new(hub.clone(), app.troubles.clone(), authority, url));
    }
    driver.every(REMEMBER, Remember::new(hub.clone(), app.store.clone()));
    let backup = &app.config.backup;
    driver.every(
        backup.every,
        Backup {
            hub: hub.clone(),
            troubles: app.troubles.clone(),
            metrics: app.metrics.clone(),
            store: app.store.path().to_owned(),
            folder: backup.folder.clone(),
            hand_on: backup.hand_on.clone(),
        },
    );
    driver.every(PRUNE, Prune { hub: hub.clone(), store: app.store.clone() });
    Ok((driver, Remember::new(hub, app.store.clone())))
}

/// Tells people who are not looking, where they listen.
fn tell_people(app: &Arc<App>, hub: &Arc<dyn Hub>, driver: &mut Driver) -> Result<bool, OutsideError> {
    let channels = channels::all(&app.config.notice, app.store.incarnation(), &app.metrics.outside);
    let channels = channels.map_err(OutsideError::Channel)?;
    if channels.is_empty() {
        return Ok(false);
    }
    let (store, post, troubles) = (app.store.clone(), app.post.clone(), app.troubles.clone());
    let notify = Notify::new(hub.clone(), store, post, troubles, channels, app.started_at_position)?;
    driver.every(NOTIFY, notify);
    Ok(true)
}

/// Asks owners of tasks, whom policy names. That nobody can be asked is an answer as well.
fn ask_owners(app: &App, hub: &Arc<dyn Hub>, driver: &mut Driver) -> Result<(), OutsideError> {
    let mut owners: Option<Arc<dyn AskOwner>> = None;
    if let Some(system) = &app.config.owners {
        let client =
            Owners::new(&system.url, system.credentials.clone(), system.timeout, &app.metrics.outside);
        owners = Some(Arc::new(client.map_err(OutsideError::Owners)?));
    }
    let every = app.config.owners.as_ref().map_or(ASK_OWNERS, |system| system.every);
    driver.every(every, AskOwnersTask { hub: hub.clone(), owners });
    Ok(())
}

/// What we may do to the cloud, where there is one.
fn cloud(app: &App) -> Result<Option<Arc<Cloud>>, PeerError> {
    let Some(config) = &app.config.openstack else { return Ok(None) };
    let tallies = &app.metrics.outside;
    let sessions = |credential| Ok::<_, PeerError>(Arc::new(Sessions::new(config, credential, tallies)?));
    let mut cloud = Cloud {
        act: Arc::new(OpenStackOperator::new(sessions(&config.credential)?)),
        delete: None,
        create: config.create.clone(),
    };
    if let Some(credential) = &config.delete {
        cloud.delete = Some(Arc::new(OpenStackRemover::new(sessions(credential)?)));
    }
    Ok(Some(Arc::new(cloud)))
}

/// The schedulers that we may ask to move what they run; the fleet hears which they are.
fn movers(app: &App) -> Result<Movers, OutsideError> {
    let (config, tallies) = (&app.config, &app.metrics.outside);
    let mut movers = Movers::new();
    if let Some(system) = config.marathon.as_ref().filter(|system| system.may.anything()) {
        let operator = MarathonOperator::new(system, tallies).map_err(OutsideError::Marathon)?;
        movers.insert(Source::Marathon, Arc::new(operator));
        app.with_fleet(|fleet, _| fleet.may_ask_to_move(Source::Marathon, system.may.tasks, system.may.lead));
    }
    if let Some(system) = config.aurora.as_ref().filter(|system| system.may.anything()) {
        let operator = AuroraOperator::new(system, tallies).map_err(OutsideError::Aurora)?;
        movers.insert(Source::Aurora, Arc::new(operator));
        app.with_fleet(|fleet, _| fleet.may_ask_to_move(Source::Aurora, system.may.tasks, system.may.lead));
    }
    Ok(movers)
}

/// Looks at what runs on the masters beside Mesos and ZooKeeper.
fn look_at_services(app: &App, hub: &Arc<dyn Hub>, driver: &mut Driver) -> Result<(), OutsideError> {
    let (config, tallies) = (&app.config, &app.metrics.outside);
    if let Some(system) = &config.marathon {
        let client = MarathonClient::new(&system.given, tallies).map_err(OutsideError::Marathon)?;
        driver.every(system.given.every, ObserveTask::new(hub.clone(), Arc::new(client)));
    }
    if let Some(system) = &config.aurora {
        let client = AuroraClient::new(&system.given, tallies).map_err(OutsideError::Aurora)?;
        driver.every(system.given.every, ObserveTask::new(hub.clone(), Arc::new(client)));
    }
    if let Some(dns) = &config.mesos_dns {
        let client = MesosDnsClient::new(&dns.given, &dns.domain, &config.mesos.masters, tallies);
        let client = client.map_err(OutsideError::MesosDns)?;
        driver.every(dns.given.every, ObserveTask::new(hub.clone(), Arc::new(client)));
    }
    Ok(())
}

/// Looks at those that know nodes as hosts; these are asked again what remains of one.
fn look_at_registers(
    app: &Arc<App>,
    hub: &Arc<dyn Hub>,
    driver: &mut Driver,
) -> Result<Vec<Arc<dyn Observe>>, OutsideError> {
    let (config, tallies) = (&app.config, &app.metrics.outside);
    let mut registers: Vec<Arc<dyn Observe>> = Vec::new();
    if let Some(given) = &config.foreman {
        let client = ForemanClient::new(given, places::hosts(app), tallies).map_err(OutsideError::Foreman)?;
        let client: Arc<dyn Observe> = Arc::new(client);
        driver.every(given.every, ObserveTask::new(hub.clone(), client.clone()));
        registers.push(client);
    }
    if let Some(given) = &config.puppetdb {
        let client =
            PuppetDbClient::new(given, places::hosts(app), tallies).map_err(OutsideError::PuppetDb)?;
        let client: Arc<dyn Observe> = Arc::new(client);
        driver.every(given.every, ObserveTask::new(hub.clone(), client.clone()));
        registers.push(client);
    }
    Ok(registers)
}

impl Hub for App {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn with_fleet(&self, look: &mut dyn FnMut(&mut Fleet, Timestamp)) {
        App::with_fleet(self, look);
    }

    fn publish(&self, transitions: Vec<Transition>) {
        App::publish(self, transitions);
    }
}
