//! Somebody asks for an operation: it is judged, and accepted with its plan, or declined with a reason. Both are recorded.

use super::{NotRecorded, Operations, Recorded, Tracked, Word, digest, json, words, words::DECLINED_AGAIN};
use crate::{fleet::Fleet, store::journal::Draft};
use jiff::Timestamp;
use millwright_decision::{
    Action, Class, Code, Mode, Policy, Request, Severity, Stage, Verdict, Volumes,
    fleet::Grant,
    judge,
    operation::{Event, Executor, Operation, Plan, Wish},
};
use millwright_protocol::NodeName;
use std::sync::{Arc, Mutex};

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What is to be done.
    pub action: Action,
    /// To which node.
    pub node: NodeName,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What a delete does with the volumes.
    pub volumes: Volumes,
    /// Tasks that may end, each named.
    pub let_go: Vec<String>,
    /// The image of a rebuild or create.
    pub image: Option<String>,
    /// Objections that the requester has seen and says yes to.
    pub confirm: Vec<Code>,
    /// The node's name, typed by a person who means it.
    pub typed: Option<String>,
    /// Who runs what needs the cloud's credentials, where policy's choice does not fit.
    pub executor: Option<Executor>,
}

impl Ask {
    /// A request as policy wants it done, with nothing said beside.
    pub fn plain(action: Action, node: NodeName, by: &str, reason: &str) -> Self {
        Self {
            action,
            node,
            by: by.to_owned(),
            reason: reason.to_owned(),
            volumes: Volumes::Keep,
            let_go: Vec::new(),
            image: None,
            confirm: Vec::new(),
            typed: None,
            executor: None,
        }
    }
}

/// What became of a request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The operation.
    pub id: String,
    /// Whether the same person had asked for the same before: then this is that operation.
    pub is_known: bool,
}

/// Why a request was not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Declined {
    /// The class is in mode `observe`.
    #[error(
        "nothing is started for {0}: policy has its class in mode observe; `millwright may …` says whether it would be allowed, and a person does it by hand"
    )]
    ModeObserve(String),
    /// Something objects to beginning at all.
    #[error("{}", objection(.0))]
    Objected(Box<Verdict>),
    /// The request itself makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// It was not recorded.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
}

fn objection(verdict: &Verdict) -> String {
    let objecting = verdict.reasons.iter().find(|reason| !reason.code.clears_on_the_way());
    objecting.map_or_else(
        || "something objects".to_owned(),
        |reason| format!("{} ({}); this would help: {}", reason.sentence, reason.code, reason.unblocked_by),
    )
}

impl Declined {
    /// The word of it: the reason's own where something objects.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ModeObserve(_) => "mode_observe",
            Self::Objected(verdict) => {
                let mut objecting = verdict.reasons.iter().filter(|reason| !reason.code.clears_on_the_way());
                objecting.next().map_or("not_now", |reason| reason.code.as_str())
            }
            Self::Senseless(_) => "bad_parameter",
            Self::NotRecorded(_) => "store_unavailable",
        }
    }
}

/// What a requester can say yes to alone; everything else takes another person, another policy, or time.
pub const CONFIRMABLE: [Code; 6] = [
    Code::ConfirmReboot,
    Code::DedicatedNode,
    Code::SilentNode,
    Code::LastOfLabel,
    Code::OrphanContainer,
    Code::IntentMissing,
];

impl Operations {
    /// Takes a request, or declines it. What was declined is recorded as well.
    ///
    /// # Errors
    /// See [`Declined`].
    pub fn request(&mut self, ask: &Ask, fleet: &Mutex<Fleet>, now: Timestamp) -> Result<Taken, Declined> {
        let now = super::whole(now);
        if let Some(known) = self.same(ask) {
            return Ok(Taken { id: known, is_known: true });
        }
        let taken = self.weigh(ask, fleet, now).and_then(|wish| self.accept(ask, wish, fleet, now));
        if let Err(declined) = &taken
            && !matches!(declined, Declined::NotRecorded(_))
        {
            self.keep_declined(ask, declined, now)?;
        }
        taken
    }

