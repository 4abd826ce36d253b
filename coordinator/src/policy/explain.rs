//! A policy in sentences, for the person about to install it.

use super::checked::DAYS;
use crate::words;
use millwright_decision::{Class, ClassPolicy, Consent, Policy, Source, WeeklyWindow};
use std::fmt::Write;

/// What the policy means, in the order a person would ask.
pub fn explain(policy: &Policy) -> String {
    if !policy.is_known() {
        return "There has never been a good policy here; everything is protected.\n".to_owned();
    }
    let mut text = String::new();
    write_all(&mut text, policy).map_or_else(|_| String::new(), |()| text)
}

fn write_all(text: &mut String, policy: &Policy) -> std::fmt::Result {
    writeln!(text, "Cluster {}, coordinator on {}.", policy.cluster, policy.spell(&policy.coordinator))?;
    let zones: Vec<&str> = policy.zones.iter().map(String::as_str).collect();
    if !zones.is_empty() {
        writeln!(text, "Zones: {}.", zones.join(", "))?;
    }
    for (class, rules) in &policy.classes {
        write_class(text, policy, *class, rules)?;
    }
    let protected: Vec<_> = policy.nodes.values().filter(|node| !node.protections.is_empty()).collect();
    if protected.is_empty() {
        writeln!(text, "\nProtected: nothing, as the file says in so many words.")?;
    } else {
        writeln!(text, "\nProtected:")?;
    }
    for node in protected {
        let words: Vec<&str> = node.protections.iter().map(|protection| protection.as_str()).collect();
        writeln!(text, "  {}: {}", node.display, words.join(", "))?;
    }
    for volume in policy.volumes.iter().filter(|volume| !volume.protections.is_empty()) {
        writeln!(text, "  volume {} of {}: never deleted", volume.name, policy.spell(&volume.node))?;
    }
    writeln!(text, "\nTasks, first match wins:")?;
    for rule in &policy.tasks.rules {
        let warm_up = match rule.warm_up_seconds {
            0 => String::new(),
            more => format!(
                "; its successor needs {} to warm up, added to what killing it costs",
                words::seconds(more)
            ),
        };
        let owner = rule
            .owner
            .as_ref()
            .map_or_else(String::new, |owner| format!("; {owner} is asked before one ends"));
        writeln!(text, "  {}: {}{warm_up}{owner}", rule.name, rule.class.as_str())?;
    }
    writeln!(text, "  anything else: protected")
}

fn write_class(text: &mut String, policy: &Policy, class: Class, rules: &ClassPolicy) -> std::fmt::Result {
    let listed = u32::try_from(policy.nodes_of(class).count()).unwrap_or(u32::MAX);
    let nodes = words::count(policy.nodes_of(class).count(), "node");
    writeln!(text, "\nClass {class}: {nodes}, mode {}.", rules.mode)?;
    if class == Class::Physical {
        return writeln!(text, "  Seen through Mesos only, never acted on.");
    }
    if class == Class::Master {
        writeln!(text, "  One at a time, while all others have been healthy for 10 min.")?;
    } else {
        writeln!(
            text,
            "  Out at most {}, draining at most {} on top.",
            rules.out.of(listed),
            rules.draining.of(listed)
        )?;
    }
    let sources = |wanted: bool| {
        let some: Vec<&str> = Source::ALL
            .iter()
            .filter(|source| rules.required.contains(source) == wanted)
            .map(|source| source.as_str())
            .collect();
        if some.is_empty() { "nothing".to_owned() } else { some.join(", ") }
    };
    writeln!(text, "  Must be known: {}. Cannot be seen: {}.", sources(true), sources(false))?;
    for (action, consent) in [
        ("reboot", rules.reboot_consent),
        ("rebuild", rules.rebuild_consent),
        ("delete", rules.delete_consent),
    ] {
        writeln!(text, "  A {action} {}.", spell_consent(consent))?;
    }
    for quiet in &rules.quiet_hours {
        writeln!(text, "  Quiet hours {:?}: {}.", quiet.name, spell_window(quiet))?;
    }
    for window in &rules.windows {
        writeln!(text, "  Touched only in the window {:?}: {}.", window.name, spell_window(window))?;
    }
    for freeze in &rules.freezes {
        writeln!(text, "  Freeze {:?}: from {} until {}.", freeze.name, freeze.from, freeze.until)?;
    }
    Ok(())
}

/// "every day from 23:00 for 7h, Europe/Zurich".
fn spell_window(window: &WeeklyWindow) -> String {
    let some: Vec<&str> =
        DAYS.iter().zip(window.days).filter(|(_, is_on)| *is_on).map(|(day, _)| *day).collect();
    let days = if some.len() == DAYS.len() { "every day".to_owned() } else { some.join(", ") };
    let zone = window.zone.iana_name().unwrap_or("UTC");
    format!("{days} from {} for {:#}, {zone}", window.start.strftime("%H:%M"), window.length)
}

fn spell_consent(consent: Consent) -> String {
    match consent {
        Consent::None => "needs nobody else".to_owned(),
        Consent::ObjectionWindow(window) => format!("is announced, and colleagues may object for {window:#}"),
        Consent::SecondPerson(wait) => {
            format!("needs a second person, or {wait:#} after the announcement if nobody cancels")
        }
    }
}
