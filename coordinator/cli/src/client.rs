//! Talking to the coordinator, and saying what is wrong when that fails.

use crate::output::clean;
use anyhow::{Context, Result, bail};
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

impl Server {
    fn is_encrypted(&self) -> bool {
        matches!(self, Self::Address(address) if address.starts_with("https://"))
    }

    /// Whether others could read along: plain HTTP to another machine.
    fn is_exposed(&self) -> bool {
        let Self::Address(address) = self else { return false };
        // As the HTTP client reads it, so that no spelling leads elsewhere.
        let url = reqwest::Url::parse(address);
        let host = url.as_ref().ok().and_then(reqwest::Url::host_str).unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let is_here =
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        !self.is_encrypted() && !is_here
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

/// Where Puppet keeps the certificates of its authorities: most coordinators have theirs from it.
const PUPPET: [&str; 3] = [
    "/etc/puppetlabs/puppet/ssl/certs/ca.pem",
    "/var/lib/puppet/ssl/certs/ca.pem",
    "/etc/puppet/ssl/certs/ca.pem",
];

/// The coordinator has answered, and its answer is no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// From its closed list.
    pub code: String,
    /// For people.
    pub message: String,
    request_id: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} [{}, request {}]", clean(&self.message), self.code, self.request_id)
    }
}

impl std::error::Error for Refused {}

/// Nobody has answered: whether the request arrived is not known.
#[derive(Debug)]
struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// Whether the same request may well be answered a little later: the coordinator restarts, or its disk is full.
pub fn is_passing(error: &anyhow::Error) -> bool {
    let is_busy = |refused: &Refused| {
        matches!(refused.code.as_str(), "stopping" | "store_unavailable" | "too_many_requests")
    };
    error.is::<Unreachable>() || error.downcast_ref::<Refused>().is_some_and(is_busy)
}

/// A connection to one coordinator.
pub struct Client {
    server: Server,
    http: reqwest::Client,
    token: Option<String>,
}

impl Client {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the authorities cannot be read, or a token would go over the network in plain text.
    pub fn new(server: Server, token: Option<String>, ca: Option<&Path>) -> Result<Self> {
        if token.is_some() && server.is_exposed() {
            bail!(
                "keep your token from everybody on the way to {server}: it speaks plain HTTP, and only loopback may; write \
                 https://"
            );
        }
        // Fails only when one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        if let Server::Socket(path) = &server {
            builder = builder.unix_socket(path.clone());
        }
        builder = match (server.is_encrypted(), ca) {
            // Where nothing is encrypted no authority is needed, and a host without a list of them is no obstacle.
            (false, _) => builder.tls_certs_only([]),
            (true, Some(ca)) => builder.tls_certs_only(authorities(ca)?),
            (true, None) => {
                let puppet = PUPPET.iter().map(Path::new).find(|ca| ca.exists());
                builder.tls_certs_merge(puppet.map(authorities).transpose()?.unwrap_or_default())
            }
        };
        Ok(Self { http: builder.build().context("make an HTTP client")?, server, token })
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// When nobody answers, the answer is a refusal, or it is not what we think it is.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let url = self.url(path);
        self.answer(path, self.named(self.http.get(url).query(query)).send().await).await
    }

    /// Says something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.answer(path, self.named(self.http.post(self.url(path)).json(body)).send().await).await
    }

    fn named(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
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
            Ok(ErrorBody { code, message, request_id }) => Err(Refused { code, message, request_id }.into()),
            Err(_) => bail!("{} answered {status} to {path}; is that a coordinator?", self.server),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let next = match &self.server {
            server
                if server.is_encrypted()
                    && error.is_connect()
                    && cause.to_string().contains("UnknownIssuer") =>
            {
                "name the authority that signed its certificate with --ca FILE, such as Puppet's certs/ca.pem"
            }
            server
                if server.is_encrypted()
                    && error.is_connect()
                    && cause.to_string().contains("NotValidForName") =>
            {
                "write the URL with the name in its certificate, or give the coordinator a certificate with this name \
                 (tls.operators_certificate of coordinator.toml)"
            }
            server if server.is_encrypted() && error.is_connect() => {
                "on loopback the coordinator speaks plain HTTP: write http://, unless a TLS proxy stands there"
            }
            _ => {
                "is the coordinator running here (`systemctl status millwright-coordinator`)? else name it with --server"
            }
        };
        Unreachable(format!("ask the coordinator at {}: {cause}; {next}", self.server)).into()
    }
}

/// Every certificate in a file.
fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>> {
    let what = || format!("read {} as the authorities of the coordinator's certificate", path.display());
    let text = std::fs::read(path).with_context(what)?;
    let found = reqwest::Certificate::from_pem_bundle(&text).with_context(what)?;
    if found.is_empty() {
        bail!("{}: no PEM block CERTIFICATE in it", what());
    }
    Ok(found)
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
        let client = Client::new(server.parse().unwrap(), None, None).unwrap();
        let error = client.get::<serde_json::Value>("/api/v1/nodes", &[]).await.unwrap_err().to_string();
        answering.await.unwrap();
        assert!(error.contains("speaks plain HTTP") && error.contains("write http://"), "{error}");
    }

    #[test]
    fn a_token_goes_over_no_network_in_plain_text() {
        let client = |server: &str| Client::new(server.parse().unwrap(), Some("mwt_1".to_owned()), None);
        for exposed in [
            "http://mw.cern.ch:8480",
            "http://10.0.0.1:8480",
            "http://localhost.evil:1",
            "http://127.0.0.1:8480@evil.example",
            "http://[2001:db8::1]",
        ] {
            let error = client(exposed).err().unwrap().to_string();
            assert!(error.contains("write https://"), "{exposed}: {error}");
        }
        for good in ["http://127.0.0.1:8480", "http://localhost:8480", "http://[::1]:8480", "unix:/run/x"] {
            assert!(client(good).is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn a_coordinator_that_is_not_there_is_named_with_what_to_do() {
        let client = Client::new(Server::Socket("/nonexistent/coordinator.sock".into()), None, None).unwrap();
        let error = client.get::<serde_json::Value>("/api/v1/nodes", &[]).await.unwrap_err().to_string();
        assert!(
            error.contains("unix:/nonexistent/coordinator.sock") && error.contains("--server"),
            "{error}"
        );
    }
}
