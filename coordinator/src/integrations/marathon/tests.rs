//! The client beside servers that answer in the shapes that real ones were recorded with.

use super::*;
use crate::{fleet::Service, integrations::recorded::Recorded};
use serde_json::json;
use std::time::Duration;

const LEADER: &str = r#"{"leader":"alimesos01.cern.ch:8080"}"#;

/// As 1.x answers: an app with its deployments, tasks with a state and checks.
fn fill(server: &Recorded) {
    let app = |id: &str, instances: usize, constraints: serde_json::Value| {
        json!({ "id": id, "cmd": "run", "instances": instances, "cpus": 0.1, "constraints": constraints,
            "tasksRunning": 1, "deployments": [], "labels": {}, "container": null })
    };
    let task = |app: &str, host: &str, alive: Option<bool>| {
        json!({ "id": format!("{app}.1"), "appId": app, "host": host, "slaveId": "S-1", "ports": [31292],
            "state": "TASK_RUNNING", "startedAt": "2026-01-17T09:32:42.598Z", "version": "2026-01-17T09:32:36.583Z",
            "healthCheckResults": alive.map(|alive| vec![json!({ "alive": alive, "consecutiveFailures": 0 })]) })
    };
    let apps = json!({ "apps": [
        app("/repo", 1, json!([["hostname", "CLUSTER", "alibuild03.cern.ch"]])),
        app("/kibana", 2, json!([["hostname", "UNIQUE", ""]])),
    ] });
    let tasks = json!({ "tasks": [
        task("/repo", "alibuild03.cern.ch", None),
        task("/kibana", "alibuild04.cern.ch", Some(true)), task("/kibana", "alibuild05.cern.ch", Some(false)),
    ] });
    let deployments = json!([{ "id": "97c136bf", "version": "2026-01-30T09:09:17.614Z", "affectedApps": ["/kibana"],
        "steps": [[{ "action": "ScaleApplication", "app": "/kibana" }]],
        "currentActions": [{ "action": "ScaleApplication", "app": "/kibana", "readinessCheckResults": [] }],
        "currentStep": 1, "totalSteps": 3 }]);
    server.says("/v2/leader", 200, LEADER).says("/v2/apps", 200, apps).says("/v2/tasks", 200, tasks);
    server.says("/v2/deployments", 200, deployments);
    server.says("/v2/info", 200, r#"{"name":"marathon","version":"1.3.5","elected":true}"#);
}

/// A server that leads, and one that stands by and gives back what the leader says.
async fn two() -> (Recorded, Recorded, MarathonClient) {
    let (leader, standby) = (Recorded::default(), Recorded::default());
    fill(&leader);
    fill(&standby);
    standby.says_with("/v2/leader", 200, (super::LEADER, "http://alimesos01.cern.ch:8080"), LEADER);
    let client = client(&[leader.start().await, standby.start().await]);
    (leader, standby, client)
}

/// Servers on alimesos01, alimesos02 and so on.
fn client(addresses: &[String]) -> MarathonClient {
    drop(rustls::crypto::ring::default_provider().install_default());
    let on = |(number, address): (usize, &String)| (node(number + 1), address.clone());
    let given = OutsideServers {
        servers: addresses.iter().enumerate().map(on).collect(),
        credentials: None,
        every: Duration::from_secs(20),
        timeout: Duration::from_secs(5),
    };
    MarathonClient::new(&given, &Tallies::default()).unwrap()
}

fn node(number: usize) -> NodeName {
    format!("alimesos0{number}").parse().unwrap()
}

fn service<'a>(seen: &'a Scheduler, name: &str) -> &'a Service {
    seen.services.iter().find(|service| service.name == name).unwrap()
}

#[tokio::test]
async fn a_standby_that_answers_as_if_it_led_is_told_apart_by_its_header() {
    let (_, _, client) = two().await;
    let seen = client.look_once().await.unwrap();
    assert_eq!(seen.servers[&node(1)], Ok(Part::Leads));
    let standby = Part::StandsBy(Some("http://alimesos01.cern.ch:8080".into()));
    assert_eq!(seen.servers[&node(2)], Ok(standby));
}

