//! One node with everything known about it.

use super::super::{
    Fleet,
    record::{Record, used_percent},
    report::{by_our_clock, takes_tasks},
};
use super::{checklist, diagnosis, finding_name, not_configured, outside, summary};
use crate::view::{
    AgentFacts, BootView, BuildView, CannotSee, ContainersView, FindingView, IdentityView, MachineView,
    MasterListing, NodeDetail, TaskView, TasksView, VolumeView,
};
use jiff::Timestamp;
use millwright_decision::{
    Class, Node, Source,
    fleet::{Build, NodeTask, View},
};
use millwright_protocol::{Facts, Finding, NodeName, Task, TaskState, finding_id};
use std::collections::BTreeMap;

/// See [`Fleet::node_detail`].
pub(in super::super) fn node(fleet: &Fleet, name: &NodeName, now: Timestamp) -> NodeDetail {
    let unheard = Record::default();
    let record = fleet.records.get(name).map_or(&unheard, Box::as_ref);
    let node = fleet.snapshot.nodes.get(name).map(Box::as_ref);
    let agent = node.and_then(|node| node.agent.as_ref());
    let (findings, facts) = record.packed.open(&fleet.words);
    let checklist = checklist::list(fleet, name, &findings, now);
    let spelled = fleet.policy.spell(name);
    let diagnosis = diagnosis::of(spelled, &checklist, &checklist::by_line(&findings));
    let asks_puppet = findings.iter().any(|finding| finding.check == "puppet");
    let cannot_see = cannot_see(fleet, name, node, &facts, asks_puppet);
    let all_findings = all_findings(fleet, name, record, findings, agent.map(|agent| agent.at), now);
    let diagnosis = diagnosis::beside(spelled, diagnosis, &checklist, &all_findings, now);
    NodeDetail {
        summary: summary(fleet, name, now),
        asked_at: now,
        reported_at: agent.map(|agent| agent.at),
        is_stale: !node.is_some_and(|node| node.is_fresh(now)),
        identity: identity(record, node),
        boot: record.said.as_ref().zip(agent).map(|(said, agent)| BootView {
            boot_id: said.boot_id.clone(),
            first_heard_at: agent.boot_first_heard_at,
            uptime_seconds: said.uptime_seconds,
            verified_at: agent.verified_at,
            healthy_since: agent.healthy_since,
        }),
        known_dead: node.and_then(|node| node.known_dead.clone()),
        checklist,
        diagnosis,
        all_findings,
        volumes: facts
            .volumes
            .iter()
            .map(|fact| VolumeView {
                used_percent: used_percent(fact).filter(|_| fact.mounted || fact.is_root),
                name: fleet
                    .policy
                    .volumes
                    .iter()
                    .find(|known| known.is(fact.uuid.as_deref(), fact.serial.as_deref()))
                    .map(|known| known.name.clone()),
                fact: fact.clone(),
            })
            .collect(),
        living_tasks: tasks(fleet, name, node, &facts, now),
        containers: facts.containers.map(|containers| ContainersView {
            containers: containers.containers,
            version: containers.version,
            storage_driver: containers.storage_driver,
        }),
        mesos_agent: facts.mesos_agent.map(|agent| AgentFacts {
            url: agent.url,
            agent_id: agent.agent_id,
            version: agent.version,
            hostname: agent.hostname,
            registered: agent.registered,
            attributes: agent.attributes,
        }),
        mesos_listing: node.and_then(|node| node.master.as_ref()).map(|view| MasterListing {
            at: view.at,
            listing: view.listing.as_str().to_owned(),
            deactivated: view.deactivated,
            agent_id: record.listed_mesos_id.as_deref().map(str::to_owned),
            attributes: view.attributes.clone(),
        }),
        images: facts.images,
        puppet: facts.puppet,
        machine: facts.system.zip(agent).zip(record.said.as_ref()).map(|((facts, agent), said)| {
            MachineView { facts, clock_offset_seconds: said.sent_at.duration_since(agent.at).as_secs() }
        }),
        mesos_master: facts.mesos_master,
        zookeeper: facts.zookeeper,
        outside: outside::of_node(fleet, name, now),
        cannot_see,
        history: Vec::new(),
        verdict_history: Vec::new(),
    }
}

