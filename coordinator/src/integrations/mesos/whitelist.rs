//! The whitelist of Mesos: the one way to stop offers before 1.9, and the one that survives new agent ids.
//!
//! Every master reads a file with one host name a line, every 5 seconds, and offers no agent of any other host. Measured on
//! 1.4.3: a list that was replaced (written beside, then renamed) takes effect at the next reading; running tasks go on.
//! Offers that frameworks already hold are *not* taken back, other than by a deactivation, and some frameworks keep them
//! for minutes: a task may still start for as long as `offered` is seen, so no proof of emptiness before that counts. An
//! empty file stops offers everywhere, and one that is missing leaves the last list in force. Names are compared letter by
//! letter with those that agents announced, so they are written as announced.
//!
//! The content is made here; masters' agents write it (`set_whitelist`) and say in their answer what the file holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Why no list is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nobody would get offers: that is an outage, not a cordon.
    #[error(
        "make the whitelist of Mesos: of {known} known hosts none is left; wait until Mesos has listed its agents, or \
         return nodes first"
    )]
    Empty {
        /// Hosts that are known.
        known: usize,
    },
    /// More than may be out.
    #[error(
        "make the whitelist of Mesos: {dropped} of {known} hosts would get no offers, {allowed} are allowed; return nodes \
         first"
    )]
    TooMany {
        /// Hosts that would be missing.
        dropped: usize,
        /// Hosts that are known.
        known: usize,
        /// How many may be missing.
        allowed: usize,
    },
    /// A name that would be two lines, none, or something else than a host's.
    #[error("make the whitelist of Mesos: {name:?} is no host name; look at MESOS_HOSTNAME of that agent")]
    Name {
        /// What was found.
        name: String,
    },
}

/// Every known host but the cordoned ones, in order.
///
/// `known` are the hosts as their agents announced them; who is away for a moment belongs there too, for otherwise it
/// gets no offers when it comes back. A cordoned host that is not known stays out all the same. At most `allowed` known
/// hosts may be missing from the list.
///
/// # Errors
/// The list would be empty, or lack more than allowed, or hold what is no host name.
pub fn whitelist(
    known: &BTreeSet<String>,
    cordoned: &BTreeSet<String>,
    allowed: usize,
) -> Result<Vec<String>, Why> {
    if let Some(name) = known.iter().chain(cordoned).find(|name| !is_host_name(name)) {
        return Err(Why::Name { name: name.chars().take(80).collect() });
    }
    // The masters compare letter by letter, people and DNS do not: a cordon must not fail over a capital.
    let is_cordoned = |host: &String| cordoned.iter().any(|cordoned| cordoned.eq_ignore_ascii_case(host));
    let hosts: Vec<String> = known.iter().filter(|host| !is_cordoned(host)).cloned().collect();
    let dropped = known.len() - hosts.len();
    if hosts.is_empty() {
        return Err(Why::Empty { known: known.len() });
    }
    if dropped > allowed {
        return Err(Why::TooMany { dropped, known: known.len(), allowed });
    }
    Ok(hosts)
}

/// The file: one host a line.
pub fn content(hosts: &[String]) -> String {
    hosts.iter().flat_map(|host| [host.as_str(), "\n"]).collect()
}

/// The hosts in a file, as Mesos reads it: empty lines do not count, blanks do.
pub fn read_content(text: &str) -> BTreeSet<String> {
    text.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What one master's file holds that it should not, or lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which master.
    pub master: String,
    /// How it differs.
    pub what: DifferenceKind,
}

/// How a master's file differs from the list that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Nobody has said what it holds.
    NotSaid,
    /// Other hosts than wanted.
    Hosts {
        /// These get offers though they should not.
        too_many: BTreeSet<String>,
        /// These get none though they should.
        missing: BTreeSet<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |hosts: &BTreeSet<String>| {
            let shown: Vec<&str> = hosts.iter().take(5).map(String::as_str).collect();
            let more = hosts.len().saturating_sub(shown.len());
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{rest}", shown.join(", "))
        };
        let master = &self.master;
        match &self.what {
            DifferenceKind::NotSaid => write!(formatter, "{master} has not said what its whitelist holds"),
            DifferenceKind::Hosts { too_many, missing } if missing.is_empty() => {
                write!(formatter, "the whitelist of {master} still lists {}", list(too_many))
            }
            DifferenceKind::Hosts { too_many, missing } if too_many.is_empty() => {
                write!(formatter, "the whitelist of {master} lacks {}", list(missing))
            }
            DifferenceKind::Hosts { too_many, missing } => write!(
                formatter,
                "the whitelist of {master} still lists {} and lacks {}",
                list(too_many),
                list(missing)
            ),
        }
    }
}

