//! Watches what changes by itself: the policy file, and verdicts, so that "why not last night?" has an answer.

use super::{App, PolicyFile};
use crate::{
    fleet::Fleet,
    serve::tls::Identity,
    store::Store,
    view::{self, VerdictChange},
    words,
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{Action, Request, fleet::CrlExpired};
use millwright_protocol::NodeName;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// From one look at the policy file to the next.
const POLICY: Duration = Duration::from_secs(5);
/// From one look at all verdicts to the next.
const VERDICTS: Duration = Duration::from_secs(5);
/// From one look at the files of `[tls]` to the next: who is revoked is out within a minute.
const IDENTITY: Duration = Duration::from_secs(20);
/// So long before it expires the coordinator's certificate is told about.
const CERTIFICATE_EARLY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Nodes judged in one go; reports wait meanwhile.
const AT_ONCE: usize = 100;

/// Puts a changed policy in force.
pub(super) fn policy(app: &Arc<App>, mut file: PolicyFile) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.spawn(async move {
        while app.pause(POLICY).await {
            let Some(policy) = file.changed(app.clock.now()) else { continue };
            // What is wrong with a bad file, and what holds meanwhile, has been said where it was read.
            if policy.unreadable.is_none() {
                let nodes = words::count(policy.nodes.len(), "node");
                log::info!("the policy in force is now {} with {nodes}", policy.version);
            }
            let changes = app.with_fleet(|fleet, now| fleet.set_policy(Arc::new(policy), now));
            app.publish(changes);
        }
    });
}

/// Takes over certificates and revocation lists that were renewed on disk, and tells of those that will not be good for
/// long: nobody renews them by themselves on old Puppets.
pub(super) fn identity(app: &Arc<App>, identity: Arc<Identity>) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.spawn(async move {
        loop {
            look_at(&app, &identity);
            if !app.pause(IDENTITY).await {
                return;
            }
        }
    });
}

fn look_at(app: &App, identity: &Identity) {
    let now = app.clock.now();
    let reloaded = identity.reload();
    let until = identity.until();
    app.metrics.certificate.set(until.certificate);
    app.metrics.revocation_list.set(until.crl);
    let trouble = match &reloaded {
        Ok(_) => certificate_trouble(until.certificate, now),
        Err(error) => Some(format!(
            "the files of [tls] as they are now cannot be used: {error}; the old ones stay in force"
        )),
    };
    if matches!(reloaded, Ok(true)) {
        log::info!("the files of [tls] have changed: new connections go by them");
    }
    tell(app, "tls", trouble, now);
    let grace = app.config.tls.as_ref().map(|tls| tls.crl_grace).unwrap_or_default();
    let expired = until.crl.filter(|until| now >= *until);
    let beyond = expired.and_then(|expired_at| beyond_grace(expired_at, grace, now));
    tell(app, "crl_expired", expired.map(|expired_at| crl_trouble(expired_at, grace, beyond.is_some())), now);
    if app.is_read_only() != beyond.is_some() {
        match beyond {
            Some(_) => {
                log::error!("the list of revoked certificates is too old: nothing may be done any more")
            }
            None => log::info!("the list of revoked certificates is good again: nodes are judged as before"),
        }
    }
    app.with_fleet(|fleet, _| fleet.set_crl_expired(beyond));
}

/// Sets the trouble or clears it; the log hears of either once.
fn tell(app: &App, what: &'static str, trouble: Option<String>, now: Timestamp) {
    match trouble {
        Some(sentence) if app.troubles.set(what, sentence.clone(), now) => log::error!("{sentence}"),
        Some(_) => {}
        None if app.troubles.clear(what) => log::info!("the files of [tls] are good again ({what})"),
        None => {}
    }
}