fn identity(record: &Record, node: Option<&Node>) -> Option<IdentityView> {
    let said = record.said.as_ref()?;
    Some(IdentityView {
        machine_id: said.machine_id.clone(),
        server_uuid: said.server_uuid.clone(),
        agent_version: said.agent_version.to_string(),
        recorded_at: record.identity.as_ref()?.recorded_at,
        changed: node.and_then(|node| node.identity_changed.as_ref()).map(|(_, what)| what.clone()),
    })
}

fn all_findings(
    fleet: &Fleet,
    name: &NodeName,
    record: &Record,
    mut findings: Vec<Finding>,
    reported_at: Option<Timestamp>,
    now: Timestamp,
) -> Vec<FindingView> {
    findings.sort_by(|a, b| {
        (b.status, b.gating, &a.check, &a.item).cmp(&(a.status, a.gating, &b.check, &b.item))
    });
    let reported_at = reported_at.unwrap_or(now);
    let sent_at = record.said.as_ref().map_or(reported_at, |said| said.sent_at);
    let report_age = now.duration_since(reported_at).as_secs().max(0).unsigned_abs();
    findings
        .into_iter()
        .map(|finding| {
            let id = finding_id(name.as_str(), &finding.check, finding.item.as_deref());
            FindingView {
                id: finding_name(fleet, name, &finding),
                since: by_our_clock(finding.since, sent_at, reported_at),
                age_seconds: finding.age_seconds.saturating_add(report_age),
                acknowledged: fleet.acknowledgements.get(&id).filter(|given| now < given.until).cloned(),
                check: finding.check,
                item: finding.item,
                status: finding.status,
                gating: finding.gating,
                sentence: finding.sentence,
                evidence: finding.evidence,
                next: finding.next,
            }
        })
        .collect()
}

fn tasks(fleet: &Fleet, name: &NodeName, node: Option<&Node>, facts: &Facts, now: Timestamp) -> TasksView {
    let Some(node) = node else { return TasksView::default() };
    let class = fleet.policy.nodes.get(name).map(|listed| listed.class);
    let own = node.agent.as_ref().map(|agent| &agent.tasks);
    let master_known = takes_tasks(&fleet.policy, class).then(|| {
        let state = fleet.snapshot.sources.get(&Source::MesosMaster);
        node.master.is_some() && state.is_some_and(|state| state.unknown_since.is_none())
    });
    TasksView {
        agent_known: match own {
            Some(View::NotConfigured) => None,
            Some(View::Known(_)) => Some(node.is_fresh(now)),
            Some(View::Unknown) | None => Some(false),
        },
        master_known,
        disagree_since: node.views_disagree_since,
        agent_empty_since: node.agent_empty.map(|span| span.first),
        master_empty_since: node.master_empty.map(|span| span.first),
        jenkins_known: node.jenkins.as_ref().map(|_| {
            let state = fleet.snapshot.sources.get(&Source::Jenkins);
            state.is_some_and(|state| state.unknown_since.is_none())
        }),
        jenkins_empty_since: node.jenkins.as_ref().and_then(|view| view.empty).map(|span| span.first),
        builds: builds(node),
        tasks: living(fleet, node, own, facts, now),
    }
}

fn builds(node: &Node) -> Vec<BuildView> {
    let own = node.agent.as_ref().and_then(|agent| agent.tasks.known()).into_iter().flatten();
    let tasks: Vec<&NodeTask> = own.chain(node.master.iter().flat_map(|view| &view.tasks)).collect();
    let running = node.jenkins.iter().flat_map(|view| &view.builds);
    let show = |build: &Build| BuildView {
        name: build.name.clone(),
        computer: build.computer.clone(),
        task: tasks.iter().find(|task| build.is_of(task)).map(|task| task.id.clone()),
        started_at: build.since,
        expected_end: build.expected_end,
    };
    running.map(show).collect()
}

