//! Reports over mutual TLS: the real coordinator beside nginx, which asks for the same certificates and throws the same
//! bodies away. Both have one processor, keep every agent's connection, and take turns; rates are per second of the
//! server's processor time.

use crate::{
    agents::{Kind, Taken},
    authority::Authority,
    coordinator::{Coordinator, HOST},
    generator::Generator,
    lab::harness::Scratch,
    line::{Line, median, say},
    programs::{answers, find, free_port, on_processor},
    watched::Watched,
};
use anyhow::{Context, Result};
use std::path::Path;

/// Agents, each with a connection.
const NODES: u32 = 1_000;
const ROUNDS: usize = 3;
const ROUND_MILLISECONDS: u64 = 3_000;

/// One server, and those who report to it.
struct Server {
    watched: Watched,
    agents: Generator,
    rates: Vec<f64>,
}

/// Measures and prints.
pub fn run() -> Result<()> {
    let scratch = Scratch::new("tls")?;
    let authority = Authority::new(scratch.make("authority")?)?;
    authority.host(HOST)?;
    authority.template()?;
    let coordinator = Coordinator::start(&scratch, NODES, Some(&authority), [0, 0])?;
    let mut servers = vec![Server::with(coordinator.watched, coordinator.agents, &authority)?];
    match find("nginx") {
        Some(nginx) => {
            let (watched, port) = start_nginx(&nginx, &scratch, &authority)?;
            servers.push(Server::with(watched, port, &authority)?);
        }
        None => say(format_args!("without nginx: it is not there")),
    }
    // The first round of each counts for nobody.
    for round in 0..=ROUNDS {
        for server in &mut servers {
            server.take_in(round > 0)?;
        }
    }
    let mut rates = servers.iter_mut().map(|server| (server.watched.name, median(&mut server.rates)));
    let ours = rates.next().map_or(f64::NAN, |(_, rate)| rate);
    let line = Line { name: "reports_taken_in_over_mutual_tls", ours, unit: "per_core_second" };
    for (peer, theirs) in rates {
        line.against(peer, theirs);
    }
    Ok(())
}

impl Server {
    fn with(watched: Watched, port: u16, authority: &Authority) -> Result<Self> {
        let before = cpu(&watched)?;
        let agents = Generator::start(Kind::Intake, port, NODES, authority)?;
        let used = cpu(&watched)? - before;
        say(format_args!(
            "{}: {:.0} handshakes for each second of its processor time",
            watched.name,
            f64::from(NODES) / used
        ));
        Ok(Self { watched, agents, rates: Vec::new() })
    }

    fn take_in(&mut self, counts: bool) -> Result<()> {
        self.agents.tell("0")?;
        let _: Taken = self.agents.outcome()?;
        let before = cpu(&self.watched)?;
        self.agents.tell(&ROUND_MILLISECONDS.to_string())?;
        let taken: Taken = self.agents.outcome()?;
        let rate = taken.taken as f64 / (cpu(&self.watched)? - before);
        if counts {
            self.rates.push(rate);
            say(format_args!(
                "{}: {:.0} reports/s, {rate:.0} for each second of its processor time, p99 of an answer {:.1} ms",
                self.watched.name,
                taken.taken as f64 / taken.seconds,
                taken.p99_ms
            ));
        }
        Ok(())
    }
}

fn cpu(watched: &Watched) -> Result<f64> {
    watched.cpu_seconds().with_context(|| format!("read the processor time of {}", watched.name))
}

fn start_nginx(program: &Path, scratch: &Scratch, authority: &Authority) -> Result<(Watched, u16)> {
    let port = free_port()?;
    let folder = scratch.make("nginx")?.display().to_string();
    let file = |name: &str| authority.file(name).display().to_string();
    let config = scratch.write(
        "nginx.conf",
        &format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
             events {{ worker_connections 4096; }}\nhttp {{\n  access_log off;\n  keepalive_requests 100000000;\n  \
             client_body_buffer_size 16k;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  \
             fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
             server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {certificate};\n    ssl_certificate_key {key};\n    \
             ssl_client_certificate {ca};\n    ssl_crl {crl};\n    ssl_verify_client on;\n    \
             ssl_protocols TLSv1.2 TLSv1.3;\n    location / {{ return 204; }}\n  }}\n}}\n",
            certificate = file(&format!("{HOST}.crt")),
            key = file(&format!("{HOST}.key")),
            ca = file("ca.pem"),
            crl = file("crl.pem"),
        ),
    )?;
    let mut command = on_processor(0, program);
    command.arg("-c").arg(config);
    let mut watched = Watched::start("nginx_throwing_away", &command, scratch.path())?;
    watched.wait_for("its port", || answers(port))?;
    Ok((watched, port))
}
