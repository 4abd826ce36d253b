//! Operations. This version judges and starts none, and says so.

use super::{
    body,
    error::{ErrorCode, Refusal},
    nodes::LONGEST_WORD,
    person::Person,
    verdicts,
};
use crate::{app::App, fleet::UnknownNode, people::Role};
use axum::{
    Json,
    extract::{Request, State},
};
use millwright_decision::Mode;
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// `GET /api/v1/operations`.
#[derive(Debug, Default, Serialize)]
pub struct Operations {
    operations: Vec<()>,
}

/// Open and finished operations: none.
pub async fn list() -> Json<Operations> {
    Json(Operations::default())
}

/// What somebody wants started.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    nodes: Vec<String>,
}

/// `POST /api/v1/operations`: refused in mode `observe`, and in the other modes by this version.
pub async fn start(
    State(app): State<Arc<App>>,
    person: Result<Person, Refusal>,
    request: Request,
) -> Result<Json<Operations>, Refusal> {
    let wanted: Wanted = body::json(request, LONGEST_WORD).await?;
    let action = verdicts::action(wanted.action.as_deref())?;
    let nodes = verdicts::nodes(wanted.nodes.iter().map(String::as_str))?;
    let observed = observed(&app, &nodes)
        .map_err(|unknown| unknown.as_asked(wanted.nodes.iter().map(String::as_str)))?;
    if !observed.is_empty() {
        return Err(Refusal::new(
            ErrorCode::ModeObserve,
            format!(
                "nothing is started for {}: policy has the class in mode observe; `millwright may {action} …` says whether \
                 it would be allowed, and a person does it by hand",
                observed.join(", ")
            ),
        ));
    }
    let person = person?;
    person.still(&app)?;
    for node in &nodes {
        person.must_for(Role::Operate, node, &app)?;
    }
    Err(Refusal::new(
        ErrorCode::NoOperations,
        format!(
            "this version starts no operations, whatever the mode; `millwright may {action} …` says whether it would be \
             allowed, and a person does it by hand"
        ),
    ))
}

/// Those of the nodes whose class is in mode `observe`; unlisted nodes count among them.
fn observed(app: &App, nodes: &BTreeSet<NodeName>) -> Result<Vec<String>, UnknownNode> {
    app.with_fleet(|fleet, _| {
        let mut observed = Vec::new();
        for name in nodes {
            let policy = fleet.policy();
            let listed = policy.nodes.get(name);
            if listed.is_none() && !fleet.snapshot().nodes.contains_key(name) {
                return Err(fleet.unknown(name));
            }
            let mode =
                listed.and_then(|node| policy.class_of(node)).map_or(Mode::Observe, |class| class.mode);
            if mode == Mode::Observe {
                observed.push(policy.spell(name).to_owned());
            }
        }
        Ok(observed)
    })
}
