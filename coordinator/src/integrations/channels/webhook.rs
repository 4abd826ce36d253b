//! An incoming webhook: one JSON object with `text`, as Mattermost and Slack take it. Its address is the secret.

use super::{Channel, escape, not_told};
use crate::{
    integrations::peer::{Call, Limits, Peer, PeerError, Tallies},
    notice::{NotTold, Parcel, Taken},
};
use futures_util::future::BoxFuture;
use reqwest::Url;
use serde_json::json;
use std::time::Duration;

/// A chat says "ok" and nothing else.
const LARGEST: usize = 64 * 1024;

/// See the module.
pub struct Webhook {
    peer: Peer,
    /// Below the host; a secret.
    path: String,
}

impl Webhook {
    /// Posts to this address.
    ///
    /// # Errors
    /// The address is none, or the HTTP client cannot be made.
    pub fn new(address: &str, timeout: Duration, tallies: &Tallies) -> Result<Self, PeerError> {
        let none = || PeerError::Address { system: "the webhook", address: "what is configured".to_owned() };
        let mut host: Url = address.parse().map_err(|_| none())?;
        let path = host.path().trim_start_matches('/').to_owned();
        let path = match host.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        host.set_path("");
        host.set_query(None);
        host.set_fragment(None);
        let limits = Limits { timeout, largest: LARGEST };
        let peer = Peer::new("webhook", host.as_str(), limits, tallies).map_err(|error| match error {
            PeerError::Address { .. } => none(),
            other => other,
        })?;
        Ok(Self { peer, path })
    }

    async fn send(&self, parcel: &Parcel) -> Result<Taken, NotTold> {
        let notice = &parcel.notice;
        let opening = notice.operation.as_ref().map_or_else(String::new, |id| format!("{id}: "));
        let body = json!({
            "text": format!("{opening}{}", escape::chat(&notice.text)),
            "level": notice.level.as_str(),
            "node": notice.node,
            "subject": notice.subject,
            "at": notice.at.to_string(),
        });
        let answer = self.peer.ask(Call::post(self.path.as_str()).secret_path().json(body)).await;
        match answer {
            Ok(_) => Ok(Taken::default()),
            // Where it points may hold the secret.
            Err(PeerError::Unreadable { .. }) => Err(NotTold::Later(
                "the webhook points elsewhere, or answers what no chat answers; see that the address in notice.webhook is the \
                 one it wants"
                    .to_owned(),
            )),
            Err(error) => Err(not_told(&error, "; see that the address in notice.webhook is still valid")),
        }
    }
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        "webhook"
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn tell<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<Taken, NotTold>> {
        Box::pin(self.send(parcel))
    }
}
