//! Whoever changes something has a name, and the role for it.

use super::error::{ErrorCode, Refusal};
use crate::{
    app::App,
    people::{Caller, How, Role},
    serve::Peer,
};
use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
};
use millwright_decision::Class;
use millwright_protocol::NodeName;
use std::{path::Path, sync::Arc};

/// Somebody with a name. A handler that takes one cannot be reached by anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person(pub Caller);

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match parts.extensions.get::<Caller>() {
            Some(caller) if caller.is_somebody() => Ok(Self(caller.clone())),
            _ => Err(nobody(parts.extensions.get::<Peer>(), &app.config.listen.socket)),
        }
    }
}

/// Whether anybody but root may change something now. X3: what people decide rests on reports, and while the list of
/// revoked certificates is too old nobody knows whose these are, nor whether a proxy's certificate still holds. Signing in
/// and out changes nothing.
///
/// # Errors
/// `read_only`.
pub fn may_change_now(app: &App, request: &Request, caller: &Caller) -> Result<(), Refusal> {
    let is_sign = matches!(request.uri().path(), "/sign-in" | "/sign-out");
    if request.method().is_safe() || is_sign || caller.how == How::Root || !app.is_read_only() {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::ReadOnly,
        format!(
            "the list of revoked certificates expired long ago, so nobody but root changes anything (crl_expired); bring a new \
             list, or run the same command as `sudo millwright --server unix:{} …` on the coordinator's host",
            app.config.listen.socket.display()
        ),
    ))
}

/// What to say to somebody who has to say who they are.
pub fn nobody(peer: Option<&Peer>, socket: &Path) -> Refusal {
    let found = match peer {
        Some(Peer::Unix { uid }) => format!("you are user {uid} and show no token"),
        _ => "nothing in this request says who sent it".to_owned(),
    };
    Refusal::new(
        ErrorCode::NotSignedIn,
        format!(
            "this takes somebody with a name, and {found}; run `millwright login` with a token of yours, or on the \
             coordinator's host run the same command as `sudo millwright --server unix:{} …`",
            socket.display()
        ),
    )
}

impl Person {
    /// Whether they are still who they were when their request began: a body may take its time, and who is revoked
    /// meanwhile is out.
    ///
    /// # Errors
    /// `bad_token`.
    pub fn still(&self, app: &App) -> Result<(), Refusal> {
        if app.is_still(&self.0) {
            return Ok(());
        }
        let message = "your token or session ended while this was sent, so nothing was done; sign in again, or ask an administrator for a new token";
        Err(Refusal::new(ErrorCode::BadToken, message))
    }

    /// Whether they have a role for nodes of a class; `None` asks for everything.
    ///
    /// # Errors
    /// `not_allowed`, with what they may do and whom to ask.
    pub fn must(&self, role: Role, class: Option<Class>) -> Result<(), Refusal> {
        let Caller { name, rights, .. } = &self.0;
        if rights.may(role, class) {
            return Ok(());
        }
        let wanted = class.map_or_else(|| role.to_string(), |class| format!("{role}:{class}"));
        Err(Refusal::new(
            ErrorCode::NotAllowed,
            format!(
                "this takes {wanted}, and {name} may {rights}; ask an administrator for a token or a role with it"
            ),
        ))
    }

    /// The same for one node, by the class that policy gives it.
    ///
    /// # Errors
    /// As [`Self::must`]; a node that no policy lists takes the role for everything.
    pub fn must_for(&self, role: Role, node: &NodeName, app: &App) -> Result<(), Refusal> {
        self.must(role, app.policy().nodes.get(node).map(|node| node.class))
    }

    /// Under which name a change is recorded: their own; for root also that of whoever became root, as the command line
    /// tells it.
    pub fn author(&self, by: Option<&str>) -> String {
        if self.0.how != How::Root {
            return self.0.name.clone();
        }
        let named: String = by
            .unwrap_or_default()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || "-._@".contains(*letter))
            .take(60)
            .collect();
        if named.is_empty() || named == "root" { "root".to_owned() } else { format!("{named} (as root)") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Rights;

    fn jane(rights: &str) -> Person {
        let rights = Rights::of_words(rights.split_whitespace()).unwrap();
        Person(Caller { name: "jane".to_owned(), rights, how: How::Token { id: "t1".to_owned() } })
    }

    #[test]
    fn nobody_learns_both_ways_to_be_somebody() {
        let loopback = Peer::Loopback(std::net::SocketAddr::from(([127, 0, 0, 1], 4)));
        for peer in [Some(&Peer::Unix { uid: 1000 }), Some(&loopback), None] {
            let refusal = nobody(peer, Path::new("/tmp/try/coordinator.sock"));
            assert_eq!(refusal.code, ErrorCode::NotSignedIn);
            for part in ["`millwright login`", "`sudo millwright --server unix:/tmp/try/coordinator.sock …`"]
            {
                assert!(refusal.message.contains(part), "{}", refusal.message);
            }
        }
    }

    #[test]
    fn who_may_not_learns_what_it_takes_and_what_they_have() {
        assert_eq!(jane("operate:agent").must(Role::Operate, Some(Class::Agent)), Ok(()));
        let refusal = jane("view operate:agent").must(Role::Operate, Some(Class::Master)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::NotAllowed);
        assert!(
            refusal.message.contains("takes operate:master, and jane may view, operate:agent"),
            "{}",
            refusal.message
        );
    }

    #[test]
    fn an_author_is_whoever_is_known_and_only_root_speaks_for_others() {
        assert_eq!(jane("view").author(Some("joe")), "jane");
        let root = Person(Caller::root());
        assert_eq!(root.author(None), "root");
        assert_eq!(root.author(Some("root")), "root");
        assert_eq!(root.author(Some("jane\n<b>")), "janeb (as root)");
    }
}
