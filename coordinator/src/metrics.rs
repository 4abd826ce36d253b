//! Numbers about the coordinator, as Prometheus reads them: every name and every label stands here.
//!
//! Labels come from closed lists; names of nodes belong in logs.

use crate::{integrations::peer::Tallies, view::FleetView};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// When something was or will be; nothing is shown until it is known.
#[derive(Debug, Default)]
pub struct Moment(AtomicI64);

impl Moment {
    /// It is known, or not any more.
    pub fn set(&self, at: Option<Timestamp>) {
        self.0.store(at.map_or(0, Timestamp::as_second), Relaxed);
    }

    /// Seconds since 1970.
    fn get(&self) -> Option<u64> {
        u64::try_from(self.0.load(Relaxed)).ok().filter(|second| *second > 0)
    }
}

/// Answers by the first digit of their status.
#[derive(Debug, Default)]
pub struct Answers {
    good: Counter,
    refused: Counter,
    failed: Counter,
}

impl Answers {
    /// Counts an answer.
    pub fn count(&self, status: u16) {
        match status {
            500.. => self.failed.increment(),
            400..500 => self.refused.increment(),
            _ => self.good.increment(),
        }
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Answers to agents.
    pub to_agents: Answers,
    /// Answers to operators.
    pub to_operators: Answers,
    /// Reports taken in.
    pub reports: Counter,
    /// Reports that came late or twice.
    pub reports_late: Counter,
    /// Handshakes that did not let anybody in.
    pub handshakes_refused: Counter,
    /// Tokens that were wrong, expired or revoked.
    pub strangers: Counter,
    /// Connections of agents that were closed for what came in on them.
    pub connections_cut: Counter,
    /// Polls for orders begun.
    pub polls: Counter,
    /// Verdicts given.
    pub verdicts: Counter,
    /// Event streams that were cut because their reader lagged.
    pub streams_cut: Counter,
    /// What was asked of outside systems.
    pub outside: Arc<Tallies>,
    /// The newest copy of the store that is whole and handed on.
    pub backup: Moment,
    /// The coordinator's certificate, until when.
    pub certificate: Moment,
    /// The list of revoked certificates, until when.
    pub revocation_list: Moment,
}

impl Metrics {
    /// The text of `/metrics`.
    pub fn render(&self, fleet: &FleetView, generation: u64, listeners: usize) -> String {
        let mut page = Page::default();
        page.head("millwright_build_info", "gauge", "Always 1; the version is the label.");
        page.line("millwright_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.head(
            "millwright_http_answers_total",
            "counter",
            "Answers by whom they were for and how they ended.",
        );
        for (audience, answers) in [("agents", &self.to_agents), ("operators", &self.to_operators)] {
            for (result, counter) in
                [("ok", &answers.good), ("refused", &answers.refused), ("failed", &answers.failed)]
            {
                let labels = [("audience", audience), ("result", result)];
                page.line("millwright_http_answers_total", &labels, counter.get());
            }
        }
        for (name, help, counter) in [
            ("millwright_reports_total", "Reports taken in.", &self.reports),
            ("millwright_reports_late_total", "Reports that came late or twice.", &self.reports_late),
            (
                "millwright_handshakes_refused_total",
                "Handshakes that did not let anybody in.",
                &self.handshakes_refused,
            ),
            (
                "millwright_tokens_refused_total",
                "Tokens that were wrong, expired or revoked.",
                &self.strangers,
            ),
            (
                "millwright_connections_cut_total",
                "Connections of agents closed for what came in: no request, or one without end.",
                &self.connections_cut,
            ),
            ("millwright_order_polls_total", "Polls for orders begun.", &self.polls),
            ("millwright_verdicts_total", "Verdicts given.", &self.verdicts),
            (
                "millwright_event_streams_cut_total",
                "Event streams cut because their reader lagged.",
                &self.streams_cut,
            ),
        ] {
            page.head(name, "counter", help);
            page.line(name, &[], counter.get());
        }
        page.head("millwright_event_streams", "gauge", "Open event streams.");
        page.line("millwright_event_streams", &[], listeners as u64);
        page.head("millwright_store_generation", "gauge", "Which incarnation of the store is in force.");
        page.line("millwright_store_generation", &[], generation);
        for (name, help, moment) in [
            (
                "millwright_backup_timestamp_seconds",
                "When the store was last copied and handed on.",
                &self.backup,
            ),
            (
                "millwright_certificate_expires_timestamp_seconds",
                "Until when the coordinator's certificate is good.",
                &self.certificate,
            ),
            (
                "millwright_revocation_list_expires_timestamp_seconds",
                "When the next list of revoked certificates was due.",
                &self.revocation_list,
            ),
        ] {
            page.head(name, "gauge", help);
            if let Some(second) = moment.get() {
                page.line(name, &[], second);
            }
        }
        outside_lines(&mut page, &self.outside);
        fleet_lines(&mut page, fleet);
        page.0
    }
}

fn outside_lines(page: &mut Page, outside: &Tallies) {
    page.head(
        "millwright_outside_calls_total",
        "counter",
        "Questions to outside systems by how they ended; rested ones were not asked after too many failures.",
    );
    for (system, tally) in outside.all() {
        for (result, count) in tally.results() {
            page.line("millwright_outside_calls_total", &[("system", system), ("result", result)], count);
        }
    }
    page.head(
        "millwright_outside_milliseconds_total",
        "counter",
        "How long questions to outside systems took together.",
    );
    for (system, tally) in outside.all() {
        page.line("millwright_outside_milliseconds_total", &[("system", system)], tally.milliseconds());
    }
}

fn fleet_lines(page: &mut Page, fleet: &FleetView) {
    page.head("millwright_nodes", "gauge", "Nodes by class and state.");
    let mut states: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for node in fleet.nodes() {
        let class = node.class.map_or("unlisted", |class| class.as_str());
        *states.entry((class, node.state.as_str())).or_default() += 1;
    }
    for ((class, state), count) in states {
        page.line("millwright_nodes", &[("class", class), ("state", state)], count);
    }
    page.head("millwright_nodes_out", "gauge", "Nodes of a class that are not in service.");
    for class in &fleet.classes {
        page.line("millwright_nodes_out", &[("class", class.class.as_str())], u64::from(class.out));
    }
    page.head("millwright_nodes_may_be_out", "gauge", "How many of a class may be.");
    for class in &fleet.classes {
        page.line(
            "millwright_nodes_may_be_out",
            &[("class", class.class.as_str())],
            u64::from(class.may_be_out),
        );
    }
    for (name, help, value) in [
        ("millwright_attention", "Things that need a human.", fleet.attention.len()),
        ("millwright_brakes", "Brakes that are on.", fleet.brakes.len()),
        ("millwright_own_troubles", "Troubles of the coordinator itself.", fleet.own_troubles.len()),
        (
            "millwright_warming_up",
            "1 while a start still waits for the fleet.",
            usize::from(fleet.warming_up.is_some()),
        ),
        (
            "millwright_policy_unreadable",
            "1 while everything is protected because the policy cannot be read.",
            usize::from(fleet.policy.unreadable.is_some()),
        ),
    ] {
        page.head(name, "gauge", help);
        page.line(name, &[], value as u64);
    }
    page.head("millwright_own_trouble", "gauge", "1 for each trouble of the coordinator itself.");
    for trouble in &fleet.own_troubles {
        page.line("millwright_own_trouble", &[("what", &trouble.what)], 1);
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_is_not_known_is_not_shown_as_long_ago() {
        let moment = Moment::default();
        assert_eq!(moment.get(), None);
        moment.set(Timestamp::from_second(5).ok());
        assert_eq!(moment.get(), Some(5));
        moment.set(None);
        assert_eq!(moment.get(), None);
    }

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        let mut page = Page::default();
        page.line("x", &[("a", "q\"\\\n")], 3);
        assert_eq!(page.0, "x{a=\"q\\\"\\\\\\n\"} 3\n");
    }
}
