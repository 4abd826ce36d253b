//! ZooKeeper's four-letter words, versions 3.4 to 3.9: how to ask, and readers of what comes back.
//!
//! `srvr` is asked first: since 3.5.3 it is the only word allowed unless others are listed. A member without a
//! quorum answers too, so an answer proves nothing; its words do.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// An answer longer than this is cut; `mntr` of 3.9 is about 20 KiB.
const LONGEST_ANSWER: u64 = 1 << 20;

/// What a member says about itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Member {
    /// Its version, such as `3.4.13`.
    pub version: String,
    /// `leader`, `follower`, `observer`, `standalone`, `read-only`.
    pub mode: Option<String>,
    /// Its last transaction; the high half is the epoch.
    pub zxid: Option<u64>,
    /// Followers in sync (leader, `mntr` only).
    pub synced_followers: Option<u64>,
    /// Requests waiting.
    pub outstanding: Option<u64>,
    /// Nodes it holds.
    pub nodes: Option<u64>,
}

impl Member {
    /// The epoch, one for each leadership.
    pub fn epoch(&self) -> Option<u64> {
        self.zxid.map(|zxid| zxid >> 32)
    }
}

/// An answer that says nothing about a member's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZooKeeperError {
    /// It runs but is in no quorum.
    #[error("it is not serving requests: it has no quorum")]
    NotServing,
    /// The word is not on its whitelist.
    #[error("it refuses the word: add it to 4lw.commands.whitelist")]
    NotAllowed,
    /// No answer of ZooKeeper's.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads the answer to `srvr` or `stat`; clients that `stat` lists are passed over.
///
/// # Errors
/// The member does not serve, refuses the word, or this is no such answer.
pub fn read_srvr(answer: &[u8]) -> Result<Member, ZooKeeperError> {
    let text = words(answer)?;
    let mut member = Member::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Zookeeper version" => member.version = short_version(value),
            "Zxid" => {
                member.zxid = value.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok())
            }
            "Mode" => member.mode = Some(value.to_owned()).filter(|mode| !mode.is_empty()),
            "Outstanding" => member.outstanding = value.parse().ok(),
            "Node count" => member.nodes = value.parse().ok(),
            _ => {}
        }
    }
    complete(member)
}

/// Reads the answer to `mntr`: lines of key, tab, value.
///
/// # Errors
/// As [`read_srvr`].
pub fn read_mntr(answer: &[u8]) -> Result<Member, ZooKeeperError> {
    let text = words(answer)?;
    let mut member = Member::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let value = value.trim();
        match key.trim() {
            "zk_version" => member.version = short_version(value),
            "zk_server_state" => member.mode = Some(value.to_owned()).filter(|mode| !mode.is_empty()),
            "zk_synced_followers" => member.synced_followers = count(value),
            "zk_outstanding_requests" => member.outstanding = count(value),
            "zk_znode_count" => member.nodes = count(value),
            _ => {}
        }
    }
    complete(member)
}

/// Counts may be written as floats.
fn count(value: &str) -> Option<u64> {
    value.parse::<f64>().ok().filter(|number| (0.0..1e15).contains(number)).map(|number| number as u64)
}

fn words(answer: &[u8]) -> Result<&str, ZooKeeperError> {
    let text = std::str::from_utf8(answer)
        .map_err(|_| ZooKeeperError::Unreadable("not text, so no answer of ZooKeeper's".to_owned()))?;
    if text.contains("not currently serving requests") {
        return Err(ZooKeeperError::NotServing);
    }
    if text.contains("is not executed because it is not in the whitelist") {
        return Err(ZooKeeperError::NotAllowed);
    }
    Ok(text)
}

fn complete(member: Member) -> Result<Member, ZooKeeperError> {
    if member.mode.is_none() && member.version.is_empty() {
        return Err(ZooKeeperError::Unreadable(
            "neither a version nor a mode: no answer of ZooKeeper's".to_owned(),
        ));
    }
    Ok(member)
}

/// `3.6.2--803c7f…, built on …` is `3.6.2`.
fn short_version(text: &str) -> String {
    text.split(['-', ',', ' ']).next().unwrap_or_default().to_owned()
}

/// Sends a four-letter word and reads to the end.
///
/// # Errors
/// Nobody listens, or the answer does not end within `deadline`.
pub async fn ask(address: SocketAddr, word: &str, deadline: Duration) -> Result<Vec<u8>, AskError> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(word.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(deadline, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(AskError::NoAnswer(format!("ask {address} {word}: {error}"))),
        Err(_) => Err(AskError::Late),
    }
}

/// Why a word got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    NoAnswer(String),
    /// Nothing came in time.
    #[error("no answer in time")]
    Late,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srvr_of_every_version_reads_alike() {
        let old = read_srvr(b"Zookeeper version: 3.4.13-2d71af4, built on 06/29/2018 04:05 GMT\nLatency min/avg/max: 0/0/0\nReceived: 4\nOutstanding: 0\nZxid: 0x100000000\nMode: leader\nNode count: 4\n").unwrap();
        assert_eq!(
            (old.version.as_str(), old.mode.as_deref(), old.epoch()),
            ("3.4.13", Some("leader"), Some(1))
        );
        let new = read_srvr(b"Zookeeper version: 3.6.2--803c7f1, built on 09/04/2020 12:44 GMT\r\nLatency min/avg/max: 0/2.5699/514\r\nZxid: 0x500040dc8\r\nMode: follower\r\nNode count: 44\r\n").unwrap();
        assert_eq!((new.mode.as_deref(), new.epoch(), new.nodes), (Some("follower"), Some(5), Some(44)));
    }

    #[test]
    fn the_clients_that_stat_lists_are_no_part_of_the_member() {
        let answer = b"Zookeeper version: 3.5.8-f43, built on 05/04/2020 15:07 GMT\nClients:\n /0:0:0:0:0:0:0:1:50448[0](queued=0,recved=1,sent=0)\n\nZxid: 0x200000001\nMode: standalone\nNode count: 5\n";
        let member = read_srvr(answer).unwrap();
        assert_eq!((member.mode.as_deref(), member.nodes), (Some("standalone"), Some(5)));
    }

    #[test]
    fn mntr_tells_the_followers_in_sync_also_as_a_float() {
        let member = read_mntr(b"zk_version\t3.4.6-1569965, built on 02/20/2014\nzk_server_state\tleader\nzk_avg_latency\t1.67\nzk_synced_followers\t2.0\n").unwrap();
        assert_eq!((member.version.as_str(), member.synced_followers), ("3.4.6", Some(2)));
    }

    #[test]
    fn an_answer_that_is_no_state_is_told_by_what_it_is() {
        for (answer, error) in [
            ("This ZooKeeper instance is not currently serving requests\n", ZooKeeperError::NotServing),
            ("mntr is not executed because it is not in the whitelist.\n", ZooKeeperError::NotAllowed),
        ] {
            assert_eq!(read_srvr(answer.as_bytes()), Err(error.clone()));
            assert_eq!(read_mntr(answer.as_bytes()), Err(error));
        }
        for answer in [&b""[..], b"imok", b"\xff\xfe", b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
            assert!(matches!(read_srvr(answer), Err(ZooKeeperError::Unreadable(_))), "{answer:?}");
            assert!(matches!(read_mntr(answer), Err(ZooKeeperError::Unreadable(_))), "{answer:?}");
        }
    }
}
