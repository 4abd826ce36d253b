//! Which reader a file is for, and the counts of what it read.

use super::Outcome;
use millwright_agent::{docker, mesos as agent, puppet, zookeeper};
use millwright_coordinator::integrations::mesos as master;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

/// Reads a file of a system; `name` is its name in lower case.
pub(super) fn read(system: &str, name: &str, body: &[u8]) -> Outcome {
    match system {
        "mesos-master" => read_master(name, body),
        "mesos-agent" => read_agent(name, body),
        "puppet" => read_puppet(name, body),
        "zookeeper" => read_zookeeper(name, body),
        "docker" => read_docker(name, body),
        _ => no_reader(),
    }
}

/// A file named `.json` that is none, and whose name does not tell what it should have been.
fn unknown(name: &str, is_json: bool) -> Outcome {
    if is_json || !name.ends_with(".json") {
        return no_reader();
    }
    Outcome::Refused("not JSON, and its name tells no kind".to_owned())
}

fn no_reader() -> Outcome {
    Outcome::Skipped("no reader for this kind".to_owned())
}

/// `ok` with the counts, or why it was refused.
fn told<T, E: Display>(result: Result<T, E>, counts: impl FnOnce(T) -> String) -> Outcome {
    match result {
        Ok(read) => Outcome::Ok(counts(read)),
        Err(why) => Outcome::Refused(why.to_string()),
    }
}

/// The shape of a JSON document, as far as it tells the kind.
struct Shape {
    /// Keys of the object, or of the first object in the list.
    keys: Vec<String>,
    is_list: bool,
    is_empty: bool,
}

impl Shape {
    /// None when the document is not JSON at all; then only the name is left.
    fn of(body: &[u8]) -> Option<Self> {
        let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        if !is_list {
            let Keys(keys) = serde_json::from_slice(body).ok()?;
            return Some(Self { keys, is_list, is_empty: false });
        }
        let elements: Vec<Keys> = serde_json::from_slice(body).ok()?;
        let is_empty = elements.is_empty();
        let keys = elements.into_iter().next().unwrap_or_default().0;
        Some(Self { keys, is_list, is_empty })
    }

    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    fn has_prefix(&self, prefix: &str) -> bool {
        self.keys.iter().any(|key| key.starts_with(prefix))
    }
}

/// The keys of an object; none for anything else.
#[derive(Default)]
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
            keys.push(key);
        }
        Ok(Keys(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Keys::default())
    }

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys::default())
    }
}

fn read_master(name: &str, body: &[u8]) -> Outcome {
    let shape = Shape::of(body);
    let is_json = shape.is_some();
    let kind = match shape {
        Some(shape) if shape.is_list => return no_reader(),
        Some(shape) if shape.has_prefix("master/") || shape.has_prefix("registrar/") => "metrics",
        Some(shape) if shape.has("slaves") && shape.has("frameworks") => {
            let is_state = ["version", "leader", "pid", "completed_frameworks", "orphan_tasks"];
            if is_state.iter().any(|key| shape.has(key)) { "state" } else { "state-summary" }
        }
        Some(shape) if shape.has("slaves") => "slaves",
        // Upstreams call both a state; only an agent names its master.
        Some(shape) if shape.has("frameworks") && shape.has("master_hostname") => {
            return read_agent(name, body);
        }
        Some(_) if is_named(name, &["overlay", "role", "task", "info", "flag", "history"]) => {
            return no_reader();
        }
        Some(_) => by_name(name),
        None => by_name(name),
    };
    match kind {
        "state" => told(master::read_state(body), |state| {
            let living = state.tasks.iter().filter(|(_, task)| task.state.is_living()).count();
            format!(
                "kind=state agents={} tasks={} completed={} living={living} unreachable={} frameworks={} recovered={} \
                 hidden={} version={}",
                state.agents.len(),
                state.tasks.len(),
                state.completed_count,
                state.unreachable_tasks.len(),
                state.frameworks,
                state.recovered.len(),
                state.hidden_count,
                word(&state.version)
            )
        }),
        "slaves" => told(master::read_agents(body), |read| {
            let active = read.agents.iter().filter(|agent| agent.active).count();
            format!(
                "kind=slaves agents={} active={active} recovered={}",
                read.agents.len(),
                read.recovered.len()
            )
        }),
        "state-summary" => told(master::read_summary(body), |read| {
            let tasks: u64 = read.agents.iter().map(|one| one.living_tasks).sum();
            format!(
                "kind=state-summary agents={} tasks={tasks} frameworks={}",
                read.agents.len(),
                read.frameworks
            )
        }),
        "metrics" => told(master::read_metrics(body), |read| {
            format!(
                "kind=metrics elected={} agents={} tasks={} uptime={}",
                number(read.elected),
                count(read.agents_active),
                count(read.tasks_running),
                number(read.uptime_secs)
            )
        }),
        _ => unknown(name, is_json),
    }
}

