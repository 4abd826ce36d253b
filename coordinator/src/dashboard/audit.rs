//! The audit: what people said, newest first, by node and by person.

use super::{markdown::Span, shell::Shell, words::Moment};
use crate::{
    store::AuditEntry,
    view::{FleetView, OperationSummary},
};
use askama::Template;
use jiff::Timestamp;
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// So many are looked through; the command line and the store have all.
pub const LOOKED_THROUGH: usize = 1000;
/// So many are shown.
const SHOWN: usize = 200;

/// The page.
#[derive(Template)]
#[template(path = "audit.html")]
pub struct AuditPage {
    shell: Shell,
    headline: String,
    node: String,
    person: String,
    lines: Vec<Line>,
    /// Whether there may be more than what is shown.
    is_cut: bool,
}

struct Line {
    at: Moment,
    by: String,
    what: String,
    about: String,
    /// Where it leads.
    href: Option<String>,
    reason: String,
}

/// What is asked for.
#[derive(Debug, Default)]
pub struct Filter {
    /// About this node, its findings and its operations; as typed.
    pub node: String,
    /// By this person; as typed.
    pub person: String,
}

impl AuditPage {
    /// The page; `operations` tell of which node an operation is.
    pub fn new(
        fleet: &FleetView,
        entries: &[AuditEntry],
        operations: &[OperationSummary],
        filter: &Filter,
    ) -> Self {
        let nodes: BTreeMap<&str, &str> =
            operations.iter().map(|operation| (operation.id.as_str(), operation.key.as_str())).collect();
        let wanted: Option<Result<NodeName, _>> =
            Some(filter.node.trim()).filter(|node| !node.is_empty()).map(str::parse);
        let person = filter.person.trim();
        let is_wanted = |entry: &&AuditEntry| {
            let by = person.is_empty() || entry.by.to_lowercase().contains(&person.to_lowercase());
            let about = match &wanted {
                None => true,
                Some(Ok(node)) => About::of(entry, &nodes).node.as_ref() == Some(node),
                Some(Err(_)) => false,
            };
            by && about
        };
        let mut found: Vec<&AuditEntry> = entries.iter().filter(is_wanted).collect();
        let is_cut = found.len() > SHOWN || entries.len() >= LOOKED_THROUGH;
        found.truncate(SHOWN);
        let headline = "What people said".to_owned();
        Self {
            shell: Shell::new(fleet).at("/audit").about("", &headline),
            headline,
            node: filter.node.clone(),
            person: filter.person.clone(),
            lines: found.into_iter().map(|entry| line(entry, &nodes, fleet.asked_at)).collect(),
            is_cut,
        }
    }
}

/// What an entry is about.
struct About {
    operation: Option<String>,
    node: Option<NodeName>,
}

impl About {
    fn of(entry: &AuditEntry, nodes: &BTreeMap<&str, &str>) -> Self {
        let mut words = entry.about.split([' ', '/', '(', ')']).filter(|word| !word.is_empty());
        let is_operation = |word: &&str| {
            word.strip_prefix("op-").is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
            })
        };
        let operation = words.clone().find(is_operation).map(str::to_owned);
        let of_operation = operation.as_deref().and_then(|id| nodes.get(id)).and_then(|key| key.parse().ok());
        let first = words.next().filter(|word| !is_operation(word)).and_then(|word| word.parse().ok());
        Self { operation, node: of_operation.or(first) }
    }
}

fn line(entry: &AuditEntry, nodes: &BTreeMap<&str, &str>, now: Timestamp) -> Line {
    let about = About::of(entry, nodes);
    let is_known = |name: &NodeName| {
        matches!(
            entry.what.as_str(),
            "hold" | "accept" | "dead" | "forget" | "attest" | "acknowledge" | "declined"
        )
        .then(|| format!("/nodes/{name}"))
    };
    Line {
        at: Moment::new(entry.at, now),
        by: entry.by.clone(),
        what: entry.what.replace('_', " "),
        about: entry.about.clone(),
        href: match (&about.operation, &about.node) {
            (Some(operation), _) => Some(format!("/operations/{operation}")),
            (None, Some(node)) => is_known(node),
            (None, None) => None,
        },
        reason: entry.reason.clone(),
    }
}
