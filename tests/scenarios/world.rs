//! The words that make a story's world, on top of a fleet in which everything is well.

use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Code, Policy, Snapshot, Source, TaskMatch,
    example::ExampleFleet,
    fleet::{
        AttachedVolume, Attestation, Brake, CloudServer, CloudView, CrlExpired, EmptySpan, Grant, Hold,
        Listing, Operation, OwnerSaid, OwnerWord, Pause, Progress, PuppetRuns, SourceState, SshProbe,
        StoreBehind, StrayContainer, View, WarmUp,
    },
};
use millwright_protocol::NodeName;
use std::{collections::BTreeMap, path::Path, str::FromStr};
use toml::{Table, Value};

/// Codes that are notes only and so never object.
pub const NOTES: [Code; 9] = [
    Code::IsLeader,
    Code::VolumesLeft,
    Code::RebuildInstead,
    Code::RebootHint,
    Code::RightsNeeded,
    Code::OutsideBlamed,
    Code::LastOfClass,
    Code::KnownDead,
    Code::Attested,
];

/// Codes that no question meets, but only a step of an operation in mode `advise`.
pub const OF_STEPS: [Code; 1] = [Code::GoAhead];

/// Codes that only a change of policy clears.
pub const REFUSALS: [Code; 7] = [
    Code::PolicyUnreadable,
    Code::NodeUnlisted,
    Code::NotManaged,
    Code::NodeProtected,
    Code::VolumeProtected,
    Code::ZoneTaken,
    Code::ZoneUnknown,
];

const SHIPPED: &str = include_str!("../../packaging/coordinator/etc/millwright/policy.alice.toml");

/// A Saturday morning: no quiet hours, no freeze.
const USUAL_TIME: &str = "2026-01-31T10:00:00Z";

pub struct World {
    pub fleet: ExampleFleet,
}

/// One line, cut into words; `key="two words"` stays one.
struct Line {
    words: Vec<String>,
    values: BTreeMap<String, Vec<String>>,
}

impl Line {
    fn read(line: &str) -> Self {
        let (mut words, mut values) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
        let mut quoted = false;
        let pieces = line.split(|letter| {
            if letter == '"' {
                quoted = !quoted;
            }
            letter == ' ' && !quoted
        });
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            match piece.split_once('=') {
                Some((key, value)) => values.entry(key.to_owned()).or_default().push(value.replace('"', "")),
                None => words.push(piece.replace('"', "")),
            }
        }
        Self { words, values }
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(|values| values.first()).map(String::as_str)
    }

    fn read_value<T: FromStr>(&self, key: &str) -> Option<T> {
        self.value(key).map(|value| value.parse().unwrap_or_else(|_| panic!("{key}={value} does not read")))
    }

    fn node(&self) -> NodeName {
        self.words[1].parse().unwrap()
    }

    fn age(&self, index: usize) -> SignedDuration {
        self.words.get(index).map_or(SignedDuration::ZERO, |word| word.parse().unwrap())
    }

    fn task(&self) -> TaskMatch<'_> {
        TaskMatch {
            id: self.value("id").unwrap(),
            name: self.value("name").unwrap_or_default(),
            framework: self.value("framework").unwrap_or_default(),
            role: self.value("role").unwrap_or_default(),
            cpus: self.read_value("cpus").unwrap_or(1.0),
        }
    }
}

impl World {
    pub fn build(overlay: &str, lines: &[String]) -> Self {
        let lines: Vec<Line> = lines.iter().map(|line| Line::read(line)).collect();
        let find = |word: &str| lines.iter().find(|line| line.words[0] == word);
        let policy = policy(overlay, find("fleet"));
        let now: Timestamp = find("time").map_or(USUAL_TIME, |line| &line.words[1]).parse().unwrap();
        let mut world = Self { fleet: ExampleFleet::new(policy, now) };
        for line in &lines {
            if !["fleet", "time"].contains(&line.words[0].as_str()) {
                world.tell(line);
            }
        }
        world
    }

