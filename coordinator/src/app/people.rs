//! Who comes in: recognised by [`crate::people`], kept in the store, told in the audit.

use super::App;
use crate::{
    api::error::{ErrorCode, Refusal},
    config::Config,
    people::{self, Allowance, Caller, How, Limits, People, Seal, Secret, Unrecognised},
    store::{AuditEntry, Store},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;

/// So many wrong tokens from one address are answered as such, then one each half minute.
const FAILURES: (u32, SignedDuration) = (10, SignedDuration::from_secs(30));
/// So many requests of one person or address at once, then so many a second; whoever is on this host is not counted.
const REQUESTS: (u32, SignedDuration) = (1_000, SignedDuration::from_millis(20));
/// So much of one token is told in the audit at once, and so many sessions are begun with it, then one a minute.
const TOLD: (u32, SignedDuration) = (20, SignedDuration::from_mins(1));

/// Everybody, and how often they may ask.
pub(super) struct Door {
    people: Mutex<People>,
    /// Is told when somebody is no longer let in.
    pub(super) changes: watch::Sender<()>,
    failures: Mutex<Allowance>,
    requests: Mutex<Allowance>,
    /// What is told of each token.
    told: Mutex<Allowance>,
    /// Users of this host who vouch for people, by their id.
    proxies: BTreeMap<u32, String>,
}

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The store has them, and cannot be read.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// No secrets can be made.
    #[error(transparent)]
    Randomness(#[from] people::NoRandomness),
    /// The proxy's user.
    #[error(
        "people.proxy.users of coordinator.toml names {0:?}, and this host has no such user; see `getent passwd`"
    )]
    NoSuchUser(String),
    /// Root vouches for nobody.
    #[error(
        "people.proxy.users of coordinator.toml names root; have the proxy run as a user of its own, or root would no longer \
         be root on the Unix socket"
    )]
    Root,
}

impl Door {
    pub fn new(config: &Config, store: &Store, now: Timestamp) -> Result<Self, DoorError> {
        let known = store.people()?;
        let length = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        let settings = &config.people;
        let limits = Limits {
            idle: length(settings.idle),
            session: length(settings.session),
            token: length(settings.token),
        };
        let users = settings.proxy.users.iter().map(|name| Ok((uid_of(name)?, name.clone())));
        Ok(Self {
            people: Mutex::new(People::new(limits, Seal::random()?, known, now)),
            changes: watch::Sender::default(),
            failures: Mutex::new(Allowance::new(FAILURES.0, FAILURES.1)),
            requests: Mutex::new(Allowance::new(REQUESTS.0, REQUESTS.1)),
            told: Mutex::new(Allowance::new(TOLD.0, TOLD.1)),
            proxies: users.collect::<Result<_, DoorError>>()?,
        })
    }
}

fn uid_of(name: &str) -> Result<u32, DoorError> {
    let found = nix::unistd::User::from_name(name).ok().flatten();
    match found.map(|user| user.uid.as_raw()) {
        Some(uid) => Ok(uid),
        None => Err(DoorError::NoSuchUser(name.to_owned())),
    }
}

/// Whether somebody vouches for people who must not.
///
/// # Errors
/// Root, who would no longer be root on the Unix socket.
pub(super) fn check_proxies(config: &Config) -> Result<(), DoorError> {
    let users = config.people.proxy.users.iter();
    let uids = users.map(|name| uid_of(name)).collect::<Result<Vec<_>, _>>()?;
    if uids.contains(&0) { Err(DoorError::Root) } else { Ok(()) }
}

