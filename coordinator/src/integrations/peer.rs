//! An outside system over HTTP, asked within limits: so long, so large, so often.
//!
//! What only reads is asked once more when the connection fails. What changes something is sent once, and its failure
//! tells whether it can have had an effect. A system that keeps failing gets a rest, in which it is not asked at all. No
//! redirection is followed: an answer must not send us, and our password, to strangers.

mod breaker;
mod credentials;
mod files;
mod tally;
#[cfg(test)]
mod tests;

pub use credentials::Credentials;
pub use files::Files;
pub use tally::{Tallies, Tally};

use super::chain;
use breaker::Breaker;
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, LOCATION},
    redirect::Policy,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So much of a refusal is shown to people.
const LONGEST_REFUSAL: usize = 300;

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the question to the end of its answer.
    pub timeout: Duration,
    /// Bytes of an answer.
    pub largest: usize,
}

/// One outside system.
pub struct Peer {
    /// For people and as a label, such as `jenkins`.
    system: &'static str,
    client: Client,
    /// Ends with a slash.
    base: Url,
    limits: Limits,
    breaker: Mutex<Breaker>,
    tally: Arc<Tally>,
}

/// One question.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Value>,
    credentials: Option<Credentials>,
    may_point_on: bool,
    may_say_no: bool,
    is_secret: bool,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked, for errors.
    asked: String,
    /// Any, redirections aside.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Why there is no answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// An address that can never work.
    #[error("{address:?} is no address of {system}; write one that begins with https:// or http://")]
    Address {
        /// Which system.
        system: &'static str,
        /// As written.
        address: String,
    },
    /// The HTTP client cannot be made.
    #[error("make an HTTP client for {system}: {why}")]
    Client {
        /// Which system.
        system: &'static str,
        /// What is wrong.
        why: String,
    },
    /// It has not been sent, so it has had no effect.
    #[error("{asked}: {why}")]
    NotSent {
        /// Which question to whom.
        asked: String,
        /// What came in between.
        why: String,
    },
    /// It was sent, and nobody knows what became of it.
    #[error("{asked}: {why}")]
    Unanswered {
        /// Which question to whom.
        asked: String,
        /// What happened instead.
        why: String,
    },
    /// It answers no.
    #[error("{asked}: it answers {status}{}", spell_said(.said))]
    Refused {
        /// Which question to whom.
        asked: String,
        /// The status.
        status: StatusCode,
        /// What it says, shortened; empty when it says nothing.
        said: String,
    },
    /// It answers something else than it should.
    #[error("{asked}: {why}")]
    Unreadable {
        /// Which question to whom.
        asked: String,
        /// What is wrong and where.
        why: String,
    },
}

