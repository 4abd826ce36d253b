//! Builds, as Jenkins tells of them: what a task is really at work on, and when it will be done.

use super::{EmptySpan, NodeTask};
use jiff::Timestamp;

/// One build that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Such as `daily-tags #123`.
    pub name: String,
    /// The computer of Jenkins that runs it. One that Mesos made is called as its task is.
    pub computer: String,
    /// When it began, where told.
    pub since: Option<Timestamp>,
    /// When it would end if it took as long as builds of its job usually do.
    pub expected_end: Option<Timestamp>,
}

impl Build {
    /// Whether this is what a task is at work on.
    pub fn is_of(&self, task: &NodeTask) -> bool {
        self.computer == task.id || self.computer == task.name
    }
}

/// What Jenkins says about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JenkinsView {
    /// When it was asked.
    pub at: Timestamp,
    /// What it runs there.
    pub builds: Vec<Build>,
    /// Since when it ran nothing there, without a break.
    pub empty: Option<EmptySpan>,
}
