//! A node made of files, and what it says.

use super::*;
use crate::check::{FactPart, Look};
use millwright_protocol::{Container, ContainerFacts, ContainerRole, MesosAgentFacts, ZooKeeperFacts};
use std::time::Duration;

struct Node {
    root: tempfile::TempDir,
    config: Config,
    board: SharedBoard,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        config.paths.state = root.path().join("state");
        config.checks.puppet.folders = vec!["/puppet".into()];
        Self { root, config, board: SharedBoard::default() }
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn now() -> Moment {
        Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: Duration::from_secs(1000) }
    }

    fn look(&self) -> LocalFacts {
        look(&self.config, &self.board, Self::now())
    }

    /// The only objection.
    fn objection(&self) -> String {
        let objections = self.look().objections;
        let [objection] = &objections[..] else { panic!("{objections:?}") };
        objection.clone()
    }
}

#[test]
fn a_node_on_which_nothing_is_there_objects_to_nothing_and_knows_nothing() {
    let facts = Node::new().look();
    let expected = LocalFacts { zookeeper: Known::NotHere, ..LocalFacts::default() };
    assert_eq!(facts, expected);
    assert_eq!(facts.tasks, Known::Unknown);
}

#[test]
fn who_blocks_a_shutdown_objects_and_who_delays_it_or_blocks_sleep_does_not() {
    for (text, is_objection) in [
        ("WHAT=shutdown:sleep\nWHO=apt\nWHY=upgrading\nMODE=block\n", true),
        ("WHAT=shutdown\nWHO=x\nWHY=y\nMODE=block-weak\n", true),
        ("WHAT=shutdown\nWHO=x\nWHY=y\nMODE=delay\n", false),
        ("WHAT=sleep:idle\nWHO=x\nWHY=y\nMODE=block\n", false),
    ] {
        let node = Node::new();
        node.write("run/systemd/inhibit/1", text);
        assert_eq!(node.look().objections.len(), usize::from(is_objection), "{text}");
    }
    let node = Node::new();
    node.write("run/systemd/inhibit/1", "WHAT=shutdown\nWHO=apt\\x20upgrade\nWHY=busy\nMODE=block\n");
    assert_eq!(node.objection(), "apt upgrade forbids a shutdown: busy");
}

#[test]
fn people_at_a_terminal_object_and_sessions_of_services_or_that_close_do_not() {
    for (text, is_objection) in [
        ("USER=ann\nTYPE=tty\nCLASS=user\nSTATE=active\nREMOTE_HOST=h\n", true),
        ("USER=ann\nTYPE=unspecified\nTTY=pts/0\nCLASS=user\nSTATE=online\n", true),
        ("USER=ann\nTYPE=tty\nCLASS=user\nSTATE=closing\n", false),
        ("USER=root\nTYPE=unspecified\nCLASS=background\nSTATE=active\n", false),
        ("USER=gdm\nTYPE=tty\nCLASS=greeter\nSTATE=active\n", false),
    ] {
        let node = Node::new();
        node.write("run/systemd/sessions/c1", text);
        assert_eq!(node.look().objections.len(), usize::from(is_objection), "{text}");
    }
}

#[test]
fn whoever_utmp_says_is_logged_in_objects_while_their_process_lives() {
    let record = |kind: i16, pid: i32| {
        let mut record = vec![0; 384];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[4..8].copy_from_slice(&pid.to_ne_bytes());
        record[8..13].copy_from_slice(b"pts/1");
        record[44..47].copy_from_slice(b"bob");
        record
    };
    let node = Node::new();
    node.write("proc/41/stat", "");
    node.write("run/utmp", [record(7, 41), record(7, 42), record(8, 41), vec![1; 10]].concat());
    assert_eq!(node.objection(), "bob is logged in on pts/1");
}

#[test]
fn a_package_manager_at_work_objects_and_the_lock_file_of_one_that_is_not_does_not() {
    let node = Node::new();
    node.write("var/lib/dpkg/lock", "");
    node.write("proc/locks", "1: POSIX  ADVISORY  WRITE 7 00:00:1 0 EOF\n");
    assert_eq!(node.look().objections, Vec::<String>::new());
    let metadata = fs::metadata(node.root.path().join("var/lib/dpkg/lock")).unwrap();
    let (device, inode) = (metadata.dev(), metadata.ino());
    let lock = format!("POSIX  ADVISORY  WRITE 7 {:02x}:{:02x}:{inode} 0 EOF", major(device), minor(device));
    node.write("proc/locks", format!("1: -> {lock}\n"));
    assert_eq!(node.look().objections, Vec::<String>::new(), "one that only waits for it");
    node.write("proc/locks", format!("1: {lock}\n"));
    assert!(node.objection().contains("dpkg is at work"));
}

