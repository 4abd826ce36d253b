//! Asks the running agent for its status, and says what to do when none answers.

use super::view::StatusView;
use crate::http;
use std::time::Duration;

/// Why there is no status to print.
#[derive(Debug, thiserror::Error)]
#[error(
    "no agent answers on {url}: {why}\n  is it running?    systemctl status millwright-agent\n  \
     start it:         systemctl start millwright-agent\n  why did it stop:  journalctl -u millwright-agent -n 50\n  \
     look without it:  millwright-agent check"
)]
pub struct NoAgent {
    url: String,
    why: String,
}

/// Asks the agent whose status is at `url`.
///
/// # Errors
/// When nobody answers there, or something that is no agent of ours.
pub async fn ask(url: &str) -> Result<StatusView, NoAgent> {
    let url = if url.contains("://") { url } else { &format!("http://{url}") };
    let no_agent = |why: String| NoAgent { url: url.to_owned(), why };
    let fetch = async {
        let client = http::client(Duration::from_secs(5)).build()?;
        let address = format!("{}/status", url.trim_end_matches('/'));
        client.get(address).send().await?.error_for_status()?.bytes().await
    };
    let body = fetch.await.map_err(|error| no_agent(http::innermost(&error)))?;
    serde_json::from_slice(&body)
        .map_err(|error| no_agent(format!("what answers there is no agent of this version ({error})")))
}
