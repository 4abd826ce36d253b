//! What runs on a node: our agent with every check on, beside the programs people run there today. All of them run
//! at once for the same time, so that they share the machine's moods.

use crate::{
    authority::{Authority, certname},
    coordinator::{Coordinator, HOST},
    lab::harness::{DockerDaemon, FileSystem, LoopVolume, Scratch, TEST_IMAGE},
    line::{GOAL, Line, say},
    peers,
    programs::{self, answers, free_port},
    watched::Watched,
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// Programs are given this long before processor time counts: starting is not a cycle.
const WARM_UP: Duration = Duration::from_secs(20);
/// A peak that lasts shorter than this may go unseen; our agent reads a megabyte in a few milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Every program here works in cycles of this length.
const CYCLE: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;

/// Watches everything for so many seconds and prints memory, processor time and sizes.
pub fn run(seconds: u64) -> Result<()> {
    let scratch = Scratch::new("bench")?;
    let surroundings = Surroundings::start(&scratch)?;
    let mut agent = start_agent(&scratch, &surroundings)?;
    let mut peers = peers::start_all(&scratch, surroundings.http)?;
    say(format_args!("watching the agent and {} peers for {seconds} s", peers.len()));
    let usage = watch(&mut agent, &mut peers, Duration::from_secs(seconds.max(60)))?;
    let group = agent.look().group;
    say(format_args!(
        "the agent now: {:?}; {}",
        agent.look(),
        if group.is_some() {
            "both readings"
        } else {
            "PSS only: this machine lets us make no control groups"
        }
    ));
    let ours = agent.peak_bytes as f64 / MIB;
    let memory = Line { name: "agent_memory_peak", ours, unit: "MiB" };
    memory.against(GOAL, 4.0);
    for peer in &peers {
        memory.against(peer.watched.name, peer.watched.peak_bytes as f64 / MIB);
    }
    let cpu = Line { name: "agent_cpu_per_cycle", ours: usage.ours_ms, unit: "ms" };
    cpu.against(GOAL, 3.0);
    for (peer, theirs) in peers.iter().zip(&usage.theirs_ms) {
        cpu.against(peer.watched.name, *theirs);
    }
    sizes()
}

/// Processor time per ten seconds.
struct Usage {
    ours_ms: f64,
    theirs_ms: Vec<f64>,
}

fn watch(agent: &mut Watched, peers: &mut [peers::Peer], length: Duration) -> Result<Usage> {
    let start = Instant::now();
    let mut at_first: Option<(Instant, Vec<f64>)> = None;
    let mut next_cycle = start;
    while start.elapsed() < length {
        if start.elapsed() >= WARM_UP && at_first.is_none() {
            at_first = Some((Instant::now(), cpu(agent, peers)));
        }
        agent.look();
        if Instant::now() >= next_cycle {
            next_cycle += CYCLE;
            for peer in peers.iter_mut() {
                (peer.ask)();
                peer.watched.look();
            }
        }
        anyhow::ensure!(agent.is_alive(), "the agent ended: {}", agent.log_tail());
        sleep(LOOK_EVERY);
    }
    let (since, first) = at_first.context("look before the warm-up ended")?;
    let cycles = since.elapsed().as_secs_f64() / CYCLE.as_secs_f64();
    let mut used =
        cpu(agent, peers).into_iter().zip(first).map(|(last, first)| (last - first) / cycles * 1e3);
    let ours_ms = used.next().unwrap_or(f64::NAN);
    Ok(Usage { ours_ms, theirs_ms: used.collect() })
}

fn cpu(agent: &Watched, peers: &[peers::Peer]) -> Vec<f64> {
    let all = [agent].into_iter().chain(peers.iter().map(|peer| &peer.watched));
    all.map(|watched| watched.cpu_seconds().unwrap_or(f64::NAN)).collect()
}

/// How the agent is called.
const NODE: &str = "bench00010";

/// What the agent looks at and whom it reports to. What this machine cannot give is left out, and said.
struct Surroundings {
    authority: Authority,
    coordinator: Coordinator,
    http: u16,
    zookeeper: u16,
    docker: Option<DockerDaemon>,
    volume: Option<LoopVolume>,
    puppet: PathBuf,
    certificate: Option<PathBuf>,
    _neighbours: Watched,
}

impl Surroundings {
    fn start(scratch: &Scratch) -> Result<Self> {
        let (http, zookeeper) = (free_port()?, free_port()?);
        let mut command = Command::new(programs::bench()?);
        command.args(["neighbours", &http.to_string(), &zookeeper.to_string()]);
        let mut neighbours = Watched::start("neighbours", &command, scratch.path())?;
        neighbours.wait_for("an answer", || answers(http))?;
        let authority = Authority::new(scratch.make("authority")?)?;
        authority.host(HOST)?;
        authority.host(NODE)?;
        let coordinator = Coordinator::start(scratch, 100, Some(&authority), [0, 0])?;
        let docker = or_without("Docker", DockerDaemon::start().and_then(with_containers));
        let volume = or_without("a volume", LoopVolume::create(FileSystem::Ext4, 64));
        let puppet = scratch.make("puppet")?;
        fs::write(puppet.join("last_run_summary.yaml"), PUPPET_SUMMARY)?;
        let certificate = first_certificate(Path::new("/etc/ssl/certs"));
        Ok(Self {
            authority,
            coordinator,
            http,
            zookeeper,
            docker,
            volume,
            puppet,
            certificate,
            _neighbours: neighbours,
        })
    }
}

const PUPPET_SUMMARY: &str = "---\nversion:\n  config: 1769850000\n  puppet: 7.23.0\napplication:\n  run_mode: agent\n  \
    initial_environment: production\n  converged_environment: production\nresources:\n  changed: 1\n  failed: 0\n  \
    failed_to_restart: 0\n  out_of_sync: 1\n  total: 412\ntime:\n  catalog_application: 12.5\n  last_run: 1769850000\n\
    changes:\n  total: 1\nevents:\n  failure: 0\n  success: 1\n  total: 1\n";

/// Six containers: what a busy builder has.
fn with_containers(docker: DockerDaemon) -> Result<DockerDaemon> {
    for name in ["mesos-slave", "docker-gc", "mesos-1", "mesos-2", "mesos-3", "mesos-4"] {
        docker.run(name, TEST_IMAGE, &["sleep", "100000"])?;
    }
    Ok(docker)
}

fn or_without<T>(what: &str, started: Result<T>) -> Option<T> {
    started.map_err(|error| say(format_args!("without {what}: {error:#}"))).ok()
}

fn first_certificate(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "pem")).min()
}