    /// As [`Self::request`] without accepting anything: says whether it would be, and writes nothing.
    ///
    /// # Errors
    /// See [`Declined`].
    pub fn rehearse(&self, ask: &Ask, fleet: &Mutex<Fleet>, now: Timestamp) -> Result<(), Declined> {
        self.weigh(ask, fleet, super::whole(now)).map(drop)
    }

    /// A person who presses twice means one thing.
    fn same(&self, ask: &Ask) -> Option<String> {
        let is_same = |tracked: &&Tracked| {
            let operation = &tracked.operation;
            let wish = &operation.wish;
            !operation.is_over()
                && operation.cancelled.is_none()
                && wish.action == ask.action
                && wish.node == ask.node
                && wish.by.eq_ignore_ascii_case(&ask.by)
        };
        self.all.values().rfind(is_same).map(|tracked| tracked.operation.id.clone())
    }

    /// What the request comes to, if nothing forbids beginning it.
    fn weigh(&self, ask: &Ask, fleet: &Mutex<Fleet>, now: Timestamp) -> Result<Wish, Declined> {
        self.tell_fleet(fleet, now);
        let (policy, machine) = {
            let fleet = super::lock(fleet);
            (Arc::clone(fleet.policy()), fleet.machine(&ask.node))
        };
        let listed = policy.nodes.get(&ask.node);
        let spelled = policy.spell(&ask.node).to_owned();
        let mode = listed.and_then(|listed| policy.class_of(listed)).map(|class| class.mode);
        if mode == Some(Mode::Observe) {
            return Err(Declined::ModeObserve(spelled));
        }
        if ask.reason.trim().is_empty() {
            return Err(Declined::Senseless("say why, with --reason: colleagues will read it".into()));
        }
        if !ask.let_go.is_empty() && !ask.action.ends_tasks() {
            return Err(Declined::Senseless(format!(
                "a {} ends no task, so there is none to let go; name it with the reboot, rebuild or delete",
                ask.action
            )));
        }
        if let Some(typed) = &ask.typed
            && typed.parse().ok().as_ref() != Some(&ask.node)
        {
            return Err(Declined::Senseless(format!(
                "the typed name {typed:?} is not {spelled}; look again at what is meant"
            )));
        }
        if let Some(code) = ask.confirm.iter().find(|code| !CONFIRMABLE.contains(code)) {
            return Err(Declined::Senseless(format!("{code} is nothing that the requester can say yes to")));
        }
        let executor = ask.executor.unwrap_or(policy.executors.by);
        if ask.image.is_some() && !takes_image(&policy, ask, executor) {
            return Err(Declined::Senseless(format!(
                "the command of policy.toml for a {} has no {{image}}, so an image cannot be chosen; leave it out, or add it to executors.commands",
                ask.action
            )));
        }
        let wish = Wish {
            action: ask.action,
            node: ask.node.clone(),
            class: listed.map_or(Class::Agent, |listed| listed.class),
            spelled,
            by: ask.by.clone(),
            reason: ask.reason.trim().to_owned(),
            volumes: ask.volumes,
            let_go: ask.let_go.clone(),
            image: ask.image.clone(),
            is_silent: ask.action == Action::Reboot && ask.confirm.contains(&Code::SilentNode),
            machine,
            executor,
        };
        self.judge_start(ask, &wish, fleet, now)?;
        Ok(wish)
    }

    fn judge_start(
        &self,
        ask: &Ask,
        wish: &Wish,
        fleet: &Mutex<Fleet>,
        now: Timestamp,
    ) -> Result<(), Declined> {
        let mut fleet = super::lock(fleet);
        let policy = Arc::clone(fleet.policy());
        let id = format!("op-{}", self.highest + 1);
        let requested = Event::Requested {
            wish: wish.clone(),
            plan: Plan::of(wish.action, wish.is_silent),
            digest: String::new(),
        };
        let Ok(tentative) = Operation::begin(&id, &requested, now) else { return Ok(()) };
        let Some(mut summary) = super::summary(&tentative, &policy, now) else { return Ok(()) };
        summary.grants.extend(grants(ask, now));
        let verdict = fleet.with_tentative(summary, now, |snapshot| {
            let request = Request {
                volumes: wish.volumes,
                stage: Stage::Ask,
                operation: Some(id.clone()),
                ..Request::one(wish.action, wish.node.clone())
            };
            judge(&request, snapshot, &policy, now)
        });
        if verdict.may_start == Severity::Allowed {
            return Ok(());
        }
        Err(Declined::Objected(Box::new(verdict)))
    }

