//! The lab itself: each real system starts, does what stories will ask of it, and goes without a trace.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::harness::{
    Browser, DockerDaemon, FileSystem, LoopVolume, Mesos, MesosTask, Puppet, PuppetRun, Registry, Scratch,
    TEST_IMAGE, TaskSpec, View, ZooKeeperEnsemble, get, get_json, ready, wait_for,
};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn docker_runs_stops_and_removes_a_container() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    docker.run("marathon", TEST_IMAGE, &["sleep", "1000"]).unwrap();
    let state = |format: &str| docker.cli(&["inspect", "--format", format, "marathon"]).unwrap();
    assert_eq!(state("{{.State.Status}}"), "running");
    docker.stop_container("marathon").unwrap();
    assert_eq!(state("{{.State.Status}}"), "exited");
    docker.remove_container("marathon").unwrap();
    assert_eq!(docker.cli(&["ps", "--all", "--quiet"]).unwrap(), "");
}

#[test]
fn a_paused_docker_hangs_and_answers_again_once_resumed() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    assert!(docker.answers());
    docker.pause().unwrap();
    assert!(!docker.answers());
    docker.resume().unwrap();
    wait_for("docker's answer", SOON, || Ok(docker.answers().then_some(()))).unwrap();
}

#[test]
fn a_stopped_docker_comes_back_with_its_images_and_leaves_no_process_when_dropped() {
    let Some(mut docker) = ready(DockerDaemon::start()) else { return };
    docker.run("sleeper", TEST_IMAGE, &["sleep", "1000"]).unwrap();
    docker.stop();
    assert!(!docker.answers());
    docker.start_again().unwrap();
    assert!(docker.cli(&["images"]).unwrap().contains("millwright/busybox"));
    docker.cli(&["start", "sleeper"]).unwrap();

    let (pid, socket) = (docker.pid(), docker.socket());
    drop(docker);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    assert!(!fs::exists(socket.parent().unwrap()).unwrap());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*socket.parent().unwrap().to_string_lossy()), "{mounts}");
}

#[test]
fn an_image_is_pushed_to_the_registry_and_pulled_from_it() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(registry) = ready(Registry::start()) else { return };
    let id = |image: &str| docker.cli(&["inspect", "--format", "{{.Id}}", image]);
    docker.make_image("first", 1).unwrap();
    docker.make_image("second", 1).unwrap();
    let builder = registry.offer(&docker, "first", "alisw/slc7-builder:latest").unwrap();
    assert!(id(&builder).is_err());
    docker.cli(&["pull", &builder]).unwrap();
    assert_eq!(id(&builder).unwrap(), id("first").unwrap());

    // A newer image under the same name.
    registry.offer(&docker, "second", "alisw/slc7-builder:latest").unwrap();
    docker.cli(&["pull", &builder]).unwrap();
    assert_eq!(id(&builder).unwrap(), id("second").unwrap());
    let (status, catalog) = get(&format!("{}/v2/_catalog", registry.url())).unwrap();
    assert_eq!(status, 200);
    assert!(catalog.contains("alisw/slc7-builder"), "{catalog}");
}

#[test]
fn mesos_runs_tasks_of_two_frameworks_in_containers_on_the_agents_asked_for() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start_with(&docker, 2, &[("MESOS_ATTRIBUTES", "os:slc7")])) else {
        return;
    };
    let build =
        TaskSpec::named("mesos-jenkins-slc7").of("Jenkins").on_agent(1).with_label("job", "daily-tags");
    let check = TaskSpec { count: 2, ..TaskSpec::named("checker").of("aurora").on_agent(2) };
    let mut build = running(&mesos, build);
    let check = running(&mesos, check);

    let state = mesos.state().unwrap();
    assert_eq!(state["version"], "1.11.0");
    assert_eq!(state["slaves"][0]["attributes"]["os"], "slc7");
    assert_eq!(
        running_tasks(&state, "Jenkins"),
        names([("mesos-jenkins-slc7.0", &mesos.agent_id(1).unwrap())])
    );
    let second = mesos.agent_id(2).unwrap();
    assert_eq!(running_tasks(&state, "aurora"), names([("checker.0.1", &second), ("checker.0.2", &second)]));

    let containers = docker.cli(&["ps", "--format", "{{.Names}}"]).unwrap();
    assert_eq!(containers.lines().filter(|name| name.starts_with("mesos-")).count(), 3, "{containers}");

    let on_second = get_json(&format!("{}/containers", mesos.agent_url(2))).unwrap();
    assert_eq!(on_second.as_array().unwrap().len(), 2, "{on_second:#}");

    build.kill().unwrap();
    drop(check);
    wait_for("the end of all containers", SOON, || Ok(docker.cli(&["ps", "-q"])?.is_empty().then_some(())))
        .unwrap();
    let agent = get_json(&format!("{}/state", mesos.agent_url(1))).unwrap();
    assert_eq!(agent["id"], Value::String(mesos.agent_id(1).unwrap()));
}

#[test]
fn a_task_of_mesos_that_ends_by_itself_is_finished_or_failed() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let quick = |id: &str, command: &str| TaskSpec { command: command.to_owned(), ..TaskSpec::named(id) };
    let mut good = mesos.run_task(quick("good", "true")).unwrap();
    let mut bad = mesos.run_task(quick("bad", "echo no compiler >&2; exit 3")).unwrap();
    good.wait_state("TASK_FINISHED").unwrap();
    bad.wait_state("TASK_FAILED").unwrap();
    assert_eq!(good.ids(), ["good.0"]);
    let why = bad.wait_running().unwrap_err().to_string();
    assert!(why.contains("no compiler"), "{why}");
}

