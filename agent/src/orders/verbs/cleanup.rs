//! `cleanup`: removes what stands on the node's own list, is old, and is no mount; by default it only says what would go.
//!
//! What a newcomer gets wrong: the folders on the list belong to builds, who may put a link where a folder was while we look.
//! So each folder on the way is opened without following links, and held open; what is removed is named from there.

use super::{done, failed};
use crate::{
    config::{CleanupConfig, Paths, units::spoken_size},
    pattern,
};
use millwright_protocol::{Evidence, OrderState};
use nix::libc;
use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// So many things are looked at; a folder with more stays as it is.
const MOST_LOOKED_AT: usize = 2_000_000;
/// So many are named.
const MOST_NAMED: usize = 100;
/// So many folders deep.
const DEEPEST: usize = 64;

/// What went, or would go.
#[derive(Debug, Default)]
struct Sum {
    going: Vec<(PathBuf, u64)>,
    staying: Vec<(PathBuf, String)>,
    bytes: u64,
    looked_at: usize,
}

/// Removes what is on the list, or says what it would remove. Takes as long as the disk does: not on the agent's own thread.
pub fn run(config: &CleanupConfig, paths: &Paths, dry_run: bool, now: SystemTime) -> OrderState {
    let mounts = match mounts(paths) {
        Ok(mounts) => mounts,
        Err(error) => {
            return failed(format!("read the mount table {}: {error}", paths.mountinfo().display()));
        }
    };
    let mut round = Round { older_than: config.older_than, mounts, dry_run, now, sum: Sum::default() };
    for glob in &config.globs {
        let names: Vec<&str> = glob.split('/').filter(|name| !name.is_empty()).collect();
        match Folder::open(&paths.root) {
            Ok(root) => round.walk(&root, &names),
            Err(error) => round.stays(&paths.root, error.to_string()),
        }
    }
    round.sum.told(dry_run)
}

/// A folder that is held open.
struct Folder {
    held: File,
    /// Where it is, for people and for the mount table.
    path: PathBuf,
}

impl Folder {
    fn open(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        Ok(Self { held: Self::hold(&path)?, path })
    }

    fn hold(path: &Path) -> io::Result<File> {
        File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY).open(path)
    }

    /// The name of something in it, that leads there whatever becomes of the path.
    fn at(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.held.as_raw_fd())).join(name)
    }

    /// A folder in it that is no link.
    fn below(&self, name: &str) -> io::Result<Self> {
        Ok(Self { held: Self::hold(&self.at(name))?, path: self.path.join(name) })
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(self.at("."))?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }
}

struct Round {
    older_than: Duration,
    mounts: BTreeSet<PathBuf>,
    dry_run: bool,
    now: SystemTime,
    sum: Sum,
}

impl Round {
    /// Follows the names of a glob from a folder on.
    fn walk(&mut self, folder: &Folder, names: &[&str]) {
        let Some((name, rest)) = names.split_first() else { return };
        let found = if name.contains('*') {
            match folder.names() {
                Ok(all) => all.into_iter().filter(|found| pattern::matches(name, found)).collect(),
                Err(error) => return self.stays(&folder.path, error.to_string()),
            }
        } else {
            vec![(*name).to_owned()]
        };
        for found in found {
            if rest.is_empty() {
                self.consider(folder, &found);
                continue;
            }
            match folder.below(&found) {
                Ok(below) => self.walk(&below, rest),
                // What is no folder has nothing below it, and a link is not followed.
                Err(error) if is_no_folder(&error) => {}
                Err(error) => self.stays(&folder.path.join(&found), error.to_string()),
            }
        }
    }

