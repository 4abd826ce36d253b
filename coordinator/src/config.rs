//! `coordinator.toml`: what this one installation needs to know about itself. What people decided about nodes is in
//! `policy.toml`, never here.
//!
//! ```text
//! file → Fragment (as written, everything optional) → Config (checked, typed, complete)
//! ```
//! Only [`Config`] leaves this module. A bad file stops start-up; every complaint names file, line, key and the accepted form.

mod fragment;
mod length;
mod notice;
pub mod openstack;
mod outside;
mod people;
mod places;
#[cfg(test)]
mod shipped;
mod tls;

pub use length::{InvalidLength, parse_length};
pub use notice::{Chat, Mail, Notice, Security};
pub use outside::{MayMove, MesosDns, OutsideScheduler, OutsideServers, OutsideSystem, ZooKeeper};
pub use people::{People, Proxy, Roles};
pub use places::Place;
pub use tls::{Authority, Tls, domain_of};

use crate::{
    trusted::{self, ReadError},
    written::{Complaint, Written},
};
use fragment::Fragment;
use millwright_protocol::NodeName;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where it is unless told otherwise.
pub const DEFAULT_PATH: &str = "/etc/millwright/coordinator.toml";

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of this host; policy must name the same one. `None` takes the system's host name.
    pub host: Option<NodeName>,
    /// Where state is kept; only one coordinator may use it at a time.
    pub state_dir: PathBuf,
    /// The policy file.
    pub policy: PathBuf,
    /// Who may reach us, and where.
    pub listen: Listen,
    /// How agents prove who they are; `None` lets them come over loopback only.
    pub tls: Option<Tls>,
    /// Who may do what.
    pub people: People,
    /// The Mesos masters we ask; empty where policy marks `mesos_master` as `none`.
    pub mesos: Mesos,
    /// ZooKeeper's ensembles, where their members are asked.
    pub zookeeper: ZooKeeper,
    /// Jenkins; `None` where nobody asks it.
    pub jenkins: Option<OutsideSystem>,
    /// Marathon's servers; `None` where nobody asks them.
    pub marathon: Option<OutsideScheduler>,
    /// Aurora's schedulers; `None` where nobody asks them.
    pub aurora: Option<OutsideScheduler>,
    /// The servers of Mesos-DNS; `None` where nobody asks them.
    pub mesos_dns: Option<MesosDns>,
    /// Foreman; `None` where nobody asks it.
    pub foreman: Option<Place>,
    /// PuppetDB; `None` where nobody asks it.
    pub puppetdb: Option<Place>,
    /// Roger; `None` where nobody asks it.
    pub roger: Option<Place>,
    /// Where owners of tasks are asked; `None` where nobody can be.
    pub owners: Option<OutsideSystem>,
    /// How silent nodes are probed.
    pub probe: Probe,
    /// How long what happened is kept.
    pub retention: Retention,
    /// How the store is copied.
    pub backup: Backup,
    /// Whom we tell.
    pub notice: Notice,
    /// The cloud; `None` leaves it alone.
    pub openstack: Option<openstack::OpenStack>,
}

/// Where we listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Operators: API and dashboard. Beyond loopback only with TLS, and only with a name.
    pub operators: SocketAddr,
    /// Agents. Beyond loopback only with TLS.
    pub agents: SocketAddr,
    /// The Unix socket, where the kernel vouches for root and for proxies.
    pub socket: PathBuf,
    /// Names beside `localhost` that a browser may have asked for.
    pub host_names: Vec<String>,
}

/// The Mesos masters.
#[derive(Debug, Clone)]
pub struct Mesos {
    /// Such as `http://alimesos01.cern.ch:5050`.
    pub masters: Vec<String>,
    /// From the start of one round to the start of the next.
    pub every: Duration,
    /// After this an answer is given up.
    pub timeout: Duration,
    /// Whether they are also asked at once when their events say that something happened.
    pub events: bool,
}

