//! Is this node's ZooKeeper member in a quorum, in what role, and in sync? (R4: every ensemble member counts.)

use super::{Context, patience::Patience};
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{ZooKeeperConfig, units::spoken},
    zookeeper::{AskError, Member, ZooKeeperError, ask, read_mntr, read_srvr},
};
use jiff::Timestamp;
use millwright_protocol::{Status, ZooKeeperFacts};
use std::time::Duration;

/// An election, or a restart by its keeper, takes no longer.
const BETWEEN_QUORUMS: Duration = Duration::from_secs(30);

/// The check `zookeeper`.
pub struct ZooKeeperCheck {
    config: ZooKeeperConfig,
    patience: Patience,
}

/// What one look found out.
#[derive(Debug)]
enum Found {
    Member(Member),
    NotServing,
    NoAnswer(String),
    Late,
    Unreadable(String),
}

impl ZooKeeperCheck {
    /// The check, with its section.
    pub fn new(config: &ZooKeeperConfig) -> Self {
        Self { config: config.clone(), patience: Patience::default() }
    }

    async fn ask(&self) -> Found {
        // Two words within the deadline.
        let each = self.config.deadline.mul_f64(0.45);
        let found = match ask(self.config.address, "srvr", each).await {
            Ok(answer) => read_srvr(&answer),
            Err(AskError::Late) => return Found::Late,
            Err(AskError::NoAnswer(why)) => return Found::NoAnswer(why),
        };
        let mut member = match found {
            Ok(member) => member,
            Err(ZooKeeperError::NotServing) => return Found::NotServing,
            Err(error) => return Found::Unreadable(error.to_string()),
        };
        // mntr may be forbidden, and adds only the followers.
        if member.mode.as_deref() == Some("leader")
            && let Ok(answer) = ask(self.config.address, "mntr", each).await
            && let Ok(more) = read_mntr(&answer)
        {
            member.synced_followers = more.synced_followers;
        }
        Found::Member(member)
    }

    fn of(&mut self, found: Found, now: Timestamp) -> Look {
        if !matches!(found, Found::Late) {
            self.patience.answered();
        }
        let address = self.config.address.to_string();
        let observation = match &found {
            Found::Member(member) => self.of_member(member),
            Found::NotServing => {
                Observation::new(Status::Crit, "ZooKeeper on this node runs but is in no quorum")
                    .debounce(BETWEEN_QUORUMS)
                    .next(
                        "see that a majority of members runs and that they reach each other on 2888 and 3888",
                    )
            }
            Found::NoAnswer(why) => {
                Observation::new(Status::Crit, format!("ZooKeeper on this node does not answer: {why}"))
                    .debounce(BETWEEN_QUORUMS)
                    .next("see that the container zookeeper runs, then look at its log")
            }
            Found::Late => Observation::new(
                self.patience.late(now),
                format!("ZooKeeper on this node does not answer within {}", spoken(self.config.deadline)),
            )
            .next("look at its log and at the disk it writes to"),
            Found::Unreadable(why) => {
                Observation::new(Status::Unknown, format!("ZooKeeper on this node answers, but {why}"))
                    .next("check `checks.zookeeper.address`")
            }
        };
        let facts = match found {
            Found::Member(member) => Some(ZooKeeperFacts {
                epoch: member.epoch(),
                synced_followers: member.synced_followers,
                mode: member.mode,
                version: member.version,
                age_seconds: 0,
            }),
            Found::NotServing => Some(ZooKeeperFacts::default()),
            _ => None,
        };
        Look {
            observations: vec![observation.gating().evidence("address", address, "agent.toml")],
            facts: vec![FactPart::ZooKeeper(facts)],
        }
    }