fn read_agent(name: &str, body: &[u8]) -> Outcome {
    let shape = Shape::of(body);
    let is_json = shape.is_some();
    let kind = match shape {
        Some(shape) if shape.is_list && shape.has("container_id") => "containers",
        Some(shape) if shape.is_list && shape.is_empty && name.contains("container") => "containers",
        Some(shape) if shape.is_list => return no_reader(),
        Some(shape) if shape.has_prefix("slave/") => "metrics",
        Some(shape) if shape.has("frameworks") && shape.has("slaves") => return read_master(name, body),
        Some(shape) if shape.has("frameworks") => "state",
        Some(_) if is_named(name, &["statistics", "flag", "app_stats"]) => return no_reader(),
        Some(_) | None if name.contains("container") => "containers",
        Some(_) | None => by_name(name),
    };
    match kind {
        "state" => told(agent::read_state(body), |state| {
            let living = state.tasks.iter().filter(|task| task.state.is_living()).count();
            format!(
                "kind=state tasks={} completed={} living={living} frameworks={} containers={} hidden={} version={} id={}",
                state.tasks.len(),
                state.completed_count,
                state.frameworks,
                state.containers.len(),
                state.hidden_count,
                word(&state.version),
                word(state.id.as_deref().unwrap_or_default())
            )
        }),
        "containers" => told(agent::read_containers(body), |read| {
            let frameworks: BTreeSet<_> = read.iter().map(|one| &one.framework_id).collect();
            format!("kind=containers containers={} frameworks={}", read.len(), frameworks.len())
        }),
        "metrics" => told(agent::read_agent_metrics(body), |read| {
            format!("kind=metrics registered={} uptime={}", number(read.registered), number(read.uptime_secs))
        }),
        _ => unknown(name, is_json),
    }
}

fn read_puppet(name: &str, body: &[u8]) -> Outcome {
    let has_line = |start: &str| {
        body.split(|byte| *byte == b'\n')
            .take(2000)
            .any(|line| line.trim_ascii_start().starts_with(start.as_bytes()))
    };
    let is_yaml = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    let is_report = name.contains("report")
        || has_line("report_format:")
        || has_line("--- !ruby/object:Puppet::Transaction");
    let is_summary = name.contains("summary") || (is_yaml && has_line("last_run:"));
    if is_report && !name.contains("summary") {
        told(puppet::read_report(body), |report| {
            format!(
                "kind=report status={} resources={} failing={} completed={} cached={} version={}",
                word(&report.status),
                report.resources,
                report.failing.len(),
                report.completed.map_or("-".to_owned(), |flag| flag.to_string()),
                word(report.cached_catalog.as_deref().unwrap_or_default()),
                word(&report.version)
            )
        })
    } else if is_summary {
        told(puppet::read_summary(body), |summary| {
            let resources = summary.resources.unwrap_or_default();
            format!(
                "kind=summary resources={} failed={} changed={} catalog={} last_run={} version={}",
                resources.total,
                resources.failed,
                resources.changed,
                summary.resources.is_some(),
                summary.last_run.map_or("-".to_owned(), |at| at.as_second().to_string()),
                word(&summary.version)
            )
        })
    } else {
        no_reader()
    }
}

