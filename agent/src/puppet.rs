//! Puppet's own files on this node, versions 3 to 8: what the last run did, whether runs are disabled or stuck.
//!
//! What a newcomer gets wrong: a summary without failures is no success. When the catalog could not be fetched
//! or applied as a whole, every counter can be zero; only the report says how the run ended.

mod locks;
mod places;
mod record;
mod report;
mod streak;
mod summary;
mod yaml;

pub use locks::{read_disabled, read_pid};
pub use places::{Found, Places};
pub use record::Record;
pub use report::{Report, read_report};
pub use streak::Streak;
pub use summary::{Summary, read_summary};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Completed, nothing failed, with a fresh catalog.
    Clean,
    /// Something failed: what.
    Failed(String),
    /// Completed, but with an old catalog, because a new one could not be had.
    Cached,
    /// The files do not say.
    Unknown(String),
}

impl Outcome {
    /// Puts summary and report together. `report` is that of the same run, or why there is none.
    pub fn of(summary: &Summary, report: Result<&Report, &str>) -> Self {
        if let Some(failure) = summary.failure() {
            let named = report.ok().map(|report| report.failing.join(", ")).filter(|names| !names.is_empty());
            return Self::Failed(match named {
                Some(names) => format!("{failure}: {names}"),
                None => failure,
            });
        }
        let report = match report {
            Ok(report) => report,
            Err(why) => return Self::Unknown(format!("no resource failed, and {why}")),
        };
        match report.status.as_str() {
            "failed" if report.failing.is_empty() => {
                Self::Failed("the catalog could not be applied".to_owned())
            }
            "failed" => Self::Failed(format!("failed: {}", report.failing.join(", "))),
            "changed" | "unchanged" if report.completed == Some(false) => {
                Self::Failed("the run did not come to its end".to_owned())
            }
            "changed" | "unchanged" if report.is_cached() => Self::Cached,
            "changed" | "unchanged" => Self::Clean,
            other => Self::Unknown(format!("the report's status is {other:?}")),
        }
    }

    /// Whether the run was clean; none where the files do not say.
    pub fn is_clean(&self) -> Option<bool> {
        match self {
            Self::Clean => Some(true),
            Self::Failed(_) | Self::Cached => Some(false),
            Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(body: &str) -> Summary {
        read_summary(body.as_bytes()).unwrap()
    }

    fn report(body: &str) -> Report {
        read_report(body.as_bytes()).unwrap()
    }

    const NO_FAILURES: &str = "version:\n  puppet: 4.10.9\nresources:\n  failed: 0\n  failed_to_restart: 0\n  total: 12\n\
        events:\n  failure: 0\ntime:\n  last_run: 1500000000\n";

    #[test]
    fn a_failed_run_may_have_zero_failures() {
        let failed = report("--- !ruby/object:Puppet::Transaction::Report\nstatus: failed\n");
        assert_eq!(
            Outcome::of(&summary(NO_FAILURES), Ok(&failed)),
            Outcome::Failed("the catalog could not be applied".to_owned())
        );
        let fetched_nothing =
            summary("version:\n  config:\n  puppet: 4.9.2\ntime:\n  last_run: 1500000000\n");
        assert!(matches!(Outcome::of(&fetched_nothing, Err("x")), Outcome::Failed(_)));
    }

    #[test]
    fn a_run_is_clean_only_when_the_report_says_so() {
        let clean =
            report("status: unchanged\ncached_catalog_status: not_used\ntransaction_completed: true\n");
        assert_eq!(Outcome::of(&summary(NO_FAILURES), Ok(&clean)), Outcome::Clean);
        assert_eq!(Outcome::of(&summary(NO_FAILURES), Err("there is no report")).is_clean(), None);
    }

    #[test]
    fn an_old_catalog_or_an_unfinished_run_is_not_clean() {
        let cached = report("status: changed\ncached_catalog_status: on_failure\n");
        assert_eq!(Outcome::of(&summary(NO_FAILURES), Ok(&cached)), Outcome::Cached);
        let broken_off = report("status: unchanged\ntransaction_completed: false\n");
        assert!(matches!(Outcome::of(&summary(NO_FAILURES), Ok(&broken_off)), Outcome::Failed(_)));
    }

    #[test]
    fn failing_resources_are_named() {
        let body = NO_FAILURES.replace("failed: 0\n  failed_to", "failed: 1\n  failed_to");
        let failed = report("status: failed\nresource_statuses:\n  File[/x]:\n    failed: true\n");
        assert_eq!(
            Outcome::of(&summary(&body), Ok(&failed)),
            Outcome::Failed("1 resource failed: File[/x]".to_owned())
        );
    }
}
