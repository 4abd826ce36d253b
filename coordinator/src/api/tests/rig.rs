//! A coordinator for tests: real listeners, a fleet of three listed nodes, a client for each way in.

use crate::{
    app::{App, Wanted},
    clock::{Clock, HandClock, SystemClock},
    config::Config,
    fleet::Fleet,
    people::{Caller, Rights},
    policy, serve,
    store::{Retention, Store},
};
use serde_json::{Value, json};
use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

const POLICY: &str = r#"
[cluster]
name = "test"
coordinator = "mw"
[protections]
n03 = ["never_rebuild"]
[[nodes]]
class = "agent"
names = ["n01", "n02", "n03"]
"#;

pub struct Rig {
    pub app: Arc<App>,
    pub operators: SocketAddr,
    pub agents: SocketAddr,
    folder: tempfile::TempDir,
}

/// Nodes that may be acted on, a node and a class that may not, and commands for what a person runs.
const OPERATED: &str = r#"
[cluster]
name = "test"
coordinator = "mw"
zones = ["a"]
project = "p"
[protections]
n03 = ["never_rebuild"]
[executors.commands]
create = ["ai-bs", "{host}"]
[executors.harmless_exits]
create = [2]
[classes.agent]
mode = "act"
out = { at_least = 9, percent = 10 }
images = ["builder:latest"]
[classes.agent.sources]
agent = "required"
[[nodes]]
class = "agent"
zone = "a"
names = ["n01", "n02", "n03", "n04"]
[[nodes]]
class = "dedicated"
names = ["d01"]
"#;

/// An answer; status 0 when the connection ended before one.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Rig {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more sections of the configuration.
    pub async fn start_with(sections: &str) -> Self {
        Self::build(sections, POLICY, Arc::new(SystemClock::new())).await
    }

    /// With nodes that may be acted on, healthy but for n04, which is not there; and the clock that it goes by.
    pub async fn start_operated() -> (Self, Arc<HandClock>) {
        let clock = Arc::new(HandClock::at("2026-01-31T10:00:00Z".parse().unwrap()));
        let rig = Self::build("", OPERATED, Arc::clone(&clock) as Arc<dyn Clock>).await;
        for round in 1..=8 {
            for node in ["n01", "n02", "n03", "d01"] {
                let mut report = rig.sample_report(node);
                report["sequence"] = json!(round);
                report["sent_at"] = json!(clock.now());
                assert_eq!(rig.report(node, &report).await.status, 200);
            }
            clock.advance(jiff::SignedDuration::from_secs(10));
            rig.app.with_fleet(|fleet, now| fleet.tick(now));
        }
        (rig, clock)
    }

    async fn build(sections: &str, policy: &str, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[listen]\nhost_names = [\"mw.cern.ch\"]\n{sections}");
        let config = Config::parse(&config, Path::new("c.toml")).unwrap();
        let policy = Arc::new(policy::parse(policy, Path::new("policy.toml")).unwrap());
        let fleet = Fleet::new(policy, clock.now());
        let (store, _) = Store::open(&folder.path().join("store.sqlite"), Retention::default()).unwrap();
        let app = App::new(config, clock, fleet, store).unwrap();
        let operators = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let agents = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = serve::bind_unix(&folder.path().join("s")).unwrap();
        let rig = Self {
            operators: operators.local_addr().unwrap(),
            agents: agents.local_addr().unwrap(),
            folder,
            app: Arc::clone(&app),
        };
        serve::tcp(operators, app.operators(), 64, &app.shutdown);
        serve::unix(socket, app.operators(), 64, &app.shutdown);
        serve::tcp(agents, app.agents(), 64, &app.shutdown);
        rig
    }

    /// Whether everything ended in an orderly way.
    pub async fn stopped(&self) -> bool {
        self.app.shutdown.finish(Duration::from_secs(30)).await
    }

    pub fn sample_report(&self, node: &str) -> Value {
        json!({
            "protocol": 1, "node": node, "agent_version": "0.1.0", "boot_id": "b1", "machine_id": format!("m-{node}"),
            "sequence": 1, "sent_at": "2026-01-31T10:00:00Z", "uptime_seconds": 3600,
            "findings": [{ "check": "docker", "status": "ok", "gating": true, "sentence": "Docker answers",
                "since": "2026-01-31T09:00:00Z" }],
        })
    }

    pub async fn report(&self, node: &str, body: &Value) -> Answer {
        self.report_bytes(node, body.to_string().as_bytes()).await
    }

    pub async fn report_bytes(&self, node: &str, body: &[u8]) -> Answer {
        let head = format!("POST /v1/agents/{node}/report HTTP/1.1\r\ncontent-type: application/json\r\n");
        self.tcp(self.agents, &head, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.tcp(self.operators, &format!("GET {path} HTTP/1.1\r\n"), b"").await
    }

    pub async fn get_text(&self, path: &str) -> String {
        match self.get(path).await.body {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    pub async fn agents_get(&self, path: &str) -> Answer {
        self.tcp(self.agents, &format!("GET {path} HTTP/1.1\r\n"), b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n");
        self.tcp(self.operators, &head, body.to_string().as_bytes()).await
    }

    /// As whoever runs the test, on the Unix socket.
    pub async fn post_on_socket(&self, path: &str, body: &Value) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nhost: mw\r\ncontent-type: application/json\r\n");
        self.on_socket(&head, &body.to_string()).await
    }

    /// Where the Unix socket is; it takes 64 connections.
    pub fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("s")
    }

    /// The same with any first line and headers.
    pub async fn on_socket(&self, head: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(self.folder.path().join("s")).await.unwrap();
        exchange(stream, head, body.as_bytes()).await.unwrap()
    }

    /// The secret of a new token of Jane's, and its id.
    pub async fn token(&self, may: &str) -> (String, String) {
        self.token_of("jane", may).await
    }

    /// The same of somebody else's.
    pub async fn token_of(&self, person: &str, may: &str) -> (String, String) {
        let rights = Rights::of_words(may.split_whitespace()).unwrap();
        let wanted = Wanted { person: Some(person), label: "test", rights, expires_at: None };
        let (secret, token) = self.app.make_token(&Caller::root(), "root", wanted).await.unwrap();
        (secret.text().to_owned(), token.id)
    }

    /// With a token, over TCP.
    pub async fn with_token(&self, secret: &str, first: &str, body: Option<&Value>) -> Answer {
        let head = format!(
            "{first} HTTP/1.1\r\nauthorization: Bearer {secret}\r\ncontent-type: application/json\r\n"
        );
        self.tcp(self.operators, &head, body.map(Value::to_string).unwrap_or_default().as_bytes()).await
    }

    /// One request; `head` is its first line and headers, without Host when it names one itself.
    pub async fn tcp(&self, to: SocketAddr, head: &str, body: &[u8]) -> Answer {
        let host =
            if head.to_lowercase().contains("\r\nhost:") { String::new() } else { format!("host: {to}\r\n") };
        let stream = TcpStream::connect(to).await.unwrap();
        exchange(stream, &format!("{head}{host}"), body).await.unwrap_or(Answer {
            status: 0,
            head: String::new(),
            body: Value::Null,
        })
    }
}

/// Sends a request and reads until the other end closes.
async fn exchange(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    head: &str,
    body: &[u8],
) -> io::Result<Answer> {
    let head = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    // A server that has refused a body may close before it is all sent; its answer is there all the same.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Ok(Answer { status, head: head.to_lowercase(), body })
}