    /// One thing that the list names.
    fn consider(&mut self, folder: &Folder, name: &str) {
        let path = folder.path.join(name);
        let metadata = match fs::symlink_metadata(folder.at(name)) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.stays(&path, error.to_string()),
        };
        if self.mounts.iter().any(|mount| mount.starts_with(&path)) {
            return self.stays(&path, "something is mounted there".to_owned());
        }
        let (bytes, newest) = match self.weigh(folder, name, &metadata, metadata.dev(), 0) {
            Ok(weighed) => weighed,
            Err(error) => return self.stays(&path, error.to_string()),
        };
        // What is from the future is not old.
        let age = self.now.duration_since(newest).unwrap_or_default();
        if age < self.older_than {
            return;
        }
        let at = folder.at(name);
        let gone = match (self.dry_run, metadata.is_dir()) {
            (true, _) => Ok(()),
            (false, true) => fs::remove_dir_all(at),
            (false, false) => fs::remove_file(at),
        };
        match gone {
            Ok(()) => {
                self.sum.bytes = self.sum.bytes.saturating_add(bytes);
                self.sum.going.push((path, bytes));
            }
            Err(error) => self.stays(&path, error.to_string()),
        }
    }

    /// How much it takes on the disk, and when anything in it was changed last.
    fn weigh(
        &mut self,
        folder: &Folder,
        name: &str,
        metadata: &Metadata,
        device: u64,
        depth: usize,
    ) -> io::Result<(u64, SystemTime)> {
        self.sum.looked_at += 1;
        if self.sum.looked_at > MOST_LOOKED_AT || depth > DEEPEST {
            return Err(io::Error::other("there is too much in it to look at"));
        }
        if metadata.dev() != device {
            return Err(io::Error::other("another disk is mounted in it"));
        }
        let (mut bytes, mut newest) = (metadata.blocks().saturating_mul(512), metadata.modified()?);
        if metadata.is_dir() {
            let inside = folder.below(name)?;
            for name in inside.names()? {
                let metadata = fs::symlink_metadata(inside.at(&name))?;
                let (more, changed) = self.weigh(&inside, &name, &metadata, device, depth + 1)?;
                bytes = bytes.saturating_add(more);
                newest = newest.max(changed);
            }
        }
        Ok((bytes, newest))
    }

    fn stays(&mut self, path: &Path, why: String) {
        if self.sum.staying.len() < MOST_NAMED {
            self.sum.staying.push((path.to_owned(), why));
        }
    }
}

fn is_no_folder(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || number == Some(libc::ENOTDIR) || number == Some(libc::ELOOP)
}

impl Sum {
    fn told(self, dry_run: bool) -> OrderState {
        let what = if dry_run { "would_go" } else { "gone" };
        let mut evidence = vec![
            Evidence::new(format!("{what}_bytes"), self.bytes, "agent"),
            Evidence::new(format!("{what}_count"), self.going.len(), "agent"),
        ];
        for (path, bytes) in self.going.iter().take(MOST_NAMED) {
            let told = format!("{} ({})", path.display(), spoken_size(*bytes));
            evidence.push(Evidence::new(what, told, "agent"));
        }
        for (path, why) in &self.staying {
            evidence.push(Evidence::new("stays", format!("{}: {why}", path.display()), "agent"));
        }
        match self.staying.first() {
            Some((path, why)) if self.going.is_empty() => OrderState::Failed {
                sentence: format!("nothing was removed; {}: {why}", path.display()),
                evidence,
            },
            _ => done(evidence),
        }
    }
}

