//! Who may change something: root, on the Unix socket, where the kernel says who is there.

use super::error::{ErrorCode, Refusal};
use crate::serve::Peer;
use axum::{extract::FromRequestParts, http::request::Parts};

/// A peer that may write. A handler that takes one cannot be reached by anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer;

impl<S: Send + Sync> FromRequestParts<S> for Writer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match parts.extensions.get::<Peer>() {
            Some(Peer::Unix { uid: 0 }) => Ok(Self),
            peer => Err(refused(peer)),
        }
    }
}

fn refused(peer: Option<&Peer>) -> Refusal {
    let found = match peer {
        Some(Peer::Unix { uid }) => format!("you are user {uid}"),
        _ => "this request came over TCP, where nobody can say who sent it".to_owned(),
    };
    Refusal::new(
        ErrorCode::RootOnSocketOnly,
        format!(
            "only root on the coordinator's Unix socket may change something, and {found}; on the coordinator's host, run \
             the same `millwright` command with sudo"
        ),
    )
}

/// Under which name a change is recorded: root, and the person behind `sudo` as the command line tells it.
pub fn author(by: Option<&str>) -> String {
    let named: String = by
        .unwrap_or_default()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || "-._@".contains(*letter))
        .take(60)
        .collect();
    if named.is_empty() || named == "root" { "root".to_owned() } else { format!("{named} (as root)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(peer: Option<Peer>) -> Result<Writer, Refusal> {
        let mut request = axum::http::Request::new(());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let (mut parts, ()) = request.into_parts();
        Writer::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn only_root_on_the_socket_may_write() {
        assert_eq!(ask(Some(Peer::Unix { uid: 0 })).await, Ok(Writer));
        let loopback = Peer::Loopback(std::net::SocketAddr::from(([127, 0, 0, 1], 4)));
        for peer in [Some(Peer::Unix { uid: 1000 }), Some(loopback), None] {
            let refusal = ask(peer).await.unwrap_err();
            assert_eq!(refusal.code, ErrorCode::RootOnSocketOnly);
            assert!(refusal.message.contains("sudo"), "{}", refusal.message);
        }
    }

    #[test]
    fn an_author_is_root_and_whoever_used_sudo() {
        assert_eq!(author(None), "root");
        assert_eq!(author(Some("root")), "root");
        assert_eq!(author(Some("jane\n<b>")), "janeb (as root)");
    }
}