    pub fn snapshot(self) -> (Snapshot, Policy, Timestamp) {
        self.fleet.snapshot()
    }

    fn tell(&mut self, line: &Line) {
        let told = self.tell_of_policy(line)
            || self.tell_of_tasks(line)
            || self.tell_of_reports(line)
            || self.tell_of_node(line)
            || self.tell_of_people(line)
            || self.tell_of_fleet(line);
        assert!(told, "{:?} is no word of a story; README.md has them", line.words[0]);
    }

    fn tell_of_policy(&mut self, line: &Line) -> bool {
        let policy = &mut self.fleet.policy;
        if line.words[0] == "unreadable" {
            policy.unreadable = Some(line.words[1..].join(" ").into());
            return true;
        }
        if line.words[0] == "owner" {
            let rule = policy.tasks.rules.iter_mut().find(|rule| rule.name == line.words[1]).unwrap();
            rule.owner = Some(line.words[2].clone());
            return true;
        }
        if !["label", "zone", "no_project", "attribute"].contains(&line.words[0].as_str()) {
            return false;
        }
        let node = policy.nodes.get_mut(&line.node()).unwrap();
        match line.words[0].as_str() {
            "label" => drop(node.labels.insert(line.words[2].clone())),
            "zone" => node.zone = Some(line.words[2].clone()).filter(|zone| zone != "none"),
            "no_project" => node.project = None,
            _ => node
                .attributes
                .extend(line.values.iter().map(|(key, values)| (key.clone(), values[0].clone()))),
        }
        true
    }

    fn tell_of_tasks(&mut self, line: &Line) -> bool {
        match line.words[0].as_str() {
            "runs" => self.fleet.runs(&line.node(), line.task()),
            "agent_runs" => {
                let task = self.fleet.task(line.task());
                self.fleet.agent_runs(&line.node(), task);
            }
            "master_lists" => {
                let task = self.fleet.task(line.task());
                self.fleet.master_lists(&line.node(), task);
            }
            "owner_said" => {
                let said = match line.words[3].as_str() {
                    "yes" => OwnerSaid::Yes,
                    "no" => OwnerSaid::No(line.value("why").unwrap_or_default().to_owned()),
                    _ => OwnerSaid::Nothing(line.value("why").unwrap_or_default().to_owned()),
                };
                let at = self.fleet.ago(line.age(4));
                let word = OwnerWord { owner: line.words[1].clone(), at, said };
                self.fleet.snapshot.owners.insert(line.words[2].clone(), word);
            }
            "disagree" => {
                let since = self.fleet.ago(line.age(2));
                self.fleet.node(&line.node()).views_disagree_since = Some(since);
            }
            "stray" => {
                if let View::Known(containers) = &mut self.fleet.agent(&line.node()).containers {
                    containers
                        .stray
                        .push(StrayContainer { name: line.words[2].clone(), image: "some/image".into() });
                }
            }
            "blind" => {
                let agent = self.fleet.agent(&line.node());
                (agent.tasks, agent.containers) = (View::NotConfigured, View::NotConfigured);
                self.fleet.node(&line.node()).agent_empty = None;
            }
            "untold" => {
                let agent = self.fleet.agent(&line.node());
                match line.words[2].as_str() {
                    "docker" => agent.containers = View::Unknown,
                    "mesos_agent" => agent.tasks = View::Unknown,
                    other => panic!("untold {other} is not understood"),
                }
                self.fleet.node(&line.node()).agent_empty = None;
            }
            "looked" => {
                let last = self.fleet.ago(line.age(2));
                let first = last - SignedDuration::from_secs(89);
                self.fleet.node(&line.node()).agent_empty = Some(EmptySpan { first, last });
            }
            "builds" => {
                self.fleet.builds(&line.node(), line.value("build").unwrap(), line.value("computer").unwrap())
            }
            "unproven" => {
                let span = EmptySpan { first: self.fleet.ago(line.age(2)), last: self.fleet.now };
                let node = self.fleet.node(&line.node());
                node.agent_empty = Some(span);
                node.master_empty = node.master_empty.and(Some(span));
                if let Some(view) = &mut node.jenkins {
                    view.empty = view.empty.and(Some(span));
                }
            }
            _ => return false,
        }
        true
    }

