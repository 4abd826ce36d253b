//! Who comes in, and what they may hand on: recognised by [`crate::people`], kept in the store, told in the audit.

use super::App;
use crate::{
    api::error::{ErrorCode, Refusal},
    config::Config,
    people::{self, Allowance, Caller, How, Limits, People, Rights, Role, Seal, Secret, Token, Unrecognised},
    store::{AuditEntry, Store},
    view::TokenView,
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
/// Good tokens of one person, at most.
const TOKENS_EACH: usize = 100;
/// A token lasts so long unless somebody says otherwise.
pub const USUAL_TOKEN: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Letters of what a token is for, at most.
const LONGEST_LABEL: usize = 60;

/// Everybody, and how often they may ask.
pub(super) struct Door {
    people: Mutex<People>,
    /// Is told when somebody is no longer let in.
    changes: watch::Sender<()>,
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

/// What somebody wants a token for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whose it will be; without a name their own.
    pub person: Option<&'a str>,
    /// What it is for.
    pub label: &'a str,
    /// What it allows.
    pub rights: Rights,
    /// Until when; without it for 90 days, or as long as one may last.
    pub expires_at: Option<Timestamp>,
}

impl App {
    fn with_people<T>(&self, look: impl FnOnce(&mut People, Timestamp) -> T) -> T {
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

    /// The tokens that somebody may see: their own, and an administrator everybody's. Youngest first.
    pub fn tokens(&self, caller: &Caller) -> Vec<Token> {
        let all = caller.rights.may(Role::Admin, None);
        self.with_people(|people, _| {
            let tokens = people.tokens().into_iter();
            tokens.filter(|token| all || token.person == caller.name).cloned().collect()
        })
    }

    /// The same, for people and programs to look at.
    pub fn token_views(&self, caller: &Caller) -> Vec<TokenView> {
        let now = self.clock.now();
        self.tokens(caller).iter().map(|token| TokenView::of(token, now)).collect()
    }

    /// Makes a token; the secret is told once and never again.
    ///
    /// # Errors
    /// The caller may not, what is wanted cannot be, or the store does not keep it.
    pub async fn make_token(
        &self,
        caller: &Caller,
        by: &str,
        wanted: Wanted<'_>,
    ) -> Result<(Secret, Token), Refusal> {
        let secret = Secret::random(Token::PREFIX).map_err(Refusal::internal)?;
        // Known from here on, so that whoever revokes all of somebody's meets it.
        let token = self.with_people(|people, now| {
            let token = drawn_up(people, caller, by, &wanted, &secret, now)?;
            people.put(token.clone());
            Ok::<_, Refusal>(token)
        })?;
        let about = format!("{} of {}", token.id, token.person);
        let reason = format!("{}; {} until {:.0}", token.label, token.rights, token.expires_at);
        if let Err(error) = self.store.keep_token(token.clone()).await {
            self.with_people(|people, _| people.take_away(&token));
            return Err(error.into());
        }
        self.tell(by, "make_token", &about, &reason);
        Ok((secret, token))
    }

    /// Withdraws one token, or all of a person's. Returns which.
    ///
    /// # Errors
    /// The caller may not, there is nothing to withdraw, or the store does not keep it.
    pub async fn revoke_tokens(
        &self,
        caller: &Caller,
        by: &str,
        which: Which<'_>,
        reason: &str,
    ) -> Result<Vec<Token>, Refusal> {
        let visible = self.tokens(caller);
        let revoked: Vec<Token> = self.with_people(|people, now| {
            let asked = visible.iter().filter(|token| which.is(token));
            asked.filter_map(|token| people.revoke(&token.id, by, now)).collect()
        });
        if revoked.is_empty() {
            return Err(which.nothing(&visible));
        }
        self.door.changes.send_replace(());
        let mut kept = Ok(());
        for token in &revoked {
            self.tell(by, "revoke_token", &format!("{} of {}", token.id, token.person), reason);
            if let Err(error) = self.store.keep_token(token.clone()).await {
                // Queued anew, for when the disk takes it; said all the same, since that may never be.
                self.store.keep_token_later(token.clone());
                kept = Err(Refusal::not_kept(error));
            }
        }
        kept.map(|()| revoked)
    }

    /// Says in the audit and the log what nobody waits for.
    fn tell(&self, by: &str, what: &str, about: &str, reason: &str) {
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

/// Which tokens to withdraw.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one with this id.
    One(&'a str),
    /// All of a person's.
    Of(&'a str),
}

impl Which<'_> {
    fn is(self, token: &Token) -> bool {
        match self {
            Self::One(id) => token.id == id,
            Self::Of(person) => token.person.eq_ignore_ascii_case(person),
        }
    }

    fn nothing(self, visible: &[Token]) -> Refusal {
        if visible.iter().any(|token| self.is(token)) {
            return Refusal::new(
                ErrorCode::NothingToDo,
                "it is no longer good, so there is nothing to revoke",
            );
        }
        let asked: String = match self {
            Self::One(id) => format!("no token {:?}", id.chars().take(60).collect::<String>()),
            Self::Of(person) => format!("no token of {:?}", person.chars().take(60).collect::<String>()),
        };
        let message =
            format!("there is {asked} that you may see; `millwright token list` has those that you may");
        Refusal::new(ErrorCode::UnknownToken, message)
    }
}

/// The token that is wanted, if it may be.
fn drawn_up(
    people: &People,
    caller: &Caller,
    by: &str,
    wanted: &Wanted<'_>,
    secret: &Secret,
    now: Timestamp,
) -> Result<Token, Refusal> {
    let refuse = |code, message: String| Err(Refusal::new(code, message));
    if !people.is_still(caller, now) {
        return refuse(
            ErrorCode::BadToken,
            "your token or session ended meanwhile; nothing was made".to_owned(),
        );
    }
    let person = &wanted.person.unwrap_or(&caller.name).to_ascii_lowercase();
    if !people::is_name(person) || person == "root" {
        return refuse(
            ErrorCode::BadParameter,
            format!(
                "{:?} cannot be the owner of a token; name a person, with letters, digits and -._@+ only (root needs none)",
                person.chars().take(80).collect::<String>()
            ),
        );
    }
    let is_own = *person == caller.name && matches!(caller.how, How::Proxy { .. });
    if !is_own && !caller.rights.may(Role::Admin, None) {
        return refuse(
            ErrorCode::NotAllowed,
            format!(
                "a token for {person} is made by an administrator, or by {person} once signed in through the proxy; \
                 no other token makes tokens, nor a session begun with one, so that a stolen one cannot"
            ),
        );
    }
    if !wanted.rights.may_look() || !caller.rights.include(&wanted.rights) {
        return refuse(
            ErrorCode::NotAllowed,
            format!(
                "nobody gives more than they have: you may {}, and the token would {}",
                caller.rights, wanted.rights
            ),
        );
    }
    if people.good_tokens_of(person, now) >= TOKENS_EACH {
        return refuse(
            ErrorCode::TooManyRequests,
            format!(
                "{person} has {TOKENS_EACH} good tokens, which is plenty; revoke some first (`millwright token list`)"
            ),
        );
    }
    let longest = now.checked_add(people.limits().token).unwrap_or(Timestamp::MAX);
    let usual = now.checked_add(USUAL_TOKEN).unwrap_or(Timestamp::MAX).min(longest);
    let expires_at = wanted.expires_at.unwrap_or(usual);
    if expires_at <= now || expires_at > longest {
        return refuse(
            ErrorCode::BadParameter,
            format!(
                "a token cannot end at {expires_at:.0}; it must lie ahead, and at most at {longest:.0} (people.token of \
                 coordinator.toml)"
            ),
        );
    }
    let label: String =
        wanted.label.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST_LABEL).collect();
    Ok(Token {
        id: new_id(people),
        digest: people::Digest::of(secret.text()),
        person: person.clone(),
        label: if label.is_empty() { "unnamed".to_owned() } else { label },
        rights: wanted.rights.clone(),
        made_at: now,
        made_by: by.to_owned(),
        expires_at,
        revoked: None,
        used: None,
    })
}

/// Short enough to be typed, and nobody else's.
fn new_id(people: &People) -> String {
    loop {
        let id: String = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
        if people.token(&id).is_none() {
            return id;
        }
    }
}
