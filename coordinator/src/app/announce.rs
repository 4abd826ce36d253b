//! Tells colleagues what an operation is about to do, until when they may object, and what it costs.
//!
//! Where policy gives them time to object, the time begins once somebody could have heard of it. Where it does not, a chat
//! that is away holds nothing up: it hears of it later.

use super::App;
use crate::{
    notice::{Level, Notice},
    operations::Task,
    words,
};
use jiff::Timestamp;
use millwright_decision::{
    Consent, Evidence, Request, Verdict, judge,
    operation::{Outcome, Wish},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a channel may take until somebody is waiting in vain: its own time-out, and a rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many tasks are named; the others are counted.
const NAMED: usize = 3;

/// The effect of the step `announce`.
pub(super) async fn carry_out(app: Arc<App>, has_channels: bool, task: Task) -> Outcome {
    let id = task.operation.clone();
    let wish = app
        .with_operations(|operations| operations.get(&id).map(|tracked| tracked.operation.wish.clone()))
        .await;
    let Some(wish) = wish else { return Outcome::unknown("the operation is not there any more") };
    if !has_channels {
        let fact = Evidence::new("announced", "on the dashboard; no chat is configured", "coordinator");
        return Outcome::done(vec![fact]);
    }
    let (consent, verdict, now) = app.with_fleet(|fleet, now| {
        let policy = Arc::clone(fleet.policy());
        let rules = policy.classes.get(&wish.class);
        let consent = rules.map_or(Consent::None, |rules| rules.consent(wish.action, wish.is_silent));
        let request = Request { volumes: wish.volumes, ..Request::one(wish.action, wish.node.clone()) };
        (consent, judge(&request, fleet.snapshot_at(now), &policy, now), now)
    });
    let notice = Notice {
        at: now,
        level: Level::Warn,
        node: Some(wish.spelled.clone()),
        subject: id.clone(),
        operation: Some(id.clone()),
        text: say(&id, &wish, consent, &verdict, now),
    };
    let answer = app.post.announce(format!("announcement of {id}"), notice);
    match timeout(PATIENCE, answer).await {
        Ok(Ok(channel)) => Outcome::done(vec![Evidence::new("announced", "colleagues were told", channel)]),
        _ => {
            let why = app.post.trouble().unwrap_or_else(|| "no channel has taken it yet".to_owned());
            if consent == Consent::None {
                let told = format!("on the dashboard; it is told as soon as that can be: {why}");
                return Outcome::done(vec![Evidence::new("announced", told, "coordinator")]);
            }
            Outcome::not_done(format!("nobody was told: {why}"))
        }
    }
}

fn say(id: &str, wish: &Wish, consent: Consent, verdict: &Verdict, now: Timestamp) -> String {
    let (node, what) = (&wish.spelled, wish.action.past());
    let ends = consent.window().and_then(|window| now.checked_add(window).ok());
    let ends = ends.map_or_else(String::new, |ends| ends.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let object = format!("`millwright cancel {id} --reason \"…\"`");
    let first = match consent {
        Consent::None => {
            format!("{node} will be {what} once nothing speaks against it; {object} calls it off")
        }
        Consent::ObjectionWindow(_) => {
            format!("{node} will be {what} unless somebody objects until {ends}: {object}")
        }
        Consent::SecondPerson(_) => format!(
            "{node} will be {what} once a second person agrees (`millwright operations {id}` shows what to), or when \
             nobody has objected until {ends}: {object}"
        ),
    };
    format!("{first}; {}", cost(verdict))
}

/// What would be lost if it were done now.
fn cost(verdict: &Verdict) -> String {
    let tasks = &verdict.cost.tasks_lost;
    let mut named: Vec<&str> = tasks.iter().take(NAMED).map(|task| task.id.as_str()).collect();
    let more = (tasks.len() > NAMED).then(|| format!("{} more", tasks.len() - NAMED));
    named.extend(more.as_deref());
    let running = match tasks.len() {
        0 => "nothing is known to run there".to_owned(),
        count => format!("{} run there: {}", words::count(count, "task"), named.join(", ")),
    };
    match verdict.cost.images_to_pull_bytes {
        0 => running,
        bytes => format!("{running}; {} of images are pulled again", words::size(bytes)),
    }
}
