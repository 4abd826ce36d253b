//! What a person does with the store, on the command line: copies of it, and its way to another host.

use super::{
    start::{STORE, StartError, own_state},
    this_host,
};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    store::{
        backup::{self, BackupError},
        moving::{self, MoveError},
        raise,
        restore::{self, Desk, RestoreError},
    },
};
use millwright_protocol::{InvalidName, NodeName};
use std::{env, path::Path};

/// Why nothing was copied or put back.
#[derive(Debug, thiserror::Error)]
pub enum HandlingError {
    /// The coordinator runs, or its state directory cannot be used.
    #[error(transparent)]
    State(#[from] StartError),
    /// Nobody knows how this host is called.
    #[error("{0}")]
    Host(String),
    /// The copy.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// It was not put in force.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// It does not go, or does not come back.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// No host can be called that.
    #[error("move the coordinator to {given}: {why}")]
    Name {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: InvalidName,
    },
    /// It is here.
    #[error("the coordinator is on {0} already; name the host that it shall go to")]
    Here(NodeName),
}

/// Copies the store to a file, also while a coordinator runs; says what was done.
///
/// # Errors
/// The store cannot be read, or the file cannot be written.
pub fn backup(config: &Config, to: &Path) -> Result<String, HandlingError> {
    let store = config.state_dir.join(STORE);
    backup::copy(&store, to)?;
    Ok(format!("{} is a whole copy of {}", to.display(), store.display()))
}

/// Puts a copy in the place of the store; says what was done.
///
/// # Errors
/// A coordinator runs on it, the copy cannot be used or is for another host, or the state directory cannot be written.
pub fn restore(config: &Config, from: &Path) -> Result<String, HandlingError> {
    let host = this_host(config.host.as_ref()).map_err(HandlingError::Host)?;
    // Held until the end: no coordinator starts meanwhile.
    let _state = own_state(&config.state_dir)?;
    let store = config.state_dir.join(STORE);
    let by = person();
    let desk = Desk { store: &store, backups: &config.backup.folder, host: &host, by: &by };
    let restored = restore::restore(from, desk, SystemClock::new().now())?;
    let kept =
        restored.kept.map_or_else(String::new, |kept| format!("; the store of before is {}", kept.display()));
    let incarnation = restored.incarnation;
    Ok(format!(
        "{} is in force at the next start, as generation {} of cluster {}{kept}; browsers sign in anew, and `millwright token \
         list` says which tokens are good: one that was revoked since the copy is known as such only if the store of before \
         could be read",
        from.display(),
        incarnation.generation,
        incarnation.cluster
    ))
}

/// Raises the generation of a store that was put in its place by hand; says what was done.
///
/// # Errors
/// A coordinator runs on it, there is none, it has gone to another host, or it cannot be written.
pub fn raise_generation(config: &Config, reason: &str) -> Result<String, HandlingError> {
    let host = this_host(config.host.as_ref()).map_err(HandlingError::Host)?;
    let _state = own_state(&config.state_dir)?;
    let store = config.state_dir.join(STORE);
    let by = person();
    let desk = Desk { store: &store, backups: &config.backup.folder, host: &host, by: &by };
    let incarnation = raise::raise_generation(desk, reason, SystemClock::new().now())?;
    Ok(format!(
        "{} is in force at the next start, as generation {} of cluster {}; browsers sign in anew",
        store.display(),
        incarnation.generation,
        incarnation.cluster
    ))
}

/// Closes the store here for good and makes the copy that goes to another host; says what to do next.
///
/// # Errors
/// A coordinator runs on it, it cannot be moved, or the copy cannot be written.
pub fn hand_over(config: &Config, to: &str) -> Result<String, HandlingError> {
    let host = this_host(config.host.as_ref()).map_err(HandlingError::Host)?;
    let name: NodeName = to.parse().map_err(|why| HandlingError::Name { given: to.to_owned(), why })?;
    if name == host {
        return Err(HandlingError::Here(host));
    }
    let _state = own_state(&config.state_dir)?;
    let store = config.state_dir.join(STORE);
    let copy = moving::send(&store, to, &name, &person(), SystemClock::new().now())?;
    Ok(next_steps(config, to, &name, &copy))
}

/// Takes the store back that was closed for another host which never used it; says what was done.
///
/// # Errors
/// A coordinator runs on it, it has not been moved, or it cannot be written.
pub fn take_back(config: &Config) -> Result<String, HandlingError> {
    let _state = own_state(&config.state_dir)?;
    let store = config.state_dir.join(STORE);
    let (moved, incarnation) = moving::undo(&store, &person(), SystemClock::new().now())?;
    Ok(format!(
        "{} is used here again, as generation {}; it does not go to {}. Destroy the copy there, if there is one, let \
         `cluster.coordinator` in {} name this host, and start it: systemctl enable --now millwright-coordinator",
        store.display(),
        incarnation.generation,
        moved.to,
        config.policy.display()
    ))
}

/// What a person does after `move`, in the order in which it is safe.
fn next_steps(config: &Config, to: &str, name: &NodeName, copy: &Path) -> String {
    let (store, policy) = (config.state_dir.display(), config.policy.display());
    let file = copy.file_name().unwrap_or_default().display();
    let copy = copy.display();
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let port = config.listen.agents.port();
    format!(
        "The store is closed here and goes to {to}; the coordinator does not start here any more.\n\
         Next, as root:\n\
         1. Here, so that it does not try at every boot:\n     \
            systemctl disable millwright-coordinator\n\
         2. On {to}, install millwright-coordinator and do not start it. From here:\n     \
            scp {copy} {to}:{store}/\n     \
            scp {policy} and the file of --config to the same places there\n\
         3. On {to}: `cluster.coordinator = \"{name}\"` in {policy}; in coordinator.toml the names and files of that\n   \
            host (`host`, `[tls]`, `listen.host_names`). With Puppet: `millwright::coordinator::host`.\n\
         4. On {to}:\n     \
            systemctl stop millwright-coordinator\n     \
            millwright-coordinator restore {store}/{file}\n     \
            runuser -u millwright -- millwright-coordinator --check-config\n     \
            systemctl enable --now millwright-coordinator\n\
         5. Every node: `coordinator.url = \"{scheme}://{to}:{port}\"` in agent.toml (with Puppet:\n   \
            `millwright::agent::coordinator`), then `millwright nodes` on {to}.\n\
         To call it off before step 4: millwright-coordinator move --undo"
    )
}

/// Who is at the terminal, as the audit shows it.
fn person() -> String {
    let uid = nix::unistd::geteuid();
    match env::var("SUDO_USER") {
        Ok(user) if uid.is_root() && user != "root" => format!("{user} (as root)"),
        _ if uid.is_root() => "root".to_owned(),
        _ => format!("uid {uid}"),
    }
}
