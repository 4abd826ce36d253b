//! Tokens are handed out and withdrawn: by whom, to whom, with which rights, kept in the store, told in the audit.

use super::App;
use crate::{
    api::error::{ErrorCode, Refusal},
    people::{self, Caller, How, People, Rights, Role, Secret, Token},
    view::TokenView,
};
use jiff::{SignedDuration, Timestamp};

/// Good tokens of one person, at most.
const TOKENS_EACH: usize = 100;
/// A token lasts so long unless somebody says otherwise.
const USUAL_TOKEN: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Letters of what a token is for, at most.
const LONGEST_LABEL: usize = 60;

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
        if !self.is_still(caller) {
            let message = "your token or session ended meanwhile; nothing was revoked";
            return Err(Refusal::new(ErrorCode::BadToken, message));
        }
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
