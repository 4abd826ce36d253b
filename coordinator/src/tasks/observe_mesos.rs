//! Asks the leading Mesos master what it knows, every few seconds.

use super::{Hub, Task};
use crate::integrations::mesos::ObserveMesos;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// See the module.
pub struct ObserveMesosTask {
    /// Whose fleet.
    pub hub: Arc<dyn Hub>,
    /// Whom to ask.
    pub mesos: Arc<dyn ObserveMesos>,
}

impl ObserveMesosTask {
    async fn observe(&self) -> Result<(), String> {
        let answer = self.mesos.state().await.map_err(|why| why.to_string());
        let transitions =
            self.hub.ask(|fleet, now| fleet.take_master_state(answer.as_ref().map_err(String::as_str), now));
        self.hub.publish(transitions.unwrap_or_default());
        answer.map(drop)
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

    #[tokio::test]
    async fn an_answer_reaches_the_fleet_and_a_failure_is_the_tasks_as_well() {
        let policy = testing::policy(2);
        let answer = testing::master(&policy);
        let nobody = MesosError::Nobody(vec!["m1:5050: connection refused".into()]);
        let mesos = Arc::new(FakeMesos(Mutex::new(vec![Err(nobody), Ok(answer)])));
        let hub = Arc::new(TestHub::new(Fleet::new(policy.into(), testing::at(0)), testing::at(5)));
        let mut task = ObserveMesosTask { hub: hub.clone(), mesos };
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
}
