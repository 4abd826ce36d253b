//! What a form is for: what it shows, what it says to the API, and where it leads.

use super::{
    PageData,
    acts::{self, Say},
    forms::{Field, FormPage, Typed},
    markdown,
    operation::{class_of, covers},
    operations,
    render::Problem,
    shell::Shell,
    verdict::capital,
    words::Mark,
};
use crate::{
    people::{Caller, Role},
    view::{FleetView, OperationView},
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{Action, Class, Code, Verdict};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

/// Hours that a hold lasts before it asks, to choose from; 0 for no end.
const HOLD_HOURS: [(i64, &str); 5] =
    [(4, "4 hours"), (24, "a day"), (72, "3 days"), (168, "a week"), (0, "no end")];

/// What somebody wants to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Begin an operation.
    Begin {
        /// What.
        action: Action,
        /// On which node.
        node: NodeName,
    },
    /// Say something to one.
    Say {
        /// Which.
        operation: String,
        /// What.
        say: Say,
    },
    /// Keep a node as it is.
    Hold,
    /// Lift a hold.
    Lift(String),
    /// Press the off switch.
    Pause,
    /// Release it.
    Resume,
    /// Reset the brake of a class.
    Brake(Class),
}

impl Errand {
    /// To begin an operation, from the words of a path.
    pub fn begin(action: &str, node: &str) -> Option<Self> {
        let action = Action::ALL.into_iter().find(|known| known.as_str() == action)?;
        Some(Self::Begin { action, node: node.parse().ok()? })
    }

    /// To say something, from the words of a path.
    pub fn say(operation: &str, word: &str) -> Option<Self> {
        let number: u64 = operation.strip_prefix("op-")?.parse().ok()?;
        let say = Say::ALL.into_iter().find(|known| known.as_str() == word)?;
        Some(Self::Say { operation: format!("op-{number}"), say })
    }

    /// To reset a brake, from the word of a path.
    pub fn brake(class: &str) -> Option<Self> {
        Class::ALL.iter().copied().find(|known| known.as_str() == class).map(Self::Brake)
    }

    /// To lift a hold that was set here; one that was set on its node is lifted there.
    pub fn lift(hold: String) -> Option<Self> {
        hold.bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
            .then_some(Self::Lift(hold))
    }

    /// Where its form is.
    pub fn path(&self) -> String {
        match self {
            Self::Begin { action, node } => format!("/begin/{action}/{node}"),
            Self::Say { operation, say } => format!("/operations/{operation}/{}", say.as_str()),
            Self::Hold => "/holds/add".to_owned(),
            Self::Lift(hold) => format!("/holds/{hold}/lift"),
            Self::Pause => "/pause".to_owned(),
            Self::Resume => "/resume".to_owned(),
            Self::Brake(class) => format!("/brake/{class}"),
        }
    }

    /// What it says to the API, and to which path.
    ///
    /// # Errors
    /// What is missing or cannot be, for people.
    pub fn request(&self, typed: &Typed, now: Timestamp) -> Result<(String, Value), String> {
        let reason = typed.one("reason");
        if reason.is_empty() {
            return Err("say why: colleagues will read it".to_owned());
        }
        match self {
            Self::Begin { action, node } => begin_request(*action, node, typed),
            Self::Say { operation, say } => say_request(operation, *say, typed),
            Self::Hold => hold_request(typed, now),
            Self::Lift(hold) => Ok((format!("/api/v1/holds/{hold}/lift"), json!({ "reason": reason }))),
            Self::Pause => Ok(("/api/v1/pause".to_owned(), json!({ "on": true, "reason": reason }))),
            Self::Resume => Ok(("/api/v1/pause".to_owned(), json!({ "on": false, "reason": reason }))),
            Self::Brake(class) => {
                Ok(("/api/v1/brake".to_owned(), json!({ "class": class, "reason": reason })))
            }
        }
    }

    /// Where it leads once it was taken.
    pub fn after(&self, answer: &Value) -> String {
        match self {
            Self::Begin { node, .. } => match answer.get("id").and_then(Value::as_str) {
                Some(id) => format!("/operations/{id}"),
                None => format!("/nodes/{node}"),
            },
            Self::Say { operation, .. } => format!("/operations/{operation}"),
            Self::Hold | Self::Lift(_) => "/holds".to_owned(),
            Self::Pause | Self::Resume | Self::Brake(_) => "/".to_owned(),
        }
    }

