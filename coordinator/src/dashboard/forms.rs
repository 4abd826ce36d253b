//! Forms: a page of their own for each thing that a person may say, so that nothing they type is lost to a refresh.
//!
//! A form is shown, sent, and answered with the page that shows what became of it, or with itself, the refusal and what was
//! typed. It carries a seal that no foreign page can know; what it says goes to the API, which knows no other rules for it.

use super::{
    PageData,
    errand::Errand,
    markdown::Span,
    render::{self, Problem},
    shell::Shell,
    words::Mark,
};
use crate::people::Caller;
use askama::Template;
use axum::{
    Extension, Form, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use std::sync::Arc;

/// No form of ours is longer.
const LONGEST: usize = 16 * 1024;
/// A reason may be so long.
pub const LONGEST_REASON: usize = 500;

/// What was typed: every field by its name, in the order of the form.
#[derive(Debug, Clone, Default)]
pub struct Typed(pub Vec<(String, String)>);

impl Typed {
    /// One field; empty without it.
    pub fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// Every tick of one name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// One field, where something was typed.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.one(name)).filter(|value| !value.is_empty())
    }
}

/// One thing to fill in.
pub enum Field {
    /// A line of text.
    Line {
        /// Its name.
        name: &'static str,
        /// What is asked.
        label: String,
        /// What is in it.
        value: String,
        /// Whether it may stay empty.
        is_required: bool,
        /// At most so many letters.
        longest: usize,
    },
    /// A box to tick.
    Tick {
        /// Its name; several may have the same.
        name: &'static str,
        /// What it stands for.
        value: String,
        /// What ticking it says.
        label: String,
        /// Whether it is ticked.
        is_on: bool,
        /// Whether the form goes nowhere without it.
        is_required: bool,
    },
    /// One of several.
    Choice {
        /// Its name.
        name: &'static str,
        /// What is asked.
        label: String,
        /// Value, words, and whether it is chosen.
        options: Vec<(String, String, bool)>,
    },
}

