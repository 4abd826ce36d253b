//! What holds now that people who are not looking should know.

use super::{Fleet, OperationAsk};
use crate::notice::{Condition, Level};
use jiff::Timestamp;
use millwright_decision::fleet::DEAD;
use millwright_protocol::{NodeName, finding_id};

/// A disk that is full within so many hours is full by tonight.
pub(super) const TONIGHT_HOURS: f64 = 12.0;

impl Fleet {
    /// Nodes silent for five minutes, gating findings that are `crit`, disks that are full by tonight, brakes, operations
    /// that wait for somebody. What a person has seen is left out, and so are nodes that stand in no count or in no policy.
    pub fn conditions(&self, now: Timestamp) -> Vec<Condition> {
        let mut conditions: Vec<Condition> = self
            .snapshot
            .brakes
            .iter()
            .map(|(class, brake)| Condition {
                subject: format!("brake/{class}"),
                node: None,
                operation: None,
                what: String::new(),
                level: Level::Crit,
                sentence: format!("the brake is on: {}", brake.why),
            })
            .collect();
        conditions.extend(self.asks.iter().map(|ask| self.condition_of(ask)));
        for (name, listed) in &self.policy.nodes {
            if listed.class != millwright_decision::Class::Physical {
                self.conditions_of(name, &listed.display, now, &mut conditions);
            }
        }
        conditions
    }

    /// A question, with what answers it.
    fn condition_of(&self, ask: &OperationAsk) -> Condition {
        let node = self.policy.spell(&ask.node).to_owned();
        let helps: Vec<String> = ask.helps.iter().map(|line| format!("`{line}`")).collect();
        let helps = if helps.is_empty() { String::new() } else { format!("; {}", helps.join(" or ")) };
        Condition {
            subject: ask.operation.clone(),
            operation: Some(ask.operation.clone()),
            what: ask.what.clone(),
            level: if ask.is_stuck { Level::Crit } else { Level::Warn },
            sentence: format!("{node}: {}{helps}", ask.sentence),
            node: Some(node),
        }
    }

    fn conditions_of(&self, name: &NodeName, display: &str, now: Timestamp, conditions: &mut Vec<Condition>) {
        let Some(node) = self.snapshot.nodes.get(name).filter(|node| !node.is_uncounted()) else { return };
        let Some(agent) = &node.agent else { return };
        let mut add = |what: &str, level, sentence: String| {
            conditions.push(Condition {
                subject: format!("{display}/{what}"),
                node: Some(display.to_owned()),
                operation: None,
                what: String::new(),
                level,
                sentence,
            });
        };
        let age = now.duration_since(agent.at);
        if age >= DEAD {
            add("silent", Level::Crit, self.tell_silence(name, node, now));
        }
        let is_seen = |key: &str| {
            let (check, item) = key.split_once('/').map_or((key, None), |(check, item)| (check, Some(item)));
            let given = self.acknowledgements.get(&finding_id(name.as_str(), check, item));
            given.is_some_and(|given| now < given.until)
        };
        for finding in agent.gating.iter().filter(|finding| finding.is_crit && !is_seen(&finding.key)) {
            add(&finding.key, Level::Crit, format!("{display}: {}", finding.sentence));
        }
        let disk = self.records.get(name).and_then(|record| record.disk.as_ref());
        if let Some((disk, hours)) = disk.and_then(|disk| Some((disk, disk.hours_to_full?)))
            && hours <= TONIGHT_HOURS
        {
            let sentence = format!("{display}: {} is full in {hours:.0} h", disk.mount);
            add(&format!("full{}", disk.mount), Level::Warn, sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        OperationAsk, OperationsSaid,
        testing::{Story, name},
    };
    use crate::notice::Level;
    use jiff::SignedDuration;
    use millwright_protocol::Status;

    fn subjects(story: &Story) -> Vec<String> {
        story.fleet.conditions(story.now()).into_iter().map(|condition| condition.subject).collect()
    }

    #[test]
    fn people_are_told_of_silence_of_five_minutes_of_gating_faults_and_of_disks_full_by_tonight() {
        let mut story = Story::new(12);
        story.rounds(10);
        assert_eq!(subjects(&story), Vec::<String>::new());
        story.quiet.insert(name("alibuild01"));
        story.twist("alibuild02", |report| report.findings[0].status = Status::Crit);
        story.twist("alibuild03", |report| report.facts.volumes[0].hours_to_full = Some(5.0));
        story.rounds(29);
        assert_eq!(subjects(&story), ["alibuild02/docker", "alibuild03/full/build"]);
        story.rounds(1);
        assert_eq!(subjects(&story), ["alibuild01/silent", "alibuild02/docker", "alibuild03/full/build"]);
    }

    #[test]
    fn what_a_person_has_seen_and_nodes_that_are_known_to_be_dead_are_left_out() {
        let mut story = Story::new(12);
        story.twist("alibuild02", |report| report.findings[0].status = Status::Crit);
        story.rounds(2);
        story.quiet.insert(name("alibuild01"));
        story.rounds(40);
        let now = story.now();
        let until = now + SignedDuration::from_hours(1);
        story.fleet.acknowledge("alibuild02/docker", until, "ann", now).unwrap();
        story.fleet.dead(&name("alibuild01"), "burnt", "ann", now).unwrap();
        assert_eq!(subjects(&story), Vec::<String>::new());
        assert_eq!(
            story.fleet.conditions(until).len(),
            14 + 1,
            "all others are silent by then, and it has run out"
        );
    }

    #[test]
    fn an_operation_that_waits_for_somebody_is_told_and_one_that_is_stuck_is_urgent() {
        let mut story = Story::new(12);
        story.rounds(10);
        let ask = |operation: &str, is_stuck| OperationAsk {
            operation: operation.to_owned(),
            node: name("alibuild01"),
            sentence: "a second person has to agree".to_owned(),
            what: "approval_missing".to_owned(),
            helps: vec![format!("millwright cancel {operation}")],
            since: story.now(),
            is_stuck,
        };
        let asks = vec![ask("op-3", false), ask("op-4", true)];
        let now = story.now();
        story.fleet.take_operations(OperationsSaid { asks, ..OperationsSaid::default() });
        let conditions = story.fleet.conditions(now);
        let told: Vec<_> = conditions.iter().map(|one| (one.subject.as_str(), one.level)).collect();
        assert_eq!(told, [("op-3", Level::Warn), ("op-4", Level::Crit)]);
        assert_eq!(
            conditions[0].sentence,
            "alibuild01: a second person has to agree; `millwright cancel op-3`"
        );
        let attention = story.fleet.fleet_view(now, Vec::new()).attention;
        let lines: Vec<_> = attention
            .iter()
            .map(|one| (one.operation.as_deref(), one.status, one.sentence.as_str()))
            .collect();
        let sentence = "alibuild01: a second person has to agree";
        assert_eq!(
            lines,
            [(Some("op-4"), Status::Crit, sentence), (Some("op-3"), Status::Warn, sentence)],
            "what is stuck stands first"
        );
        story.fleet.take_operations(OperationsSaid::default());
        assert!(story.fleet.conditions(now).is_empty());
    }
}
