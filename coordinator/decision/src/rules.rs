//! The rules, in one list. A rule objects or is silent; it never permits.
//!
//! Each rule states for itself which actions it is about. The table says of each what the reboot of a silent node
//! (no report ≥ 5 min, TCP 22 dead, Mesos does not count on it) makes of it: most questions about a node that cannot
//! answer are replaced by the one that a person has to decide (DESIGN section 7).

pub(crate) mod budget;
pub(crate) mod calendar;
pub(crate) mod cloud;
pub(crate) mod create;
pub(crate) mod ensembles;
pub(crate) mod freshness;
pub(crate) mod masters;
pub(crate) mod notes;
pub(crate) mod owners;
pub(crate) mod people;
pub(crate) mod policy;
pub(crate) mod protection;
pub(crate) mod returning;
pub(crate) mod silent;
pub(crate) mod start;
pub(crate) mod tasks;

use crate::{
    case::{Case, Subject},
    verdict::Reason,
};

type NodeRule = fn(&Case<'_>, &Subject<'_>, &mut Vec<Reason>);
type FleetRule = fn(&Case<'_>, &[Subject<'_>], &mut Vec<Reason>);

/// Rules that stand whatever the state of the node.
const ALWAYS: &[NodeRule] = &[
    protection::node_protected,
    protection::volumes,
    protection::confirm_reboot,
    protection::dedicated_node,
    protection::coordinator_lives_here,
    protection::identity_changed,
    protection::project_unknown,
    cloud::server_doubtful,
    cloud::server_locked,
    people::hold_present,
    people::consent,
    people::intent_missing,
    calendar::windows,
    budget::operation_running,
    silent::silent_node,
    returning::rebuild_silence,
    returning::not_healthy,
    returning::puppet,
    returning::image_missing,
    returning::spec_mismatch,
    ensembles::ensemble_syncing,
    create::zones,
    create::node_exists,
];

/// Rules that the silent node's own question replaces.
const REPLACED_BY_SILENCE: &[NodeRule] = &[
    freshness::fact_stale,
    freshness::source_unknown,
    freshness::views_disagree,
    tasks::tasks,
    owners::owner_objects,
    tasks::stray_containers,
    tasks::empty_not_proven,
    tasks::not_cordoned,
    budget::brake_tripped,
    budget::settling,
    budget::last_of_label,
    masters::master_out,
];

/// Rules about the fleet, asked once for the whole set.
const FLEET: &[FleetRule] = &[
    start::paused,
    start::crl_expired,
    start::store_behind,
    start::journal_damaged,
    start::warming_up,
    start::leader_changed,
    silent::silent_repair_running,
    masters::master_quorum,
    ensembles::ensemble_quorum,
    budget::budget_spent,
    budget::drain_budget,
    budget::other_zone_out,
];

/// Asks every rule about one node.
pub(crate) fn ask_about(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let before = reasons.len();
    for rule in ALWAYS {
        rule(case, subject, reasons);
    }
    if !subject.is_silent {
        for rule in REPLACED_BY_SILENCE {
            rule(case, subject, reasons);
        }
    }
    for reason in reasons.iter_mut().skip(before).filter(|reason| reason.node.is_none()) {
        reason.node = Some(subject.display().to_owned());
    }
}

/// Asks every rule about the set.
pub(crate) fn ask_about_all(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    if subjects.is_empty() {
        return;
    }
    for rule in FLEET {
        rule(case, subjects, reasons);
    }
}
