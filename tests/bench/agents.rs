//! Many agents in one process, each with a certificate and a connection of its own. It is told over standard input what to
//! do and says on standard output what came of it; it has a processor of its own.
//!
//! `intake`: all connections are opened, then each line `MILLISECONDS` sends as many reports as are
//! taken in that time, with 0 one of each agent.
//! `storm`: every agent reports in the rhythm of the real one; each line `down together` or `down spread` begins a
//! restart of the coordinator, and `up` tells that it answers again.

use crate::{authority::Agents, line::share, load::exchange, reports::Bodies, sample_fleet::node_name};
use anyhow::{Context, Result, bail, ensure};
use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Deserialize, Serialize};
use std::{
    cell::{Cell, RefCell},
    hash::{BuildHasher, RandomState},
    io::{self, BufRead, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc::UnboundedReceiver},
    task::LocalSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Reports under way at once, and handshakes, where they are to be taken one after another.
const AT_ONCE: usize = 32;
/// As the agent's defaults: from one report to the next, how long one may take, the longest wait after failures.
const EVERY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);
const AT_MOST: Duration = Duration::from_secs(60);
/// Before the first restart everybody comes one by one.
const FIRST: Duration = Duration::from_secs(60);
/// Who has not been heard by then has not come back.
const LIMIT: Duration = Duration::from_secs(300);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// As many reports as are taken, by those who are connected.
    Intake,
    /// Coming back after restarts.
    Storm,
}

/// Whom to play.
#[derive(clap::Args)]
pub struct Options {
    /// What is to be done.
    #[arg(long)]
    kind: Kind,
    /// The port that takes reports.
    #[arg(long)]
    port: u16,
    /// How many agents.
    #[arg(long)]
    nodes: u32,
    /// The folder of the authority.
    #[arg(long)]
    authority: PathBuf,
}

/// What came of one line of `intake`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Reports that were taken in.
    pub taken: u64,
    /// Seconds from the first to the last.
    pub seconds: f64,
    /// The 99th percentile of an answer, in milliseconds.
    pub p99_ms: f64,
}

/// What came of one restart.
#[derive(Debug, Serialize, Deserialize)]
pub struct Back {
    /// How many were heard again.
    pub heard: usize,
    /// Seconds from the coordinator's first word until half of them, 99 of 100, and all of them were heard.
    pub seconds: [f64; 3],
    /// Handshakes that were completed.
    pub handshakes: u64,
    /// Reports that did not come through: nobody there, no answer within the agent's patience.
    pub failed: u64,
}

/// Does what it is told, line by line, until there are no more.
pub fn run(options: Options) -> Result<()> {
    let authority = Agents::read(&options.authority)?;
    let agents: Vec<Agent> = (1..=options.nodes)
        .map(|number| Agent::new(number, &authority, options.port))
        .collect::<Result<_>>()?;
    let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match options.kind {
            Kind::Intake => intake(agents, lines).await,
            Kind::Storm => storm(agents, lines).await,
        }
    })
}

