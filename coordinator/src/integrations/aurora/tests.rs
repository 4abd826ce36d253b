//! The client beside schedulers that answer in the shapes of the real one.

use super::*;
use crate::{fleet::Service, integrations::recorded::Recorded};
use millwright_protocol::NodeName;
use serde_json::{Value, json};
use std::time::Duration;

fn task(job: &str, host: Option<&str>, status: &str) -> Value {
    json!({ "assignedTask": { "taskId": format!("1-root-prod-{job}-0"), "slaveId": host.map(|_| "S-1"), "slaveHost": host,
            "instanceId": 0, "assignedPorts": {}, "task": {
                "job": { "role": "root", "environment": "prod", "name": job }, "isService": true, "numCpus": 2.0,
                "constraints": [{ "name": "host", "constraint": { "limit": { "limit": 1 } } }] } },
        "status": status, "failureCount": 0, "taskEvents": [], "ancestorId": null })
}

fn reply(tasks: &[Value]) -> Value {
    json!({ "responseCode": "OK", "serverInfo": { "clusterName": "build", "statsUrlPrefix": "" },
        "result": { "scheduleStatusResult": { "tasks": tasks } }, "details": [] })
}

/// A scheduler that leads.
fn leader() -> Recorded {
    let server = Recorded::default();
    let mut pinned = task("store", Some("alibuild03.cern.ch"), "RUNNING");
    pinned["assignedTask"]["task"]["constraints"] = json!([{ "name": "host", "constraint":
        { "value": { "negated": false, "values": ["alibuild03.cern.ch"] } } }]);
    let tasks = [
        task("ci", Some("alibuild01.cern.ch"), "RUNNING"),
        task("ci", Some("alibuild02.cern.ch"), "DRAINING"),
        task("ci", None, "PENDING"),
        pinned,
    ];
    server.says("/leaderhealth", 200, "OK").says("/apibeta/getTasksWithoutConfigs", 200, reply(&tasks));
    server.says("/vars.json", 200, r#"{"framework_registered":1,"jvm_uptime_secs":5,"x_per_sec":0.5}"#);
    let maintenance = r#"{"DRAINED":["a"],"SCHEDULED":["b"],"DRAINING":{"alibuild02.cern.ch":["t1","t2"]}}"#;
    server.says("/maintenance", 200, maintenance);
    server
}

/// Schedulers on alimesos01, alimesos02 and so on.
async fn client(servers: &[&Recorded]) -> AuroraClient {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut addresses = BTreeMap::new();
    for (number, server) in servers.iter().enumerate() {
        addresses.insert(node(number + 1), server.start().await);
    }
    let (every, timeout) = (Duration::from_secs(20), Duration::from_secs(5));
    let given = OutsideServers { servers: addresses, credentials: None, every, timeout };
    AuroraClient::new(&given, &Tallies::default()).unwrap()
}

fn node(number: usize) -> NodeName {
    format!("alimesos0{number}").parse().unwrap()
}

async fn failure(server: &Recorded) -> String {
    client(&[server]).await.look_once().await.unwrap_err()
}

fn job<'a>(seen: &'a Scheduler, name: &str) -> &'a Service {
    seen.services.iter().find(|service| service.name == name).unwrap()
}

#[tokio::test]
async fn only_the_scheduler_that_leads_is_asked_and_a_standby_is_no_failure_however_often_it_says_so() {
    let (leader, standby, lost) = (leader(), Recorded::default(), Recorded::default());
    standby.says("/leaderhealth", 503, "");
    lost.says("/leaderhealth", 502, "");
    let client = client(&[&standby, &leader, &lost]).await;
    for _ in 0..8 {
        let seen = client.look_once().await.unwrap();
        assert_eq!(seen.servers[&node(1)], Ok(Part::StandsBy(None)));
        assert_eq!(seen.servers[&node(2)], Ok(Part::Leads));
        assert!(seen.servers[&node(3)].as_ref().unwrap_err().contains("it knows no leader"));
    }
}

