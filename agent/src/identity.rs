//! Who this node is: name, boot, machine, server.

use crate::config::{Config, Paths};
use millwright_protocol::NodeName;
use std::{fs, io::Read, path::Path};

/// Everything that tells this node, this machine and this boot from others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The node's name as configured, else the Puppet certname, else the host name.
    pub name: String,
    /// Where the name comes from, for people.
    pub name_source: &'static str,
    /// The id of this boot.
    pub boot_id: String,
    /// The machine's id.
    pub machine_id: String,
    /// The server's UUID, where there is one.
    pub server_uuid: Option<String>,
}

/// Why an agent cannot say who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file that every Linux has could not be read.
    #[error("read {what} from {path}: {why}; set paths.{key} if it is elsewhere")]
    Unreadable {
        /// What the file tells.
        what: &'static str,
        /// The file.
        path: String,
        /// The key that names another file.
        key: &'static str,
        /// What was found.
        why: String,
    },
    /// No source gave a usable name.
    #[error("find the node's name: {why}; set node.name in agent.toml")]
    NoName {
        /// What was found instead.
        why: String,
    },
}

impl Identity {
    /// Reads who this node is.
    ///
    /// # Errors
    /// When the boot id or the machine id cannot be read, or no name is found: without them a report would
    /// be nobody's.
    pub fn read(config: &Config) -> Result<Self, IdentityError> {
        let paths = &config.paths;
        let (name, name_source) = name(config)?;
        Ok(Self {
            name,
            name_source,
            boot_id: needed("the boot id", "boot_id", &paths.boot_id())?,
            machine_id: needed("the machine id", "machine_id", &paths.machine_id())?,
            server_uuid: word_in(&paths.server_uuid()).ok().map(|uuid| uuid.to_lowercase()),
        })
    }
}

fn needed(what: &'static str, key: &'static str, path: &Path) -> Result<String, IdentityError> {
    word_in(path).map_err(|why| IdentityError::Unreadable {
        what,
        path: path.display().to_string(),
        key,
        why,
    })
}

/// The one word a small file holds.
fn word_in(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(256).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let word = String::from_utf8_lossy(&bytes).trim().to_owned();
    let fits = !word.is_empty() && word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(word) } else { Err(format!("{word:?} is no id")) }
}

fn name(config: &Config) -> Result<(String, &'static str), IdentityError> {
    let certname = || certname(&config.paths).map(|name| (name, "Puppet certname"));
    let configured = config.node.name.clone().map(|name| (name, "node.name"));
    let (name, source) = match configured.or_else(certname) {
        Some(found) => found,
        None => {
            let nameless = || IdentityError::NoName { why: "this machine has no host name".to_owned() };
            (sysinfo::System::host_name().map_err(|_| nameless())?, "host name")
        }
    };
    match name.parse::<NodeName>() {
        Ok(_) => Ok((name, source)),
        Err(refusal) => Err(IdentityError::NoName { why: format!("{source}: {refusal}") }),
    }
}

/// The certname in any of the places Puppet 3 to 8 keep their configuration; `[agent]` beats `[main]`.
fn certname(paths: &Paths) -> Option<String> {
    ["/etc/puppetlabs/puppet/puppet.conf", "/etc/puppet/puppet.conf"].iter().find_map(|path| {
        let text = fs::read_to_string(paths.rooted(path)).ok()?;
        certname_in(&text)
    })
}

fn certname_in(text: &str) -> Option<String> {
    let (mut section, mut of_main, mut of_agent) = ("main", None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim();
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim() == "certname"
        {
            let value = value.split('#').next().unwrap_or_default().trim().trim_matches('"');
            match section {
                "agent" => of_agent = Some(value),
                "main" => of_main = Some(value),
                _ => {}
            }
        }
    }
    of_agent.or(of_main).filter(|name| !name.is_empty() && !name.contains('$')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certname_of_the_agent_section_beats_main() {
        let text =
            "[main]\n  certname = a.cern.ch # old\n[server]\ncertname=x\n[agent]\ncertname=b.cern.ch\n";
        assert_eq!(certname_in(text).as_deref(), Some("b.cern.ch"));
        assert_eq!(certname_in("certname = a.cern.ch").as_deref(), Some("a.cern.ch"));
        assert_eq!(certname_in("[main]\n#certname = a\n"), None);
        assert_eq!(certname_in("[main]\ncertname = $fqdn\n"), None);
    }

    #[test]
    fn the_configured_name_beats_puppet_and_puppet_beats_the_host_name() {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        config.paths.boot_id = Some("/proc/sys/kernel/random/boot_id".into());
        fs::create_dir_all(root.path().join("etc/puppet")).unwrap();
        fs::write(root.path().join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();

        assert_eq!(Identity::read(&config).unwrap().name_source, "host name");
        fs::write(root.path().join("etc/puppet/puppet.conf"), "[main]\ncertname = n1.cern.ch\n").unwrap();
        assert_eq!(Identity::read(&config).unwrap().name, "n1.cern.ch");
        config.node.name = Some("n2".into());
        let identity = Identity::read(&config).unwrap();
        assert_eq!((identity.name.as_str(), identity.server_uuid), ("n2", None));
    }

    #[test]
    fn a_missing_or_broken_machine_id_is_an_error_that_names_file_and_key() {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.machine_id = Some(root.path().join("machine-id"));
        for content in [None, Some("uninitialized or so\n"), Some("")] {
            if let Some(content) = content {
                fs::write(root.path().join("machine-id"), content).unwrap();
            }
            let error = Identity::read(&config).unwrap_err().to_string();
            assert!(error.contains("machine-id") && error.contains("paths.machine_id"), "{error}");
        }
    }
}