fn tell(line: &str) -> Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// One agent.
struct Agent {
    name: String,
    bodies: Bodies,
    round: u64,
    port: u16,
    config: Arc<ClientConfig>,
    stream: Option<TlsStream<TcpStream>>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Agent {
    fn new(number: u32, authority: &Agents, port: u16) -> Result<Self> {
        Ok(Self {
            name: node_name(number),
            bodies: Bodies::of(number)?,
            round: 0,
            port,
            config: Arc::new(authority.config(number)?),
            stream: None,
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    async fn connect(&mut self) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let server = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(server, stream).await;
        self.stream = Some(stream.context("shake hands")?);
        Ok(())
    }

    /// Sends one report over the connection there is.
    async fn report(&mut self) -> Result<()> {
        let body = self.bodies.body(self.round);
        self.request.clear();
        let head = format!(
            "POST /v1/agents/{}/report HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.name,
            body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body);
        self.round += 1;
        let stream = self.stream.as_mut().context("send a report: there is no connection")?;
        let status = exchange(stream, &self.request, &mut self.answer).await?;
        ensure!(
            (200..300).contains(&status),
            "send a report: the answer is {status}: {}",
            String::from_utf8_lossy(&self.answer).chars().take(400).collect::<String>()
        );
        Ok(())
    }
}

async fn intake(agents: Vec<Agent>, mut lines: UnboundedReceiver<String>) -> Result<()> {
    let mut shares: Vec<Vec<Agent>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (place, agent) in agents.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(place % AT_ONCE) {
            share.push(agent);
        }
    }
    let connecting: Vec<_> =
        shares.into_iter().map(|share| tokio::task::spawn_local(connect_all(share))).collect();
    let mut shares = Vec::new();
    for share in connecting {
        shares.push(share.await??);
    }
    tell("ready")?;
    while let Some(line) = lines.recv().await {
        let milliseconds = line.parse().with_context(|| format!("read {line:?}: no milliseconds"))?;
        let start = Instant::now();
        let end = start + Duration::from_millis(milliseconds);
        let send = |share| match milliseconds {
            0 => tokio::task::spawn_local(report_once(share)),
            _ => tokio::task::spawn_local(report_until(share, end)),
        };
        let sending: Vec<_> = shares.drain(..).map(send).collect();
        let mut latencies = Vec::new();
        for share in sending {
            let (share, times) = share.await??;
            shares.push(share);
            latencies.extend(times);
        }
        let seconds = start.elapsed().as_secs_f64();
        let taken = Taken { taken: latencies.len() as u64, seconds, p99_ms: share(&mut latencies, 0.99) };
        tell(&serde_json::to_string(&taken)?)?;
    }
    Ok(())
}

async fn connect_all(mut agents: Vec<Agent>) -> Result<Vec<Agent>> {
    for agent in &mut agents {
        agent.connect().await?;
    }
    Ok(agents)
}

/// One report of each, and the milliseconds it took; who was let go while others were measured comes back.
async fn report_once(mut agents: Vec<Agent>) -> Result<(Vec<Agent>, Vec<f64>)> {
    let mut times = Vec::new();
    for agent in &mut agents {
        let start = Instant::now();
        if agent.report().await.is_err() {
            agent.connect().await?;
            agent.report().await?;
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok((agents, times))
}

/// One after another, again and again; the milliseconds each took.
async fn report_until(mut agents: Vec<Agent>, end: Instant) -> Result<(Vec<Agent>, Vec<f64>)> {
    let mut times = Vec::new();
    while Instant::now() < end {
        for agent in &mut agents {
            let start = Instant::now();
            if start >= end {
                break;
            }
            agent.report().await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok((agents, times))
}

/// What all agents of a storm share.
#[derive(Default)]
struct Site {
    /// Seconds after `up` at which each was heard again.
    heard: RefCell<Vec<f64>>,
    is_heard: RefCell<Vec<bool>>,
    up: Cell<Option<Instant>>,
    together: Cell<bool>,
    handshakes: Cell<u64>,
    failed: Cell<u64>,
    /// Somebody was heard.
    news: Notify,
    /// Everybody comes now.
    now: Notify,
}

async fn storm(agents: Vec<Agent>, mut lines: UnboundedReceiver<String>) -> Result<()> {
    let nodes = agents.len();
    let site = Rc::new(Site::default());
    *site.is_heard.borrow_mut() = vec![false; nodes];
    for (place, agent) in agents.into_iter().enumerate() {
        tokio::task::spawn_local(beat(
            Rc::clone(&site),
            place,
            agent,
            FIRST.mul_f64(place as f64 / nodes as f64),
        ));
    }
    // Whoever started us may end while agents still come back.
    tokio::select! {
        () = site.wait_for_all(nodes) => tell("ready")?,
        _ = lines.recv() => return Ok(()),
    }
    while let Some(line) = lines.recv().await {
        match line.as_str() {
            "down together" | "down spread" => {
                site.together.set(line == "down together");
                site.up.set(None);
                site.heard.borrow_mut().clear();
                site.is_heard.borrow_mut().fill(false);
            }
            "up" => {
                site.up.set(Some(Instant::now()));
                site.handshakes.set(0);
                site.failed.set(0);
                site.now.notify_waiters();
                // Whoever does not come back is told as such.
                tokio::select! {
                    _ = timeout(LIMIT, site.wait_for_all(nodes)) => {}
                    _ = lines.recv() => return Ok(()),
                }
                tell(&serde_json::to_string(&site.outcome())?)?;
            }
            other => bail!("read {other:?}: neither `down together`, `down spread` nor `up`"),
        }
    }
    Ok(())
}

impl Site {
    async fn wait_for_all(&self, nodes: usize) {
        while self.heard.borrow().len() < nodes {
            self.news.notified().await;
        }
    }

    fn hear(&self, place: usize) {
        if let Some(is_heard) = self.is_heard.borrow_mut().get_mut(place).filter(|heard| !**heard) {
            *is_heard = true;
            let since = self.up.get().map_or(0.0, |up| up.elapsed().as_secs_f64());
            self.heard.borrow_mut().push(since);
            self.news.notify_one();
        }
    }

    fn outcome(&self) -> Back {
        let mut heard = self.heard.borrow().clone();
        let seconds = [0.5, 0.99, 1.0].map(|part| share(&mut heard, part));
        Back { heard: heard.len(), seconds, handshakes: self.handshakes.get(), failed: self.failed.get() }
    }
}

/// One agent's life: as `agent/src/heartbeat.rs` has it, or in step with all others.
async fn beat(site: Rc<Site>, place: usize, mut agent: Agent, first: Duration) {
    sleep(first).await;
    let mut failures = 0;
    loop {
        let start = Instant::now();
        let wait = match timeout(PATIENCE, send(&site, &mut agent)).await {
            Ok(Ok(())) => {
                failures = 0;
                site.hear(place);
                EVERY.mul_f64(0.9 + fraction() / 5.0).saturating_sub(start.elapsed())
            }
            _ => {
                agent.stream = None;
                failures += 1;
                site.failed.set(site.failed.get() + 1);
                let doubled = Duration::from_secs(1 << (failures - 1).min(6)).min(AT_MOST);
                if site.together.get() {
                    Duration::from_secs(1)
                } else {
                    doubled.mul_f64(0.5 + fraction() / 2.0)
                }
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = site.now.notified(), if site.together.get() => {}
        }
    }
}

/// As an HTTP client does: a connection that was closed meanwhile is made anew, once.
async fn send(site: &Site, agent: &mut Agent) -> Result<()> {
    if agent.stream.is_some() && agent.report().await.is_ok() {
        return Ok(());
    }
    agent.stream = None;
    agent.connect().await?;
    site.handshakes.set(site.handshakes.get() + 1);
    agent.report().await
}

/// A number from 0 up to 1 that differs from agent to agent and from call to call.
fn fraction() -> f64 {
    (RandomState::new().hash_one(0) >> 32) as f64 / f64::from(u32::MAX)
}
