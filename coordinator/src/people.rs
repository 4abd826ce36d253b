//! Who somebody is and what they may do: personal tokens, sessions of browsers, people whom a proxy vouches for.
//!
//! Everything here is plain data with the time as an argument; what has to outlive the process is handed back to whoever
//! called, to be kept. Of a secret only its digest is known.

mod allowance;
mod caller;
mod rights;
mod secret;
mod session;
mod token;

#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use caller::{Caller, How};
pub use rights::{Grant, Rights, Role, WrongGrant};
pub(crate) use secret::hex;
pub use secret::{Digest, NoRandomness, Seal, Secret};
pub use session::Session;
pub use token::{Revoked, Token, Used};

use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// A token's last use is kept this often, from the same address.
const USE_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// A session's last use is kept this often.
const SEEN_KEPT: SignedDuration = SignedDuration::from_mins(1);
/// That somebody comes from somewhere is told again after this, for the audit.
const TOLD_ANEW: SignedDuration = SignedDuration::from_hours(12);
/// Who comes from where is remembered for so many; with more all are forgotten, so that nobody can fill our memory.
const TOLD_MOST: usize = 10_000;
/// Letters of a name, at most.
const LONGEST_NAME: usize = 64;
/// Sessions one token may have at a time; the oldest ends for another.
const SESSIONS_EACH: usize = 10;

/// Whether a text can be the name of a person, a group or a token. Such a name can stand anywhere: in the audit, in a log,
/// on a page, on a terminal.
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._@+".contains(&byte))
}

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A session ends when it has not been used for so long.
    pub idle: SignedDuration,
    /// A session ends after so long, used or not.
    pub session: SignedDuration,
    /// No token lasts longer.
    pub token: SignedDuration,
}

/// Why somebody was not recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrecognised {
    /// No such token; never was, or so long ago that it is forgotten.
    #[error(
        "this coordinator knows no such token; copy it again as a whole, or ask an administrator for a new one"
    )]
    Unknown,
    /// Its time is over.
    #[error("the token {id} of {person} expired at {at:.0}; ask an administrator for a new one")]
    Expired {
        /// Which.
        id: String,
        /// Whose.
        person: String,
        /// Since when.
        at: Timestamp,
    },
    /// Somebody withdrew it.
    #[error(
        "the token {id} of {person} was revoked at {at:.0} by {by}; ask an administrator for a new one if that was not meant"
    )]
    Revoked {
        /// Which.
        id: String,
        /// Whose.
        person: String,
        /// Since when.
        at: Timestamp,
        /// By whom.
        by: String,
    },
}

impl Unrecognised {
    /// Whose token it was, and which, where it was one.
    pub fn token(&self) -> Option<(&str, &str)> {
        match self {
            Self::Unknown => None,
            Self::Expired { id, person, .. } | Self::Revoked { id, person, .. } => Some((person, id)),
        }
    }
}

/// Somebody recognised.
#[derive(Debug, PartialEq, Eq)]
pub struct Recognised<T> {
    /// Who.
    pub caller: Caller,
    /// What has to be kept, since it changed.
    pub keep: Option<T>,
    /// Whether it is news that they come from there.
    pub is_news: bool,
}

/// Somebody who has signed in.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// Who.
    pub caller: Caller,
    /// To be kept.
    pub session: Session,
    /// Sessions that are over, to be dropped.
    pub ended: Vec<Digest>,
}

/// Everybody who has a token or a session.
#[derive(Debug)]
pub struct People {
    limits: Limits,
    seal: Seal,
    tokens: BTreeMap<String, Token>,
    by_digest: HashMap<Digest, String>,
    sessions: HashMap<Digest, Session>,
    /// Who came from where, and when that was told last.
    told: HashMap<(String, String), Timestamp>,
}

impl People {
    /// With what was kept before.
    pub fn new(
        limits: Limits,
        seal: Seal,
        (tokens, sessions): (Vec<Token>, Vec<Session>),
        now: Timestamp,
    ) -> Self {
        let good = sessions.into_iter().filter(|session| session.is_good(&limits, now));
        let mut people = Self {
            limits,
            seal,
            tokens: BTreeMap::new(),
            by_digest: HashMap::new(),
            sessions: good.map(|session| (session.digest, session)).collect(),
            told: HashMap::new(),
        };
        for token in tokens {
            people.put(token);
        }
        people
    }

    /// How long things last.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What a form of this caller must carry, so that no foreign page can send one.
    pub fn form_seal(&self, caller: &Caller) -> String {
        self.seal.of(&caller.how.identity(&caller.name))
    }

    /// Whether a form carries the seal of this caller.
    pub fn is_form_of(&self, caller: &Caller, seal: &str) -> bool {
        self.seal.fits(&caller.how.identity(&caller.name), seal)
    }

    /// A token that is new, or not what it was.
    pub fn put(&mut self, token: Token) {
        self.by_digest.insert(token.digest, token.id.clone());
        self.tokens.insert(token.id.clone(), token);
    }

    /// Forgets a token that could not be kept.
    pub fn take_away(&mut self, token: &Token) {
        self.by_digest.remove(&token.digest);
        self.tokens.remove(&token.id);
    }

    /// Tokens of a person that are good.
    pub fn good_tokens_of(&self, person: &str, now: Timestamp) -> usize {
        self.tokens.values().filter(|token| token.person == person && token.good(now).is_ok()).count()
    }

    /// A token by its id.
    pub fn token(&self, id: &str) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// Every token, the youngest first.
    pub fn tokens(&self) -> Vec<&Token> {
        let mut tokens: Vec<&Token> = self.tokens.values().collect();
        tokens.sort_by(|one, other| other.made_at.cmp(&one.made_at).then_with(|| one.id.cmp(&other.id)));
        tokens
    }

