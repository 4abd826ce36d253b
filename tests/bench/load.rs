//! A load generator: reports over connections that stay open, at a fixed pace or as fast as they are taken, and
//! questions for verdicts meanwhile. It runs in a process, and on a processor, of its own.

use crate::{line::share, reports::Bodies, sample_fleet::node_name};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{
    cell::{Cell, RefCell},
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
    time::{interval_at, sleep},
};

/// Connections that send at once. More would only wait in the server's queue.
const CONNECTIONS: u32 = 32;
/// One verdict is asked for so often.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What to send where.
#[derive(clap::Args)]
pub struct Load {
    /// The port that takes reports.
    #[arg(long)]
    port: u16,
    /// How many nodes report.
    #[arg(long)]
    nodes: u32,
    /// For how long, in milliseconds; with 0, each node reports once.
    #[arg(long)]
    milliseconds: u64,
    /// Reports each second; without it as many as are taken.
    #[arg(long)]
    pace: Option<u32>,
    /// The operators' port, to ask for verdicts meanwhile.
    #[arg(long)]
    verdicts: Option<u16>,
    /// The round to begin with, so that a later load is not taken for an old one.
    #[arg(long, default_value_t = 0)]
    round: u64,
    /// Sends metrics in Prometheus' text form, as one pushes them to a Pushgateway.
    #[arg(long)]
    metrics: bool,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Reports that were taken in.
    pub taken: u64,
    /// Seconds from the first to the last.
    pub seconds: f64,
    /// The 99th percentile of a report's answer, in milliseconds.
    pub report_p99_ms: f64,
    /// The 99th percentile of a verdict, in milliseconds, where verdicts were asked for.
    pub verdict_p99_ms: Option<f64>,
    /// How many verdicts were asked for.
    pub verdicts: usize,
}

/// Everything the connections share.
struct Work {
    load: Load,
    bodies: RefCell<Vec<Bodies>>,
    next: Cell<u64>,
    taken: Cell<u64>,
    latencies: RefCell<Vec<f64>>,
    started: Instant,
}

/// Sends, and prints the outcome as JSON.
pub fn run(load: Load) -> Result<()> {
    let bodies = (1..=load.nodes).map(Bodies::of).collect::<Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = LocalSet::new().block_on(&runtime, send(load, bodies))?;
    serde_json::to_writer(io::stdout(), &outcome)?;
    Ok(())
}

async fn send(load: Load, bodies: Vec<Bodies>) -> Result<Outcome> {
    let work = Rc::new(Work {
        next: Cell::new(load.round * u64::from(load.nodes)),
        load,
        bodies: RefCell::new(bodies),
        taken: Cell::new(0),
        latencies: RefCell::default(),
        started: Instant::now(),
    });
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|number| tokio::task::spawn_local(one_connection(Rc::clone(&work), number)))
        .collect();
    let asking = work.load.verdicts.map(|port| tokio::task::spawn_local(ask(port, work.load.nodes)));
    for sender in senders {
        sender.await??;
    }
    let seconds = work.started.elapsed().as_secs_f64();
    let mut verdicts = match asking {
        Some(asking) => {
            STOP.with(|stop| stop.set(true));
            asking.await??
        }
        None => Vec::new(),
    };
    let report_p99_ms = share(&mut work.latencies.borrow_mut(), 0.99);
    Ok(Outcome {
        taken: work.taken.get(),
        seconds,
        report_p99_ms,
        verdict_p99_ms: (!verdicts.is_empty()).then(|| share(&mut verdicts, 0.99)),
        verdicts: verdicts.len(),
    })
}

thread_local! {
    /// Set once the reports are sent: this program has one thread, and both kinds of tasks live on it.
    static STOP: Cell<bool> = const { Cell::new(false) };
}

impl Work {
    fn is_over(&self) -> bool {
        match self.load.milliseconds {
            0 => self.next.get() >= (self.load.round + 1) * u64::from(self.load.nodes),
            some => self.started.elapsed() >= Duration::from_millis(some),
        }
    }

    /// The next request, whole, in `request`.
    fn next_request(&self, request: &mut Vec<u8>) {
        let turn = self.next.replace(self.next.get() + 1);
        let (round, place) = (turn / u64::from(self.load.nodes), turn % u64::from(self.load.nodes));
        let node = node_name(place as u32 + 1);
        request.clear();
        let mut head = |method: &str, path: String, kind: &str, length: usize| {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
            );
            request.extend_from_slice(head.as_bytes());
        };
        if self.load.metrics {
            let text = metrics(round);
            head("PUT", format!("/metrics/job/millwright/instance/{node}"), "text/plain", text.len());
            request.extend_from_slice(text.as_bytes());
            return;
        }
        if let Some(bodies) = self.bodies.borrow_mut().get_mut(place as usize) {
            let body = bodies.body(round);
            head("POST", format!("/v1/agents/{node}/report"), "application/json", body.len());
            request.extend_from_slice(body);
        }
    }
}

/// About four kibibytes of metrics.
fn metrics(round: u64) -> String {
    (0..56)
        .map(|number| {
            format!("# TYPE millwright_bench_{number} gauge\nmillwright_bench_{number}{{check=\"c{number}\"}} {round}\n")
        })
        .collect()
}

async fn one_connection(work: Rc<Work>, number: u32) -> Result<()> {
    let mut stream = connect(work.load.port).await?;
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let between =
        work.load.pace.map(|pace| Duration::from_secs_f64(f64::from(CONNECTIONS) / f64::from(pace)));
    // Spread over the first interval, as agents are.
    let mut beat = between
        .map(|between| interval_at(tokio::time::Instant::now() + between * number / CONNECTIONS, between));
    while !work.is_over() {
        if let Some(beat) = &mut beat {
            beat.tick().await;
        }
        work.next_request(&mut request);
        let start = Instant::now();
        let status = exchange(&mut stream, &request, &mut answer).await?;
        ensure!(
            (200..300).contains(&status),
            "send a report: the answer is {status}: {}",
            String::from_utf8_lossy(&answer).chars().take(400).collect::<String>()
        );
        work.latencies.borrow_mut().push(start.elapsed().as_secs_f64() * 1e3);
        work.taken.set(work.taken.get() + 1);
    }
    Ok(())
}

/// Asks for verdicts until the reports are sent; milliseconds each.
async fn ask(port: u16, nodes: u32) -> Result<Vec<f64>> {
    let mut stream = connect(port).await?;
    let (mut times, mut answer) = (Vec::new(), Vec::new());
    let actions = ["drain", "reboot", "rebuild", "delete"];
    while !STOP.with(Cell::get) {
        let turn = times.len();
        let node = node_name(4 + (turn * 37) as u32 % nodes.saturating_sub(3).max(1));
        let action = actions.get(turn % actions.len()).copied().unwrap_or_default();
        let request =
            format!("GET /api/v1/verdicts?action={action}&node={node} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let start = Instant::now();
        let status = exchange(&mut stream, request.as_bytes(), &mut answer).await?;
        ensure!(status == 200, "ask for a verdict: the answer is {status}");
        times.push(start.elapsed().as_secs_f64() * 1e3);
        sleep(ASK_EVERY).await;
    }
    Ok(times)
}

async fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and reads its answer whole: head, and as much body as the head says.
pub async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
    answer: &mut Vec<u8>,
) -> Result<u16> {
    stream.write_all(request).await?;
    answer.clear();
    loop {
        ensure!(stream.read_buf(answer).await? > 0, "read an answer: the connection was closed");
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if answer.len() >= head + 4 + length.unwrap_or(0usize) {
            let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
            return status.context("read an answer: no status in it");
        }
    }
}
