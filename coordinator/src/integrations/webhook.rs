//! Notices into a chat: one JSON object with `text`, as Mattermost and Slack take it.

use crate::notice::Notice;
use futures_util::future::BoxFuture;
use reqwest::{Client, Url, redirect::Policy};
use serde_json::json;
use std::time::Duration;

/// A chat that takes longer is one that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a notice was not taken. The address is never part of it: it is a secret.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address is none.
    #[error("the address of the webhook is none; write one that begins with https:// or http://")]
    Address,
    /// The HTTP client cannot be made.
    #[error("make an HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// It cannot be reached.
    #[error("send a notice to the webhook: {0}")]
    Unreachable(#[source] reqwest::Error),
    /// It refuses.
    #[error("send a notice to the webhook: it answers {0}; see that the address is still valid")]
    Refused(reqwest::StatusCode),
}

/// Where notices go.
pub trait TellPeople: Send + Sync {
    /// Tells one.
    ///
    /// # Errors
    /// It was not taken.
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), WebhookError>>;
}

/// A webhook over HTTP.
pub struct Webhook {
    client: Client,
    address: Url,
}

impl Webhook {
    /// # Errors
    /// The address is none, or the HTTP client cannot be made.
    pub fn new(address: &str) -> Result<Self, WebhookError> {
        let address: Url = address.parse().map_err(|_| WebhookError::Address)?;
        if !matches!(address.scheme(), "http" | "https") {
            return Err(WebhookError::Address);
        }
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).build();
        Ok(Self { client: client.map_err(WebhookError::Client)?, address })
    }

    async fn send(&self, notice: &Notice) -> Result<(), WebhookError> {
        let body = json!({
            "text": notice.text,
            "level": notice.level.as_str(),
            "node": notice.node,
            "subject": notice.subject,
            "at": notice.at.to_string(),
        });
        let request = self.client.post(self.address.clone()).json(&body);
        let response = request.send().await.map_err(|why| WebhookError::Unreachable(why.without_url()))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(WebhookError::Refused(status)) }
    }
}

impl TellPeople for Webhook {
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), WebhookError>> {
        Box::pin(self.send(notice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Level;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    fn notice() -> Notice {
        Notice {
            at: jiff::Timestamp::UNIX_EPOCH,
            level: Level::Crit,
            node: Some("alibuild01".into()),
            subject: "alibuild01/docker".into(),
            text: "alibuild01: Docker \"hangs\"".into(),
        }
    }

    /// Answers one request and gives what it was.
    async fn chat(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hooks/secret", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("\r\n\r\n{") || !request.ends_with(b"}") {
                let mut buffer = [0; 1024];
                let length = peer.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..length]);
            }
            peer.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, heard)
    }

    #[tokio::test]
    async fn a_notice_is_one_json_object_with_its_text() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (address, heard) = chat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        Webhook::new(&address).unwrap().tell(&notice()).await.unwrap();
        let request = heard.await.unwrap();
        let body: serde_json::Value =
            serde_json::from_str(request.split("\r\n\r\n").last().unwrap()).unwrap();
        assert_eq!(body["text"], "alibuild01: Docker \"hangs\"");
        assert_eq!((&body["level"], &body["node"]), (&json!("crit"), &json!("alibuild01")));
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_the_address() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (address, _heard) = chat("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        let refusal = Webhook::new(&address).unwrap().tell(&notice()).await.unwrap_err().to_string();
        assert!(refusal.contains("403") && !refusal.contains("secret"), "{refusal}");
        assert!(Webhook::new("chat").is_err());
    }
}
