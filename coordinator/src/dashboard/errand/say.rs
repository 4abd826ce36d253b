//! The forms that say something to an operation: what it means, and what somebody who approves agrees to.

use super::{is_named, typed_name};
use crate::{
    dashboard::{
        acts::{self, Say},
        forms::{FormPage, Typed},
        markdown,
        operation::{class_of, covers},
        operations,
        words::Mark,
    },
    people::Caller,
    view::{FleetView, OperationView},
};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

pub(super) fn request(operation: &str, say: Say, typed: &Typed) -> Result<(String, Value), String> {
    let reason = typed.one("reason");
    let (path, body) = match say {
        Say::Approve => ("approve", json!({ "reason": reason, "digest": typed.one("digest") })),
        Say::Cancel => ("cancel", json!({ "reason": reason })),
        Say::Abandon => {
            let node: NodeName =
                typed.one("node").parse().map_err(|_| "the form names no node; open it again".to_owned())?;
            is_named(typed.one("typed"), &node)?;
            ("cancel", json!({ "reason": reason, "abandon": true }))
        }
        Say::Retry => ("retry", json!({ "reason": reason })),
        Say::Begin | Say::Done | Say::NotRun => {
            ("confirm", json!({ "reason": reason, "what": say.as_str() }))
        }
    };
    Ok((format!("/api/v1/operations/{operation}/{path}"), body))
}

pub(super) fn form(
    say: Say,
    operation: &OperationView,
    fleet: &FleetView,
    caller: &Caller,
    typed: &Typed,
    blank: FormPage,
) -> FormPage {
    let summary = &operation.summary;
    let (id, node) = (&summary.id, &summary.node);
    let class = class_of(fleet, &summary.key);
    let mut form = FormPage {
        title: format!("{}: {} {node}", say.label(), summary.action),
        trail: (format!("/operations/{id}"), id.clone()),
        leads: vec![markdown::line(&what_it_means(say, operation))],
        facts: vec![("now", operations::sentence(summary))],
        submit: say.label().to_owned(),
        is_grave: matches!(say, Say::Abandon | Say::Done | Say::NotRun),
        ..blank
    };
    match say {
        Say::Approve => {
            form.facts.extend(covers(operation, &fleet.policy.version));
            form.facts.push(("all of it together", operation.digest.clone()));
            // What was looked at when the form was first opened; a change since then has to be looked at.
            let digest = typed.given("digest").unwrap_or(&operation.digest).to_owned();
            if digest != operation.digest {
                let sentence =
                    "This has changed since you opened the form: look at it again, then send it once more.";
                form.callouts
                    .push((Mark::from(millwright_decision::Severity::NeedsPeople), markdown::line(sentence)));
            }
            form.hidden.push(("digest", operation.digest.clone()));
        }
        Say::Abandon => {
            form.fields.push(typed_name(node, typed));
            form.hidden.push(("node", summary.key.clone()));
        }
        Say::Done | Say::NotRun if !operation.command.is_empty() => {
            form.facts.push(("its command", operation.command.join(" ")));
        }
        _ => {}
    }
    let is_offered = operation.may.iter().any(|may| may == say.as_str());
    let not_now = (!is_offered)
        .then(|| format!("{id} is {}, and this says nothing to it now.", operations::state(summary).word));
    let by_hand = (say == Say::Begin && acts::is_run_by_hand(operation)).then(|| {
        format!("This step is a command: run `millwright step {id}` where the credentials are.")
            .replace('`', "")
    });
    let cannot = acts::cannot(say, operation, class, caller);
    form.refused_to(caller, not_now.or(by_hand).or(cannot))
}

fn what_it_means(say: Say, operation: &OperationView) -> String {
    let summary = &operation.summary;
    let (node, step) = (&summary.node, summary.step.as_deref().unwrap_or_default().replace('_', " "));
    match say {
        Say::Approve => format!(
            "You are the second person who looks. Your yes counts for exactly what stands here, until 24 h after {node} is \
             empty."
        ),
        Say::Begin => format!("{step} begins as soon as nothing objects. There is no way back from it."),
        Say::Done => format!("You say that {step} is done. It is believed: nothing else can tell."),
        Say::NotRun => format!(
            "You say that {step} was not run and will not be, by anybody who has its command. It is believed: nothing else \
             can tell."
        ),
        Say::Retry => format!("{step} is tried again, from the question whether it is so already."),
        Say::Cancel => {
            format!("Nothing more is done to {node}, and what can be taken back is: it gets work again.")
        }
        Say::Abandon => format!(
            "Millwright lets go of {node} as it is, wherever the step {step} has got to. {node} stays cordoned and is yours until \
             somebody returns it."
        ),
    }
}
