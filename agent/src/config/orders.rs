//! Whether and how orders of the coordinator are carried out.

use super::{Fault, units};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// `[orders]`: the node's own switch, and the ways in which verbs act.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// Whether orders are carried out; when not, each is refused.
    pub enabled: bool,
    /// An absolute path that is run in logind's place, without arguments. For tests.
    pub reboot_command: Option<PathBuf>,
    /// The unit that runs Puppet once; empty where there is no Puppet.
    pub puppet_unit: String,
    /// Run in the unit's place: an absolute path with its arguments, whose exit codes are those of
    /// `puppet agent --detailed-exitcodes`. For tests.
    pub puppet_command: Vec<String>,
    /// How long one run of Puppet, with waiting for another one to end, may take.
    #[serde(with = "units::duration")]
    pub puppet_deadline: Duration,
    /// Where external facts are written.
    pub facts_folder: PathBuf,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            reboot_command: None,
            puppet_unit: "millwright-puppet-run.service".to_owned(),
            puppet_command: Vec::new(),
            puppet_deadline: Duration::from_secs(3600),
            facts_folder: "/etc/puppetlabs/facter/facts.d".into(),
        }
    }
}

impl OrdersConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let absolute = |key: &str, path: &Path| {
            let why = format!("= {path:?} is no absolute path; write one that begins with /");
            (!path.is_absolute()).then(|| Fault::new(format!("orders.{key}"), why))
        };
        let puppet = self.puppet_command.first().map(PathBuf::from);
        let is_unit =
            self.puppet_unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte));
        let unit = (!is_unit || self.puppet_unit.starts_with('-'))
            .then(|| Fault::new("orders.puppet_unit", format!("= {:?} is no unit's name", self.puppet_unit)));
        [
            self.reboot_command.as_deref().and_then(|path| absolute("reboot_command", path)),
            puppet.as_deref().and_then(|path| absolute("puppet_command", path)),
            absolute("facts_folder", &self.facts_folder),
            unit,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// `[mesos_master]`: what orders may write on a master.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WhitelistConfig {
    /// The file that the Mesos master reads as `--whitelist`; without it no order writes one.
    pub whitelist: Option<PathBuf>,
}

impl WhitelistConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let path = self.whitelist.as_ref().filter(|path| !path.is_absolute());
        path.map(|path| Fault::new("mesos_master.whitelist", format!("= {path:?} is no absolute path")))
            .into_iter()
            .collect()
    }
}

/// `[cleanup]`: what an order may remove, and nothing else.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleanupConfig {
    /// What may be removed: absolute paths, `*` for any run of characters within one name; empty for nothing.
    pub globs: Vec<String>,
    /// Only what was not changed for so long.
    #[serde(with = "units::duration")]
    pub older_than: Duration,
}

impl Default for CleanupConfig {
    fn default() -> Self {
        Self { globs: Vec::new(), older_than: Duration::from_secs(7 * 86_400) }
    }
}

impl CleanupConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let bad = |glob: &&String| {
            let parts: Vec<&str> = glob.split('/').skip(1).collect();
            let is_good = glob.starts_with('/')
                && parts.len() >= 3
                && parts.iter().all(|part| !part.is_empty() && *part != "." && *part != "..")
                && parts.first().is_some_and(|first| !first.contains('*'));
            !is_good
        };
        let why = |glob: &String| {
            format!(
                "has {glob:?}; accepted are absolute paths of three names or more, the first without \"*\", none of them \
                 \".\", \"..\" or empty"
            )
        };
        self.globs.iter().find(bad).map(|glob| Fault::new("cleanup.globs", why(glob))).into_iter().collect()
    }
}
