//! Operations: asked for, looked at, agreed to, called off, tried again, done by hand.

use super::{
    body,
    error::{ErrorCode, Refusal},
    nodes::LONGEST_WORD,
    parameters::Parameters,
    person::Person,
    verdicts,
};
use crate::{
    app::App,
    operations::{Ask, Confirmation, Declined, NotRecorded, NotThat, Operations},
    people::Role,
    view::{AcceptedView, OperationView, OperationsView},
};
use axum::{
    Json,
    extract::{Path, Request, State},
};
use millwright_decision::{
    Code,
    operation::{Executor, Plan},
};
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Operations given without a `limit`, and the most that are given.
const USUAL: usize = 50;
const MOST: usize = 1000;

/// `GET /api/v1/operations?open=true&node=NODE&limit=N`: the newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Json<OperationsView>, Refusal> {
    parameters.only(&["open", "node", "limit"])?;
    let limit = parameters.limit(USUAL, MOST)?;
    let only_open = match parameters.one("open")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(Refusal::new(
                ErrorCode::BadParameter,
                format!("open={other:?} is neither true nor false"),
            ));
        }
    };
    let node = parameters.one("node")?.map(super::parameters::node_name).transpose()?;
    let view = app.with_operations(|operations| OperationsView {
        operations: operations
            .list()
            .filter(|tracked| !only_open || !tracked.operation.is_over())
            .filter(|tracked| node.as_ref().is_none_or(|node| tracked.operation.wish.node == *node))
            .take(limit)
            .map(|tracked| operations.show_summary(tracked))
            .collect(),
    });
    Ok(Json(view.await))
}

/// `GET /api/v1/operations/{operation}`.
pub async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<OperationView>, Refusal> {
    app.operation_view(&id).await.map(Json)
}

/// What somebody wants started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    nodes: Vec<String>,
    /// Why; colleagues read it.
    #[serde(default)]
    reason: String,
    /// `keep` or `delete`.
    #[serde(default)]
    volumes: Option<String>,
    /// Tasks that may end, each named.
    #[serde(default)]
    let_go: Vec<String>,
    /// The image of a rebuild or create.
    #[serde(default)]
    image: Option<String>,
    /// Codes of objections that the requester has seen and says yes to.
    #[serde(default)]
    confirm: Vec<String>,
    /// The node's name, typed by a person who means it.
    #[serde(default)]
    typed: Option<String>,
    /// `by_hand`, `command` or `openstack`.
    #[serde(default)]
    executor: Option<Executor>,
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

/// `POST /api/v1/operations`.
pub async fn start(
    State(app): State<Arc<App>>,
    person: Result<Person, Refusal>,
    request: Request,
) -> Result<Json<AcceptedView>, Refusal> {
    let wanted: Wanted = body::json(request, LONGEST_WORD).await?;
    let action = verdicts::action(wanted.action.as_deref())?;
    let volumes = verdicts::volumes(action, wanted.volumes.as_deref())?;
    let mut nodes = verdicts::nodes(wanted.nodes.iter().map(String::as_str))?;
    let (Some(node), true) = (nodes.pop_first(), nodes.is_empty()) else {
        return Err(Refusal::new(
            ErrorCode::BadParameter,
            "an operation is about one node; ask for each node by itself, and policy's budgets will pace them",
        ));
    };
    let may_be_new = action == millwright_decision::Action::Create;
    if !may_be_new {
        app.with_fleet(|fleet, _| if fleet.knows(&node) { Ok(()) } else { Err(fleet.unknown(&node)) })
            .map_err(|unknown| unknown.as_asked(wanted.nodes.iter().map(String::as_str)))?;
    }
    is_not_observed(&app, &node)?;
    let person = person?;
    person.still(&app)?;
    person.must_for(Role::Operate, &node, &app)?;
    let confirm = wanted.confirm.iter().map(|word| code(word)).collect::<Result<Vec<Code>, _>>()?;
    let ask = Ask {
        action,
        node,
        by: person.author(wanted.by.as_deref()),
        reason: wanted.reason.trim().chars().take(500).collect(),
        volumes,
        let_go: wanted.let_go,
        image: wanted.image,
        confirm,
        typed: wanted.typed,
        executor: wanted.executor,
    };
    let is_silent = ask.confirm.contains(&Code::SilentNode);
    let plan = Plan::of(action, is_silent).steps.into_iter().map(|step| step.to_string()).collect();
    let (dry_run, about) = (wanted.dry_run, app.policy().spell(&ask.node).to_owned());
    let (by, reason) = (ask.by.clone(), ask.reason.clone());
    let (taken, is_news) = app
        .operate(move |operations, fleet, now| {
            if dry_run {
                return (operations.rehearse(&ask, fleet, now).map(|()| None), false);
            }
            let before = operations.position();
            let taken = operations.request(&ask, fleet, now).map(Some);
            (taken, operations.position() > before)
        })
        .await?;
    if let (Err(declined), true) = (&taken, is_news) {
        app.record(&by, "declined", &format!("{about} ({action})"), &declined.to_string()).await?;
    }
    let Some(taken) = taken? else {
        let sentence = format!("{about} could be {} now; nothing was started", action.past());
        return Ok(Json(AcceptedView { id: None, is_known: false, is_dry_run: true, plan, sentence }));
    };
    let sentence = if taken.is_known {
        format!("you have asked for this before: it is {}", taken.id)
    } else {
        app.record(&by, action.as_str(), &format!("{about} ({})", taken.id), &reason).await?;
        // Whether its offers flow has to be known as of now.
        app.ask_mesos_soon();
        format!("{} begins; `millwright operations {}` shows how it goes", taken.id, taken.id)
    };
    Ok(Json(AcceptedView { id: Some(taken.id), is_known: taken.is_known, is_dry_run: false, plan, sentence }))
}

