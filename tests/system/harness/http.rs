//! Short, blocking HTTP requests to systems on loopback; they work inside and outside an async runtime.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A system on loopback that takes longer is hung.
const LIMIT: Duration = Duration::from_secs(10);

/// Status and body of a GET. Redirects are followed.
pub fn get(url: &str) -> Result<(u16, String)> {
    get_with(url, &[])
}

/// The same with these headers.
pub fn get_with(url: &str, headers: &[(String, String)]) -> Result<(u16, String)> {
    in_a_thread(&Asked { url, socket: None, body: None, headers })
}

/// The JSON body of a GET that answers 200.
pub fn get_json(url: &str) -> Result<Value> {
    let (status, body) = get(url)?;
    if status != 200 {
        bail!("get {url}: answered {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("read the answer of {url}"))
}

/// Status and JSON body of a POST.
pub fn post(url: &str, body: &Value) -> Result<(u16, Value)> {
    as_json(in_a_thread(&Asked { url, socket: None, body: Some(body), headers: &[] })?)
}

/// Status and JSON body of a POST over a Unix socket.
pub fn post_to_socket(socket: &Path, path: &str, body: &Value) -> Result<(u16, Value)> {
    let url = format!("http://localhost{path}");
    as_json(in_a_thread(&Asked { url: &url, socket: Some(socket), body: Some(body), headers: &[] })?)
}

/// An answer without a body is null.
fn as_json((status, body): (u16, String)) -> Result<(u16, Value)> {
    let text = if body.trim().is_empty() { "null" } else { &body };
    Ok((status, serde_json::from_str(text).with_context(|| format!("read the answer {body:?}"))?))
}

struct Asked<'story> {
    url: &'story str,
    socket: Option<&'story Path>,
    body: Option<&'story Value>,
    headers: &'story [(String, String)],
}

fn in_a_thread(asked: &Asked<'_>) -> Result<(u16, String)> {
    // A runtime cannot be entered from within another one, but a thread of its own always has none.
    let answer = thread::scope(|scope| scope.spawn(|| in_this_thread(asked)).join());
    answer.unwrap_or_else(|_| bail!("the request ended early")).with_context(|| format!("ask {}", asked.url))
}

fn in_this_thread(asked: &Asked<'_>) -> Result<(u16, String)> {
    // Reqwest wants a TLS provider even for plain HTTP. A second installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = reqwest::Client::builder().no_proxy().timeout(LIMIT);
        let client = match asked.socket {
            Some(socket) => builder.unix_socket(socket),
            None => builder,
        }
        .build()?;
        let request = match asked.body {
            Some(body) => client.post(asked.url).json(body),
            None => client.get(asked.url),
        };
        let headers = asked.headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    })
}
