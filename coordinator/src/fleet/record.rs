//! What is kept about a node beside what decisions rest on: who it is, what it last said, how it is shown.

use super::packed::Packed;
use crate::view::{DiskSummary, FindingCounts, NodeState};
use jiff::Timestamp;
use millwright_decision::fleet::{APART, AgentView};
use millwright_protocol::{LocalHold, Report, Seen, VolumeFact};
use serde::{Deserialize, Serialize};

/// Everything of one node that [`millwright_decision::Node`] does not hold.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Who the machine is, as first seen or last accepted.
    pub identity: Option<Identity>,
    /// The head of its last report.
    pub said: Option<Said>,
    /// Findings and facts of its last report.
    pub packed: Packed,
    /// A digest of names, statuses and beginnings of its findings: equal means that nothing changed.
    pub fingerprint: u64,
    /// How many findings there are of each status.
    pub counts: FindingCounts,
    /// The disk to worry about.
    pub disk: Option<DiskSummary>,
    /// The first clean report of the stretch that may verify this boot.
    pub clean_since: Option<Timestamp>,
    /// How it is shown, and since when.
    pub state: Option<(NodeState, Timestamp)>,
    /// Its Mesos agent's id, as that agent itself says.
    pub own_mesos_id: Option<Box<str>>,
    /// The Mesos id under which the master lists it.
    pub listed_mesos_id: Option<Box<str>>,
    /// Reports since the coordinator's start, up to two.
    pub heard: u8,
    /// It was proven healthy when the coordinator last ran.
    pub was_healthy: bool,
    /// A person accepts that it is missing after a start.
    pub is_accepted_missing: bool,
    /// When it last stopped being proven healthy, while it is not.
    pub left_health_at: Option<Timestamp>,
    /// Holds set on the node itself.
    pub local_holds: Vec<LocalHold>,
    /// The newest coordinator and order it has heard of.
    pub seen: Option<Seen>,
    /// When it was last handed to the store; `None` when something new is to be stored.
    pub saved_at: Option<Timestamp>,
}

/// Who a machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Changes when the machine is rebuilt.
    pub machine_id: String,
    /// The server's UUID, where there is one.
    pub server_uuid: Option<String>,
    /// When it was recorded or accepted.
    pub recorded_at: Timestamp,
}

impl Identity {
    pub(super) fn of(said: &Said, now: Timestamp) -> Self {
        Self { machine_id: said.machine_id.clone(), server_uuid: said.server_uuid.clone(), recorded_at: now }
    }

    /// What is different, in words; a UUID that is not told is no difference.
    pub fn difference(&self, machine_id: &str, server_uuid: Option<&str>) -> Option<String> {
        if self.machine_id != machine_id {
            return Some(format!("its machine id was {} and is {machine_id}", self.machine_id));
        }
        match (&self.server_uuid, server_uuid) {
            (Some(before), Some(now)) if before != now => {
                Some(format!("its server was {before} and is {now}"))
            }
            _ => None,
        }
    }
}

/// The head of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// See [`Report`].
    pub machine_id: String,
    /// See [`Report`].
    pub server_uuid: Option<String>,
    /// See [`Report`].
    pub boot_id: String,
    /// The boot before, so that its late reports are known for what they are.
    pub previous_boot: Option<String>,
    /// See [`Report`].
    pub agent_version: String,
    /// See [`Report`].
    pub sequence: u64,
    /// See [`Report`].
    pub sent_at: Timestamp,
    /// See [`Report`].
    pub uptime_seconds: u64,
}

/// How a report stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The next one.
    Next,
    /// The same, or an older one that was under way for longer: to be left aside.
    Late,
    /// The machine counts from an earlier point than before, in the same boot: it came back from a snapshot.
    Rewound,
}

impl Said {
    /// Sequence numbers are compared within one machine and one boot; a late report was also sent earlier.
    pub(super) fn order(&self, next: &Report) -> Order {
        let same_boot =
            self.boot_id == next.boot_id || self.previous_boot.as_deref() == Some(next.boot_id.as_str());
        if self.machine_id != next.machine_id || !same_boot {
            return Order::Next;
        }
        if next.sequence == self.sequence || (next.sequence < self.sequence && next.sent_at <= self.sent_at) {
            return Order::Late;
        }
        let is_back = next.sequence < self.sequence || next.boot_id != self.boot_id;
        if is_back { Order::Rewound } else { Order::Next }
    }
}

