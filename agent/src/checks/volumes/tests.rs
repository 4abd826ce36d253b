//! Volumes as nodes really show them, from written mount tables and a scripted probe.

use super::*;
use crate::probe::tests::{hanging, saying};
use std::time::Duration;
use tokio::{sync::Notify, task::LocalSet};

const ROOT: &str = "22 1 253:1 / / rw,relatime - ext4 /dev/vda1 rw\n";
const SEEN: &str = r#"{"seen":{"device":1,"size_bytes":500000000000,"free_bytes":400000000000,"available_bytes":400000000000,"inodes":0,"inodes_free":0,"read_only":false}}"#;

/// A node whose mount table is `ROOT` and `table`, with `folder` as its root.
struct Node {
    folder: tempfile::TempDir,
    config: Config,
    answer: &'static str,
}

impl Node {
    fn new(table: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let table = format!("{ROOT}{}", table.replace("/build", &format!("{root}/build")));
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        fs::write(folder.path().join("proc/self/mountinfo"), table).unwrap();
        let mut config = Config::default();
        config.paths.root = folder.path().into();
        Self { folder, config, answer: SEEN }
    }

    fn expecting(mut self, change: impl FnOnce(&mut ExpectedVolume)) -> Self {
        let mut expected = ExpectedVolume::at("/build");
        change(&mut expected);
        self.config.checks.volumes.expected = Some(vec![expected]);
        self
    }

    /// Looks once with the checks of `/build` and of the root, in this order.
    async fn look(&self) -> Vec<Look> {
        let context = Context::new(Rc::new(self.config.clone()), Rc::new(Notify::new()), saying(self.answer));
        let mut looks = Vec::new();
        for check in &mut checks(&context) {
            looks.push(check.look(Timestamp::UNIX_EPOCH).await);
        }
        looks
    }

    /// The finding about `/build` itself.
    async fn build(&self) -> Observation {
        LocalSet::new().run_until(self.look()).await.remove(0).observations.remove(0)
    }
}

fn mounted(source: &str, device: &str, options: &str) -> String {
    format!("70 22 {device} / /build {options} - xfs {source} {options}\n")
}

#[tokio::test]
async fn a_mounted_volume_of_its_own_is_ok() {
    let build = Node::new(&mounted("/dev/vdb", "253:16", "rw")).build().await;
    assert_eq!(
        build.sentence,
        "/build is mounted on a disk of its own and can be written to (/dev/vdb, xfs)"
    );
    assert_eq!((build.status, build.gating), (Status::Ok, true));
}

#[tokio::test]
async fn a_missing_build_is_crit_and_gating_even_when_the_directory_exists() {
    let node = Node::new("");
    let build = node.build().await;
    assert_eq!((build.status, build.gating), (Status::Crit, true));
    assert_eq!(build.sentence, "/build is not mounted: not even the directory exists");
    fs::create_dir(node.folder.path().join("build")).unwrap();
    let build = node.build().await;
    assert_eq!((build.status, build.gating), (Status::Crit, true));
    assert!(build.sentence.contains("a plain directory on the root disk"), "{}", build.sentence);
    assert!(build.next.unwrap().contains("mount /build"));
}

#[tokio::test]
async fn a_volume_that_is_no_disk_of_its_own_read_only_or_refusing_is_crit_and_gating() {
    for (table, words) in [
        (mounted("/dev/vda1", "253:1", "rw"), "lies on the root disk (/dev/vda1)"),
        (mounted("tmpfs", "0:44", "rw"), "mounted from tmpfs (xfs), which is no disk"),
        (mounted("/dev/vdb", "253:16", "ro"), "is read-only (/dev/vdb, xfs)"),
    ] {
        let build = Node::new(&table).build().await;
        assert_eq!((build.status, build.gating), (Status::Crit, true), "{table}");
        assert!(build.sentence.contains(words), "{}", build.sentence);
        assert!(build.next.is_some());
    }
    let refusing = Node {
        answer: r#"{"refused":"Input/output error"}"#,
        ..Node::new(&mounted("/dev/vdb", "253:16", "rw"))
    };
    let build = refusing.build().await;
    assert_eq!((build.status, build.gating), (Status::Crit, true));
    assert!(build.sentence.contains("Input/output error"), "{}", build.sentence);
}

#[tokio::test]
async fn a_probe_that_cannot_be_used_is_unknown() {
    let node = Node { answer: "nonsense", ..Node::new(&mounted("/dev/vdb", "253:16", "rw")) };
    assert_eq!(node.build().await.status, Status::Unknown);
}

