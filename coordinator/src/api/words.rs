//! What people say beside operations: holds, attestations, the off switch, the brake.

use super::{
    body,
    error::{ErrorCode, Refusal},
    nodes::LONGEST_WORD,
    parameters::node_name,
    person::Person,
};
use crate::{
    app::App,
    operations::Operations,
    people::Role,
    view::{AttestationsView, BrakeView, HoldsView, PauseView},
};
use axum::{
    Json,
    extract::{Path, Request, State},
};
use jiff::Timestamp;
use millwright_decision::{Class, Source};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `GET /api/v1/holds`.
pub async fn holds(State(app): State<Arc<App>>) -> Json<HoldsView> {
    Json(app.holds_view())
}

/// What a person says. Which fields count depends on what about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    source: Option<Source>,
    #[serde(default)]
    class: Option<Class>,
    /// The off switch: `false` releases it.
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    until: Option<Timestamp>,
    #[serde(default)]
    reason: String,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

impl Word {
    /// The reason, which none of these words goes without.
    fn why(&self) -> Result<String, Refusal> {
        let reason: String = self.reason.trim().chars().take(500).collect();
        if reason.is_empty() {
            let message =
                "say why: {\"reason\": \"…\"}, or `--reason` on the command line; colleagues will read it";
            return Err(Refusal::new(ErrorCode::BadParameter, message));
        }
        Ok(reason)
    }
}

fn missing(field: &str, example: &str) -> Refusal {
    Refusal::new(ErrorCode::BadParameter, format!("{field} is missing; send {{\"{field}\": {example}, …}}"))
}

/// The id of what was made.
#[derive(Debug, Serialize)]
pub struct Made {
    id: String,
}

/// `POST /api/v1/holds`: keep this node as it is.
pub async fn hold(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Made>, Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let node = word.node.as_deref().ok_or_else(|| missing("node", "\"alibuild10\""))?;
    let name = node_name(node)?;
    app.with_fleet(|fleet, _| if fleet.knows(&name) { Ok(()) } else { Err(fleet.unknown(&name)) })
        .map_err(|unknown| unknown.as_asked([node]))?;
    person.must_for(Role::Operate, &name, &app)?;
    let (reason, by, until) = (word.why()?, person.author(word.by.as_deref()), word.until);
    if until.is_some_and(|until| until <= app.clock.now()) {
        return Err(Refusal::new(ErrorCode::BadParameter, "until has passed; name a moment in the future"));
    }
    let (author, why) = (by.clone(), reason.clone());
    let id = app
        .operate(move |operations, _, now| operations.hold(name, &author, &why, until, now))
        .await?
        .map_err(Refusal::from)?;
    app.record(&by, "hold", node, &reason).await?;
    Ok(Json(Made { id }))
}

/// `POST /api/v1/holds/{hold}/lift`.
pub async fn lift(
    person: Person,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<HoldsView>, Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let hold = app.holds_view().holds.into_iter().find(|hold| hold.id == id);
    let reason = word.why()?;
    let by = person.author(word.by.as_deref());
    match &hold {
        Some(hold) if hold.is_local => {
            return Err(Refusal::new(
                ErrorCode::NotAllowed,
                format!("{id} was set on {} itself: run `millwright-agent hold lift` there", hold.node),
            ));
        }
        // Another person's hold takes somebody who may approve.
        Some(hold) => {
            let role = if hold.by.eq_ignore_ascii_case(&by) { Role::Operate } else { Role::Approve };
            person.must_for(role, &node_name(&hold.node)?, &app)?;
        }
        None => person.must(Role::Operate, None)?,
    }
    let (author, why, which) = (by.clone(), reason.clone(), id.clone());
    app.operate(move |operations, _, now| operations.lift(&which, &author, &why, now)).await??;
    app.record(&by, "lift", &id, &reason).await?;
    Ok(Json(app.holds_view()))
}

/// `GET /api/v1/attestations`.
pub async fn attestations(State(app): State<Arc<App>>) -> Json<AttestationsView> {
    Json(attested(&app))
}

fn attested(app: &App) -> AttestationsView {
    app.with_fleet(|fleet, now| {
        let policy = Arc::clone(fleet.policy());
        let given = Operations::show_attestations(fleet.snapshot(), &policy);
        AttestationsView { attestations: given.into_iter().filter(|given| now < given.until).collect() }
    })
}

/// `POST /api/v1/attestations`: a person vouches for one source about one node, for 15 min.
pub async fn attest(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<AttestationsView>, Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let node = word.node.as_deref().ok_or_else(|| missing("node", "\"alibuild10\""))?;
    let name = node_name(node)?;
    app.with_fleet(|fleet, _| if fleet.knows(&name) { Ok(()) } else { Err(fleet.unknown(&name)) })
        .map_err(|unknown| unknown.as_asked([node]))?;
    person.must_for(Role::Operate, &name, &app)?;
    let source = word.source.ok_or_else(|| missing("source", "\"agent\""))?;
    let (reason, by) = (word.why()?, person.author(word.by.as_deref()));
    let (author, why) = (by.clone(), reason.clone());
    app.operate(move |operations, _, now| operations.attest(name, source, &author, &why, now)).await??;
    app.record(&by, "attest", &format!("{node}/{source}"), &reason).await?;
    Ok(Json(attested(&app)))
}

/// The off switch.
#[derive(Debug, Serialize)]
pub struct Pause {
    /// Absent while nobody has pressed it.
    paused: Option<PauseView>,
}

/// `GET /api/v1/pause`.
pub async fn paused(State(app): State<Arc<App>>) -> Json<Pause> {
    Json(Pause { paused: app.fleet_view().paused })
}

/// `POST /api/v1/pause`: press it, or release it with `{"on": false}`.
pub async fn pause(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Pause>, Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    // Whoever may do anything may stop everything.
    let on = word.on.unwrap_or(true);
    person.must(Role::Operate, None)?;
    let (reason, by) = (word.why()?, person.author(word.by.as_deref()));
    let (author, why) = (by.clone(), reason.clone());
    app.operate(move |operations, _, now| {
        if on { operations.pause(&author, &why, now) } else { operations.resume(&author, &why, now) }
    })
    .await??;
    app.record(&by, if on { "pause" } else { "resume" }, "everything", &reason).await?;
    Ok(Json(Pause { paused: app.fleet_view().paused }))
}

/// The brakes that are on.
#[derive(Debug, Serialize)]
pub struct Brakes {
    brakes: Vec<BrakeView>,
}

/// `GET /api/v1/brake`.
pub async fn brakes(State(app): State<Arc<App>>) -> Json<Brakes> {
    Json(Brakes { brakes: app.fleet_view().brakes })
}

/// `POST /api/v1/brake`: a person who knows the cause resets the brake of a class.
pub async fn reset_brake(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Brakes>, Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let class = word.class.ok_or_else(|| missing("class", "\"agent\""))?;
    person.must(Role::Operate, Some(class))?;
    let (reason, by) = (word.why()?, person.author(word.by.as_deref()));
    let transitions = app.with_fleet(|fleet, now| fleet.reset_brake(class, &by, now))?;
    app.publish(transitions);
    let (author, why) = (by.clone(), reason.clone());
    app.operate(move |operations, _, now| operations.brake_reset(class, &author, &why, now))
        .await?
        .map_err(Refusal::from)?;
    app.record(&by, "reset_brake", class.as_str(), &reason).await?;
    Ok(Json(Brakes { brakes: app.fleet_view().brakes }))
}