    fn tell_of_reports(&mut self, line: &Line) -> bool {
        match line.words[0].as_str() {
            "report" => self.fleet.report_age(&line.node(), line.age(2)),
            "never" => {
                let node = self.fleet.node(&line.node());
                (node.agent, node.agent_empty) = (None, None);
            }
            "unverified" => self.fleet.agent(&line.node()).verified_at = None,
            "healthy_for" => {
                let since = self.fleet.ago(line.age(2));
                self.fleet.agent(&line.node()).healthy_since = Some(since);
            }
            "leads" => self.fleet.agent(&line.node()).leads_mesos = true,
            "puppet" => {
                let (clean, failed) = (line.read_value("clean"), line.read_value("failed"));
                self.fleet.agent(&line.node()).puppet =
                    Some(PuppetRuns { clean: clean.unwrap_or(0), failed: failed.unwrap_or(0) });
            }
            "no_image" => self.fleet.agent(&line.node()).images.clear(),
            "volume" => {
                let volume = AttachedVolume {
                    mount: line.value("mount").unwrap_or("/build").to_owned(),
                    mounted: !line.words.contains(&"unmounted".to_owned()),
                    uuid: line.value("uuid").map(str::to_owned),
                    serial: line.value("serial").map(str::to_owned),
                    size_bytes: line.read_value("bytes").unwrap_or(500_000_000_000),
                };
                self.fleet.agent(&line.node()).volumes = vec![volume];
            }
            _ => return false,
        }
        true
    }

    fn tell_of_node(&mut self, line: &Line) -> bool {
        match line.words[0].as_str() {
            "crit" => self.fleet.gating(&line.node(), &line.words[2], true, line.age(3)),
            "unknown" => self.fleet.gating(&line.node(), &line.words[2], false, line.age(3)),
            "failing" => self.fleet.agent(&line.node()).failing_checks.push(line.words[2].clone()),
            "ssh" => {
                let (answered, story) = match line.words[2].as_str() {
                    "answers" => (Some(true), "answers with a banner"),
                    "dead" => (Some(false), "refused the connection"),
                    "untried" => (None, "not tried: no name leads there"),
                    other => panic!("ssh {other} is not understood"),
                };
                let story = format!("{}:22 {story}", line.words[1]).into();
                let probe = SshProbe { at: self.fleet.now, answered, story, ping: None };
                self.fleet.node(&line.node()).ssh = Some(probe);
            }
            "mesos" => {
                let view = self.fleet.node(&line.node()).master.as_mut().unwrap();
                match line.words[2].as_str() {
                    "active" => view.listing = Listing::Active,
                    "inactive" => view.listing = Listing::Inactive,
                    "unreachable" => view.listing = Listing::Unreachable,
                    "absent" => view.listing = Listing::Absent,
                    "deactivated" => view.deactivated = true,
                    other => panic!("mesos {other} is not understood"),
                }
            }
            "announces" => {
                let view = self.fleet.node(&line.node()).master.as_mut().unwrap();
                view.attributes =
                    line.values.iter().map(|(key, values)| (key.clone(), values[0].clone())).collect();
            }
            "identity" => {
                let since = self.fleet.ago(line.age(2));
                self.fleet.node(&line.node()).identity_changed = Some((since, "another machine id".into()));
            }
            "returned" => {
                let at = self.fleet.ago(line.age(2));
                self.fleet.node(&line.node()).returned_at = Some(at);
            }
            "dead" => self.fleet.node(&line.node()).known_dead = Some("power supply".into()),
            "server" => {
                let at = self.fleet.now;
                let server = CloudServer {
                    id: line.value("id").unwrap_or("11111111-1111-1111-1111-111111111111").to_owned(),
                    locked: line.value("locked").map(str::to_owned),
                    volumes: line.values.get("volume").cloned().unwrap_or_default(),
                };
                let view = &mut self.fleet.node(&line.node()).cloud;
                view.get_or_insert_with(|| Box::new(CloudView { at, servers: Vec::new() }))
                    .servers
                    .push(server);
            }
            "quarantined" => self.fleet.node(&line.node()).quarantined = true,
            _ => return false,
        }
        true
    }

