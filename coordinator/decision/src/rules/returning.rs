//! What must be true before a node is back in service (R8, R13–R17).

use crate::{
    action::Action,
    case::{Case, Subject, spell},
    code::Code,
    fleet::{Node, Progress, SILENT},
    policy::Source,
    verdict::{Reason, Severity},
};
use jiff::SignedDuration;

/// R17: a rebuild can take up to one hour.
const REBUILD_SILENCE: SignedDuration = SignedDuration::from_hours(1);
/// R14: clean runs since boot before a rebuilt node counts as converged.
const CLEAN_RUNS: u32 = 2;
/// R15: failing runs in a row before people are told.
const FAILING_RUNS: u32 = 3;

fn returns(case: &Case<'_>) -> bool {
    case.action() == Action::Return
}

/// Whether the asking operation has made the node anew.
fn is_new(case: &Case<'_>) -> bool {
    case.operation.is_some_and(|own| matches!(own.action, Action::Rebuild | Action::Create))
}

/// Whether the silence of a rebuild explains that nothing is heard.
fn is_rebuild_silence(case: &Case<'_>, subject: &Subject<'_>) -> bool {
    let silent = subject.node.and_then(|node| node.report_age(case.now)).is_none_or(|age| age > SILENT);
    silent && is_new(case) && case.operation.is_some_and(|own| own.progress == Progress::Out)
}

/// R17: silence after a rebuild is expected for an hour; then somebody should look.
pub(crate) fn rebuild_silence(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some(own) = case.operation.filter(|_| returns(case) && is_rebuild_silence(case, subject)) else {
        return;
    };
    let waited = case.now.duration_since(own.since);
    let late = waited > REBUILD_SILENCE;
    reasons.push(
        Reason::new(
            Code::RebuildSilence,
            if late { Severity::NeedsPeople } else { Severity::Wait },
            format!("{} has been silent for {} since its rebuild began", subject.display(), spell(waited)),
            if late { "its first report; look at its console" } else { "its first report, within an hour" },
        )
        .rule("R17")
        .owner(if late { "operators" } else { "openstack" })
        .since(Some(own.since))
        .expected_at(own.since.checked_add(REBUILD_SILENCE).ok().filter(|_| !late))
        .fact("silent_seconds", crate::case::seconds(waited), "fleet", 0),
    );
}

/// R8, R14: back only when proven healthy; the first layer that fails is named.
pub(crate) fn not_healthy(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let healthy = subject.node.is_some_and(|node| node.is_proven_healthy(case.now));
    if !returns(case) || healthy || is_rebuild_silence(case, subject) {
        return;
    }
    let (layer, story) = first_failing_layer(case, subject.node);
    reasons.push(
        Reason::new(
            Code::NotHealthy,
            Severity::Wait,
            format!("{} is not proven healthy: {story}", subject.display()),
            "two clean reports ≥ 60 s apart since boot",
        )
        .rule("R8")
        .fact(
            "first_failing_layer",
            layer,
            "agent",
            subject.node.and_then(|node| node.agent.as_ref()).map_or(0, |agent| case.age(agent.at)),
        ),
    );
}

/// R8: the order in which a person would look: is it there, does it log in, Puppet, Docker, what Docker runs.
const LAYERS: [&str; 5] = ["puppet", "docker", "container", "volume", "mesos"];

fn first_failing_layer(case: &Case<'_>, node: Option<&Node>) -> (String, String) {
    let Some(agent) = node.and_then(|node| node.agent.as_ref()) else {
        return ("report".into(), "it has never reported".into());
    };
    if node.is_some_and(|node| !node.is_fresh(case.now)) {
        let ssh = node.and_then(|node| node.ssh.as_ref()).and_then(|probe| probe.answered);
        let story = match ssh {
            Some(false) => "it does not report, and ssh does not answer",
            Some(true) => "it does not report, though ssh answers",
            None => "its last report is old",
        };
        return (if ssh == Some(false) { "ssh" } else { "report" }.into(), story.into());
    }
    let rank = |key: &str| LAYERS.iter().position(|layer| key.starts_with(layer)).unwrap_or(LAYERS.len());
    match agent.gating.iter().min_by_key(|finding| (rank(&finding.key), &finding.key)) {
        Some(finding) => (finding.key.clone(), finding.sentence.clone()),
        None => ("verification".into(), "it has not shown two clean reports since its boot".into()),
    }
}

