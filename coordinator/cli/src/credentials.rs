//! What `millwright login` keeps for the person at the keyboard: a token for each coordinator, readable by nobody else.

use crate::client::Server;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// One file of it all.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The coordinator that is asked unless another one is named.
    #[serde(default)]
    usual: Option<String>,
    #[serde(default)]
    servers: BTreeMap<String, Entry>,
}

/// What belongs to one coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The secret.
    pub token: String,
    /// The authorities that its certificate is checked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Where it is: `millwright/credentials.json` where this person's settings are. None for a person without a home.
pub fn path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let settings = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(settings.join("millwright/credentials.json"))
}

impl Credentials {
    /// Reads the file; empty when there is none.
    ///
    /// # Errors
    /// Others can read it, or it is not what we wrote.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let mode = match fs::metadata(path) {
            Ok(file) => file.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        if mode & 0o077 != 0 {
            bail!(
                "{} holds your tokens and others can read it (mode {:o}); run `chmod 600 {0}`, and revoke the tokens if \
                 somebody may have",
                path.display(),
                mode & 0o777
            );
        }
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("read {}; remove it and run `millwright login` again", path.display()))
    }

    /// What belongs to a coordinator.
    pub fn of(&self, server: &Server) -> Option<&Entry> {
        self.servers.get(&server.to_string())
    }

    /// The coordinator that is asked unless another one is named.
    pub fn usual(&self) -> Option<Server> {
        self.usual.as_deref()?.parse().ok()
    }

    /// Keeps what belongs to a coordinator, which from now on is the usual one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(mut self, path: &Path, server: &Server, entry: Entry) -> Result<()> {
        self.servers.insert(server.to_string(), entry);
        self.usual = Some(server.to_string());
        self.write(path)
    }

    /// Forgets what belongs to a coordinator; `false` when there was nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget(mut self, path: &Path, server: &Server) -> Result<bool> {
        let server = server.to_string();
        let had = self.servers.remove(&server).is_some();
        if self.usual.as_ref() == Some(&server) {
            self.usual = None;
        }
        self.write(path)?;
        Ok(had)
    }

    /// In one step, so that nobody reads half of it.
    fn write(&self, path: &Path) -> Result<()> {
        let what = || format!("write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(what)?;
        }
        let draft = path.with_extension("new");
        let _ = fs::remove_file(&draft);
        let text = serde_json::to_vec_pretty(self)?;
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&draft, path))
            .with_context(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: &str) -> Entry {
        Entry { token: token.to_owned(), ca: None }
    }

    #[test]
    fn what_is_kept_is_there_again_and_readable_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/credentials.json");
        let (one, other): (Server, Server) =
            ("https://mw.cern.ch:8480".parse().unwrap(), "http://127.0.0.1:8480".parse().unwrap());
        Credentials::read(Some(&path)).unwrap().keep(&path, &one, entry("mwt_1")).unwrap();
        Credentials::read(Some(&path)).unwrap().keep(&path, &other, entry("mwt_2")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Credentials::read(Some(&path)).unwrap();
        assert_eq!(read.of(&one), Some(&entry("mwt_1")));
        assert_eq!(read.usual().as_ref(), Some(&other), "the one signed in to last");
        assert!(read.forget(&path, &other).unwrap());
        let read = Credentials::read(Some(&path)).unwrap();
        assert_eq!((read.of(&other), read.usual()), (None, None));
        assert!(!read.forget(&path, &other).unwrap());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Credentials::read(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Credentials::read(Some(&path)).unwrap(), Credentials::default());
        fs::write(&path, "half a fi").unwrap();
        let error = format!("{:#}", Credentials::read(Some(&path)).unwrap_err());
        assert!(error.contains("millwright login"), "{error}");
        assert_eq!(Credentials::read(None).unwrap(), Credentials::default(), "a person without a home");
    }
}