    fn of_member(&self, member: &Member) -> Observation {
        let version = &member.version;
        let followers_needed = self.config.members / 2;
        let observation = match (member.mode.as_deref(), member.synced_followers) {
            (Some("leader"), Some(synced)) if synced < followers_needed => Observation::new(
                Status::Crit,
                format!("ZooKeeper {version} leads with {synced} followers in sync; {followers_needed} are needed"),
            )
            .debounce(BETWEEN_QUORUMS)
            .next("look at the findings `zookeeper` of the other masters"),
            (Some("leader"), Some(synced)) if synced + 1 < self.config.members => Observation::new(
                Status::Warn,
                format!(
                    "ZooKeeper {version} leads with {synced} of {} followers in sync: one more loss may cost the quorum",
                    self.config.members - 1
                ),
            )
            .next("look at the findings `zookeeper` of the other masters"),
            (Some("leader"), Some(synced)) => {
                Observation::new(Status::Ok, format!("ZooKeeper {version} leads, {synced} followers are in sync"))
            }
            (Some("leader"), None) => Observation::new(
                Status::Ok,
                format!("ZooKeeper {version} leads; `mntr` is not allowed, so followers are not counted"),
            ),
            (Some("follower" | "observer"), _) => {
                let mode = member.mode.as_deref().unwrap_or_default();
                Observation::new(Status::Ok, format!("ZooKeeper {version} is a {mode} in a quorum"))
            }
            (Some("standalone"), _) if self.config.members == 1 => {
                Observation::new(Status::Ok, format!("ZooKeeper {version} serves, alone as configured"))
            }
            (Some("standalone"), _) => Observation::new(
                Status::Crit,
                format!("ZooKeeper {version} runs alone, not in an ensemble of {}", self.config.members),
            )
            .next("its list of servers is missing; it must not take writes on its own"),
            (Some("read-only"), _) => Observation::new(
                Status::Crit,
                format!("ZooKeeper {version} serves reads only: it has no quorum"),
            )
            .debounce(BETWEEN_QUORUMS)
            .next("see that a majority of members runs"),
            (Some(other), _) => {
                Observation::new(Status::Unknown, format!("ZooKeeper {version} is in a mode we do not know: {other}"))
            }
            (None, _) => Observation::new(Status::Unknown, format!("ZooKeeper {version} does not say its mode")),
        };
        let observation = observation.evidence("mode", member.mode.as_deref().unwrap_or("not said"), "srvr");
        match member.epoch() {
            Some(epoch) => observation.evidence("epoch", epoch, "srvr"),
            None => observation,
        }
    }
}

/// The check of this node's ZooKeeper member.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    vec![Box::new(ZooKeeperCheck::new(&context.config.checks.zookeeper))]
}

impl Check for ZooKeeperCheck {
    fn name(&self) -> &'static str {
        "zookeeper"
    }

    fn is_gating(&self) -> bool {
        true
    }

    fn when_silent(&self) -> Option<&str> {
        Some("see that the container zookeeper runs, then look at its log")
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: self.config.every, deadline: self.config.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let found = self.ask().await;
            self.of(found, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(mode: &str, synced_followers: Option<u64>, members: u64) -> Status {
        let mut check = ZooKeeperCheck::new(&ZooKeeperConfig { members, ..ZooKeeperConfig::default() });
        let member = Member { mode: Some(mode.to_owned()), synced_followers, ..Member::default() };
        let look = check.of(Found::Member(member), Timestamp::UNIX_EPOCH);
        assert!(look.observations[0].gating);
        look.observations[0].status
    }

    #[test]
    fn a_member_is_well_in_a_quorum_only() {
        for (mode, synced, members, seen) in [
            ("leader", Some(2), 3, Status::Ok),
            ("leader", Some(1), 3, Status::Warn),
            ("leader", Some(0), 3, Status::Crit),
            ("leader", None, 3, Status::Ok),
            ("leader", Some(2), 5, Status::Warn),
            ("leader", Some(1), 5, Status::Crit),
            ("follower", None, 3, Status::Ok),
            ("standalone", None, 3, Status::Crit),
            ("standalone", None, 1, Status::Ok),
            ("read-only", None, 3, Status::Crit),
            ("looking", None, 3, Status::Unknown),
        ] {
            assert_eq!(status(mode, synced, members), seen, "{mode} {synced:?} of {members}");
        }
    }

    #[test]
    fn a_member_without_a_quorum_is_crit_and_its_facts_have_no_mode() {
        let look =
            ZooKeeperCheck::new(&ZooKeeperConfig::default()).of(Found::NotServing, Timestamp::UNIX_EPOCH);
        assert_eq!(look.observations[0].status, Status::Crit);
        assert_eq!(look.facts, [FactPart::ZooKeeper(Some(ZooKeeperFacts::default()))]);
    }

    #[tokio::test]
    async fn a_port_nobody_listens_on_is_crit() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut check = ZooKeeperCheck::new(&ZooKeeperConfig { address: free, ..ZooKeeperConfig::default() });
        let look = check.look(Timestamp::UNIX_EPOCH).await;
        assert_eq!(look.observations[0].status, Status::Crit);
        assert!(look.observations[0].sentence.contains("refused"), "{}", look.observations[0].sentence);
    }
}