    /// Who holds this secret.
    ///
    /// # Errors
    /// Nobody, any more.
    pub fn by_token(
        &mut self,
        secret: &str,
        from: &str,
        now: Timestamp,
    ) -> Result<Recognised<Token>, Unrecognised> {
        let id = self.by_digest.get(&Digest::of(secret)).ok_or(Unrecognised::Unknown)?;
        let token = self.tokens.get_mut(id).ok_or(Unrecognised::Unknown)?;
        token.good(now)?;
        let is_news = tell(&mut self.told, id, from, now);
        let is_kept = token.used.as_ref().is_some_and(|used| now.duration_since(used.at) < USE_KEPT);
        let keep = is_news || !is_kept;
        if keep {
            token.used = Some(Used { at: now, from: from.to_owned() });
        }
        let caller = Caller {
            name: token.person.clone(),
            rights: token.rights.clone(),
            how: How::Token { id: token.id.clone() },
        };
        Ok(Recognised { caller, keep: keep.then(|| token.clone()), is_news })
    }

    /// Begins a session for whoever holds this secret; `cookie` is the session's own.
    ///
    /// # Errors
    /// As [`Self::by_token`].
    pub fn begin(
        &mut self,
        secret: &str,
        cookie: &Secret,
        from: &str,
        now: Timestamp,
    ) -> Result<Begun, Unrecognised> {
        let recognised = self.by_token(secret, from, now)?;
        let How::Token { id } = recognised.caller.how else { return Err(Unrecognised::Unknown) };
        let session = Session { digest: Digest::of(cookie.text()), token: id, begun_at: now, seen_at: now };
        let ended = self.make_room(&session.token, now);
        self.sessions.insert(session.digest, session.clone());
        let how = How::Session { digest: session.digest, token: session.token.clone() };
        Ok(Begun { caller: Caller { how, ..recognised.caller }, session, ended })
    }

    /// Ends sessions until those that are left of a token are fewer than it may have; hands back which.
    fn make_room(&mut self, token: &str, now: Timestamp) -> Vec<Digest> {
        let limits = self.limits;
        let over = self.sessions.values().filter(|session| !session.is_good(&limits, now));
        let mut ended: Vec<Digest> = over.map(|session| session.digest).collect();
        let mut own: Vec<(Timestamp, Digest)> = self
            .sessions
            .values()
            .filter(|session| session.token == token && session.is_good(&limits, now))
            .map(|session| (session.seen_at, session.digest))
            .collect();
        own.sort();
        let surplus = (own.len() + 1).saturating_sub(SESSIONS_EACH);
        ended.extend(own.iter().take(surplus).map(|(_, digest)| *digest));
        for digest in &ended {
            self.sessions.remove(digest);
        }
        ended
    }

    /// Whose session this cookie is; `None` when it is nobody's any more. `is_use` is false for what a page does by
    /// itself: a screen that nobody looks at is no use.
    pub fn by_cookie(&mut self, cookie: &str, is_use: bool, now: Timestamp) -> Option<Recognised<Session>> {
        let digest = Digest::of(cookie);
        let session = self.sessions.get_mut(&digest)?;
        let token = self.tokens.get(&session.token)?;
        if !session.is_good(&self.limits, now) || token.good(now).is_err() {
            self.sessions.remove(&digest);
            return None;
        }
        let is_news = is_use && now.duration_since(session.seen_at) >= SEEN_KEPT;
        if is_news {
            session.seen_at = now;
        }
        let caller = Caller {
            name: token.person.clone(),
            rights: token.rights.clone(),
            how: How::Session { digest, token: token.id.clone() },
        };
        Some(Recognised { caller, keep: is_news.then(|| session.clone()), is_news: false })
    }

    /// Ends a session; `false` when there was none.
    pub fn end(&mut self, digest: &Digest) -> bool {
        self.sessions.remove(digest).is_some()
    }

    /// Whether it is news that a proxy vouches for somebody: the first time in a while.
    pub fn is_news_at(&mut self, proxy: &str, name: &str, now: Timestamp) -> bool {
        tell(&mut self.told, name, proxy, now)
    }

    /// Whether somebody recognised a while ago would still be.
    pub fn is_still(&self, caller: &Caller, now: Timestamp) -> bool {
        let is_good = |id: &String| self.tokens.get(id).is_some_and(|token| token.good(now).is_ok());
        match &caller.how {
            How::Token { id } => is_good(id),
            How::Session { digest, token } => {
                let session = self.sessions.get(digest);
                is_good(token) && session.is_some_and(|session| session.is_good(&self.limits, now))
            }
            How::Root | How::Proxy { .. } | How::Nobody { .. } => true,
        }
    }

    /// Withdraws a token, and with it its sessions; hands it back to be kept. One that is withdrawn already is handed back
    /// as it is, in case that was not kept. `None` when its time was over, or there is none.
    pub fn revoke(&mut self, id: &str, by: &str, now: Timestamp) -> Option<Token> {
        let token = self.tokens.get_mut(id).filter(|token| now < token.expires_at)?;
        token.revoked.get_or_insert_with(|| Revoked { at: now, by: by.to_owned() });
        let token = token.clone();
        self.sessions.retain(|_, session| session.token != id);
        Some(token)
    }
}

/// Whether it is news that somebody comes from there.
fn tell(told: &mut HashMap<(String, String), Timestamp>, who: &str, from: &str, now: Timestamp) -> bool {
    let key = (who.to_owned(), from.to_owned());
    if told.get(&key).is_some_and(|at| now.duration_since(*at).abs() < TOLD_ANEW) {
        return false;
    }
    if told.len() >= TOLD_MOST {
        told.clear();
    }
    told.insert(key, now);
    true
}