impl Record {
    /// Two clean reports a minute apart verify a boot; one that is not clean begins anew.
    pub fn verify(&mut self, agent: &mut AgentView, now: Timestamp) {
        if !agent.is_gating_clean() {
            self.clean_since = None;
            return;
        }
        let first = *self.clean_since.get_or_insert(now);
        if agent.verified_at.is_none() && now.duration_since(first) >= APART {
            agent.verified_at = Some(now);
        }
    }
}

/// The disk to worry about: the one that is full first, else the fullest; `None` when nothing is mounted.
pub(super) fn worst_disk(volumes: &[VolumeFact]) -> Option<DiskSummary> {
    let hours = |disk: &DiskSummary| disk.hours_to_full.unwrap_or(f64::INFINITY);
    volumes
        .iter()
        .filter(|volume| volume.mounted || volume.is_root)
        .filter_map(|volume| {
            Some(DiskSummary {
                mount: volume.mount.clone(),
                used_percent: used_percent(volume)?,
                free_bytes: volume.free_bytes,
                hours_to_full: volume.hours_to_full.filter(|hours| hours.is_finite() && *hours >= 0.0),
            })
        })
        .min_by(|a, b| hours(a).total_cmp(&hours(b)).then(b.used_percent.cmp(&a.used_percent)))
}

/// How full a volume is, rounded down; `None` for one without a size. Its agent knows better what root keeps for itself.
pub(super) fn used_percent(volume: &VolumeFact) -> Option<u8> {
    if volume.used_percent.is_some() {
        return volume.used_percent;
    }
    let used = volume.size_bytes.checked_sub(volume.free_bytes)?;
    u8::try_from(u128::from(used) * 100 / u128::from(volume.size_bytes.max(1)))
        .ok()
        .filter(|_| volume.size_bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing;

    fn said(report: &Report) -> Said {
        Said {
            machine_id: report.machine_id.clone(),
            server_uuid: report.server_uuid.clone(),
            boot_id: report.boot_id.clone(),
            previous_boot: Some("boot-before".into()),
            agent_version: "1".into(),
            sequence: report.sequence,
            sent_at: report.sent_at,
            uptime_seconds: report.uptime_seconds,
        }
    }

    #[test]
    fn a_report_that_was_overtaken_is_late_and_one_that_counts_anew_is_rewound() {
        let last = testing::report("n1", 10);
        let head = said(&last);
        let sent = |sequence, seconds| {
            let mut report = testing::report("n1", sequence);
            report.sent_at = last.sent_at + jiff::SignedDuration::from_secs(seconds);
            report
        };
        assert_eq!(head.order(&sent(11, 10)), Order::Next);
        assert_eq!(head.order(&sent(11, -3600)), Order::Next, "its clock may jump");
        assert_eq!(head.order(&sent(10, 0)), Order::Late, "sent twice");
        assert_eq!(head.order(&sent(9, -10)), Order::Late, "overtaken");
        assert_eq!(head.order(&sent(3, 10)), Order::Rewound);
    }

    #[test]
    fn a_new_boot_or_machine_may_count_anew_and_the_boot_before_comes_late() {
        let last = testing::report("n1", 10);
        let head = said(&last);
        let mut next = testing::report("n1", 1);
        next.boot_id = "boot-after".into();
        assert_eq!(head.order(&next), Order::Next);
        next.boot_id = "boot-before".into();
        assert_eq!(head.order(&next), Order::Late);
        next.machine_id = "another".into();
        assert_eq!(head.order(&next), Order::Next);
    }

    #[test]
    fn the_disk_that_fills_first_is_the_one_to_worry_about() {
        let disk = |mount: &str, free, hours| VolumeFact {
            mount: mount.into(),
            mounted: true,
            size_bytes: 100,
            free_bytes: free,
            hours_to_full: hours,
            ..VolumeFact::default()
        };
        let worst = worst_disk(&[disk("/", 10, None), disk("/build", 60, Some(5.0))]).unwrap();
        assert_eq!((worst.mount.as_str(), worst.used_percent), ("/build", 40));
        let worst = worst_disk(&[disk("/", 10, None), disk("/build", 60, None)]).unwrap();
        assert_eq!((worst.mount.as_str(), worst.used_percent), ("/", 90));
        assert_eq!(worst_disk(&[VolumeFact { mounted: true, ..VolumeFact::default() }]), None);
    }
}
