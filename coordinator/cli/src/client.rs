//! Talking to the coordinator: over its Unix socket or over HTTP. Every error says what was tried, found, and what to do next.

use millwright_protocol::ErrorBody;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the coordinator's socket is unless told otherwise.
const SOCKET: &str = "/run/millwright/coordinator.sock";
/// Where it listens for operators on the same host.
const LOOPBACK: &str = "http://127.0.0.1:8480";
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);

/// Where the coordinator is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// On its Unix socket.
    Socket(PathBuf),
    /// At a URL.
    Url(String),
}

impl Server {
    /// As given, or by default the socket where there is one, else the loopback address.
    fn choose(given: Option<&str>) -> Result<Self, ClientError> {
        match given {
            None if Path::new(SOCKET).exists() => Ok(Self::Socket(SOCKET.into())),
            None => Ok(Self::Url(LOOPBACK.to_owned())),
            Some(given) => given.parse(),
        }
    }
}

impl std::str::FromStr for Server {
    type Err = ClientError;

    fn from_str(given: &str) -> Result<Self, ClientError> {
        if let Some(path) = given.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Socket(path.into()));
        }
        if given.starts_with("http://") || given.starts_with("https://") {
            return Ok(Self::Url(given.trim_end_matches('/').to_owned()));
        }
        Err(ClientError::NoServer(given.to_owned()))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix:{}", path.display()),
            Self::Url(url) => formatter.write_str(url),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// That is no place.
    #[error("{0:?} is no server; write http://HOST:PORT, https://HOST:PORT or unix:/PATH")]
    NoServer(String),
    /// Nobody answered.
    #[error("ask the coordinator at {server}: {why}; {next}")]
    Unreachable {
        /// Where.
        server: Server,
        /// What happened.
        why: String,
        /// What to do.
        next: &'static str,
    },
    /// It said no.
    #[error("{message} ({code}, request {request_id})")]
    Refused {
        /// For programs.
        code: String,
        /// For people.
        message: String,
        /// For its log.
        request_id: String,
    },
    /// Something else answered.
    #[error(
        "ask the coordinator at {server} for {path}: {found}; is that a Millwright coordinator, of this version?"
    )]
    Strange {
        /// Where.
        server: Server,
        /// What was asked for.
        path: String,
        /// What came.
        found: String,
    },
}

/// A connection to be.
#[derive(Debug)]
pub struct Client {
    server: Server,
    http: reqwest::Client,
}

impl Client {
    /// To the given place, or to the usual one.
    ///
    /// # Errors
    /// When that is no place.
    pub fn new(server: Option<&str>) -> anyhow::Result<Self> {
        let server = Server::choose(server)?;
        // A proxy of the environment has no business between an operator and the coordinator.
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT).timeout(ANSWER).no_proxy();
        if let Server::Socket(path) = &server {
            http = http.unix_socket(path.as_path());
        }
        Ok(Self { http: http.build()?, server })
    }

    /// Asks.
    ///
    /// # Errors
    /// When nobody answers, or no.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ClientError> {
        let request = self.http.request(Method::GET, self.url(path)).query(query);
        self.exchange(path, request).await
    }

    /// Says.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.exchange(path, self.http.request(Method::POST, self.url(path)).json(body)).await
    }

    /// An answer in its type.
    ///
    /// # Errors
    /// When it has another shape: the coordinator is of another version.
    pub fn read<T: DeserializeOwned>(&self, path: &str, answer: &Value) -> Result<T, ClientError> {
        T::deserialize(answer).map_err(|error| self.strange(path, error.to_string()))
    }

    fn url(&self, path: &str) -> String {
        match &self.server {
            // The socket decides where it goes; the name is for the Host header only.
            Server::Socket(_) => format!("http://localhost{path}"),
            Server::Url(url) => format!("{url}{path}"),
        }
    }

    async fn exchange(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| self.strange(path, format!("no JSON: {error}")));
        }
        Err(self.refused(path, status, &body))
    }

    fn refused(&self, path: &str, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(ErrorBody { code, message, request_id }) => ClientError::Refused { code, message, request_id },
            Err(_) => self.strange(path, format!("it answered {status}")),
        }
    }

    fn strange(&self, path: &str, found: String) -> ClientError {
        ClientError::Strange { server: self.server.clone(), path: path.to_owned(), found }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let innermost = innermost(error);
        let kind = innermost.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let next = match (kind, &self.server) {
            (Some(std::io::ErrorKind::PermissionDenied), _) => {
                "run it with sudo, or add --server http://127.0.0.1:8480"
            }
            (_, _) if error.is_timeout() => {
                "it is there and does not answer: see its log with journalctl -u millwright-coordinator"
            }
            (_, Server::Socket(_)) | (Some(std::io::ErrorKind::ConnectionRefused), _) => {
                "it does not run there: systemctl status millwright-coordinator; for another host add --server URL"
            }
            _ => "see that the address is right and the way there is open",
        };
        ClientError::Unreachable { server: self.server.clone(), why: innermost.to_string(), next }
    }
}

/// What really happened, under all the layers that passed it on.
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_by_how_they_begin() {
        assert_eq!("unix:/run/x.sock".parse::<Server>().unwrap(), Server::Socket("/run/x.sock".into()));
        assert_eq!("http://a:1/".parse::<Server>().unwrap(), Server::Url("http://a:1".into()));
        for bad in ["alimesos01", "unix:x", "ftp://a", ""] {
            assert!(bad.parse::<Server>().unwrap_err().to_string().contains("http://HOST:PORT"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_coordinator_that_does_not_run_is_said_to_with_what_to_do() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        for server in [url.as_str(), "unix:/nonexistent/coordinator.sock"] {
            let error =
                Client::new(Some(server)).unwrap().get("/api/v1/nodes", &[]).await.unwrap_err().to_string();
            for part in [server, "does not run", "systemctl status"] {
                assert!(error.contains(part), "{part:?} is missing in {error}");
            }
        }
    }
}
