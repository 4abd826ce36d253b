//! The forms for what people say beside operations: holds, attestations, the off switch, the brake.

use super::set;
use crate::{
    dashboard::{
        PageData, acts,
        forms::{Field, FormPage, Typed},
        markdown,
        operation::class_of,
        render::Problem,
    },
    people::{Caller, Role},
    view::FleetView,
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{Class, Source};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

/// Hours that a hold lasts before it asks, to choose from; 0 for no end.
const HOLD_HOURS: [(i64, &str); 5] =
    [(4, "4 hours"), (24, "a day"), (72, "3 days"), (168, "a week"), (0, "no end")];

pub(super) fn hold_request(typed: &Typed, now: Timestamp) -> Result<(String, Value), String> {
    let Some(node) = typed.given("node") else { return Err("name the node".to_owned()) };
    let mut body = json!({ "node": node, "reason": typed.one("reason") });
    let hours: i64 = typed.one("hours").parse().unwrap_or(0);
    if hours > 0 {
        let until = now.checked_add(SignedDuration::from_hours(hours.min(24 * 366)));
        set(&mut body, "until", &until.map_err(|error| error.to_string())?.to_string());
    }
    Ok(("/api/v1/holds".to_owned(), body))
}

pub(super) fn hold_form(caller: &Caller, typed: &Typed, blank: FormPage) -> FormPage {
    let chosen = typed.given("hours").unwrap_or("24");
    let option =
        |(hours, words): (i64, &str)| (hours.to_string(), words.to_owned(), hours.to_string() == chosen);
    let node = Field::Line {
        name: "node",
        label: "Node".to_owned(),
        value: typed.one("node").to_owned(),
        is_required: true,
        longest: 100,
    };
    let hours = Field::Choice {
        name: "hours",
        label: "Ask me again after".to_owned(),
        options: HOLD_HOURS.into_iter().map(option).collect(),
    };
    let means = "Keep this node as it is: nobody returns, reboots, rebuilds or deletes it while the hold stands. It never lifts \
                 by itself; when its time is over, it asks.";
    let mut form = FormPage {
        title: "Hold a node".to_owned(),
        trail: ("/holds".to_owned(), "Holds".to_owned()),
        leads: vec![markdown::line(means)],
        submit: "Hold it".to_owned(),
        ..blank
    };
    form.fields.insert(0, node);
    form.fields.push(hours);
    // Of which class is only known once it is sent.
    let can = Class::ALL.iter().any(|class| caller.rights.may(Role::Operate, Some(*class)));
    let why = if can && caller.is_somebody() {
        None
    } else {
        acts::lacks(caller, Role::Operate, None, "Hold a node")
    };
    form.refused_to(caller, why)
}

pub(super) fn attest_request(node: &NodeName, typed: &Typed) -> Result<(String, Value), String> {
    let Some(source) = typed.given("source") else {
        return Err("choose what you have looked at".to_owned());
    };
    let body = json!({ "node": node, "source": source, "reason": typed.one("reason") });
    Ok(("/api/v1/attestations".to_owned(), body))
}

pub(super) async fn attest_form<D: PageData>(
    name: &NodeName,
    data: &D,
    fleet: &FleetView,
    caller: &Caller,
    typed: &Typed,
    blank: FormPage,
) -> Result<FormPage, Box<Problem>> {
    let Some(node) = data.node(name).await else {
        return Err(Box::new(Problem::unheard_of(name)));
    };
    let spelled = node.summary.name;
    let option = |source: &Source| {
        let word = source.as_str().to_owned();
        (word.clone(), word.clone(), word == typed.one("source"))
    };
    let sources = Source::ALL.iter().filter(|source| source.can_be_attested());
    let mut form = FormPage {
        title: format!("Vouch for a source about {spelled}"),
        trail: (format!("/nodes/{name}"), spelled),
        leads: vec![markdown::line(
            "A source does not answer, and you have looked yourself: say what you saw. It counts for this node alone and for \
             15 minutes, and it is recorded.",
        )],
        submit: "I have looked".to_owned(),
        is_grave: true,
        ..blank
    };
    let label = "Source that I have looked at".to_owned();
    form.fields.insert(0, Field::Choice { name: "source", label, options: sources.map(option).collect() });
    let lacks = acts::lacks(caller, Role::Operate, class_of(fleet, name.as_str()), &form.title);
    Ok(form.refused_to(caller, lacks))
}

pub(super) fn lift_form<D: PageData>(
    id: &str,
    data: &D,
    fleet: &FleetView,
    caller: &Caller,
    blank: FormPage,
) -> Result<FormPage, Box<Problem>> {
    let Some(hold) = data.holds().into_iter().find(|hold| hold.id == id) else {
        return Err(Box::new(Problem::unknown_hold(id)));
    };
    let key: Option<NodeName> = hold.node.parse().ok();
    let class = key.as_ref().and_then(|key| class_of(fleet, key.as_str()));
    let is_own = hold.by.eq_ignore_ascii_case(&caller.name);
    let form = FormPage {
        title: format!("Lift the hold on {}", hold.node),
        trail: ("/holds".to_owned(), "Holds".to_owned()),
        facts: vec![("held by", hold.by.clone()), ("because", hold.reason.clone())],
        leads: vec![markdown::line(if is_own {
            "Nothing of yours keeps the node as it is any more."
        } else {
            "This is another person's hold: talk to them first."
        })],
        submit: "Lift it".to_owned(),
        is_grave: !is_own,
        ..blank
    };
    let role = if is_own { Role::Operate } else { Role::Approve };
    let local = hold.is_local.then(|| {
        format!("It was set on {} itself, and is lifted there: millwright-agent hold lift", hold.node)
    });
    Ok(form.refused_to(caller, local.or_else(|| acts::lacks(caller, role, class, "Lift it"))))
}

pub(super) fn pause_form(is_on: bool, fleet: &FleetView, caller: &Caller, blank: FormPage) -> FormPage {
    let (title, means) = if is_on {
        (
            "Pause Millwright",
            "Nothing new begins anywhere, and what is under way stops before its next step. Agents go on looking.",
        )
    } else {
        ("Let Millwright go on", "What was under way goes on, and new operations may begin.")
    };
    let already = match (is_on, &fleet.paused) {
        (true, Some(pause)) => Some(format!("{} has paused Millwright already: {}", pause.by, pause.reason)),
        (false, None) => Some("Millwright is not paused.".to_owned()),
        _ => None,
    };
    let form = FormPage {
        title: title.to_owned(),
        leads: vec![markdown::line(means)],
        submit: if is_on { "Pause everything" } else { "Go on" }.to_owned(),
        ..blank
    };
    form.refused_to(caller, already.or_else(|| acts::lacks(caller, Role::Operate, None, title)))
}

pub(super) fn brake_form(class: Class, fleet: &FleetView, caller: &Caller, blank: FormPage) -> FormPage {
    let brake = fleet.brakes.iter().find(|brake| brake.class == class);
    let form = FormPage {
        title: format!("Reset the brake of {class}"),
        leads: vec![markdown::line(
            "Once you know what happened. Nodes that are healthy may be taken out again; the brake counts anew from here.",
        )],
        facts: brake.map(|brake| ("it is on because", brake.why.clone())).into_iter().collect(),
        submit: "Reset it".to_owned(),
        is_grave: true,
        ..blank
    };
    let off = brake.is_none().then(|| format!("The brake of {class} is not on."));
    form.refused_to(
        caller,
        off.or_else(|| acts::lacks(caller, Role::Operate, Some(class), "Reset the brake")),
    )
}
