//! Speaks to the coordinator: one report, one answer, over mutual TLS, loopback or a Unix socket.

mod tls;

use crate::{
    config::{CoordinatorConfig, Endpoint, TlsConfig},
    http::{self, innermost},
};
use millwright_protocol::{ErrorBody, NodeName, Report, ReportAnswer};
use reqwest::{
    Client, ClientBuilder, Response, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use std::time::Duration;

/// No answer of a coordinator is longer.
const LONGEST_ANSWER: usize = 64 << 10;

/// A connection to the coordinator.
#[derive(Debug)]
pub struct CoordinatorClient {
    way: Way,
    url: Url,
    /// How people know it.
    shown: String,
    /// The cluster it must be of.
    cluster: Option<String>,
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
    built: Option<(tls::Print, Client)>,
}

/// Why a report was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Nobody answered in time.
    #[error("{0}")]
    Away(String),
    /// It answered, and did not take the report.
    #[error("the coordinator refuses the report: {message} ({code})")]
    Refused {
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
        let builder = http::client(config.timeout);
        let (way, base) = match endpoint {
            Endpoint::Http(url) => (Way::Plain(plain(builder)?), url.as_str()),
            Endpoint::Unix(path) => {
                (Way::Plain(plain(builder.unix_socket(path.as_path()))?), "http://coordinator")
            }
            Endpoint::Https { url, host } => {
                let certname = config.certname.clone().unwrap_or_else(|| host.clone());
                let (files, timeout) = (files.clone(), config.timeout);
                (Way::Tls(Box::new(Protected { files, certname, timeout, built: None })), url.as_str())
            }
        };
        let url =
            Url::parse(&format!("{base}/v1/agents/{node}/report")).map_err(|why| error(why.to_string()))?;
        Ok(Self { way, url, shown: endpoint.to_string(), cluster: config.cluster.clone() })
    }

    /// Sends one report.
    ///
    /// # Errors
    /// Why it was not taken in.
    pub async fn report(&mut self, report: &Report) -> Result<ReportAnswer, ReportError> {
        let body =
            serde_json::to_vec(report).map_err(|error| ReportError::NotUnderstood(error.to_string()))?;
        let client = self.way.client().map_err(ReportError::Away)?;
        let request = client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let away = |error: reqwest::Error| {
            let what =
                if error.is_timeout() { "did not answer in time".to_owned() } else { innermost(&error) };
            ReportError::Away(format!("the coordinator at {} is away: {what}", self.shown))
        };
        let response = request.send().await.map_err(away)?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = limited(response).await.map_err(away)?;
        let unexpected =
            |what: String| ReportError::NotUnderstood(format!("{} answers {status}: {what}", self.shown));
        if status.is_success() {
            let answer = serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))?;
            return self.of_our_cluster(answer);
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => Err(ReportError::Refused { code: error.code, message: error.message, retry_after }),
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
    fn client(&mut self) -> Result<Client, String> {
        match self {
            Self::Plain(client) => Ok(client.clone()),
            Self::Tls(protected) => protected.client(),
        }
    }
}

impl Protected {
    /// The client, built anew when a file has changed.
    fn client(&mut self) -> Result<Client, String> {
        let advised = |why: String| format!("{why}; the manual's page on certificates says what to do");
        let files = self.files.files().map_err(advised)?;
        let print = tls::Print::of(&files);
        if let Some((before, client)) = &self.built
            && *before == print
        {
            return Ok(client.clone());
        }
        let config = tls::config(&files, &self.certname).map_err(advised)?;
        let client = http::client(self.timeout).tls_backend_preconfigured(config).build();
        let client = client.map_err(|error| format!("prepare TLS: {}", innermost(&error)))?;
        self.built = Some((print, client.clone()));
        Ok(client)
    }
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
