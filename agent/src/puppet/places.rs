//! Where Puppet's files are: each version and each distribution has its own places, and old files stay behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The folders to look into.
#[derive(Debug, Clone)]
pub struct Places(Vec<PathBuf>);

/// A file, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// When it was written.
    pub written: SystemTime,
    /// Its length in bytes.
    pub length: u64,
}

impl Places {
    /// The folders, in no particular order.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(folders.into_iter().collect())
    }

    /// The newest file of this name; an upgrade of Puppet leaves the old one where it was.
    pub fn newest(&self, name: &str) -> Option<Found> {
        self.0.iter().filter_map(|folder| find(&folder.join(name)).ok()).max_by_key(|found| found.written)
    }

    /// The folders, for people.
    pub fn named(&self) -> String {
        self.0.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

fn find(path: &Path) -> io::Result<Found> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    Ok(Found { path: path.to_owned(), written: metadata.modified()?, length: metadata.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, time::Duration};

    #[test]
    fn of_files_left_behind_by_older_versions_the_newest_counts() {
        let folder = tempfile::tempdir().unwrap();
        let start = SystemTime::UNIX_EPOCH;
        let places = Places::new(["old", "new", "none"].map(|name| folder.path().join(name)));
        for (name, seconds) in [("old", 100), ("new", 200)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            let file = File::create(folder.path().join(name).join("x")).unwrap();
            file.set_modified(start + Duration::from_secs(seconds)).unwrap();
        }
        assert_eq!(places.newest("x").unwrap().path, folder.path().join("new/x"));
        assert_eq!(places.newest("y"), None);
        fs::create_dir(folder.path().join("new/y")).unwrap();
        assert_eq!(places.newest("y"), None, "a folder is no file");
    }
}