/// In mode `observe` nothing is started, whoever asks.
fn is_not_observed(app: &App, node: &NodeName) -> Result<(), Refusal> {
    let policy = app.policy();
    let class = policy.nodes.get(node).and_then(|listed| policy.class_of(listed));
    // A node that no policy lists, or a physical one, is only looked at as well.
    match class.map(|class| class.mode) {
        Some(millwright_decision::Mode::Advise | millwright_decision::Mode::Act) => Ok(()),
        _ => Err(Declined::ModeObserve(policy.spell(node).to_owned()).into()),
    }
}

fn code(word: &str) -> Result<Code, Refusal> {
    let found = Code::ALL.iter().copied().find(|code| code.as_str() == word);
    found.ok_or_else(|| {
        let word: String = word.chars().take(40).collect();
        Refusal::new(ErrorCode::BadParameter, format!("confirm: {word:?} is not a reason code"))
    })
}

/// A person's word to an operation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    /// Why; kept for ever.
    #[serde(default)]
    reason: String,
    /// Of what was looked at (approve).
    #[serde(default)]
    digest: Option<String>,
    /// Take it over as it is (cancel).
    #[serde(default)]
    abandon: bool,
    /// `begin`, `printed`, `exit`, `done` or `not_run` (confirm).
    #[serde(default)]
    what: Option<String>,
    /// The exit code (confirm `exit`); absent for a signal.
    #[serde(default)]
    code: Option<i32>,
    /// The end of what the command printed (confirm `exit`).
    #[serde(default)]
    said: String,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

/// What became of a person's word.
#[derive(Debug, Serialize)]
pub struct Said {
    /// The operation afterwards.
    operation: OperationView,
    /// The exact command to be run now, where there is one.
    command: Vec<String>,
}

type Say = Box<
    dyn FnOnce(
            &mut Operations,
            &std::sync::Mutex<crate::fleet::Fleet>,
            jiff::Timestamp,
        ) -> Result<Vec<String>, NotThat>
        + Send,
>;

/// Who may say it, what it is called in the audit, and what it does.
struct Saying {
    app: Arc<App>,
    id: String,
    by: String,
    what: &'static str,
    reason: String,
}

async fn hear(
    app: Arc<App>,
    person: Person,
    id: String,
    request: Request,
    role: Role,
    what: &'static str,
) -> Result<(Saying, Word), Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let found = app
        .with_operations(|operations| operations.get(&id).map(|tracked| tracked.operation.wish.node.clone()));
    let node =
        found.await.ok_or_else(|| Refusal::from(NotRecorded::Unknown(id.chars().take(40).collect())))?;
    person.must_for(role, &node, &app)?;
    let reason: String = word.reason.trim().chars().take(500).collect();
    let is_begun = matches!(word.what.as_deref(), Some("begin" | "exit"));
    if reason.is_empty() && !is_begun {
        return Err(Refusal::new(
            ErrorCode::BadParameter,
            "say why: {\"reason\": \"…\"}, or `--reason` on the command line",
        ));
    }
    let by = person.author(word.by.as_deref());
    Ok((Saying { app, id, by, what, reason }, word))
}

