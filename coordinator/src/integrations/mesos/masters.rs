//! The Mesos masters over HTTP: asks one of them, and follows to the one that leads.
//!
//! A master that does not lead points at the one that does (307, an address without a scheme). We follow by hand, a few
//! times, with method and body repeated, and to configured masters only: an answer must not send us to strangers. A
//! leader that announces itself under another name than the configured one is recognised by its address, and then
//! called by the configured name.

use super::{super::chain, MesosError, ReadError};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
    redirect::Policy,
};
use std::{collections::BTreeSet, io, io::Read, net::SocketAddr, time::Duration};
use tokio_util::io::{StreamReader, SyncIoBridge};

/// How often an answer may point elsewhere.
const HOPS: usize = 3;
/// No answer is larger; more is a fault, not a cluster.
const LARGEST: u64 = 512 * 1024 * 1024;
/// So much of a refusal is shown to people.
const LONGEST_REFUSAL: u64 = 500;
/// After this a name counts as one that nobody knows.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Every configured master.
pub(super) struct Masters {
    client: Client,
    /// For answers that never end: only connecting has a limit of its own.
    streaming: Client,
    timeout: Duration,
    urls: Vec<Url>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// Path and query.
    pub path: &'a str,
    /// JSON to POST; without it a GET.
    pub body: Option<&'a str>,
    /// Whether the answer is a stream without an end.
    pub endless: bool,
}

/// An answer that points nowhere else.
#[derive(Debug)]
pub(super) struct Answer {
    /// The master it came from, as configured.
    pub from: Url,
    /// Any status but a redirection.
    pub response: Response,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// No master has taken the question, so it has had no effect.
    NotTaken(String),
    /// It was sent, and nobody knows what became of it.
    Unknown(String),
}

impl NoAnswer {
    /// For people.
    pub fn why(self) -> String {
        match self {
            Self::NotTaken(why) | Self::Unknown(why) => why,
        }
    }
}

impl Masters {
    /// Addresses such as `http://alimesos01.cern.ch:5050`; `timeout` bounds each request with its body.
    pub fn new(addresses: &[String], timeout: Duration) -> Result<Self, MesosError> {
        let urls: Vec<Url> = addresses.iter().map(|address| parse(address)).collect::<Result<_, _>>()?;
        let has_tls = urls.iter().any(|url| url.scheme() == "https");
        let build = |total: Option<Duration>| {
            let mut client = Client::builder();
            if !has_tls {
                // A host without a list of authorities is no obstacle where none is needed.
                client = client.tls_certs_only([]);
            }
            if let Some(total) = total {
                client = client.timeout(total);
            }
            client = client.connect_timeout(timeout.min(Duration::from_secs(3))).redirect(Policy::none());
            client.no_proxy().build().map_err(MesosError::Client)
        };
        Ok(Self { client: build(Some(timeout))?, streaming: build(None)?, timeout, urls })
    }

    /// As configured, in that order.
    pub fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Asks this master, or whom it points at.
    pub async fn ask(&self, first: &Url, question: Question<'_>) -> Result<Answer, NoAnswer> {
        let mut from = first.clone();
        for _ in 0..=HOPS {
            let response = self.send(&from, question).await?;
            if !response.status().is_redirection() {
                return Ok(Answer { from, response });
            }
            from = self.follow(&from, &response).await.map_err(NoAnswer::NotTaken)?;
        }
        Err(NoAnswer::NotTaken(format!("it points on more than {HOPS} times")))
    }

    async fn send(&self, to: &Url, question: Question<'_>) -> Result<Response, NoAnswer> {
        let address = to.join(question.path).map_err(|why| NoAnswer::NotTaken(why.to_string()))?;
        let client = if question.endless { &self.streaming } else { &self.client };
        let request = match question.body {
            // Other spellings of the type, such as with a character set behind it, are refused.
            Some(body) => client.post(address).header(CONTENT_TYPE, "application/json").body(body.to_owned()),
            None => client.get(address),
        };
        let sending = request.header(ACCEPT, "application/json").send();
        match tokio::time::timeout(self.timeout, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(why)) if why.is_connect() || why.is_builder() => {
                Err(NoAnswer::NotTaken(chain(&why.without_url())))
            }
            Ok(Err(why)) => Err(NoAnswer::Unknown(chain(&why.without_url()))),
            Err(_) => Err(NoAnswer::Unknown(format!("no answer within {:?}", self.timeout))),
        }
    }

    /// Which of ours the answer points at.
    async fn follow(&self, from: &Url, response: &Response) -> Result<Url, String> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or("it points elsewhere without saying where")?;
        let to = from.join(location).map_err(|why| format!("it points at {location:?}: {why}"))?;
        if let Some(ours) = self.urls.iter().find(|ours| place(ours) == place(&to)) {
            return Ok(ours.clone());
        }
        let there = addresses_of(&to).await;
        for ours in self.urls.iter().filter(|ours| ours.scheme() == to.scheme()) {
            if !there.is_disjoint(&addresses_of(ours).await) {
                return Ok(ours.clone());
            }
        }
        Err(format!(
            "it points at {}, which is none of the configured masters; list every master in mesos.masters",
            spell(&to)
        ))
    }
}

fn parse(address: &str) -> Result<Url, MesosError> {
    let refuse = || MesosError::Address { address: address.to_owned() };
    let url: Url = address.parse().map_err(|_| refuse())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(refuse()) }
}

fn place(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}

/// Where a name leads; nowhere when it is not known in time.
async fn addresses_of(url: &Url) -> BTreeSet<SocketAddr> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return BTreeSet::new();
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}

/// An address without what might be secret in it.
pub(super) fn spell(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// Reads a body as it comes, on a thread that may wait; the client's time-out ends it in any case.
pub(super) async fn read_body<T: Send + 'static>(
    response: Response,
    reader: impl FnOnce(Body) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, String> {
    let stream = response.bytes_stream().map_err(io::Error::other).boxed();
    let body = Body(Box::new(SyncIoBridge::new(StreamReader::new(stream)).take(LARGEST)));
    let reading = tokio::task::spawn_blocking(move || reader(body));
    match reading.await {
        Ok(read) => read.map_err(|why| chain(&why)),
        Err(why) => Err(format!("reading its answer was given up: {why}")),
    }
}

/// A body that is read as it comes.
pub(super) struct Body(Box<dyn Read + Send>);

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// What a master that says no says: plain text, the first line of it.
pub(super) async fn read_refusal(response: Response) -> String {
    let status = response.status();
    let said = read_body(response, |body| {
        let mut said = Vec::new();
        // A refusal that breaks off is one all the same.
        let _ = body.take(LONGEST_REFUSAL).read_to_end(&mut said);
        Ok(said)
    });
    let said = said.await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let line: String = said.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    match (status, line.trim()) {
        (StatusCode::UNAUTHORIZED, _) => {
            format!("{status}: it wants a name and a password, which this program does not give")
        }
        (StatusCode::FORBIDDEN, "") => {
            format!("{status}: it does not let us; allow it in the master's ACLs (docs: authorization)")
        }
        (_, "") => status.to_string(),
        (_, line) => format!("{status}: {line}"),
    }
}
