//! `last_run_summary.yaml`: when Puppet ran last, and how many resources failed.

use super::yaml;
use jiff::Timestamp;

/// What the summary says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Puppet's version.
    pub version: String,
    /// The environment the run ended with; Puppet 6 and later.
    pub environment: Option<String>,
    /// When the run ended, failed runs too.
    pub last_run: Option<Timestamp>,
    /// Counts of resources; none when the run never came to have a catalog.
    pub resources: Option<Resources>,
    /// Events that failed.
    pub failed_events: u64,
}

/// Counts of resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// All there are.
    pub total: u64,
    /// Those that changed.
    pub changed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that failed to restart.
    pub failed_to_restart: u64,
}

impl Summary {
    /// What failed, as far as the summary tells.
    pub fn failure(&self) -> Option<String> {
        let Some(resources) = self.resources else {
            return Some("the catalog could not be fetched".to_owned());
        };
        match resources.failed.max(resources.failed_to_restart).max(self.failed_events) {
            0 => None,
            1 => Some("1 resource failed".to_owned()),
            count => Some(format!("{count} resources failed")),
        }
    }
}

/// Reads the summary.
///
/// # Errors
/// Not YAML, or it names neither a time nor a version nor resources.
pub fn read_summary(body: &[u8]) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let (mut first, mut last) = (None, None);
    yaml::read(body, |path, text| {
        let count = || text.and_then(yaml::count).unwrap_or_default();
        let word = || text.filter(|text| !text.is_empty()).map(str::to_owned);
        match path {
            ["version", "puppet"] => summary.version = word().unwrap_or_default(),
            ["application", "initial_environment"] => first = word(),
            ["application", "converged_environment"] => last = word(),
            // Nothing at all is written where there was no catalog.
            ["resources"] if text.is_none() => summary.resources = Some(Resources::default()),
            ["resources", what] => {
                let resources = summary.resources.get_or_insert_default();
                match *what {
                    "total" => resources.total = count(),
                    "changed" => resources.changed = count(),
                    "failed" => resources.failed = count(),
                    "failed_to_restart" => resources.failed_to_restart = count(),
                    _ => {}
                }
            }
            ["events", "failure"] => summary.failed_events = count(),
            ["time", "last_run"] => {
                let second = text.and_then(yaml::count).and_then(|second| i64::try_from(second).ok());
                summary.last_run = second.and_then(|second| Timestamp::from_second(second).ok());
            }
            _ => {}
        }
    })
    .map_err(|error| format!("read Puppet's summary: {error}"))?;
    summary.environment = last.or(first);
    if summary.last_run.is_none() && summary.version.is_empty() && summary.resources.is_none() {
        return Err("read Puppet's summary: it has neither a time nor a version nor resources".to_owned());
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_today_and_one_of_puppet_3_read_alike() {
        let new = read_summary(
            b"---\nversion:\n  config: \"x:d6018ce\"\n  puppet: 7.32.1\napplication:\n  run_mode: agent\n  \
              initial_environment: production\n  converged_environment: alibuild\nresources:\n  failed: 2\n  total: 109\n\
              time:\n  file: 0.44\n  last_run: 1444936531\nevents:\n  failure: 2\n",
        )
        .unwrap();
        assert_eq!(new.environment.as_deref(), Some("alibuild"));
        assert_eq!(new.failure().as_deref(), Some("2 resources failed"));
        let old = read_summary(
            b"---\n  resources:\n    failed: 0\n    total: 109\n  time:\n    last_run: 1444936531\n  version:\n    \
              config: 1444936521\n    puppet: \"3.7.5\"\n",
        )
        .unwrap();
        assert_eq!((old.version.as_str(), old.failure(), old.environment), ("3.7.5", None, None));
        assert_eq!(old.last_run, new.last_run);
    }

    #[test]
    fn a_run_without_a_catalog_has_no_resources() {
        let summary =
            read_summary(b"version:\n  config: \n  puppet: 4.9.2\ntime:\n  last_run: 1500000000\n").unwrap();
        assert_eq!(summary.failure().as_deref(), Some("the catalog could not be fetched"));
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        let bomb = format!("a: &a [x,x]\n{}", "b: [*a,*a]\n".repeat(3));
        for body in [
            &b""[..],
            b"---\n",
            b"a: b\n",
            b"[1]",
            b"\x7fELF\x00\x01",
            b"\xff\xfe",
            b"time: [",
            bomb.as_bytes(),
        ] {
            assert!(read_summary(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
        let deep = "[".repeat(100_000);
        assert!(read_summary(deep.as_bytes()).is_err());
    }
}
