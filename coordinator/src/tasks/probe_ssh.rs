//! Tries TCP 22 of nodes that do not report, a few at a time.

use super::{Hub, Task};
use crate::integrations::ssh::ProbeSsh;
use futures_util::{StreamExt, future::BoxFuture, stream};
use std::sync::Arc;

/// So many connections are tried at once: when the network is gone, every node is silent.
const AT_ONCE: usize = 32;

/// See the module.
pub struct ProbeSshTask {
    /// Whose fleet.
    pub hub: Arc<dyn Hub>,
    /// How to try.
    pub ssh: Arc<dyn ProbeSsh>,
}

impl ProbeSshTask {
    async fn probe(&self) -> Result<(), String> {
        let silent = self.hub.ask(|fleet, now| {
            let silent = fleet.silent_nodes(now).into_iter();
            silent.map(|name| (fleet.host_of(&name), name)).collect::<Vec<_>>()
        });
        let ssh = &self.ssh;
        stream::iter(silent.unwrap_or_default())
            .map(|(host, name)| async move { (ssh.answers(&host).await, name) })
            .buffer_unordered(AT_ONCE)
            .for_each(|(answered, name)| {
                // One that reported while it was tried is not silent any more.
                self.hub.ask(|fleet, now| {
                    if let Some(answered) = answered
                        && fleet.silent_nodes(now).contains(&name)
                    {
                        fleet.take_ssh(&name, answered, now);
                    }
                });
                std::future::ready(())
            })
            .await;
        Ok(())
    }
}

impl Task for ProbeSshTask {
    fn name(&self) -> &'static str {
        "probe_ssh"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.probe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::testing::{Story, name},
        tasks::testing::TestHub,
    };
    use std::sync::Mutex;

    #[derive(Default)]
    struct FakeSsh {
        asked: Mutex<Vec<String>>,
        says: Option<bool>,
    }

    impl ProbeSsh for FakeSsh {
        fn answers<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Option<bool>> {
            self.asked.lock().unwrap().push(host.to_owned());
            Box::pin(async { self.says })
        }
    }

    #[tokio::test]
    async fn only_silent_nodes_are_tried_under_the_host_name_they_announced() {
        let mut story = Story::new(3);
        story.rounds(3);
        story.quiet.insert(name("alibuild02"));
        story.rounds(10);
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        let probed = || hub.fleet.lock().unwrap().snapshot().nodes[&name("alibuild02")].ssh;
        let unable = Arc::new(FakeSsh::default());
        ProbeSshTask { hub: hub.clone(), ssh: unable.clone() }.run().await.unwrap();
        assert_eq!(*unable.asked.lock().unwrap(), ["alibuild02.example.org"]);
        assert_eq!(probed(), None, "what could not be tried is not known");
        let dead = Arc::new(FakeSsh { says: Some(false), ..FakeSsh::default() });
        ProbeSshTask { hub: hub.clone(), ssh: dead }.run().await.unwrap();
        assert!(!probed().unwrap().answered);
    }
}
