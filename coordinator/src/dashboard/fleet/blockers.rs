//! What stands in the way of most reboots: the few reasons that many nodes have in common.

use super::super::words::{self, Mark};
use millwright_decision::{Action, Code, Severity, Verdict};
use std::collections::BTreeMap;

/// So many reasons are told; the rest concerns few.
const TOLD: usize = 5;
/// So many nodes of each are named.
const NAMED: usize = 4;

/// A reason that some nodes share.
pub struct Blocker {
    pub mark: Mark,
    pub code: &'static str,
    pub count: String,
    pub names: String,
}

/// The reasons against rebooting the nodes that are shown, those of most nodes first.
pub fn blockers(verdicts: &BTreeMap<String, Vec<Verdict>>) -> Vec<Blocker> {
    let mut nodes: BTreeMap<(Code, Severity), Vec<&str>> = BTreeMap::new();
    let reboots = verdicts.values().flatten().filter(|verdict| verdict.action == Action::Reboot);
    for verdict in reboots {
        let Some(name) = verdict.nodes.first() else { continue };
        // What weighs less than the worst would be in nobody's way alone, and what is never touched is no candidate.
        let counts = |code| !matches!(code, Code::NotManaged | Code::NodeUnlisted);
        let worst = verdict.reasons.iter().filter(|reason| reason.severity == verdict.verdict);
        for reason in worst.filter(|reason| counts(reason.code)) {
            let named = nodes.entry((reason.code, reason.severity)).or_default();
            if named.last() != Some(&name.as_str()) {
                named.push(name);
            }
        }
    }
    let mut most: Vec<_> = nodes.into_iter().collect();
    most.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    most.into_iter().take(TOLD).map(|((code, severity), names)| blocker(code, severity, names)).collect()
}

fn blocker(code: Code, severity: Severity, mut names: Vec<&str>) -> Blocker {
    names.sort_by_cached_key(|name| words::natural(name));
    let mut told = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        told.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    Blocker {
        mark: severity.into(),
        code: code.as_str(),
        count: crate::words::count(names.len(), "node"),
        names: told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use millwright_decision::{Cost, Reason};

    fn verdict(node: &str, verdict: Severity, codes: &[(Code, Severity)]) -> (String, Vec<Verdict>) {
        let reason =
            |(code, severity): &(Code, Severity)| Reason::new(*code, *severity, "so".to_owned(), "otherwise");
        let of_it = Verdict {
            action: Action::Reboot,
            nodes: vec![node.to_owned()],
            verdict,
            may_start: verdict,
            asked_at: Timestamp::UNIX_EPOCH,
            oldest_fact_seconds: 0,
            reasons: codes.iter().map(reason).collect(),
            waits: Vec::new(),
            notes: Vec::new(),
            not_configured: Vec::new(),
            cost: Cost::default(),
        };
        (node.to_owned(), vec![of_it])
    }

    #[test]
    fn what_most_nodes_have_in_common_is_told_first_with_some_of_their_names() {
        use Severity::{Allowed, NeedsPeople, Refused, Wait};
        let busy = [(Code::TaskProtected, Wait), (Code::BudgetSpent, Wait)];
        let mut verdicts: BTreeMap<_, _> =
            (1..=6).map(|number| verdict(&format!("alibuild{number}"), Wait, &busy[..1])).collect();
        verdicts.extend([
            verdict("alibuild10", Wait, &busy),
            verdict("alibuild11", NeedsPeople, &[(Code::HoldPresent, NeedsPeople), busy[0]]),
            verdict("alibuild12", Allowed, &[]),
            verdict("alientest02", Refused, &[(Code::NotManaged, Refused)]),
        ]);
        let told: Vec<String> = blockers(&verdicts)
            .iter()
            .map(|blocker| format!("{} {}: {}", blocker.code, blocker.count, blocker.names))
            .collect();
        assert_eq!(
            told,
            [
                "task_protected 7 nodes: alibuild1, alibuild2, alibuild3, alibuild4 and 3 more",
                "budget_spent 1 node: alibuild10",
                "hold_present 1 node: alibuild11",
            ]
        );
    }

    #[test]
    fn where_nothing_objects_nothing_is_told() {
        assert!(blockers(&BTreeMap::from([verdict("alibuild12", Severity::Allowed, &[])])).is_empty());
    }
}