#[test]
fn a_process_id_left_behind_objects_only_while_its_process_lives() {
    let node = Node::new();
    node.write("run/yum.pid", "41");
    node.write("puppet/agent_catalog_run.lock", "41\n");
    let idle = node.look();
    assert_eq!((idle.objections.len(), idle.puppet), (0, None));
    node.write("proc/41/stat", "");
    let busy = node.look();
    assert_eq!((busy.objections.len(), busy.puppet.as_deref()), (1, Some("Puppet runs, process 41")));
}

#[test]
fn a_planned_shutdown_objects_and_says_how_to_call_it_off() {
    let node = Node::new();
    node.write("run/systemd/shutdown/scheduled", "USEC=1\nWARN_WALL=1\nMODE=poweroff\n");
    assert!(node.objection().contains("a poweroff is planned already"), "{}", node.objection());
    let node = Node::new();
    node.write("run/nologin", "");
    assert!(node.objection().contains("going up or down"));
}

#[test]
fn an_array_that_is_put_together_is_told_and_one_that_is_checked_is_not() {
    let with = |text: &str| {
        let node = Node::new();
        node.write("proc/mdstat", text);
        node.look().raid
    };
    assert_eq!(with("md0 : active raid1\n  [==>..]  check = 12.6% (1/2)\n"), None);
    for word in ["recovery", "resync", "reshape"] {
        assert!(with(&format!("md0 : active\n  [=>.]  {word} = 3.1% (1/2)\n")).unwrap().contains(word));
    }
    assert!(with("md0 : active\n  \tresync=DELAYED\n").is_some());
}

#[test]
fn what_is_there_and_cannot_be_read_objects() {
    let node = Node::new();
    for path in ["run/systemd/inhibit", "run/systemd/sessions", "state/holds"] {
        node.write(path, "a file where a folder should be");
    }
    fs::create_dir_all(node.root.path().join("run/utmp")).unwrap();
    assert_eq!(node.look().objections.len(), 4, "{:?}", node.look().objections);
    assert!(node.look().objections.iter().all(|objection| objection.contains("read")));
}

#[test]
fn holds_in_force_are_seen_at_the_next_look() {
    let node = Node::new();
    let now = Node::now().wall;
    let hold =
        holds::add(&node.config.paths.state, "ann", "mine", Some(Duration::from_secs(60)), now).unwrap();
    assert_eq!(node.look().holds, std::slice::from_ref(&hold));
    holds::lift(&node.config.paths.state, &hold.id).unwrap();
    assert_eq!(node.look().holds, []);
}

#[test]
fn work_is_what_the_checks_saw_with_its_age_and_nothing_where_a_check_is_off() {
    let mut node = Node::new();
    node.config.node.class = NodeClass::Master;
    let container = |name: &str, state: &str| Container {
        name: name.into(),
        image: String::new(),
        state: state.into(),
        role: ContainerRole::Other,
        started_at: None,
        restarts: 0,
    };
    let containers = vec![container("a", "running"), container("b", "exited")];
    let facts = vec![
        FactPart::MesosAgent(Some(MesosAgentFacts::default())),
        FactPart::Containers(Some(ContainerFacts { containers, ..ContainerFacts::default() })),
        FactPart::ZooKeeper(Some(ZooKeeperFacts {
            mode: Some("follower".into()),
            ..ZooKeeperFacts::default()
        })),
    ];
    let early = Node::now();
    let early = Moment { uptime: early.uptime - Duration::from_secs(12), ..early };
    let slot = node.board.lock().add(&Nothing, early);
    node.board.lock().looked(slot, Look { facts, ..Look::default() }, early);
    let facts = node.look();
    assert_eq!(facts.tasks, Known::NotHere, "a master runs no Mesos agent");
    let value = vec![("a".to_owned(), ContainerRole::Other)];
    assert_eq!(facts.containers, Known::Seen { age_seconds: 12, value });
    assert_eq!(facts.zookeeper, Known::Seen { age_seconds: 12, value: "follower".into() });
    node.config.node.class = NodeClass::Agent;
    assert_eq!(node.look().tasks, Known::Seen { age_seconds: 12, value: vec![] });
    node.config.checks.containers.enabled = false;
    assert_eq!(node.look().containers, Known::NotHere);
}

struct Nothing;

impl crate::check::Check for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }
    fn is_gating(&self) -> bool {
        false
    }
    fn rhythm(&self) -> crate::check::Rhythm {
        crate::check::Rhythm { every: Duration::from_secs(10), deadline: Duration::from_secs(10) }
    }
    fn look(&mut self, _now: jiff::Timestamp) -> crate::check::Looking<'_> {
        Box::pin(async { Look::default() })
    }
}
