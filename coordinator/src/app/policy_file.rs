//! The policy on disk, and the last good one: what is in force when somebody has broken the file (DESIGN 3.7).
//!
//! A file that does not pass is refused as a whole. Then the last good policy says who is listed, everything is protected,
//! and the reason names what is wrong; the next good file ends that without a restart.

use crate::{policy, trusted, words};
use jiff::Timestamp;
use millwright_decision::{Policy, Unreadable};
use millwright_protocol::NodeName;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The file, its last good copy, and the host that both must name.
#[derive(Debug)]
pub struct PolicyFile {
    path: PathBuf,
    last_good: PathBuf,
    host: NodeName,
    /// What was read last, good or bad.
    read: Option<io::Result<Vec<u8>>>,
    /// Since when what was read is bad.
    bad_since: Option<Timestamp>,
}

/// The policy names another host for the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy {path} names {named} as the coordinator's host, and this host is {host}: start the coordinator on {named}. \
     To move it here, run `millwright-coordinator move --to {host}` there and do what it says. \
     If {named} is this very host under another name, say `host = \"{named}\"` in coordinator.toml"
)]
pub struct OtherHost {
    path: String,
    named: String,
    host: NodeName,
}

impl PolicyFile {
    /// The file at `path`; its last good copy is kept in `state_dir`.
    pub fn new(path: &Path, state_dir: &Path, host: NodeName) -> Self {
        Self {
            path: path.to_owned(),
            last_good: state_dir.join("policy.last-good.toml"),
            host,
            read: None,
            bad_since: None,
        }
    }

    /// The policy to start with.
    ///
    /// # Errors
    /// When it, or the last good one in its place, names another host.
    pub fn first(&mut self, now: Timestamp) -> Result<Policy, OtherHost> {
        let read = self.read_trusted();
        let policy = match policy::check(&read, &self.path) {
            Ok(policy) => policy,
            Err(errors) => self.fallen_back(errors.in_one_line(), now),
        };
        Self::check_host(&self.path, &policy, &self.host)?;
        if policy.unreadable.is_none() {
            self.keep_as_good(&read);
        }
        self.read = Some(read);
        Ok(policy)
    }

    /// The policy to go on with, when the file is not what it was.
    pub fn changed(&mut self, now: Timestamp) -> Option<Policy> {
        self.take(self.read_trusted(), now)
    }

    /// The bytes, unless somebody else may have written them: that is a broken file like any other.
    fn read_trusted(&self) -> io::Result<Vec<u8>> {
        Ok(trusted::read(&self.path)?)
    }

    /// Judges, remembers and keeps the same bytes: the file may be written to between two looks, and what was not
    /// judged must neither count as known nor as good.
    fn take(&mut self, read: io::Result<Vec<u8>>, now: Timestamp) -> Option<Policy> {
        if !self.is_news(&read) {
            return None;
        }
        let good =
            policy::check(&read, &self.path).map_err(|errors| errors.in_one_line()).and_then(|policy| {
                match Self::check_host(&self.path, &policy, &self.host) {
                    Ok(()) => Ok(policy),
                    Err(other) => Err(format!(
                        "it names {} as the coordinator's host, and this host is {}",
                        other.named, other.host
                    )),
                }
            });
        let policy = match good {
            Ok(policy) => {
                self.keep_as_good(&read);
                self.bad_since = None;
                policy
            }
            Err(why) => self.fallen_back(why, now),
        };
        self.read = Some(read);
        Some(policy)
    }

    fn is_news(&self, read: &io::Result<Vec<u8>>) -> bool {
        match (&self.read, read) {
            (Some(Ok(before)), Ok(now)) => before != now,
            (Some(Err(before)), Err(now)) => before.kind() != now.kind(),
            _ => true,
        }
    }

    /// Whether a policy names this host as the coordinator's.
    ///
    /// # Errors
    /// When it names another; the message says what to do.
    pub fn check_host(path: &Path, policy: &Policy, host: &NodeName) -> Result<(), OtherHost> {
        if policy.coordinator == *host {
            return Ok(());
        }
        let named = policy.coordinator.as_str().to_owned();
        Err(OtherHost { path: path.display().to_string(), named, host: host.clone() })
    }