fn certificate_trouble(until: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let until = until.filter(|until| now + CERTIFICATE_EARLY >= *until)?;
    let verb = if now >= until { "expired" } else { "expires" };
    let at = until.strftime("%Y-%m-%d %H:%M UTC");
    Some(format!("the coordinator's certificate {verb} on {at}; see the manual about certificates"))
}

/// X3: a list that is too old is an alarm first, and after the grace nothing may be done any more.
fn beyond_grace(expired_at: Timestamp, grace: Duration, now: Timestamp) -> Option<CrlExpired> {
    let since = expired_at.checked_add(grace).ok()?;
    (now >= since).then_some(CrlExpired { expired_at, since })
}

fn crl_trouble(expired_at: Timestamp, grace: Duration, is_beyond: bool) -> String {
    let shown = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let meanwhile = match expired_at.checked_add(grace) {
        _ if is_beyond => "nothing may be done with any node until there is a new one".to_owned(),
        Ok(limit) => {
            format!("it still holds, and without a new one nothing may be done from {} on", shown(limit))
        }
        Err(_) => "it still holds".to_owned(),
    };
    format!(
        "the list of revoked certificates expired on {}: {meanwhile}; see the manual about certificates",
        shown(expired_at)
    )
}

/// Tells which verdicts are not what they were, also over a restart.
pub(super) fn verdicts(app: &Arc<App>) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.spawn(async move {
        let mut before = match app.read_store(Store::last_verdicts).await {
            Ok(last) => Said::remembered(&last),
            Err(refusal) => {
                log::warn!("read the last verdicts, so that each is told anew: {}", refusal.message);
                Said::default()
            }
        };
        while app.pause(VERDICTS).await {
            let names: Vec<NodeName> = app.policy().nodes.keys().cloned().collect();
            before.forget_others(&names);
            for some in names.chunks(AT_ONCE) {
                app.publish_verdicts(app.with_fleet(|fleet, now| before.news(fleet, some, now)));
                tokio::task::yield_now().await;
            }
        }
    });
}

/// What was said last, as a digest: a fleet of 10,000 has 40,000 of them.
#[derive(Debug, Default)]
struct Said(HashMap<NodeName, [Option<u64>; Action::DISRUPTIVE.len()]>);

impl Said {
    /// What was said before the start.
    fn remembered(last: &[VerdictChange]) -> Self {
        let mut said = Self::default();
        for change in last {
            let place = Action::DISRUPTIVE.iter().position(|action| action.as_str() == change.action);
            if let (Ok(name), Some(place)) = (change.key.parse(), place) {
                said.is_news(&name, place, change.digest());
            }
        }
        said
    }

    /// Remembers what is said; `true` when it is not what was said before, or nothing was.
    fn is_news(&mut self, name: &NodeName, place: usize, digest: u64) -> bool {
        if !self.0.contains_key(name) {
            self.0.insert(name.clone(), Default::default());
        }
        let said = self.0.get_mut(name).and_then(|said| said.get_mut(place));
        said.is_some_and(|said| said.replace(digest) != Some(digest))
    }

    /// Verdicts on these nodes that are not what they were.
    fn news(&mut self, fleet: &mut Fleet, names: &[NodeName], now: Timestamp) -> Vec<VerdictChange> {
        let mut changes = Vec::new();
        for name in names {
            for (place, action) in Action::DISRUPTIVE.into_iter().enumerate() {
                let Ok(verdict) = fleet.judge(&Request::one(action, name.clone()), now) else { continue };
                if self.is_news(name, place, view::digest(&verdict)) {
                    changes.push(VerdictChange::of(&verdict, name, fleet.policy().spell(name), now));
                }
            }
        }
        changes
    }