    fn tell_of_people(&mut self, line: &Line) -> bool {
        let now = self.fleet.now;
        match line.words[0].as_str() {
            "hold" => {
                let hold = Hold {
                    id: "h1".into(),
                    node: line.node(),
                    author: line.value("by").unwrap_or("bob").to_owned(),
                    reason: "core dump to look at".into(),
                    since: self.fleet.ago(SignedDuration::from_hours(3)),
                    expires_at: line.value("expired").map(|_| self.fleet.ago(SignedDuration::from_hours(1))),
                    operation: line.value("op").map(str::to_owned),
                };
                self.fleet.snapshot.holds.push(hold);
            }
            "attest" => self.fleet.snapshot.attestations.push(Attestation {
                node: line.node(),
                source: source(&line.words[2]),
                by: "carol".into(),
                until: now + SignedDuration::from_mins(line.read_value("left").unwrap_or(10)),
            }),
            "pause" => {
                self.fleet.snapshot.pause =
                    Some(Pause { since: now, by: "bob".into(), reason: "data challenge".into() });
            }
            "operation" => {
                let operation = self.operation(line);
                self.fleet.snapshot.operations.push(operation);
            }
            _ => return false,
        }
        true
    }

    /// `operation ID ACTION NODE… [by=] [progress=] [since=] [cordoned=] [announced=] [silent=] [grant=CODE[:TASK]@WHO]…`
    fn operation(&self, line: &Line) -> Operation {
        let ago = |key| line.read_value::<SignedDuration>(key).map(|age| self.fleet.ago(age));
        let grants = line.values.get("grant").into_iter().flatten().map(|text| {
            let (what, by) = text.rsplit_once('@').unwrap();
            let (code, task) =
                what.split_once(':').map_or((what, None), |(code, task)| (code, Some(task.to_owned())));
            let code = Code::ALL.iter().copied().find(|known| known.as_str() == code).unwrap();
            Grant { code, task, by: by.to_owned(), at: self.fleet.now, digest: None }
        });
        Operation {
            id: line.words[1].clone(),
            action: line.words[2].parse().unwrap(),
            nodes: line.words[3..].iter().map(|name| name.parse().unwrap()).collect(),
            requester: line.value("by").unwrap_or("alice").to_owned(),
            progress: match line.value("progress").unwrap_or("requested") {
                "requested" => Progress::Requested,
                "draining" => Progress::Draining,
                "out" => Progress::Out,
                "returning" => Progress::Returning,
                other => panic!("progress={other} is not understood"),
            },
            since: ago("since").unwrap_or(self.fleet.now),
            cordoned_at: ago("cordoned"),
            announced_at: ago("announced"),
            is_silent_repair: line.value("silent").is_some(),
            is_parked: false,
            grants: grants.collect(),
        }
    }

