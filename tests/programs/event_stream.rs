//! What both Mesos programs share: calls to its HTTP API and the event stream that answers a subscription.
//!
//! Events come in Mesos' RecordIO: a length in decimal digits, a line end, then so many bytes of JSON.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Nothing here comes near it; a wrong length would.
const LARGEST_EVENT: usize = 64 * 1024 * 1024;

/// One API endpoint.
pub struct Endpoint {
    client: reqwest::Client,
    url: String,
    /// Names our subscription in later calls, where Mesos wants that.
    stream_id: Option<String>,
}

impl Endpoint {
    pub fn new(url: String) -> Result<Self> {
        // Reqwest wants a TLS provider even for plain HTTP. A second installation is refused, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { client: reqwest::Client::builder().no_proxy().build()?, url, stream_id: None })
    }

    /// Sends a SUBSCRIBE and returns the stream of events. Later calls belong to this subscription.
    pub async fn subscribe(&mut self, call: &Value) -> Result<Events> {
        let response = self.post(call).await?;
        let stream_id = response.headers().get("Mesos-Stream-Id").and_then(|id| id.to_str().ok());
        self.stream_id = stream_id.map(str::to_owned);
        Ok(Events { response, buffer: Vec::new() })
    }

    /// Sends any other call.
    pub async fn call(&self, call: &Value) -> Result<()> {
        self.post(call).await.map(drop)
    }

    async fn post(&self, call: &Value) -> Result<reqwest::Response> {
        let mut request = self.client.post(&self.url).header("Accept", "application/json").json(call);
        if let Some(id) = &self.stream_id {
            request = request.header("Mesos-Stream-Id", id);
        }
        let kind = call.get("type").and_then(Value::as_str).unwrap_or("a call");
        let response = request.send().await.with_context(|| format!("send {kind} to {}", self.url))?;
        if !response.status().is_success() {
            let (status, why) = (response.status(), response.text().await.unwrap_or_default());
            bail!("send {kind} to {}: answered {status}: {why}", self.url);
        }
        Ok(response)
    }
}

/// A stream of events.
pub struct Events {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event, or `None` at the end of the stream. Safe to drop half-way: nothing read is lost.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(event) = take_event(&mut self.buffer)? {
                return Ok(Some(event));
            }
            match self.response.chunk().await.context("read the event stream")? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Takes the first event out of what has arrived, if all of it has.
fn take_event(buffer: &mut Vec<u8>) -> Result<Option<Value>> {
    let Some(digits) = buffer.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let head = buffer.get(..digits).unwrap_or_default();
    let length = std::str::from_utf8(head).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let length = length.filter(|length| *length <= LARGEST_EVENT).context("read the length of an event")?;
    let Some(body) = buffer.get(digits + 1..digits + 1 + length) else { return Ok(None) };
    let event = serde_json::from_slice(body).context("read an event")?;
    buffer.drain(..digits + 1 + length);
    Ok(Some(event))
}

/// The text at a path such as `/update/status/state`, empty where there is none.
pub fn text<'value>(value: &'value Value, path: &str) -> &'value str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}