#[test]
fn an_ensemble_of_three_serves_on_when_its_leader_stops_and_takes_it_back() {
    let Some(mut zookeeper) = ready(ZooKeeperEnsemble::start()) else { return };
    let leader = leader(&zookeeper).unwrap();
    zookeeper.stop(leader).unwrap();
    assert_eq!(zookeeper.mode(leader).unwrap(), None);
    wait_for("another leader", SOON, || Ok(self::leader(&zookeeper))).unwrap();
    zookeeper.start_again(leader).unwrap();
    assert_eq!(zookeeper.mode(leader).unwrap().as_deref(), Some("follower"));
    assert!(zookeeper.ask(leader, "mntr").unwrap().contains("zk_server_state\tfollower"));
    assert!(zookeeper.address(leader).unwrap().ip().is_loopback());
}

#[test]
fn puppet_writes_its_summary_after_a_clean_and_after_a_failing_run() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    assert_eq!(puppet.run_clean().unwrap(), PuppetRun::Clean);
    let clean = fs::read_to_string(puppet.summary()).unwrap();
    assert!(clean.contains("failed: 0"), "{clean}");
    assert!(fs::exists(puppet.state_folder().join("last_run_report.yaml")).unwrap());

    assert_eq!(puppet.run_failing().unwrap(), PuppetRun::Failed);
    let failing = fs::read_to_string(puppet.summary()).unwrap();
    assert!(failing.contains("failed: 1"), "{failing}");
}

#[test]
fn puppet_that_cannot_compile_and_puppet_that_is_disabled_leave_their_marks() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    assert_eq!(puppet.run_not_compiling().unwrap(), PuppetRun::NotCompiled);
    assert!(puppet.folder().is_dir());

    puppet.disable("kernel tests until Friday").unwrap();
    let lock = fs::read_to_string(puppet.disabled_lock()).unwrap();
    assert!(lock.contains("kernel tests until Friday"), "{lock}");
    puppet.enable().unwrap();
    assert!(!fs::exists(puppet.disabled_lock()).unwrap());
}

#[test]
fn a_volume_can_be_full_read_only_and_missing() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Ext4, 16)) else { return };
    let file = volume.mount_point().join("file");
    fs::write(&file, "something").unwrap();

    volume.fill().unwrap();
    assert!(fs::write(volume.mount_point().join("more"), [1; 8192]).is_err());
    volume.clear().unwrap();

    volume.make_read_only().unwrap();
    assert!(fs::write(&file, "else").is_err());
    volume.make_writable().unwrap();
    fs::write(&file, "else").unwrap();

    assert!(volume.device().unwrap().starts_with("/dev/loop"));
    volume.unmount().unwrap();
    assert!(volume.device().is_err());
    assert!(!fs::exists(&file).unwrap());
    volume.mount().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "else");
}

#[test]
fn a_volume_of_xfs_has_a_uuid_and_is_gone_once_dropped() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Xfs, 320)) else { return };
    assert_eq!(volume.uuid().unwrap().len(), 36);
    let device = volume.device().unwrap();
    drop(volume);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&format!("{device} ")), "{mounts}");
}

#[test]
fn the_browser_runs_a_pages_script_in_a_window_of_exactly_the_size_asked_for() {
    let Some(browser) = ready(Browser::find()) else { return };
    let scratch = Scratch::new("page").unwrap();
    let script = "w.textContent = innerWidth + ' dark ' + matchMedia('(prefers-color-scheme: dark)').matches";
    let page = scratch.write("page.html", &format!("<p id=w></p><script>{script}</script>")).unwrap();
    let url = format!("file://{}", page.display());
    let html = browser.html(&View::desktop(&url)).unwrap();
    assert!(html.contains("1280 dark false"), "{html}");
    let html = browser.html(&View::phone(&url).dark()).unwrap();
    assert!(html.contains("390 dark true"), "{html}");
    let png = browser.screenshot(&View::phone(&url)).unwrap();
    assert_eq!(png_size(&png), (390, 844));
}

fn running(mesos: &Mesos, task: TaskSpec) -> MesosTask {
    let mut task = mesos.run_task(task).unwrap();
    task.wait_running().unwrap();
    task
}

fn running_tasks(state: &Value, framework: &str) -> BTreeSet<(String, String)> {
    let frameworks = state["frameworks"].as_array().unwrap();
    let framework = frameworks.iter().find(|found| found["name"] == framework).unwrap();
    let tasks = framework["tasks"].as_array().unwrap().iter();
    let running = tasks.filter(|task| task["state"] == "TASK_RUNNING");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    running.map(|task| (text(&task["id"]), text(&task["slave_id"]))).collect()
}

fn names<const N: usize>(tasks: [(&str, &String); N]) -> BTreeSet<(String, String)> {
    tasks.map(|(id, agent)| (id.to_owned(), agent.clone())).into()
}

fn leader(zookeeper: &ZooKeeperEnsemble) -> Option<usize> {
    (1..=3).find(|member| zookeeper.mode(*member).unwrap().as_deref() == Some("leader"))
}

/// Width and height stand right behind the name of PNG's first chunk.
fn png_size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