/// R14, R15: Puppet until there are no errors, and not for ever.
pub(crate) fn puppet(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let runs = subject.node.and_then(|node| node.agent.as_ref()).and_then(|agent| agent.puppet);
    let Some(runs) = runs.filter(|_| returns(case)) else { return };
    if runs.failed >= FAILING_RUNS {
        reasons.push(
            Reason::new(
                Code::PuppetFailing,
                Severity::NeedsPeople,
                format!("Puppet has failed {} times in a row on {}", runs.failed, subject.display()),
                "a clean Puppet run; report the failing resources to whoever owns them",
            )
            .rule("R15")
            .owner("operators")
            .fact("failed_runs", runs.failed, "agent", 0),
        );
    } else if is_new(case) && runs.clean < CLEAN_RUNS {
        reasons.push(
            Reason::new(
                Code::PuppetNotConverged,
                Severity::Wait,
                format!(
                    "{} has completed {} of {CLEAN_RUNS} clean Puppet runs since its boot",
                    subject.display(),
                    runs.clean
                ),
                "two clean Puppet runs since boot",
            )
            .rule("R14")
            .owner("puppet")
            .fact("clean_runs", runs.clean, "agent", 0),
        );
    }
}

/// R16: the builder image is there before the first build needs it.
pub(crate) fn image_missing(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !returns(case) || !subject.requires(Source::Agent) {
        return;
    }
    let images = subject.node.and_then(|node| node.agent.as_ref()).map_or(&[][..], |agent| &agent.images);
    for wanted in &subject.class.images {
        if images.iter().any(|image| image.present && same_image(&image.name, wanted)) {
            continue;
        }
        reasons.push(
            Reason::new(
                Code::ImageMissing,
                Severity::Wait,
                format!(
                    "{} does not have {wanted}; its first build would wait for the pull",
                    subject.display()
                ),
                "the agent's pre-pull",
            )
            .rule("R16")
            .owner("agent")
            .fact("image", wanted, "agent", 0),
        );
    }
}

/// `alisw/slc7-builder` and `alisw/slc7-builder:latest` are one image.
fn same_image(seen: &str, wanted: &str) -> bool {
    let tagged = |name: &str| {
        let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        if has_tag { name.to_owned() } else { format!("{name}:latest") }
    };
    tagged(seen) == tagged(wanted)
}

/// R13: the volume is as large and the attributes are what policy expects.
pub(crate) fn spec_mismatch(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some(node) = subject.node.filter(|_| returns(case)) else { return };
    let mut differences = Vec::new();
    if let (Some(wanted), Some(agent)) = (subject.class.volume_bytes, &node.agent) {
        let mounted = agent.volumes.iter().filter(|volume| volume.mounted);
        let largest = mounted.map(|volume| volume.size_bytes).max().unwrap_or(0);
        // File systems keep a part for themselves: a tenth is allowed for (domain.md 13.2).
        if largest < wanted / 10 * 9 {
            differences.push(("volume_bytes", largest.to_string(), format!("at least {wanted}")));
        }
    }
    if let Some(view) = &node.master {
        for (name, wanted) in &subject.listed.attributes {
            let seen = view.attributes.get(name).map_or("none", String::as_str);
            if seen != wanted {
                differences.push((name.as_str(), seen.to_owned(), wanted.clone()));
            }
        }
    }
    for (what, seen, wanted) in differences {
        reasons.push(
            Reason::new(
                Code::SpecMismatch,
                Severity::NeedsPeople,
                format!(
                    "{} is not what policy expects: {what} is {seen}, wanted is {wanted}",
                    subject.display()
                ),
                "the node or the policy put right",
            )
            .rule("R13")
            .owner("operators")
            .fact(what, seen, "agent", 0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_means_latest() {
        assert!(same_image("alisw/slc7-builder:latest", "alisw/slc7-builder"));
        assert!(!same_image("alisw/slc7-builder:v1", "alisw/slc7-builder"));
        assert!(same_image("localhost:5000/a:latest", "localhost:5000/a"), "a port is no tag");
    }
}
