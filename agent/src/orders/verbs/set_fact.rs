//! `set_fact`: one external fact for Puppet, in a file of its own.

use super::{done, failed, publish};
use crate::config::{OrdersConfig, Paths};
use millwright_protocol::{Evidence, OrderState};
use std::{fs, io, path::Path};

/// Writes the fact, or removes it where there is no value. Name and value were checked with the order.
pub fn run(config: &OrdersConfig, paths: &Paths, name: &str, value: Option<&str>) -> OrderState {
    let folder = paths.rooted(&config.facts_folder);
    let file = folder.join(format!("{name}.txt"));
    let written = match value {
        Some(value) => write(&folder, &file, &format!("{name}={value}\n")),
        None => remove(&file),
    };
    match written {
        Ok(()) => done(vec![Evidence::new(name, value.unwrap_or("(removed)"), file.display().to_string())]),
        Err(error) => failed(format!("write the fact {name} to {}: {error}", file.display())),
    }
}

fn write(folder: &Path, file: &Path, line: &str) -> io::Result<()> {
    if fs::read_to_string(file).is_ok_and(|there| there == line) {
        return Ok(());
    }
    // Facter's own folders may not be there yet; where not even Puppet's is, nobody would read the fact.
    let puppets = folder.parent().and_then(Path::parent).unwrap_or(folder);
    if !puppets.is_dir() {
        let why =
            format!("{} is not there; is Puppet installed? else set orders.facts_folder", puppets.display());
        return Err(io::Error::other(why));
    }
    fs::create_dir_all(folder)?;
    publish(file, line)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn node() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths { root: root.path().into(), ..Paths::default() };
        (root, paths)
    }

    #[test]
    fn a_fact_is_written_for_everybody_to_read_replaced_and_removed() {
        let (root, paths) = node();
        fs::create_dir_all(root.path().join("etc/puppetlabs")).unwrap();
        let file = root.path().join("etc/puppetlabs/facter/facts.d/millwright_start.txt");
        for value in ["yes", "yes", "no"] {
            let state = run(&OrdersConfig::default(), &paths, "millwright_start", Some(value));
            assert!(matches!(state, OrderState::Done { .. }), "{state:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), format!("millwright_start={value}\n"));
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no draft stays behind");
        for _ in 0..2 {
            let state = run(&OrdersConfig::default(), &paths, "millwright_start", None);
            assert!(matches!(state, OrderState::Done { .. }), "{state:?}");
            assert!(!file.exists());
        }
    }

    #[test]
    fn without_puppet_there_is_nobody_to_tell() {
        let (_root, paths) = node();
        let state = run(&OrdersConfig::default(), &paths, "millwright_start", Some("yes"));
        let OrderState::Failed { sentence, .. } = state else { panic!("{state:?}") };
        assert!(sentence.contains("is Puppet installed?"), "{sentence}");
    }
}
