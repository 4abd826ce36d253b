//! Speaks to the coordinator: reports, orders and what became of them, over mutual TLS, loopback or a Unix socket.

mod tls;

use crate::{
    config::{CoordinatorConfig, Endpoint, TlsConfig},
    http::{self, innermost},
};
use millwright_protocol::{ErrorBody, NodeName, OrderEvent, Orders, Report, ReportAnswer};
use reqwest::{
    Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{cell::RefCell, time::Duration};

/// No answer of a coordinator is longer: a few orders, of which each has at most 64 KiB.
const LONGEST_ANSWER: usize = 256 << 10;
/// A report and a question for orders are under way at once.
const CONNECTIONS: usize = 2;

/// A connection to the coordinator.
#[derive(Debug)]
pub struct CoordinatorClient {
    way: Way,
    url: Url,
    /// How people know it.
    shown: String,
    /// The cluster it must be of.
    cluster: Option<String>,
    /// How long an answer may take.
    timeout: Duration,
}

/// How it is reached.
#[derive(Debug)]
enum Way {
    /// On this machine.
    Plain(Client),
    /// Over the network.
    Tls(Box<Protected>),
}

/// A client with TLS. Puppet renews the files as it likes, or has yet to write them.
#[derive(Debug)]
struct Protected {
    files: TlsConfig,
    /// The coordinator's.
    certname: String,
    timeout: Duration,
    built: RefCell<Option<(tls::Print, Client)>>,
}

/// Why a report was not taken in, or no orders were answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Nobody answered in time.
    #[error("{0}")]
    Away(String),
    /// It answered, and did not take the report.
    #[error("the coordinator refuses {what}: {message} ({code})")]
    Refused {
        /// What it refuses.
        what: &'static str,
        /// The coordinator's code, or the HTTP status.
        code: String,
        /// The coordinator's reason.
        message: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Whatever answered is no coordinator of ours.
    #[error("{0}; is this the port for agents of a millwright-coordinator?")]
    NotUnderstood(String),
    /// It is the coordinator of another cluster, or does not say of which.
    #[error(
        "the coordinator at {shown} {found}, and coordinator.cluster is {pinned}: nothing of its answer is used; put \
         coordinator.url right, or, if the store of this cluster was lost and made anew, coordinator.cluster"
    )]
    OtherCluster {
        /// Where it is.
        shown: String,
        /// What it says about itself.
        found: String,
        /// Which it should be.
        pinned: String,
    },
}

/// Why the coordinator has not heard what became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TellError {
    /// It may hear it later.
    Again(String),
    /// It will not have it, now or later.
    Never(String),
}

/// Why there can be no connection.
#[derive(Debug, thiserror::Error)]
#[error("make a client for {url}: {why}")]
pub struct ClientError {
    url: String,
    why: String,
}

