//! Where a Mesos process is asked: its address, and the leader's, which any master knows.

use super::Client;
use hyper::{StatusCode, header};
use reqwest::Url;
use serde::Deserialize;
use std::{fmt, str::FromStr};

/// Redirects followed from one master to another, at most.
const MOST_HOPS: usize = 3;

/// The address of a Mesos process, such as `http://127.0.0.1:5051` or `http://127.0.0.1:5051/slave(1)`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(Url);

const ACCEPTED: &str = "write \"127.0.0.1:5051\" or \"http://127.0.0.1:5051/slave(1)\"";

impl Address {
    /// A process on this node's loopback address.
    #[expect(clippy::missing_panics_doc, reason = "an address made of numbers always parses")]
    pub fn local(port: u16) -> Self {
        #[expect(clippy::unwrap_used, reason = "an address made of numbers always parses")]
        Self(Url::parse(&format!("http://127.0.0.1:{port}")).unwrap())
    }

    /// An endpoint of this process, such as `state`.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/{name}", self.0.as_str().trim_end_matches('/'))
    }

    /// An endpoint of the whole program, such as `metrics/snapshot`, whatever the process in it is called.
    pub fn root_endpoint(&self, name: &str) -> String {
        let mut url = self.0.clone();
        url.set_path(name);
        url.into()
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&full).map_err(|error| format!("{text:?}: {error}; {ACCEPTED}"))?;
        if url.scheme() != "http" {
            return Err(format!("{text:?} is not http, the only way Mesos is asked so far; {ACCEPTED}"));
        }
        if url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text:?} is not the address of a Mesos process; {ACCEPTED}"));
        }
        // A name would need the resolver, and the resolver a thread.
        if url.host_str() == Some("localhost") {
            url.set_host(Some("127.0.0.1")).map_err(|error| format!("{text:?}: {error}; {ACCEPTED}"))?;
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Asks a master who leads: `host:port`, or none when it knows of nobody.
///
/// # Errors
/// Nobody answers, or the answer is no redirect to a master.
pub async fn leader(client: &Client, master: &Address) -> Result<Option<String>, String> {
    let mut url = master.root_endpoint("redirect");
    for _ in 0..MOST_HOPS {
        let response = client.ask(&url).await?;
        match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => return Ok(None),
            status if status.is_redirection() => {
                let location = response
                    .headers()
                    .get(header::LOCATION)
                    .and_then(|location| location.to_str().ok())
                    .ok_or_else(|| format!("ask {url}: a redirect to nowhere"))?;
                match leader_of(&url, location)? {
                    Leader::Named(leader) => return Ok(Some(leader)),
                    Leader::AskThere(next) => url = next,
                }
            }
            status => return Err(format!("ask {url}: {status}, where a redirect to the leader was due")),
        }
    }
    Err(format!("ask {}: masters send each other round, no leader after {MOST_HOPS} hops", master))
}

/// What a `Location` says.
#[derive(Debug, PartialEq, Eq)]
enum Leader {
    /// The leader itself, `host:port`.
    Named(String),
    /// Somebody who may know.
    AskThere(String),
}

/// Reads the `Location` of `/redirect`; it is protocol relative, `//host:port`.
fn leader_of(asked: &str, location: &str) -> Result<Leader, String> {
    let base = Url::parse(asked).map_err(|error| format!("{asked}: {error}"))?;
    let url =
        base.join(location).map_err(|error| format!("ask {asked}: a redirect to {location:?}: {error}"))?;
    if url.scheme() != "http" && url.scheme() != "https" {
        return Err(format!("ask {asked}: a redirect to {location:?}, which is no master"));
    }
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| format!("ask {asked}: a redirect to {location:?}, which names no host"))?;
    if url.path().trim_end_matches('/').ends_with("/redirect") {
        return Ok(Leader::AskThere(url.into()));
    }
    let port = url.port_or_known_default().unwrap_or(5050);
    Ok(Leader::Named(format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[test]
    fn an_address_may_be_a_url_with_a_path_or_just_host_and_port() {
        for (text, state, metrics) in [
            ("127.0.0.1:5051", "http://127.0.0.1:5051/state", "http://127.0.0.1:5051/metrics/snapshot"),
            (
                "http://127.0.0.1:5051/slave(1)/",
                "http://127.0.0.1:5051/slave(1)/state",
                "http://127.0.0.1:5051/metrics/snapshot",
            ),
            (
                "http://localhost:5051",
                "http://127.0.0.1:5051/state",
                "http://127.0.0.1:5051/metrics/snapshot",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.endpoint("state"), state, "{text}");
            assert_eq!(address.root_endpoint("metrics/snapshot"), metrics, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_accepted_form() {
        for text in ["", "https://127.0.0.1:5051", "ftp://x", "http://", "127.0.0.1:99999", "http://x/?a=b"] {
            assert!(text.parse::<Address>().unwrap_err().contains("write \"127.0.0.1:5051\""), "{text}");
        }
    }

    #[test]
    fn a_protocol_relative_redirect_names_the_leader() {
        let asked = "http://127.0.0.1:5050/redirect";
        let named = |location: &str| leader_of(asked, location);
        assert_eq!(
            named("//alimesos02.cern.ch:5050"),
            Ok(Leader::Named("alimesos02.cern.ch:5050".to_owned()))
        );
        assert_eq!(named("http://10.0.0.1:5050/"), Ok(Leader::Named("10.0.0.1:5050".to_owned())));
        assert_eq!(
            named("//m2:5050/master/redirect"),
            Ok(Leader::AskThere("http://m2:5050/master/redirect".to_owned()))
        );
        assert!(named("file:///etc/passwd").is_err());
        assert!(named("//").is_err());
    }

    /// Asks a master that answers everything so; `HERE` is its own address.
    async fn ask(answer: &str) -> Result<Option<String>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let answer = answer.replace("HERE", &here);
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let length = stream.read(&mut [0; 4096]).await.unwrap();
                assert!(length > 0, "a request");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let (client, master) = (Client::default(), here.parse().unwrap());
        tokio::select! {
            () = serve => unreachable!("it serves for ever"),
            said = leader(&client, &master) => said,
        }
    }

    #[tokio::test]
    async fn masters_that_send_each_other_round_during_an_election_name_no_leader() {
        let round = "HTTP/1.1 307 Temporary Redirect\r\nLocation: //HERE/redirect\r\nConnection: close\r\n\
            Content-Length: 0\r\n\r\n";
        let why = ask(round).await.unwrap_err();
        assert!(why.contains("masters send each other round"), "{why}");
        let nobody = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 17\r\n\r\n\
            No leader elected";
        assert_eq!(ask(nobody).await, Ok(None));
    }
}