fn spell_said(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl PeerError {
    /// Whether it is certain that nothing was changed.
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Client { .. } | Self::NotSent { .. } => true,
            // What fails inside may have done half of it.
            Self::Refused { status, .. } => !status.is_server_error(),
            Self::Unanswered { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// The status, where there is an answer that says no.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl Call {
    /// Reads. The path is below the system's address, without a slash before it.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Changes something.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Removes something.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Another way.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            credentials: None,
            may_point_on: false,
            may_say_no: false,
            is_secret: false,
        }
    }

    /// The same, below a folder such as `v2/`.
    #[must_use]
    pub fn below(mut self, folder: &str) -> Self {
        self.path.insert_str(0, folder);
        self
    }

    /// With a parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// With JSON.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// With a header. One that cannot be sent is left out; its absence is refused by whoever wants it.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// In this name.
    #[must_use]
    pub fn credentials(mut self, credentials: Option<&Credentials>) -> Self {
        self.credentials = credentials.cloned();
        self
    }

    /// An answer that points elsewhere, as to a page for people, is an answer. It is not followed.
    #[must_use]
    pub fn may_point_on(mut self) -> Self {
        self.may_point_on = true;
        self
    }

    /// A server error is an answer, as from one that stands by; it brings no rest.
    #[must_use]
    pub fn may_say_no(mut self) -> Self {
        self.may_say_no = true;
        self
    }

    /// Its path is a secret, which no error shows.
    #[must_use]
    pub fn secret_path(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// With a secret header, which no log shows.
    #[must_use]
    pub fn secret(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PeerError> {
        let reader = &mut serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(reader).map_err(|error| {
            let place = error.path().to_string();
            let place = if place == "." { String::new() } else { format!(" at {place}") };
            self.unreadable(format!("its answer is not what it should be{place}: {}", error.inner()))
        })
    }

    /// This answer cannot be used.
    pub fn unreadable(&self, why: String) -> PeerError {
        PeerError::Unreadable { asked: self.asked.clone(), why }
    }

    /// The same, unless it says no.
    ///
    /// # Errors
    /// It does.
    pub fn accepted(self) -> Result<Self, PeerError> {
        // What points elsewhere got here only where that is an answer.
        if self.status.is_success() || self.status.is_redirection() {
            return Ok(self);
        }
        Err(PeerError::Refused { said: said(&self.body), asked: self.asked, status: self.status })
    }
}

impl Peer {
    /// `address` such as `https://jenkins.example.org/`; everything is asked below it.
    ///
    /// # Errors
    /// The address is none, or the HTTP client cannot be made.
    pub fn new(
        system: &'static str,
        address: &str,
        limits: Limits,
        tallies: &Tallies,
    ) -> Result<Self, PeerError> {
        Self::with(system, address, limits, tallies, &Files::default())
    }

    /// The same, with a certificate to show or authorities of its own.
    ///
    /// # Errors
    /// Also when one of the files cannot be read.
    pub fn with(
        system: &'static str,
        address: &str,
        limits: Limits,
        tallies: &Tallies,
        files: &Files,
    ) -> Result<Self, PeerError> {
        let refuse = || PeerError::Address { system, address: address.to_owned() };
        let mut base: Url = address.parse().map_err(|_| refuse())?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(refuse());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut client = Client::builder();
        if base.scheme() == "http" {
            // A host without a list of authorities is no obstacle where none is needed.
            client = client.tls_certs_only([]);
        }
        client = files.add_to(client).map_err(|why| PeerError::Client { system, why })?;
        let client = client
            .timeout(limits.timeout)
            .connect_timeout(limits.timeout.min(Duration::from_secs(3)))
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(|why| PeerError::Client { system, why: chain(&why) })?;
        Ok(Self { system, client, base, limits, breaker: Mutex::default(), tally: tallies.of(system) })
    }

    /// Its name.
    pub fn system(&self) -> &'static str {
        self.system
    }

    /// Below what everything is asked; ends with a slash.
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// Asks, and has an answer that says yes.
    ///
    /// # Errors
    /// Everything else; see [`PeerError`].
    pub async fn ask(&self, call: Call) -> Result<Answer, PeerError> {
        self.send(call).await?.accepted()
    }

    /// Asks, and has the answer whatever it says.
    ///
    /// # Errors
    /// There is none, or it points elsewhere.
    pub async fn send(&self, call: Call) -> Result<Answer, PeerError> {
        let path = if call.is_secret { "a secret address" } else { call.path.as_str() };
        let asked = format!("ask {} to {} {path}", self.system, call.method);
        let rest = {
            let breaker = self.breaker();
            breaker.allow(Instant::now()).err().map(|rest| (rest, breaker.why().to_owned()))
        };
        if let Some((rest, last)) = rest {
            self.tally.rested();
            let why = format!(
                "it has failed {} times in a row and is asked again in {} s; the last time: {last}",
                breaker::ENOUGH,
                rest.as_secs() + 1
            );
            return Err(PeerError::NotSent { asked, why });
        }
        let mut answer = self.once(&call, &asked).await;
        let is_reading = call.method == Method::GET;
        if is_reading && matches!(answer, Err(PeerError::NotSent { .. } | PeerError::Unanswered { .. })) {
            answer = self.once(&call, &asked).await;
        }
        let failure = match &answer {
            Ok(answer) if call.may_say_no || !answer.status.is_server_error() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status)),
            Err(error) => Some(error.to_string()),
        };
        self.breaker().record(failure, Instant::now());
        answer
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn once(&self, call: &Call, asked: &str) -> Result<Answer, PeerError> {
        let started = Instant::now();
        let answer = self.exchange(call, asked).await;
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        self.tally.asked(status, started.elapsed());
        answer
    }

    async fn exchange(&self, call: &Call, asked: &str) -> Result<Answer, PeerError> {
        let not_sent = |why: String| PeerError::NotSent { asked: asked.to_owned(), why };
        let address = self.base.join(&call.path).map_err(|why| not_sent(why.to_string()))?;
        if !address.as_str().starts_with(self.base.as_str()) {
            return Err(not_sent(format!("{} leads away from its address", call.path)));
        }
        let mut request = self.client.request(call.method.clone(), address);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        // What the call says itself counts: some systems want versions in what they accept.
        request = request.header(ACCEPT, "application/json").headers(call.headers.clone());
        if let Some(credentials) = &call.credentials {
            let (user, secret) = credentials.read().map_err(not_sent)?;
            request = request.basic_auth(user, Some(secret));
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(why) if why.is_connect() || why.is_builder() => {
                return Err(not_sent(chain(&why.without_url())));
            }
            Err(why) => return Err(self.unanswered(asked, why)),
        };
        if response.status().is_redirection() && !call.may_point_on {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            let why = format!("it points at {to}; see that the configured address is the one it wants");
            return Err(PeerError::Unreadable { asked: asked.to_owned(), why });
        }
        self.whole(response, asked).await
    }

    /// The body, as far as one may be long.
    async fn whole(&self, mut response: Response, asked: &str) -> Result<Answer, PeerError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|why| self.unanswered(asked, why))? {
            body.extend_from_slice(&chunk);
            if body.len() > self.limits.largest {
                let why = format!("its answer is larger than {} bytes", self.limits.largest);
                return Err(PeerError::Unreadable { asked: asked.to_owned(), why });
            }
        }
        Ok(Answer { asked: asked.to_owned(), status, headers, body })
    }

    fn unanswered(&self, asked: &str, why: reqwest::Error) -> PeerError {
        let why = if why.is_timeout() {
            format!("no answer within {} s", self.limits.timeout.as_secs_f32())
        } else {
            chain(&why.without_url())
        };
        PeerError::Unanswered { asked: asked.to_owned(), why }
    }
}

