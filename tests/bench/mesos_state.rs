//! The Mesos master's `/state` of a large cluster, read as the coordinator reads it: how fast, and in how much memory,
//! beside `jq`, which is what people read it with. Each is a process of its own, so that its memory is its own too.

use crate::{
    line::{Line, median, say},
    programs,
};
use anyhow::{Context, Result, bail, ensure};
use millwright_coordinator::integrations::mesos::{MesosMasters, ObserveMesos};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const AGENTS: u32 = 1_000;
const TASKS: u32 = 50_000;
const ROUNDS: usize = 5;
const MIB: f64 = 1_048_576.0;

/// Measures and prints the lines.
pub fn run() -> Result<()> {
    let Some(jq) = programs::find("jq") else {
        bail!("find jq: not installed; tests/bench/install.sh does it")
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("state.json");
    write(&file)?;
    let bytes = fs::metadata(&file)?.len();
    let address = serve(&file)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_peak, mut their_peak) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        let (seconds, peak) = watched(Command::new(programs::bench()?).args(["mesos-state-of", &address]))?;
        ours.push(bytes as f64 / 1e6 / seconds);
        our_peak = our_peak.max(peak);
        let filter = "[(.slaves|length), ([.frameworks[].tasks[]|select(.state==\"TASK_RUNNING\")]|length)]";
        let (seconds, peak) = watched(Command::new(&jq).arg("-c").arg(filter).arg(&file))?;
        theirs.push(bytes as f64 / 1e6 / seconds);
        their_peak = their_peak.max(peak);
    }
    let mebibytes = bytes as f64 / MIB;
    say(format_args!("/state of {AGENTS} agents and {TASKS} tasks: {mebibytes:.0} MiB"));
    Line { name: "mesos_state_read", ours: median(&mut ours), unit: "MB_per_second" }
        .against("jq", median(&mut theirs));
    Line { name: "mesos_state_peak_memory", ours: our_peak, unit: "MiB" }.against("jq", their_peak);
    Ok(())
}

/// Asks once as the coordinator does, and sees that nothing is missing.
pub fn measure(address: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let masters = MesosMasters::new(&[address.to_owned()], Duration::from_secs(60))?;
    let answer = runtime.block_on(masters.state())?;
    let tasks: usize = answer.agents.iter().map(|agent| agent.tasks.len()).sum();
    ensure!(answer.agents.len() == AGENTS as usize, "{} agents were read", answer.agents.len());
    ensure!(tasks == TASKS as usize, "{tasks} tasks were read");
    Ok(())
}

/// How many seconds a program runs, and its peak in MiB, as the kernel counts it for those that were waited for.
fn watched(command: &mut Command) -> Result<(f64, f64)> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().context("start a program to be watched")?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let ended = loop {
        // Gone from there as soon as it ends.
        if let Ok(text) = fs::read_to_string(&status) {
            peak = peak.max(peak_of(&text).unwrap_or(0.0));
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        thread::sleep(Duration::from_millis(2));
    };
    ensure!(ended.success(), "a watched program ended with {ended}");
    Ok((start.elapsed().as_secs_f64(), peak))
}

fn peak_of(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Serves the file to whoever asks, as a leading master would.
fn serve(file: &Path) -> Result<String> {
    let body = fs::read(file)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    Ok(address)
}

/// Written task by task: as one value it would need more memory than what is measured.
fn write(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write!(
        file,
        "{{\"version\":\"1.11.0\",\"id\":\"m\",\"pid\":\"master@127.0.0.1:5050\",\"leader\":\"master@127.0.0.1:5050\",\
         \"hostname\":\"alimesos01\",\"elected_time\":1769850000.0,\"slaves\":["
    )?;
    for number in 0..AGENTS {
        let comma = if number == 0 { "" } else { "," };
        write!(file, "{comma}{}", agent(number))?;
    }
    write!(
        file,
        "],\"frameworks\":[{{\"id\":\"F\",\"name\":\"Jenkins Scheduler\",\"active\":true,\"tasks\":["
    )?;
    for number in 0..TASKS {
        let comma = if number == 0 { "" } else { "," };
        write!(file, "{comma}{}", task(number))?;
    }
    write!(file, "],\"completed_tasks\":[]}}],\"completed_frameworks\":[]}}")?;
    Ok(file.flush()?)
}

fn agent(number: u32) -> Value {
    let resources = json!({"cpus": 64.0, "mem": 240_000.0, "disk": 400_000.0, "ports": "[31000-32000]"});
    json!({
        "id": format!("S{number}"), "hostname": format!("bench{number:05}.cern.ch"), "port": 5051, "active": true,
        "pid": format!("slave(1)@10.0.{}.{}:5051", number / 256, number % 256), "version": "1.11.0",
        "registered_time": 1_769_000_000.5, "attributes": {"os": "slc7", "cvmfs": "true"},
        "resources": resources, "used_resources": resources, "offered_resources": {}, "deactivated": false,
        "capabilities": ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING"],
    })
}

fn task(number: u32) -> Value {
    let id = format!("mesos-jenkins-{number:032x}-slc7_x86-64-larg");
    json!({
        "id": id, "name": format!("task {id}"), "state": "TASK_RUNNING", "executor_id": "", "framework_id": "F",
        "slave_id": format!("S{}", number % AGENTS), "role": "*",
        "resources": {"cpus": 1.0, "mem": 2048.0, "disk": 0.0, "gpus": 0.0, "ports": "[31000-31001]"},
        "labels": [{"key": "job", "value": "build-any-package"}],
        "statuses": [{"state": "TASK_RUNNING", "timestamp": 1_769_850_001.5, "container_status":
            {"container_id": {"value": format!("{number:032x}")},
             "network_infos": [{"ip_addresses": [{"ip_address": "10.0.0.7"}]}]}}],
        "container": {"type": "DOCKER", "docker": {"image": "alisw/slc7-builder:latest", "network": "HOST"},
            "volumes": [{"container_path": "/cvmfs", "host_path": "/cvmfs", "mode": "RO"}]},
    })
}
