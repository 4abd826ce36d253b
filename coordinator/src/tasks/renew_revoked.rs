//! Has the list of what is revoked renewed, and tells people when that does not work for long.

use super::{Hub, Task};
use crate::{
    integrations::authority::{RenewError, RenewRevoked},
    troubles::Troubles,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;

/// An authority that is restarted is no trouble; one that is away so many times in a row is.
const PATIENCE: u32 = 3;
/// The trouble's word.
const TROUBLE: &str = "revocation_list";

/// See the module.
pub struct RenewRevokedTask {
    hub: Arc<dyn Hub>,
    troubles: Arc<Troubles>,
    authority: Arc<dyn RenewRevoked>,
    /// Where the list is, for people.
    url: String,
    /// How often in a row it did not work.
    failures: u32,
    /// When it last did.
    renewed: Option<Timestamp>,
}

impl RenewRevokedTask {
    /// Nothing is renewed yet.
    pub fn new(
        hub: Arc<dyn Hub>,
        troubles: Arc<Troubles>,
        authority: Arc<dyn RenewRevoked>,
        url: String,
    ) -> Self {
        Self { hub, troubles, authority, url, failures: 0, renewed: None }
    }

    async fn once(&mut self) -> Result<(), String> {
        let now = self.hub.now();
        let why = match self.authority.renew().await {
            Ok(is_new) => {
                if is_new {
                    log::info!("took over a new list of what is revoked from {}", self.url);
                }
                (self.failures, self.renewed) = (0, Some(now));
                self.troubles.clear(TROUBLE);
                return Ok(());
            }
            Err(why) => why,
        };
        self.failures += 1;
        let since = match self.renewed {
            Some(at) => format!("since {}", at.strftime("%Y-%m-%d %H:%M UTC")),
            None => "since the coordinator started".to_owned(),
        };
        let sentence = format!(
            "the list of what is revoked cannot be renewed from {} {since}: {why}; the one of before stays in force, so who is \
             revoked from now on is not kept out; the manual's page on certificates says what to do",
            self.url
        );
        // A list that must not be put in force is no accident.
        if self.failures >= PATIENCE || matches!(why, RenewError::Refused(_)) {
            self.troubles.set(TROUBLE, sentence.clone(), now);
        }
        Err(sentence)
    }
}

impl Task for RenewRevokedTask {
    fn name(&self) -> &'static str {
        "renew_revoked"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.once())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Fleet, testing},
        tasks::testing::TestHub,
    };
    use std::sync::Mutex;

    #[derive(Default)]
    struct Scripted(Mutex<Vec<Result<bool, RenewError>>>);

    impl RenewRevoked for Scripted {
        fn renew(&self) -> BoxFuture<'_, Result<bool, RenewError>> {
            let answer = self.0.lock().unwrap().remove(0);
            Box::pin(async move { answer })
        }
    }

    /// What people are told after each of these answers.
    async fn told(answers: Vec<Result<bool, RenewError>>) -> Vec<Option<String>> {
        let fleet = Fleet::new(testing::policy(1).into(), testing::at(0));
        let hub = Arc::new(TestHub::new(fleet, testing::at(5)));
        let (troubles, rounds) = (Arc::<Troubles>::default(), answers.len());
        let authority = Arc::new(Scripted(Mutex::new(answers)));
        let mut task = RenewRevokedTask::new(hub, troubles.clone(), authority, "https://puppet/list".into());
        let mut told = Vec::new();
        for _ in 0..rounds {
            let _ = task.run().await;
            told.push(troubles.list().pop().map(|trouble| trouble.sentence));
        }
        told
    }

    #[tokio::test]
    async fn an_authority_that_stays_away_is_told_and_one_that_comes_back_is_not() {
        let away = || Err(RenewError::Away("connection refused".to_owned()));
        let told = told(vec![Ok(true), away(), away(), Ok(false), away(), away(), away(), Ok(false)]).await;
        let is_told: Vec<bool> = told.iter().map(Option::is_some).collect();
        assert_eq!(is_told, [false, false, false, false, false, false, true, false]);
        let sentence = told[6].as_ref().unwrap();
        for part in ["https://puppet/list", "since 20", "connection refused", "stays in force"] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
    }

    #[tokio::test]
    async fn a_list_that_must_not_be_put_in_force_is_told_at_once() {
        let refused = Err(RenewError::Refused("it is older".to_owned()));
        let told = told(vec![refused]).await;
        assert!(told[0].as_ref().unwrap().contains("what it answers is refused: it is older"), "{told:?}");
    }
}
