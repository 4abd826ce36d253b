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
            silent.map(|name| (fleet.door_of(&name), name)).collect::<Vec<_>>()
        });
        let ssh = &self.ssh;
        stream::iter(silent.unwrap_or_default())
            .map(|(door, name)| async move { (ssh.knock(&door).await, name) })
            .buffer_unordered(AT_ONCE)
            .for_each(|(knock, name)| {
                // One that reported while it was tried is not silent any more.
                let mut knock = Some(knock);
                self.hub.ask(|fleet, now| {
                    if fleet.silent_nodes(now).contains(&name)
                        && let Some(knock) = knock.take()
                    {
                        fleet.take_ssh(&name, knock, now);
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
        fleet::{
            Door, Knock,
            testing::{Story, name},
        },
        tasks::testing::TestHub,
    };
    use millwright_decision::fleet::SshProbe;
    use millwright_protocol::Report;
    use std::sync::Mutex;

    #[derive(Default)]
    struct FakeSsh {
        asked: Mutex<Vec<Door>>,
        says: Option<bool>,
    }

    impl ProbeSsh for FakeSsh {
        fn knock<'a>(&'a self, door: &'a Door) -> BoxFuture<'a, Knock> {
            self.asked.lock().unwrap().push(door.clone());
            Box::pin(async {
                Knock { answered: self.says, story: format!("knocked at {}", door.host), ping: None }
            })
        }
    }

    /// What is tried, and what is known of the node then, when one of three is silent and announces this host name.
    async fn silent_under(announced: fn(&mut Report), says: Option<bool>) -> (Vec<Door>, SshProbe) {
        let mut story = Story::new(3);
        story.twist("alibuild02", announced).rounds(3);
        story.quiet.insert(name("alibuild02"));
        story.rounds(10);
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        let ssh = Arc::new(FakeSsh { says, ..FakeSsh::default() });
        ProbeSshTask { hub: hub.clone(), ssh: ssh.clone() }.run().await.unwrap();
        let fleet = hub.fleet.lock().unwrap();
        let probe = fleet.snapshot().nodes[&name("alibuild02")].ssh.clone().unwrap();
        let asked = ssh.asked.lock().unwrap().clone();
        (asked, probe)
    }

    #[tokio::test]
    async fn only_silent_nodes_are_tried_under_the_host_name_they_announced() {
        let (asked, probe) = silent_under(|_| {}, Some(false)).await;
        assert_eq!(asked, [Door { host: "alibuild02.example.org".into(), may_be_here: false }]);
        assert_eq!((probe.answered, &*probe.story), (Some(false), "knocked at alibuild02.example.org"));
    }

    #[tokio::test]
    async fn what_could_not_be_tried_is_not_known_and_says_why() {
        let (_, probe) = silent_under(|_| {}, None).await;
        assert_eq!((probe.answered, &*probe.story), (None, "knocked at alibuild02.example.org"));
    }

    #[tokio::test]
    async fn a_host_name_that_is_not_the_nodes_leads_to_another_machine_and_is_not_tried() {
        type Twist = fn(&mut Report);
        let strange: [Twist; 3] = [
            |report| report.facts.mesos_agent.as_mut().unwrap().hostname = "localhost".into(),
            |report| report.facts.mesos_agent.as_mut().unwrap().hostname = "127.0.0.1".into(),
            |report| report.facts.mesos_agent.as_mut().unwrap().hostname = "alibuild03.example.org".into(),
        ];
        for announced in strange {
            let (asked, _) = silent_under(announced, Some(true)).await;
            assert_eq!(asked, [Door { host: "alibuild02".into(), may_be_here: false }]);
        }
    }
}
