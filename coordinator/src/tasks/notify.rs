//! Tells people who are not looking.

use super::{Hub, Task};
use crate::{integrations::webhook::TellPeople, notice::Notices};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// So many messages a run: a chat is no log.
const AT_ONCE: usize = 20;

/// See the module.
pub struct Notify {
    hub: Arc<dyn Hub>,
    people: Arc<dyn TellPeople>,
    notices: Notices,
}

impl Notify {
    /// What holds in the fleet of `hub` goes to `people`.
    pub fn new(hub: Arc<dyn Hub>, people: Arc<dyn TellPeople>) -> Self {
        Self { hub, people, notices: Notices::default() }
    }

    async fn notify(&mut self) -> Result<(), String> {
        let seen =
            self.hub.ask(|fleet, now| (fleet.conditions(now), fleet.snapshot().warm_up.is_some(), now));
        if let Some((conditions, is_warming_up, now)) = seen {
            self.notices.compare(&conditions, is_warming_up, now);
        }
        for _ in 0..AT_ONCE {
            let Some(notice) = self.notices.next().cloned() else { return Ok(()) };
            self.people.tell(&notice).await.map_err(|why| {
                let (waiting, dropped) = self.notices.backlog();
                format!("{why}; {waiting} notices wait, {dropped} have been dropped")
            })?;
            self.notices.sent(&notice);
        }
        Ok(())
    }
}

impl Task for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.notify())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::testing::Story, integrations::webhook::WebhookError, notice::Notice, tasks::testing::TestHub,
    };
    use millwright_protocol::Status;
    use std::sync::Mutex;

    #[derive(Default)]
    struct FakeChat {
        heard: Mutex<Vec<String>>,
        is_down: Mutex<bool>,
    }

    impl TellPeople for FakeChat {
        fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), WebhookError>> {
            Box::pin(async {
                if *self.is_down.lock().unwrap() {
                    return Err(WebhookError::Address);
                }
                self.heard.lock().unwrap().push(notice.text.clone());
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn a_gating_fault_is_told_once_also_when_the_chat_was_away() {
        let mut story = Story::new(3);
        story.twist("alibuild02", |report| report.findings[0].status = Status::Crit);
        story.rounds(3);
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        let chat = Arc::new(FakeChat::default());
        *chat.is_down.lock().unwrap() = true;
        let mut task = Notify::new(hub, chat.clone());
        assert!(task.run().await.unwrap_err().contains("1 notices wait"));
        *chat.is_down.lock().unwrap() = false;
        task.run().await.unwrap();
        task.run().await.unwrap();
        let heard = chat.heard.lock().unwrap();
        assert_eq!(heard.len(), 1);
        assert!(heard[0].starts_with("alibuild02: docker is"), "{heard:?}");
    }
}
