//! Files that say what may be done: they are read only where nobody else could have written them.
//!
//! Whoever can write to `policy.toml` can take a protection away, and whoever can write to `coordinator.toml` can name
//! another policy. So both belong to root or to the user we run as, and nobody else can change them or put others in their
//! place.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder with this mark, such as /tmp, only the owner of a file can put another in its place.
const STICKY: u32 = 0o1000;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Somebody else may have written it; says who, and the command that ends it.
    #[error("{0}")]
    Untrusted(String),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::Untrusted(why) => Self::new(io::ErrorKind::PermissionDenied, why),
        }
    }
}

/// Reads a file that only root and the user we run as can change.
///
/// # Errors
/// It cannot be read, or somebody else can change it.
pub fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut file = File::open(path)?;
    // Of the open file: what is put in its place from here on is not what is read.
    let metadata = file.metadata()?;
    let us = nix::unistd::geteuid().as_raw();
    let suspicion =
        of_file(path, &metadata, us).or_else(|| folders(path).iter().find_map(|path| of_folder(path)));
    if let Some(why) = suspicion {
        return Err(ReadError::Untrusted(why));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn of_file(path: &Path, metadata: &Metadata, us: u32) -> Option<String> {
    let (mode, owner, shown) = (metadata.mode() & 0o7777, metadata.uid(), path.display());
    if owner != 0 && owner != us {
        let either =
            if us == 0 { "root".to_owned() } else { format!("root or the user {us}, whom we run as") };
        return Some(format!(
            "it belongs to the user {owner}, who could change it, and must belong to {either}: `chown root {shown}`"
        ));
    }
    let who = match mode {
        mode if mode & OTHERS_WRITE != 0 => "everybody on this host".to_owned(),
        mode if mode & GROUP_WRITES != 0 => format!("the group {}", metadata.gid()),
        _ => return None,
    };
    Some(format!("{who} can write to it (mode {mode:o}); take that away with `chmod go-w {shown}`"))
}

fn of_folder(folder: &Path) -> Option<String> {
    let mode = fs::metadata(folder).ok()?.mode() & 0o7777;
    (mode & OTHERS_WRITE != 0 && mode & STICKY == 0).then(|| {
        let shown = folder.display();
        format!(
            "everybody on this host can put another file in its place, since {shown} has mode {mode:o}; take that away \
             with `chmod o-w {shown}`"
        )
    })
}

/// The folder it is named in, and the one it really lies in.
fn folders(path: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(path).ok();
    let named = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    [Some(named), real.as_deref().and_then(Path::parent)].into_iter().flatten().map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn suspicion(path: &Path) -> String {
        match read(path) {
            Err(ReadError::Untrusted(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_others_can_write_to_is_not_read_and_the_command_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, "x").unwrap();
        for good in [0o600, 0o640, 0o644, 0o400, 0o755] {
            set(&path, good);
            assert_eq!(read(&path).unwrap(), b"x", "{good:o}");
        }
        for (bad, who) in
            [(0o666, "everybody"), (0o646, "everybody"), (0o664, "the group"), (0o660, "the group")]
        {
            set(&path, bad);
            let why = suspicion(&path);
            let command = format!("chmod go-w {}", path.display());
            assert!(
                why.contains(who) && why.contains(&format!("mode {bad:o}")) && why.contains(&command),
                "{why}"
            );
        }
    }

    #[test]
    fn a_folder_in_which_others_can_put_files_is_no_place_unless_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let (open, path) = (folder.path().join("open"), folder.path().join("open/policy.toml"));
        fs::create_dir(&open).unwrap();
        fs::write(&path, "x").unwrap();
        set(&path, 0o644);
        set(&open, 0o777);
        assert!(suspicion(&path).contains(&format!("chmod o-w {}", open.display())));
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(suspicion(&link).contains("put another file in its place"), "where it really lies counts");
        set(&open, 0o1777);
        assert!(read(&path).is_ok() && read(&link).is_ok());
    }

    #[test]
    fn a_file_of_somebody_else_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (metadata, path) = (file.as_file().metadata().unwrap(), file.path());
        let owner = metadata.uid();
        assert_eq!(of_file(path, &metadata, owner), None);
        // Whether we are root or not: somebody else looks at what is ours.
        let stranger = owner + 1;
        match owner {
            0 => assert_eq!(of_file(path, &metadata, stranger), None, "root may"),
            _ => assert!(of_file(path, &metadata, stranger).unwrap().contains("`chown root ")),
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_as_that() {
        assert!(matches!(read(Path::new("/nonexistent/x")), Err(ReadError::Io(_))));
    }
}
