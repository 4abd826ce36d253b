//! Short, blocking HTTP requests to systems on loopback; they work inside and outside an async runtime.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A system on loopback that takes longer is hung.
const LIMIT: Duration = Duration::from_secs(10);

/// Status and body of a GET. Redirects are followed.
pub fn get(url: &str) -> Result<(u16, String)> {
    // A runtime cannot be entered from within another one, but a thread of its own always has none.
    let answer = thread::scope(|scope| scope.spawn(|| get_in_this_thread(url)).join());
    answer.unwrap_or_else(|_| bail!("the request ended early")).with_context(|| format!("get {url}"))
}

/// The JSON body of a GET that answers 200.
pub fn get_json(url: &str) -> Result<Value> {
    let (status, body) = get(url)?;
    if status != 200 {
        bail!("get {url}: answered {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("read the answer of {url}"))
}

fn get_in_this_thread(url: &str) -> Result<(u16, String)> {
    // Reqwest wants a TLS provider even for plain HTTP. A second installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build()?;
        let response = client.get(url).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    })
}
