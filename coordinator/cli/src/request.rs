//! `millwright drain`, `return`, `reboot`, `rebuild`, `delete`, `create`, `prepull`: asks for an operation. A no is shown
//! with its reasons, and with what would make it a yes.

use crate::{
    client::{Client, Refused},
    may,
    output::{Output, clean},
    terminal, watch, words,
};
use anyhow::Result;
use clap::{Args, Subcommand};
use millwright_coordinator::view::AcceptedView;
use millwright_decision::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What the requester can say yes to alone, and what that yes means. A delete asks for its own by the node's name.
const YES: [(&str, &str); 5] = [
    ("confirm_reboot", "whatever depends on this node may do without it while it reboots"),
    ("dedicated_node", "the one service of this node may stop for a while"),
    ("silent_node", "the node is reset from outside, and what ran on it is lost"),
    ("last_of_label", "jobs that ask for its label may wait until it is back"),
    ("orphan_container", "the container without an owner may end"),
];

/// What every request has.
#[derive(Debug, Args)]
pub struct Asked {
    /// The node, in any spelling.
    node: String,
    /// Why; colleagues read it, and it is kept for ever.
    #[arg(long, value_name = "WHY", value_parser = words::why)]
    reason: String,
    /// Only say whether it would begin, and with which steps; nothing is started.
    #[arg(long)]
    dry_run: bool,
    /// Follow it until it ends, stands still or needs people, with progress on standard error. Ctrl-C only stops watching.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Say yes to an objection that you have seen, by its code. Whoever is declined is told which to name.
    #[arg(long, value_name = "CODE", value_parser = ["confirm_reboot", "dedicated_node", "silent_node", "last_of_label", "orphan_container"])]
    confirm: Vec<String>,
}

/// What takes a node away has.
#[derive(Debug, Args)]
pub struct Taking {
    #[command(flatten)]
    asked: Asked,
    /// A task that may end, by its id; everything else is waited for. Once for each.
    #[arg(long, value_name = "TASK")]
    let_go: Vec<String>,
    /// Who runs what needs the cloud's credentials, where the policy's choice does not fit.
    #[arg(long, value_parser = ["by_hand", "command", "openstack"])]
    executor: Option<String>,
}

/// What somebody asks for.
#[derive(Debug, Subcommand)]
pub enum Request {
    /// Have a node cordoned and wait until it is proven empty. It stays so until it is returned.
    Drain(Asked),
    /// Have a node verified, run Puppet once, and let it have work again.
    Return(Asked),
    /// Have a node drained, rebooted, verified and returned.
    Reboot(Taking),
    /// Have a node drained, rebuilt, compared with what it was, and returned.
    Rebuild {
        #[command(flatten)]
        taking: Taking,
        /// The image; without it the one that the command of the policy takes.
        #[arg(long)]
        image: Option<String>,
    },
    /// Have a node deleted for good. Asks for its name; to repair one, rebuild it.
    Delete {
        #[command(flatten)]
        taking: Taking,
        /// What becomes of its volumes.
        #[arg(long, value_parser = ["keep", "delete"], default_value = "keep")]
        volumes: String,
        /// The node's name once more, for scripts; people type it on the terminal.
        #[arg(long, value_name = "NAME")]
        typed: Option<String>,
    },
    /// Have a node made that the policy lists and that is not there yet.
    Create {
        #[command(flatten)]
        asked: Asked,
        /// The image; without it the one that the command of the policy takes.
        #[arg(long)]
        image: Option<String>,
        /// Who runs what needs the cloud's credentials, where the policy's choice does not fit.
        #[arg(long, value_parser = ["by_hand", "command", "openstack"])]
        executor: Option<String>,
    },
    /// Have a node pull the images that its class needs.
    Prepull(Asked),
}

/// The same for every action.
struct Wish {
    action: Action,
    asked: Asked,
    let_go: Vec<String>,
    executor: Option<String>,
    image: Option<String>,
    volumes: Option<String>,
    typed: Option<String>,
}

impl From<Request> for Wish {
    fn from(request: Request) -> Self {
        let plain = |action: Action, asked: Asked| Self {
            action,
            asked,
            let_go: Vec::new(),
            executor: None,
            image: None,
            volumes: None,
            typed: None,
        };
        let taking = |action: Action, Taking { asked, let_go, executor }: Taking| Self {
            let_go,
            executor,
            ..plain(action, asked)
        };
        match request {
            Request::Drain(asked) => plain(Action::Drain, asked),
            Request::Return(asked) => plain(Action::Return, asked),
            Request::Prepull(asked) => plain(Action::Prepull, asked),
            Request::Reboot(reboot) => taking(Action::Reboot, reboot),
            Request::Rebuild { taking: rebuild, image } => Self { image, ..taking(Action::Rebuild, rebuild) },
            Request::Delete { taking: delete, volumes, typed } => {
                Self { volumes: Some(volumes), typed, ..taking(Action::Delete, delete) }
            }
            Request::Create { asked, image, executor } => {
                Self { image, executor, ..plain(Action::Create, asked) }
            }
        }
    }
}

