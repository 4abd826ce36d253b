//! From a page to an answer, and the pages that say why there is none. Headers are the guard's business.

use super::{markdown::Span, shell::Shell};
use crate::view::FleetView;
use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use std::fmt::Display;

/// The answer that carries a page.
pub fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            log::error!("rendering a page failed: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered; the log says why")
                .into_response()
        }
    }
}

/// What is shown instead of a page that does not exist.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct Problem {
    shell: Shell,
    title: &'static str,
    sentence: String,
    next: &'static str,
}

impl Problem {
    /// No node of that name.
    pub fn unknown_node(sentence: String) -> Self {
        Self {
            shell: Shell::bare(),
            title: "No such node",
            sentence,
            next: "Look it up in the fleet. A new node appears with its agent's first report, or once policy.toml lists it.",
        }
    }

    /// The same, of a name that can be one.
    pub fn unheard_of(asked: impl Display) -> Self {
        Self::unknown_node(format!("{asked} is neither in the policy nor has it ever been heard of."))
    }

    /// No node of that name has been heard of, and what the policy lists is not known.
    pub fn unread_policy(fleet: &FleetView, asked: &str) -> Self {
        Self {
            shell: Shell::new(fleet),
            title: "Not known",
            sentence: format!(
                "{asked} has never been heard of, and the policy that may list it cannot be read."
            ),
            next: "Put the policy right; until then every verdict is refused.",
        }
    }

    /// No page of the manual with that name.
    pub fn unknown_code(code: &str) -> Self {
        let shown: String = code.chars().take(80).collect();
        Self {
            shell: Shell::bare(),
            title: "No such page of the manual",
            sentence: format!("The manual has no page for {shown:?}."),
            next: "The manual lists every page there is.",
        }
    }

    /// No operation of that id.
    pub fn unknown_operation(id: &str) -> Self {
        let shown: String = id.chars().take(40).collect();
        Self {
            shell: Shell::bare(),
            title: "No such operation",
            sentence: format!("There is no operation {shown:?} here."),
            next: "The list has those that are under way and the latest that are over; the audit has everything that people said.",
        }
    }

    /// No hold of that id.
    pub fn unknown_hold(id: &str) -> Self {
        let shown: String = id.chars().take(40).collect();
        Self {
            shell: Shell::bare(),
            title: "No such hold",
            sentence: format!("There is no hold {shown:?}; perhaps it was lifted meanwhile."),
            next: "Holds has those that stand.",
        }
    }

    /// A form that there is not.
    pub fn no_such_form() -> Self {
        Self {
            shell: Shell::bare(),
            title: "Nothing here",
            sentence: "There is no such form, or what it names cannot be.".to_owned(),
            next: "The pages of nodes and operations have a button for everything that may be said.",
        }
    }

    /// What cannot be read now.
    pub fn not_read(why: String) -> Self {
        Self {
            shell: Shell::bare(),
            title: "Not readable now",
            sentence: why,
            next: "Try again in a moment.",
        }
    }

    /// Nothing at all at that address.
    pub fn nothing_here(path: &str) -> Self {
        let shown: String = path.chars().take(80).collect();
        Self {
            shell: Shell::bare(),
            title: "Nothing here",
            sentence: format!("There is no page {shown:?}."),
            next: "The fleet has every node, the manual every page on reasons and on running Millwright. Programs find the API's paths in /openapi.json.",
        }
    }
}
