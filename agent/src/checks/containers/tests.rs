//! Required containers, restart storms, roles and orphans, on lists as Docker gives them.

use super::*;
use std::collections::BTreeSet;

const OWNED: &str = "0f9fd0b4-0d3a-4d7c-9d0a-5d6f6d1a2b3c";
const FORGOTTEN: &str = "11111111-2222-3333-4444-555555555555";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn master() -> ContainersCheck {
    let docker = DockerConfig::default();
    ContainersCheck::new(&ContainersConfig::default(), &docker, NodeClass::Master, Rc::default())
}

fn listed(id: &str, name: &str, state: &str) -> Listed {
    Listed { id: id.into(), name: name.into(), state: state.into(), ..Listed::default() }
}

/// Puts a container on the list and makes it known as a closer look would.
fn put(check: &mut ContainersCheck, list: &mut Vec<Listed>, name: &str, change: impl FnOnce(&mut Inspected)) {
    let mut seen = Inspected {
        id: format!("id-{name}"),
        name: name.into(),
        state: "running".into(),
        started_at: Some(at(-3600)),
        ..Inspected::default()
    };
    change(&mut seen);
    list.retain(|one| one.name != name);
    list.push(listed(&seen.id, name, &seen.state));
    check.known.insert(seen.id.clone(), seen);
}

fn the_five(check: &mut ContainersCheck) -> Vec<Listed> {
    let mut list = Vec::new();
    for name in check.required.clone() {
        put(check, &mut list, &name, |_| {});
    }
    list
}

fn status_of(look: &Look, item: &str) -> Status {
    look.observations.iter().find(|one| one.item.as_deref() == Some(item)).unwrap().status
}

#[test]
fn r7_a_master_with_the_five_and_more_is_well() {
    let mut check = master();
    let mut list = the_five(&mut check);
    put(&mut check, &mut list, "vault", |_| {});
    let look = check.saw(&list, at(0));
    assert!(look.observations.iter().all(|one| one.status == Status::Ok), "{look:?}");
    assert_eq!(look.observations.iter().filter(|one| one.gating).count(), 5);
}

#[test]
fn r7_a_master_without_one_of_the_five_is_sick() {
    for missing in ["mesos-master", "zookeeper", "marathon", "aurora-scheduler", "mesos-dns"] {
        let mut check = master();
        let mut list = the_five(&mut check);
        list.retain(|one| one.name != missing);
        assert_eq!(status_of(&check.saw(&list, at(0)), missing), Status::Crit, "{missing}");
    }
}

#[test]
fn a_required_container_must_run_and_have_run_for_a_while() {
    for (state, started, health, seen) in [
        ("running", -61, None, Status::Ok),
        ("running", -30, None, Status::Unknown),
        ("exited", -3600, None, Status::Crit),
        ("restarting", -3600, None, Status::Crit),
        ("running", -3600, Some("unhealthy"), Status::Crit),
        ("running", -3600, Some("starting"), Status::Ok),
    ] {
        let mut check = master();
        let mut list = the_five(&mut check);
        put(&mut check, &mut list, "zookeeper", |one| {
            one.state = state.into();
            one.started_at = Some(at(started));
            one.health = health.map(str::to_owned);
        });
        assert_eq!(status_of(&check.saw(&list, at(0)), "zookeeper"), seen, "{state} {started} {health:?}");
    }
}

#[test]
fn more_than_three_restarts_within_an_hour_are_a_storm_until_the_hour_is_over() {
    let mut check = master();
    let mut list = the_five(&mut check);
    let mut look_after = |restarts: u64, second: i64| {
        put(&mut check, &mut list, "zookeeper", |one| one.restarts = restarts);
        status_of(&check.saw(&list, at(second)), "zookeeper")
    };
    assert_eq!(look_after(10, 0), Status::Ok, "restarts before the first look are history");
    assert_eq!(look_after(13, 10), Status::Ok);
    assert_eq!(look_after(14, 20), Status::Crit);
    assert_eq!(look_after(14, 3700), Status::Ok);
}