#[tokio::test]
async fn without_the_header_only_the_server_that_is_named_leads() {
    let (_, standby, client) = two().await;
    standby.says("/v2/leader", 200, LEADER);
    let seen = client.look_once().await.unwrap();
    assert_eq!(seen.servers[&node(1)], Ok(Part::Leads));
    assert_eq!(seen.servers[&node(2)], Ok(Part::StandsBy(Some("alimesos01.cern.ch:8080".into()))));
}

#[tokio::test]
async fn a_leader_that_calls_itself_otherwise_leads_all_the_same_unless_nothing_tells_it_apart() {
    let (leader, standby, client) = two().await;
    let alias = r#"{"leader":"marathon.cern.ch:8080"}"#;
    leader.says("/v2/leader", 200, alias);
    assert_eq!(client.look_once().await.unwrap().servers[&node(1)], Ok(Part::Leads));
    standby.says("/v2/leader", 200, alias);
    let seen = client.look_once().await.unwrap();
    assert_eq!(seen.servers[&node(1)], Ok(Part::Unclear("marathon.cern.ch:8080".into())));
    assert_eq!(seen.leader(), None);
}

#[tokio::test]
async fn apps_are_told_with_their_instances_their_one_host_and_what_changes() {
    let (_, _, client) = two().await;
    let seen = client.look_once().await.unwrap();
    assert_eq!(seen.version, "1.3.5");
    let repo = service(&seen, "/repo");
    assert_eq!((repo.wanted, repo.pinned_to.as_deref()), (1, Some("alibuild03.cern.ch")));
    assert!(repo.instances[0].is_well && !repo.is_changing);
    let kibana = service(&seen, "/kibana");
    let well: Vec<bool> = kibana.instances.iter().map(|instance| instance.is_well).collect();
    assert_eq!((well, kibana.pinned_to.as_deref(), kibana.is_changing), (vec![true, false], None, true));
    assert_eq!(seen.changes, ["deployment 97c136bf of /kibana: step 1 of 3, ScaleApplication"]);
}

#[tokio::test]
async fn an_old_version_and_a_proxy_that_unpacks_lists_read_alike() {
    let (leader, _, client) = two().await;
    // 0.8: tasks without a state, steps as lists, nothing about pods; no version is told.
    leader.says(
        "/v2/apps",
        200,
        r#"[{"id":"/old","instances":2,"constraints":[["hostname","LIKE","a\\.b"]]}]"#,
    );
    leader.says(
        "/v2/tasks",
        200,
        r#"[{"appId":"/old","host":"a","startedAt":"2015-01-01T00:00:00Z"},
            {"appId":"/old","host":"b","startedAt":null},{"appId":"/gone","host":"b","startedAt":"2015"}]"#,
    );
    leader.says(
        "/v2/deployments",
        200,
        r#"[{"id":"d","affectedApps":["/x"],"steps":[[{"action":"Stop"}]]}]"#,
    );
    leader.says("/v2/info", 404, "");
    let seen = client.look_once().await.unwrap();
    let old = service(&seen, "/old");
    assert_eq!((old.pinned_to.as_deref(), seen.version.as_str()), (Some("a.b"), ""));
    assert_eq!(old.instances.iter().filter(|instance| instance.is_well).count(), 1);
    assert_eq!(service(&seen, "/gone").instances.len(), 1, "whatever runs is told, listed as an app or not");
}