impl App {
    pub(super) fn with_people<T>(&self, look: impl FnOnce(&mut People, Timestamp) -> T) -> T {
        let mut people = self.door.people.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut people, self.clock.now())
    }

    /// The user of this host who vouches for people, if this is one.
    pub fn proxy_of(&self, uid: u32) -> Option<&str> {
        self.door.proxies.get(&uid).map(String::as_str)
    }

    /// Whoever holds this token.
    ///
    /// # Errors
    /// `bad_token`; `too_many_requests` when wrong ones come too often.
    pub fn by_token(&self, secret: &str, from: &str) -> Result<Caller, Refusal> {
        let known = self
            .with_people(|people, now| people.by_token(secret, from, now))
            .map_err(|why| self.stranger(&why, from))?;
        if let Some(token) = known.keep
            && (!known.is_news || self.may_be_told(&token.id))
        {
            if known.is_news {
                self.tell(&token.person, "use_token", &token.id, &format!("from {from}"));
            }
            self.store.keep_token_use(token);
        }
        Ok(known.caller)
    }

    /// Whether there is room in the audit for more about a token: whoever comes from a thousand addresses must not fill it.
    fn may_be_told(&self, token: &str) -> bool {
        let mut told = self.door.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.take(token, self.clock.now()).is_ok()
    }

    /// Whoever has a session under this cookie; none when it is over.
    pub fn by_cookie(&self, cookie: &str, is_use: bool) -> Option<Caller> {
        let known = self.with_people(|people, now| people.by_cookie(cookie, is_use, now))?;
        if let Some(session) = known.keep {
            self.store.keep_session_use(session);
        }
        Some(known.caller)
    }

    /// Somebody for whom a proxy vouches.
    pub fn by_proxy<'a>(
        &self,
        person: &str,
        groups: impl IntoIterator<Item = &'a str>,
        proxy: &str,
    ) -> Caller {
        // Systems differ in the case of names; who is one person to the site is one person here.
        let person = &person.to_ascii_lowercase();
        if self.with_people(|people, now| people.is_news_at(proxy, person, now)) {
            self.tell(person, "sign_in", proxy, "through the proxy");
        }
        Caller {
            name: person.clone(),
            rights: self.config.people.roles.of(person, groups),
            how: How::Proxy { proxy: proxy.to_owned() },
        }
    }

    /// Begins a session of a browser; the secret is for its cookie.
    ///
    /// # Errors
    /// As [`Self::by_token`].
    pub fn sign_in(&self, secret: &str, from: &str) -> Result<(Secret, Caller), Refusal> {
        let cookie = Secret::random("").map_err(Refusal::internal)?;
        let begun = self
            .with_people(|people, now| people.begin(secret, &cookie, from, now))
            .map_err(|why| self.stranger(&why, from))?;
        let token = begun.session.token.clone();
        let room =
            self.door.told.lock().unwrap_or_else(PoisonError::into_inner).take(&token, self.clock.now());
        if let Err(wait) = room {
            self.with_people(|people, _| people.end(&begun.session.digest));
            return Err(Refusal::too_many(wait));
        }
        self.tell(&begun.caller.name, "sign_in", &token, &format!("from {from}"));
        self.store.keep_session(begun.session);
        self.store.end_sessions_later(begun.ended);
        Ok((cookie, begun.caller))
    }

    /// Ends the session of a browser.
    ///
    /// # Errors
    /// `store_unavailable`: it is over until the next restart only.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Refusal> {
        let How::Session { digest, token } = &caller.how else { return Ok(()) };
        if self.with_people(|people, _| people.end(digest)) {
            self.door.changes.send_replace(());
            self.tell(&caller.name, "sign_out", token, "");
            self.store.end_session(*digest).await.map_err(Refusal::not_kept)?;
        }
        Ok(())
    }

    /// Whether somebody who was let in a while ago still would be.
    pub fn is_still(&self, caller: &Caller) -> bool {
        self.with_people(|people, now| people.is_still(caller, now))
    }

    /// Is told when somebody is no longer let in.
    pub fn changes_of_people(&self) -> watch::Receiver<()> {
        self.door.changes.subscribe()
    }

    /// What a form of this caller must carry.
    pub fn form_seal(&self, caller: &Caller) -> String {
        self.with_people(|people, _| people.form_seal(caller))
    }

    /// Whether a form was made for this caller.
    pub fn is_form_of(&self, caller: &Caller, seal: &str) -> bool {
        self.with_people(|people, _| people.is_form_of(caller, seal))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn count_request(&self, of: &str) -> Result<(), Refusal> {
        let mut requests = self.door.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.take(of, self.clock.now()).map_err(Refusal::too_many)
    }

    /// Says in the audit and the log what nobody waits for.
    pub(super) fn tell(&self, by: &str, what: &str, about: &str, reason: &str) {
        log::info!("about" = about, "by" = by; "{by}: {what} {about}: {reason}");
        self.store.keep_audit_later(AuditEntry {
            at: self.clock.now(),
            by: by.to_owned(),
            what: what.to_owned(),
            about: about.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Somebody with a wrong token: counted, told once, and sent away for a while when they go on.
    fn stranger(&self, why: &Unrecognised, from: &str) -> Refusal {
        self.metrics.strangers.increment();
        let now = self.clock.now();
        if self.refusals.is_news(from, &why.to_string(), now) {
            log::warn!("did not recognise somebody from {from}: {why}");
            if let Some((person, id)) = why.token() {
                self.tell(person, "refuse_token", id, &format!("from {from}: {why}"));
            }
        }
        let mut failures = self.door.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.take(from, now) {
            Ok(()) => Refusal::new(ErrorCode::BadToken, why.to_string()),
            Err(wait) => Refusal::too_many(wait),
        }
    }
}
