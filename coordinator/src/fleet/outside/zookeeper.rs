//! ZooKeeper's ensembles: who takes part, since when, and how much they hold.

use crate::fleet::Fleet;
use jiff::Timestamp;
use millwright_decision::fleet::{Ensemble, Member};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// What the members of one ensemble say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnsembleSeen {
    /// As configured.
    pub name: String,
    /// What each member says, by its node, or why it says nothing.
    pub members: BTreeMap<NodeName, Result<MemberSaid, String>>,
}

/// What a member says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSaid {
    /// Its version, such as `3.4.13`.
    pub version: String,
    /// `leader`, `follower`, `observer`, `standalone`, `read-only`; a member without a majority says nothing at all.
    pub mode: String,
    /// Its leadership: the high half of its last transaction.
    pub epoch: Option<u64>,
    /// Followers in sync, as the leader counts them.
    pub synced_followers: Option<u64>,
    /// Requests that wait.
    pub outstanding: Option<u64>,
    /// How long a request took on average, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Bytes of data it holds.
    pub data_bytes: Option<u64>,
    /// Nodes it holds.
    pub znodes: Option<u64>,
}

/// What is kept of an ensemble beside its members' standing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::fleet) struct Kept {
    /// What each member last said.
    pub said: BTreeMap<NodeName, MemberSaid>,
    /// How much data there was when we first saw it.
    pub first_bytes: Option<(Timestamp, u64)>,
}

impl Fleet {
    /// Takes in an answer; the sentence that tells of it.
    pub(super) fn take_zookeeper(&mut self, seen: Vec<EnsembleSeen>, at: Timestamp) -> String {
        let before = std::mem::take(&mut self.snapshot.ensembles);
        // What was not seen for too long is not known to have gone on.
        let before: Vec<Ensemble> =
            before.into_iter().filter(|ensemble| at.duration_since(ensemble.at) <= super::STALE).collect();
        self.snapshot.ensembles = seen
            .iter()
            .map(|seen| ensemble(seen, before.iter().find(|ensemble| ensemble.name == seen.name), at))
            .collect();
        let mut kept = std::mem::take(&mut self.outside.ensembles);
        kept.retain(|name, _| seen.iter().any(|seen| seen.name == *name));
        for seen in seen {
            let of_it = kept.entry(seen.name).or_default();
            of_it.said =
                seen.members.into_iter().filter_map(|(node, said)| Some((node, said.ok()?))).collect();
            let bytes = of_it.said.values().filter_map(|said| said.data_bytes).max();
            of_it.first_bytes = of_it.first_bytes.or(bytes.map(|bytes| (at, bytes)));
        }
        self.outside.ensembles = kept;
        self.snapshot.ensembles.iter().map(|ensemble| self.tell(ensemble)).collect::<Vec<_>>().join("; ")
    }

    fn tell(&self, ensemble: &Ensemble) -> String {
        let takes_part = |member: &&Member| member.in_quorum_since.is_some();
        let count = ensemble.members.iter().filter(takes_part).count();
        let leader = ensemble.members.iter().find(|member| member.leads && takes_part(member));
        let leader = leader.map_or_else(
            || "nobody leads".to_owned(),
            |leader| format!("{} leads", self.policy.spell(&leader.node)),
        );
        format!("ensemble {}: {count} of {} take part, {leader}", ensemble.name, ensemble.members.len())
    }
}

/// The standing of every member: in the quorum is who leads, or follows the one who does.
///
/// A member that says "follower" has copied what its leader had. That it follows this leader is certain when its last
/// transaction is of the leader's epoch. Right after an election there is none of that epoch yet: then the leader's word
/// counts, that so many follow it as say so.
fn ensemble(seen: &EnsembleSeen, before: Option<&Ensemble>, at: Timestamp) -> Ensemble {
    let said = || seen.members.values().filter_map(|said| said.as_ref().ok());
    let leaders: Vec<&MemberSaid> = said().filter(|said| said.mode == "leader").collect();
    // Two leaders at once are an election that is not over, or two ensembles under one name.
    let leader = match leaders.as_slice() {
        [leader] => Some(*leader),
        _ => None,
    };
    let followers = said().filter(|said| said.mode == "follower").count() as u64;
    let follows = |said: &MemberSaid, leader: &MemberSaid| {
        let all_are_in_sync = leader.synced_followers.is_none_or(|synced| synced >= followers);
        said.epoch == leader.epoch || (said.epoch < leader.epoch && all_are_in_sync)
    };
    let has_peers = seen.members.len() > 1;
    let majority = seen.members.len() / 2 + 1;
    let takes_part = |said: &MemberSaid| match said.mode.as_str() {
        "leader" => leader.is_some(),
        "follower" => leader.is_some_and(|leader| follows(said, leader)),
        "standalone" => !has_peers,
        _ => false,
    };
    let is_whole = said().filter(|said| takes_part(said)).count() >= majority;
    let members = seen.members.iter().map(|(node, said)| {
        let was = before.and_then(|before| before.member_on(node)).and_then(|member| member.in_quorum_since);
        let is_in = is_whole && said.as_ref().is_ok_and(takes_part);
        Member {
            node: node.clone(),
            in_quorum_since: is_in.then(|| was.unwrap_or(at)),
            leads: said.as_ref().is_ok_and(|said| said.mode == "leader"),
            story: match said {
                Ok(said) if is_in && said.mode == "leader" => "it leads".to_owned(),
                Ok(said) if is_in && said.mode == "follower" => "it follows".to_owned(),
                Ok(said) if is_in => format!("it is {}", said.mode),
                Ok(said) if leaders.len() > 1 => {
                    format!("it says {}, and {} members say that they lead", said.mode, leaders.len())
                }
                Ok(said) if leaders.is_empty() => format!("it says {}, and nobody leads", said.mode),
                Ok(said) if said.mode == "standalone" => "it runs alone, outside the ensemble".to_owned(),
                Ok(said) if !is_whole => format!("it says {}, without a majority", said.mode),
                Ok(said) => format!("it says {}, and not of the leader that the others have", said.mode),
                Err(why) => why.clone(),
            },
        }
    });
    Ensemble { name: seen.name.clone(), at, members: members.collect() }
}
