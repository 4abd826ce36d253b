//! Who sent a request, and how that is known.

use super::{Digest, Rights, Role};
use std::fmt::Write;

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their name; empty for nobody in particular.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
    /// How that is known.
    pub how: How,
}

/// How somebody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The kernel says so, on the Unix socket: break-glass.
    Root,
    /// They sent a token.
    Token {
        /// Which.
        id: String,
    },
    /// Their browser has a session.
    Session {
        /// Of its cookie.
        digest: Digest,
        /// The token it was begun with.
        token: String,
    },
    /// A proxy that we trust vouches for them.
    Proxy {
        /// Which: a user of this host, or the name in its certificate.
        proxy: String,
    },
    /// Nobody says who they are.
    Nobody {
        /// Whether they are on this host.
        is_local: bool,
    },
}

impl How {
    /// As a word in the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Token { .. } => "token",
            Self::Session { .. } => "session",
            Self::Proxy { .. } => "proxy",
            Self::Nobody { .. } => "nobody",
        }
    }

    /// Whether a browser says who they are by itself, whoever made it ask: then a request must prove that one of our
    /// own pages sent it.
    pub fn is_ambient(&self) -> bool {
        matches!(self, Self::Session { .. } | Self::Proxy { .. })
    }

    /// What a form's seal is made of.
    pub(super) fn identity(&self, name: &str) -> String {
        let mut identity = format!("{} {name}", self.as_str());
        if let Self::Session { digest, .. } = self {
            for byte in digest.0 {
                let _ = write!(identity, "{byte:02x}");
            }
        }
        identity
    }
}

impl Caller {
    /// Root on the Unix socket, who may do anything.
    pub fn root() -> Self {
        Self { name: "root".to_owned(), rights: Rights::everywhere(Role::Admin), how: How::Root }
    }

    /// Somebody who does not say who they are.
    pub fn nobody(is_local: bool, may_look: bool) -> Self {
        let rights = if may_look { Rights::everywhere(Role::View) } else { Rights::default() };
        Self { name: String::new(), rights, how: How::Nobody { is_local } }
    }

    /// Whether they have a name.
    pub fn is_somebody(&self) -> bool {
        !matches!(self.how, How::Nobody { .. })
    }
}
