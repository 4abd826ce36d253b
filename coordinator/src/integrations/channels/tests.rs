//! Each chat beside one that answers as it does.

use super::{
    fake::{FakeChat, Message},
    *,
};
use crate::{
    config::Chat,
    notice::{Level, Notice},
};
use std::{io::Write, os::unix::fs::PermissionsExt, time::Duration};

const TIMEOUT: Duration = Duration::from_secs(5);

fn parcel(operation: Option<&str>, root: Option<&str>, text: &str) -> Parcel {
    let notice = Notice {
        at: jiff::Timestamp::UNIX_EPOCH,
        level: Level::Crit,
        node: Some("alibuild01".into()),
        subject: operation.unwrap_or("alibuild01/docker").into(),
        operation: operation.map(str::to_owned),
        text: text.into(),
    };
    Parcel { id: "000000000001".into(), notice, root: root.map(str::to_owned) }
}

fn token(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

async fn started(chat: &FakeChat, file: &tempfile::NamedTempFile) -> Chat {
    drop(rustls::crypto::ring::default_provider().install_default());
    Chat { url: chat.start().await.unwrap(), channel: "c1".into(), token_file: file.path().to_owned() }
}

async fn mattermost(chat: &FakeChat, file: &tempfile::NamedTempFile) -> Mattermost {
    Mattermost::new(&started(chat, file).await, TIMEOUT, &Tallies::default()).unwrap()
}

async fn slack(chat: &FakeChat, file: &tempfile::NamedTempFile) -> Slack {
    Slack::new(&started(chat, file).await, TIMEOUT, &Tallies::default()).unwrap()
}

async fn webhook(chat: &FakeChat) -> Webhook {
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = format!("{}/hooks/verysecret?key=hidden", chat.start().await.unwrap());
    Webhook::new(&address, TIMEOUT, &Tallies::default()).unwrap()
}

fn said(chat: &FakeChat) -> Vec<(Option<String>, String)> {
    let of = |message: Message| (message.root, message.text);
    chat.messages().into_iter().map(of).collect()
}

/// What an operation says is below its first message, and of what nodes say each stands for itself.
async fn threads(chat: &FakeChat, channel: &dyn Channel) {
    let first = channel.tell(&parcel(Some("op-17"), None, "alice wants it")).await.unwrap();
    let root = first.root.clone().unwrap();
    channel.tell(&parcel(Some("op-17"), Some(&root), "it is done")).await.unwrap();
    let of_node = channel.tell(&parcel(None, Some(&root), "Docker hangs")).await.unwrap();
    assert_eq!(of_node.root, None);
    let below = Some(root);
    assert_eq!(
        said(chat),
        [(None, "op-17: alice wants it".into()), (below, "it is done".into()), (None, "Docker hangs".into())]
    );
}

#[tokio::test]
async fn an_operation_has_one_thread_in_mattermost_and_in_slack() {
    let (chat, file) = (FakeChat::default(), token("t0ken\n"));
    chat.wants("t0ken");
    threads(&chat, &mattermost(&chat, &file).await).await;
    let (chat, file) = (FakeChat::default(), token("xoxb-1"));
    chat.wants("xoxb-1");
    threads(&chat, &slack(&chat, &file).await).await;
}

#[tokio::test]
async fn a_thread_whose_first_message_is_gone_is_told_so_that_another_begins() {
    let (chat, file) = (FakeChat::default(), token("t"));
    for channel in [&mattermost(&chat, &file).await as &dyn Channel, &slack(&chat, &file).await] {
        let root = channel.tell(&parcel(Some("op-17"), None, "one")).await.unwrap().root;
        chat.is_wiped();
        let refusal = channel.tell(&parcel(Some("op-17"), root.as_deref(), "two")).await.unwrap_err();
        assert!(matches!(refusal, NotTold::ThreadGone(_)), "{}: {refusal:?}", channel.name());
    }
}

#[tokio::test]
async fn a_slack_that_says_no_with_status_200_has_not_taken_it() {
    let (chat, file) = (FakeChat::default(), token("old"));
    chat.wants("new");
    let refusal = slack(&chat, &file).await.tell(&parcel(None, None, "x")).await.unwrap_err();
    let NotTold::Later(why) = refusal else { panic!("{refusal:?}") };
    assert!(why.contains("invalid_auth") && why.contains("token"), "{why}");
    assert!(said(&chat).is_empty());
}

#[tokio::test]
async fn a_token_that_runs_out_is_told_with_what_to_do_and_a_new_one_is_used_at_once() {
    let (chat, mut file) = (FakeChat::default(), token("a"));
    chat.wants("ab");
    let channel = mattermost(&chat, &file).await;
    let refusal = channel.tell(&parcel(None, None, "x")).await.unwrap_err().to_string();
    assert!(refusal.contains("401") && refusal.contains("token is still valid"), "{refusal}");
    file.write_all(b"b").unwrap();
    channel.tell(&parcel(None, None, "x")).await.unwrap();
    file.as_file().set_len(0).unwrap();
    assert!(channel.check().unwrap_err().contains("there is no secret in"));
}

#[tokio::test]
async fn a_webhook_has_no_threads_so_the_operation_opens_each_line() {
    let chat = FakeChat::default();
    let channel = webhook(&chat).await;
    for text in ["alice wants it", "it is done"] {
        channel.tell(&parcel(Some("op-17"), None, text)).await.unwrap();
    }
    assert_eq!(said(&chat), [(None, "op-17: alice wants it".into()), (None, "op-17: it is done".into())]);
}

#[tokio::test]
async fn the_address_of_a_webhook_is_in_no_error() {
    let chat = FakeChat::default();
    let channel = webhook(&chat).await;
    for status in [302, 400, 403, 500] {
        chat.breaks(Some(status));
        let refusal = channel.tell(&parcel(None, None, "x")).await.unwrap_err().to_string();
        assert!(!refusal.contains("secret?") && !refusal.contains("verysecret"), "{refusal}");
        assert!(!refusal.contains("hidden"), "{refusal}");
    }
    let none = Webhook::new("hooks/verysecret", TIMEOUT, &Tallies::default()).err().unwrap().to_string();
    assert!(!none.contains("verysecret"), "{none}");
}

#[tokio::test]
async fn what_an_outsider_wrote_calls_nobody_in_any_chat() {
    let (chat, file) = (FakeChat::default(), token("t"));
    let hook = webhook(&chat).await;
    for channel in [&mattermost(&chat, &file).await as &dyn Channel, &slack(&chat, &file).await, &hook] {
        let text = "bob wants it: @here <!channel> [look](https://evil)\n@all";
        channel.tell(&parcel(Some("op-17"), None, text)).await.unwrap();
    }
    for (_, text) in said(&chat) {
        for sign in ["@here", "<!", "](", "://", "\n", "@all"] {
            assert!(!text.contains(sign), "{sign} in {text}");
        }
    }
    assert_eq!(chat.messages().len(), 3);
}
