//! What the node itself has to say to an order, as plain data: who objects, and what runs.

use millwright_protocol::{ContainerRole, LocalHold};

/// Facts are older than this are no facts.
pub const OLDEST_SECONDS: u64 = 30;

/// What the node says, read just now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LocalFacts {
    /// Holds set on the node that are in force.
    pub holds: Vec<LocalHold>,
    /// Who must not be disturbed by a reboot, each as a sentence: an inhibitor of logind, somebody logged in, a package
    /// manager at work, a shutdown that is planned already; also what could not be read.
    pub objections: Vec<String>,
    /// Whether Puppet runs, as a sentence.
    pub puppet: Option<String>,
    /// An array that is being put together again, as a sentence.
    pub raid: Option<String>,
    /// Ids of living tasks.
    pub tasks: Known<Vec<String>>,
    /// Names and roles of running containers.
    pub containers: Known<Vec<(String, ContainerRole)>>,
    /// What the ZooKeeper member here is in its ensemble.
    pub zookeeper: Known<String>,
}

/// Something the node looks at in a rhythm.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Known<T> {
    /// Its own configuration says that there is no such thing here.
    NotHere,
    /// It was not seen.
    #[default]
    Unknown,
    /// It was seen.
    Seen {
        /// How long ago, in seconds.
        age_seconds: u64,
        /// What was seen.
        value: T,
    },
}

impl<T> Known<T> {
    /// What is known of it; nothing where there is no such thing.
    ///
    /// # Errors
    /// Why nobody can tell, beginning with `what`.
    pub fn fresh(&self, what: &str) -> Result<Option<&T>, String> {
        match self {
            Self::NotHere => Ok(None),
            Self::Seen { age_seconds, value } if *age_seconds <= OLDEST_SECONDS => Ok(Some(value)),
            Self::Seen { age_seconds, .. } => Err(format!(
                "{what} was seen {age_seconds} s ago, which is no knowledge: more than {OLDEST_SECONDS} s"
            )),
            Self::Unknown => Err(format!("{what} is not known")),
        }
    }
}
