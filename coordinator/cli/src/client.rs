//! Talking to the coordinator, and saying what is wrong when that fails.

use anyhow::{Context, Result, anyhow, bail};
use millwright_protocol::ErrorBody;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// The coordinator's Unix socket, where root may also write.
const SOCKET: &str = "/run/millwright/coordinator.sock";
/// Where it listens for operators.
const ADDRESS: &str = "http://127.0.0.1:8480";
/// No answer takes longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the coordinator is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// `http://…`
    Address(String),
    /// `unix:/path`
    Socket(PathBuf),
}

impl Server {
    /// The Unix socket where there is one, else the usual port.
    pub fn usual() -> Self {
        if Path::new(SOCKET).exists() {
            Self::Socket(SOCKET.into())
        } else {
            Self::Address(ADDRESS.to_owned())
        }
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Socket(path.into()));
        }
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match host {
            Some(host) if !host.is_empty() => Ok(Self::Address(text.trim_end_matches('/').to_owned())),
            _ => Err(format!("{text:?} is no coordinator; write http://127.0.0.1:8480 or unix:{SOCKET}")),
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => formatter.write_str(address),
            Self::Socket(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// A connection to one coordinator.
pub struct Client {
    server: Server,
    http: reqwest::Client,
}

impl Client {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(server: Server) -> Result<Self> {
        // Fails only when one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        if let Server::Socket(path) = &server {
            builder = builder.unix_socket(path.clone());
        }
        if !matches!(&server, Server::Address(address) if address.starts_with("https:")) {
            // Where nothing is encrypted no authority is needed, and a host without a list of them is no obstacle.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { http: builder.build().context("make an HTTP client")?, server })
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// When nobody answers, the answer is a refusal, or it is not what we think it is.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let url = self.url(path);
        self.answer(path, self.http.get(url).query(query).send().await).await
    }

    /// Says something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.answer(path, self.http.post(self.url(path)).json(body).send().await).await
    }

    fn url(&self, path: &str) -> String {
        match &self.server {
            Server::Address(address) => format!("{address}{path}"),
            Server::Socket(_) => format!("http://localhost{path}"),
        }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        path: &str,
        sent: Result<reqwest::Response, reqwest::Error>,
    ) -> Result<T> {
        let response = sent.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            let what =
                format!("understand the answer of {} to {path}; are both of the same version?", self.server);
            return serde_json::from_slice(&body).context(what);
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => bail!("{} [{}, request {}]", error.message, error.code, error.request_id),
            Err(_) => bail!("{} answered {status} to {path}; is that a coordinator?", self.server),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let next = match &self.server {
            Server::Address(address) if address.starts_with("https://") && error.is_connect() => {
                "the coordinator itself speaks plain HTTP, on loopback: write http://, unless a TLS proxy stands there"
            }
            _ => {
                "is the coordinator running here (`systemctl status millwright-coordinator`)? else name it with --server"
            }
        };
        anyhow!("ask the coordinator at {}: {cause}; {next}", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_or_a_socket() {
        assert_eq!("unix:/run/x.sock".parse(), Ok(Server::Socket("/run/x.sock".into())));
        assert_eq!("http://127.0.0.1:8480/".parse(), Ok(Server::Address("http://127.0.0.1:8480".into())));
        for wrong in ["127.0.0.1:8480", "unix:relative", "http://", ""] {
            assert!(wrong.parse::<Server>().unwrap_err().contains("write http://127.0.0.1:8480"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn who_asks_for_tls_where_there_is_none_is_told_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let client = Client::new(server.parse().unwrap()).unwrap();
        let error = client.get::<serde_json::Value>("/api/v1/nodes", &[]).await.unwrap_err().to_string();
        answering.await.unwrap();
        assert!(error.contains("speaks plain HTTP") && error.contains("write http://"), "{error}");
    }

    #[tokio::test]
    async fn a_coordinator_that_is_not_there_is_named_with_what_to_do() {
        let client = Client::new(Server::Socket("/nonexistent/coordinator.sock".into())).unwrap();
        let error = client.get::<serde_json::Value>("/api/v1/nodes", &[]).await.unwrap_err().to_string();
        assert!(
            error.contains("unix:/nonexistent/coordinator.sock") && error.contains("--server"),
            "{error}"
        );
    }
}
