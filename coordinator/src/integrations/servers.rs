//! A service of which every master runs a server: each is asked by itself, so that the one that is ill is found among those
//! that answer for it.

use super::peer::{Answer, Call, Credentials, Limits, Peer, PeerError, Tallies};
use crate::config::OutsideServers;
use millwright_decision::Source;
use millwright_protocol::NodeName;
use serde::de::DeserializeOwned;

/// All servers of one service.
pub(super) struct Servers(Vec<Server>);

/// One of them.
pub(super) struct Server {
    /// The node it runs on.
    pub node: NodeName,
    address: String,
    /// For people, such as `Marathon`.
    title: &'static str,
    /// The section of the configuration that says where it is.
    source: Source,
    peer: Peer,
    credentials: Option<Credentials>,
}

impl Servers {
    /// As configured; no answer may be larger than `largest` bytes.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(
        source: Source,
        given: &OutsideServers,
        largest: usize,
        tallies: &Tallies,
    ) -> Result<Self, PeerError> {
        let limits = Limits { timeout: given.timeout, largest };
        let server = |(node, address): (&NodeName, &String)| {
            Ok(Server {
                node: node.clone(),
                address: address.clone(),
                title: source.title(),
                source,
                peer: Peer::new(source.as_str(), address, limits, tallies)?,
                credentials: given.credentials.clone(),
            })
        };
        Ok(Self(given.servers.iter().map(server).collect::<Result<_, PeerError>>()?))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Server> {
        self.0.iter()
    }

    /// The one on a node.
    pub fn on(&self, node: &NodeName) -> Option<&Server> {
        self.iter().find(|server| server.node == *node)
    }
}

impl Server {
    /// Where it is, as configured.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks, and has the answer whatever it says.
    ///
    /// # Errors
    /// There is none, or it points elsewhere.
    pub async fn send(&self, call: Call) -> Result<Answer, String> {
        let answer = self.peer.send(call.credentials(self.credentials.as_ref())).await;
        answer.map_err(|error| self.explain(&error))
    }

    /// Asks, and has an answer that says yes.
    ///
    /// # Errors
    /// Everything else, with what to do.
    pub async fn answer(&self, call: Call) -> Result<Answer, String> {
        let answer = self.peer.ask(call.credentials(self.credentials.as_ref())).await;
        answer.map_err(|error| self.explain(&error))
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// As they are: what they leave open matters.
    pub async fn act(&self, call: Call) -> Result<Answer, PeerError> {
        self.peer.ask(call.credentials(self.credentials.as_ref())).await
    }

    /// The same as [`Self::answer`], as JSON.
    ///
    /// # Errors
    /// Everything else, with what to do.
    pub async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, String> {
        self.answer(call).await?.json().map_err(|error| self.explain(&error))
    }

    /// The error, where it was, and what to do about it.
    pub fn explain(&self, error: &PeerError) -> String {
        let (title, key) = (self.title, self.source);
        let advice = match error {
            PeerError::Refused { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                match &self.credentials {
                    None => format!("; it wants to know who asks: set {key}.user and {key}.secret_file"),
                    Some(given) => format!("; see that {} may read there, and has this password", given.user),
                }
            }
            PeerError::Refused { status, .. } if status.as_u16() == 404 => {
                format!("; see that {key}.servers names {title} itself, of a version that has this")
            }
            PeerError::Unreadable { .. } => format!("; see that {key}.servers names {title} itself"),
            PeerError::NotSent { .. } | PeerError::Unanswered { .. } => {
                format!("; look at {title} on that node")
            }
            _ => String::new(),
        };
        format!("{}: {error}{advice}", self.address)
    }
}