#[test]
fn only_constraints_that_leave_one_host_pin_an_app() {
    let pin = |text: &str| wire::pin(&serde_json::from_str(text).unwrap());
    assert_eq!(pin(r#"[["hostname","CLUSTER",""]]"#).as_deref(), Some("one and the same host"));
    assert_eq!(pin(r#"[["@hostname","IS","h"]]"#).as_deref(), Some("h"));
    for free in [
        "null",
        "{}",
        "[]",
        r#"["hostname"]"#,
        r#"[[],[3],["hostname"]]"#,
        r#"[["hostname","UNIQUE"],["hostname","UNLIKE","h"],["hostname","LIKE","ali(03|04)"]]"#,
        r#"[["rack","CLUSTER","1"]]"#,
        r#"[{"fieldName":"hostname","operator":"IS","value":"h"}]"#,
    ] {
        assert_eq!(pin(free), None, "{free}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_told_beside_the_others_and_with_all_down_nothing_is_known() {
    let (leader, standby) = (Recorded::default(), Recorded::default());
    fill(&leader);
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let seen = client(&[leader.start().await, gone.clone()]).look_once().await.unwrap();
    let why = seen.servers[&node(2)].clone().unwrap_err();
    assert!(why.contains(&gone) && why.contains("look at Marathon on that node"), "{why}");
    standby.says("/v2/leader", 502, r#"{"message":"Could not determine the current leader"}"#);
    let why = client(&[gone, standby.start().await]).look_once().await.unwrap_err();
    assert!(why.contains("none of its servers can be asked"), "{why}");
    assert!(why.contains("Could not determine the current leader"), "{why}");
}

#[tokio::test]
async fn no_leader_is_told_with_what_to_look_at() {
    let server = Recorded::default();
    server.says("/v2/leader", 404, r#"{"message":"There is no leader"}"#);
    let why = client(&[server.start().await]).look_once().await.unwrap_err();
    assert!(why.contains("there is no leader; see that its ZooKeeper is well"), "{why}");
}

#[tokio::test]
async fn an_answer_that_says_yes_and_is_none_is_no_empty_marathon() {
    for (path, body) in [
        ("/v2/apps", r#"{"message":"the store is away"}"#),
        ("/v2/apps", r#"{"apps":[{"id":"/x"}]}"#),
        ("/v2/apps", "<html>sign in</html>"),
        ("/v2/tasks", r#"{"tasks":{}}"#),
        ("/v2/tasks", "appId\tport\thost:port"),
        ("/v2/deployments", r#"{"message":"no"}"#),
        ("/v2/leader", "{}"),
    ] {
        let server = Recorded::default();
        fill(&server);
        server.says(path, 200, body);
        let why = client(&[server.start().await]).look_once().await.unwrap_err();
        let advice = "see that marathon.servers names Marathon itself";
        assert!(why.contains(advice) && why.contains(&path[1..]), "{path} {body}: {why}");
    }
}

#[tokio::test]
async fn a_zookeeper_on_the_port_of_marathon_is_no_marathon_without_apps() {
    // ZooKeeper's own pages say 200 to words they do not know as well, and no quorum changes that.
    let error = r#"{"command":"leader","error":"This ZooKeeper instance is not currently serving requests"}"#;
    let server = Recorded::default();
    server.says("/commands/leader", 200, error);
    let client = client(&[server.start().await]);
    for _ in 0..2 {
        let why = client.look_once().await.unwrap_err();
        assert!(why.contains("see that marathon.servers names Marathon itself"), "{why}");
        server.says("/v2/leader", 200, error);
    }
}

#[tokio::test]
async fn a_redirection_to_strangers_is_told_and_not_followed() {
    let server = Recorded::default();
    fill(&server);
    server.says_with("/v2/leader", 302, ("location", "http://elsewhere.example.org/login"), "");
    let why = client(&[server.start().await]).look_once().await.unwrap_err();
    assert!(why.contains("it points at http://elsewhere.example.org/login"), "{why}");
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_which_keys_to_set() {
    let server = Recorded::default();
    server.says("/v2/leader", 401, r#"{"message":"Invalid username or password."}"#);
    let why = client(&[server.start().await]).look_once().await.unwrap_err();
    assert!(why.contains("set marathon.user and marathon.secret_file"), "{why}");
}

#[tokio::test]
async fn a_server_that_never_ends_its_answer_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    drop(rustls::crypto::ring::default_provider().install_default());
    let given = OutsideServers {
        servers: BTreeMap::from([(node(1), address)]),
        credentials: None,
        every: Duration::from_secs(20),
        timeout: Duration::from_millis(50),
    };
    let why = MarathonClient::new(&given, &Tallies::default()).unwrap().look_once().await.unwrap_err();
    assert!(why.contains("no answer within 0.05 s") && why.contains("look at Marathon"), "{why}");
}
