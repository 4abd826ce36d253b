//! Ten thousand agents lose their coordinator and come back, each with a whole handshake: as the real ones do, spread by
//! their rhythm and their waits, and all in step, as agents without either would.
//!
//! The coordinator has one processor and the agents the other, so no more handshakes are done in a second than one
//! processor can do; what is judged is whether all come back, how long that takes, and whether people are served meanwhile.

use crate::{
    agents::{Back, Kind},
    authority::Authority,
    coordinator::{Coordinator, HOST},
    generator::Generator,
    lab::harness::Scratch,
    line::{GOAL, Line, say, share},
    programs::free_port,
    sample_fleet::node_name,
};
use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

const NODES: u32 = 10_000;
/// One verdict is asked for so often.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Descriptors that are not connections of agents.
const OTHERS: u32 = 500;

/// Measures and prints.
pub fn run() -> Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let nodes = NODES.min(u32::try_from(limit).unwrap_or(u32::MAX).saturating_sub(OTHERS));
    if nodes < NODES {
        say(format_args!("{nodes} agents instead of {NODES}: this process may open {limit} files"));
    }
    let scratch = Scratch::new("storm")?;
    let authority = Authority::new(scratch.make("authority")?)?;
    authority.host(HOST)?;
    authority.template()?;
    let ports = [free_port()?, free_port()?];
    let mut coordinator = Coordinator::start(&scratch, nodes, Some(&authority), ports)?;
    say(format_args!("{nodes} agents come one by one"));
    let mut agents = Generator::start(Kind::Storm, coordinator.agents, nodes, &authority)?;
    let before = coordinator.watched.look().larger();
    say(format_args!("{nodes} agents keep a connection: {:.1} MiB", mebibytes(before)));
    for how in ["spread", "together"] {
        drop(coordinator);
        agents.tell(&format!("down {how}"))?;
        coordinator = Coordinator::start(&scratch, nodes, Some(&authority), ports)?;
        agents.tell("up")?;
        one(&mut coordinator, &mut agents, nodes, how)?;
    }
    Ok(())
}

/// From the first word of a coordinator that was started again until everybody has been heard.
fn one(coordinator: &mut Coordinator, agents: &mut Generator, nodes: u32, how: &str) -> Result<()> {
    let cpu = coordinator.watched.cpu_seconds().context("read the coordinator's processor time")?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, port) = (Arc::clone(&is_over), coordinator.operators);
    let asking = std::thread::spawn(move || ask(port, nodes, &over));
    let back: Back = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| agents.outcome());
        while !waiting.is_finished() {
            coordinator.watched.look();
            sleep(Duration::from_millis(100));
        }
        waiting.join().unwrap_or_else(|_| anyhow::bail!("wait for the agents"))
    })?;
    let used = coordinator.watched.cpu_seconds().context("read the coordinator's processor time")? - cpu;
    is_over.store(true, Ordering::Relaxed);
    let mut verdicts = asking.join().unwrap_or_default();
    let [half, most, all] = back.seconds;
    let p99 = share(&mut verdicts, 0.99);
    let peak = coordinator.watched.peak_bytes;
    say(format_args!(
        "{how}: {} of {nodes} heard again, half of them after {half:.1} s, 99 of 100 after {most:.1} s, the last after \
         {all:.1} s; {} handshakes, {:.0} for each second of the coordinator's processor time, {} reports failed, peak \
         {:.0} MiB, {} verdicts with a p99 of {p99:.1} ms",
        back.heard,
        back.handshakes,
        back.handshakes as f64 / used,
        back.failed,
        mebibytes(peak),
        verdicts.len()
    ));
    let name = |what: &str| format!("storm_{how}_{what}");
    let missing = f64::from(nodes) - back.heard as f64;
    Line { name: &name("not_back_after_300_s"), ours: missing, unit: "agents" }.against(GOAL, 0.0);
    // What one processor needs for their handshakes alone, at the rate that it had.
    let least = f64::from(nodes) / (back.handshakes as f64 / used);
    Line { name: &name("until_all_are_heard"), ours: all, unit: "s" }
        .against("processor_time_of_handshakes", least);
    Line { name: &name("verdict_p99"), ours: p99, unit: "ms" }.against(GOAL, 20.0);
    Line { name: &name("memory_peak"), ours: mebibytes(peak), unit: "MiB" }.against(GOAL, 512.0);
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// Asks for verdicts until it is over; milliseconds each. One that is not answered in time counts as long as it took.
fn ask(port: u16, nodes: u32, is_over: &AtomicBool) -> Vec<f64> {
    let mut times = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let node = node_name(4 + (times.len() * 37) as u32 % nodes.saturating_sub(3).max(1));
        let start = Instant::now();
        let answer = verdict(port, &node);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if let Err(error) = answer {
            say(format_args!("ask for a verdict: {error} after {:.0} s", start.elapsed().as_secs_f64()));
        }
        sleep(ASK_EVERY);
    }
    times
}

fn verdict(port: u16, node: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET /api/v1/verdicts?action=reboot&node={node} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}
