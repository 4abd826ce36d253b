//! Asks the leading Mesos master what it knows: every few seconds, and at once when its events say that something
//! happened.

use super::{Hub, Task};
use crate::integrations::mesos::ObserveMesos;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

/// From one question to the next, however much happens.
const GAP: Duration = Duration::from_secs(1);
/// A master that takes long to answer gets so many times as long to itself.
const REST: u32 = 5;

/// What the one who follows the events and the one who asks tell each other.
#[derive(Debug, Default)]
pub struct MesosNews {
    happened: Notify,
    has_events: watch::Sender<bool>,
}

impl MesosNews {
    /// Something happened: the state is asked for as soon as it may be. Telling it again before that changes nothing.
    pub fn tell(&self) {
        self.happened.notify_one();
    }

    /// Waits until a master has answered whose version has events to go by.
    pub async fn until_there_are_events(&self) {
        // The sender lives as long as we do, so waiting cannot fail.
        let _ = self.has_events.subscribe().wait_for(|has_events| *has_events).await;
    }
}

/// See the module. One run is one question: it waits for its turn first.
pub struct ObserveMesosTask {
    hub: Arc<dyn Hub>,
    mesos: Arc<dyn ObserveMesos>,
    news: Arc<MesosNews>,
    every: Duration,
    last: Option<Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    took: Duration,
}

impl Asked {
    /// When it is asked again, though nothing happened.
    fn due(self, every: Duration) -> Instant {
        self.at + every
    }

    /// When it may be asked again because something happened.
    fn soonest(self, every: Duration) -> Instant {
        self.due(every).min(self.at + GAP.max(self.took * REST))
    }
}

impl ObserveMesosTask {
    /// Asks `mesos` for the fleet of `hub`, once in `every` and whenever there are news.
    pub fn new(
        hub: Arc<dyn Hub>,
        mesos: Arc<dyn ObserveMesos>,
        news: Arc<MesosNews>,
        every: Duration,
    ) -> Self {
        Self { hub, mesos, news, every, last: None }
    }

    async fn turn(&self) {
        let Some(last) = self.last else { return };
        tokio::select! {
            () = sleep_until(last.due(self.every)) => {}
            () = self.news.happened.notified() => sleep_until(last.soonest(self.every)).await,
        }
    }

    async fn observe(&mut self) -> Result<(), String> {
        self.turn().await;
        let at = Instant::now();
        // An answer is as old as its question: what was done meanwhile may be missing from it.
        let asked_at = self.hub.ask(|_, now| now);
        let answer = self.mesos.state().await.map_err(|why| why.to_string());
        self.last = Some(Asked { at, took: at.elapsed() });
        let transitions = self.hub.ask(|fleet, now| {
            let at = asked_at.unwrap_or(now);
            fleet.take_master_state(answer.as_ref().map_err(String::as_str), at)
        });
        self.hub.publish(transitions.unwrap_or_default());
        let answer = answer?;
        self.news.has_events.send_replace(answer.has_events());
        Ok(())
    }
}

impl Task for ObserveMesosTask {
    fn name(&self) -> &'static str {
        "observe_mesos"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.observe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Fleet, MasterAnswer, testing},
        integrations::mesos::MesosError,
        tasks::testing::TestHub,
    };
    use millwright_decision::Source;
    use std::sync::Mutex;

    struct FakeMesos(Mutex<Vec<Result<MasterAnswer, MesosError>>>);

    impl ObserveMesos for FakeMesos {
        fn state(&self) -> BoxFuture<'_, Result<MasterAnswer, MesosError>> {
            let next = self.0.lock().unwrap().remove(0);
            Box::pin(async { next })
        }
    }

    fn task(
        answers: Vec<Result<MasterAnswer, MesosError>>,
        every: Duration,
    ) -> (ObserveMesosTask, Arc<TestHub>, Arc<MesosNews>) {
        let mesos = Arc::new(FakeMesos(Mutex::new(answers)));
        let fleet = Fleet::new(testing::policy(2).into(), testing::at(0));
        let hub = Arc::new(TestHub::new(fleet, testing::at(5)));
        let news = Arc::new(MesosNews::default());
        (ObserveMesosTask::new(hub.clone(), mesos, news.clone(), every), hub, news)
    }

    #[tokio::test]
    async fn an_answer_reaches_the_fleet_and_a_failure_is_the_tasks_as_well() {
        let answer = testing::master(&testing::policy(2));
        let nobody = MesosError::Nobody(vec!["m1:5050: connection refused".into()]);
        let (mut task, hub, _) = task(vec![Err(nobody), Ok(answer)], Duration::from_millis(1));
        assert!(task.run().await.unwrap_err().contains("connection refused"));
        let unknown_since = || {
            let fleet = hub.fleet.lock().unwrap();
            fleet.snapshot().sources[&Source::MesosMaster].unknown_since
        };
        assert_eq!(unknown_since(), Some(testing::at(0)));
        task.run().await.unwrap();
        assert_eq!(unknown_since(), None);
        let fleet = hub.fleet.lock().unwrap();
        assert!(fleet.snapshot().nodes[&testing::name("alibuild02")].master.is_some());
    }

    #[tokio::test]
    async fn news_bring_the_next_question_forward() {
        const NEVER: Duration = Duration::from_secs(1_000_000);
        let answer = || Ok(testing::master(&testing::policy(2)));
        let (mut task, hub, news) = task(vec![answer(), answer()], NEVER);
        task.run().await.unwrap();
        // Told twice, once even while nobody listened: one question.
        news.tell();
        news.tell();
        // Long ago, so that the pause between two questions is over.
        task.last = Some(Asked { at: Instant::now() - GAP, took: Duration::ZERO });
        task.run().await.unwrap();
        let heard = hub.fleet.lock().unwrap().snapshot().sources[&Source::MesosMaster].last_answer;
        assert_eq!(heard, Some(testing::at(5)));
        let third = tokio::time::timeout(Duration::ZERO, task.run()).await;
        assert!(third.is_err(), "nothing happened since");
    }

    #[test]
    fn between_two_questions_there_is_a_pause_and_a_longer_one_for_a_slow_master() {
        let seconds = Duration::from_secs;
        for (took, every, pause) in [(0, 10, 1), (1, 10, 5), (3, 10, 10), (0, 1, 1)] {
            let asked = Asked { at: Instant::now(), took: seconds(took) };
            assert_eq!(asked.soonest(seconds(every)), asked.at + seconds(pause), "{took} s, every {every} s");
            assert_eq!(asked.due(seconds(every)), asked.at + seconds(every));
        }
    }

    #[tokio::test]
    async fn events_are_followed_once_a_master_has_answered_that_has_them() {
        let mut old = testing::master(&testing::policy(2));
        old.version = "1.4.3".to_owned();
        let new = testing::master(&testing::policy(2));
        let (mut task, _, news) = task(vec![Ok(old), Ok(new)], Duration::from_millis(1));
        let waits = |news: Arc<MesosNews>| async move {
            tokio::time::timeout(Duration::ZERO, news.until_there_are_events()).await.is_err()
        };
        assert!(waits(news.clone()).await, "nobody has answered yet");
        task.run().await.unwrap();
        assert!(waits(news.clone()).await, "1.4.3 sends no heartbeats");
        task.run().await.unwrap();
        assert!(!waits(news).await);
    }
}
