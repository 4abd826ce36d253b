//! The task with a real store and a chat that is away or slow.

use super::*;
use crate::{
    fleet::testing::Story,
    notice::{Level, Notice, Parcel, Taken},
    operations::Tell,
    store::Retention,
    tasks::testing::TestHub,
};
use millwright_protocol::Status;
use tokio::sync::Notify as Bell;

#[derive(Default)]
struct FakeChat {
    heard: Mutex<Vec<String>>,
    is_down: Mutex<bool>,
    /// Takes nothing before it rings, while there is one.
    slow: Option<Bell>,
}

impl FakeChat {
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Channel for FakeChat {
    fn name(&self) -> &str {
        if self.slow.is_some() { "slow" } else { "chat" }
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn tell<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<Taken, NotTold>> {
        Box::pin(async {
            if let Some(bell) = &self.slow {
                bell.notified().await;
            }
            if *self.is_down.lock().unwrap() {
                return Err(NotTold::Later("it is away".to_owned()));
            }
            self.heard.lock().unwrap().push(parcel.notice.text.clone());
            Ok(Taken::default())
        })
    }
}

struct Rig {
    _folder: tempfile::TempDir,
    hub: Arc<TestHub>,
    store: Arc<Store>,
    post: Arc<Post>,
    troubles: Arc<Troubles>,
}

impl Rig {
    fn new(story: Story) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("store"), Retention::default()).unwrap();
        let now = story.now();
        Self {
            hub: Arc::new(TestHub::new(story.fleet, now)),
            store: Arc::new(store),
            post: Arc::default(),
            troubles: Arc::default(),
            _folder: folder,
        }
    }

    /// As after a start.
    fn task(&self, channels: Vec<Arc<dyn Channel>>) -> Notify {
        let (hub, store, post) = (self.hub.clone(), self.store.clone(), self.post.clone());
        Notify::new(hub, store, post, self.troubles.clone(), channels, 0).unwrap()
    }

    fn minutes_later(&self, minutes: i64) {
        let mut now = self.hub.now.lock().unwrap();
        *now += jiff::SignedDuration::from_mins(minutes);
    }
}

fn sick() -> Story {
    let mut story = Story::new(3);
    story.twist("alibuild02", |report| report.findings[0].status = Status::Crit);
    story.rounds(3);
    story
}

fn notice(text: &str) -> Notice {
    Notice {
        at: Timestamp::UNIX_EPOCH,
        level: Level::Warn,
        node: None,
        subject: "op-1".into(),
        operation: Some("op-1".into()),
        text: text.into(),
    }
}

fn announcement(rig: &Rig, text: &str) -> tokio::sync::oneshot::Receiver<String> {
    let notice = Notice { at: rig.hub.now(), ..notice(text) };
    rig.post.announce("op-1".into(), notice)
}

#[tokio::test]
async fn a_gating_fault_is_told_once_also_when_the_chat_was_away_and_the_coordinator_started_anew() {
    let rig = Rig::new(sick());
    let chat = Arc::new(FakeChat::default());
    *chat.is_down.lock().unwrap() = true;
    assert!(rig.task(vec![chat.clone()]).run().await.unwrap_err().contains("not told yet: 1 notice"));
    assert!(rig.troubles.list()[0].sentence.contains("it is away"));
    *chat.is_down.lock().unwrap() = false;
    for _ in 0..3 {
        rig.task(vec![chat.clone()]).run().await.unwrap();
    }
    let heard = chat.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("alibuild02: docker is"), "{heard:?}");
    assert!(rig.troubles.list().is_empty());
}

#[tokio::test]
async fn whoever_announces_something_learns_that_one_channel_took_it_though_another_is_away() {
    let rig = Rig::new(Story::new(3));
    let (chat, away) = (
        Arc::new(FakeChat::default()),
        Arc::new(FakeChat { slow: Some(Bell::new()), ..FakeChat::default() }),
    );
    *away.is_down.lock().unwrap() = true;
    away.slow.as_ref().unwrap().notify_one();
    let mut task = rig.task(vec![away.clone(), chat.clone()]);
    let answer = announcement(&rig, "alibuild01 will be rebuilt");
    assert!(task.run().await.is_err());
    assert_eq!(answer.await.unwrap(), "chat");
    assert_eq!(chat.heard(), ["alibuild01 will be rebuilt"]);
}

#[tokio::test]
async fn an_announcement_that_nobody_took_says_why_and_is_told_once_when_it_is_tried_again() {
    let rig = Rig::new(Story::new(3));
    let chat = Arc::new(FakeChat::default());
    *chat.is_down.lock().unwrap() = true;
    let mut task = rig.task(vec![chat.clone()]);
    drop(announcement(&rig, "until 10:30"));
    task.run().await.unwrap_err();
    assert!(rig.post.trouble().unwrap().contains("it is away"));
    *chat.is_down.lock().unwrap() = false;
    rig.minutes_later(1);
    let answer = announcement(&rig, "until 10:31");
    task.run().await.unwrap();
    assert_eq!(answer.await.unwrap(), "chat");
    let again = announcement(&rig, "until 10:32");
    task.run().await.unwrap();
    assert!(again.await.is_ok());
    assert_eq!(chat.heard(), ["until 10:31"]);
}

#[tokio::test]
async fn what_operations_did_is_told_in_its_order_before_what_they_announce() {
    let rig = Rig::new(Story::new(3));
    let chat = Arc::new(FakeChat::default());
    let tell = |position, sentence: &str| Tell {
        position,
        at: rig.hub.now(),
        what: "granted",
        operation: Some("op-1".into()),
        node: "alibuild01".into(),
        sentence: sentence.into(),
        needs_people: false,
    };
    let answer = announcement(&rig, "three");
    rig.post.leave([tell(1, "one"), tell(2, "two")]);
    rig.task(vec![chat.clone()]).run().await.unwrap();
    drop(answer);
    assert_eq!(chat.heard(), ["one", "two", "three"]);
}