#[tokio::test]
async fn a_wrong_file_system_or_size_is_crit_but_does_not_gate() {
    let table = mounted("/dev/vdb", "253:16", "rw");
    let ext4 = Node::new(&table).expecting(|volume| volume.file_system = Some("ext4".into()));
    let large = Node::new(&table).expecting(|volume| volume.size = Some(600_000_000_000));
    for (node, words) in
        [(ext4, "is xfs, but ext4 is expected"), (large, "466 GiB, but 559 GiB are expected")]
    {
        let build = node.build().await;
        assert_eq!((build.status, build.gating), (Status::Crit, false));
        assert!(build.sentence.contains(words), "{}", build.sentence);
    }
}

#[tokio::test]
async fn ten_percent_smaller_than_expected_is_as_expected() {
    let node = Node::new(&mounted("/dev/vdb", "253:16", "rw"))
        .expecting(|volume| volume.size = Some(550_000_000_000));
    assert_eq!(node.build().await.status, Status::Ok);
}

#[tokio::test]
async fn an_expected_uuid_that_is_nowhere_says_attach_the_volume() {
    let build = Node::new("").expecting(|volume| volume.uuid = Some("1b4e28ba".into())).build().await;
    assert!(build.next.unwrap().contains("no attached disk has the file system 1b4e28ba: attach the volume"));
}

#[tokio::test]
async fn a_volume_whose_uuid_cannot_be_told_is_unknown_where_one_is_expected() {
    let table = mounted("/dev/vdb", "253:16", "rw");
    let build = Node::new(&table).expecting(|volume| volume.uuid = Some("1b4e28ba".into())).build().await;
    assert_eq!((build.status, build.gating), (Status::Unknown, true), "{}", build.sentence);
}

#[tokio::test]
async fn an_unreadable_mount_table_is_unknown() {
    let node = Node::new("");
    fs::remove_file(node.folder.path().join("proc/self/mountinfo")).unwrap();
    let build = node.build().await;
    assert_eq!((build.status, build.gating), (Status::Unknown, true));
}

#[tokio::test]
async fn facts_name_the_volume_the_root_and_every_other_disk() {
    let other = "75 22 253:32 / /data rw - ext4 /dev/vdc rw\n76 22 7:0 / /snap ro - squashfs /dev/loop0 ro\n";
    let node = Node::new(&(mounted("/dev/vdb", "253:16", "rw") + other));
    let looks = LocalSet::new().run_until(node.look()).await;
    let Some(FactPart::Volumes(volumes)) = looks.last().unwrap().facts.first() else { panic!("no volumes") };
    let told: Vec<(&str, bool, u64)> =
        volumes.iter().map(|volume| (volume.mount.as_str(), volume.is_root, volume.size_bytes)).collect();
    assert_eq!(told, [("/", true, 500_000_000_000), ("/build", false, 500_000_000_000), ("/data", false, 0)]);
}

#[tokio::test]
async fn a_volume_that_hangs_there_unmounted_is_told_by_its_name() {
    let node = Node::new("").expecting(|volume| volume.uuid = Some("1b4e28ba".into()));
    let by_uuid = node.folder.path().join("dev/disk/by-uuid");
    fs::create_dir_all(&by_uuid).unwrap();
    fs::write(node.folder.path().join("dev/vdb"), "").unwrap();
    std::os::unix::fs::symlink("../../vdb", by_uuid.join("1b4e28ba")).unwrap();
    let looks = LocalSet::new().run_until(node.look()).await;
    let Some(FactPart::Volumes(volumes)) = looks.last().unwrap().facts.first() else { panic!("no volumes") };
    let build = volumes.iter().find(|volume| volume.mount == "/build").unwrap();
    assert_eq!((build.mounted, build.uuid.as_deref()), (false, Some("1b4e28ba")));
    assert!(build.device.as_ref().unwrap().ends_with("vdb"), "{build:?}");
}

#[tokio::test]
async fn space_speaks_of_a_mounted_volume_and_is_silent_about_a_missing_one() {
    let local = LocalSet::new();
    let space = local.run_until(Node::new(&mounted("/dev/vdb", "253:16", "rw")).look()).await.remove(1);
    assert_eq!(space.observations[0].sentence, "/build is 20 % full: 373 GiB of 466 GiB free");
    let space = local.run_until(Node::new("").look()).await.remove(1);
    assert_eq!(space.observations, []);
}

#[tokio::test]
async fn a_hung_volume_misses_its_deadline_and_its_space_too() {
    let mut node = Node::new(&mounted("/dev/vdb", "253:16", "rw"));
    node.config.checks.volumes.deadline = Duration::from_millis(20);
    let context = Context::new(Rc::new(node.config), Rc::new(Notify::new()), hanging());
    LocalSet::new()
        .run_until(async {
            for check in checks(&context).iter_mut().take(2) {
                let deadline = check.rhythm().deadline;
                assert!(tokio::time::timeout(deadline, check.look(Timestamp::UNIX_EPOCH)).await.is_err());
            }
        })
        .await;
}
