//! From a configuration to a coordinator that answers, and back to nothing.

use super::{App, PolicyFile, background, policy_file::OtherHost, this_host, unasked::unasked, watch};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    fleet::Fleet,
    serve::{
        self, Limits,
        tls::{self, Door},
    },
    shutdown::Wish,
    store::{OpenError, Retention, Store, backup::give_to_owner_of_folder},
};
use jiff::SignedDuration;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, File},
    io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::net::{TcpListener, UnixListener};

/// Connections at a time: agents keep theirs between reports.
const AGENTS: usize = 20_000;
/// A host has one agent, and perhaps the one before it; a proxy has more. Handshakes: as many as one core makes in a second.
const AGENTS_OVER_TLS: Limits =
    Limits { connections: AGENTS, connections_per_host: 256, handshakes: 1_000, handshakes_per_address: 32 };
const OPERATORS_OVER_TLS: Limits =
    Limits { connections: OPERATORS, connections_per_host: 128, handshakes: 200, handshakes_per_address: 32 };
const OPERATORS: usize = 512;
/// In the state directory: what is known, and whose it is.
pub(super) const STORE: &str = "coordinator.sqlite";
pub(super) const LOCK: &str = "lock";
/// What is under way gets this long to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody knows how this host is called.
    #[error("{0}")]
    Host(String),
    /// It should run elsewhere.
    #[error(transparent)]
    OtherHost(#[from] OtherHost),
    /// The state directory cannot be used.
    #[error("use the state directory {}: {why}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why not. Not called `source`: the message has it already.
        why: io::Error,
    },
    /// Another coordinator uses it.
    #[error(
        "another coordinator already uses the state directory {}; stop it first (systemctl stop millwright-coordinator), or choose \
         another `state_dir`", .0.display()
    )]
    Taken(PathBuf),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The coordinator cannot prove who it is.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// Nobody could be recognised, or the journal cannot be read.
    #[error(transparent)]
    Build(#[from] super::BuildError),
    /// A proxy cannot be recognised.
    #[error(transparent)]
    Door(#[from] super::DoorError),
    /// An address cannot be listened on.
    #[error(
        "listen for {whom} on {address}: {why}; see what else listens there, or choose another address in coordinator.toml"
    )]
    Listen {
        /// `operators` or `agents`.
        whom: &'static str,
        /// Where.
        address: String,
        /// Why not. Not called `source`: the message has it already.
        why: io::Error,
    },
    /// An outside system cannot be asked.
    #[error(transparent)]
    Outside(#[from] background::OutsideError),
    /// Signals cannot be watched.
    #[error("watch for signals: {0}")]
    Signals(io::Error),
}

/// Where a coordinator really listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Operators: dashboard and API.
    pub operators: String,
    /// Agents.
    pub agents: String,
    /// The Unix socket.
    pub socket: PathBuf,
}

/// Runs a coordinator until SIGTERM or SIGINT. `announce` is called once it answers.
///
/// # Errors
/// When it cannot start; the message says what to do.
pub async fn run(config: Config, announce: impl FnOnce(&Announcement)) -> Result<(), StartError> {
    let mut wish = Wish::watch().map_err(StartError::Signals)?;
    let host = this_host(config.host.as_ref()).map_err(StartError::Host)?;
    let _state = own_state(&config.state_dir)?;
    let clock = Arc::new(SystemClock::new());
    let mut policy_file = PolicyFile::new(&config.policy, &config.state_dir, host);
    let policy = policy_file.first(clock.now())?;
    for wrong in unasked(&config, &policy) {
        log::warn!("{wrong}");
    }
    let identity = config.tls.as_ref().map(tls::Identity::load).transpose()?.map(Arc::new);
    let (listeners, announcement) = Listeners::bind(&config).await?;
    let app = build(config, policy, clock)?;

    let (driver, mut remember) = background::start(&app, identity.as_ref())?;
    listeners.serve(&app, identity.as_ref());
    if let Some(identity) = identity {
        watch::identity(&app, identity);
    }
    watch::policy(&app, policy_file);
    watch::verdicts(&app);
    log::info!(
        "answering operators on {} and {}, agents on {}",
        announcement.operators,
        announcement.socket.display(),
        announcement.agents
    );
    let ours = app.store.incarnation();
    log::info!("this is the coordinator of cluster {}, generation {}", ours.cluster, ours.generation);
    announce(&announcement);
    tell_systemd(sd_notify::NotifyState::Ready);

    log::info!("stopping on {}", wish.comes().await);
    tell_systemd(sd_notify::NotifyState::Stopping);
    if !app.shutdown.finish(PATIENCE).await {
        log::warn!("some work was still under way after {PATIENCE:?} and is left behind");
    }
    drop(driver);
    if let Err(why) = remember.hand_over(usize::MAX) {
        log::warn!("keep the last state of every node: {why}");
    }
    app.store.close();
    // One that is left behind is replaced at the next start.
    let _ = std::fs::remove_file(&app.config.listen.socket);
    Ok(())
}

