//! A node that says nothing any more: what is seen of it from outside, what a reset would end, and the line that begins it.

use super::{Fleet, show};
use crate::words;
use jiff::Timestamp;
use millwright_decision::{
    Node,
    fleet::{NodeTask, SILENT},
};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// So many tasks are named; the others are counted.
const NAMED: usize = 3;

impl Fleet {
    /// Everything that whoever is woken by it needs to know first.
    pub(super) fn tell_silence(&self, name: &NodeName, node: &Node, now: Timestamp) -> String {
        let spelled = self.policy.spell(name);
        let age = node.report_age(now).unwrap_or_default();
        let mut parts = vec![format!("{spelled} has been silent for {} min", age.as_mins())];
        let probe = node.ssh.as_ref();
        parts.extend(probe.map(|probe| format!("ssh: {}", probe.story)));
        parts.extend(show::cloud(self, name).map(|seen| seen.sentence));
        let is_dead = age > SILENT && probe.is_some_and(|probe| probe.answered == Some(false));
        if is_dead {
            parts.push(lost(node));
            parts.push(format!(
                "to reset it from outside: millwright reboot {spelled} --reason \"it is frozen\""
            ));
        } else if probe.is_some_and(|probe| probe.answered == Some(true)) {
            parts.push(format!(
                "its agent is what is missing: ssh {spelled} systemctl status millwright-agent"
            ));
        }
        parts.join("; ")
    }
}

/// What was last known to run there.
fn lost(node: &Node) -> String {
    let own = node.agent.as_ref().and_then(|agent| agent.tasks.known()).into_iter().flatten();
    let listed = node.master.iter().flat_map(|view| &view.tasks);
    let tasks: BTreeMap<&str, &NodeTask> = own.chain(listed).map(|task| (task.id.as_str(), task)).collect();
    if tasks.is_empty() {
        return "nothing was known to run there".to_owned();
    }
    let builds = node.jenkins.as_ref().map_or(&[][..], |view| &view.builds);
    let told = |task: &NodeTask| match builds.iter().find(|build| build.is_of(task)) {
        Some(build) => format!("{} (building {})", task.id, build.name),
        None => task.id.clone(),
    };
    let mut named: Vec<String> = tasks.values().take(NAMED).map(|task| told(task)).collect();
    if tasks.len() > NAMED {
        named.push(format!("{} more", tasks.len() - NAMED));
    }
    format!("a reset would end {}: {}", words::count(tasks.len(), "task"), named.join(", "))
}
