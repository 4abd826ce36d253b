//! Signing in and out, and one's own tokens: the only pages with forms.
//!
//! Every form but the one to sign in carries a seal that no foreign page can know, and the guard has seen that one of our
//! own pages sent it. What a form changes is changed by [`App`], as for the API.

use super::{
    markdown::Span,
    render,
    shell::Shell,
    words::{Mark, Moment, Tone},
};
use crate::{
    app::{App, Wanted, Which},
    people::{Caller, How, Rights, Role, Secret},
    serve::Peer,
    view::{MeView, TokenView, token_of},
};
use askama::Template;
use axum::{
    Extension, Form, Router,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// No form of ours is longer.
const LONGEST: usize = 16 * 1024;
/// Days that a token made here lasts, to choose from.
const DAYS: [u16; 4] = [7, 30, 90, 366];

/// Their paths.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/me", get(me))
        .route("/me/tokens", post(make))
        .route("/me/tokens/revoke", post(revoke))
        .layer(DefaultBodyLimit::max(LONGEST))
}

/// Where somebody says who they are.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    next: String,
    problem: Option<String>,
}

/// Who somebody is, and their tokens.
#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    shell: Shell,
    me: MeView,
    /// How that is known, in words.
    known: String,
    can_sign_out: bool,
    /// Whether they may make a token, and for others too.
    can_make: bool,
    is_admin: bool,
    seal: String,
    made: Option<Made>,
    problem: Option<String>,
    tokens: Vec<Line>,
    days: [u16; 4],
}

/// A token that was just made.
struct Made {
    secret: String,
    person: String,
    id: String,
    until: Moment,
}

/// One token in the list.
struct Line {
    token: TokenView,
    mark: Mark,
    made: Moment,
    expires: Moment,
    used: Option<Moment>,
    can_revoke: bool,
    is_this_one: bool,
}

impl Line {
    fn new(token: TokenView, caller: &Caller, now: Timestamp) -> Self {
        let mark = match token.state.as_str() {
            "good" => Mark { word: "good", symbol: "✓", tone: Tone::Good },
            "expired" => Mark { word: "expired", symbol: "–", tone: Tone::Quiet },
            _ => Mark { word: "revoked", symbol: "✕", tone: Tone::Quiet },
        };
        Self {
            mark,
            made: Moment::new(token.made_at, now),
            expires: Moment::new(token.expires_at, now),
            used: token.used_at.map(|at| Moment::new(at, now)),
            can_revoke: token.state == "good",
            is_this_one: token_of(caller) == Some(token.id.as_str()),
            token,
        }
    }
}

impl MePage {
    fn of(app: &App, caller: &Caller, made: Option<Made>, problem: Option<String>) -> Self {
        let now = app.clock.now();
        let tokens = if caller.is_somebody() { app.token_views(caller) } else { Vec::new() };
        let own = tokens.iter().find(|token| token_of(caller) == Some(token.id.as_str())).cloned();
        let is_admin = caller.rights.may(Role::Admin, None);
        Self {
            shell: Shell::bare(),
            me: MeView::of(caller, own),
            known: known(caller),
            can_sign_out: matches!(caller.how, How::Session { .. }),
            can_make: is_admin || matches!(caller.how, How::Proxy { .. }),
            is_admin,
            seal: app.form_seal(caller),
            made,
            problem,
            tokens: tokens.into_iter().map(|token| Line::new(token, caller, now)).collect(),
            days: DAYS,
        }
    }
}

fn known(caller: &Caller) -> String {
    match &caller.how {
        How::Root => "root on this host, through the Unix socket".to_owned(),
        How::Token { id } => format!("by the token {id}"),
        How::Session { token, .. } => format!("by a session that was begun with the token {token}"),
        How::Proxy { proxy } => format!("because the proxy {proxy} vouches for you"),
        How::Nobody { .. } => String::new(),
    }
}

async fn sign_in_page(
    Extension(caller): Extension<Caller>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    let next = local(asked.get("next").map_or("/", String::as_str)).to_owned();
    if caller.is_somebody() {
        return Redirect::to(&next).into_response();
    }
    render::page(StatusCode::OK, &SignInPage { shell: Shell::bare(), next, problem: None })
}

