//! The coordinator's program as systemd and `millwright try` run it: started, asked, stopped, refused.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails says so")]

#[path = "program/upkeep.rs"]
mod upkeep;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// What takes longer than this does not come.
const LIMIT: Duration = Duration::from_secs(30);

const POLICY: &str = r#"
protections = "none"
[cluster]
name = "test"
coordinator = "mw"
[[nodes]]
class = "agent"
names = ["n01"]
"#;

/// Looks until there is what is waited for.
fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "no {what} within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with everything a coordinator needs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self::on("mw")
    }

    /// One whose policy names that host, and that is called so.
    fn on(host: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("policy.toml", &POLICY.replace("\"mw\"", &format!("{host:?}")));
        let folder = place.path("");
        let folder = folder.display();
        place.write(
            "coordinator.toml",
            &format!(
                "host = {host:?}\nstate_dir = \"{folder}state\"\npolicy = \"{folder}policy.toml\"\n\
                 [listen]\noperators = \"127.0.0.1:0\"\nagents = \"127.0.0.1:0\"\nsocket = \"{folder}s\"\n"
            ),
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        // Whatever the umask: configuration that a group could change is not read.
        std::fs::set_permissions(self.path(name), std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millwright-coordinator"));
        command.arg("--config").arg(self.path("coordinator.toml")).stdin(Stdio::null());
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("MILLWRIGHT_LOG");
        command
    }

    fn start(&self) -> Running {
        Self::launch(self.command())
    }

    fn launch(mut command: Command) -> Running {
        let mut child = command
            .args(["run", "--announce"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let announced = serde_json::from_str(&line).unwrap_or_else(|error| {
            let mut words = String::new();
            child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            panic!("{line:?}: {error}; it said {words}")
        });
        Running { child, announced }
    }

    fn refused(&self) -> String {
        let Output { status, stderr, stdout } = self.command().arg("run").output().unwrap();
        assert_eq!(status.code(), Some(1), "{}", String::from_utf8_lossy(&stdout));
        String::from_utf8(stderr).unwrap()
    }
}

/// A coordinator that answers; ended with its test, whatever comes.
struct Running {
    child: Child,
    announced: Value,
}

impl Running {
    fn get(&self, path: &str) -> String {
        let url = self.announced["operators"].as_str().unwrap();
        ask(TcpStream::connect(url.trim_start_matches("http://")).unwrap(), path)
    }

    fn report(&self) -> String {
        let url = self.announced["agents"].as_str().unwrap();
        let body = r#"{"protocol":1,"node":"n01","boot_id":"b","machine_id":"m","sequence":1,"sent_at":"2026-01-31T10:00:00Z"}"#;
        exchange(
            TcpStream::connect(url.trim_start_matches("http://")).unwrap(),
            "POST",
            "/v1/agents/n01/report",
            body,
        )
    }

    fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(stream: impl Read + Write, path: &str) -> String {
    exchange(stream, "GET", path, "")
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> String {
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_announces_where_it_really_listens_answers_there_and_ends_in_order() {
    let place = Place::new();
    let running = place.start();
    assert!(!running.announced["operators"].as_str().unwrap().ends_with(":0"));
    assert!(running.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(running.get("/").contains("n01"), "the fleet's page");
    let socket = PathBuf::from(running.announced["socket"].as_str().unwrap());
    assert!(ask(UnixStream::connect(&socket).unwrap(), "/healthz").contains("alive"));
    assert_eq!(running.stop(), Some(0));
    assert!(!socket.exists(), "nothing is left behind");
    assert!(place.path("state/policy.last-good.toml").exists());
}

#[test]
fn systemd_is_told_when_it_answers_while_it_lives_and_when_it_goes() {
    let place = Place::new();
    let systemd = UnixDatagram::bind(place.path("notify")).unwrap();
    // A word that never comes is a failure, not a test without end.
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = |word: &str| {
        let mut buffer = [0; 512];
        loop {
            let length = systemd.recv(&mut buffer).unwrap_or_else(|error| panic!("wait for {word}: {error}"));
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == word) {
                break;
            }
        }
    };
    let mut command = place.command();
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "300000");
    let running = Place::launch(command);
    told("READY=1");
    told("WATCHDOG=1");
    told("WATCHDOG=1");
    assert_eq!(running.stop(), Some(0));
    told("STOPPING=1");
}

#[test]
fn what_was_known_is_known_after_a_restart() {
    let place = Place::new();
    assert_eq!(place.start().stop(), Some(0));
    place.write("policy.toml", "nonsense");
    let again = place.start();
    let nodes = again.get("/api/v1/nodes");
    assert!(nodes.contains("n01"), "the last good policy lists it: {nodes}");
    let verdict = again.get("/api/v1/verdicts?action=drain&node=n01");
    assert!(verdict.contains("policy_unreadable"), "and everything is protected: {verdict}");
}

#[test]
fn a_node_is_remembered_over_a_restart_as_stale_until_it_is_forgotten() {
    let place = Place::new();
    let running = place.start();
    assert!(running.report().starts_with("HTTP/1.1 200"));
    assert_eq!(running.stop(), Some(0));
    let again = place.start();
    let seen = again.get("/api/v1/nodes/n01");
    assert!(seen.contains("\"is_stale\":true") && !seen.contains("never_heard"), "{seen}");
    if nix::unistd::geteuid().is_root() {
        let socket = UnixStream::connect(place.path("s")).unwrap();
        let said = exchange(socket, "POST", "/api/v1/nodes/n01/forget", r#"{"reason":"test"}"#);
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert_eq!(again.stop(), Some(0));
        let seen = place.start().get("/api/v1/nodes/n01");
        assert!(seen.contains("never_heard"), "{seen}");
    }
}

#[test]
fn why_not_last_night_is_answered_also_by_the_next_one() {
    let earlier = |running: &Running| {
        let answer = running.get("/api/v1/nodes/n01");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let node: Value = serde_json::from_str(body).unwrap();
        let of_drain = |change: &&Value| change["action"] == "drain";
        node["verdict_history"].as_array().unwrap().iter().rfind(of_drain).cloned()
    };
    let place = Place::new();
    let running = place.start();
    let oldest = wait_for("an earlier answer", || earlier(&running));
    assert_eq!(oldest["verdict"], "wait", "{oldest}");
    assert!(oldest["codes"].to_string().contains("warming_up"), "{oldest}");
    assert_eq!(running.stop(), Some(0));
    assert_eq!(earlier(&place.start()), Some(oldest));
}

#[test]
fn a_second_one_on_the_same_state_is_refused() {
    let place = Place::new();
    let _first = place.start();
    let words = place.refused();
    assert!(words.contains("another coordinator already uses"), "{words}");
}

#[test]
fn a_socket_that_a_dead_one_left_behind_is_no_obstacle() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.path("s")).unwrap());
    assert_eq!(place.start().stop(), Some(0));
}

#[test]
fn it_starts_on_no_other_host_than_the_policy_names() {
    let place = Place::new();
    place.write("policy.toml", &POLICY.replace("\"mw\"", "\"elsewhere\""));
    let words = place.refused();
    for part in ["names elsewhere", "this host is mw", "millwright-coordinator move --to mw"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(!Path::new(&place.path("s")).exists(), "it has not begun to listen");
}

#[test]
fn a_store_that_is_damaged_is_refused_and_left_as_it_is() {
    let place = Place::new();
    std::fs::create_dir(place.path("state")).unwrap();
    place.write(
        "state/coordinator.sqlite",
        "this is no database, and long enough to look like one might be here",
    );
    let before = std::fs::read(place.path("state/coordinator.sqlite")).unwrap();
    assert!(place.refused().contains("coordinator.sqlite"));
    assert_eq!(std::fs::read(place.path("state/coordinator.sqlite")).unwrap(), before);
}

#[test]
fn what_is_in_the_way_of_a_start_is_said_once() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(place.path("coordinator.toml")).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.write("coordinator.toml", &text.replacen("127.0.0.1:0", &address, 1));
    let words = place.refused();
    assert_eq!(words.matches("Address already in use").count(), 1, "{words}");
    std::fs::remove_file(place.path("coordinator.toml")).unwrap();
    let words = place.refused();
    assert_eq!(words.matches("No such file").count(), 1, "{words}");
    place.write("coordinator.toml", &text);
    std::fs::remove_dir_all(place.path("state")).unwrap();
    place.write("state", "a file where a folder should be");
    let words = place.refused();
    assert_eq!(words.matches("File exists").count(), 1, "{words}");
}

#[test]
fn a_check_finds_what_a_start_would_trip_over_all_of_it_and_changes_nothing() {
    let place = Place::new();
    assert_eq!(place.start().stop(), Some(0));
    let store = place.path("state/coordinator.sqlite");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&store, bytes).unwrap();
    let needs_mesos =
        format!("{POLICY}[classes.agent.sources]\nmesos_master = \"required\"\njenkins = \"required\"\n");
    place.write("policy.toml", &needs_mesos);
    let files = || -> Vec<_> {
        let mut names: Vec<_> =
            std::fs::read_dir(place.path("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let bad = place.command().arg("--check-config").output().unwrap();
    let words = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert_eq!(bad.status.code(), Some(1), "{words}");
    for part in [
        "the policy requires mesos_master, and [mesos] in coordinator.toml has no masters",
        "the policy requires jenkins, and [jenkins] in coordinator.toml has no url",
        "coordinator.sqlite is damaged",
        "coordinator.sqlite-wal and ",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(files(), before);
}

#[test]
fn a_check_beside_a_running_coordinator_finds_its_store_good() {
    let place = Place::new();
    let running = place.start();
    assert!(running.report().starts_with("HTTP/1.1 200"));
    let good = place.command().arg("--check-config").output().unwrap();
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn a_check_says_what_a_start_would_say_and_starts_nothing() {
    let place = Place::new();
    let check = |place: &Place| place.command().arg("--check-config").output().unwrap();
    let good = check(&place);
    assert_eq!(good.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&good.stdout).contains("1 node\n"));
    assert!(!place.path("state").exists());
    for (file, text, part) in [
        ("policy.toml", "nonsense", "policy.toml"),
        ("coordinator.toml", "[listen]\nport = 1\n", "coordinator.toml:2: "),
    ] {
        place.write(file, text);
        let bad = check(&place);
        assert_eq!(bad.status.code(), Some(1));
        let words = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert!(words.contains(part), "{words}");
    }
}
