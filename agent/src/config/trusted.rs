//! Whether nobody but root and the user we run as can have written `agent.toml`: it says what must never be done to this
//! node, and names the coordinator.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder with this mark, such as /tmp, only the owner of a file can put another in its place.
const STICKY: u32 = 0o1000;

/// Who else can change the open file at `path`, and the command that ends it.
pub(super) fn suspicion(path: &Path, metadata: &Metadata) -> Option<String> {
    of_file(path, metadata, nix::unistd::geteuid().as_raw()).or_else(|| {
        let real = fs::canonicalize(path).ok();
        let named = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        [Some(named), real.as_deref().and_then(Path::parent)].into_iter().flatten().find_map(of_folder)
    })
}

fn of_file(path: &Path, metadata: &Metadata, us: u32) -> Option<String> {
    let (mode, owner, shown) = (metadata.mode() & 0o7777, metadata.uid(), path.display());
    if owner != 0 && owner != us {
        return Some(format!(
            "it belongs to the user {owner}, who could change it, and must belong to root or to the user we run as \
             ({us}): `chown root {shown}`"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fragment;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    #[test]
    fn a_file_that_others_can_change_is_not_read_and_the_command_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        fs::write(&path, "").unwrap();
        let with = |file: u32, around: u32| {
            fs::set_permissions(&path, Permissions::from_mode(file)).unwrap();
            fs::set_permissions(folder.path(), Permissions::from_mode(around)).unwrap();
            Fragment::read(&path).map(drop).map_err(|error| error.to_string())
        };
        for (file, around) in [(0o644, 0o755), (0o600, 0o700), (0o640, 0o1777)] {
            with(file, around).unwrap();
        }
        for (file, around, words) in [
            (0o666, 0o755, "everybody on this host can write to it (mode 666)"),
            (0o664, 0o755, "can write to it (mode 664); take that away with `chmod go-w /"),
            (0o644, 0o777, "with `chmod o-w /"),
        ] {
            let refusal = with(file, around).unwrap_err();
            assert!(refusal.contains(words) && refusal.contains("agent.toml"), "{refusal}");
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (metadata, path) = (file.as_file().metadata().unwrap(), file.path());
        assert_eq!(of_file(path, &metadata, metadata.uid()), None);
        if metadata.uid() != 0 {
            assert!(of_file(path, &metadata, metadata.uid() + 1).unwrap().contains("`chown root /"));
        }
    }
}
