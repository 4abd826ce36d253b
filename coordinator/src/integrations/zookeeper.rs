//! ZooKeeper's ensembles, member by member, by their four-letter words, versions 3.4 to 3.9.
//!
//! `srvr` is asked first: since 3.5.3 it is the only word allowed unless others are listed. `mntr` adds numbers where it
//! is allowed. `ruok` is never asked: a member without a quorum says `imok` as well.

mod words;

use super::Observe;
use crate::fleet::{EnsembleSeen, MemberSaid, Observation};
use futures_util::future::{BoxFuture, join_all};
use millwright_decision::Source;
use millwright_protocol::NodeName;
use std::{collections::BTreeMap, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// `mntr` of 3.9 is about 20 KiB.
const LONGEST_ANSWER: u64 = 1 << 20;

/// The ensembles as configured.
pub struct ZooKeeperClient {
    /// Each one's name, and where its members are.
    ensembles: Vec<(String, BTreeMap<NodeName, String>)>,
    timeout: Duration,
}

/// Why a member says nothing about its place.
enum NoWord {
    /// Nobody answers.
    Silent(String),
    /// It answers that it takes no part, or something else than ZooKeeper would.
    Idle(String),
}

impl NoWord {
    fn why(self) -> String {
        match self {
            Self::Silent(why) | Self::Idle(why) => why,
        }
    }
}

impl ZooKeeperClient {
    /// Members by their node, each at an address such as `alimesos01.cern.ch:2181`; `timeout` bounds each word.
    pub fn new(ensembles: Vec<(String, BTreeMap<NodeName, String>)>, timeout: Duration) -> Self {
        Self { ensembles, timeout }
    }

    async fn look_once(&self) -> Result<Vec<EnsembleSeen>, String> {
        let mut all = Vec::new();
        let (mut has_answer, mut last) = (false, None);
        for (name, members) in &self.ensembles {
            let asked = members
                .iter()
                .map(|(node, address)| async move { (node, address, self.member(address).await) });
            let mut seen = EnsembleSeen { name: name.clone(), members: BTreeMap::new() };
            for (node, address, said) in join_all(asked).await {
                has_answer |= !matches!(said, Err(NoWord::Silent(_)));
                let said = said.map_err(|no_word| format!("{address}: {}", no_word.why()));
                last = said.as_ref().err().cloned().or(last);
                seen.members.insert(node.clone(), said);
            }
            all.push(seen);
        }
        // Nobody at all: that is our own network, or a whole site that is gone. Either way nothing is known.
        match last {
            Some(why) if !has_answer => Err(format!("no member answers: {why}")),
            _ => Ok(all),
        }
    }

    async fn member(&self, address: &str) -> Result<MemberSaid, NoWord> {
        let answer = self.word(address, "srvr").await.map_err(NoWord::Silent)?;
        let said = words::read_srvr(&answer).map_err(NoWord::Idle)?;
        // Numbers only: without them a member takes part all the same.
        let more = match self.word(address, "mntr").await {
            Ok(answer) => words::read_mntr(&answer).unwrap_or_default(),
            Err(_) => MemberSaid::default(),
        };
        Ok(MemberSaid {
            synced_followers: more.synced_followers,
            outstanding: said.outstanding.or(more.outstanding),
            data_bytes: more.data_bytes,
            ..said
        })
    }

    async fn word(&self, address: &str, word: &str) -> Result<Vec<u8>, String> {
        let asking = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(word.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        match timeout(self.timeout, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(why.to_string()),
            Err(_) => Err(format!("no answer to {word} within {} s", self.timeout.as_secs_f32())),
        }
    }
}

impl Observe for ZooKeeperClient {
    fn source(&self) -> Source {
        Source::ZooKeeper
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::ZooKeeper(self.look_once().await?)) })
    }
}
