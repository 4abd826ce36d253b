//! The fleet: what stands above everything, what needs a human, then every node in one line.

use crate::{
    page::{Look, Page},
    spell,
};
use millwright_coordinator::view::{ClassView, FleetView, NodeState, NodeSummary};
use millwright_protocol::Status;

pub fn write(view: &FleetView, page: &mut Page) {
    write_state(view, page);
    write_attention(view, page);
    for class in view.classes.iter().filter(|class| !class.nodes.is_empty()) {
        write_head(class, page);
        write_nodes(&class.nodes, page);
    }
    if !view.unlisted.is_empty() {
        page.end().add(Look::Strong, "unlisted").line(": seen, in no policy, never touched");
        write_nodes(&view.unlisted, page);
    }
    if view.nodes().next().is_none() {
        page.line("No node is listed and none has reported: see the policy, and whether agents know this coordinator.");
    }
}

fn write_state(view: &FleetView, page: &mut Page) {
    page.add(Look::Strong, &format!("cluster {}", view.cluster));
    let policy = view.policy.version.get(..12).unwrap_or(&view.policy.version);
    page.add(Look::Faint, &format!("  policy {policy}, {} nodes", view.policy.listed)).end();
    if let Some(why) = &view.policy.unreadable {
        page.add(Look::Bad, "everything is protected: ").line(why);
    }
    if let Some(warm_up) = &view.warming_up {
        page.add(Look::Warn, "warming up: ");
        page.line(&format!("{} of 2 rounds of reports; nothing is allowed before", warm_up.rounds));
        if !warm_up.missing.is_empty() {
            page.line(&format!("  not heard of since the start: {}", warm_up.missing.join(", ")));
        }
    }
    if let Some(pause) = &view.paused {
        page.add(Look::Warn, "paused ").line(&format!("by {}: {}", pause.by, pause.reason));
    }
    for brake in &view.brakes {
        page.add(Look::Bad, &format!("brake on for {}: ", brake.class)).line(&brake.why);
    }
    for trouble in &view.own_troubles {
        page.add(Look::Bad, "the coordinator itself: ").line(&trouble.sentence);
    }
    for source in view.sources.iter().filter(|source| source.unknown_since.is_some()) {
        page.add(Look::Odd, &format!("{} is not heard: ", source.source)).line(&source.sentence);
    }
    if !view.outside_blamed.is_empty() {
        page.line(&format!("the outside is blamed for: {}", view.outside_blamed.join(", ")));
    }
}

fn write_attention(view: &FleetView, page: &mut Page) {
    if view.attention.is_empty() {
        return;
    }
    page.end().add(Look::Strong, "needs a human").end();
    for attention in &view.attention {
        page.add(Look::of(attention.status), &format!("  {:<8} ", attention.status.as_str()));
        let node = attention.node.as_ref().map_or(String::new(), |node| format!("{node}: "));
        page.add(Look::Plain, &format!("{node}{}", attention.sentence));
        if let Some(since) = attention.since {
            page.add(Look::Faint, &format!("  ({})", spell::ago(since, view.asked_at)));
        }
        page.end();
        if let Some(next) = &attention.next {
            page.line(&format!("           next: {next}"));
        }
    }
}

fn write_head(class: &ClassView, page: &mut Page) {
    page.end().add(Look::Strong, class.class.as_str());
    page.line(&format!(
        ": {} of {} in service, {} out (at most {}), mode {}",
        class.in_service, class.listed, class.out, class.may_be_out, class.mode
    ));
}

fn write_nodes(nodes: &[NodeSummary], page: &mut Page) {
    let rows: Vec<_> = nodes.iter().map(row).collect();
    page.table(&rows);
}

fn row(node: &NodeSummary) -> Vec<(Look, String)> {
    let age = node.report_age_seconds.map_or("–".to_owned(), spell::length);
    let tasks = node.tasks.as_ref().map_or("?".to_owned(), |tasks| tasks.values().sum::<u32>().to_string());
    let disk =
        node.disk.as_ref().map_or(String::new(), |disk| format!("{} {} %", disk.mount, disk.used_percent));
    vec![
        (Look::Plain, format!("  {}", node.name)),
        (state_look(node), node.state.label().to_owned()),
        (Look::Faint, node.zone.clone().unwrap_or_default()),
        (Look::Plain, format!("report {age}")),
        (Look::Plain, format!("tasks {tasks}")),
        (Look::Plain, disk),
        (Look::Plain, node.sentence.clone()),
    ]
}

/// The look of a node's state.
pub fn state_look(node: &NodeSummary) -> Look {
    match node.state {
        NodeState::Healthy if node.worst == Some(Status::Crit) => Look::Warn,
        NodeState::Healthy => Look::Good,
        NodeState::Sick | NodeState::Silent => Look::Bad,
        NodeState::Stale | NodeState::Unknown | NodeState::NeverHeard | NodeState::Unlisted => Look::Odd,
        NodeState::Verifying | NodeState::Out | NodeState::Draining => Look::Warn,
        NodeState::Physical | NodeState::KnownDead | NodeState::Quarantined => Look::Faint,
    }
}