/// The knock at a silent node's door.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Added to a node's name to look it up, such as `cern.ch`; empty for none.
    pub domain: String,
    /// The TCP port that a living machine answers.
    pub port: u16,
    /// After this the door counts as closed.
    pub timeout: Duration,
}

/// How long the store keeps what happened.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Changes of findings.
    pub transitions: Duration,
    /// Who did what.
    pub audit: Duration,
}

/// How the store is copied.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Where copies are kept.
    pub folder: PathBuf,
    /// From one copy to the next.
    pub every: Duration,
    /// A program and its arguments that takes each copy to another host; empty for none.
    pub hand_on: Vec<String>,
}

/// Why a configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not to be had.
    #[error("read {}: {why}; give another file with --config FILE", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says. Not called `source`: the message has it already.
        why: std::io::Error,
    },
    /// Somebody else may have written it.
    #[error("do not read {}: {why}", path.display())]
    Untrusted {
        /// Which file.
        path: PathBuf,
        /// Who, and what to do.
        why: String,
    },
    /// The file does not say what it should.
    #[error("{}:{line}: {message}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// The key, what was found, and the accepted form.
        message: String,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, others can change it, or it says something it should not; the message names file, line, key and the accepted form.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = trusted::read(path).map_err(|error| match error {
            ReadError::Io(why) => ConfigError::Read { path: path.to_owned(), why },
            ReadError::Untrusted(why) => ConfigError::Untrusted { path: path.to_owned(), why },
        })?;
        let text = String::from_utf8(bytes).map_err(|error| ConfigError::Invalid {
            path: path.to_owned(),
            line: error
                .as_bytes()
                .iter()
                .take(error.utf8_error().valid_up_to())
                .filter(|byte| **byte == b'\n')
                .count()
                + 1,
            message: "is not UTF-8; save the file as UTF-8".to_owned(),
        })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file; `path` is for messages only.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |complaint: Complaint| ConfigError::Invalid {
            path: path.to_owned(),
            line: complaint.line.unwrap_or(1),
            message: Complaint { line: None, ..complaint }.to_string(),
        };
        let (written, fragment) =
            Written::read_whole::<Fragment>(text, fragment::example).map_err(invalid)?;
        fragment
            .checked()
            .map_err(|wrong| invalid(written.complain(&(wrong.offset..wrong.offset), wrong.message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("c.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_a_complete_configuration() {
        let config = parse("").unwrap();
        assert_eq!(config.listen.operators.to_string(), "127.0.0.1:8480");
        assert_eq!(config.listen.agents.to_string(), "127.0.0.1:8482");
        assert_eq!(config.listen.socket, Path::new("/run/millwright/coordinator.sock"));
        assert_eq!(config.state_dir, Path::new("/var/lib/millwright"));
        assert_eq!(config.policy, Path::new("/etc/millwright/policy.toml"));
        assert!(config.mesos.masters.is_empty() && config.notice.webhook.is_none());
    }

    #[test]
    fn every_complaint_names_file_line_key_and_the_accepted_form() {
        for (text, expected) in [
            ("[listen]\nport = 3\n", vec!["c.toml:2: ", "port", "known keys", "`operators`", "`socket`"]),
            ("\n[lisen]\n", vec!["c.toml:2: ", "lisen", "`listen`"]),
            ("[mesos]\nevery = \"soon\"\n", vec!["c.toml:2: ", "every", "\"soon\"", "15m"]),
            ("[mesos]\nevery = \"0s\"\n", vec!["c.toml:2: ", "every", "0s", "longer"]),
            ("[mesos]\nevery = 10\n", vec!["c.toml:2: ", "`mesos.every`", "in quotes", "every = \"10s\""]),
            ("[mesos]\n\nmasters = [\"zk://a:2181\"]\n", vec!["c.toml:3: ", "masters", "http://"]),
            ("[listen]\nagents = \"everywhere\"\n", vec!["c.toml:2: ", "`listen.agents`", "127.0.0.1:8482"]),
            (
                "[listen]\noperators = \"localhost:8480\"\n",
                vec!["c.toml:2: ", "`listen.operators`", "127.0.0.1:8480"],
            ),
            ("[mesos]\nevery = \"1s\"\nevery = \"2s\"\n", vec!["c.toml:3: ", "`every`", "second time"]),
            ("host = \"a b\"\n", vec!["c.toml:1: ", "host", "write a host name"]),
            ("[jenkins]\n\nuser = \"millwright\"\n", vec!["c.toml:3: ", "user and secret_file go together"]),
            ("[zookeeper.ensembles]\nmesos = { m1 = \"m1\" }\n", vec!["c.toml:2: ", "m1", "host and port"]),
            ("[jenkins]\nurl = \"jenkins\"\n", vec!["c.toml:2: ", "url", "https://"]),
            ("[notice]\nwebhook = \"chat\"\n", vec!["c.toml:2: ", "webhook", "https://"]),
            ("[notice.mattermost]\n\nurl = \"https://m\"\n", vec!["c.toml:3: ", "mattermost", "token_file"]),
            (
                "[notice.slack]\nchannel = \"#builds\"\ntoken_file = \"/t\"\n",
                vec!["c.toml:2: ", "channel", "id"],
            ),
            ("[notice.mail]\nto = [\"jane@example.org\"]\n", vec!["c.toml:2: ", "server, from and to"]),
            (
                "[notice.mail]\nserver = \"m:25\"\nfrom = \"a@b.ch\"\n\nto = [\"a@b.ch\\nBcc: x@y.ch\"]\n",
                vec!["c.toml:5: ", "`notice.mail.to`", "no mail address"],
            ),
            (
                "[notice.mail]\nsecurity = \"none\"\nserver = \"m:25\"\nfrom = \"a@b.ch\"\nto = [\"a@b.ch\"]\n",
                vec!["c.toml:3: ", "this one only", "starttls"],
            ),
            ("state_dir = \"here\"\n", vec!["c.toml:1: ", "state_dir", "absolute"]),
            ("[listen]\nhost_names = [\"a:80\"]\n", vec!["c.toml:2: ", "host_names", "without a port"]),
            ("a b c\n", vec!["c.toml:1: "]),
        ] {
            let message = parse(text).unwrap_err();
            for part in expected {
                assert!(message.contains(part), "{text:?}: {part:?} is missing in {message:?}");
            }
        }
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused_without_tls() {
        for key in ["operators", "agents"] {
            let message = parse(&format!("[listen]\n{key} = \"0.0.0.0:8482\"\n")).unwrap_err();
            assert!(message.contains("c.toml:2: ") && message.contains("without TLS"), "{message}");
            assert!(parse(&format!("[listen]\n{key} = \"[::1]:0\"\n")).is_ok(), "loopback, any port");
        }
    }

    #[test]
    fn operators_and_agents_need_an_address_each() {
        for text in [
            "[listen]\noperators = \"127.0.0.1:9000\"\nagents = \"127.0.0.1:9000\"\n",
            "[listen]\n\nagents = \"127.0.0.1:8480\"\n",
        ] {
            let message = parse(text).unwrap_err();
            assert!(
                message.contains("c.toml:3: `listen.agents`") && message.contains("another port"),
                "{message}"
            );
        }
        assert!(parse("[listen]\noperators = \"127.0.0.1:0\"\nagents = \"127.0.0.1:0\"\n").is_ok());
    }

    #[test]
    fn a_file_that_is_not_there_says_which_and_what_to_do() {
        let error = Config::load(Path::new("/nonexistent/c.toml")).unwrap_err();
        let message = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(message.matches("No such file").count(), 1, "{message}");
        assert!(message.contains("/nonexistent/c.toml") && message.contains("--config"), "{message}");
    }
}