fn start_agent(scratch: &Scratch, around: &Surroundings) -> Result<Watched> {
    let http = format!("http://127.0.0.1:{}", around.http);
    let list = |paths: &[String]| paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", ");
    let volumes = around.volume.as_ref().map_or_else(String::new, |volume| {
        format!("{{ mount = {:?} }}", volume.mount_point().display().to_string())
    });
    let certificates: Vec<String> =
        around.certificate.iter().map(|path| path.display().to_string()).collect();
    let docker = match &around.docker {
        Some(docker) => format!("socket = {:?}", docker.socket().display().to_string()),
        None => "enabled = false".to_owned(),
    };
    let port = free_port()?;
    let config = scratch.write(
        "agent.toml",
        &format!(
            "[node]\nname = {NODE:?}\n[coordinator]\nurl = \"https://127.0.0.1:{agents}\"\ncertname = {certname:?}\n{tls}[status]\nlisten = \"127.0.0.1:{port}\"\n\
             [paths]\nstate = {state:?}\n[checks.volumes]\nexpected = [{volumes}]\n[checks.certificate]\n\
             paths = [{certificates}]\n[checks.mounts]\npaths = [\"/\", \"/tmp\"]\n[checks.docker]\n{docker}\n\
             [checks.mesos_agent]\nenabled = true\nurl = \"{http}\"\n[checks.mesos_master]\nenabled = true\n\
             url = \"{http}\"\n[checks.zookeeper]\nenabled = true\naddress = \"127.0.0.1:{zookeeper}\"\n\
             [checks.puppet]\nfolders = [{puppet:?}]\n[prepull]\nenabled = false\nimages = [{TEST_IMAGE:?}]\n",
            agents = around.coordinator.agents,
            certname = certname(HOST),
            tls = around.authority.section(NODE),
            state = scratch.make("agent-state")?.display().to_string(),
            certificates = list(&certificates),
            zookeeper = around.zookeeper,
            puppet = around.puppet.display().to_string(),
        ),
    )?;
    let mut command = Command::new(programs::ours("millwright-agent")?);
    command.arg("--config").arg(config);
    let mut agent = Watched::start("agent", &command, scratch.path())?;
    agent.wait_for("its status", || answers(port))?;
    let mut status = Command::new(programs::ours("millwright-agent")?);
    status.args(["status", "--json", "--url", &format!("http://127.0.0.1:{port}")]);
    // For the reader: a bench of checks that all fail measures little.
    sleep(Duration::from_secs(3));
    let answer: serde_json::Value = serde_json::from_slice(&status.output()?.stdout).unwrap_or_default();
    let findings = answer.get("findings").and_then(|findings| findings.as_array()).map_or(0, Vec::len);
    let reports = answer.get("coordinator").and_then(|contact| contact.get("accepted_seconds_ago"));
    anyhow::ensure!(
        reports.is_some_and(|seconds| !seconds.is_null()),
        "watch an agent that reports over mutual TLS: none of its reports is accepted: {answer}"
    );
    say(format_args!(
        "the agent reports over mutual TLS and shows {findings} findings, worst {}",
        answer.get("worst").unwrap_or_default()
    ));
    Ok(agent)
}

/// Binaries as they are installed.
fn sizes() -> Result<()> {
    let size = |path: &Path| fs::metadata(path).map(|file| file.len() as f64 / MIB);
    let ours = size(&programs::ours("millwright-agent")?)?;
    let line = Line { name: "agent_binary", ours, unit: "MiB" };
    line.against(GOAL, 5.0);
    for (name, program) in [
        ("node_exporter", "prometheus-node-exporter"),
        ("zabbix_agent2", "zabbix_agent2"),
        ("monit", "monit"),
        ("collectd", "collectd"),
    ] {
        if let Some(path) = programs::find(program) {
            line.against(name, size(&path)?);
        }
    }
    Ok(())
}
