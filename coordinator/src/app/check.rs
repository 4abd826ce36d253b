//! What would keep the coordinator from starting, or from ever answering, as far as it can be seen without starting.
//!
//! Nothing is changed and nothing is listened on. Whether the addresses are free and whether the outside answers is
//! seen by a start only.

use super::{PolicyFile, start::LOCK, start::STORE, this_host, unasked::unasked};
use crate::{
    config::Config,
    integrations::{channels, peer::Tallies},
    policy,
    serve::tls::Identity,
    store::{Incarnation, Store, journal},
    trusted, words,
};
use millwright_decision::Policy;
use nix::fcntl::{Flock, FlockArg};
use std::{fs::File, io, path::Path};
use uuid::Uuid;

/// Everything that is wrong, a sentence each; or the policy that would be in force.
///
/// # Errors
/// At least one sentence.
pub fn check(config: &Config) -> Result<Policy, Vec<String>> {
    let mut wrong = Vec::new();
    let read = trusted::read(&config.policy).map_err(io::Error::from);
    let policy = policy::check(&read, &config.policy).map_err(|errors| wrong.push(errors.to_string())).ok();
    let host = this_host(config.host.as_ref()).map_err(|error| wrong.push(error)).ok();
    if let (Some(policy), Some(host)) = (&policy, &host) {
        wrong.extend(
            PolicyFile::check_host(&config.policy, policy, host).err().map(|error| error.to_string()),
        );
    }
    wrong.extend(policy.iter().flat_map(|policy| unasked(config, policy)));
    wrong
        .extend(config.tls.as_ref().and_then(|tls| Identity::load(tls).err()).map(|error| error.to_string()));
    wrong.extend(unready_channels(config));
    let store = config.state_dir.join(STORE);
    let is_in_use = is_in_use(&config.state_dir);
    match Store::check(&store, is_in_use) {
        Ok(()) => wrong.extend(damaged_journal(&store, is_in_use)),
        Err(error) => wrong.push(error.to_string()),
    }
    policy.filter(|_| wrong.is_empty()).ok_or(wrong)
}

/// Ways to people on which nothing could be sent.
fn unready_channels(config: &Config) -> Vec<String> {
    let nobody = Incarnation { cluster: Uuid::nil(), generation: 0 };
    match channels::all(&config.notice, nobody, &Tallies::default()) {
        Ok(channels) => channels.iter().filter_map(|channel| channel.check().err()).collect(),
        Err(wrong) => vec![wrong],
    }
}

/// Where the journal of a store that is whole otherwise breaks.
fn damaged_journal(store: &Path, is_in_use: bool) -> Option<String> {
    let verified = match journal::verify(store, is_in_use) {
        Ok(verified) => verified,
        Err(error) => return Some(error.to_string()),
    };
    let first = verified.damage.first()?;
    let more = match verified.damage.len() {
        1 => String::new(),
        count => format!(", and {} more", words::count(count - 1, "place")),
    };
    Some(format!(
        "the journal in {} is damaged: {}{more}; operations that it tells of do not go on: `millwright audit verify {}` names \
         every place; restore a backup that is whole, or let a person see to them",
        store.display(),
        first.sentence,
        store.display()
    ))
}

/// Whether a coordinator runs on this state directory.
pub fn is_in_use(state_dir: &Path) -> bool {
    File::open(state_dir.join(LOCK))
        .is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
}
