//! Stops the offers of a node, or lets them flow, through the whitelist of every Mesos master: the one way before 1.9.
//!
//! ```text
//!  lists in force ─▶ the new list ─▶ set_whitelist to every master ─▶ all have it ─▶ all have read it ─▶ done
//!                                                      │ one refuses
//!                                                      └──────────▶ the old lists again ─▶ not done
//! ```
//!
//! Only the hosts of nodes that operations hold leave the lists, and only the node that is brought back enters them: whoever
//! else somebody took out or put in stays so.

use super::App;
use crate::{
    fleet::{Fleet, TAKES_EFFECT},
    integrations::mesos::whitelist,
    operations::{Footing, Task},
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Class, ClassPolicy, Evidence,
    operation::{Machine, Outcome},
};
use millwright_protocol::{NodeName, OrderState, Target, Verb};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

/// Every master must have answered within this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// An order that is older than this may be void before its agent fetches it.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// What is to become of the lists.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// The new list.
    hosts: Vec<String>,
    /// So many of the list in force may be missing.
    may_drop: u32,
    /// The node's own hosts.
    of_node: BTreeSet<String>,
    /// Every master: its machine, and what its list holds now.
    masters: BTreeMap<NodeName, (Machine, BTreeSet<String>)>,
}

/// Carries out the effect of a cordon (`stop`) or of its end.
pub(super) async fn change_offers(app: Arc<App>, task: Task, stop: bool) -> Outcome {
    // Two lists that are made at the same time would each undo the other.
    let turn = app.offers_turn.lock().await;
    let (footing, mut held) =
        app.with_operations(|operations| (operations.footing(&task), operations.cordoned())).await;
    let Some(footing) = footing else {
        return Outcome::unknown("the operation is not there any more");
    };
    if stop {
        held.insert(task.node.clone());
    } else {
        held.remove(&task.node);
    }
    if footing.left(app.clock.now()) < FRESH {
        return Outcome::unknown(
            "the order for the masters was made too long ago to be given again, and nobody knows which of them have the \
             whitelist; do they all list the host, or all not?",
        );
    }
    let change = match app.with_fleet(|fleet, now| plan(fleet, &task.node, &held, stop, now)) {
        Ok(change) => change,
        Err(why) => return Outcome::not_done(why),
    };
    let wanted: BTreeMap<_, _> =
        change.masters.keys().map(|name| (name.clone(), &change.hosts[..])).collect();
    let said = give(&app, &task, &footing, &change, &wanted).await;
    match judge(&said) {
        Answer::Done => {
            let hosts: BTreeSet<String> = change.hosts.iter().cloned().collect();
            app.with_fleet(|fleet, now| {
                for master in change.masters.keys() {
                    fleet.hear_whitelist(master, Some(hosts.clone()), now);
                }
            });
            // The next list may be made from this one at once.
            drop(turn);
            in_force(&app, &change).await
        }
        Answer::Unknown(question) => Outcome::unknown(question),
        Answer::Refused(why) => put_back(&app, &task, &footing, &change, &said, why).await,
    }
}

type Said = BTreeMap<NodeName, Option<OrderState>>;

/// What the masters' answers come to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Refused(String),
    Unknown(String),
}

fn judge(said: &Said) -> Answer {
    let mut refused = None;
    for (master, state) in said {
        match state {
            Some(OrderState::Done { .. }) => {}
            Some(OrderState::Refused { sentence, .. } | OrderState::Failed { sentence, .. }) => {
                refused.get_or_insert_with(|| format!("{master} does not take the whitelist: {sentence}"));
            }
            Some(OrderState::Unknown { sentence }) => {
                return Answer::Unknown(format!("{master}: {sentence}"));
            }
            Some(OrderState::Prepared { .. } | OrderState::Starting) | None => {
                return Answer::Unknown(format!(
                    "{master} has not said within {} s whether it has the new whitelist; does its file hold it?",
                    ANSWERS_WITHIN.as_secs()
                ));
            }
        }
    }
    refused.map_or(Answer::Done, Answer::Refused)
}

