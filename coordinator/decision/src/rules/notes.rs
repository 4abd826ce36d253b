//! Worth knowing, and no objection (R5, R19, R22, R23 among them).

use crate::{
    action::{Action, Volumes},
    case::{Case, Subject},
    code::Code,
    fleet::AttachedVolume,
    policy::Source,
    verdict::{Cost, Note},
};

/// Notes about one node.
pub(crate) fn about(case: &Case<'_>, subject: &Subject<'_>, notes: &mut Vec<Note>) {
    let name = subject.display();
    let mut note = |code, sentence| notes.push(Note { code, node: Some(name.to_owned()), sentence });
    let agent = subject.node.and_then(|node| node.agent.as_ref());
    let action = case.action();
    if action.ends_tasks() && agent.is_some_and(|agent| agent.leads_mesos) {
        note(
            Code::IsLeader,
            format!("{name} leads Mesos; another master takes over by itself, or move the leadership first"),
        );
    }
    let takes_tasks = subject.requires(Source::MesosMaster) && !subject.is_master();
    if action.ends_tasks() && takes_tasks && !super::tasks::is_cordoned(case, subject) {
        note(
            Code::NotCordoned,
            format!("{name} is not known to be cordoned; a drain, or the operation itself, does that first"),
        );
    }
    if action == Action::Delete {
        note(
            Code::RebuildInstead,
            format!("a rebuild of {name} repairs as well and keeps its name, volumes and place"),
        );
        let mounts: Vec<String> =
            agent.into_iter().flat_map(|agent| &agent.volumes).map(spell_volume).collect();
        if case.request.volumes == Volumes::Keep && !mounts.is_empty() {
            note(Code::VolumesLeft, format!("the volumes of {name} stay behind: {}", mounts.join(", ")));
        }
    }
    if let Some(why) = subject.node.and_then(|node| node.known_dead.as_ref()) {
        note(Code::KnownDead, format!("{name} is known to be dead: {why}"));
    }
    for given in case.snapshot.attestations.on(subject.name).filter(|given| case.now < given.until) {
        note(
            Code::Attested,
            format!("{} vouches for {} about {name} until {}", given.by, given.source, given.until),
        );
    }
}

/// A volume that is not mounted is not forgotten: it may be attached, and whoever deletes the node should look.
fn spell_volume(volume: &AttachedVolume) -> String {
    match volume.mounted {
        true => volume.mount.clone(),
        false => format!("{} (not mounted; its disk may be attached)", volume.mount),
    }
}

/// Notes about the request as a whole.
pub(crate) fn about_all(case: &Case<'_>, cost: &Cost, notes: &mut Vec<Note>) {
    let mut note = |code, sentence| notes.push(Note { code, node: None, sentence });
    let action = case.action();
    if let Some(hint) = case.policy.reboot_hint.as_ref().filter(|_| action == Action::Reboot) {
        note(Code::RebootHint, hint.clone());
    }
    let of_the_cloud = matches!(action, Action::Rebuild | Action::Delete | Action::Create);
    if let Some(hint) = case.policy.rights_hint.as_ref().filter(|_| of_the_cloud) {
        note(Code::RightsNeeded, hint.clone());
    }
    for (class, _) in cost.capacity_left.iter().filter(|(_, left)| left.in_service == 0) {
        note(Code::LastOfClass, format!("no {class} node would stay in service"));
    }
    for check in &case.snapshot.counts.blamed {
        note(Code::OutsideBlamed, format!("many nodes fail {check} at once, so the trouble is outside them"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_is_not_mounted_is_not_forgotten() {
        let mut volume = AttachedVolume {
            mount: "/build".to_owned(),
            mounted: true,
            uuid: None,
            serial: None,
            size_bytes: 0,
        };
        assert_eq!(spell_volume(&volume), "/build");
        volume.mounted = false;
        assert_eq!(spell_volume(&volume), "/build (not mounted; its disk may be attached)");
    }
}