impl CoordinatorClient {
    /// A client for `endpoint` that reports about `node`.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(
        endpoint: &Endpoint,
        node: &NodeName,
        config: &CoordinatorConfig,
        files: &TlsConfig,
    ) -> Result<Self, ClientError> {
        let error = |why: String| ClientError { url: endpoint.to_string(), why };
        let plain = |builder: ClientBuilder| builder.build().map_err(|why| error(innermost(&why)));
        let builder = http::client(config.timeout).pool_max_idle_per_host(CONNECTIONS);
        let (way, base) = match endpoint {
            Endpoint::Http(url) => (Way::Plain(plain(builder)?), url.as_str()),
            Endpoint::Unix(path) => {
                (Way::Plain(plain(builder.unix_socket(path.as_path()))?), "http://coordinator")
            }
            Endpoint::Https { url, host } => {
                let certname = config.certname.clone().unwrap_or_else(|| host.clone());
                let (files, timeout) = (files.clone(), config.timeout);
                (
                    Way::Tls(Box::new(Protected { files, certname, timeout, built: RefCell::default() })),
                    url.as_str(),
                )
            }
        };
        let url =
            Url::parse(&format!("{base}/v1/agents/{node}/report")).map_err(|why| error(why.to_string()))?;
        Ok(Self {
            way,
            url,
            shown: endpoint.to_string(),
            cluster: config.cluster.clone(),
            timeout: config.timeout,
        })
    }

    /// Sends one report.
    ///
    /// # Errors
    /// Why it was not taken in.
    pub async fn report(&self, report: &Report) -> Result<ReportAnswer, ReportError> {
        let request = self.way.client().map_err(ReportError::Away)?.post(self.url.clone());
        let answer = self.answered("the report", with_body(request, report)?).await?;
        self.of_our_cluster(answer)
    }

    /// Asks for orders; the coordinator may take `wait` to answer that there are none.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn orders(&self, wait: Duration) -> Result<Orders, ReportError> {
        let url = self.beside(&format!("orders?wait={}s", wait.as_secs()))?;
        let client = self.way.client().map_err(ReportError::Away)?;
        self.answered("to give orders", client.get(url).timeout(self.timeout + wait)).await
    }

    /// Tells what became of an order. `id` has letters, digits, `.` and `-` only.
    ///
    /// # Errors
    /// Whether it is to be told again.
    pub async fn tell(&self, id: &str, event: &OrderEvent) -> Result<(), TellError> {
        let again = |error: ReportError| TellError::Again(error.to_string());
        let url = self.beside(&format!("orders/{id}/events")).map_err(again)?;
        let client = self.way.client().map_err(TellError::Again)?;
        let (status, ..) =
            self.sent(with_body(client.post(url), event).map_err(again)?).await.map_err(again)?;
        let what = format!("the coordinator answers {status} to what became of order {id}");
        let is_for_later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        match status {
            status if status.is_success() => Ok(()),
            status if status.is_client_error() && !is_for_later => Err(TellError::Never(what)),
            _ => Err(TellError::Again(what)),
        }
    }

    /// An address beside that of reports.
    fn beside(&self, path: &str) -> Result<Url, ReportError> {
        self.url.join(path).map_err(|error| ReportError::NotUnderstood(error.to_string()))
    }

    /// What came back, whatever it says.
    async fn sent(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, Option<Duration>, Vec<u8>), ReportError> {
        let away = |error: reqwest::Error| {
            let what =
                if error.is_timeout() { "did not answer in time".to_owned() } else { innermost(&error) };
            ReportError::Away(format!("the coordinator at {} is away: {what}", self.shown))
        };
        let response = request.send().await.map_err(away)?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        Ok((status, retry_after, limited(response).await.map_err(away)?))
    }

    /// What came back, if it is an answer to what was asked.
    async fn answered<T: DeserializeOwned>(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T, ReportError> {
        let (status, retry_after, body) = self.sent(request).await?;
        let unexpected =
            |what: String| ReportError::NotUnderstood(format!("{} answers {status}: {what}", self.shown));
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()));
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => {
                Err(ReportError::Refused { what, code: error.code, message: error.message, retry_after })
            }
            Err(_) if status.is_server_error() => {
                Err(ReportError::Away(format!("the coordinator at {} answers {status}", self.shown)))
            }
            Err(error) => Err(unexpected(error.to_string())),
        }
    }

    /// The answer, unless it comes from the coordinator of another cluster.
    ///
    /// Looked at after the report was sent, since to ask before would be a second request each time: whoever must not even
    /// see a report is kept away by TLS, which comes before it. This finds the right host with a wrong store, such as one
    /// that was set up anew or that serves a test, and keeps whatever it says from counting.
    fn of_our_cluster(&self, answer: ReportAnswer) -> Result<ReportAnswer, ReportError> {
        let Some(pinned) = &self.cluster else { return Ok(answer) };
        let found = match &answer.cluster {
            Some(cluster) if cluster.eq_ignore_ascii_case(pinned) => return Ok(answer),
            Some(cluster) => format!("is of cluster {:?}", cluster.chars().take(36).collect::<String>()),
            None => "does not say of which cluster it is".to_owned(),
        };
        Err(ReportError::OtherCluster { shown: self.shown.clone(), found, pinned: pinned.clone() })
    }
}

impl Way {
    fn client(&self) -> Result<Client, String> {
        match self {
            Self::Plain(client) => Ok(client.clone()),
            Self::Tls(protected) => protected.client(),
        }
    }
}

impl Protected {
    /// The client, built anew when a file has changed.
    fn client(&self) -> Result<Client, String> {
        let advised = |why: String| format!("{why}; the manual's page on certificates says what to do");
        let files = self.files.files().map_err(advised)?;
        let print = tls::Print::of(&files);
        if let Some((before, client)) = &*self.built.borrow()
            && *before == print
        {
            return Ok(client.clone());
        }
        let config = tls::config(&files, &self.certname).map_err(advised)?;
        let client = http::client(self.timeout)
            .pool_max_idle_per_host(CONNECTIONS)
            .tls_backend_preconfigured(config)
            .build();
        let client = client.map_err(|error| format!("prepare TLS: {}", innermost(&error)))?;
        self.built.replace(Some((print, client.clone())));
        Ok(client)
    }
}

fn with_body(request: RequestBuilder, body: &impl Serialize) -> Result<RequestBuilder, ReportError> {
    let body = serde_json::to_vec(body).map_err(|error| ReportError::NotUnderstood(error.to_string()))?;
    Ok(request.header(CONTENT_TYPE, "application/json").body(body))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The body, as far as an answer of ours can be long.
async fn limited(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = LONGEST_ANSWER.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if room == 0 {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
