//! Chats that are spoken to through their own API, as a bot: one thread an operation.

use super::{Channel, escape, not_told};
use crate::{
    config::Chat,
    integrations::peer::{Answer, Call, Credentials, Limits, Peer, PeerError, Tallies},
    notice::{NotTold, Notice, Parcel, Taken},
};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// A chat answers with the message that it has made of ours.
const LARGEST: usize = 1024 * 1024;
const TOKEN: &str = "; see that its token is still valid and its bot is a member of the channel";

/// What both have in common.
struct Bot {
    peer: Peer,
    channel: String,
    token: Credentials,
}

impl Bot {
    fn new(
        system: &'static str,
        config: &Chat,
        timeout: Duration,
        tallies: &Tallies,
    ) -> Result<Self, PeerError> {
        let limits = Limits { timeout, largest: LARGEST };
        Ok(Self {
            peer: Peer::new(system, &config.url, limits, tallies)?,
            channel: config.channel.clone(),
            token: Credentials {
                user: format!("the bot of {system}"),
                secret_file: config.token_file.clone(),
            },
        })
    }

    fn check(&self) -> Result<(), String> {
        self.token.read().map(drop)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Answer, NotTold> {
        let (_, token) = self.token.read().map_err(NotTold::Later)?;
        let call = Call::post(path).secret("authorization", &format!("Bearer {token}")).json(body);
        let answer = self.peer.send(call).await.map_err(|error| NotTold::Later(error.to_string()))?;
        Ok(answer)
    }
}

/// What an operation says stands below its first message; what a node says, for all to see.
fn root(parcel: &Parcel) -> Option<&str> {
    parcel.notice.operation.as_ref().and(parcel.root.as_deref())
}

/// The first message of a thread says whose it is.
fn text(parcel: &Parcel) -> String {
    let text = escape::chat(&parcel.notice.text);
    match (&parcel.notice.operation, root(parcel)) {
        (Some(id), None) => format!("{id}: {text}"),
        _ => text,
    }
}

fn begun(notice: &Notice, id: String) -> Taken {
    Taken { root: notice.operation.as_ref().map(|_| id) }
}

/// Mattermost.
pub struct Mattermost(Bot);

/// The post that it has made.
#[derive(Deserialize)]
struct Post {
    id: String,
}

/// Why it has not. Its names are long, such as `api.post.create_post.root_id.app_error`.
#[derive(Deserialize)]
struct NoPost {
    #[serde(default)]
    id: String,
}

impl Mattermost {
    /// In a channel of a server.
    ///
    /// # Errors
    /// The address is none, or the HTTP client cannot be made.
    pub fn new(config: &Chat, timeout: Duration, tallies: &Tallies) -> Result<Self, PeerError> {
        Bot::new("mattermost", config, timeout, tallies).map(Self)
    }

    async fn send(&self, parcel: &Parcel) -> Result<Taken, NotTold> {
        let root = root(parcel);
        let body = json!({
            "channel_id": self.0.channel,
            "root_id": root.unwrap_or_default(),
            "message": text(parcel),
        });
        let answer = self.0.post("api/v4/posts", body).await?;
        let why = answer.json::<NoPost>().map(|why| why.id).unwrap_or_default();
        let answer = answer.accepted().map_err(|error| match root {
            Some(_) if why.contains("root_id") || why.contains("parent") => {
                NotTold::ThreadGone(error.to_string())
            }
            _ => not_told(&error, TOKEN),
        })?;
        let post: Post = answer.json().map_err(|error| NotTold::Later(error.to_string()))?;
        Ok(begun(&parcel.notice, post.id))
    }
}

impl Channel for Mattermost {
    fn name(&self) -> &str {
        "mattermost"
    }

    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn tell<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<Taken, NotTold>> {
        Box::pin(self.send(parcel))
    }
}

/// Slack.
pub struct Slack(Bot);

/// What it answers, with the status 200 whether it did or not.
#[derive(Deserialize)]
struct Said {
    ok: bool,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

impl Slack {
    /// In a channel of a workspace.
    ///
    /// # Errors
    /// The address is none, or the HTTP client cannot be made.
    pub fn new(config: &Chat, timeout: Duration, tallies: &Tallies) -> Result<Self, PeerError> {
        Bot::new("slack", config, timeout, tallies).map(Self)
    }

    async fn send(&self, parcel: &Parcel) -> Result<Taken, NotTold> {
        let root = root(parcel);
        let mut body = json!({
            "channel": self.0.channel,
            "text": text(parcel),
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        if let (Some(root), Some(body)) = (root, body.as_object_mut()) {
            body.insert("thread_ts".to_owned(), json!(root));
        }
        let answer = self.0.post("api/chat.postMessage", body).await?;
        let answer = answer.accepted().map_err(|error| not_told(&error, TOKEN))?;
        let said: Said = answer.json().map_err(|error| NotTold::Later(error.to_string()))?;
        match (said.ok, said.ts) {
            (true, Some(ts)) => Ok(begun(&parcel.notice, ts)),
            (true, None) => Err(NotTold::Later("slack says yes and names no message".to_owned())),
            (false, _) => Err(refused(&said.error.unwrap_or_else(|| "no reason".to_owned()), root)),
        }
    }
}

fn refused(error: &str, root: Option<&str>) -> NotTold {
    let shown: String = error.chars().filter(|c| !c.is_control()).take(100).collect();
    let why = format!("slack does not take a message: {shown}");
    match error {
        "thread_not_found" | "message_not_found" | "cannot_reply_to_message" if root.is_some() => {
            NotTold::ThreadGone(why)
        }
        "msg_too_long" | "no_text" | "invalid_blocks" => NotTold::Refused(why),
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive"
        | "not_in_channel" | "channel_not_found" | "is_archived" | "missing_scope" => {
            NotTold::Later(format!("{why}{TOKEN}"))
        }
        _ => NotTold::Later(why),
    }
}

impl Channel for Slack {
    fn name(&self) -> &str {
        "slack"
    }

    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn tell<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<Taken, NotTold>> {
        Box::pin(self.send(parcel))
    }
}