/// Gives each master its list and waits for what they say.
async fn give(
    app: &App,
    task: &Task,
    footing: &Footing,
    change: &Change,
    lists: &BTreeMap<NodeName, &[String]>,
) -> Said {
    let mut answered = app.errands_answered.subscribe();
    let id = app.with_errands(|errands, now| {
        let number = errands.number(now);
        let mut id = String::new();
        for (master, hosts) in lists {
            let Some((machine, _)) = change.masters.get(master) else { continue };
            let target = Target {
                node: master.to_string(),
                machine_id: machine.machine_id.clone(),
                server_uuid: machine.server_uuid.clone(),
                boot_id: machine.boot_id.clone(),
            };
            let hosts = hosts.to_vec();
            let verb = Verb::SetWhitelist { hosts, version: number, may_drop: change.may_drop };
            let order = footing.order(task, number, target, verb);
            id.clone_from(&order.id);
            errands.give(master.clone(), order);
        }
        id
    });
    app.orders_changed.send_modify(|round| *round += 1);
    let all = async {
        while !app.with_errands(|errands, _| errands.is_answered(&id)) {
            if answered.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // Whoever has not answered by then is among those without an answer.
        _ = timeout(ANSWERS_WITHIN, all) => {}
        () = app.shutdown.asked() => {}
    }
    app.with_errands(|errands, _| errands.take(&id))
}

/// Every master has the list: it holds once each has read it.
async fn in_force(app: &App, change: &Change) -> Outcome {
    if !app.pause(TAKES_EFFECT.unsigned_abs()).await {
        return Outcome::unknown("the coordinator stops before every master has read the new whitelist");
    }
    app.ask_mesos_soon();
    let of_node: Vec<&str> = change.of_node.iter().map(String::as_str).collect();
    let is_listed = change.of_node.iter().all(|host| change.hosts.contains(host));
    let mut evidence = vec![
        Evidence::new("mesos_hostname", of_node.join(" "), "mesos_master"),
        Evidence::new("whitelisted", if is_listed { "yes" } else { "no" }, "masters' agents"),
        Evidence::new("whitelist_hosts", change.hosts.len(), "masters' agents"),
    ];
    evidence.extend(
        change.masters.keys().map(|master| Evidence::new("whitelist_read_back", master, "masters' agents")),
    );
    Outcome::done(evidence)
}

/// One master refused: who took the new list gets the old one again, so that nothing remains of the try.
async fn put_back(
    app: &App,
    task: &Task,
    footing: &Footing,
    change: &Change,
    said: &Said,
    why: String,
) -> Outcome {
    let took = |(master, state): (&NodeName, &Option<OrderState>)| {
        let (_, old) = change.masters.get(master)?;
        let has_it = matches!(state, Some(OrderState::Done { .. }));
        has_it.then(|| (master.clone(), old.iter().cloned().collect::<Vec<_>>()))
    };
    let old: BTreeMap<NodeName, Vec<String>> = said.iter().filter_map(took).collect();
    if old.is_empty() {
        return Outcome::not_done(why);
    }
    if let Some((master, _)) = old.iter().find(|(_, hosts)| hosts.is_empty()) {
        return Outcome::unknown(format!(
            "{why}; {master} had no whitelist before and has one now; is it to keep it?"
        ));
    }
    let lists = old.iter().map(|(master, hosts)| (master.clone(), &hosts[..])).collect();
    match judge(&give(app, task, footing, change, &lists).await) {
        Answer::Done => Outcome::not_done(why),
        Answer::Refused(again) | Answer::Unknown(again) => {
            Outcome::unknown(format!("{why}; and the old whitelist was not put back everywhere: {again}"))
        }
    }
}

/// The new list.
///
/// # Errors
/// For people: why there is none.
fn plan(
    fleet: &Fleet,
    node: &NodeName,
    held: &BTreeSet<NodeName>,
    stop: bool,
    now: Timestamp,
) -> Result<Change, String> {
    let spell = |name: &NodeName| fleet.policy().spell(name).to_owned();
    let of_node = fleet.mesos_hosts_of(node);
    if of_node.is_empty() {
        return Err(format!(
            "Mesos has listed no agent of {} since the start, so nobody knows the host name that its whitelist needs",
            spell(node)
        ));
    }
    if let Some((host, other)) = shared_host(fleet, node, &of_node).filter(|_| stop) {
        return Err(format!(
            "{} announces itself to Mesos as {host} as well: its offers would be stopped too",
            spell(&other)
        ));
    }
    let masters = masters(fleet, now)?;
    let mut known: BTreeSet<String> = masters.values().flat_map(|(_, hosts)| hosts.iter().cloned()).collect();
    if known.is_empty() {
        // No master has a list yet, so everybody gets offers.
        known = fleet.mesos_hosts().map(str::to_owned).collect();
    }
    if !stop {
        known.extend(of_node.iter().cloned());
    }
    let cordoned: BTreeSet<String> = held
        .iter()
        .filter(|name| stop || *name != node)
        .flat_map(|name| fleet.mesos_hosts_of(name))
        .collect();
    let cordoned: BTreeSet<String> =
        cordoned.into_iter().filter(|host| stop || !of_node.contains(host)).collect();
    let hosts = whitelist(&known, &cordoned, may_be_out(fleet)).map_err(|why| why.to_string())?;
    let may_drop = u32::try_from(cordoned.len()).unwrap_or(u32::MAX);
    Ok(Change { hosts, may_drop, of_node, masters })
}

/// Another node with one of these host names.
fn shared_host(fleet: &Fleet, node: &NodeName, hosts: &BTreeSet<String>) -> Option<(String, NodeName)> {
    let others = fleet.all_mesos_agents().filter(|(name, _)| *name != node);
    others.into_iter().find_map(|(name, agents)| {
        let same = agents.iter().find(|agent| agent.registered && hosts.contains(&*agent.hostname))?;
        Some((same.hostname.to_string(), name.clone()))
    })
}

/// Every master with its machine and its list.
///
/// # Errors
/// One of them could not take a list now.
fn masters(fleet: &Fleet, now: Timestamp) -> Result<BTreeMap<NodeName, (Machine, BTreeSet<String>)>, String> {
    let mut masters = BTreeMap::new();
    for name in fleet.whitelist_masters() {
        let spelled = fleet.policy().spell(name);
        let is_heard = fleet.snapshot().nodes.get(name).is_some_and(|node| node.is_fresh(now));
        let Some(machine) = fleet.machine(name).filter(|_| is_heard) else {
            return Err(format!(
                "the agent of {spelled} does not report: every Mesos master must take the new whitelist, since any may lead \
                 next"
            ));
        };
        let Some(hosts) = fleet.whitelist_of(name) else {
            return Err(format!(
                "the agent of {spelled} keeps no whitelist: set mesos_master.whitelist in its agent.toml to the file that \
                 the Mesos master reads as --whitelist, and see that the file is readable and not empty"
            ));
        };
        masters.insert(name.clone(), (machine, hosts.clone()));
    }
    if masters.is_empty() {
        return Err(
            "the policy lists no master, and before Mesos 1.9 only masters can stop offers".to_owned()
        );
    }
    Ok(masters)
}

/// So many hosts may be missing: what the budgets let go, and who is out anyway.
fn may_be_out(fleet: &Fleet) -> usize {
    let (policy, snapshot) = (fleet.policy(), fleet.snapshot());
    let of_class = |(class, policy): (&Class, &ClassPolicy)| {
        let counts = snapshot.counts.class(*class);
        let budget = policy.out.of(counts.listed).saturating_add(policy.draining.of(counts.listed));
        counts.out.len() + usize::try_from(budget).unwrap_or(usize::MAX / 2)
    };
    policy.classes.iter().map(of_class).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{Story, name};
    use millwright_protocol::{RefusalCode, Report};

    fn names(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|host| format!("{host}.example.org")).collect()
    }

    fn everybody(report: &mut Report) {
        report.whitelist = Some(names(&["alibuild01", "alibuild02", "alibuild03", "stranger"]));
    }

    fn without_first(report: &mut Report) {
        report.whitelist = Some(names(&["alibuild02", "alibuild03", "stranger"]));
    }

    fn no_file(report: &mut Report) {
        report.whitelist = Some(Vec::new());
    }

    /// Four nodes of a Mesos of the past; the fourth is in no master's list, and nobody of us has taken it out.
    fn past(list: fn(&mut Report)) -> Story {
        let mut story = Story::new(4);
        story.master.as_mut().unwrap().version = "1.4.3".to_owned();
        for master in ["alimesos01", "alimesos02", "alimesos03"] {
            story.twist(master, list);
        }
        story.rounds(9);
        story
    }

    fn planned(story: &Story, node: &str, held: &[&str], stop: bool) -> Result<Change, String> {
        let held = held.iter().map(|node| name(node)).collect();
        plan(&story.fleet, &name(node), &held, stop, story.now())
    }

    #[test]
    fn the_nodes_that_operations_hold_leave_the_list_and_everybody_else_stays_as_they_are() {
        let story = past(everybody);
        let change = planned(&story, "alibuild01", &["alibuild01", "alibuild03"], true).unwrap();
        assert_eq!(change.hosts, names(&["alibuild02", "stranger"]));
        assert_eq!((change.may_drop, change.masters.len()), (2, 3));
        assert_eq!(change.of_node, names(&["alibuild01"]).into_iter().collect());
    }

    #[test]
    fn only_the_node_that_comes_back_enters_the_list() {
        let story = past(without_first);
        let change = planned(&story, "alibuild01", &["alibuild03"], false).unwrap();
        assert_eq!(
            change.hosts,
            names(&["alibuild01", "alibuild02", "stranger"]),
            "nobody put alibuild04 back"
        );
    }

    #[test]
    fn where_no_master_has_a_list_yet_it_begins_with_every_host_that_mesos_knows() {
        let change = planned(&past(no_file), "alibuild01", &["alibuild01"], true).unwrap();
        assert!(change.hosts.contains(&"alibuild04.example.org".to_owned()), "{:?}", change.hosts);
        assert!(!change.hosts.contains(&"alibuild01.example.org".to_owned()), "{:?}", change.hosts);
    }

    #[test]
    fn there_is_no_list_without_every_master_and_the_sentence_says_which_is_missing() {
        let mut story = past(everybody);
        story.twist("alimesos02", |report| report.whitelist = None);
        story.rounds(1);
        let why = planned(&story, "alibuild01", &["alibuild01"], true).unwrap_err();
        assert!(why.contains("alimesos02 keeps no whitelist: set mesos_master.whitelist"), "{why}");
        story.quiet.insert(name("alimesos02"));
        story.rounds(8);
        let why = planned(&story, "alibuild01", &["alibuild01"], true).unwrap_err();
        assert!(why.contains("alimesos02 does not report"), "{why}");
    }

    #[test]
    fn a_node_without_a_host_name_or_with_somebody_elses_is_not_cordoned_by_it() {
        let mut story = past(everybody);
        let agents = &mut story.master.as_mut().unwrap().agents;
        agents.iter_mut().filter(|agent| agent.id == "S-alibuild02").for_each(|agent| {
            agent.hostname = "alibuild01.example.org".to_owned();
        });
        story.rounds(1);
        let why = planned(&story, "alibuild01", &["alibuild01"], true).unwrap_err();
        assert!(why.starts_with("alibuild02 announces itself to Mesos as alibuild01"), "{why}");
        let why = planned(&story, "nobody", &["nobody"], true).unwrap_err();
        assert!(why.contains("Mesos has listed no agent of nobody"), "{why}");
    }

    #[test]
    fn more_than_the_budgets_let_go_is_no_list() {
        let story = past(everybody);
        let all = ["alibuild01", "alibuild02", "alibuild03"];
        // Of agents 1 may be out and 2 drain, of masters as many.
        assert!(planned(&story, "alibuild01", &all, true).is_ok());
        let mut story = past(|report| report.whitelist = Some(names(&["alibuild01"])));
        story.rounds(1);
        let why = planned(&story, "alibuild01", &["alibuild01"], true).unwrap_err();
        assert!(why.contains("none is left"), "{why}");
    }

    #[test]
    fn every_master_must_have_said_yes_and_silence_is_no_answer() {
        let done = Some(OrderState::Done { evidence: Vec::new() });
        let no = Some(OrderState::Refused { code: RefusalCode::Veto, sentence: "ann holds it".into() });
        let said = |states: &[&Option<OrderState>]| -> Said {
            let each = states.iter().enumerate();
            each.map(|(n, state)| (name(&format!("m{n}")), (*state).clone())).collect()
        };
        assert_eq!(judge(&said(&[&done, &done])), Answer::Done);
        assert_eq!(
            judge(&said(&[&done, &no])),
            Answer::Refused("m1 does not take the whitelist: ann holds it".into())
        );
        for open in [&None, &Some(OrderState::Starting), &Some(OrderState::Unknown { sentence: "?".into() })]
        {
            assert!(matches!(judge(&said(&[&no, &done, open])), Answer::Unknown(_)), "{open:?}");
        }
    }
}
