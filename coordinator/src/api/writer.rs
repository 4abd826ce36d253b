//! Who may change something: root, on the Unix socket, where the kernel says who is there.

use super::error::{ErrorCode, Refusal};
use crate::{app::App, serve::Peer};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::{path::Path, sync::Arc};

/// A peer that may write. A handler that takes one cannot be reached by anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer;

impl FromRequestParts<Arc<App>> for Writer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        admitted(parts.extensions.get::<Peer>(), &app.config.listen.socket)
    }
}

fn admitted(peer: Option<&Peer>, socket: &Path) -> Result<Writer, Refusal> {
    let found = match peer {
        Some(Peer::Unix { uid: 0 }) => return Ok(Writer),
        Some(Peer::Unix { uid }) => format!("you are user {uid}"),
        _ => "this request came over TCP, where nobody can say who sent it".to_owned(),
    };
    Err(Refusal::new(
        ErrorCode::RootOnSocketOnly,
        format!(
            "only root on the coordinator's Unix socket may change something, and {found}; on the coordinator's host, run \
             the same command as `sudo millwright --server unix:{} …`",
            socket.display()
        ),
    ))
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

    #[test]
    fn only_root_on_the_socket_may_write_and_others_learn_where_that_is() {
        let socket = Path::new("/tmp/try/coordinator.sock");
        assert_eq!(admitted(Some(&Peer::Unix { uid: 0 }), socket), Ok(Writer));
        let loopback = Peer::Loopback(std::net::SocketAddr::from(([127, 0, 0, 1], 4)));
        for peer in [Some(&Peer::Unix { uid: 1000 }), Some(&loopback), None] {
            let refusal = admitted(peer, socket).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::RootOnSocketOnly);
            let command = "`sudo millwright --server unix:/tmp/try/coordinator.sock …`";
            assert!(refusal.message.contains(command), "{}", refusal.message);
        }
    }

    #[test]
    fn an_author_is_root_and_whoever_used_sudo() {
        assert_eq!(author(None), "root");
        assert_eq!(author(Some("root")), "root");
        assert_eq!(author(Some("jane\n<b>")), "janeb (as root)");
    }
}
