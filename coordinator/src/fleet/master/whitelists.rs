//! The whitelists of the Mesos masters, as their agents read them from the files, and what they mean for the offers of a
//! host.
//!
//! Any master may lead next, so offers of a host are stopped once every master's file lacks it, and flow once every file has
//! it, each for as long as a master takes to read it again. Anything between, or a master that is not heard, is unknown:
//! neither a cordon nor its end.

use jiff::{SignedDuration, Timestamp};
use millwright_protocol::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// A master reads its file every five seconds.
pub const TAKES_EFFECT: SignedDuration = SignedDuration::from_secs(5);
/// By then it surely has, and whoever wrote the file has said so.
const SURELY: SignedDuration = SignedDuration::from_secs(6);

/// What is known of the offers of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    /// It gets offers, as far as whitelists go.
    Flow,
    /// No master offers it.
    Stopped,
    /// Masters differ, or one is not heard.
    Unknown,
}

/// The list of every master that keeps one.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Whitelists(BTreeMap<NodeName, Kept>);

#[derive(Debug)]
struct Kept {
    hosts: BTreeSet<String>,
    /// Since when this list is known at all.
    since: Timestamp,
    /// Hosts that came or went a moment ago, and when.
    changed: BTreeMap<String, Timestamp>,
}

impl Whitelists {
    /// Takes what a master's file holds; `None` when nobody keeps one there, or nobody can read it.
    pub fn hear(&mut self, master: &NodeName, hosts: Option<BTreeSet<String>>, now: Timestamp) {
        let Some(hosts) = hosts else {
            self.0.remove(master);
            return;
        };
        let Some(kept) = self.0.get_mut(master) else {
            self.0.insert(master.clone(), Kept { hosts, since: now, changed: BTreeMap::new() });
            return;
        };
        if kept.hosts == hosts {
            return;
        }
        // Nothing was listed while there was no file, and nothing has left it.
        if kept.hosts.is_empty() {
            kept.since = now;
        }
        kept.changed.retain(|_, at| now.duration_since(*at) < SURELY);
        kept.changed.extend(kept.hosts.symmetric_difference(&hosts).map(|host| (host.clone(), now)));
        kept.hosts = hosts;
    }

    /// What a master's file holds, as last heard.
    pub fn of(&self, master: &NodeName) -> Option<&BTreeSet<String>> {
        self.0.get(master).map(|kept| &kept.hosts)
    }

    /// What these masters' lists mean for a host; each with whether its agent is heard.
    pub fn offers<'a>(
        &self,
        host: &str,
        masters: impl IntoIterator<Item = (&'a NodeName, bool)>,
        now: Timestamp,
    ) -> Offers {
        let each = masters.into_iter().map(|(master, is_heard)| match self.0.get(master) {
            _ if !is_heard => Offers::Unknown,
            None => Offers::Flow,
            Some(kept) => {
                let since = kept.changed.get(host).copied().unwrap_or(kept.since);
                match kept.hosts.is_empty() || kept.hosts.contains(host) {
                    _ if now.duration_since(since) < SURELY => Offers::Unknown,
                    true => Offers::Flow,
                    false => Offers::Stopped,
                }
            }
        });
        each.reduce(|one, other| if one == other { one } else { Offers::Unknown }).unwrap_or(Offers::Flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{at, name};

    fn hosts(names: &[&str]) -> Option<BTreeSet<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn offers(lists: &Whitelists, host: &str, now: i64) -> Offers {
        let masters = [name("m1"), name("m2")];
        lists.offers(host, masters.iter().map(|master| (master, true)), at(now))
    }

    #[test]
    fn offers_are_stopped_once_every_master_has_read_a_list_without_the_host() {
        let mut lists = Whitelists::default();
        for master in ["m1", "m2"] {
            lists.hear(&name(master), hosts(&["a", "b"]), at(0));
        }
        assert_eq!((offers(&lists, "a", 5), offers(&lists, "a", 6)), (Offers::Unknown, Offers::Flow));
        lists.hear(&name("m1"), hosts(&["b"]), at(10));
        assert_eq!(offers(&lists, "a", 60), Offers::Unknown, "any master may lead next");
        lists.hear(&name("m2"), hosts(&["b"]), at(60));
        assert_eq!(offers(&lists, "a", 65), Offers::Unknown, "it may not have read it yet");
        assert_eq!(offers(&lists, "a", 66), Offers::Stopped);
        assert_eq!(offers(&lists, "b", 66), Offers::Flow);
    }

    #[test]
    fn a_list_that_changes_for_another_host_leaves_a_cordon_as_it_is() {
        let mut lists = Whitelists::default();
        for (names, now) in [(&["a", "b", "c"][..], 0), (&["b", "c"], 10), (&["c"], 100)] {
            lists.hear(&name("m1"), hosts(names), at(now));
            lists.hear(&name("m2"), hosts(names), at(now));
        }
        assert_eq!((offers(&lists, "a", 101), offers(&lists, "b", 101)), (Offers::Stopped, Offers::Unknown));
    }

    #[test]
    fn a_master_that_is_not_heard_leaves_everything_unknown() {
        let mut lists = Whitelists::default();
        lists.hear(&name("m1"), hosts(&["b"]), at(0));
        let master = name("m1");
        assert_eq!(lists.offers("a", [(&master, false)], at(60)), Offers::Unknown);
        assert_eq!(lists.offers("b", [(&master, false)], at(60)), Offers::Unknown);
        assert_eq!(lists.offers("a", [(&master, true)], at(60)), Offers::Stopped);
    }

    #[test]
    fn where_nobody_keeps_a_list_offers_flow() {
        let mut lists = Whitelists::default();
        assert_eq!(offers(&lists, "a", 60), Offers::Flow);
        lists.hear(&name("m1"), hosts(&[]), at(0));
        assert_eq!(offers(&lists, "a", 60), Offers::Flow, "no file is no list");
        lists.hear(&name("m1"), hosts(&["b"]), at(60));
        assert_eq!(offers(&lists, "a", 120), Offers::Unknown, "one stops them and one does not");
        lists.hear(&name("m1"), None, at(121));
        assert_eq!(offers(&lists, "a", 122), Offers::Flow);
    }
}