    fn accept(
        &mut self,
        ask: &Ask,
        wish: Wish,
        fleet: &Mutex<Fleet>,
        now: Timestamp,
    ) -> Result<Taken, Declined> {
        let number = self.highest + 1;
        let id = format!("op-{number}");
        let plan = Plan::of(wish.action, wish.is_silent);
        let requested = Event::Requested { digest: digest(&wish, super::lock(fleet).policy()), plan, wish };
        let operation = Operation::begin(&id, &requested, now).map_err(NotRecorded::from)?;
        // The request and the yes that came with it are one entry of the journal or none.
        let mut events = vec![requested];
        events.extend(grants(ask, now).into_iter().map(|grant| Event::Granted {
            code: grant.code,
            task: grant.task,
            by: grant.by,
            reason: ask.reason.clone(),
            digest: None,
        }));
        let mut after = operation;
        for event in events.iter().skip(1) {
            after.apply(event, now).map_err(NotRecorded::from)?;
        }
        let drafts: Vec<Draft> = events
            .iter()
            .zip(1..)
            .map(|(event, number)| Draft {
                stream: id.clone(),
                number,
                at: now,
                kind: event.word().to_owned(),
                payload: json(event),
            })
            .collect();
        let written = self.journal.append(self.last, &drafts);
        self.last = match written {
            Ok(last) => last,
            Err(error) => {
                // Perhaps it was written after all: then it is there now, and is what was asked for.
                self.replay().map_err(NotRecorded::from)?;
                if self.all.contains_key(&number) {
                    return Ok(Taken { id, is_known: false });
                }
                return Err(NotRecorded::from(error).into());
            }
        };
        self.highest = number;
        if let Some(first) = events.first() {
            log::info!("operation" = id.as_str(); "{id}: {}", words::sentence(&after, first));
            self.tell(&after, first, now);
        }
        let story = events.into_iter().map(|event| Recorded { at: now, event }).collect();
        self.all.insert(number, Tracked { operation: after, story, broken: None, position: self.last });
        self.tell_fleet(fleet, now);
        Ok(Taken { id, is_known: false })
    }

    fn keep_declined(&mut self, ask: &Ask, declined: &Declined, now: Timestamp) -> Result<(), Declined> {
        if self.words.is_declined_lately(ask, declined.code(), now) {
            log::debug!("declined the same within {} min", DECLINED_AGAIN.as_mins());
            return Ok(());
        }
        let word = Word::Declined {
            action: ask.action,
            node: ask.node.clone(),
            by: ask.by.clone(),
            code: declined.code().to_owned(),
            sentence: declined.to_string(),
        };
        self.say(&word, now).map_err(|error| Declined::NotRecorded(error.into()))
    }
}

/// Whether the image of a request comes to anything.
fn takes_image(policy: &Policy, ask: &Ask, executor: Executor) -> bool {
    if executor == Executor::OpenStack {
        return matches!(ask.action, Action::Rebuild | Action::Create);
    }
    let steps = Plan::of(ask.action, false).steps;
    let mut commands = steps.iter().filter_map(|step| policy.executors.commands.get(step));
    commands.any(|words| words.iter().any(|word| word.contains("{image}")))
}

/// What the requester says yes to in the request itself.
fn grants(ask: &Ask, now: Timestamp) -> Vec<Grant> {
    let mut codes = ask.confirm.clone();
    if ask.action == Action::Delete && ask.typed.is_some() {
        codes.push(Code::IntentMissing);
    }
    codes.sort_unstable();
    codes.dedup();
    codes
        .into_iter()
        .map(|code| Grant { code, task: None, by: ask.by.clone(), at: now, digest: None })
        .collect()
}
