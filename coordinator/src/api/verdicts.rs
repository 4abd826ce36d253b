//! `GET /api/v1/verdicts?action=rebuild&node=alibuild03`: may this be done now, and why not.

use super::{
    error::{ErrorCode, Refusal},
    parameters::{Parameters, node_name},
};
use crate::app::App;
use axum::{Json, extract::State};
use millwright_decision::{Action, Request, Verdict, Volumes};
use millwright_protocol::NodeName;
use std::{collections::BTreeSet, sync::Arc};

/// How many nodes one question may name.
const MOST_NODES: usize = 1000;

/// The question's answer (DESIGN section 6).
pub async fn ask(State(app): State<Arc<App>>, parameters: Parameters) -> Result<Json<Verdict>, Refusal> {
    parameters.only(&["action", "node", "volumes"])?;
    let action = action(parameters.one("action")?)?;
    let volumes = volumes(action, parameters.one("volumes")?)?;
    let nodes = nodes(parameters.all("node"))?;
    let request = Request { volumes, ..Request::set(action, nodes) };
    let verdict = app.with_fleet(|fleet, now| fleet.judge(&request, now));
    let verdict = verdict.map_err(|unknown| unknown.as_asked(parameters.all("node")))?;
    app.metrics.verdicts.increment();
    Ok(Json(verdict))
}

/// The action in a word.
///
/// # Errors
/// When it is missing or unknown.
pub fn action(word: Option<&str>) -> Result<Action, Refusal> {
    let word = word.ok_or_else(|| {
        Refusal::new(ErrorCode::MissingAction, "the action is missing; ask with action=drain, reboot, rebuild, delete, return, create or prepull")
    })?;
    word.parse().map_err(|error| Refusal::new(ErrorCode::UnknownAction, format!("{error}")))
}

/// The nodes of a question, each spelled any way.
///
/// # Errors
/// When there is none, one cannot be a name, or there are too many.
pub fn nodes<'a>(given: impl Iterator<Item = &'a str>) -> Result<BTreeSet<NodeName>, Refusal> {
    let nodes = given.map(node_name).collect::<Result<BTreeSet<_>, _>>()?;
    if nodes.is_empty() {
        return Err(Refusal::new(
            ErrorCode::MissingNode,
            "the node is missing; ask with node=NAME, more than once for several",
        ));
    }
    if nodes.len() > MOST_NODES {
        return Err(Refusal::new(
            ErrorCode::BadParameter,
            format!("{} nodes are named, and one question may name {MOST_NODES}", nodes.len()),
        ));
    }
    Ok(nodes)
}

/// What becomes of the volumes, in a word.
///
/// # Errors
/// The word is none, or goes with another action only.
pub fn volumes(action: Action, word: Option<&str>) -> Result<Volumes, Refusal> {
    match word {
        None | Some("keep") => Ok(Volumes::Keep),
        Some("delete") if action == Action::Delete => Ok(Volumes::Delete),
        Some("delete") => Err(Refusal::new(
            ErrorCode::BadParameter,
            format!("volumes=delete goes with action=delete only, and this asks to {action}"),
        )),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            Err(Refusal::new(
                ErrorCode::BadParameter,
                format!("volumes={other:?} is neither keep nor delete"),
            ))
        }
    }
}