    fn tell_of_fleet(&mut self, line: &Line) -> bool {
        let now = self.fleet.now;
        match line.words[0].as_str() {
            "member" => {
                let name = line.node();
                let since =
                    line.words.get(2).filter(|word| *word != "away").map(|_| self.fleet.ago(line.age(2)));
                let members =
                    self.fleet.snapshot.ensembles.iter_mut().flat_map(|ensemble| &mut ensemble.members);
                let member = members.into_iter().find(|member| member.node == name).unwrap();
                member.in_quorum_since = since;
                member.story = if since.is_some() { "it follows" } else { "it does not answer" }.to_owned();
            }
            "source" => {
                let since = self.fleet.ago(line.age(3));
                let state = SourceState { last_answer: Some(since), unknown_since: Some(since) };
                self.fleet.snapshot.sources.insert(source(&line.words[1]), state);
            }
            "brake" => {
                let class = *millwright_decision::Class::ALL
                    .iter()
                    .find(|class| class.as_str() == line.words[1])
                    .unwrap();
                let brake = Brake {
                    since: self.fleet.ago(line.age(2)),
                    why: "9 of 40 newly bad within 10 min".into(),
                };
                self.fleet.snapshot.brakes.insert(class, brake);
            }
            "started" => {
                let since = self.fleet.ago(line.age(1));
                self.fleet.snapshot.started_at = since;
                let missing = line.value("missing").into_iter().flat_map(|names| names.split(','));
                self.fleet.snapshot.warm_up = Some(WarmUp {
                    since,
                    rounds: line.read_value("rounds").unwrap_or(1),
                    missing: missing.map(|name| name.parse().unwrap()).collect(),
                });
            }
            "crl_expired" => {
                let expired_at = self.fleet.ago(line.age(1));
                self.fleet.snapshot.crl_expired = Some(CrlExpired { expired_at, since: self.fleet.now });
            }
            "store_behind" => {
                self.fleet.snapshot.store_behind = Some(StoreBehind {
                    node: line.node(),
                    seen: "generation 1 epoch 4 position 120".to_owned(),
                    ours: "generation 1 epoch 3 position 80".to_owned(),
                });
            }
            "journal_damaged" => {
                self.fleet.snapshot.journal_damaged =
                    Some("op-17: its first entry cannot be read".to_owned());
            }
            "leader_changed" => self.fleet.snapshot.leader_changed_at = Some(now - line.age(1)),
            _ => return false,
        }
        true
    }
}

fn source(word: &str) -> Source {
    *Source::ALL
        .iter()
        .find(|source| source.as_str() == word)
        .unwrap_or_else(|| panic!("{word:?} is no source"))
}

/// The shipped policy, overlaid, its node list cut to the story's fleet: `fleet masters=3 agents=40 with=NAME,NAME`.
fn policy(overlay: &str, fleet: Option<&Line>) -> Policy {
    let mut table: Table = SHIPPED.parse().unwrap();
    let wanted = |key: &str, usual: usize| fleet.and_then(|line| line.read_value(key)).unwrap_or(usual);
    let with: Vec<&str> =
        fleet.and_then(|line| line.value("with")).into_iter().flat_map(|names| names.split(',')).collect();
    cut(&mut table, wanted("masters", 3), wanted("agents", 40), &with);
    merge(&mut table, overlay.parse().unwrap_or_else(|error| panic!("the policy lines: {error}")));
    let text = toml::to_string(&table).unwrap();
    millwright_coordinator::policy::parse(&text, Path::new("story")).unwrap_or_else(|error| panic!("{error}"))
}

fn cut(table: &mut Table, masters: usize, agents: usize, with: &[&str]) {
    let keep = |name: &str| {
        let number =
            name.trim_start_matches(|letter: char| letter.is_alphabetic()).parse::<usize>().unwrap_or(0);
        (name.starts_with("alimesos") && number <= masters)
            || (name.starts_with("alibuild") && number <= agents)
            || with.contains(&name)
    };
    for group in table["nodes"].as_array_mut().unwrap() {
        group["names"].as_array_mut().unwrap().retain(|name| keep(name.as_str().unwrap()));
    }
    table["protections"].as_table_mut().unwrap().retain(|name, _| keep(name));
    if table["protections"].as_table().unwrap().is_empty() {
        table.insert("protections".to_owned(), Value::from("none"));
    }
    table["volumes"].as_array_mut().unwrap().retain(|volume| keep(volume["node"].as_str().unwrap()));
}

/// Tables merge, lists grow, anything else is replaced.
fn merge(into: &mut Table, overlay: Table) {
    for (key, value) in overlay {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