fn build(
    config: Config,
    policy: millwright_decision::Policy,
    clock: Arc<SystemClock>,
) -> Result<Arc<App>, StartError> {
    let retention = Retention {
        changes: SignedDuration::try_from(config.retention.transitions).unwrap_or(SignedDuration::MAX),
        audit: SignedDuration::try_from(config.retention.audit).unwrap_or(SignedDuration::MAX),
        sessions: SignedDuration::try_from(config.people.session).unwrap_or(SignedDuration::MAX),
    };
    super::people::check_proxies(&config)?;
    let (store, remembered) = Store::open(&config.state_dir.join(STORE), retention)?;
    let mut fleet = Fleet::new(Arc::new(policy), clock.now()).with_policy_path(&config.policy);
    fleet.restore(remembered, clock.now());
    Ok(App::new(config, clock, fleet, store)?)
}

/// Makes the state directory ours alone, for as long as the lock lives.
pub(super) fn own_state(path: &Path) -> Result<Flock<File>, StartError> {
    let wrong = |why| StartError::State { path: path.to_owned(), why };
    DirBuilder::new().recursive(true).mode(0o750).create(path).map_err(wrong)?;
    let lock = path.join(LOCK);
    let file = File::create(&lock).map_err(wrong)?;
    // Root may be the first here, with a copy to restore.
    give_to_owner_of_folder(&lock).map_err(wrong)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        nix::errno::Errno::EWOULDBLOCK => StartError::Taken(path.to_owned()),
        other => wrong(other.into()),
    })
}

struct Listeners {
    operators: TcpListener,
    agents: TcpListener,
    socket: UnixListener,
}

impl Listeners {
    /// Binds everything before anything is served, so that a start fails as a whole.
    async fn bind(config: &Config) -> Result<(Self, Announcement), StartError> {
        let listen = &config.listen;
        let (operators, operators_at) = bind("operators", listen.operators).await?;
        let (agents, agents_at) = bind("agents", listen.agents).await?;
        let over_tls = |url: String, is_over_tls: bool| {
            if is_over_tls { url.replacen("http:", "https:", 1) } else { url }
        };
        let agents_at = over_tls(agents_at, config.tls.is_some());
        let operators_at = over_tls(operators_at, !listen.operators.ip().is_loopback());
        let socket = serve::bind_unix(&listen.socket).map_err(|why| StartError::Listen {
            whom: "operators",
            address: listen.socket.display().to_string(),
            why,
        })?;
        let announcement =
            Announcement { operators: operators_at, agents: agents_at, socket: listen.socket.clone() };
        Ok((Self { operators, agents, socket }, announcement))
    }

    fn serve(self, app: &Arc<App>, identity: Option<&Arc<tls::Identity>>) {
        serve::unix(self.socket, app.operators(), OPERATORS, &app.shutdown);
        // Without TLS nothing but loopback comes this far: `config` has seen to it.
        match identity.filter(|_| !app.config.listen.operators.ip().is_loopback()) {
            Some(identity) => {
                let door = (Arc::clone(identity), Door::Operators);
                let limits = OPERATORS_OVER_TLS;
                serve::over_tls(self.operators, door, app.operators(), limits, &app.shutdown, app.clone());
            }
            None => serve::tcp(self.operators, app.operators(), OPERATORS, &app.shutdown),
        }
        match identity {
            Some(identity) => {
                let door = (Arc::clone(identity), Door::Agents);
                serve::over_tls(self.agents, door, app.agents(), AGENTS_OVER_TLS, &app.shutdown, app.clone());
            }
            None => serve::tcp(self.agents, app.agents(), AGENTS, &app.shutdown),
        }
    }
}

/// The listener and the URL it really has, port 0 replaced.
async fn bind(whom: &'static str, address: SocketAddr) -> Result<(TcpListener, String), StartError> {
    let wrong = |why| StartError::Listen { whom, address: address.to_string(), why };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let real = listener.local_addr().map_err(wrong)?;
    Ok((listener, format!("http://{real}")))
}

/// Outside systemd there is nobody to tell.
fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::debug!("tell systemd: {error}");
    }
}
