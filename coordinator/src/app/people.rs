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
}

impl Door {
    pub fn new(config: &Config, store: &Store) -> Result<Self, DoorError> {
        let (tokens, sessions) = store.people()?;
        let length = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        let settings = &config.people;
        let limits = Limits {
            idle: length(settings.idle),
            session: length(settings.session),
            token: length(settings.token),
        };
        let users = settings.proxy.users.iter().map(|name| Ok((uid_of(name)?, name.clone())));
        Ok(Self {
            people: Mutex::new(People::new(limits, Seal::random()?, tokens, sessions)),
            changes: watch::Sender::default(),
            failures: Mutex::new(Allowance::new(FAILURES.0, FAILURES.1)),
            requests: Mutex::new(Allowance::new(REQUESTS.0, REQUESTS.1)),
            proxies: users.collect::<Result<_, DoorError>>()?,
        })
    }
}

fn uid_of(name: &str) -> Result<u32, DoorError> {
    let found = nix::unistd::User::from_name(name).ok().flatten();
    found.map(|user| user.uid.as_raw()).ok_or_else(|| DoorError::NoSuchUser(name.to_owned()))
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
        if let Some(token) = known.keep {
            if known.is_news {
                self.tell(&token.person, "use_token", &token.id, &format!("from {from}"));
            }
            self.store.keep_token_use(token);
        }
        Ok(known.caller)
    }

    /// Whoever has a session under this cookie; none when it is over.
    pub fn by_cookie(&self, cookie: &str, is_use: bool) -> Option<Caller> {
        let known = self.with_people(|people, now| people.by_cookie(cookie, is_use, now))?;
        if let Some(session) = known.keep {
            self.store.keep_session(session);
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
        if self.with_people(|people, now| people.is_news_at(proxy, person, now)) {
            self.tell(person, "sign_in", proxy, "through the proxy");
        }
        Caller {
            name: person.to_owned(),
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
        let known = self
            .with_people(|people, now| people.begin(secret, &cookie, from, now))
            .map_err(|why| self.stranger(&why, from))?;
        if let (How::Session { token, .. }, Some(session)) = (&known.caller.how, known.keep) {
            self.tell(&known.caller.name, "sign_in", token, &format!("from {from}"));
            self.store.keep_session(session);
        }
        Ok((cookie, known.caller))
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
        let token = self.with_people(|people, now| drawn_up(people, caller, by, &wanted, &secret, now))?;
        self.store.keep_token(token.clone()).await?;
        self.with_people(|people, _| people.put(token.clone()));
        let about = format!("{} of {}", token.id, token.person);
        let reason = format!("{}; {} until {:.0}", token.label, token.rights, token.expires_at);
        self.record(by, "make_token", &about, &reason).await?;
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
        for token in &revoked {
            self.store.keep_token(token.clone()).await.map_err(Refusal::not_kept)?;
            self.record(by, "revoke_token", &format!("{} of {}", token.id, token.person), reason).await?;
        }
        Ok(revoked)
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

    /// Somebody with a wrong token: counted, told once, and answered more slowly when they go on.
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
            Self::Of(person) => token.person == person,
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
    let person = wanted.person.unwrap_or(&caller.name);
    if !people::is_name(person) || person == "root" {
        return refuse(
            ErrorCode::BadParameter,
            format!(
                "{:?} cannot be the owner of a token; name a person, with letters, digits and -._@+ only (root needs none)",
                person.chars().take(80).collect::<String>()
            ),
        );
    }
    let is_own = person == caller.name && matches!(caller.how, How::Proxy { .. });
    if !is_own && !caller.rights.may(Role::Admin, None) {
        return refuse(
            ErrorCode::NotAllowed,
            format!(
                "a token for {person} is made by an administrator, or by {person} once signed in through the proxy; a \
                 token or a session begun with one makes none, so that a stolen one cannot"
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
        person: person.to_owned(),
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
