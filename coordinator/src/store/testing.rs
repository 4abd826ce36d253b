//! A host with a store, for tests.

use super::{Retention, Store, restore::Desk};
use millwright_protocol::NodeName;
use std::path::PathBuf;

pub(super) struct Place {
    folder: tempfile::TempDir,
    host: NodeName,
    store: PathBuf,
    backups: PathBuf,
}

impl Place {
    pub fn on(host: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, backups) = (folder.path().join("store"), folder.path().join("backups"));
        Self { folder, host: host.parse().unwrap(), store, backups }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, backups: &self.backups, host: &self.host, by: "root" }
    }

    pub fn open(&self) -> Store {
        Store::open(&self.store, Retention::default()).unwrap().0
    }

    /// What people did according to the store, newest first.
    pub fn said(&self) -> Vec<String> {
        self.open().audit(10).unwrap().into_iter().map(|entry| entry.what).collect()
    }
}
