//! Asks owners of tasks whether these may end, for as long as an operation waits for their yes.

use super::{Hub, Task};
use crate::integrations::owners::AskOwner;
use futures_util::{StreamExt, future::BoxFuture, stream};
use millwright_decision::fleet::{OwnerSaid, OwnerWord};
use std::sync::Arc;

/// So many questions are on their way at once.
const AT_ONCE: usize = 8;

/// See the module.
pub struct AskOwnersTask {
    /// Whose fleet.
    pub hub: Arc<dyn Hub>,
    /// How to ask; `None` where nobody can be asked.
    pub owners: Option<Arc<dyn AskOwner>>,
}

impl AskOwnersTask {
    async fn ask(&self) -> Result<(), String> {
        let questions = self.hub.ask(|fleet, now| fleet.owner_questions(now)).unwrap_or_default();
        stream::iter(questions)
            .map(|question| async move {
                let at = self.hub.now();
                let said = match &self.owners {
                    Some(owners) => owners.may(&question).await,
                    None => OwnerSaid::Nothing(
                        "coordinator.toml has no [owners] with a url, so nobody can be asked".to_owned(),
                    ),
                };
                (question.task, OwnerWord { owner: question.owner, at, said })
            })
            .buffer_unordered(AT_ONCE)
            .for_each(|(task, word)| {
                self.hub.ask(|fleet, _| fleet.take_owner_word(&task, word.clone()));
                std::future::ready(())
            })
            .await;
        Ok(())
    }
}

impl Task for AskOwnersTask {
    fn name(&self) -> &'static str {
        "ask_owners"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.ask())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{
            OwnerQuestion,
            testing::{begins, owned},
        },
        tasks::testing::TestHub,
    };
    use millwright_decision::Action;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Patient(Mutex<Vec<String>>);

    impl AskOwner for Patient {
        fn may<'a>(&'a self, question: &'a OwnerQuestion) -> BoxFuture<'a, OwnerSaid> {
            self.0.lock().unwrap().push(question.task.clone());
            Box::pin(async { OwnerSaid::No("busy".into()) })
        }
    }

    /// What is known of the task then.
    async fn told(owners: Option<Arc<dyn AskOwner>>) -> OwnerWord {
        let mut story = owned();
        begins(&mut story, Action::Reboot, "alibuild01");
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        AskOwnersTask { hub: hub.clone(), owners }.run().await.unwrap();
        let fleet = hub.fleet.lock().unwrap();
        fleet.snapshot().owners["spare-1"].clone()
    }

    #[tokio::test]
    async fn what_owners_answer_is_known_with_the_time_of_the_question() {
        let patient = Arc::new(Patient::default());
        let word = told(Some(patient.clone())).await;
        assert_eq!((word.owner.as_str(), word.said), ("tests", OwnerSaid::No("busy".into())));
        let mut asked = patient.0.lock().unwrap().clone();
        asked.sort();
        assert_eq!(asked, ["service-1", "spare-1"]);
    }

    #[tokio::test]
    async fn where_nobody_can_be_asked_that_is_told_with_the_section_that_lacks() {
        let OwnerSaid::Nothing(why) = told(None).await.said else { panic!("an answer") };
        assert!(why.contains("[owners]"), "{why}");
    }
}
