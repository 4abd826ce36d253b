//! A small framework for Mesos: launches some tasks alike in Docker containers and looks after them.
//!
//! Writes a line `update ID STATE MESSAGE` for each change, and `offer PATH` for each offer. A line `kill` on standard input kills the tasks; its end,
//! or SIGTERM, kills them too and ends the framework once Mesos has confirmed it.

mod event_stream;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use event_stream::{Endpoint, Events, text};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// After this the master is left to clean up by itself, which it does when a framework goes.
const GOODBYE_LIMIT: Duration = Duration::from_secs(10);

/// Long enough for a resource that is of no use to us to go to other frameworks.
const REFUSE_SECONDS: f64 = 3600.0;

/// Launches tasks alike in Docker containers and looks after them.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address of the master, such as http://127.0.0.1:5050.
    #[arg(long)]
    master: String,
    /// Name of the framework.
    #[arg(long)]
    framework: String,
    /// Name of the tasks.
    #[arg(long)]
    name: String,
    /// Id of the task; several get .1, .2 and so on behind it.
    #[arg(long)]
    id: String,
    /// A label KEY=VALUE; may be repeated.
    #[arg(long = "label")]
    labels: Vec<String>,
    /// How many tasks.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// CPUs of each task.
    #[arg(long, default_value_t = 0.1)]
    cpus: f64,
    /// MiB of memory of each task.
    #[arg(long, default_value_t = 32.0)]
    mem: f64,
    /// Image of the containers.
    #[arg(long)]
    image: String,
    /// Shell command in the containers.
    #[arg(long)]
    command: String,
    /// Only on this agent: 1 for the one whose path is /slave(1).
    #[arg(long)]
    agent: Option<usize>,
    /// Keep every offer and answer none, as Aurora does for minutes.
    #[arg(long)]
    hold: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    Framework::new(Arguments::parse())?.run().await
}

struct Framework {
    arguments: Arguments,
    endpoint: Endpoint,
    id: Value,
    waiting: Vec<String>,
    /// Launched and not yet ended: task id to the agent's id.
    alive: BTreeMap<String, Value>,
}

impl Framework {
    fn new(arguments: Arguments) -> Result<Self> {
        let waiting = match arguments.count {
            1 => vec![arguments.id.clone()],
            // In reverse, because they are taken from the end.
            count => (1..=count).rev().map(|number| format!("{}.{number}", arguments.id)).collect(),
        };
        let endpoint = Endpoint::new(format!("{}/api/v1/scheduler", arguments.master))?;
        Ok(Self { arguments, endpoint, id: Value::Null, waiting, alive: BTreeMap::new() })
    }

