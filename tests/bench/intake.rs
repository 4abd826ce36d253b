//! Taking reports in: the real coordinator, beside a bare handler that reads the same bodies, nginx throwing them
//! away, and a Pushgateway.
//!
//! Each server has one processor and the load another. Rates are per second of the server's processor time, so that
//! a generator that is too slow, or a machine that is busy with something else, flatters nobody. Short rounds take
//! turns, and the median of each server's rounds counts.

use crate::{
    coordinator::Coordinator,
    lab::harness::Scratch,
    line::{GOAL, Line, median, say},
    load::Outcome,
    programs::{self, answers, find, free_port, on_processor},
    watched::Watched,
};
use anyhow::{Context, Result, bail};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const NODES: u32 = 10_000;
/// A Pushgateway holds this many; more would take minutes to fill.
const PUSHERS: u32 = 1_000;
const ROUNDS: usize = 3;
const ROUND_MILLISECONDS: u64 = 3_000;
/// All nodes every ten seconds, and ten times as many.
const PACES: [(&str, u32); 2] = [("10000", NODES / 10), ("100000", NODES)];

/// One server that takes reports.
struct Server {
    watched: Watched,
    port: u16,
    rates: Vec<f64>,
}

/// Measures and prints.
pub fn run() -> Result<()> {
    let scratch = Scratch::new("intake")?;
    let (coordinator, operators) = start_coordinator(&scratch)?;
    let mut servers = vec![coordinator, start_bare(&scratch)?];
    if let Some(nginx) = find("nginx") {
        servers.push(start_nginx(&nginx, &scratch)?);
    }
    let coordinator = servers.first_mut().context("the coordinator runs")?;
    let before = coordinator.watched.look();
    // Two rounds fill every server's memory with all nodes before anything counts.
    for round in 0..2 {
        send(coordinator, &["--milliseconds", "0", "--round", &round.to_string()], NODES)?;
    }
    let after = coordinator.watched.look();
    say(format_args!(
        "the coordinator with {NODES} nodes: {:.1} MiB, {:.2} KiB for each node beyond an empty fleet",
        after.larger() as f64 / 1024.0 / 1024.0,
        after.larger().saturating_sub(before.larger()) as f64 / 1024.0 / f64::from(NODES)
    ));
    idle(coordinator)?;
    let mut first_round = 10;
    for _ in 0..ROUNDS {
        for server in &mut servers {
            first_round += 1_000;
            let outcome = at_full_speed(server, first_round)?;
            say(format_args!(
                "{}: {:.0} reports/s, {:.0} for each second of its processor time, p99 of an answer {:.1} ms",
                server.watched.name,
                outcome.taken as f64 / outcome.seconds,
                server.rates.last().copied().unwrap_or_default(),
                outcome.report_p99_ms
            ));
        }
    }
    let mut rates = servers.iter_mut().map(|server| (server.watched.name, median(&mut server.rates)));
    let ours = rates.next().map_or(f64::NAN, |(_, rate)| rate);
    let line = Line { name: "reports_taken_in", ours, unit: "per_core_second" };
    for (peer, theirs) in rates.collect::<Vec<_>>() {
        line.against(peer, theirs);
    }
    let coordinator = servers.first_mut().context("the coordinator runs")?;
    for (name, pace) in PACES {
        first_round += 1_000;
        at_pace(coordinator, operators, name, pace, first_round)?;
    }
    if let Some(program) = find("prometheus-pushgateway") {
        line.against("pushgateway_1000_nodes", pushgateway(&program, &scratch)?);
    }
    Ok(())
}

