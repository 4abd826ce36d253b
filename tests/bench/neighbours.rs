//! Who an agent talks to on a node, played by one small server: a Mesos agent whose `/state` is one megabyte, a Mesos
//! master, a ZooKeeper member, and a coordinator that takes reports.

use anyhow::Result;
use axum::{
    Json, Router,
    body::Bytes,
    extract::Path,
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
    routing::{get, post},
};
use millwright_protocol::{PROTOCOL_VERSION, Report, ReportAnswer};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How large the Mesos agent's `/state` is at least, in bytes.
const STATE_BYTES: usize = 1_000_000;

/// Serves HTTP on `http` and ZooKeeper's four-letter words on `zookeeper`, until it is ended.
pub fn serve(http: u16, zookeeper: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let words = TcpListener::bind((Ipv4Addr::LOCALHOST, zookeeper)).await?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = words.accept().await {
                let _ = say_a_word(stream).await;
            }
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, http)).await?;
        axum::serve(listener, router(http)).await?;
        Ok(())
    })
}

fn router(port: u16) -> Router {
    let state = Bytes::from(agent_state().to_string());
    let metrics = json!({
        "slave/registered": 1.0, "slave/uptime_secs": 500_000.0, "master/elected": 1.0,
        "master/uptime_secs": 500_000.0, "master/slaves_active": 40.0, "registrar/log/recovered": 1.0,
    });
    Router::new()
        .route("/health", get(|| async { StatusCode::OK }))
        .route(
            "/redirect",
            get(move || async move {
                let leader = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("//{leader}"))])
            }),
        )
        .route("/metrics/snapshot", get(move || async move { Json(metrics) }))
        .route("/state", get(move || async move { ([("content-type", "application/json")], state) }))
        .route("/v1/agents/{node}/report", post(take_report))
}

/// What the coordinator answers, and nothing more: also the bare handler that the coordinator is measured beside.
pub async fn take_report(Path(_): Path<String>, Json(report): Json<Report>) -> impl IntoResponse {
    Json(ReportAnswer {
        protocol: PROTOCOL_VERSION,
        received_at: report.sent_at,
        listed: true,
        cluster: None,
        generation: None,
        epoch: None,
    })
}

/// A busy agent: two tasks that live, and as many finished ones as it takes.
fn agent_state() -> Value {
    let task = |number: usize, state: &str| {
        let id = format!("mesos-jenkins-{number:032x}-slc7_x86-64-larg");
        json!({
            "id": id, "name": format!("task {id}"), "state": state, "executor_id": "",
            "framework_id": "20260101-000000-16842879-5050-1-0000", "slave_id": "20260101-000000-16842879-5050-1-S7",
            "resources": {"cpus": 8.0, "mem": 24576.0, "disk": 0.0, "gpus": 0.0, "ports": "[31000-31001]"},
            "labels": [{"key": "job", "value": "build-any-package"}, {"key": "arch", "value": "slc7_x86-64"}],
            "statuses": [
                {"state": "TASK_STARTING", "timestamp": 1_769_850_000.5, "container_status":
                    {"container_id": {"value": format!("{number:032x}")}, "network_infos": [{"ip_addresses": [{"ip_address": "10.0.0.7"}]}]}},
                {"state": state, "timestamp": 1_769_850_001.5, "container_status":
                    {"container_id": {"value": format!("{number:032x}")}, "network_infos": [{"ip_addresses": [{"ip_address": "10.0.0.7"}]}]}},
            ],
            "container": {"type": "DOCKER", "docker": {"image": "alisw/slc7-builder:latest", "network": "HOST",
                "privileged": false, "parameters": [{"key": "memory-swappiness", "value": "0"}]},
                "volumes": [{"container_path": "/cvmfs", "host_path": "/cvmfs", "mode": "RO"},
                            {"container_path": "/build", "host_path": "/build/workarea", "mode": "RW"}]},
        })
    };
    let executor = |number: usize, tasks: Vec<Value>, completed: Vec<Value>| {
        json!({
            "id": "", "executor_id": "", "name": "", "source": "", "directory": format!("/build/mesos/slaves/S7/{number}"),
            "container": format!("{number:032x}"), "resources": {"cpus": 8.1, "mem": 24608.0},
            "tasks": tasks, "queued_tasks": [], "completed_tasks": completed,
        })
    };
    let one = task(0, "TASK_FINISHED").to_string().len();
    let finished = (3..3 + STATE_BYTES / one).map(|number| task(number, "TASK_FINISHED")).collect();
    json!({
        "id": "20260101-000000-16842879-5050-1-S7", "version": "1.11.0", "hostname": "bench00010.cern.ch",
        "master_hostname": "alimesos01.cern.ch", "pid": "slave(1)@127.0.0.1:5051", "start_time": 1_769_000_000.0,
        "attributes": {"cvmfs": "true", "os": "slc7"}, "flags": {"work_dir": "/build/mesos"},
        "resources": {"cpus": 32.0, "mem": 120_000.0, "disk": 400_000.0},
        "frameworks": [{
            "id": "20260101-000000-16842879-5050-1-0000", "name": "Jenkins Scheduler", "role": "*", "user": "root",
            "executors": [
                executor(1, vec![task(1, "TASK_RUNNING")], Vec::new()),
                executor(2, vec![task(2, "TASK_RUNNING")], Vec::new()),
            ],
            "completed_executors": [executor(3, Vec::new(), finished)],
        }],
        "completed_frameworks": [],
    })
}

async fn say_a_word(mut stream: TcpStream) -> Result<()> {
    let mut word = [0; 4];
    stream.read_exact(&mut word).await?;
    let answer: &[u8] = match &word {
        b"mntr" => {
            b"zk_version\t3.4.13-2d71af4dbe22557fda74f9a9b4309b15a7487f03, built on 06/29/2018\nzk_server_state\tleader\n\
              zk_outstanding_requests\t0\nzk_znode_count\t2190\nzk_followers\t2\nzk_synced_followers\t2\n"
        }
        b"srvr" => {
            b"Zookeeper version: 3.4.13-2d71af4dbe22557fda74f9a9b4309b15a7487f03, built on 06/29/2018\n\
              Latency min/avg/max: 0/0/12\nReceived: 100\nSent: 99\nConnections: 4\nOutstanding: 0\nZxid: 0x1700000001\n\
              Mode: leader\nNode count: 2190\n"
        }
        _ => b"imok",
    };
    stream.write_all(answer).await?;
    Ok(())
}
