//! What there is to look at on this machine.

use std::{path::Path, time::Duration};
use tokio::net::TcpStream;

/// Where Puppet leaves its traces, by version.
const PUPPET: [&str; 6] = [
    "/opt/puppetlabs/puppet/public",
    "/opt/puppetlabs/puppet/cache/state",
    "/var/lib/puppet/state",
    "/var/cache/puppet/public",
    "/var/cache/puppet/state",
    "/var/lib/puppet/public",
];
const DOCKER: &str = "/var/run/docker.sock";
/// A port on this machine answers at once or not at all.
const KNOCK: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub docker: bool,
    pub mesos_agent: bool,
    pub mesos_master: bool,
    pub puppet: bool,
    pub build: bool,
}

impl Found {
    /// Looks, and touches nothing.
    pub async fn look() -> Self {
        Self {
            docker: Path::new(DOCKER).exists(),
            mesos_agent: answers(5051).await,
            mesos_master: answers(5050).await,
            puppet: PUPPET.iter().any(|folder| Path::new(folder).is_dir()),
            build: Path::new("/build").is_dir(),
        }
    }

    /// In words.
    pub fn lines(self) -> Vec<String> {
        let line = |found: bool, what: &str, absent: &str| {
            if found { format!("looked at {what}") } else { format!("no {what}: {absent}") }
        };
        vec![
            line(self.docker, "Docker (/var/run/docker.sock)", "containers and images are not looked at"),
            line(self.mesos_agent, "Mesos agent (port 5051)", "there are no tasks to wait for"),
            line(self.mesos_master, "Mesos master (port 5050)", "the second view of tasks is missing"),
            line(self.puppet, "Puppet", "its runs are not looked at"),
            line(self.build, "build volume (/build)", "no volume is expected"),
        ]
    }
}

async fn answers(port: u16) -> bool {
    let knock = TcpStream::connect(("127.0.0.1", port));
    tokio::time::timeout(KNOCK, knock).await.is_ok_and(|connected| connected.is_ok())
}
