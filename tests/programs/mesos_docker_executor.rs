//! Runs one task of Mesos in a Docker container, under the name and in the place of Mesos' own program for it,
//! which is not part of the package that the lab takes Mesos from.
//!
//! The agent starts it with `--container=mesos-…` and `--docker_socket=…`, tells it the rest in the environment and
//! over its executor API, and finds the container by that name. The container ends with the task, at the latest
//! when this program or the agent does.

mod event_stream;

use std::io::Write;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use event_stream::{Endpoint, Events, text};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// How long the agent may take to confirm the last update.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    Executor::from_environment()?.run().await
}

struct Executor {
    endpoint: Endpoint,
    docker: Docker,
    framework_id: Value,
    executor_id: Value,
}

impl Executor {
    fn from_environment() -> Result<Self> {
        // slave(1)@127.0.0.1:5050
        let agent = variable("MESOS_SLAVE_PID")?;
        let (path, address) = agent.split_once('@').context("read MESOS_SLAVE_PID: no @ in it")?;
        Ok(Self {
            endpoint: Endpoint::new(format!("http://{address}/{path}/api/v1/executor"))?,
            docker: Docker::from_arguments()?,
            framework_id: json!({"value": variable("MESOS_FRAMEWORK_ID")?}),
            executor_id: json!({"value": variable("MESOS_EXECUTOR_ID")?}),
        })
    }

    async fn run(&mut self) -> Result<()> {
        let subscribe = json!({"unacknowledged_tasks": [], "unacknowledged_updates": []});
        let mut events = self.endpoint.subscribe(&self.envelope("SUBSCRIBE", "subscribe", subscribe)).await?;
        let task = loop {
            let Some(event) = events.next().await? else { return Ok(()) };
            match text(&event, "/type") {
                "LAUNCH" => break event.pointer("/launch/task").cloned().unwrap_or_default(),
                "SHUTDOWN" => return Ok(()),
                _ => say(&format!("event {}", text(&event, "/type")))?,
            }
        };
        let ended = self.look_after(&task, &mut events).await;
        self.docker.remove().await?;
        // Whoever waits for the task sees this message; a sandbox nobody reads would keep it.
        let (state, message) = ended.unwrap_or_else(|error| ("TASK_FAILED", format!("{error:#}")));
        let update = self.report(&task, state, &message).await?;
        // The agent takes our end for the task's failure unless it has confirmed this update before.
        let _ = tokio::time::timeout(GOODBYE_LIMIT, acknowledged(&mut events, &update)).await;
        Ok(())
    }

    /// From the container's start to its end, by itself or because somebody wants it.
    async fn look_after(&self, task: &Value, events: &mut Events) -> Result<(&'static str, String)> {
        let mut container = self.docker.start(task)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut reported = false;
        let mut killed = false;
        loop {
            tokio::select! {
                status = container.wait() => return Ok(self.docker.outcome(status?, killed)),
                () = self.docker.is_running(), if !reported => {
                    self.report(task, "TASK_RUNNING", "").await?;
                    reported = true;
                }
                event = events.next() => match event?.as_ref().map(|event| text(event, "/type")) {
                    // No stream means no agent: Mesos wants us gone then, container included.
                    Some("KILL" | "SHUTDOWN") | None => {
                        killed = true;
                        self.docker.kill(&mut container).await?;
                    }
                    Some(_) => {}
                },
                _ = terminate.recv() => {
                    killed = true;
                    self.docker.kill(&mut container).await?;
                }
            }
        }
    }

    /// Tells the agent about the task and returns the id of that update.
    async fn report(&self, task: &Value, state: &str, message: &str) -> Result<String> {
        say(&format!("update {state} {message}"))?;
        let id = update_id()?;
        let status = json!({
            "task_id": task["task_id"],
            "executor_id": self.executor_id,
            "state": state,
            "message": message,
            "source": "SOURCE_EXECUTOR",
            // Left out it would become 0, and the task's start the year 1970.
            "timestamp": SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64(),
            "uuid": id,
        });
        self.endpoint.call(&self.envelope("UPDATE", "update", json!({"status": status}))).await?;
        Ok(id)
    }

    fn envelope(&self, kind: &str, field: &str, content: Value) -> Value {
        json!({"type": kind, "framework_id": self.framework_id, "executor_id": self.executor_id, field: content})
    }
}

/// The one container of this executor.
struct Docker {
    program: String,
    socket: String,
    container: String,
    sandbox: String,
}