/// Compares what every master's file holds with the list that was wanted; empty when all agree. Any master may lead next,
/// so a cordon holds only once all of them have it.
pub fn differences<'a>(
    wanted: &[String],
    masters: impl IntoIterator<Item = &'a str>,
    said: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Difference> {
    let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
    let compare = |master: &str| {
        let what = match said.get(master) {
            None => DifferenceKind::NotSaid,
            Some(hosts) if *hosts == wanted => return None,
            Some(hosts) => DifferenceKind::Hosts {
                too_many: hosts.difference(&wanted).cloned().collect(),
                missing: wanted.difference(hosts).cloned().collect(),
            },
        };
        Some(Difference { master: master.to_owned(), what })
    };
    masters.into_iter().filter_map(compare).collect()
}

fn is_host_name(name: &str) -> bool {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    !name.is_empty() && name.len() <= 253 && name.bytes().all(is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_host_but_the_cordoned_ones_gets_offers_spelled_as_it_announces_itself() {
        let known = set(&["n1.cern.ch", "N2.cern.ch", "n3.cern.ch"]);
        let hosts = whitelist(&known, &set(&["n1.cern.ch"]), 1).unwrap();
        assert_eq!(hosts, ["N2.cern.ch", "n3.cern.ch"]);
        assert_eq!(content(&hosts), "N2.cern.ch\nn3.cern.ch\n");
        assert_eq!(read_content(&format!("\n{}", content(&hosts))), hosts.into_iter().collect());
        assert_eq!(read_content("n1 \nn2\r\n"), set(&["n1 ", "n2\r"]), "to Mesos these are other hosts");
    }

    #[test]
    fn a_cordon_does_not_fail_over_a_capital() {
        assert_eq!(whitelist(&set(&["N1.cern.ch", "n2"]), &set(&["n1.CERN.ch"]), 1).unwrap(), ["n2"]);
    }

    #[test]
    fn a_cordoned_host_that_nobody_lists_stays_out_and_counts_for_nothing() {
        assert_eq!(whitelist(&set(&["n1", "n2"]), &set(&["n9"]), 0).unwrap(), ["n1", "n2"]);
    }

    #[test]
    fn nobody_left_is_refused_however_much_may_go() {
        for (known, cordoned) in [(set(&[]), set(&[])), (set(&["n1"]), set(&["n1"]))] {
            let why = whitelist(&known, &cordoned, 100).unwrap_err();
            assert!(matches!(why, Why::Empty { .. }), "{why}");
        }
    }

    #[test]
    fn more_than_may_go_is_refused_and_exactly_that_many_is_not() {
        let known = set(&["n1", "n2", "n3", "n4"]);
        assert!(whitelist(&known, &set(&["n1", "n2"]), 2).is_ok());
        let why = whitelist(&known, &set(&["n1", "n2", "n3"]), 2).unwrap_err();
        assert_eq!(why, Why::TooMany { dropped: 3, known: 4, allowed: 2 });
        assert!(why.to_string().contains("3 of 4 hosts would get no offers, 2 are allowed"));
    }

    #[test]
    fn what_would_not_be_one_line_is_no_host() {
        for bad in ["", "a b", "a\nb", "*", "a#b", "é"] {
            let known = set(&["n1", bad]);
            assert!(matches!(whitelist(&known, &set(&[]), 1), Err(Why::Name { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_list_is_in_force_when_every_master_says_so() {
        let wanted = ["n1".to_owned(), "n2".to_owned()];
        let said = |hosts: &[&str]| ("m1".to_owned(), set(hosts));
        assert_eq!(differences(&wanted, ["m1"], &BTreeMap::from([said(&["n2", "n1"])])), []);
        for (hosts, sentence) in [
            (&["n1", "n2", "n3"][..], "the whitelist of m1 still lists n3"),
            (&["n1"], "the whitelist of m1 lacks n2"),
            (&["n1", "n9"], "the whitelist of m1 still lists n9 and lacks n2"),
        ] {
            let found = differences(&wanted, ["m1"], &BTreeMap::from([said(hosts)]));
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [sentence]);
        }
        let silent = differences(&wanted, ["m1", "m2"], &BTreeMap::from([said(&["n1", "n2"])]));
        assert_eq!(silent, [Difference { master: "m2".into(), what: DifferenceKind::NotSaid }]);
    }
}
