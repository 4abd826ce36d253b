//! The inbox of whoever may say yes: operations that wait for a second person.

use super::{
    acts::{self, Act, Say},
    markdown::Span,
    operation::{class_of, covers},
    operations::Row,
    shell::Shell,
    words::Tone,
};
use crate::{
    people::Caller,
    view::{FleetView, OperationSummary, OperationView},
};
use askama::Template;
use millwright_decision::Code;

/// The page.
#[derive(Template)]
#[template(path = "approvals.html")]
pub struct ApprovalsPage {
    shell: Shell,
    headline: String,
    tone: Tone,
    waiting: Vec<Waiting>,
    /// Those that others have to agree to, each with why not the reader.
    others: Vec<(Row, String)>,
    sign_in: bool,
}

/// One that the reader may agree to.
struct Waiting {
    row: Row,
    covers: Vec<(&'static str, String)>,
    digest: String,
    act: Act,
}

/// Whether it waits for a second person.
pub fn is_for_second(operation: &OperationSummary) -> bool {
    let is_missing = |waiting: &crate::view::WaitingView| {
        waiting.reasons.iter().any(|reason| reason.code == Code::ApprovalMissing.as_str())
    };
    !operation.is_over() && operation.waiting.as_ref().is_some_and(is_missing)
}

impl ApprovalsPage {
    /// The page; `operations` are those for which [`is_for_second`].
    pub fn new(fleet: &FleetView, operations: &[OperationView], caller: &Caller) -> Self {
        let now = fleet.asked_at;
        let (mut waiting, mut others) = (Vec::new(), Vec::new());
        for operation in operations {
            let row = Row::new(&operation.summary, now);
            let class = class_of(fleet, &operation.summary.key);
            match acts::cannot(Say::Approve, operation, class, caller) {
                None => waiting.push(Waiting {
                    act: Act {
                        href: format!("/operations/{}/approve", row.id),
                        label: "Look and approve",
                        is_grave: false,
                    },
                    row,
                    covers: covers(operation, &fleet.policy.version),
                    digest: operation.digest.clone(),
                }),
                Some(why) => others.push((row, why)),
            }
        }
        let (headline, tone) = match waiting.len() {
            0 => ("Nothing waits for your yes".to_owned(), Tone::Quiet),
            1 => ("1 operation waits for your yes".to_owned(), Tone::Notice),
            many => (format!("{many} operations wait for your yes"), Tone::Notice),
        };
        Self {
            shell: Shell::new(fleet).at("/approvals").about("", &headline),
            headline,
            tone,
            waiting,
            others,
            sign_in: !caller.is_somebody(),
        }
    }
}