    /// Its page, with what was typed before.
    ///
    /// # Errors
    /// What it is about does not exist.
    pub async fn form<D: PageData>(
        &self,
        data: &D,
        caller: &Caller,
        typed: &Typed,
    ) -> Result<FormPage, Problem> {
        let fleet = data.fleet();
        let blank = FormPage {
            shell: Shell::new(&fleet).still(),
            title: String::new(),
            trail: ("/".to_owned(), "Fleet".to_owned()),
            leads: Vec::new(),
            facts: Vec::new(),
            callouts: Vec::new(),
            fields: vec![FormPage::reason(typed)],
            hidden: Vec::new(),
            path: self.path(),
            submit: String::new(),
            is_grave: false,
            cannot: None,
            sign_in: None,
            problem: None,
            seal: data.form_seal(caller),
        };
        match self {
            Self::Begin { action, node } => {
                begin_form(*action, node, data, &fleet, caller, typed, blank).await
            }
            Self::Say { operation, say } => {
                let Some(view) = data.operation(operation).await else {
                    return Err(Problem::unknown_operation(operation));
                };
                Ok(say_form(*say, &view, &fleet, caller, typed, blank))
            }
            Self::Hold => Ok(hold_form(caller, typed, blank)),
            Self::Lift(id) => lift_form(id, data, &fleet, caller, blank),
            Self::Pause | Self::Resume => Ok(pause_form(*self == Self::Pause, &fleet, caller, blank)),
            Self::Brake(class) => Ok(brake_form(*class, &fleet, caller, blank)),
        }
    }
}

fn begin_request(action: Action, node: &NodeName, typed: &Typed) -> Result<(String, Value), String> {
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

fn set(body: &mut Value, name: &str, value: &str) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), Value::from(value));
    }
}

/// Whether somebody has typed the name of the node that they mean.
fn is_named(typed: &str, node: &NodeName) -> Result<(), String> {
    if typed.parse().ok().as_ref() == Some(node) {
        return Ok(());
    }
    let typed: String = typed.chars().take(60).collect();
    Err(format!("the typed name {typed:?} is not {node}; look again at what is meant"))
}

fn say_request(operation: &str, say: Say, typed: &Typed) -> Result<(String, Value), String> {
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

fn hold_request(typed: &Typed, now: Timestamp) -> Result<(String, Value), String> {
    let Some(node) = typed.given("node") else { return Err("name the node".to_owned()) };
    let mut body = json!({ "node": node, "reason": typed.one("reason") });
    let hours: i64 = typed.one("hours").parse().unwrap_or(0);
    if hours > 0 {
        let until = now.checked_add(SignedDuration::from_hours(hours.min(24 * 366)));
        set(&mut body, "until", &until.map_err(|error| error.to_string())?.to_string());
    }
    Ok(("/api/v1/holds".to_owned(), body))
}

#[expect(clippy::too_many_arguments, reason = "what a form is made from")]
async fn begin_form<D: PageData>(
    action: Action,
    name: &NodeName,
    data: &D,
    fleet: &FleetView,
    caller: &Caller,
    typed: &Typed,
    blank: FormPage,
) -> Result<FormPage, Problem> {
    let (Some(node), Some(verdict)) = (data.node(name).await, data.verdict(action, name)) else {
        return Err(Problem::unknown_node(format!(
            "{name} is neither in the policy nor has it ever been heard of."
        )));
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
    let objections = verdict.reasons.iter();
    let is_asked =
        |code| confirm.as_ref().is_some_and(|confirm| confirm.iter().any(|reason| reason.code == code));
    form.callouts = objections
        .filter(|reason| {
            !is_asked(reason.code) && !(action == Action::Delete && reason.code == Code::IntentMissing)
        })
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

fn typed_name(spelled: &str, typed: &Typed) -> Field {
    Field::Line {
        name: "typed",
        label: format!("Type the node's name, {spelled}"),
        value: typed.one("typed").to_owned(),
        is_required: true,
        longest: 100,
    }
}

fn say_form(
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

fn hold_form(caller: &Caller, typed: &Typed, blank: FormPage) -> FormPage {
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

fn lift_form<D: PageData>(
    id: &str,
    data: &D,
    fleet: &FleetView,
    caller: &Caller,
    blank: FormPage,
) -> Result<FormPage, Problem> {
    let Some(hold) = data.holds().into_iter().find(|hold| hold.id == id) else {
        return Err(Problem::unknown_hold(id));
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

fn pause_form(is_on: bool, fleet: &FleetView, caller: &Caller, blank: FormPage) -> FormPage {
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

fn brake_form(class: Class, fleet: &FleetView, caller: &Caller, blank: FormPage) -> FormPage {
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