#[tokio::test]
async fn jobs_are_told_with_instances_hosts_and_what_is_on_its_way() {
    let leader = leader();
    let seen = client(&[&leader]).await.look_once().await.unwrap();
    let ci = job(&seen, "root/prod/ci");
    assert_eq!((ci.wanted, ci.instances.len(), ci.is_changing), (3, 2, true));
    assert_eq!(ci.instances.iter().filter(|instance| instance.is_well).count(), 1);
    assert_eq!(ci.pinned_to, None, "a limit of one a host pins nothing");
    let store = job(&seen, "root/prod/store");
    assert_eq!((store.pinned_to.as_deref(), store.is_changing), (Some("alibuild03.cern.ch"), false));
}

#[tokio::test]
async fn of_a_host_that_maintenance_leaves_out_nothing_is_said() {
    let leader = leader();
    let seen = client(&[&leader]).await.look_once().await.unwrap();
    assert_eq!(seen.maintenance["alibuild02.cern.ch"], "draining, 2 tasks left");
    assert_eq!((seen.maintenance["a"].as_str(), seen.maintenance["b"].as_str()), ("drained", "scheduled"));
    assert!(!seen.maintenance.contains_key("alibuild01.cern.ch"));
    leader.says("/maintenance", 200, "{}");
    let why = failure(&leader).await;
    assert!(why.contains("see that aurora.servers names Aurora itself"), "{why}");
}

#[tokio::test]
async fn an_error_in_an_answer_that_says_yes_is_an_error_with_its_own_words() {
    for (body, says) in [
        (
            json!({ "responseCode": "ERROR_TRANSIENT", "result": null, "details": [{ "message": "Scheduler is not ready" }] }),
            "ERROR_TRANSIENT: Scheduler is not ready; that passes by itself",
        ),
        (json!({ "responseCode": "AUTH_FAILED", "details": null }), "set aurora.user and aurora.secret_file"),
        (json!({ "responseCode": "ERROR" }), "without a word why; look at the log"),
        (json!({ "responseCode": "OK", "result": {} }), "not even an empty list"),
        (json!({ "message": "no" }), "missing field `responseCode`"),
        (json!([]), "see that aurora.servers names Aurora itself"),
    ] {
        let leader = leader();
        leader.says("/apibeta/getTasksWithoutConfigs", 200, &body);
        let why = failure(&leader).await;
        assert!(why.contains(says), "{body}: {why}");
    }
}

#[tokio::test]
async fn no_jobs_at_all_are_no_error() {
    let leader = leader();
    leader.says("/apibeta/getTasksWithoutConfigs", 200, reply(&[]));
    assert!(client(&[&leader]).await.look_once().await.unwrap().services.is_empty());
}

#[tokio::test]
async fn a_leader_that_mesos_does_not_know_is_told_and_one_that_does_not_say_is_asked_on() {
    let leader = leader();
    leader.says("/vars.json", 200, r#"{"framework_registered":0}"#);
    let why = failure(&leader).await;
    assert!(why.contains("is not registered with Mesos, so it starts nothing"), "{why}");
    leader.says("/vars.json", 200, "{}");
    assert!(client(&[&leader]).await.look_once().await.is_ok());
}

#[tokio::test]
async fn without_a_leader_everybodys_words_are_told() {
    let (standby, lost) = (Recorded::default(), Recorded::default());
    standby.says("/leaderhealth", 503, "");
    lost.says("/leaderhealth", 502, "");
    let why = client(&[&standby, &lost]).await.look_once().await.unwrap_err();
    assert!(why.contains("none of its schedulers says that it leads") && why.contains("ZooKeeper"), "{why}");
    let old = Recorded::default();
    let why = failure(&old).await;
    assert!(why.contains("404") && why.contains("of a version that has this"), "{why}");
}

#[tokio::test]
async fn a_pointer_to_strangers_is_told_and_not_followed() {
    let leader = leader();
    let to = ("location", "http://elsewhere.example.org/apibeta");
    leader.says_with("/apibeta/getTasksWithoutConfigs", 307, to, "");
    let why = failure(&leader).await;
    assert!(why.contains("it points at http://elsewhere.example.org/apibeta"), "{why}");
}