    /// The last good policy with everything protected; without one, an empty fleet.
    fn fallen_back(&mut self, why: String, now: Timestamp) -> Policy {
        let since = Some(*self.bad_since.get_or_insert(now));
        let unreadable = Unreadable { why, path: Some(self.path.display().to_string()), since };
        let sentence = unreadable.to_string();
        let (policy, meanwhile) = match policy::load(&self.last_good) {
            Ok(good) => {
                let listed = words::count(good.nodes.len(), "node");
                (
                    Policy { unreadable: Some(unreadable), ..good },
                    format!("the last good policy lists {listed}"),
                )
            }
            Err(_) => (
                Policy::unreadable(unreadable, self.host.clone()),
                "there has never been a good policy here".to_owned(),
            ),
        };
        log::error!("{sentence}; everything is protected until the file is right; {meanwhile}");
        policy
    }

    /// Keeps what was read as the last good policy; a copy that cannot be kept is a warning, since the file itself is good.
    fn keep_as_good(&self, read: &io::Result<Vec<u8>>) {
        let Ok(bytes) = read else { return };
        if std::fs::read(&self.last_good).is_ok_and(|kept| kept == *bytes) {
            return;
        }
        let beside = self.last_good.with_extension("new");
        let kept = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &self.last_good));
        if let Err(error) = kept {
            log::warn!("keep a copy of the good policy at {}: {error}", self.last_good.display());
        }
    }
}

