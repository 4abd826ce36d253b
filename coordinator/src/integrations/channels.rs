//! Ways to people who are not looking: a webhook, a chat's own API, mail. Each takes one message after the other.
//!
//! A webhook cannot have threads, so there the operation's id opens each line; the others have one thread an operation.
//! Whether a message that got no answer was taken is not known: it is told again, for twice is better than never.

mod chat;
mod escape;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
mod webhook;

pub use chat::{Mattermost, Slack};
pub use escape::line;
pub use webhook::Webhook;

use super::{
    mail::Mail,
    peer::{PeerError, Tallies},
};
use crate::{
    config::Notice as Config,
    notice::{NotTold, Parcel, Taken},
    store::Incarnation,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// One way to people.
pub trait Channel: Send + Sync {
    /// Names it for ever, such as `mattermost` or `mail to jane@example.org`.
    fn name(&self) -> &str;

    /// Whether a message could leave here, as far as that is known without sending one.
    ///
    /// # Errors
    /// What is missing, for people.
    fn check(&self) -> Result<(), String>;

    /// Tells one.
    ///
    /// # Errors
    /// It was not taken, as far as is known.
    fn tell<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<Taken, NotTold>>;
}

/// Every channel that is configured.
///
/// # Errors
/// One that can never work, for people.
pub fn all(config: &Config, store: Incarnation, tallies: &Tallies) -> Result<Vec<Arc<dyn Channel>>, String> {
    let wrong = |key: &'static str| move |why: PeerError| format!("use {key} of coordinator.toml: {why}");
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    if let Some(address) = &config.webhook {
        let webhook = Webhook::new(address, config.timeout, tallies);
        channels.push(Arc::new(webhook.map_err(wrong("notice.webhook"))?));
    }
    if let Some(chat) = &config.mattermost {
        let chat = Mattermost::new(chat, config.timeout, tallies);
        channels.push(Arc::new(chat.map_err(wrong("notice.mattermost"))?));
    }
    if let Some(chat) = &config.slack {
        channels.push(Arc::new(Slack::new(chat, config.timeout, tallies).map_err(wrong("notice.slack"))?));
    }
    if let Some(mail) = &config.mail {
        for recipient in &mail.to {
            channels.push(Arc::new(Mail::new(mail, recipient, config.timeout, store, tallies)));
        }
    }
    Ok(channels)
}

/// What a failure of a chat means: one that is about this message alone, as far as its status says, is never taken.
fn not_told(error: &PeerError, advice: &str) -> NotTold {
    let why = format!("{error}{advice}");
    match error.status().map(|status| status.as_u16()) {
        Some(400 | 413 | 422) => NotTold::Refused(why),
        _ => NotTold::Later(why),
    }
}