/// Every place where something is mounted, also what a bind mount puts there from the same disk.
fn mounts(paths: &Paths) -> io::Result<BTreeSet<PathBuf>> {
    let text = fs::read_to_string(paths.mountinfo())?;
    let places = text.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(places.map(|place| PathBuf::from(place.replace("\\040", " "))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const DAY: Duration = Duration::from_secs(86_400);

    struct Node {
        root: tempfile::TempDir,
        paths: Paths,
        config: CleanupConfig,
    }

    impl Node {
        fn new(globs: &[&str]) -> Self {
            let root = tempfile::tempdir().unwrap();
            let paths = Paths { root: root.path().into(), ..Paths::default() };
            let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
            let node = Self { root, paths, config: CleanupConfig { globs, older_than: DAY } };
            node.write("proc/self/mountinfo", "");
            node
        }

        fn at(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            fs::write(self.at(path), text).unwrap();
        }

        /// Runs it, so many days from now.
        fn run(&self, dry_run: bool, days: u32) -> OrderState {
            run(&self.config, &self.paths, dry_run, SystemTime::now() + DAY * days)
        }
    }

    fn told(state: &OrderState, fact: &str) -> Vec<String> {
        let (OrderState::Done { evidence } | OrderState::Failed { evidence, .. }) = state else {
            panic!("{state:?}")
        };
        evidence.iter().filter(|one| one.fact == fact).map(|one| one.value.clone()).collect()
    }

    #[test]
    fn a_dry_run_says_what_would_go_and_removes_nothing() {
        let node = Node::new(&["/build/workarea/*/tmp-*"]);
        node.write("build/workarea/a/tmp-1/x", "12345");
        node.write("build/workarea/a/keep/x", "");
        let state = node.run(true, 2);
        assert_eq!(told(&state, "would_go_count"), ["1"]);
        assert!(told(&state, "would_go").concat().contains("build/workarea/a/tmp-1 ("), "{state:?}");
        assert!(node.at("build/workarea/a/tmp-1/x").exists());
    }

    #[test]
    fn only_what_is_on_the_list_and_old_goes() {
        let node = Node::new(&["/build/workarea/*/tmp-*", "/build/workarea/log"]);
        for path in ["a/tmp-1/x", "b/tmp-2/y/z", "a/keep/x", "tmp-3/x", "log"] {
            node.write(&format!("build/workarea/{path}"), "");
        }
        assert_eq!(told(&node.run(false, 0), "gone_count"), ["0"], "nothing is old yet");
        let state = node.run(false, 2);
        assert_eq!(told(&state, "gone_count"), ["3"], "{state:?}");
        let stays = ["a/keep/x", "tmp-3/x"].map(|path| node.at("build/workarea").join(path).exists());
        let goes = ["a/tmp-1", "b/tmp-2", "log"].map(|path| node.at("build/workarea").join(path).exists());
        assert_eq!((stays, goes), ([true, true], [false, false, false]));
    }

    #[test]
    fn a_folder_in_which_anything_is_new_stays() {
        let node = Node::new(&["/build/workarea/*"]);
        node.write("build/workarea/old/deep/x", "");
        let file = File::open(node.at("build/workarea/old/deep/x")).unwrap();
        file.set_modified(SystemTime::now() + DAY * 3).unwrap();
        assert_eq!(told(&node.run(false, 2), "gone_count"), ["0"]);
        assert!(node.at("build/workarea/old/deep/x").exists());
    }

    #[test]
    fn no_link_leads_out() {
        let node = Node::new(&["/build/workarea/*/tmp", "/build/workarea/link"]);
        node.write("precious/tmp/x", "");
        node.write("build/workarea/real/tmp/x", "");
        symlink(node.at("precious"), node.at("build/workarea/out")).unwrap();
        symlink(node.at("precious"), node.at("build/workarea/link")).unwrap();
        symlink(node.at("precious"), node.at("build/workarea/real/tmp/inside")).unwrap();
        node.run(false, 2);
        assert!(node.at("precious/tmp/x").exists());
        assert!(!node.at("build/workarea/real/tmp").exists());
        assert!(
            fs::symlink_metadata(node.at("build/workarea/link")).is_err(),
            "the link itself was on the list"
        );
    }

    #[test]
    fn nothing_goes_where_something_is_mounted() {
        let node = Node::new(&["/build/workarea/*"]);
        node.write("build/workarea/a/mnt/x", "");
        let place = fs::canonicalize(node.at("build/workarea/a/mnt")).unwrap();
        node.write("proc/self/mountinfo", &format!("30 1 0:1 / {} rw - ext4 /dev/x rw\n", place.display()));
        let state = node.run(false, 2);
        assert!(told(&state, "stays").concat().contains("something is mounted there"), "{state:?}");
        assert!(node.at("build/workarea/a/mnt/x").exists());
    }

    #[test]
    fn without_the_mount_table_nothing_goes() {
        let node = Node::new(&["/build/workarea/*"]);
        node.write("build/workarea/a/x", "");
        fs::remove_file(node.at("proc/self/mountinfo")).unwrap();
        assert!(matches!(node.run(false, 2), OrderState::Failed { .. }));
        assert!(node.at("build/workarea/a/x").exists());
    }
}
