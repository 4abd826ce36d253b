//! `last_run_report.yaml`: how the last run ended, and which resources failed. May be megabytes; read as a stream.

use super::yaml;
use std::io::Read;

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

    /// Names a resource that failed: once, and only the first few. Entries of a list have no name.
    fn fails(&mut self, name: &str) {
        let is_new = !name.is_empty() && self.failing.last().is_none_or(|last| last != name);
        if is_new && self.failing.len() < MOST_NAMES {
            self.failing.push(name.to_owned());
        }
    }
}

/// Reads the report.
///
/// # Errors
/// Not YAML, larger than 8 MiB, or it names neither a status nor a format.
pub fn read_report(body: impl Read) -> Result<Report, String> {
    let mut report = Report::default();
    let mut has_format = false;
    yaml::read(body, |path, text| {
        let word = text.filter(|text| !text.is_empty());
        match (path, word) {
            (["status"], Some(word)) => report.status = word.to_owned(),
            (["environment"], word) => report.environment = word.map(str::to_owned),
            (["puppet_version"], Some(word)) => report.version = word.to_owned(),
            (["cached_catalog_status"], word) => report.cached_catalog = word.map(str::to_owned),
            (["transaction_completed"], word) => report.completed = word.and_then(yaml::flag),
            (["report_format"], word) => has_format = word.is_some(),
            // Before format 2 a list, since then by name.
            (["resource_statuses", _], _) => report.resources += 1,
            (["resource_statuses", name, "failed" | "failed_to_restart"], Some(word))
                if yaml::flag(word) == Some(true) =>
            {
                report.fails(name);
            }
            _ => {}
        }
    })
    .map_err(|error| format!("read Puppet's report: {error}"))?;
    if report.status.is_empty() && !has_format {
        return Err("read Puppet's report: it has neither a status nor a report_format".to_owned());
    }
    Ok(report)
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
