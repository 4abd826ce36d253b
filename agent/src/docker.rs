//! Docker, asked over its Unix socket through bollard; its answers are read by the files below.
//!
//! bollard's own models refuse bodies of old engines (numbers where today there are booleans), so only its
//! transport is used: one request, the raw bytes back.

mod image;
mod info;
mod inspect;
mod list;
mod pull;
mod size;

pub use image::{Image, read_image, read_images};
pub use info::{Fill, Info, ThinPool, read_info};
pub use inspect::{Inspected, read_inspect, read_inspects};
pub use list::{Listed, read_list};
pub use pull::PullStream;
pub use size::read_size;

use crate::http::innermost;
use bollard::{API_DEFAULT_VERSION, errors::Error};
use futures_util::{Stream, StreamExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An answer longer than this is refused; a list of a thousand containers is about 2 MiB.
const LONGEST_ANSWER: usize = 32 << 20;
/// Seconds bollard waits for the head of an answer. Checks have shorter deadlines of their own; a pull from a
/// slow registry may take this long to begin.
const HEAD_TIMEOUT: u64 = 600;

/// Why Docker did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DockerError {
    /// There is no socket, or nobody listens on it.
    #[error("{socket}: {why}")]
    Unreachable {
        /// The socket.
        socket: String,
        /// What the connection said.
        why: String,
    },
    /// Docker answered, but not with success.
    #[error("Docker answered {code}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Docker's message, cut to a sentence.
        message: String,
    },
    /// Docker's answer cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl DockerError {
    /// Whether Docker said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }
}

/// One Docker engine. Each request is a connection of its own, so that a hung one holds up nothing else.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// The engine behind a socket; nothing is sent yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET path`, the body of a success. No deadline of its own: drop it when it takes too long.
    ///
    /// # Errors
    /// Docker cannot be reached, refuses, or answers more than 32 MiB.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, DockerError> {
        let mut pieces = self.send("GET", path)?;
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(piece?.as_ref());
            if body.len() > LONGEST_ANSWER {
                return Err(DockerError::Unreadable(format!("the answer to {path} is longer than 32 MiB")));
            }
        }
        Ok(body)
    }

    /// `GET path`, read by `read`.
    ///
    /// # Errors
    /// As [`Engine::get`] and as `read`.
    pub async fn read<T>(
        &self,
        path: &str,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, DockerError> {
        read(&self.get(path).await?).map_err(DockerError::Unreadable)
    }

    /// Pulls an image: the pieces of the stream for [`PullStream`]. The tag is always sent: without one, old
    /// engines pull every tag.
    ///
    /// # Errors
    /// Docker cannot be reached; later errors come in the stream.
    pub fn pull(
        &self,
        repository: &str,
        tag: &str,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>, DockerError>> + Unpin + use<>, DockerError>
    {
        self.send("POST", &format!("/images/create?fromImage={}&tag={}", in_query(repository), in_query(tag)))
    }

    /// Sends one request with an empty body through bollard and gives the raw answer back.
    ///
    /// `export_image` is the call of bollard's that hands out bytes as they come; the modifier, bollard's hook for
    /// rewriting requests, puts our method and path in place of the export's.
    fn send(
        &self,
        method: &'static str,
        path: &str,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>, DockerError>> + Unpin + use<>, DockerError>
    {
        let socket = self.socket.display().to_string();
        let path = path.to_owned();
        let docker = bollard::Docker::connect_with_unix(&socket, HEAD_TIMEOUT, API_DEFAULT_VERSION)
            .map_err(|error| explain(&socket, &error))?
            .with_request_modifier(move |mut request| {
                let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
                if let (Ok(uri), Ok(method)) = (format!("unix://{authority}{path}").parse(), method.parse()) {
                    *request.uri_mut() = uri;
                    *request.method_mut() = method;
                }
                request
            });
        Ok(Box::pin(
            docker
                .export_image("millwright")
                .map(move |piece| piece.map_err(|error| explain(&socket, &error))),
        ))
    }
}

/// The rest of an image's name as it may stand in a query.
fn in_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn explain(socket: &str, error: &Error) -> DockerError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            DockerError::Refused { code: *status_code, message: message.trim().chars().take(300).collect() }
        }
        Error::SocketNotFoundError(_) => {
            DockerError::Unreachable { socket: socket.to_owned(), why: "there is no such socket".to_owned() }
        }
        other => DockerError::Unreachable { socket: socket.to_owned(), why: innermost(other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers one request on a socket with `answer` and gives back what was asked.
    async fn asked(answer: &'static str, ask: impl AsyncFnOnce(Engine)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8_lossy(&head[..length]).lines().next().unwrap_or_default().to_owned()
        };
        tokio::join!(serve, ask(Engine::new(&path))).0
    }

    #[tokio::test]
    async fn the_path_is_asked_for_without_a_version_as_old_engines_need_it() {
        let line = asked("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", async |engine| {
            assert_eq!(engine.get("/containers/json?all=1").await.unwrap(), b"OK");
        });
        assert_eq!(line.await, "GET /containers/json?all=1 HTTP/1.1");
    }

    #[tokio::test]
    async fn a_pull_always_names_a_tag() {
        let line = asked("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n", async |engine| {
            let mut pieces = engine.pull("alisw/slc7-builder", "latest").unwrap();
            assert_eq!(pieces.next().await.unwrap().unwrap().as_ref(), b"{}\n");
        });
        assert_eq!(line.await, "POST /images/create?fromImage=alisw/slc7-builder&tag=latest HTTP/1.1");
    }

    #[tokio::test]
    async fn dockers_own_message_is_kept_also_when_it_is_plain_text() {
        for (answer, message) in [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n{\"message\":\"gone\"}", "gone"),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\nno such image", "no such image"),
        ] {
            asked(answer, async |engine| {
                let error = engine.get("/images/x/json").await.unwrap_err();
                assert_eq!(error, DockerError::Refused { code: 404, message: message.to_owned() });
                assert!(error.is_not_found());
            })
            .await;
        }
    }

    #[tokio::test]
    async fn a_missing_socket_and_one_without_a_daemon_are_told_apart_from_refusals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let error = Engine::new(&path).get("/_ping").await.unwrap_err();
        assert!(error.to_string().contains("no such socket"), "{error}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = Engine::new(&path).get("/_ping").await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