impl Saying {
    async fn say(self, say: Say) -> Result<Json<Said>, Refusal> {
        let command = self.app.operate(move |operations, fleet, now| say(operations, fleet, now)).await??;
        self.app.record(&self.by, self.what, &self.id, &self.reason).await?;
        Ok(Json(Said { operation: self.app.operation_view(&self.id).await?, command }))
    }
}

/// `POST /api/v1/operations/{operation}/approve`.
pub async fn approve(
    person: Person,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Said>, Refusal> {
    let (saying, word) = hear(app, person, id, request, Role::Approve, "approve").await?;
    let Some(digest) = word.digest else {
        return Err(Refusal::new(
            ErrorCode::BadParameter,
            "name what you agree to: {\"digest\": \"…\"}, as `millwright operations OP` shows it",
        ));
    };
    let (id, by, reason) = (saying.id.clone(), saying.by.clone(), saying.reason.clone());
    saying
        .say(Box::new(move |operations, fleet, now| {
            operations.approve(&id, &by, digest.trim(), &reason, fleet, now).map(|()| Vec::new())
        }))
        .await
}

/// `POST /api/v1/operations/{operation}/cancel`.
pub async fn cancel(
    person: Person,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Said>, Refusal> {
    let (saying, word) = hear(app, person, id, request, Role::Operate, "cancel").await?;
    let (id, by, reason) = (saying.id.clone(), saying.by.clone(), saying.reason.clone());
    saying
        .say(Box::new(move |operations, _, now| {
            operations.cancel(&id, &by, &reason, word.abandon, now).map(|()| Vec::new())
        }))
        .await
}

/// `POST /api/v1/operations/{operation}/retry`.
pub async fn retry(
    person: Person,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Said>, Refusal> {
    let (saying, _) = hear(app, person, id, request, Role::Operate, "retry").await?;
    let (id, by, reason) = (saying.id.clone(), saying.by.clone(), saying.reason.clone());
    saying
        .say(Box::new(move |operations, _, now| {
            operations.retry(&id, &by, &reason, now).map(|()| Vec::new())
        }))
        .await
}

/// `POST /api/v1/operations/{operation}/confirm`.
pub async fn confirm(
    person: Person,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Said>, Refusal> {
    let (saying, word) = hear(app, person, id, request, Role::Operate, "confirm").await?;
    let said = match word.what.as_deref() {
        Some("begin") => Confirmation::Begin,
        Some("printed") => Confirmation::Printed,
        Some("exit") => Confirmation::Exit { code: word.code, said: word.said.chars().take(4000).collect() },
        Some("done") => Confirmation::Done,
        Some("not_run") => Confirmation::NotRun,
        _ => {
            return Err(Refusal::new(
                ErrorCode::BadParameter,
                "say what is confirmed: {\"what\": …} with begin, printed, exit, done or not_run",
            ));
        }
    };
    let (id, by, reason) = (saying.id.clone(), saying.by.clone(), saying.reason.clone());
    saying
        .say(Box::new(move |operations, fleet, now| operations.confirm(&id, &by, &said, &reason, fleet, now)))
        .await
}

impl From<Declined> for Refusal {
    fn from(declined: Declined) -> Self {
        let code = match &declined {
            Declined::ModeObserve(_) => ErrorCode::ModeObserve,
            Declined::Senseless(_) => ErrorCode::BadParameter,
            Declined::NotRecorded(error) => return error.clone().into(),
            Declined::Objected(_) => match declined.code() {
                "operation_running" => ErrorCode::OperationRunning,
                "node_protected" | "volume_protected" => ErrorCode::NodeProtected,
                _ => ErrorCode::Objected,
            },
        };
        Self::new(code, declined.to_string())
    }
}

impl From<NotRecorded> for Refusal {
    fn from(error: NotRecorded) -> Self {
        let code = match &error {
            NotRecorded::Unknown(_) => ErrorCode::UnknownOperation,
            NotRecorded::Illegal(_) => ErrorCode::NotThatStep,
            NotRecorded::Journal(_) => ErrorCode::StoreUnavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<NotThat> for Refusal {
    fn from(error: NotThat) -> Self {
        let code = match &error {
            NotThat::NotRecorded(error) => return error.clone().into(),
            NotThat::StaleApproval { .. } => ErrorCode::StaleApproval,
            NotThat::OwnApproval(_) => ErrorCode::OwnApproval,
            NotThat::PastNoReturn { .. } => ErrorCode::PastNoReturn,
            NotThat::Senseless(_) => ErrorCode::NotThatStep,
            NotThat::Waits { .. } => ErrorCode::Objected,
        };
        Self::new(code, error.to_string())
    }
}