/// A form's page.
#[derive(Template)]
#[template(path = "form.html")]
pub struct FormPage {
    /// The frame.
    pub shell: Shell,
    /// The headline.
    pub title: String,
    /// Where it belongs: path and word.
    pub trail: (String, String),
    /// What it means, a paragraph each.
    pub leads: Vec<Vec<Span>>,
    /// What it is about.
    pub facts: Vec<(&'static str, String)>,
    /// What is worth knowing.
    pub callouts: Vec<(Mark, Vec<Span>)>,
    /// What to fill in.
    pub fields: Vec<Field>,
    /// What goes with it unseen.
    pub hidden: Vec<(&'static str, String)>,
    /// Where it is sent.
    pub path: String,
    /// The word on its button.
    pub submit: String,
    /// Whether it should not be pressed lightly.
    pub is_grave: bool,
    /// Why it cannot be sent; then it has no fields.
    pub cannot: Option<String>,
    /// Where to sign in first.
    pub sign_in: Option<String>,
    /// Why it was not taken.
    pub problem: Option<String>,
    /// What proves that it is ours.
    pub seal: String,
}

impl FormPage {
    /// The field for the reason.
    pub fn reason(typed: &Typed) -> Field {
        Field::Line {
            name: "reason",
            label: "Why (colleagues will read it)".to_owned(),
            value: typed.one("reason").to_owned(),
            is_required: true,
            longest: LONGEST_REASON,
        }
    }

    /// The same for somebody who cannot send it.
    pub fn refused_to(self, caller: &Caller, why: Option<String>) -> Self {
        let sign_in =
            (why.is_some() && !caller.is_somebody()).then(|| format!("/sign-in?next={}", self.path));
        Self { cannot: self.cannot.or(why), sign_in, ..self }
    }
}

/// Their paths.
pub fn routes<D: PageData>() -> Router<Arc<D>> {
    Router::new()
        .route("/begin/{action}/{node}", get(show_begin::<D>).post(send_begin::<D>))
        .route("/operations/{operation}/{word}", get(show_say::<D>).post(send_say::<D>))
        .route("/holds/add", get(show_hold::<D>).post(send_hold::<D>))
        .route("/attest/{node}", get(show_attest::<D>).post(send_attest::<D>))
        .route("/holds/{hold}/lift", get(show_lift::<D>).post(send_lift::<D>))
        .route("/pause", get(show_pause::<D>).post(send_pause::<D>))
        .route("/resume", get(show_resume::<D>).post(send_resume::<D>))
        .route("/brake/{class}", get(show_brake::<D>).post(send_brake::<D>))
        .layer(DefaultBodyLimit::max(LONGEST))
}

/// Two handlers for each errand: one shows its form, one takes it.
macro_rules! pages {
    ($($show:ident, $send:ident, ($($name:ident: $kind:ty),*), $errand:expr;)+) => { $(
        async fn $show<D: PageData>(
            State(data): State<Arc<D>>,
            caller: Option<Extension<Caller>>,
            Path(($($name,)*)): Path<($($kind,)*)>,
            Query(asked): Query<Vec<(String, String)>>,
        ) -> Response {
            // A link fills in which node it is about, and puts no words into anybody's mouth.
            let typed = Typed(asked.into_iter().filter(|(name, _)| name == "node").collect());
            show(&data, caller, $errand, &typed).await
        }

        async fn $send<D: PageData>(
            State(data): State<Arc<D>>,
            caller: Option<Extension<Caller>>,
            Path(($($name,)*)): Path<($($kind,)*)>,
            Form(typed): Form<Vec<(String, String)>>,
        ) -> Response {
            send(&data, caller, $errand, &Typed(typed)).await
        }
    )+ };
}

pages! {
    show_begin, send_begin, (action: String, node: String), Errand::begin(&action, &node);
    show_say, send_say, (operation: String, word: String), Errand::say(&operation, &word);
    show_hold, send_hold, (), Some(Errand::Hold);
    show_attest, send_attest, (node: String), Errand::attest(&node);
    show_lift, send_lift, (hold: String), Errand::lift(hold);
    show_pause, send_pause, (), Some(Errand::Pause);
    show_resume, send_resume, (), Some(Errand::Resume);
    show_brake, send_brake, (class: String), Errand::brake(&class);
}

/// Whoever asks; nobody in particular where the guard has not said who.
pub fn whoever(caller: Option<Extension<Caller>>) -> Caller {
    caller.map_or_else(|| Caller::nobody(false, true), |Extension(caller)| caller)
}

async fn show<D: PageData>(
    data: &Arc<D>,
    caller: Option<Extension<Caller>>,
    errand: Option<Errand>,
    typed: &Typed,
) -> Response {
    let caller = whoever(caller);
    match form(data, &caller, errand.as_ref(), typed).await {
        Ok(form) => render::page(StatusCode::OK, &form),
        Err(problem) => render::page(StatusCode::NOT_FOUND, &*problem),
    }
}

async fn form<D: PageData>(
    data: &Arc<D>,
    caller: &Caller,
    errand: Option<&Errand>,
    typed: &Typed,
) -> Result<FormPage, Box<Problem>> {
    let Some(errand) = errand else {
        return Err(Box::new(Problem::no_such_form()));
    };
    errand.form(data.as_ref(), caller, typed).await
}

async fn send<D: PageData>(
    data: &Arc<D>,
    caller: Option<Extension<Caller>>,
    errand: Option<Errand>,
    typed: &Typed,
) -> Response {
    let caller = whoever(caller);
    let is_ours = data.is_form_of(&caller, typed.one("seal"));
    let now = data.fleet().asked_at;
    let said = match errand.as_ref().map(|errand| (errand, errand.request(typed, now))) {
        _ if !is_ours => {
            let why = "this form was made before the coordinator's last start, or for somebody else; nothing was done, send it \
                       again";
            Err((StatusCode::FORBIDDEN, why.to_owned()))
        }
        None => Err((StatusCode::NOT_FOUND, String::new())),
        Some((_, Err(why))) => Err((StatusCode::BAD_REQUEST, why)),
        Some((errand, Ok((path, body)))) => match data.say(&caller, &path, &body).await {
            Ok(answer) => Ok(errand.after(&answer)),
            Err(refused) => Err((refused.status, refused.message)),
        },
    };
    match said {
        Ok(place) => Redirect::to(&place).into_response(),
        Err((status, why)) => match form(data, &caller, errand.as_ref(), typed).await {
            Ok(form) => render::page(status, &FormPage { problem: Some(why), ..form }),
            Err(problem) => render::page(StatusCode::NOT_FOUND, &*problem),
        },
    }
}