impl Docker {
    fn from_arguments() -> Result<Self> {
        let socket = argument("docker_socket")?;
        let socket = if socket.contains("://") { socket } else { format!("unix://{socket}") };
        Ok(Self {
            program: argument("docker")?,
            socket,
            container: argument("container")?,
            sandbox: argument("sandbox_directory")?,
        })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-H", &self.socket, verb]);
        command
    }

    /// Starts it with what the task says about image, network and command, and with what Mesos promises tasks:
    /// the sandbox, and their own ids in the environment.
    fn start(&self, task: &Value) -> Result<Child> {
        let image = text(task, "/container/docker/image");
        if image.is_empty() {
            bail!("launch task {}: it names no Docker image", text(task, "/task_id/value"));
        }
        let network = text(task, "/container/docker/network").to_lowercase();
        self.command("run")
            .args(["--name", &self.container, "--init"])
            .args(["--network", if network.is_empty() { "host" } else { &network }])
            .args(["--volume", &format!("{}:/mnt/mesos/sandbox", self.sandbox)])
            .args(["--env", "MESOS_SANDBOX=/mnt/mesos/sandbox"])
            .args(["--env", &format!("MESOS_CONTAINER_NAME={}", self.container)])
            .args(["--env", &format!("MESOS_TASK_ID={}", text(task, "/task_id/value"))])
            .args([image, "sh", "-c", text(task, "/command/value")])
            .stdin(std::process::Stdio::null())
            .spawn()
            .context("start docker run")
    }

    /// Comes back as soon as the container runs; never, if it ends before.
    async fn is_running(&self) {
        loop {
            let look = self
                .command("inspect")
                .args(["--format", "{{.State.Running}}", &self.container])
                .output()
                .await;
            if look.is_ok_and(|output| output.stdout.starts_with(b"true")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the container and waits for it. One that is not there yet appears within a moment, so it asks again.
    async fn kill(&self, container: &mut Child) -> Result<()> {
        while container.try_wait()?.is_none() {
            self.command("kill").arg(&self.container).output().await.context("run docker kill")?;
            let _ = tokio::time::timeout(Duration::from_millis(200), container.wait()).await;
        }
        Ok(())
    }

    /// What the end of `docker run` means for the task. Its own complaints end up in the sandbox, where our output goes.
    fn outcome(&self, status: ExitStatus, killed: bool) -> (&'static str, String) {
        if killed {
            return ("TASK_KILLED", String::new());
        }
        if status.success() {
            return ("TASK_FINISHED", String::new());
        }
        let complaints = std::fs::read_to_string(format!("{}/stderr", self.sandbox)).unwrap_or_default();
        (
            "TASK_FAILED",
            format!("docker run: {status}: {}", complaints.lines().last().unwrap_or("it said nothing")),
        )
    }

    /// Leaves nothing behind under this name.
    async fn remove(&self) -> Result<()> {
        self.command("rm")
            .args(["--force", &self.container])
            .output()
            .await
            .context("run docker rm")
            .map(drop)
    }
}

/// Waits for the confirmation of this one update; that of an earlier one may come first.
async fn acknowledged(events: &mut Events, update: &str) -> Result<()> {
    while let Some(event) = events.next().await? {
        if text(&event, "/type") == "SHUTDOWN" || text(&event, "/acknowledged/uuid") == update {
            break;
        }
    }
    Ok(())
}

/// A new random UUID, as bytes in base64. Mesos refuses other bytes.
fn update_id() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("read a new UUID")?;
    let number = u128::from_str_radix(&text.trim().replace('-', ""), 16).context("read a new UUID")?;
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // From the first six bits to the last two, which are filled up with zeros.
    let shifts = (0..21).map(|place| number >> (122 - 6 * place)).chain([number << 4]);
    let digits = shifts.filter_map(|bits| DIGITS.get((bits & 63) as usize).map(|digit| char::from(*digit)));
    Ok(digits.chain("==".chars()).collect())
}

/// The value of `--name=value`. The agent passes more of these than we know, and each version others.
fn argument(name: &str) -> Result<String> {
    let prefix = format!("--{name}=");
    let found = std::env::args().find_map(|argument| argument.strip_prefix(&prefix).map(str::to_owned));
    found.with_context(|| format!("find the argument --{name}, which Mesos passes"))
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("read {name}, which Mesos sets"))
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to standard output")
}
