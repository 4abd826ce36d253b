//! Puppet's authority, asked for the list of what it has revoked: old Puppets never fetch it again by themselves.
//!
//! Whatever answers must prove to be the authority's host, and what it answers must be signed by the authority: a host
//! that could hold the list back would keep revoked hosts in.

use crate::{config, serve::tls};
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, DATE, HeaderMap, IF_MODIFIED_SINCE, LAST_MODIFIED},
    redirect::Policy,
};
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// An authority that takes longer is one that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the authority does not say since when its list is as it is, we ask from a little before its last answer on: a list
/// made in the same second must not be missed.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);

/// Why the list could not be renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// There is no answer, or none that is a list.
    #[error("{0}")]
    Away(String),
    /// There is one, and it must not be put in force.
    #[error("what it answers is refused: {0}")]
    Refused(String),
}

/// Renews the list of what is revoked.
pub trait RenewRevoked: Send + Sync {
    /// Asks once; whether there is anything new, which is then in force.
    ///
    /// # Errors
    /// The list of before stays in force.
    fn renew(&self) -> BoxFuture<'_, Result<bool, RenewError>>;
}

/// The authority, by HTTPS.
pub struct PuppetAuthority {
    identity: Arc<tls::Identity>,
    config: config::Authority,
    /// What the authority is asked to compare with: the header of its last answer that was taken over.
    since: Mutex<Option<String>>,
}

impl PuppetAuthority {
    /// Renews the list of `identity`, and shows that identity when asked for it.
    pub fn new(identity: Arc<tls::Identity>, config: config::Authority) -> Self {
        Self { identity, config, since: Mutex::default() }
    }

    async fn renew_once(&self) -> Result<bool, RenewError> {
        let response = self.ask().await.map_err(RenewError::Away)?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(false);
        }
        if !response.status().is_success() {
            return Err(RenewError::Away(format!("it answers {}", response.status())));
        }
        let since = since(response.headers());
        let list = whole(response).await.map_err(RenewError::Away)?;
        let is_new = self.identity.take(&list).map_err(RenewError::Refused)?;
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        Ok(is_new)
    }

    async fn ask(&self) -> Result<Response, String> {
        // Made anew each time: certificate and authorities may have been renewed since.
        let config = self.identity.client(&self.config.certname).map_err(|error| error.to_string())?;
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(config)
            .build()
            .map_err(|error| innermost(&error))?;
        let mut request = client.get(&self.config.url).header(ACCEPT, "text/plain");
        if let Some(since) = self.since.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            request = request.header(IF_MODIFIED_SINCE, since);
        }
        request.send().await.map_err(|error| innermost(&error))
    }
}

impl RenewRevoked for PuppetAuthority {
    fn renew(&self) -> BoxFuture<'_, Result<bool, RenewError>> {
        Box::pin(self.renew_once())
    }
}

/// What to ask with next time: since when the list is as it is, or since when we have it.
fn since(headers: &HeaderMap) -> Option<String> {
    let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(modified) = said(LAST_MODIFIED) {
        return Some(modified.to_owned());
    }
    let at: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(said(DATE)?).ok()?;
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(at - OVERLAP)).ok()
}

/// The body, as far as a list can be long.
async fn whole(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| innermost(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > tls::LARGEST {
            return Err("its answer is larger than 16 MiB".to_owned());
        }
    }
    Ok(body)
}

/// What really happened, without the layers above it.
fn innermost(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn the_next_request_compares_with_what_the_answer_said_or_with_when_it_came() {
        let date = (DATE, "Sat, 31 Jan 2026 10:00:03 GMT");
        let modified = (LAST_MODIFIED, "Fri, 30 Jan 2026 09:00:00 GMT");
        let asked = |said: &[(HeaderName, &'static str)]| {
            since(&said.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
        };
        assert_eq!(asked(&[date.clone(), modified]).as_deref(), Some("Fri, 30 Jan 2026 09:00:00 GMT"));
        assert_eq!(asked(&[date]).as_deref(), Some("Sat, 31 Jan 2026 09:59:58 GMT"));
        assert_eq!(asked(&[(DATE, "soon")]), None);
        assert_eq!(asked(&[]), None);
    }
}