    async fn run(&mut self) -> Result<()> {
        let mut events = self.subscribe().await?;
        let mut lines = standard_input();
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                event = events.next() => match event? {
                    Some(event) => self.handle(&event).await?,
                    None => bail!("the master closed the event stream"),
                },
                line = lines.recv() => match line.as_deref() {
                    Some("kill") => self.kill_all().await?,
                    Some(other) => bail!("read standard input: found {other:?}, the one command is `kill`"),
                    None => break,
                },
                _ = terminate.recv() => break,
            }
        }
        let goodbye = tokio::time::timeout(GOODBYE_LIMIT, self.say_goodbye(&mut events)).await;
        goodbye.context("kill the tasks: some did not end in time")?
    }

    async fn subscribe(&mut self) -> Result<Events> {
        let framework = json!({
            "user": "root",
            "name": self.arguments.framework,
            "roles": ["*"],
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
        });
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework}});
        self.endpoint.subscribe(&call).await
    }

    async fn say_goodbye(&mut self, events: &mut Events) -> Result<()> {
        self.waiting.clear();
        self.kill_all().await?;
        while !self.alive.is_empty() {
            match events.next().await? {
                Some(event) => self.handle(&event).await?,
                None => return Ok(()),
            }
        }
        self.call(json!({"type": "TEARDOWN"})).await
    }

    async fn handle(&mut self, event: &Value) -> Result<()> {
        match text(event, "/type") {
            "SUBSCRIBED" => {
                self.id = event.pointer("/subscribed/framework_id").cloned().unwrap_or_default();
                say(&format!("subscribed {}", text(&self.id, "/value")))
            }
            "OFFERS" => {
                let offers = event.pointer("/offers/offers").and_then(Value::as_array);
                for offer in offers.into_iter().flatten() {
                    say(&format!("offer {}", text(offer, "/url/path")))?;
                    self.answer(offer).await?;
                }
                Ok(())
            }
            "UPDATE" => self.update(event.pointer("/update/status").unwrap_or(&Value::Null)).await,
            "ERROR" => bail!("the master refused: {}", text(event, "/error/message")),
            _ => Ok(()),
        }
    }

    /// Launches what fits and is still waiting; what is left of the offer goes back.
    async fn answer(&mut self, offer: &Value) -> Result<()> {
        if self.arguments.hold {
            return Ok(());
        }
        let mut tasks = Vec::new();
        if self.is_wanted(offer) {
            let fits =
                (scalar(offer, "cpus") / self.arguments.cpus).min(scalar(offer, "mem") / self.arguments.mem);
            while (tasks.len() as f64) < fits.floor()
                && let Some(id) = self.waiting.pop()
            {
                tasks.push(self.task(&id, offer));
                self.alive.insert(id, offer["agent_id"].clone());
            }
        }
        let filters = json!({"refuse_seconds": REFUSE_SECONDS});
        let (ids, operations) =
            (json!([offer["id"]]), json!([{"type": "LAUNCH", "launch": {"task_infos": tasks}}]));
        self.call(if tasks.is_empty() {
            json!({"type": "DECLINE", "decline": {"offer_ids": ids, "filters": filters}})
        } else {
            json!({"type": "ACCEPT", "accept": {"offer_ids": ids, "operations": operations, "filters": filters}})
        })
        .await
    }

    fn is_wanted(&self, offer: &Value) -> bool {
        let path = text(offer, "/url/path");
        self.arguments.agent.is_none_or(|agent| path == format!("/slave({agent})"))
    }

    fn task(&self, id: &str, offer: &Value) -> Value {
        let labels = self.arguments.labels.iter().map(|label| match label.split_once('=') {
            Some((key, value)) => json!({"key": key, "value": value}),
            None => json!({"key": label}),
        });
        json!({
            "name": self.arguments.name,
            "task_id": {"value": id},
            "agent_id": offer["agent_id"],
            "command": {"value": self.arguments.command},
            "container": {"type": "DOCKER", "docker": {"image": self.arguments.image, "network": "HOST"}},
            "labels": {"labels": labels.collect::<Vec<_>>()},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": self.arguments.cpus}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": self.arguments.mem}},
            ],
        })
    }

    async fn update(&mut self, status: &Value) -> Result<()> {
        let (id, state) = (text(status, "/task_id/value"), text(status, "/state"));
        say(&format!("update {id} {state} {}", text(status, "/message")))?;
        if !matches!(state, "TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING" | "TASK_KILLING") {
            self.alive.remove(id);
        }
        // Without an id of its own an update wants no acknowledgement.
        if status.get("uuid").is_none() {
            return Ok(());
        }
        let acknowledge =
            json!({"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]});
        self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge})).await
    }

    async fn kill_all(&mut self) -> Result<()> {
        for (id, agent) in &self.alive {
            let kill = json!({"task_id": {"value": id}, "agent_id": agent});
            self.call(json!({"type": "KILL", "kill": kill})).await?;
        }
        Ok(())
    }

    async fn call(&self, mut call: Value) -> Result<()> {
        if let Some(fields) = call.as_object_mut() {
            fields.insert("framework_id".to_owned(), self.id.clone());
        }
        self.endpoint.call(&call).await
    }
}

/// The lines of standard input. A thread of its own reads them, because nothing could end a read that waits.
fn standard_input() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The amount of a resource in an offer; it may come in several parts.
fn scalar(offer: &Value, name: &str) -> f64 {
    let resources = offer["resources"].as_array().into_iter().flatten();
    let parts = resources.filter(|resource| resource["name"] == name);
    parts.filter_map(|resource| resource.pointer("/scalar/value")?.as_f64()).sum()
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to standard output")
}