/// A place on this coordinator, and nowhere else.
fn local(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|letter: char| letter == '\\' || letter.is_control());
    if is_local { next } else { "/" }
}

#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    Form(form): Form<SignIn>,
) -> Response {
    let from = crate::serve::address(peer.as_ref().map(|Extension(peer)| peer));
    let next = local(&form.next).to_owned();
    match app.sign_in(form.token.trim(), &from) {
        Ok((secret, _)) => with_cookie(Redirect::to(&next).into_response(), Some(&secret)),
        Err(refusal) => {
            let page = SignInPage { shell: Shell::bare(), next, problem: Some(refusal.message) };
            render::page(refusal.code.status(), &page)
        }
    }
}

#[derive(Deserialize)]
struct SignOut {
    #[serde(default)]
    seal: String,
}

async fn sign_out(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<SignOut>,
) -> Response {
    if !app.is_form_of(&caller, &form.seal) {
        return unsealed(&app, &caller);
    }
    match app.sign_out(&caller).await {
        Ok(()) => with_cookie(Redirect::to("/sign-in").into_response(), None),
        Err(refusal) => with_problem(&app, &caller, refusal.code.status(), refusal.message),
    }
}

/// The answer with our cookie set, or taken away.
fn with_cookie(mut response: Response, secret: Option<&Secret>) -> Response {
    let rest = "Path=/; Secure; HttpOnly; SameSite=Strict";
    let line = match secret {
        Some(secret) => format!("{}={}; {rest}", crate::serve::COOKIE, secret.text()),
        None => format!("{}=; Max-Age=0; {rest}", crate::serve::COOKIE),
    };
    if let Ok(value) = HeaderValue::from_str(&line) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

async fn me(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Response {
    render::page(StatusCode::OK, &MePage::of(&app, &caller, None, None))
}

#[derive(Deserialize)]
struct Make {
    #[serde(default)]
    seal: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    may: String,
    #[serde(default)]
    days: u16,
}

async fn make(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Make>,
) -> Response {
    if !app.is_form_of(&caller, &form.seal) {
        return unsealed(&app, &caller);
    }
    let rights = match Rights::of_words(form.may.split([' ', ',']).filter(|word| !word.is_empty())) {
        Ok(rights) => rights,
        Err(why) => return with_problem(&app, &caller, StatusCode::BAD_REQUEST, why.to_string()),
    };
    let now = app.clock.now();
    let length = SignedDuration::from_hours(24 * i64::from(form.days));
    let person = Some(form.person.trim()).filter(|person| !person.is_empty());
    let wanted = Wanted { person, label: &form.label, rights, expires_at: now.checked_add(length).ok() };
    match app.make_token(&caller, &caller.name, wanted).await {
        Ok((secret, token)) => {
            let made = Made {
                secret: secret.text().to_owned(),
                person: token.person,
                id: token.id,
                until: Moment::new(token.expires_at, now),
            };
            render::page(StatusCode::OK, &MePage::of(&app, &caller, Some(made), None))
        }
        Err(refusal) => with_problem(&app, &caller, refusal.code.status(), refusal.message),
    }
}

#[derive(Deserialize)]
struct Revoke {
    #[serde(default)]
    seal: String,
    #[serde(default)]
    id: String,
}

async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Revoke>,
) -> Response {
    if !caller.is_somebody() || !app.is_form_of(&caller, &form.seal) {
        return unsealed(&app, &caller);
    }
    match app.revoke_tokens(&caller, &caller.name, Which::One(&form.id), "on the page").await {
        Ok(_) => Redirect::to("/me").into_response(),
        Err(refusal) => with_problem(&app, &caller, refusal.code.status(), refusal.message),
    }
}

fn unsealed(app: &App, caller: &Caller) -> Response {
    let problem = "the form was made before the coordinator's last start, or for somebody else; nothing was done, try again";
    with_problem(app, caller, StatusCode::FORBIDDEN, problem.to_owned())
}

fn with_problem(app: &App, caller: &Caller, status: StatusCode, problem: String) -> Response {
    render::page(status, &MePage::of(app, caller, None, Some(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_a_place_here_and_nowhere_else() {
        assert_eq!(local("/nodes/alibuild10?x=y"), "/nodes/alibuild10?x=y");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "", "evil", "/a\r\nb"]
        {
            assert_eq!(local(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
