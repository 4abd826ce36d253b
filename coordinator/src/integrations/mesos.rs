//! The Mesos masters, versions 0.22 to 1.11: readers of what they say, each from a stream into small structs; who asks
//! them ([`ObserveMesos`]), who is told that something happened ([`MesosEvents`]), and, apart from those, who stops and
//! lets flow the offers of an agent ([`MesosAct`]).
//!
//! A `/state` is megabytes of finished tasks around some living ones: what nobody here wants is passed over
//! while it is read. Missing and further fields are no error; a wrong shape where work is listed is one, since
//! "no task" must never come from a misread answer.

mod act;
mod agents;
mod client;
mod events;
mod foreign;
mod masters;
mod metrics;
mod record_io;
mod state;
mod summary;
mod task;
#[cfg(test)]
mod testing;
mod whitelist;

pub use act::{MesosAct, MesosOperator, Outcome};
pub use agents::{Agent, Agents, read_agents};
pub use client::{MesosError, MesosMasters, ObserveMesos};
pub use events::{LeaderEvents, MesosEvents, PATIENCE};
pub use foreign::{ForeignChange, ForeignKind, Intent, foreign_changes};
pub use metrics::{Metrics, read_metrics};
pub use state::{MasterState, read_state};
pub use summary::{AgentSummary, Summary, read_summary};
pub use whitelist::{Difference, DifferenceKind, Why, content, differences, read_content, whitelist};

use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, Read};
use thiserror::Error;

/// Why an answer of a master cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The answer broke off or never came.
    #[error("read {what}: {source}")]
    Broken {
        /// Which answer.
        what: &'static str,
        /// What the connection or file said.
        source: io::Error,
    },
    /// It is no JSON, or not of the shape that is read.
    #[error("read {what}: {why}")]
    Unreadable {
        /// Which answer.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// Reads one object from a stream.
fn read_object<T: DeserializeOwned>(what: &'static str, body: impl Read) -> Result<T, ReadError> {
    let mut body = BufReader::new(body);
    let first = first_byte(&mut body).map_err(|source| ReadError::Broken { what, source })?;
    // serde alone would take a list for an object whose fields are all missing.
    if first != Some(b'{') {
        let why = if first.is_none() { "nothing there, not even JSON" } else { "not an object of JSON" };
        return Err(ReadError::Unreadable { what, why: why.to_owned() });
    }
    serde_json::from_reader(body).map_err(|error| match error.io_error_kind() {
        Some(kind) => ReadError::Broken { what, source: kind.into() },
        None => ReadError::Unreadable { what, why: error.to_string() },
    })
}

/// The first byte that is no white space, left in place.
fn first_byte(body: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = body.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(position) => {
                let first = buffer.get(position).copied();
                body.consume(position);
                return Ok(first);
            }
            None => {
                let length = buffer.len();
                body.consume(length);
            }
        }
    }
}