#[test]
fn a_new_container_of_the_same_name_counts_as_a_restart() {
    let mut check = master();
    let mut list = the_five(&mut check);
    for turn in 0..6 {
        put(&mut check, &mut list, "zookeeper", |one| one.id = format!("run-{turn}"));
        let look = check.saw(&list, at(turn * 100));
        assert_eq!(status_of(&look, "zookeeper") == Status::Crit, turn > 3, "run {turn}");
    }
}

fn roles(check: &mut ContainersCheck, names: &[String], now: Timestamp) -> Vec<ContainerRole> {
    let list: Vec<Listed> = names.iter().map(|name| listed(name, name, "running")).collect();
    check.classify(&list, now).0.into_iter().map(|one| one.role).collect()
}

#[test]
fn a_containers_name_tells_what_it_is_for() {
    let mut check = master();
    *check.shared.owned.borrow_mut() = Some(Owned { ids: BTreeSet::from([OWNED.to_owned()]), at: at(0) });
    let names = [
        "mesos-master".to_owned(),
        "mesos-dns".to_owned(),
        "vault".to_owned(),
        "jenkins-by-hand".to_owned(),
        format!("mesos-{OWNED}"),
        format!("mesos-2084863b-12d1-4319-b515-992eab91a53d-S1.{OWNED}"),
        format!("mesos-2084863b-12d1-4319-b515-992eab91a53d-S1.{OWNED}.executor"),
    ];
    use ContainerRole::{Infrastructure, Other, Task};
    assert_eq!(
        roles(&mut check, &names, at(0)),
        [Infrastructure, Infrastructure, Infrastructure, Other, Task, Task, Task]
    );
}

#[test]
fn a_container_without_a_living_task_is_an_orphan_only_after_half_an_hour() {
    let mut check = master();
    let name = format!("mesos-{FORGOTTEN}");
    let mut role_at = |second: i64, is_mesos_known: bool| {
        *check.shared.owned.borrow_mut() =
            is_mesos_known.then(|| Owned { ids: BTreeSet::new(), at: at(second) });
        roles(&mut check, std::slice::from_ref(&name), at(second))[0]
    };
    assert_eq!(role_at(0, true), ContainerRole::Task);
    assert_eq!(role_at(1000, false), ContainerRole::Task, "without Mesos' word it may be somebody's work");
    assert_eq!(role_at(1799, true), ContainerRole::Task);
    assert_eq!(role_at(1800, true), ContainerRole::Orphan);
    assert_eq!(role_at(1810, false), ContainerRole::Task);
}

#[test]
fn orphans_are_told_and_never_gate() {
    let mut check = master();
    let mut list = the_five(&mut check);
    let name = format!("mesos-{FORGOTTEN}");
    for second in [0, 1800] {
        *check.shared.owned.borrow_mut() = Some(Owned { ids: BTreeSet::new(), at: at(second) });
        put(&mut check, &mut list, &name, |_| {});
        check.saw(&list, at(second));
    }
    let look = check.saw(&list, at(1800));
    let told = look.observations.iter().find(|one| one.item.as_deref() == Some("orphans")).unwrap();
    assert_eq!((told.status, told.gating), (Status::Warn, false));
    assert!(told.sentence.contains(&name), "{}", told.sentence);
}

#[tokio::test]
async fn without_docker_nothing_is_known_about_required_containers() {
    let docker = DockerConfig { socket: "/nonexistent/docker.sock".into(), ..DockerConfig::default() };
    let mut check =
        ContainersCheck::new(&ContainersConfig::default(), &docker, NodeClass::Master, Rc::default());
    let look = check.look(at(0)).await;
    assert!(look.observations.iter().all(|one| one.status == Status::Unknown));
    assert_eq!(look.facts, [FactPart::Containers(None)]);
}