impl Wish {
    fn body(&self) -> Value {
        let Asked { node, reason, dry_run, confirm, .. } = &self.asked;
        let mut body = json!({ "action": self.action.as_str(), "nodes": [node], "reason": reason, "dry_run": dry_run,
            "confirm": confirm, "let_go": self.let_go, "by": words::author() });
        let more = [
            ("executor", &self.executor),
            ("image", &self.image),
            ("volumes", &self.volumes),
            ("typed", &self.typed),
        ];
        if let Some(body) = body.as_object_mut() {
            body.extend(
                more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))),
            );
        }
        body
    }

    /// Whether the request already says yes to this objection.
    fn says_yes(&self, code: &str) -> bool {
        self.asked.confirm.iter().any(|said| said == code)
            || (code == "intent_missing" && self.typed.is_some())
    }
}

/// Asks, and follows what was begun where that is wanted.
pub async fn run(client: &Client, output: &Output, request: Request, json: bool) -> Result<ExitCode> {
    let mut wish = Wish::from(request);
    if wish.action == Action::Delete && wish.typed.is_none() {
        wish.typed = match wish.asked.dry_run {
            // A rehearsal asks nobody, and shows what would object to somebody who has typed it.
            true => Some(wish.asked.node.clone()),
            false => match terminal::ask(&format!("delete {} for good? type its name:", wish.asked.node))? {
                Some(typed) => Some(typed),
                None => {
                    output.complain("millwright delete: nobody is here to type the node's name; give it a second time, with --typed NAME");
                    return Ok(ExitCode::from(2));
                }
            },
        };
    }
    let answer: Value = match client.post("/api/v1/operations", &wish.body()).await {
        Ok(answer) => answer,
        Err(error) => return declined(client, output, &wish, error, json).await,
    };
    let accepted = AcceptedView::deserialize(&answer)?;
    if !json {
        output.line(clean(&accepted.sentence))?;
        output.line(clean(&format!("  its steps: {}", accepted.plan.join(", "))))?;
    }
    match accepted.id.filter(|_| wish.asked.wait) {
        Some(id) => watch::follow(client, output, &id, json).await,
        None => {
            if json {
                output.json(&answer)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Why it was declined. The exit code is that of the worst objection to beginning.
async fn declined(
    client: &Client,
    output: &Output,
    wish: &Wish,
    error: anyhow::Error,
    json: bool,
) -> Result<ExitCode> {
    let Some(refused) = error.downcast_ref::<Refused>() else { return Err(error) };
    let is_observed = refused.code == "mode_observe";
    if !is_observed && !["objected", "node_protected", "operation_running"].contains(&refused.code.as_str()) {
        return Err(error);
    }
    let mut query = vec![("action", wish.action.as_str()), ("node", wish.asked.node.as_str())];
    query.extend(wish.volumes.as_deref().map(|volumes| ("volumes", volumes)));
    let answer: Value = client.get("/api/v1/verdicts", &query).await?;
    let verdict = may::Verdict::deserialize(&answer)?;
    if json {
        let why = json!({ "code": refused.code, "message": refused.message });
        output.json(&json!({ "declined": why, "verdict": answer }))?;
    } else {
        output.complain(&format!("millwright: {refused}"));
        may::print(output, &verdict)?;
        for hint in hints(wish, &verdict) {
            output.line(clean(&hint))?;
        }
    }
    // Only another policy changes a mode.
    Ok(may::exit_code(if is_observed { "refused" } else { worst(wish, &verdict) }))
}

/// The worst of what objects to beginning, as far as nobody has said yes to it.
fn worst<'a>(wish: &Wish, verdict: &'a may::Verdict) -> &'a str {
    let objects = |reason: &&may::Reason| !verdict.waits.contains(&reason.code);
    let left = |reason: &&may::Reason| !wish.says_yes(&reason.code);
    let worst = |reasons: Vec<&'a may::Reason>| {
        let order = ["refused", "needs_people", "wait"];
        order.into_iter().find(|word| reasons.iter().any(|reason| reason.severity == *word))
    };
    let objecting: Vec<&may::Reason> = verdict.reasons.iter().filter(objects).collect();
    let left: Vec<&may::Reason> = objecting.iter().copied().filter(left).collect();
    // What objected a moment ago may have cleared since: then it is worth asking again.
    worst(left).or_else(|| worst(objecting)).unwrap_or("wait")
}

/// What to add to the command so that the requester's own yes is in it.
fn hints(wish: &Wish, verdict: &may::Verdict) -> Vec<String> {
    let lost: Vec<&str> =
        verdict.lost().filter(|task| !wish.let_go.iter().any(|named| named == task)).collect();
    let open = YES.iter().filter(|(code, _)| verdict.reasons.iter().any(|reason| reason.code == *code));
    let hint = |(code, means): &(&str, &str)| {
        let is_silent = *code == "silent_node";
        let is_complete = !is_silent || lost.is_empty();
        if wish.says_yes(code) && is_complete {
            return None;
        }
        let mut flags = format!("--confirm {code}");
        let mut means = format!("you say that {means}");
        if is_silent {
            flags.extend(lost.iter().map(|task| format!(" --let-go {task}")));
            means.push_str(match lost.is_empty() {
                true => "; no task is known to run there",
                false => ": every task that is named",
            });
        }
        Some(format!("  to have it begun all the same, add `{flags}`: {means}"))
    };
    open.filter_map(hint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;
    use clap::Parser;
    use millwright_coordinator::operations::CONFIRMABLE;

    fn wish(words: &str) -> Wish {
        let words = format!("millwright {words} --reason x");
        match Arguments::try_parse_from(words.split(' ')).unwrap().command {
            crate::Command::Request(request) => request.into(),
            other => panic!("{other:?}"),
        }
    }

    fn verdict(reasons: Value, waits: Value, lost: Value) -> may::Verdict {
        let verdict = json!({ "action": "reboot", "verdict": "x", "may_start": "x", "reasons": reasons, "waits": waits,
            "cost": { "tasks_lost": lost } });
        may::Verdict::deserialize(verdict).unwrap()
    }

    fn reason(code: &str, severity: &str) -> Value {
        json!({ "code": code, "severity": severity, "sentence": "s" })
    }

    #[test]
    fn every_yes_that_the_coordinator_takes_is_offered_and_explained() {
        let mut offered: Vec<&str> = YES.iter().map(|(code, _)| *code).chain(["intent_missing"]).collect();
        let mut taken: Vec<&str> = CONFIRMABLE.iter().map(|code| code.as_str()).collect();
        offered.sort_unstable();
        taken.sort_unstable();
        assert_eq!(offered, taken);
        for (code, _) in YES {
            assert_eq!(wish(&format!("reboot n01 --confirm {code}")).asked.confirm, [code]);
        }
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_that_keeps_it_from_beginning() {
        let said = verdict(
            json!([
                reason("task_protected", "wait"),
                reason("confirm_reboot", "needs_people"),
                reason("master_out", "wait")
            ]),
            json!(["task_protected"]),
            json!([]),
        );
        assert_eq!(worst(&wish("reboot n01"), &said), "needs_people");
        assert_eq!(worst(&wish("reboot n01 --confirm confirm_reboot"), &said), "wait");
        let silent = verdict(json!([reason("silent_node", "needs_people")]), json!([]), json!([]));
        assert_eq!(worst(&wish("reboot n01 --confirm silent_node"), &silent), "needs_people");
        assert_eq!(worst(&wish("reboot n01"), &verdict(json!([]), json!([]), json!([]))), "wait");
    }

    #[test]
    fn who_is_declined_is_told_the_flag_and_what_it_means() {
        let said = verdict(json!([reason("confirm_reboot", "needs_people")]), json!([]), json!([]));
        let [hint] = hints(&wish("reboot n01"), &said).try_into().unwrap();
        assert!(hint.contains("`--confirm confirm_reboot`: you say that whatever depends"), "{hint}");
        assert!(hints(&wish("reboot n01 --confirm confirm_reboot"), &said).is_empty());
    }

    #[test]
    fn who_wants_a_silent_node_reset_names_every_task_that_is_lost() {
        let lost = json!([{ "id": "t1", "class": "protected" }, { "id": "t2", "class": "checker" }, { "id": "t3", "class": "disposable" }]);
        let said = verdict(json!([reason("silent_node", "needs_people")]), json!([]), lost);
        let [hint] = hints(&wish("reboot n01"), &said).try_into().unwrap();
        assert!(hint.contains("`--confirm silent_node --let-go t1 --let-go t2`"), "{hint}");
        let [hint] = hints(&wish("reboot n01 --confirm silent_node --let-go t1"), &said).try_into().unwrap();
        assert!(hint.contains("`--confirm silent_node --let-go t2`"), "{hint}");
        assert!(hints(&wish("reboot n01 --confirm silent_node --let-go t1 --let-go t2"), &said).is_empty());
    }

    #[test]
    fn a_request_says_only_what_was_said() {
        let body = wish("rebuild N1 --image cs9 --let-go t1").body();
        assert_eq!(
            (&body["action"], &body["nodes"], &body["image"], &body["let_go"]),
            (&json!("rebuild"), &json!(["N1"]), &json!("cs9"), &json!(["t1"]))
        );
        for absent in ["volumes", "typed", "executor"] {
            assert!(body.get(absent).is_none(), "{absent}");
        }
        assert_eq!(wish("delete n01 --volumes delete --typed n01").body()["volumes"], "delete");
    }
}
