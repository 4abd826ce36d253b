//! Is this node's Mesos master one that can lead, and who leads? (R3, R4: every ensemble member counts.)

use super::{Context, patience::Patience};
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{MesosMasterConfig, units::spoken},
    mesos::{self, Client, MasterMetrics, read_master_metrics},
};
use jiff::Timestamp;
use millwright_protocol::{MesosMasterFacts, Status};
use std::time::Duration;
use tokio::time::timeout;

const HOUR: i64 = 3600;
/// A supervisor starts a master again within this; a master cut from ZooKeeper ends itself on purpose.
const BETWEEN_RUNS: Duration = Duration::from_secs(30);
/// Two readings of one start differ by less than this many seconds.
const SAME_START: i64 = 5;

/// The check `mesos_master`.
pub struct MesosMasterCheck {
    config: MesosMasterConfig,
    client: Client,
    patience: Patience,
    /// When the master started, each start within the last hour that was seen.
    starts: Vec<Timestamp>,
}

/// What a look that came through saw.
#[derive(Debug, Clone, Default)]
struct Seen {
    metrics: MasterMetrics,
    leader: Option<String>,
}

impl MesosMasterCheck {
    /// The check, with its section.
    pub fn new(config: &MesosMasterConfig) -> Self {
        Self {
            config: config.clone(),
            client: Client::default(),
            patience: Patience::default(),
            starts: Vec::new(),
        }
    }

    async fn ask(&self) -> Result<Seen, String> {
        let health = self.config.url.endpoint("health");
        let response = self.client.ask(&health).await?;
        if !response.status().is_success() {
            return Err(format!("{health} answers {}", response.status()));
        }
        let snapshot = self.config.url.root_endpoint("metrics/snapshot");
        let (status, body) = self.client.fetch(&snapshot).await?;
        if !status.is_success() {
            return Err(format!("{snapshot} answers {status}"));
        }
        let metrics = read_master_metrics(&body)?;
        let leader = mesos::leader(&self.client, &self.config.url).await?;
        Ok(Seen { metrics, leader })
    }

    fn saw(&mut self, seen: &Seen, now: Timestamp) -> Look {
        self.patience.answered();
        let metrics = seen.metrics;
        let is = |gauge: Option<f64>| gauge.map(|gauge| gauge > 0.0);
        let leads = is(metrics.elected);
        let uptime =
            metrics.uptime_secs.filter(|uptime| (0.0..1e12).contains(uptime)).map(|uptime| uptime as u64);
        self.remember_start(uptime, now);

        let mut observations = vec![self.of_role(seen, leads, is(metrics.registrar_recovered))];
        observations.push(self.of_starts());
        if leads == Some(true) {
            observations.extend(self.of_agents(metrics.agents_active, uptime));
        }
        let facts = MesosMasterFacts {
            elected: leads,
            leader: seen.leader.clone(),
            registrar_recovered: is(metrics.registrar_recovered).filter(|_| leads == Some(true)),
            agents_active: metrics.agents_active.filter(|_| leads == Some(true)),
            uptime_seconds: uptime,
            age_seconds: 0,
        };
        Look { observations, facts: vec![FactPart::MesosMaster(Some(facts))] }
    }

    fn of_role(&self, seen: &Seen, leads: Option<bool>, recovered: Option<bool>) -> Observation {
        let url = self.config.url.to_string();
        let within = self.config.election_within;
        let observation = match (leads, recovered, &seen.leader) {
            (Some(true), Some(false), _) => Observation::new(
                Status::Crit,
                "this Mesos master leads, but its registrar has not recovered: nothing can be scheduled",
            )
            .debounce(within)
            .next("see that a majority of masters runs; the registry needs two of three"),
            (Some(true), _, _) => Observation::new(Status::Ok, "this Mesos master leads"),
            (Some(false), _, Some(leader)) => {
                Observation::new(Status::Ok, format!("this Mesos master stands by; {leader} leads"))
            }
            (Some(false), _, None) => Observation::new(Status::Crit, "this Mesos master knows of no leader")
                .debounce(within)
                .next("look at the findings `zookeeper` of all masters"),
            (None, _, _) => {
                Observation::new(Status::Unknown, "this Mesos master does not say whether it leads")
                    .next("look at its /metrics/snapshot: master/elected is missing")
            }
        };
        let leader = seen.leader.as_deref().unwrap_or("nobody");
        observation.gating().evidence("leader", leader, &url)
    }

    /// One start is one entry, however often it is seen.
    fn remember_start(&mut self, uptime: Option<u64>, now: Timestamp) {
        self.starts.retain(|at| now.as_second() - at.as_second() < HOUR);
        let started = uptime
            .and_then(|uptime| i64::try_from(uptime).ok())
            .filter(|uptime| *uptime < HOUR)
            .and_then(|uptime| Timestamp::from_second(now.as_second() - uptime).ok());
        if let Some(started) = started
            && !self.starts.iter().any(|known| (known.as_second() - started.as_second()).abs() <= SAME_START)
        {
            self.starts.push(started);
        }
    }