/// A name as one part of a path, whatever is in it.
pub fn segment(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => encoded.push(char::from(byte)),
            // A dot is escaped as well: `..` would lead elsewhere.
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What stands between `<title>` and the next tag.
fn title(page: &str) -> Option<&str> {
    const BEGIN: &str = "<title>";
    // Only letters without accents change, so places stay as they are.
    let begin = page.to_ascii_lowercase().find(BEGIN)? + BEGIN.len();
    page.get(begin..)?.split('<').next()
}

/// What a refusal says: the message of its JSON wherever that stands, or the first line of its text.
fn said(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(json) => message(&json).unwrap_or_default(),
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            // A page for people says nothing in its first line, and what it is about in its title.
            let is_page = text.trim_start().starts_with('<');
            let said = if is_page { title(&text) } else { text.lines().next() };
            said.unwrap_or_default().to_owned()
        }
    };
    text.chars().filter(|c| !c.is_control()).take(LONGEST_REFUSAL).collect::<String>().trim().to_owned()
}

/// `message`, `error` and the like, or that of the first object inside.
fn message(json: &Value) -> Option<String> {
    let Value::Object(fields) = json else { return json.as_str().map(str::to_owned) };
    // Some say it in a list of sentences.
    let text = |value: &Value| value.as_str().or_else(|| value.get(0)?.as_str()).map(str::to_owned);
    let names = ["message", "error", "full_messages", "value", "details"];
    let named = names.iter().find_map(|name| text(fields.get(*name)?));
    named.or_else(|| fields.values().find(|value| value.is_object()).and_then(message))
}