/// The name of this machine: `configured`, or what the system says.
///
/// # Errors
/// When the system's name cannot be read or is no node name; the message says what to configure.
pub fn this_host(configured: Option<&NodeName>) -> Result<NodeName, String> {
    const KERNEL: &str = "/proc/sys/kernel/hostname";
    if let Some(name) = configured {
        return Ok(name.clone());
    }
    let advice = "say `host = \"NAME\"` in coordinator.toml";
    let name = std::fs::read_to_string(KERNEL)
        .map_err(|error| format!("read this host's name from {KERNEL}: {error}; {advice}"))?;
    name.trim().parse().map_err(|error| format!("use this host's name: {error}; or {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "protections = \"none\"\n[cluster]\nname = \"c\"\ncoordinator = \"mw\"\n[[nodes]]\nclass = \"agent\"\nnames = [\"n01\"]\n";

    fn now() -> Timestamp {
        "2026-01-31T10:00:00Z".parse().unwrap()
    }

    struct Desk {
        folder: tempfile::TempDir,
        file: PolicyFile,
    }

    impl Desk {
        fn with(text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let desk = Self { file: Self::open(folder.path()), folder };
            desk.write(text);
            desk
        }

        fn open(folder: &Path) -> PolicyFile {
            PolicyFile::new(&folder.join("policy.toml"), folder, "mw".parse().unwrap())
        }

        fn write(&self, text: &str) {
            let path = self.folder.path().join("policy.toml");
            std::fs::write(&path, text).unwrap();
            // Whatever the umask of whoever runs this.
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_broken_later_leaves_the_nodes_listed_and_everything_protected() {
        let mut desk = Desk::with(GOOD);
        assert!(desk.file.first(now()).unwrap().unreadable.is_none());
        assert!(desk.file.changed(now()).is_none(), "nothing has changed");
        desk.write("nonsense");
        let broken = desk.file.changed(now()).unwrap();
        assert_eq!(broken.nodes.len(), 1);
        assert!(broken.unreadable.unwrap().path.unwrap().ends_with("policy.toml"));
        desk.write(GOOD);
        assert!(desk.file.changed(now()).unwrap().unreadable.is_none(), "the next good file ends it");
    }

    #[test]
    fn a_start_with_a_broken_file_takes_the_last_good_one() {
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        desk.write("nonsense");
        let policy = Desk::open(desk.folder.path()).first(now()).unwrap();
        assert!(policy.nodes.len() == 1 && policy.unreadable.is_some());
    }

    #[test]
    fn a_start_with_a_broken_file_and_nothing_before_it_is_an_empty_fleet() {
        let policy = Desk::with("nonsense").file.first(now()).unwrap();
        assert!(policy.nodes.is_empty() && policy.unreadable.is_some());
    }

    #[test]
    fn a_file_that_is_written_to_while_it_is_taken_in_is_taken_in_again() {
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        let more = GOOD.replace("\"n01\"", "\"n01\", \"n02\"");
        desk.write("written after the look");
        assert_eq!(desk.file.take(Ok(more.clone().into_bytes()), now()).unwrap().nodes.len(), 2);
        let kept = std::fs::read_to_string(desk.folder.path().join("policy.last-good.toml")).unwrap();
        assert_eq!(kept, more, "only what was judged is good");
        let now = desk.file.changed(now()).unwrap();
        assert!(now.nodes.len() == 2 && now.unreadable.is_some());
    }

    #[test]
    fn a_file_seen_half_written_is_seen_whole_at_the_next_look() {
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        assert!(desk.file.take(Ok(Vec::new()), now()).unwrap().unreadable.is_some());
        assert!(desk.file.changed(now()).unwrap().unreadable.is_none());
    }

    #[test]
    fn a_file_that_goes_away_is_a_broken_file() {
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        std::fs::remove_file(desk.folder.path().join("policy.toml")).unwrap();
        assert!(desk.file.changed(now()).unwrap().unreadable.is_some());
        assert!(desk.file.changed(now()).is_none(), "and is told once");
    }

    #[test]
    fn a_file_that_others_can_write_to_is_a_broken_file_and_the_next_look_after_chmod_ends_it() {
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        let set = |desk: &Desk, mode| {
            let path = desk.folder.path().join("policy.toml");
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        set(&desk, 0o666);
        let broken = desk.file.changed(now()).unwrap();
        assert_eq!(broken.nodes.len(), 1);
        let why = broken.unreadable.unwrap().why;
        assert!(
            why.contains("everybody on this host can write to it") && why.contains("chmod go-w"),
            "{why}"
        );
        assert!(desk.file.changed(now()).is_none(), "and is told once");
        set(&desk, 0o644);
        assert!(desk.file.changed(now()).unwrap().unreadable.is_none());
    }

    #[test]
    fn what_is_wrong_is_one_line_with_the_file_and_the_time_it_was_first_seen_until_it_is_mended() {
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        let later = |minutes| now() + jiff::SignedDuration::from_mins(minutes);
        desk.write("a = [1\nb = ]\n");
        let broken = desk.file.changed(later(1)).unwrap().unreadable.unwrap();
        let sentence = broken.to_string();
        let path = desk.folder.path().join("policy.toml");
        assert!(
            sentence.starts_with(&format!("the policy {} cannot be read: line 2: ", path.display())),
            "{sentence}"
        );
        assert!(!sentence.contains('\n'), "{sentence}");
        desk.write(&GOOD.replace("names", "nmes").replace("coordinator =", "cordinator ="));
        let again = desk.file.changed(later(2)).unwrap().unreadable.unwrap();
        assert_eq!(again.since, Some(later(1)), "another fault in a file that was already bad");
        assert!(again.why.starts_with("line 2: ") && again.why.contains("; line 7: "), "{}", again.why);
        desk.write(GOOD);
        desk.file.changed(later(3)).unwrap();
        desk.write("nonsense");
        assert_eq!(desk.file.changed(later(4)).unwrap().unreadable.unwrap().since, Some(later(4)));
    }

    #[test]
    fn another_host_is_refused_with_what_to_do() {
        let other = GOOD.replace("\"mw\"", "\"alimesos01\"");
        let message = Desk::with(&other).file.first(now()).unwrap_err().to_string();
        for part in ["names alimesos1", "this host is mw", "move --to mw", "coordinator.toml"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let mut desk = Desk::with(GOOD);
        desk.file.first(now()).unwrap();
        desk.write(&other);
        assert!(
            desk.file.changed(now()).unwrap().unreadable.unwrap().why.contains("names alimesos1"),
            "while running it protects"
        );
    }
}
