//! Speaks to the coordinator: one report, one answer, over loopback or a Unix socket.

use crate::{
    config::{CoordinatorConfig, Endpoint},
    http::{self, innermost},
};
use millwright_protocol::{ErrorBody, NodeName, Report, ReportAnswer};
use reqwest::{
    Client, Response, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use std::time::Duration;

/// No answer of a coordinator is longer.
const LONGEST_ANSWER: usize = 64 << 10;

/// A connection to the coordinator.
#[derive(Debug)]
pub struct CoordinatorClient {
    client: Client,
    url: Url,
    /// How people know it.
    shown: String,
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
    ) -> Result<Self, ClientError> {
        let error = |why: String| ClientError { url: endpoint.to_string(), why };
        let builder = http::client(config.timeout);
        let (builder, base) = match endpoint {
            Endpoint::Http(url) => (builder, url.as_str()),
            Endpoint::Unix(path) => (builder.unix_socket(path.as_path()), "http://coordinator"),
        };
        let url =
            Url::parse(&format!("{base}/v1/agents/{node}/report")).map_err(|why| error(why.to_string()))?;
        let client = builder.build().map_err(|why| error(innermost(&why)))?;
        Ok(Self { client, url, shown: endpoint.to_string() })
    }

    /// Sends one report.
    ///
    /// # Errors
    /// Why it was not taken in.
    pub async fn report(&self, report: &Report) -> Result<ReportAnswer, ReportError> {
        let body =
            serde_json::to_vec(report).map_err(|error| ReportError::NotUnderstood(error.to_string()))?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
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
            return serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()));
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => Err(ReportError::Refused { code: error.code, message: error.message, retry_after }),
            Err(_) if status.is_server_error() => {
                Err(ReportError::Away(format!("the coordinator at {} answers {status}", self.shown)))
            }
            Err(error) => Err(unexpected(error.to_string())),
        }
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
