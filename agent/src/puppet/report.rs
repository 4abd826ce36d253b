//! `last_run_report.yaml`: how the last run ended, and which resources failed. May be megabytes; read as a stream.

use super::yaml;
use millwright_protocol::lenient::{self, Text};
use serde::{Deserialize, Deserializer, de};
use std::{fmt, io::Read};

/// Failing resources named at most.
const MOST_NAMES: usize = 5;

/// What the report says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// `failed`, `changed`, `unchanged`.
    pub status: String,
    /// The environment of the run.
    pub environment: Option<String>,
    /// Puppet's version.
    pub version: String,
    /// `not_used`, `on_failure`, `explicitly_requested`; Puppet 4 and later.
    pub cached_catalog: Option<String>,
    /// Whether the run came to its end; Puppet 5 and later.
    pub completed: Option<bool>,
    /// Resources in the catalog.
    pub resources: usize,
    /// Names of the first few that failed.
    pub failing: Vec<String>,
}

impl Report {
    /// Whether the run used an old catalog.
    pub fn is_cached(&self) -> bool {
        self.cached_catalog.as_deref().is_some_and(|word| word != "not_used")
    }
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default)]
    status: Text,
    #[serde(default)]
    environment: Text,
    #[serde(default)]
    puppet_version: Text,
    #[serde(default)]
    cached_catalog_status: Text,
    #[serde(default, deserialize_with = "lenient::flag")]
    transaction_completed: Option<bool>,
    #[serde(default)]
    report_format: Text,
    #[serde(default)]
    resource_statuses: Statuses,
}

/// Reads the report.
///
/// # Errors
/// Not YAML, larger than 8 MiB, or it names neither a status nor a format.
pub fn read_report(body: impl Read) -> Result<Report, String> {
    let raw: Raw = yaml::read(body).map_err(|error| format!("read Puppet's report: {error}"))?;
    if raw.status.0.is_empty() && raw.report_format.0.is_empty() {
        return Err("read Puppet's report: it has neither a status nor a report_format".to_owned());
    }
    Ok(Report {
        status: raw.status.0,
        environment: Some(raw.environment.0).filter(|name| !name.is_empty()),
        version: raw.puppet_version.0,
        cached_catalog: Some(raw.cached_catalog_status.0).filter(|word| !word.is_empty()),
        completed: raw.transaction_completed,
        resources: raw.resource_statuses.count,
        failing: raw.resource_statuses.failing,
    })
}

/// The resources, counted; only failing ones leave their names.
#[derive(Debug, Default)]
struct Statuses {
    count: usize,
    failing: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct RawStatus {
    #[serde(default, deserialize_with = "lenient::flag")]
    failed: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    failed_to_restart: Option<bool>,
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counter;

        impl<'de> de::Visitor<'de> for Counter {
            type Value = Statuses;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("resources by name")
            }

            fn visit_unit<E>(self) -> Result<Statuses, E> {
                Ok(Statuses::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Statuses, A::Error> {
                // Before format 2 this was a list.
                let mut statuses = Statuses::default();
                while list.next_element::<de::IgnoredAny>()?.is_some() {
                    statuses.count += 1;
                }
                Ok(statuses)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Statuses, A::Error> {
                let mut statuses = Statuses::default();
                while let Some(Text(name)) = map.next_key::<Text>()? {
                    let status: Option<RawStatus> = map.next_value()?;
                    let status = status.unwrap_or_default();
                    statuses.count += 1;
                    if (status.failed == Some(true) || status.failed_to_restart == Some(true))
                        && statuses.failing.len() < MOST_NAMES
                    {
                        statuses.failing.push(name);
                    }
                }
                Ok(statuses)
            }
        }

        deserializer.deserialize_any(Counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "--- !ruby/object:Puppet::Transaction::Report\nhost: n1\ntime: '2021-04-20T22:18:45.59+00:00'\n\
        configuration_version: 1618957129\nreport_format: 12\npuppet_version: 7.5.0\nstatus: failed\n\
        transaction_completed: true\nenvironment: production\nlogs:\n- !ruby/object:Puppet::Util::Log\n  level: !ruby/sym notice\n  \
        tags: !ruby/object:Puppet::Util::TagSet\n    hash: &1\n      notice: true\n  file:\n  line:\n- level: :err\n  tags: *1\n\
        metrics:\n  time: !ruby/object:Puppet::Util::Metric\n    values:\n    - - total\n      - Total\n      - 17.19\n\
        resource_statuses:\n  File[/a]: !ruby/object:Puppet::Resource::Status\n    failed: true\n    tags: *1\n  \
        File[/b]:\n    failed: false\n    changed: true\n  ? \"Exec[a: b]\"\n  :\n    failed_to_restart: true\n\
        corrective_change: true\ncached_catalog_status: not_used\n";

    #[test]
    fn rubys_tags_symbols_and_anchors_are_passed_over() {
        let report = read_report(REPORT.as_bytes()).unwrap();
        assert_eq!((report.status.as_str(), report.version.as_str()), ("failed", "7.5.0"));
        assert_eq!((report.completed, report.is_cached()), (Some(true), false));
        assert_eq!(report.resources, 3);
        assert_eq!(report.failing, ["File[/a]", "Exec[a: b]"]);
        assert_eq!(report.environment.as_deref(), Some("production"));
    }

    #[test]
    fn thousands_of_aliases_to_few_anchors_are_nothing_special() {
        let mut body = "status: unchanged\nlogs: &t [a, b]\nresource_statuses:\n".to_owned();
        for number in 0..5000 {
            body.push_str(&format!("  File[/{number}]:\n    failed: false\n    tags: *t\n"));
        }
        assert_eq!(read_report(body.as_bytes()).unwrap().resources, 5000);
    }

    #[test]
    fn an_old_catalog_is_told_by_its_word() {
        assert!(
            read_report(&b"status: changed\ncached_catalog_status: on_failure\n"[..]).unwrap().is_cached()
        );
        assert!(!read_report(&b"status: changed\n"[..]).unwrap().is_cached());
    }

    #[test]
    fn what_is_no_report_or_too_large_is_refused() {
        for body in [&b""[..], b"a: b\n", b"\x00\x01\x02", b"\xff\xfe\xfd", b"status: [", b"status: {a: b}\n"]
        {
            assert!(read_report(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
        let large = format!(
            "status: changed\nlogs:\n{}",
            "- aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(220_000)
        );
        assert!(read_report(large.as_bytes()).is_err());
    }
}