fn read_zookeeper(name: &str, body: &[u8]) -> Outcome {
    let starts = |start: &str| body.trim_ascii_start().starts_with(start.as_bytes());
    let kind = if starts("zk_") || name.contains("mntr") {
        "mntr"
    } else if name.contains("stat") {
        "stat"
    } else if starts("Zookeeper version") || name.contains("srvr") {
        "srvr"
    } else {
        return no_reader();
    };
    let read = if kind == "mntr" { zookeeper::read_mntr(body) } else { zookeeper::read_srvr(body) };
    told(read, |member| {
        format!(
            "kind={kind} mode={} nodes={} synced_followers={} epoch={} version={}",
            word(member.mode.as_deref().unwrap_or_default()),
            count(member.nodes),
            count(member.synced_followers),
            count(member.epoch()),
            word(&member.version)
        )
    })
}

fn read_docker(name: &str, body: &[u8]) -> Outcome {
    let shape = Shape::of(body);
    let is_json = shape.is_some();
    let kind = match shape {
        Some(shape) if shape.has("Driver") && (shape.has("DriverStatus") || shape.has("NCPU")) => "info",
        Some(shape) if shape.has("Id") && shape.has("State") && shape.has("Name") => "inspect",
        Some(shape)
            if shape.has("Id") && shape.has("Image") && (shape.has("Names") || shape.has("Status")) =>
        {
            "list"
        }
        Some(shape)
            if shape.is_list
                && shape.is_empty
                && is_named(name, &["list", "containers-json", "containers_json"]) =>
        {
            "list"
        }
        Some(_) if is_named(name, &["image", "event", "version", "pull", "disk", "ping"]) => {
            return no_reader();
        }
        Some(_) | None => {
            if name.contains("inspect") || name.contains("containers_id") {
                "inspect"
            } else if is_named(name, &["list", "containers"]) {
                "list"
            } else if name.contains("info") {
                "info"
            } else {
                return unknown(name, is_json);
            }
        }
    };
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    match kind {
        "info" => told(docker::read_info(body), |info| {
            let pool = info
                .pool
                .and_then(|pool| pool.data)
                .map_or("-".to_owned(), |data| data.percent().to_string());
            format!(
                "kind=info containers={} images={} driver={} pool_percent={pool} version={}",
                count(info.containers),
                count(info.images),
                word(&info.driver),
                word(&info.version)
            )
        }),
        "list" => told(docker::read_list(body), |list| {
            let running = list.iter().filter(|one| one.state == "running").count();
            format!("kind=list containers={} running={running}", list.len())
        }),
        // The command prints a list even of one; the API gives the object.
        _ if is_list => told(docker::read_inspects(body), |list| inspected(&list)),
        _ => told(docker::read_inspect(body), |one| inspected(&[one])),
    }
}

fn inspected(list: &[docker::Inspected]) -> String {
    let running = list.iter().filter(|one| one.state == "running").count();
    let restarts: u64 = list.iter().map(|one| one.restarts).sum();
    let first = list.first();
    format!(
        "kind=inspect containers={} running={running} restarts={restarts} state={} health={}",
        list.len(),
        word(first.map_or("", |one| &one.state)),
        word(first.and_then(|one| one.health.as_deref()).unwrap_or_default())
    )
}

fn is_named(name: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| name.contains(part))
}

/// The kind by name alone, where the content says nothing.
fn by_name(name: &str) -> &'static str {
    if name.contains("summary") {
        "state-summary"
    } else if is_named(name, &["metrics", "snapshot", "stats"]) {
        "metrics"
    } else if name.contains("state") {
        "state"
    } else if is_named(name, &["slaves", "agents"]) {
        "slaves"
    } else {
        ""
    }
}

fn word(text: &str) -> String {
    let word: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() || letter.is_control() { '_' } else { letter })
        .take(80)
        .collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

fn number(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn count(count: Option<u64>) -> String {
    count.map_or("-".to_owned(), |count| count.to_string())
}
