//! Follows the events of the leading Mesos master, and tells whoever asks for its state that something happened.

use super::{MesosNews, Task};
use crate::integrations::mesos::MesosEvents;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// After a stream that could not be opened or broke off; meanwhile the state is asked for all the same.
const PAUSE: Duration = Duration::from_secs(5);

/// See the module. One run is one thing that happened, so that a stream that works again counts as working at once.
pub struct FollowMesosTask {
    events: Box<dyn MesosEvents>,
    news: Arc<MesosNews>,
    pause: Duration,
}

impl FollowMesosTask {
    /// Follows `events` and tells `news`.
    pub fn new(events: impl MesosEvents + 'static, news: Arc<MesosNews>) -> Self {
        Self { events: Box::new(events), news, pause: Duration::ZERO }
    }

    async fn follow(&mut self) -> Result<(), String> {
        tokio::time::sleep(std::mem::take(&mut self.pause)).await;
        self.news.until_there_are_events().await;
        let result = self.events.wait().await;
        match &result {
            Ok(()) => self.news.tell(),
            Err(_) => self.pause = PAUSE,
        }
        result
    }
}

impl Task for FollowMesosTask {
    fn name(&self) -> &'static str {
        "follow_mesos"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.follow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Fleet, MasterAnswer, testing},
        integrations::mesos::{MesosError, ObserveMesos},
        tasks::{ObserveMesosTask, testing::TestHub},
    };

    struct Told(Vec<Result<(), String>>);

    impl MesosEvents for Told {
        fn wait(&mut self) -> BoxFuture<'_, Result<(), String>> {
            let next = self.0.remove(0);
            Box::pin(async { next })
        }
    }

    struct Steady(MasterAnswer);

    impl ObserveMesos for Steady {
        fn state(&self) -> BoxFuture<'_, Result<MasterAnswer, MesosError>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    #[tokio::test]
    async fn what_happened_is_told_and_a_broken_stream_is_the_tasks_trouble_until_it_works_again() {
        let policy = testing::policy(1);
        let mesos = Arc::new(Steady(testing::master(&policy)));
        let hub = Arc::new(TestHub::new(Fleet::new(policy.into(), testing::at(0)), testing::at(5)));
        let news = Arc::new(MesosNews::default());
        let mut asking = ObserveMesosTask::new(hub, mesos, news.clone(), Duration::from_secs(1_000_000));
        let mut following = FollowMesosTask::new(Told(vec![Err("broke off".into()), Ok(())]), news);

        let early = tokio::time::timeout(Duration::ZERO, following.run()).await;
        assert!(early.is_err(), "there is nobody to follow before a master has answered");
        asking.run().await.unwrap();
        assert_eq!(following.run().await, Err("broke off".to_owned()));
        following.pause = Duration::ZERO;
        following.run().await.unwrap();
        asking.run().await.unwrap();
    }
}
