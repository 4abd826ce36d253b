//! The status in a terminal, for a tired person: worst first, since when, what to do next.

use super::view::{self, StatusView};
use crate::config::units::spoken;
use millwright_protocol::{Finding, Status};
use std::{fmt::Write, time::Duration};

/// The exit code of `check`: 0 ok, 1 warn, 2 crit, 3 unknown.
pub fn exit_code(status: Status) -> u8 {
    match status {
        Status::Ok => 0,
        Status::Warn => 1,
        Status::Crit => 2,
        Status::Unknown => 3,
    }
}

/// Whether words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal.
    On,
    /// Anywhere else, and where NO_COLOR is set.
    Off,
}

/// The whole status.
pub fn status(view: &StatusView, colour: Colour) -> String {
    let mut text = headline(view);
    // Writing to a String cannot fail.
    let protections = view.protections.words();
    if !protections.is_empty() {
        let _ = writeln!(text, "protected: {}", protections.join(", "));
    }
    let _ = writeln!(text, "{}", printable(&view.coordinator.sentence()));
    for hold in &view.local_holds {
        let _ = writeln!(text, "{}", printable(&view::hold(hold)));
    }
    if let Some(orders) = &view.orders {
        if !orders.enabled {
            let _ = writeln!(text, "orders are refused: orders.enabled is false in agent.toml");
        }
        for order in orders.last.iter().take(3) {
            let _ = writeln!(text, "order {}", printable(&order.sentence()));
        }
    }
    for image in view::images(&view.facts) {
        let _ = writeln!(text, "image {}", printable(&image));
    }
    text.push('\n');
    text.push_str(&findings(view, colour));
    text
}

/// What one round of checks found: no coordinator, no protections.
pub fn check(view: &StatusView, colour: Colour) -> String {
    format!("{}\n{}", headline(view), findings(view, colour))
}

fn headline(view: &StatusView) -> String {
    format!(
        "{} ({}): {}; up {}, agent {}\n",
        printable(&view.node),
        view.class,
        view::tally(&view.findings),
        spoken(Duration::from_secs(view.uptime_seconds)),
        printable(&view.agent_version)
    )
}

fn findings(view: &StatusView, colour: Colour) -> String {
    let mut text = String::new();
    for finding in &view.findings {
        one(&mut text, finding, view, colour);
    }
    text
}

fn one(text: &mut String, finding: &Finding, view: &StatusView, colour: Colour) {
    let word = format!("{:8}", finding.status.as_str());
    let _ = writeln!(text, "{}{}", painted(&word, finding.status, colour), printable(&finding.sentence));
    if finding.status == Status::Ok {
        return;
    }
    let gating = if finding.gating { ", keeps the node out" } else { "" };
    let since = view::since(finding, view.at);
    let _ = writeln!(text, "        {} {since}{gating}", printable(&finding.key()));
    if let Some(next) = &finding.next {
        let _ = writeln!(text, "        → {}", printable(next));
    }
}

fn painted(word: &str, status: Status, colour: Colour) -> String {
    let code = match status {
        Status::Ok => "32",
        Status::Warn => "33",
        Status::Unknown => "35",
        Status::Crit => "1;31",
    };
    match colour {
        Colour::On => format!("\u{1b}[{code}m{word}\u{1b}[0m"),
        Colour::Off => word.to_owned(),
    }
}

/// Names found outside must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::view::tests::{example, ordered};

    #[test]
    fn the_worst_comes_first_with_since_when_and_what_to_do() {
        let text = status(&example(), Colour::Off);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "alibuild10 (agent): 2 crit, 1 warn, 1 ok; up 25 h, agent 0.1.0");
        assert_eq!(lines[1], "protected: never_rebuild");
        assert_eq!(lines[4], "crit    /build is not mounted");
        assert!(
            lines[5].contains("volume/build since ") && lines[5].ends_with("(90 s), keeps the node out"),
            "{}",
            lines[5]
        );
        assert_eq!(lines[6], "        → mount /build");
    }

    #[test]
    fn holds_and_the_last_orders_are_told() {
        let text = status(&ordered(), Colour::Off);
        for words in
            ["ann holds this node as it is", "order reboot op-1.2.1: refused (veto", "orders are refused: "]
        {
            assert!(text.contains(words), "{words} is missing in {text}");
        }
    }

    #[test]
    fn colours_come_only_when_asked_for_and_outside_text_brings_none() {
        assert!(!status(&example(), Colour::Off).contains('\u{1b}'));
        assert!(status(&example(), Colour::On).contains("\u{1b}[1;31mcrit"));
    }

    #[test]
    fn exit_codes_are_those_of_monitoring() {
        assert_eq!([Status::Ok, Status::Warn, Status::Crit, Status::Unknown].map(exit_code), [0, 1, 2, 3]);
    }
}
