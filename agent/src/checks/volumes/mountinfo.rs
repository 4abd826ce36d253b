//! Reads `/proc/self/mountinfo`: what is mounted where, from which device.

use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor` of the file system's device.
    pub device: (u32, u32),
    /// Where it is mounted.
    pub point: PathBuf,
    /// File system type.
    pub file_system: String,
    /// What was mounted, such as `/dev/vdb`.
    pub source: String,
    /// Whether this mount or its file system refuses writes.
    pub read_only: bool,
}

impl Mount {
    /// Whether a disk is behind it. btrfs has no device number of its own, but names its device.
    pub fn is_on_block_device(&self) -> bool {
        self.device.0 != 0 || self.source.starts_with("/dev/")
    }
}

/// All mounts, later ones on top of earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountTable(Vec<Mount>);

impl MountTable {
    /// Reads the table; a line of another shape is passed over.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    /// What is mounted exactly at `point`.
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == point)
    }

    /// The mount that `path` lies on: the nearest above it, the later of two at one point.
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        self.0
            .iter()
            .filter(|mount| path.starts_with(&mount.point))
            .max_by_key(|mount| mount.point.components().count())
    }

    /// All mounts.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &str) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (major, minor) = mount.next()?.split_once(':')?;
    let point = mount.nth(1)?;
    let options = mount.next()?;
    let mut file_system = file_system.split(' ');
    let (kind, source) = (file_system.next()?, file_system.next()?);
    let super_options = file_system.next().unwrap_or_default();
    let is_ro = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        point: unescaped(point).into(),
        file_system: kind.to_owned(),
        source: unescaped(source),
        read_only: is_ro(options) || is_ro(super_options),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.filter(|_| byte == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(decoded) => {
                plain.push(decoded);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,seclabel
23 22 0:21 / /sys rw,nosuid shared:2 - sysfs sysfs rw
70 22 253:16 / /build rw,noatime shared:30 master:4 - xfs /dev/vdb rw,attr2
71 22 253:16 / /mnt/with\\040space rw - xfs /dev/vdb ro,attr2
72 22 0:50 / /pool rw - btrfs /dev/vdc rw
a line of another shape
73 22 x:y / /broken rw - ext4 /dev/x rw
74 70 253:32 / /build ro - ext4 /dev/vdd rw
";

    #[test]
    fn mounts_are_found_by_their_point_and_the_topmost_wins() {
        let table = MountTable::parse(TABLE);
        let build = table.at(Path::new("/build")).unwrap();
        assert_eq!((build.source.as_str(), build.read_only), ("/dev/vdd", true));
        assert_eq!(table.at(Path::new("/data")), None);
        assert_eq!(table.at(Path::new("/broken")), None);
    }

    #[test]
    fn a_path_lies_on_the_nearest_mount_above_it() {
        let table = MountTable::parse(TABLE);
        assert_eq!(table.holding(Path::new("/build/mesos")).unwrap().source, "/dev/vdd");
        assert_eq!(table.holding(Path::new("/builds")).unwrap().source, "/dev/vda1");
    }

    #[test]
    fn names_with_spaces_and_read_only_file_systems_are_understood() {
        let table = MountTable::parse(TABLE);
        assert!(table.at(Path::new("/mnt/with space")).unwrap().read_only);
        assert_eq!(unescaped("a\\134b\\"), "a\\b\\");
    }

    #[test]
    fn only_disks_are_block_devices() {
        let table = MountTable::parse(TABLE);
        let on_disk = |point: &str| table.at(Path::new(point)).unwrap().is_on_block_device();
        assert_eq!((on_disk("/build"), on_disk("/pool"), on_disk("/sys")), (true, true, false));
    }
}
