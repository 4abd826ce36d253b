//! Where facts are read and state is kept. Several agents live on one machine by having different paths.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[paths]`. Everything the checks read goes through here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Put before every path below that is not set itself, and before every path the checks read.
    pub root: PathBuf,
    /// The process file system; `/proc` below `root`.
    pub proc: Option<PathBuf>,
    /// The kernel's view of devices; `/sys` below `root`.
    pub sys: Option<PathBuf>,
    /// Device nodes; `/dev` below `root`.
    pub dev: Option<PathBuf>,
    /// The id of this boot; `sys/kernel/random/boot_id` below `proc`.
    pub boot_id: Option<PathBuf>,
    /// The machine's id; `/etc/machine-id` below `root`.
    pub machine_id: Option<PathBuf>,
    /// The server's UUID; `class/dmi/id/product_uuid` below `sys`.
    pub server_uuid: Option<PathBuf>,
    /// The mount table; `self/mountinfo` below `proc`.
    pub mountinfo: Option<PathBuf>,
    /// The agent's own state: the number of the next report, the count of Puppet's runs. Not below the
    /// coordinator's, which belongs to a user who must not be able to lead root astray.
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            root: "/".into(),
            proc: None,
            sys: None,
            dev: None,
            boot_id: None,
            machine_id: None,
            server_uuid: None,
            mountinfo: None,
            state: "/var/lib/millwright-agent".into(),
        }
    }
}

impl Paths {
    /// A path of the node, such as `/etc/puppetlabs`, as seen from here.
    pub fn rooted(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A path below `/proc`, such as `meminfo`.
    pub fn proc(&self, path: impl AsRef<Path>) -> PathBuf {
        self.proc.clone().unwrap_or_else(|| self.rooted("/proc")).join(path)
    }

    /// A path below `/sys`, such as `block`.
    pub fn sys(&self, path: impl AsRef<Path>) -> PathBuf {
        self.sys.clone().unwrap_or_else(|| self.rooted("/sys")).join(path)
    }

    /// A path below `/dev`, such as `disk/by-uuid`.
    pub fn dev(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dev.clone().unwrap_or_else(|| self.rooted("/dev")).join(path)
    }

    /// The file with the id of this boot.
    pub fn boot_id(&self) -> PathBuf {
        self.boot_id.clone().unwrap_or_else(|| self.proc("sys/kernel/random/boot_id"))
    }

    /// The file with the machine's id.
    pub fn machine_id(&self) -> PathBuf {
        self.machine_id.clone().unwrap_or_else(|| self.rooted("/etc/machine-id"))
    }

    /// The file with the server's UUID.
    pub fn server_uuid(&self) -> PathBuf {
        self.server_uuid.clone().unwrap_or_else(|| self.sys("class/dmi/id/product_uuid"))
    }

    /// The mount table.
    pub fn mountinfo(&self) -> PathBuf {
        self.mountinfo.clone().unwrap_or_else(|| self.proc("self/mountinfo"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_moves_everything_that_is_not_set_itself() {
        let paths = Paths { root: "/n1".into(), machine_id: Some("/tmp/id".into()), ..Paths::default() };
        assert_eq!(paths.proc("meminfo"), Path::new("/n1/proc/meminfo"));
        assert_eq!(paths.boot_id(), Path::new("/n1/proc/sys/kernel/random/boot_id"));
        assert_eq!(paths.rooted("/etc/x"), Path::new("/n1/etc/x"));
        assert_eq!(paths.machine_id(), Path::new("/tmp/id"));
    }
}