    /// Drops nodes that are no longer listed.
    fn forget_others(&mut self, names: &[NodeName]) {
        if self.0.len() > names.len() {
            self.0.retain(|name, _| names.binary_search(name).is_ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{Story, name, task};

    /// What is news about rebooting the first node, as "verdict: codes".
    fn told(story: &mut Story, said: &mut Said) -> Vec<String> {
        let now = story.now();
        let news = said.news(&mut story.fleet, &[name("alibuild01")], now);
        let reboots = news.into_iter().filter(|change| change.action == "reboot");
        reboots.map(|change| format!("{}: {}", change.verdict, change.codes.join(" "))).collect()
    }

    #[test]
    fn an_expired_list_is_an_alarm_first_and_after_the_grace_nothing_may_be_done() {
        let expired_at: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let grace = Duration::from_secs(7 * 86_400);
        let at = |hours| beyond_grace(expired_at, grace, expired_at + SignedDuration::from_hours(hours));
        assert_eq!((at(0), at(7 * 24 - 1)), (None, None));
        let since: Timestamp = "2026-02-07T10:00:00Z".parse().unwrap();
        assert_eq!(at(7 * 24), Some(CrlExpired { expired_at, since }));
        assert!(crl_trouble(expired_at, grace, false).contains("from 2026-02-07 10:00 UTC on"));
        assert!(crl_trouble(expired_at, grace, true).contains("nothing may be done with any node"));
        let forever = Duration::from_secs(u64::MAX);
        assert_eq!(beyond_grace(expired_at, forever, expired_at), None);
        assert!(crl_trouble(expired_at, forever, false).contains("still holds"));
    }

    #[test]
    fn beyond_the_grace_every_answer_is_refused_and_a_new_list_ends_that() {
        let mut story = Story::new(3);
        let mut said = Said::default();
        story.rounds(9);
        assert_eq!(told(&mut story, &mut said), ["allowed: "]);
        let expired_at = story.now() - SignedDuration::from_hours(8 * 24);
        let beyond = beyond_grace(expired_at, Duration::from_secs(7 * 86_400), story.now());
        story.fleet.set_crl_expired(beyond);
        assert_eq!(told(&mut story, &mut said), ["refused: crl_expired"]);
        story.fleet.set_crl_expired(None);
        assert_eq!(told(&mut story, &mut said), ["allowed: "]);
    }

    #[test]
    fn each_answer_is_told_once_from_the_first_on() {
        let mut story = Story::new(3);
        let mut said = Said::default();
        let first = told(&mut story, &mut said);
        assert!(first.len() == 1 && first[0].contains("warming_up"), "{first:?}");
        story.rounds(9);
        assert_eq!(told(&mut story, &mut said), ["allowed: "]);
        story.rounds(1);
        assert_eq!(told(&mut story, &mut said), [""; 0], "nothing new, though every age is another one");
    }

    #[test]
    fn another_number_of_tasks_is_no_other_answer() {
        let mut story = Story::new(3);
        let mut said = Said::default();
        let run = |story: &mut Story, id: &str| {
            let agents = &mut story.master.as_mut().unwrap().agents;
            agents.iter_mut().find(|agent| agent.id == "S-alibuild01").unwrap().tasks.push(task(id));
            story.rounds(9);
        };
        run(&mut story, "mesos-jenkins-1");
        let news = told(&mut story, &mut said);
        assert!(news.len() == 1 && news[0].contains("task_protected"), "{news:?}");
        run(&mut story, "mesos-jenkins-2");
        assert_eq!(told(&mut story, &mut said), [""; 0]);
    }

    #[test]
    fn after_a_restart_only_what_is_another_answer_is_told() {
        let mut story = Story::new(3);
        story.rounds(9);
        let now = story.now();
        let last = Said::default().news(&mut story.fleet, &[name("alibuild01")], now);
        assert_eq!(last.len(), 4, "one of each action");
        assert_eq!(told(&mut story, &mut Said::remembered(&last)), [""; 0]);
        story.quiet.insert(name("alibuild01"));
        story.rounds(9);
        let news = told(&mut story, &mut Said::remembered(&last));
        assert!(news.len() == 1 && news[0].contains("fact_stale"), "{news:?}");
    }
}
