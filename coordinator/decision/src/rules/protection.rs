//! Protections and what else is special about a node (R9, R10, R20, R25).

use crate::{
    action::{Action, Volumes},
    case::{Case, Subject},
    code::Code,
    policy::{Class, Protection},
    verdict::{Reason, Severity},
};

/// R9, R10: some nodes are never rebuilt, some never deleted; nothing overrides that.
pub(crate) fn node_protected(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let (protection, rule) = match case.action() {
        Action::Rebuild => (Protection::NeverRebuild, "R9"),
        Action::Delete => (Protection::NeverDelete, "R10"),
        _ => return,
    };
    if !subject.listed.protections.contains(&protection) {
        return;
    }
    reasons.push(
        Reason::new(
            Code::NodeProtected,
            Severity::Refused,
            format!("{} must never be {}", subject.display(), case.action().past()),
            "nothing; this protection has no override",
        )
        .rule(rule)
        .owner("policy")
        .fact("protection", protection, "policy", 0),
    );
}

/// R10: protected volumes stay, wherever they are attached; a volume nobody identifies is not deleted unseen.
pub(crate) fn volumes(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if case.action() != Action::Delete || case.request.volumes != Volumes::Delete {
        return;
    }
    let listed_here = case.policy.volumes.iter().filter(|volume| volume.node == *subject.name);
    for volume in listed_here.filter(|volume| volume.protections.contains(&Protection::NeverDeleteVolume)) {
        reasons.push(protected_volume(subject, &volume.name, "listed for this node"));
    }
    let attached = subject.node.and_then(|node| node.agent.as_ref()).map_or(&[][..], |agent| &agent.volumes);
    // One that is expected and not mounted may hang there all the same.
    for volume in attached {
        let (uuid, serial) = (volume.uuid.as_deref(), volume.serial.as_deref());
        let seen = format!("uuid {}, serial {}", uuid.unwrap_or("unknown"), serial.unwrap_or("unknown"));
        // Every entry that fits is asked: two entries for one volume must not hide its protection.
        let mut known = case.policy.volumes.iter().filter(|listed| listed.is(uuid, serial)).peekable();
        if known.peek().is_none() {
            let (state, unblocked_by) = match volume.mounted {
                true => ("", "an entry for the volume in policy.toml, by Cinder id or file-system UUID"),
                false => {
                    (", which is not mounted", "the volume mounted again, so that it can be told which it is")
                }
            };
            reasons.push(
                Reason::new(
                    Code::VolumeUnknown,
                    Severity::NeedsPeople,
                    format!("nobody knows the volume at {} of {}{state}", volume.mount, subject.display()),
                    unblocked_by,
                )
                .rule("R10")
                .owner("policy")
                .fact("volume", seen, "agent", 0),
            );
            continue;
        }
        for listed in known.filter(|listed| listed.protections.contains(&Protection::NeverDeleteVolume)) {
            reasons.push(protected_volume(subject, &listed.name, &seen));
        }
    }
    // The cloud names what hangs on the server, mounted or not, whoever's it is.
    let servers = subject.node.and_then(|node| node.cloud.as_deref()).map_or(&[][..], |cloud| &cloud.servers);
    for id in servers.iter().flat_map(|server| &server.volumes) {
        let known = case.policy.volumes.iter().filter(|listed| listed.cinder.as_deref() == Some(id));
        for listed in known.filter(|listed| listed.protections.contains(&Protection::NeverDeleteVolume)) {
            let reason = protected_volume(subject, &listed.name, &format!("cinder id {id}"));
            if !reasons.iter().any(|said| said.sentence == reason.sentence) {
                reasons.push(reason);
            }
        }
    }
}