fn living(
    fleet: &Fleet,
    node: &Node,
    own: Option<&View<Vec<NodeTask>>>,
    facts: &Facts,
    now: Timestamp,
) -> Vec<TaskView> {
    let details: BTreeMap<&str, &Task> = facts
        .mesos_agent
        .iter()
        .flat_map(|agent| &agent.tasks)
        .map(|task| (task.id.as_str(), task))
        .collect();
    let mut named: BTreeMap<&str, (&NodeTask, Vec<Source>)> = BTreeMap::new();
    let own = own.and_then(View::known).into_iter().flatten().map(|task| (task, Source::Agent));
    let listed = node.master.iter().flat_map(|view| &view.tasks).map(|task| (task, Source::MesosMaster));
    for (task, source) in own.chain(listed) {
        named.entry(&task.id).or_insert_with(|| (task, Vec::new())).1.push(source);
    }
    let running = || node.jenkins.iter().flat_map(|view| &view.builds);
    let build_of = |task: &NodeTask| running().find(|build| build.is_of(task));
    let show = |(task, named_by): (&NodeTask, Vec<Source>)| {
        let runtime = task.started_at.map(|at| now.duration_since(at).as_secs().max(0).unsigned_abs());
        let detail = details.get(task.id.as_str());
        let by_master = named_by
            .contains(&Source::MesosMaster)
            .then(|| fleet.mesos.not_running.get(&task.id).copied().unwrap_or(TaskState::Running));
        TaskView {
            id: task.id.clone(),
            name: task.name.clone(),
            framework: task.framework.clone(),
            class: task.class,
            rule: task.rule.clone(),
            state: detail.map(|task| task.state).or(by_master),
            resources: detail.map(|task| task.resources),
            started_at: task.started_at,
            runtime_seconds: runtime,
            kill_cost_seconds: runtime.map(|ran| ran.saturating_add(task.warm_up_seconds)),
            expected_end: build_of(task).and_then(|build| build.expected_end),
            build: build_of(task).map(|build| build.name.clone()),
            named_by,
        }
    };
    named.into_values().map(show).collect()
}

fn cannot_see(
    fleet: &Fleet,
    name: &NodeName,
    node: Option<&Node>,
    facts: &Facts,
    asks_puppet: bool,
) -> Vec<CannotSee> {
    let mut list: Vec<CannotSee> = not_configured(fleet)
        .into_iter()
        .map(|source| CannotSee {
            what: source.as_str().to_owned(),
            not_configured: true,
            sentence: format!("the policy requires no {source}, so nobody asks it"),
        })
        .collect();
    let mut add = |what: &str, not_configured, sentence: &str| {
        list.push(CannotSee { what: what.to_owned(), not_configured, sentence: sentence.to_owned() });
    };
    if !fleet.policy.is_known() {
        add("sources", false, "which sources are required is not known, as no policy could ever be read");
    }
    let class = fleet.policy.nodes.get(name).map(|listed| listed.class);
    let Some(agent) = node.and_then(|node| node.agent.as_ref()) else {
        if class != Some(Class::Physical) {
            add("agent", false, "its agent has never reported, so nothing inside the node is known");
        } else {
            add("agent", true, "a physical node has no agent of ours");
        }
        return list;
    };
    match agent.tasks {
        View::Unknown => {
            add("mesos_agent", false, "its own Mesos agent has not been read, so its tasks are not known")
        }
        View::NotConfigured => add("mesos_agent", true, "it runs no Mesos agent"),
        View::Known(_) => {}
    }
    match agent.containers {
        View::Unknown => add("containers", false, "Docker gives no list, so its containers are not known"),
        View::NotConfigured => add("containers", true, "nothing in its agent.toml asks for Docker"),
        View::Known(_) => {}
    }
    if facts.puppet.is_none() {
        let (not_configured, sentence) = if asks_puppet {
            (false, "its agent has seen no Puppet run")
        } else {
            (true, "nothing in its agent.toml asks for Puppet")
        };
        add("puppet", not_configured, sentence);
    }
    if facts.volumes.is_empty() {
        add("volumes", false, "its agent names no volumes");
    }
    list
}