    fn of_starts(&self) -> Observation {
        let count = self.starts.len();
        let observation = if count > self.config.starts_per_hour {
            Observation::new(
                Status::Warn,
                format!("this Mesos master started {count} times within an hour: it flaps"),
            )
            .next("look at its log; losing ZooKeeper makes it end itself on purpose")
        } else {
            Observation::new(Status::Ok, "this Mesos master keeps running")
        };
        observation.item("starts").evidence("starts_per_hour", count, &self.config.url.to_string())
    }

    fn of_agents(&self, active: Option<u64>, uptime: Option<u64>) -> Option<Observation> {
        let active = active?;
        let is_young = uptime.is_none_or(|uptime| uptime < self.config.grace_after_start.as_secs());
        let minimum = self.config.minimum_agents;
        let observation = if active < minimum && !is_young {
            Observation::new(
                Status::Crit,
                format!("only {active} Mesos agents are active, {minimum} are the minimum"),
            )
            .next("see which nodes are missing: `millwright nodes`")
        } else {
            Observation::new(Status::Ok, format!("{active} Mesos agents are active"))
        };
        Some(observation.item("agents").evidence("agents_active", active, &self.config.url.to_string()))
    }
}

/// The check of this node's Mesos master.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    vec![Box::new(MesosMasterCheck::new(&context.config.checks.mesos_master))]
}

impl Check for MesosMasterCheck {
    fn name(&self) -> &'static str {
        "mesos_master"
    }

    fn is_gating(&self) -> bool {
        true
    }

    fn when_silent(&self) -> Option<&str> {
        Some("see that the container mesos-master runs, then look at its log")
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: self.config.every, deadline: self.config.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let observation = match timeout(self.config.deadline.mul_f64(0.9), self.ask()).await {
                Ok(Ok(seen)) => return self.saw(&seen, now),
                Ok(Err(why)) => {
                    self.patience.answered();
                    Observation::new(
                        Status::Crit,
                        format!("the Mesos master of this node does not answer: {why}"),
                    )
                    .debounce(BETWEEN_RUNS)
                }
                Err(_) => {
                    let deadline = spoken(self.config.deadline);
                    let sentence = format!(
                        "the Mesos master of this node accepts connections but does not answer within {deadline}"
                    );
                    Observation::new(self.patience.late(now), sentence)
                }
            };
            let observation = observation
                .gating()
                .evidence("url", &self.config.url, "agent.toml")
                .next("see that the container mesos-master runs, then look at its log");
            Look { observations: vec![observation], facts: vec![FactPart::MesosMaster(None)] }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> MesosMasterCheck {
        MesosMasterCheck::new(&MesosMasterConfig::default())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn seen(elected: Option<f64>, recovered: Option<f64>, leader: Option<&str>) -> Seen {
        let metrics = MasterMetrics {
            elected,
            registrar_recovered: recovered,
            agents_active: Some(40),
            uptime_secs: Some(90_000.0),
        };
        Seen { metrics, leader: leader.map(str::to_owned) }
    }

    fn status_of(look: &Look, item: Option<&str>) -> Status {
        look.observations.iter().find(|one| one.item.as_deref() == item).unwrap().status
    }

    #[test]
    fn a_member_is_well_when_it_leads_or_knows_who_does() {
        for (one, status) in [
            (seen(Some(1.0), Some(1.0), Some("m1:5050")), Status::Ok),
            (seen(Some(0.0), None, Some("m1:5050")), Status::Ok),
            (seen(Some(1.0), Some(0.0), Some("m1:5050")), Status::Crit),
            (seen(Some(0.0), None, None), Status::Crit),
            (seen(None, None, Some("m1:5050")), Status::Unknown),
        ] {
            let look = check().saw(&one, at(0));
            assert_eq!(status_of(&look, None), status, "{one:?}");
            assert!(look.observations[0].gating);
        }
    }

    #[test]
    fn too_few_agents_are_told_by_the_leader_only_and_not_right_after_its_start() {
        let status = |active, uptime, elected| {
            let mut one = seen(Some(elected), Some(1.0), Some("m1:5050"));
            one.metrics.agents_active = Some(active);
            one.metrics.uptime_secs = Some(uptime);
            let look = check().saw(&one, at(0));
            look.observations.iter().find(|one| one.item.as_deref() == Some("agents")).map(|one| one.status)
        };
        assert_eq!(status(9, 9000.0, 1.0), Some(Status::Crit));
        assert_eq!(status(10, 9000.0, 1.0), Some(Status::Ok));
        assert_eq!(status(0, 599.0, 1.0), Some(Status::Ok));
        assert_eq!(status(0, 9000.0, 0.0), None);
    }

    #[test]
    fn starting_over_and_over_is_flapping_and_one_start_seen_often_is_not() {
        let mut check = check();
        let mut look = |second, uptime| {
            let mut one = seen(Some(0.0), None, Some("m1:5050"));
            one.metrics.uptime_secs = Some(uptime);
            status_of(&check.saw(&one, at(second)), Some("starts"))
        };
        for second in 0..50 {
            assert_eq!(look(second, second as f64 + 10.4), Status::Ok);
        }
        assert_eq!([look(100, 5.0), look(200, 5.0), look(300, 5.0)], [Status::Ok, Status::Ok, Status::Warn]);
        assert_eq!(look(4000, 3700.0), Status::Ok);
    }
}
