//! Nodes: what is known about them, and what people say about them.

use super::{
    body,
    error::{ErrorCode, Refusal},
    parameters::node_name,
    person::Person,
};
use crate::{
    app::App,
    fleet::{Fleet, NotTaken, UnknownNode},
    people::Role,
    view::{FleetView, NodeDetail, Transition},
    words,
};
use axum::{
    Json,
    extract::{Path, Request, State},
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::fleet::SILENT;
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest body of a person's word.
pub const LONGEST_WORD: usize = 16 * 1024;

/// `GET /api/v1/nodes`.
pub async fn list(State(app): State<Arc<App>>) -> Json<FleetView> {
    Json(app.fleet_view())
}

/// `GET /api/v1/nodes/{node}`.
pub async fn one(State(app): State<Arc<App>>, Path(node): Path<String>) -> Result<Json<NodeDetail>, Refusal> {
    let name = node_name(&node)?;
    match app.node_detail(&name).await {
        Some(detail) => Ok(Json(detail)),
        None => Err(app.with_fleet(|fleet, _| fleet.unknown(&name)).as_asked([node.as_str()]).into()),
    }
}

/// What a person says about a node.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// Why; kept in the audit.
    #[serde(default)]
    reason: String,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

/// What changed.
#[derive(Debug, Serialize)]
pub struct Done {
    node: String,
    transitions: Vec<Transition>,
    /// Worth a second thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

type Say = fn(&mut Fleet, &NodeName, &str, &str, Timestamp) -> Result<Vec<Transition>, NotTaken>;

/// `POST /api/v1/nodes/{node}/accept`: a changed identity, or a node missing in warm-up, is as it should be.
pub async fn accept(
    person: Person,
    app: State<Arc<App>>,
    node: Path<String>,
    request: Request,
) -> Result<Json<Done>, Refusal> {
    say(person, app, node, request, "accept", Fleet::accept).await
}

/// `POST /api/v1/nodes/{node}/forget`: the node is gone for good.
pub async fn forget(
    person: Person,
    app: State<Arc<App>>,
    node: Path<String>,
    request: Request,
) -> Result<Json<Done>, Refusal> {
    let name = node_name(&node)?;
    let done = say(person, State(Arc::clone(&app)), node, request, "forget", Fleet::forget).await?;
    app.drop_stored(&name).await?;
    Ok(done)
}

/// `POST /api/v1/nodes/{node}/dead`: the node leaves every count until somebody accepts it.
pub async fn dead(
    person: Person,
    app: State<Arc<App>>,
    node: Path<String>,
    request: Request,
) -> Result<Json<Done>, Refusal> {
    say(person, app, node, request, "dead", Fleet::dead).await
}

async fn say(
    person: Person,
    State(app): State<Arc<App>>,
    Path(node): Path<String>,
    request: Request,
    what: &'static str,
    say: Say,
) -> Result<Json<Done>, Refusal> {
    let name = node_name(&node)?;
    person.must_for(Role::Operate, &name, &app)?;
    let word: Word = body::optional_json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let reason = word.reason.trim();
    if what == "dead" && reason.is_empty() {
        return Err(Refusal::new(
            ErrorCode::BadParameter,
            format!(
                "saying that {name} is dead takes a reason: {{\"reason\": \"…\"}}, or `--reason` on the command line"
            ),
        ));
    }
    let by = person.author(word.by.as_deref());
    let (transitions, spelled, heard) = app.with_fleet(|fleet, now| {
        let transitions = say(fleet, &name, reason, &by, now).map_err(|why| match why {
            NotTaken::UnknownNode(unknown) => unknown.as_asked([node.as_str()]).into(),
            other => other,
        })?;
        let age = fleet.snapshot().nodes.get(&name).and_then(|node| node.report_age(now));
        let heard = age.filter(|age| what == "dead" && *age <= SILENT);
        Ok::<_, Refusal>((transitions, fleet.policy().spell(&name).to_owned(), heard))
    })?;
    app.publish(transitions.clone());
    app.record(&by, what, &spelled, reason).await?;
    let note = heard.map(|age| still_heard(&spelled, age));
    Ok(Json(Done { node: spelled, transitions, note }))
}

/// Whoever declares a node dead that talks has most likely the wrong one in mind.
fn still_heard(node: &str, age: SignedDuration) -> String {
    format!(
        "{node} reported {} ago; its reports change nothing about this: if it is alive, say \
         `millwright node accept {node}`",
        words::length(age)
    )
}

impl From<UnknownNode> for Refusal {
    fn from(unknown: UnknownNode) -> Self {
        Self::new(ErrorCode::UnknownNode, unknown.to_string())
    }
}

impl From<NotTaken> for Refusal {
    fn from(not_taken: NotTaken) -> Self {
        let code = match not_taken {
            NotTaken::UnknownNode(_) => ErrorCode::UnknownNode,
            NotTaken::UnknownFinding(_) => ErrorCode::UnknownFinding,
            NotTaken::Nothing(_) => ErrorCode::NothingToDo,
            NotTaken::StillReports { .. } => ErrorCode::StillReports,
        };
        Self::new(code, not_taken.to_string())
    }
}
