//! What names a disk for good: its file system's UUID and its serial. Letters change from boot to boot.

use super::mountinfo::Mount;
use crate::config::Paths;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Layers of mapped devices (LVM on a partition on a disk) that are followed down at most.
const DEEPEST: usize = 4;

/// The UUID of a mounted file system, by way of `/dev/disk/by-uuid`.
pub fn uuid_of(paths: &Paths, mount: &Mount) -> Option<String> {
    // btrfs mounts have a number of their own, which is no disk's.
    let device = if mount.device.0 == 0 { number_of(Path::new(&mount.source))? } else { mount.device };
    let entries = fs::read_dir(paths.dev("disk/by-uuid")).ok()?;
    entries
        .flatten()
        .find(|entry| number_of(&entry.path()) == Some(device))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// The device that carries the file system with this UUID; `None` when no attached disk has it.
pub fn device_with(paths: &Paths, uuid: &str) -> Option<PathBuf> {
    fs::canonicalize(paths.dev("disk/by-uuid").join(uuid)).ok()
}

fn number_of(node: &Path) -> Option<(u32, u32)> {
    let number = fs::metadata(node).ok()?.rdev();
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    Some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

/// The disk below a device: a partition's disk, a mapped device's one and only disk.
pub fn disk_of(paths: &Paths, device: (u32, u32)) -> Option<PathBuf> {
    let (major, minor) = device;
    let mut folder = fs::canonicalize(paths.sys(format!("dev/block/{major}:{minor}"))).ok()?;
    for _ in 0..DEEPEST {
        if folder.join("partition").exists() {
            folder.pop();
        }
        let mut below = fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten();
        match (below.next(), below.next()) {
            (Some(only), None) => folder = fs::canonicalize(only.path()).ok()?,
            _ => break,
        }
    }
    Some(folder)
}

/// A disk's serial: virtio disks keep it beside their size, others below `device`.
pub fn serial_of(disk: &Path) -> Option<String> {
    ["serial", "device/serial"].iter().find_map(|name| {
        let serial = fs::read_to_string(disk.join(name)).ok()?;
        Some(serial.trim().to_owned()).filter(|serial| !serial.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A `/sys` with disk vdb (serial), its partition vdb1, and dm-0 on the partition.
    fn sys() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("sys");
        let disk = sys.join("devices/virtio2/block/vdb");
        fs::create_dir_all(disk.join("vdb1")).unwrap();
        fs::write(disk.join("serial"), "1b4e28ba-2fa1-11d2-8\n").unwrap();
        fs::write(disk.join("vdb1/partition"), "1\n").unwrap();
        fs::create_dir_all(sys.join("devices/virtual/block/dm-0/slaves")).unwrap();
        symlink(disk.join("vdb1"), sys.join("devices/virtual/block/dm-0/slaves/vdb1")).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        symlink(&disk, sys.join("dev/block/253:16")).unwrap();
        symlink(disk.join("vdb1"), sys.join("dev/block/253:17")).unwrap();
        symlink(sys.join("devices/virtual/block/dm-0"), sys.join("dev/block/252:0")).unwrap();
        let paths = Paths { root: root.path().into(), ..Paths::default() };
        (root, paths)
    }

    #[test]
    fn disk_partition_and_mapped_device_have_the_disks_serial() {
        let (_root, paths) = sys();
        for device in [(253, 16), (253, 17), (252, 0)] {
            let disk = disk_of(&paths, device).unwrap();
            assert_eq!(serial_of(&disk).as_deref(), Some("1b4e28ba-2fa1-11d2-8"), "{device:?}");
        }
        assert_eq!(disk_of(&paths, (8, 0)), None);
    }

    #[test]
    fn a_node_without_such_folders_has_neither_uuid_nor_device() {
        let (_root, paths) = sys();
        let mount = Mount {
            device: (253, 16),
            point: "/build".into(),
            file_system: "xfs".into(),
            source: "/dev/vdb".into(),
            read_only: false,
        };
        assert_eq!(uuid_of(&paths, &mount), None);
        assert_eq!(device_with(&paths, "1b4e"), None);
    }
}
