//! One node: who it is, the runbook's checklist, what is wrong, disks, tasks, what cannot be seen.

use super::fleet::state_look;
use crate::{
    page::{Look, Page},
    spell,
};
use millwright_coordinator::view::{ChecklistState, FindingView, NodeDetail};
use millwright_protocol::Status;

/// Changes shown.
const HISTORY: usize = 5;

pub fn write(node: &NodeDetail, page: &mut Page) {
    write_head(node, page);
    write_checklist(node, page);
    write_findings(node, page);
    write_volumes(node, page);
    write_tasks(node, page);
    write_blind(node, page);
    write_history(node, page);
}

fn write_head(node: &NodeDetail, page: &mut Page) {
    let summary = &node.summary;
    page.add(Look::Strong, &summary.name).add(Look::Plain, ": ");
    page.add(state_look(summary), summary.state.label());
    let class = summary.class.map_or("unlisted", |class| class.as_str());
    let zone = summary.zone.as_ref().map_or(String::new(), |zone| format!(", {zone}"));
    page.add(Look::Faint, &format!("  {class}{zone}")).end();
    page.line(&format!("  {}", summary.sentence));
    match node.reported_at {
        Some(at) => page.line(&format!(
            "  last report {}{}",
            spell::ago(at, node.asked_at),
            if node.is_stale { ": stale" } else { "" }
        )),
        None => page.line("  no report has ever come"),
    };
    if !summary.protections.is_empty() {
        let protections: Vec<&str> =
            summary.protections.iter().map(|protection| protection.as_str()).collect();
        page.add(Look::Bad, "  protected: ").line(&protections.join(", "));
    }
    if let Some(changed) = node.identity.as_ref().and_then(|identity| identity.changed.as_ref()) {
        page.add(Look::Bad, "  its identity changed: ").line(changed);
    }
    if let Some(why) = &node.known_dead {
        page.add(Look::Faint, "  known dead: ").line(why);
    }
    if let Some(boot) = &node.boot {
        let verified = boot.verified_at.map_or("not yet verified".to_owned(), |at| {
            format!("verified {}", spell::ago(at, node.asked_at))
        });
        page.line(&format!("  up for {}, {verified} since boot", spell::length(boot.uptime_seconds)));
    }
}

fn write_checklist(node: &NodeDetail, page: &mut Page) {
    if node.checklist.is_empty() {
        return;
    }
    page.end().add(Look::Strong, "checklist").end();
    for item in &node.checklist {
        let (mark, look) = match item.state {
            ChecklistState::Done => ("✓", Look::Good),
            ChecklistState::Warn => ("!", Look::Warn),
            ChecklistState::Failed => ("✗", Look::Bad),
            ChecklistState::Unknown => ("?", Look::Odd),
            ChecklistState::NotConfigured => ("–", Look::Faint),
        };
        page.add(look, &format!("  {mark} ")).add(Look::Plain, &item.title);
        page.add(Look::Faint, &format!("  {}", item.sentence)).end();
    }
}

fn write_findings(node: &NodeDetail, page: &mut Page) {
    let (good, other): (Vec<&FindingView>, Vec<&FindingView>) =
        node.all_findings.iter().partition(|finding| finding.status == Status::Ok);
    page.end().add(Look::Strong, "findings");
    page.line(&format!(": {} to look at, {} ok", other.len(), good.len()));
    for finding in other {
        page.add(Look::of(finding.status), &format!("  {:<8} ", finding.status.as_str()));
        page.add(Look::Plain, &finding.sentence);
        let gating = if finding.gating { ", gating" } else { "" };
        page.add(
            Look::Faint,
            &format!("  [{}{gating}; {}]", finding.id, spell::ago(finding.since, node.asked_at)),
        )
        .end();
        if let Some(seen) = &finding.acknowledged {
            page.line(&format!("           seen by {} until {}", seen.by, seen.until));
        }
        if let Some(next) = &finding.next {
            page.line(&format!("           next: {next}"));
        }
    }
}

fn write_volumes(node: &NodeDetail, page: &mut Page) {
    if node.volumes.is_empty() {
        return;
    }
    page.end().add(Look::Strong, "disks").end();
    for volume in &node.volumes {
        let fact = &volume.fact;
        let used =
            volume.used_percent.map_or("not mounted".to_owned(), |percent| format!("{percent} % full"));
        let forecast = fact.hours_to_full.map_or(String::new(), |hours| format!(", full in {hours:.0} h"));
        page.line(&format!(
            "  {}  {used}, {} of {} free{forecast}",
            fact.mount,
            spell::bytes(fact.free_bytes),
            spell::bytes(fact.size_bytes)
        ));
    }
}

fn write_tasks(node: &NodeDetail, page: &mut Page) {
    let tasks = &node.living_tasks.tasks;
    if tasks.is_empty() {
        return;
    }
    page.end().add(Look::Strong, "tasks").end();
    for task in tasks {
        let runtime = task
            .runtime_seconds
            .map_or(String::new(), |seconds| format!(", runs for {}", spell::length(seconds)));
        let cost = task
            .kill_cost_seconds
            .map_or(String::new(), |seconds| format!(", {} of work lost if killed", spell::length(seconds)));
        page.line(&format!("  {} ({}): {}{runtime}{cost}", task.name, task.framework, task.class.as_str()));
    }
}

fn write_blind(node: &NodeDetail, page: &mut Page) {
    if node.cannot_see.is_empty() {
        return;
    }
    page.end().add(Look::Strong, "what I cannot see").end();
    for blind in &node.cannot_see {
        page.add(Look::Faint, &format!("  {}: {}", blind.what, blind.sentence)).end();
    }
}

fn write_history(node: &NodeDetail, page: &mut Page) {
    if node.history.is_empty() {
        return;
    }
    page.end().add(Look::Strong, "lately").end();
    for change in node.history.iter().take(HISTORY) {
        page.line(&format!("  {}: {}", spell::ago(change.at, node.asked_at), change.sentence));
    }
}
