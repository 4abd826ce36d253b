//! The status as Prometheus text. Labels come from the node's own checks and mounts, never from tasks.

use super::view::StatusView;
use std::fmt::Write;

/// Renders all metrics.
pub fn render(view: &StatusView) -> String {
    let mut text = Text::default();
    text.head("millwright_agent_info", "gauge", "The agent, always 1.");
    text.line(
        "millwright_agent_info",
        &[("version", &view.agent_version), ("class", view.class.as_str())],
        1.0,
    );

    text.head("millwright_finding_status", "gauge", "0 ok, 1 warn, 2 crit, 3 unknown.");
    for finding in &view.findings {
        let gating = if finding.gating { "true" } else { "false" };
        let labels = [
            ("check", finding.check.as_str()),
            ("item", finding.item.as_deref().unwrap_or("")),
            ("gating", gating),
        ];
        text.line("millwright_finding_status", &labels, f64::from(super::print::exit_code(finding.status)));
    }
    text.head("millwright_finding_age_seconds", "gauge", "How long ago the check last completed.");
    for finding in &view.findings {
        let labels = [("check", finding.check.as_str()), ("item", finding.item.as_deref().unwrap_or(""))];
        text.line("millwright_finding_age_seconds", &labels, finding.age_seconds as f64);
    }
    volumes(&mut text, view);

    if let Some(seconds) = view.coordinator.accepted_seconds_ago {
        text.head("millwright_report_accepted_age_seconds", "gauge", "How long ago a report was accepted.");
        text.line("millwright_report_accepted_age_seconds", &[], seconds as f64);
    }
    text.head("millwright_report_problem", "gauge", "Whether the last report was not accepted.");
    text.line("millwright_report_problem", &[], f64::from(u8::from(view.coordinator.problem.is_some())));
    text.head("millwright_local_holds", "gauge", "Holds set on the node itself.");
    text.line("millwright_local_holds", &[], view.local_holds.len() as f64);
    text.head(
        "millwright_coordinator_standing",
        "gauge",
        "0 in touch, 1 silent for 30 s, 2 alone for 5 min.",
    );
    let standing = ["in_touch", "silent", "alone"].iter().position(|word| *word == view.coordinator.standing);
    text.line("millwright_coordinator_standing", &[], standing.unwrap_or(0) as f64);
    if let Some(orders) = &view.orders {
        text.head("millwright_orders_enabled", "gauge", "Whether orders are carried out here.");
        text.line("millwright_orders_enabled", &[], f64::from(u8::from(orders.enabled)));
        text.head("millwright_orders_remembered", "gauge", "Orders that are remembered.");
        text.line("millwright_orders_remembered", &[], orders.remembered as f64);
        text.head("millwright_orders_untold", "gauge", "Answers that the coordinator has not heard.");
        text.line("millwright_orders_untold", &[], orders.untold as f64);
        text.head("millwright_memory_trouble", "gauge", "Whether the memory cannot be used.");
        text.line("millwright_memory_trouble", &[], f64::from(u8::from(orders.memory_trouble.is_some())));
    }
    text.0
}

fn volumes(text: &mut Text, view: &StatusView) {
    let volumes = || view.facts.volumes.iter().filter(|volume| volume.size_bytes > 0);
    text.head("millwright_volume_size_bytes", "gauge", "Size of a mounted volume.");
    for volume in volumes() {
        text.line("millwright_volume_size_bytes", &[("mount", &volume.mount)], volume.size_bytes as f64);
    }
    text.head("millwright_volume_free_bytes", "gauge", "Free for root on a mounted volume.");
    for volume in volumes() {
        text.line("millwright_volume_free_bytes", &[("mount", &volume.mount)], volume.free_bytes as f64);
    }
    text.head("millwright_volume_hours_to_full", "gauge", "Absent while a volume is not filling.");
    for volume in volumes() {
        if let Some(hours) = volume.hours_to_full {
            text.line("millwright_volume_hours_to_full", &[("mount", &volume.mount)], hours);
        }
    }
}

/// Text under way. Writing to a String cannot fail.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.0.push(if number == 0 { '{' } else { ',' });
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{value}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::view::tests::{example, ordered};

    #[test]
    fn holds_orders_and_the_memory_are_counted() {
        let text = render(&ordered());
        for line in [
            "millwright_local_holds 1",
            "millwright_orders_enabled 0",
            "millwright_orders_untold 1",
            "millwright_memory_trouble 1",
            "millwright_coordinator_standing 1",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in {text}");
        }
    }

    #[test]
    fn every_finding_is_a_line_and_no_label_breaks_it() {
        let text = render(&example());
        assert!(
            text.contains("millwright_finding_status{check=\"volume\",item=\"/build\",gating=\"true\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("item=\"a\\\"\\\\\\n<i>\""), "{text}");
        assert!(text.contains("millwright_report_accepted_age_seconds 90\n"), "{text}");
        for line in text.lines() {
            assert!(line.starts_with("# ") || line.starts_with("millwright_"), "{line}");
        }
    }
}
