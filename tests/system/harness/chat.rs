//! The chat that stands beside its client, running in a thread of its own. A real one is not to be had here.

use super::scratch::Scratch;
use anyhow::{Context, Result};
use fake::FakeChat;
use std::fs::{Permissions, set_permissions};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use tokio::runtime::{Builder, Runtime};

#[path = "../../../coordinator/src/integrations/channels/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake;

/// A running one; it ends when it is dropped.
pub struct Chat {
    fake: FakeChat,
    url: String,
    scratch: Scratch,
    _runtime: Runtime,
}

impl Chat {
    /// Listens on a free port; its bot's token is `t0ken`.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (fake, scratch) = (FakeChat::default(), Scratch::new("chat")?);
        let url = runtime.block_on(fake.start()).context("start a chat")?;
        fake.wants("t0ken");
        set_permissions(scratch.write("token", "t0ken\n")?, Permissions::from_mode(0o600))?;
        Ok(Self { fake, url, scratch, _runtime: runtime })
    }

    /// The webhook of this name, as a key of `[notice]`.
    pub fn webhook(&self, name: &str) -> String {
        format!("[notice]\nwebhook = \"{}/hooks/{name}\"\ntimeout = \"2s\"", self.url)
    }

    /// Its section in `coordinator.toml`, as a server of this kind.
    pub fn section(&self, kind: &str) -> String {
        let token = self.scratch.join("token");
        format!("[notice.{kind}]\nurl = {:?}\nchannel = \"builds\"\ntoken_file = {token:?}", self.url)
    }

    /// What was said in a channel, or through the webhook of that name: below what, and the text.
    pub fn said(&self, channel: &str) -> Vec<(Option<String>, String)> {
        let all = self.fake.messages().into_iter().filter(|one| one.channel == channel);
        all.map(|one| (one.root, one.text)).collect()
    }
}

impl Deref for Chat {
    type Target = FakeChat;

    fn deref(&self) -> &FakeChat {
        &self.fake
    }
}
