//! The form that begins an operation: what happens, what objects, what the requester has to say yes to.

use super::{is_named, set, typed_name};
use crate::{
    dashboard::{
        PageData, acts,
        forms::{Field, FormPage, Typed},
        markdown,
        operation::class_of,
        render::Problem,
        verdict::capital,
        words::Mark,
    },
    people::{Caller, Role},
    view::FleetView,
};
use millwright_decision::{Action, Code, Verdict};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

pub(super) fn request(action: Action, node: &NodeName, typed: &Typed) -> Result<(String, Value), String> {
    let mut body = json!({
        "action": action,
        "nodes": [node],
        "reason": typed.one("reason"),
        "confirm": typed.all("confirm").collect::<Vec<_>>(),
        "let_go": typed.all("let_go").collect::<Vec<_>>(),
    });
    if action == Action::Delete {
        let Some(name) = typed.given("typed") else {
            return Err("type the node's name: what is deleted does not come back".to_owned());
        };
        is_named(name, node)?;
        set(&mut body, "typed", name);
        set(&mut body, "volumes", typed.given("volumes").unwrap_or("keep"));
    }
    if let Some(image) = typed.given("image") {
        set(&mut body, "image", image);
    }
    Ok(("/api/v1/operations".to_owned(), body))
}

pub(super) async fn form<D: PageData>(
    action: Action,
    name: &NodeName,
    data: &D,
    fleet: &FleetView,
    caller: &Caller,
    typed: &Typed,
    blank: FormPage,
) -> Result<FormPage, Box<Problem>> {
    let (Some(node), Some(verdict)) = (data.node(name).await, data.verdict(action, name)) else {
        return Err(Box::new(Problem::unheard_of(name)));
    };
    let spelled = node.summary.name;
    let class = class_of(fleet, name.as_str());
    let mut form = FormPage {
        title: format!("{} {spelled}", capital(action.as_str())),
        trail: (format!("/nodes/{name}"), spelled.clone()),
        leads: vec![markdown::line(&what_happens(action, &spelled))],
        submit: format!("{} {spelled}", capital(action.as_str())),
        is_grave: matches!(action, Action::Delete | Action::Rebuild),
        ..blank
    };
    let confirm = acts::to_confirm(&verdict);
    let is_asked =
        |code| confirm.as_ref().is_some_and(|confirm| confirm.iter().any(|reason| reason.code == code));
    let is_typed = |code| action == Action::Delete && code == Code::IntentMissing;
    form.callouts = verdict
        .reasons
        .iter()
        .filter(|reason| !is_asked(reason.code) && !is_typed(reason.code))
        .map(|reason| {
            let later = if reason.code.clears_on_the_way() { " (it is waited for on the way)" } else { "" };
            let sentence = format!("{}{later}. Cleared by: {}", reason.sentence, reason.unblocked_by);
            (Mark::from(reason.severity), markdown::line(&sentence))
        })
        .collect();
    for reason in confirm.iter().flatten() {
        form.fields.push(Field::Tick {
            name: "confirm",
            value: reason.code.to_string(),
            label: format!("{}. I have seen that, and mean it all the same.", reason.sentence),
            is_on: typed.all("confirm").any(|code| code == reason.code.as_str()),
            is_required: true,
        });
    }
    if is_asked(Code::SilentNode) {
        form.fields.extend(lost(&verdict, typed));
    }
    form.fields.extend(more_fields(action, &spelled, typed));
    let observed = acts::is_only_looked_at(fleet, class);
    let objected = confirm.is_none().then(|| "It cannot begin now; what objects stands above.".to_owned());
    let lacks = acts::lacks(caller, Role::Operate, class, &form.title);
    Ok(form.refused_to(caller, observed.or(lacks).or(objected)))
}

/// What begins, for people.
fn what_happens(action: Action, node: &str) -> String {
    match action {
        Action::Drain => format!(
            "{node} gets no new work, what runs there ends by itself, and the node is kept empty until somebody returns it. \
             Nothing is killed."
        ),
        Action::Return => format!("{node} is proven healthy, Puppet runs once, and new work comes again."),
        Action::Reboot => format!(
            "{node} is emptied without killing anything, rebooted, proven healthy and given work again. It waits as long as \
             it has to, and can be called off until the reboot itself."
        ),
        Action::Rebuild => format!(
            "{node} is emptied without killing anything, gets a new system disk, converges, is compared with what it had, \
             and is given work again. It can be called off until the new disk is ordered."
        ),
        Action::Delete => format!(
            "{node} goes for good: emptied, stopped and locked for a while in which somebody may miss it, then deleted, and \
             taken out of every place that knows it."
        ),
        Action::Create => format!("{node} is made, converges, and is given work."),
        Action::Prepull => format!("{node} pulls the images that builds need. Nothing else changes."),
    }
}

/// The last known tasks of a silent node, each to be let go by name.
fn lost(verdict: &Verdict, typed: &Typed) -> Vec<Field> {
    let tick = |task: &millwright_decision::TaskLost| {
        let name = if task.name.is_empty() { &task.id } else { &task.name };
        Field::Tick {
            name: "let_go",
            value: task.id.clone(),
            label: format!("{name} ({}) may be lost.", task.class.as_str()),
            is_on: typed.all("let_go").any(|id| id == task.id),
            is_required: false,
        }
    };
    verdict.cost.tasks_lost.iter().map(tick).collect()
}

fn more_fields(action: Action, spelled: &str, typed: &Typed) -> Vec<Field> {
    let mut fields = Vec::new();
    if matches!(action, Action::Rebuild | Action::Create) {
        fields.push(Field::Line {
            name: "image",
            label: "Image (empty for the newest of its kind)".to_owned(),
            value: typed.one("image").to_owned(),
            is_required: false,
            longest: 200,
        });
    }
    if action == Action::Delete {
        let chosen = typed.given("volumes").unwrap_or("keep");
        let option = |value: &str, words: &str| (value.to_owned(), words.to_owned(), value == chosen);
        fields.push(Field::Choice {
            name: "volumes",
            label: "Its volumes".to_owned(),
            options: vec![option("keep", "are kept"), option("delete", "are deleted with it")],
        });
        fields.push(typed_name(spelled, typed));
    }
    fields
}
