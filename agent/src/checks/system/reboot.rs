//! Whether the machine wants a reboot, and why.

use crate::config::Paths;
use std::fs;

/// More packages are counted, not named.
const MOST_NAMED: usize = 5;

/// Why a reboot is wanted, when one is.
pub fn required(paths: &Paths, running: &str) -> Option<String> {
    let mut reasons = Vec::new();
    if let Some(newest) = newest_kernel(paths).filter(|newest| version(newest) > version(running)) {
        reasons.push(format!("kernel {newest} is installed, {running} is running"));
    }
    if paths.rooted("/run/reboot-required").exists() {
        reasons.push(packages(paths));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The newest kernel that has both its image and its modules.
fn newest_kernel(paths: &Paths) -> Option<String> {
    let modules = fs::read_dir(paths.rooted("/lib/modules")).ok()?;
    modules
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| paths.rooted("/boot").join(format!("vmlinuz-{name}")).exists())
        .max_by_key(|name| version(name))
}

/// The numbers of a version, up to the first word that is none: `3.10.0-1160.119.1.el7.x86_64` and the flavours
/// of one version compare alike.
fn version(name: &str) -> Vec<u64> {
    name.split(['.', '-', '_', '+']).map_while(|part| part.parse().ok()).collect()
}

fn packages(paths: &Paths) -> String {
    let list = fs::read_to_string(paths.rooted("/run/reboot-required.pkgs")).unwrap_or_default();
    let mut names: Vec<&str> = list.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    match (names.is_empty(), more) {
        (true, _) => "the system asks for it (/run/reboot-required)".to_owned(),
        (false, 0) => format!("updated: {}", names.join(", ")),
        (false, more) => format!("updated: {} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn node(files: &[(&str, &str)]) -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, text).unwrap();
        }
        let paths = Paths { root: root.path().into(), ..Paths::default() };
        (root, paths)
    }

    const RUNNING: &str = "3.10.0-1160.99.1.el7.x86_64";

    #[test]
    fn a_newer_kernel_with_image_and_modules_wants_a_reboot() {
        let (_root, paths) = node(&[
            ("boot/vmlinuz-3.10.0-1160.119.1.el7.x86_64", ""),
            ("lib/modules/3.10.0-1160.119.1.el7.x86_64/x", ""),
            ("boot/vmlinuz-3.10.0-1160.99.1.el7.x86_64", ""),
            ("lib/modules/3.10.0-1160.99.1.el7.x86_64/x", ""),
            ("boot/vmlinuz-9.9.9", ""),
            ("lib/modules/8.8.8/x", ""),
        ]);
        assert_eq!(
            required(&paths, RUNNING).as_deref(),
            Some("kernel 3.10.0-1160.119.1.el7.x86_64 is installed, 3.10.0-1160.99.1.el7.x86_64 is running")
        );
        assert_eq!(required(&paths, "3.10.0-1160.119.1.el7.x86_64"), None);
    }

    #[test]
    fn what_debian_asks_for_is_told_with_the_packages() {
        let (_root, paths) = node(&[("run/reboot-required", "*** System restart required ***\n")]);
        assert_eq!(
            required(&paths, RUNNING).as_deref(),
            Some("the system asks for it (/run/reboot-required)")
        );
        let (_root, paths) = node(&[
            ("run/reboot-required", ""),
            ("run/reboot-required.pkgs", "libc6\nlibc6\na\nb\nc\nd\ne\n"),
        ]);
        assert_eq!(required(&paths, RUNNING).as_deref(), Some("updated: a, b, c, d, e and 1 more"));
    }

    #[test]
    fn a_machine_without_boot_and_modules_wants_none() {
        let (_root, paths) = node(&[]);
        assert_eq!(required(&paths, RUNNING), None);
    }
}
