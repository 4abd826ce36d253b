//! The agent beside real file systems: a volume that is right, full, read-only, missing, or another one.

use std::fs;

use millwright_agent::status::view::StatusView;
use millwright_protocol::Status;

use super::harness::{FileSystem, LoopVolume, Node, find, finding, ready};

/// A node that must have this volume, and of which more than that is said in `more`: `, size = "1GiB"`.
fn node_with(volume: &LoopVolume, more: &str) -> Node {
    let mount = volume.mount_point().display();
    Node::named("alibuild10")
        .unwrap()
        .with("volumes")
        .text("paths.dev", volume.dev_folder().unwrap().display())
        .set("checks.volumes.expected", format!("[{{ mount = \"{mount}\"{more} }}]"))
        .set("checks.volumes.root", false)
}

#[test]
fn a_volume_is_followed_from_right_to_full_read_only_and_missing() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Ext4, 64)) else { return };
    let mount = volume.mount_point().display().to_string();
    let uuid = volume.uuid().unwrap();
    let expected = format!(", uuid = \"{uuid}\", file_system = \"ext4\", size = \"60MiB\"");
    let Some(agent) = ready(node_with(&volume, &expected).start()) else { return };
    let (there, room) = (format!("volume{mount}"), format!("space{mount}"));
    let right = agent.wait_finding(&there, Status::Ok).unwrap();
    assert!(right.gating, "{right:?}");
    agent.wait_finding(&room, Status::Ok).unwrap();
    let fact = agent.status().unwrap().facts.volumes.remove(0);
    assert_eq!((fact.mount, fact.mounted, fact.read_write), (mount.clone(), true, true));
    assert_eq!((fact.device, fact.uuid), (Some(volume.device().unwrap()), Some(uuid)));

    volume.fill().unwrap();
    let full = agent.wait_finding(&room, Status::Crit).unwrap();
    assert!(full.sentence.starts_with(&format!("{mount} is 100 % full")), "{}", full.sentence);
    assert!(!full.gating && full.next.is_some_and(|next| next.contains("du -xh")));
    // Half of a healthy fleet is always rather full: that never counts as broken.
    agent.wait_finding(&there, Status::Ok).unwrap();
    volume.clear().unwrap();
    agent.wait_finding(&room, Status::Ok).unwrap();

    volume.make_read_only().unwrap();
    let locked = agent.wait_finding(&there, Status::Crit).unwrap();
    assert!(locked.gating && locked.sentence.contains("is read-only"), "{locked:?}");
    volume.make_writable().unwrap();
    agent.wait_finding(&there, Status::Ok).unwrap();

    volume.unmount().unwrap();
    assert!(fs::exists(&mount).unwrap());
    let missing = agent.wait_finding(&there, Status::Crit).unwrap();
    let words = "is not mounted: a plain directory on the root disk is in its place";
    assert!(missing.gating && missing.sentence.contains(words), "{missing:?}");
    assert!(missing.next.is_some_and(|next| next.contains("mount")));
    agent
        .wait_for("no word about its room", |view| find(&view.findings, &room).is_none().then_some(()))
        .unwrap();
    volume.mount().unwrap();
    volume.dev_folder().unwrap();
    agent.wait_finding(&there, Status::Ok).unwrap();
}

#[test]
fn a_volume_of_the_wrong_size_kind_or_identity_is_named_as_such() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Ext4, 32)) else { return };
    let key = format!("volume{}", volume.mount_point().display());
    let other = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    for (expected, words, gating) in [
        // It is there and builds run, so it does not keep the node out.
        (", size = \"500GiB\"".to_owned(), "500 GiB", false),
        (", file_system = \"xfs\"".to_owned(), "is ext4, but xfs is expected", false),
        (format!(", uuid = \"{other}\""), "is another volume than expected", true),
    ] {
        let Some((view, code)) = ready(node_with(&volume, &expected).check()) else { return };
        let found = finding(&view, &key).unwrap();
        assert_eq!((found.status, found.gating, code), (Status::Crit, gating, 2), "{found:?}");
        assert!(found.sentence.contains(words), "{}", found.sentence);
        assert!(found.next.is_some());
    }
}

#[test]
fn an_xfs_volume_is_as_good_as_an_ext4_one() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Xfs, 320)) else { return };
    let uuid = volume.uuid().unwrap();
    let expected = format!(", uuid = \"{uuid}\", file_system = \"xfs\"");
    let Some((view, code)) = ready(node_with(&volume, &expected).check()) else { return };
    assert_eq!((view.worst, code), (Status::Ok, 0), "{:?}", view.findings);
}

#[test]
fn a_disk_nobody_expected_is_told_for_as_long_as_it_is_mounted() {
    let volumes = [1, 2].map(|_| ready(LoopVolume::create(FileSystem::Ext4, 16)));
    let [Some(first), Some(second)] = volumes else { return };
    let node = || Node::named("alibuild10").unwrap().with("volumes").set("checks.volumes.expected", "[]");
    let has = |view: &StatusView, volume: &LoopVolume| {
        let mount = volume.mount_point().display().to_string();
        view.facts.volumes.iter().any(|fact| fact.mount == mount)
    };
    let Some(agent) = ready(node().start()) else { return };
    agent.wait_for("both disks", |view| (has(view, &first) && has(view, &second)).then_some(())).unwrap();
    first.unmount().unwrap();
    agent.wait_for("one disk", |view| (!has(view, &first) && has(view, &second)).then_some(())).unwrap();
    first.mount().unwrap();

    // Two nodes on one machine, as in the demo, do not tell of each other's.
    let apart = node().without(second.mount_point()).start().unwrap();
    apart.wait_for("its own disk", |view| (has(view, &first) && !has(view, &second)).then_some(())).unwrap();
    agent.wait_for("both disks", |view| (has(view, &first) && has(view, &second)).then_some(())).unwrap();
}