/// What the coordinator uses while nobody says anything: all verdicts every five seconds, the store. It is part of
/// every rate below, the more of it the slower the machine lets it be.
fn idle(server: &Server) -> Result<()> {
    let (before, start) = (cpu(server)?, Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    let busy = (cpu(server)? - before) / start.elapsed().as_secs_f64();
    say(format_args!("the coordinator at rest with {NODES} nodes: {:.1} % of a core", busy * 100.0));
    Ok(())
}

/// Verdicts while so many nodes report every ten seconds.
fn at_pace(server: &mut Server, operators: u16, nodes: &str, pace: u32, round: u64) -> Result<()> {
    // Everybody is heard of first: a fleet that falls silent and comes back is another story.
    send(server, &["--milliseconds", "0", "--round", &round.to_string()], NODES)?;
    let round = round + 1;
    let (before, start) = (cpu(server)?, Instant::now());
    let (pace_text, operators, round) = (pace.to_string(), operators.to_string(), round.to_string());
    let arguments =
        ["--milliseconds", "10000", "--pace", &pace_text, "--verdicts", &operators, "--round", &round];
    let outcome = send(server, &arguments, NODES)?;
    let busy = (cpu(server)? - before) / start.elapsed().as_secs_f64();
    say(format_args!(
        "{nodes} nodes reporting every 10 s ({:.0}/s taken of {pace}/s): {:.0} % of a core, {} verdicts meanwhile",
        outcome.taken as f64 / outcome.seconds,
        busy * 100.0,
        outcome.verdicts
    ));
    let name = format!("verdict_p99_while_{nodes}_nodes_report");
    Line { name: &name, ours: outcome.verdict_p99_ms.unwrap_or(f64::NAN), unit: "ms" }.against(GOAL, 20.0);
    Ok(())
}

fn at_full_speed(server: &mut Server, round: u64) -> Result<Outcome> {
    let before = cpu(server)?;
    let milliseconds = ROUND_MILLISECONDS.to_string();
    let outcome = send(server, &["--milliseconds", &milliseconds, "--round", &round.to_string()], NODES)?;
    server.rates.push(outcome.taken as f64 / (cpu(server)? - before));
    Ok(outcome)
}

fn cpu(server: &Server) -> Result<f64> {
    server
        .watched
        .cpu_seconds()
        .with_context(|| format!("read the processor time of {}", server.watched.name))
}

/// Runs the load generator on the other processor.
fn send(server: &mut Server, arguments: &[&str], nodes: u32) -> Result<Outcome> {
    let mut command = on_processor(1, &programs::bench()?);
    command.args(["load", "--port", &server.port.to_string(), "--nodes", &nodes.to_string()]).args(arguments);
    let output = command.output()?;
    if !output.status.success() {
        bail!(
            "send reports to {}: {}\n{}",
            server.watched.name,
            String::from_utf8_lossy(&output.stderr).trim(),
            server.watched.log_tail()
        );
    }
    serde_json::from_slice(&output.stdout).context("read the outcome of a load")
}

fn start_coordinator(scratch: &Scratch) -> Result<(Server, u16)> {
    let coordinator = Coordinator::start(scratch, NODES, None, [0, 0])?;
    let Coordinator { watched, agents: port, operators } = coordinator;
    Ok((Server { watched, port, rates: Vec::new() }, operators))
}

/// The handler of `neighbours`: reads the same body into the same types and answers the same.
fn start_bare(scratch: &Scratch) -> Result<Server> {
    let (http, zookeeper) = (free_port()?, free_port()?);
    let mut command = on_processor(0, &programs::bench()?);
    command.args(["neighbours", &http.to_string(), &zookeeper.to_string()]);
    start("bare_axum_serde", &command, http, scratch)
}

fn start_nginx(program: &Path, scratch: &Scratch) -> Result<Server> {
    let port = free_port()?;
    let folder = scratch.make("nginx")?.display().to_string();
    let config = scratch.write(
        "nginx.conf",
        &format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
             events {{ worker_connections 1024; }}\nhttp {{\n  access_log off;\n  keepalive_requests 100000000;\n  \
             client_body_buffer_size 16k;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  \
             fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
             server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}\n}}\n"
        ),
    )?;
    let mut command = on_processor(0, program);
    command.arg("-c").arg(config);
    start("nginx_throwing_away", &command, port, scratch)
}

fn pushgateway(program: &Path, scratch: &Scratch) -> Result<f64> {
    let port = free_port()?;
    let mut command = on_processor(0, program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=error");
    let mut server = start("pushgateway", &command, port, scratch)?;
    // Filled first: it slows down with what it holds. Thirty seconds for that, whatever it has by then.
    let filled = send(&mut server, &["--milliseconds", "20000", "--metrics"], PUSHERS)?;
    let before = cpu(&server)?;
    let outcome = send(&mut server, &["--milliseconds", "5000", "--metrics"], PUSHERS)?;
    let rate = outcome.taken as f64 / (cpu(&server)? - before);
    say(format_args!(
        "pushgateway: {:.0}/s after {} pushes, {rate:.0} for each second of its processor time",
        outcome.taken as f64 / outcome.seconds,
        filled.taken
    ));
    Ok(rate)
}

fn start(name: &'static str, command: &Command, port: u16, scratch: &Scratch) -> Result<Server> {
    let mut watched = Watched::start(name, command, scratch.path())?;
    watched.wait_for("its port", || answers(port))?;
    Ok(Server { watched, port, rates: Vec::new() })
}