fn protected_volume(subject: &Subject<'_>, name: &str, seen: &str) -> Reason {
    Reason::new(
        Code::VolumeProtected,
        Severity::Refused,
        format!("the volume {name} of {} must never be deleted", subject.display()),
        "nothing; this protection has no override",
    )
    .rule("R10")
    .owner("policy")
    .fact("protection", Protection::NeverDeleteVolume, "policy", 0)
    .fact("volume", seen, "agent", 0)
}

/// alibuild03 serves the package store: its reboot is felt by every build, so a person says yes.
pub(crate) fn confirm_reboot(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let wanted =
        case.action() == Action::Reboot && subject.listed.protections.contains(&Protection::ConfirmReboot);
    if !wanted || granted(case, Code::ConfirmReboot) {
        return;
    }
    reasons.push(
        Reason::new(
            Code::ConfirmReboot,
            Severity::NeedsPeople,
            format!("rebooting {} is felt outside the node and needs a confirmation", subject.display()),
            "a person who confirms the reboot of this node",
        )
        .owner("operators")
        .fact("protection", Protection::ConfirmReboot, "policy", 0),
    );
}

/// R25: a dedicated node runs what runs nowhere else.
pub(crate) fn dedicated_node(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let is_dedicated =
        subject.listed.class == Class::Dedicated || subject.listed.attributes.contains_key("dedicated");
    if !is_dedicated || !case.action().is_disruptive() || granted(case, Code::DedicatedNode) {
        return;
    }
    let service = subject.listed.attributes.get("dedicated").map_or("its service", String::as_str);
    reasons.push(
        Reason::new(
            Code::DedicatedNode,
            Severity::NeedsPeople,
            format!("{} is dedicated to {service}, which can run nowhere else", subject.display()),
            "a person who confirms that the service may stop",
        )
        .rule("R25")
        .owner("operators")
        .fact("dedicated", service, "policy", 0),
    );
}

/// The coordinator does not operate on its own host.
pub(crate) fn coordinator_lives_here(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().ends_tasks() || case.policy.coordinator != *subject.name {
        return;
    }
    reasons.push(
        Reason::new(
            Code::CoordinatorLivesHere,
            Severity::NeedsPeople,
            format!("the coordinator runs on {}", subject.display()),
            "moving the coordinator: `millwright-coordinator move --to HOST`",
        )
        .owner("operators")
        .fact("coordinator", subject.display(), "policy", 0),
    );
}

/// A machine that is not the one on record is nobody's to act on until a person has looked.
pub(crate) fn identity_changed(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some((since, what)) = subject.node.and_then(|node| node.identity_changed.as_ref()) else { return };
    let expected = case.operation.is_some_and(|own| {
        own.nodes.contains(subject.name) && matches!(own.action, Action::Rebuild | Action::Create)
    });
    if expected || matches!(case.action(), Action::Prepull | Action::Create) {
        return;
    }
    reasons.push(
        Reason::new(
            Code::IdentityChanged,
            Severity::NeedsPeople,
            format!("{} is not the machine on record", subject.display()),
            format!("`millwright node accept {}` by a person who knows why", subject.display()),
        )
        .owner("operators")
        .since(Some(*since))
        .fact("identity", what, "agent", case.age(*since)),
    );
}

/// R20: commands of the cloud go to a project; the wrong one finds no machine, or another one.
pub(crate) fn project_unknown(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let needs = matches!(case.action(), Action::Rebuild | Action::Delete | Action::Create);
    if !needs || subject.listed.project.is_some() {
        return;
    }
    reasons.push(
        Reason::new(
            Code::ProjectUnknown,
            Severity::NeedsPeople,
            format!("policy names no OpenStack project for {}", subject.display()),
            "`project` for the node or the cluster in policy.toml",
        )
        .rule("R20")
        .owner("policy")
        .fact("project", "none", "policy", 0),
    );
}

/// Whether the asking operation has a person's yes for the node as a whole.
pub(super) fn granted(case: &Case<'_>, code: Code) -> bool {
    case.operation.is_some_and(|own| own.granted(code, None).is_some())
}
