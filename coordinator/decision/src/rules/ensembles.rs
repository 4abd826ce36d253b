//! R3, R4: every ensemble keeps its majority, and a member counts again once it takes part.

use crate::{
    Action,
    case::{Case, Subject, spell},
    code::Code,
    fleet::{Ensemble, Member, PATIENCE},
    policy::Source,
    verdict::{Reason, Severity},
};
use jiff::Timestamp;

/// Ensembles with a member on one of the nodes, where policy asks for their members' word.
fn concerned<'a>(case: &Case<'a>, subjects: &[Subject<'_>]) -> Vec<&'a Ensemble> {
    let asked: Vec<_> = subjects.iter().filter(|subject| subject.requires(Source::ZooKeeper)).collect();
    let all = case.snapshot.ensembles.iter();
    all.filter(|ensemble| asked.iter().any(|subject| ensemble.member_on(subject.name).is_some())).collect()
}

/// R4: a member goes only while enough of the others have taken part for 10 min.
pub(crate) fn ensemble_quorum(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() {
        return;
    }
    for ensemble in concerned(case, subjects) {
        let others: Vec<&Member> =
            ensemble.members.iter().filter(|member| !case.request.nodes.contains(&member.node)).collect();
        let needed = ensemble.majority();
        let mut ready: Vec<Timestamp> = others.iter().filter_map(|member| ready_at(member)).collect();
        ready.sort_unstable();
        // The moment at which enough of them will have been there for long enough, if nothing happens.
        let at = ready.get(needed - 1).copied();
        if at.is_some_and(|at| at <= case.now) {
            continue;
        }
        let missing: Vec<&&Member> =
            others.iter().filter(|member| ready_at(member).is_none_or(|at| case.now < at)).collect();
        let names: Vec<&str> = missing.iter().map(|member| case.policy.spell(&member.node)).collect();
        let sentence = if others.len() < needed {
            let (left, all) = (others.len(), ensemble.members.len());
            format!("only {left} members of {} would stay, and {needed} of {all} are needed", ensemble.name)
        } else {
            format!(
                "{needed} other members of {} must have taken part for 10 min, and {} has not",
                ensemble.name,
                names.join(", ")
            )
        };
        let clears = format!("10 min of {needed} other members of {} in its quorum", ensemble.name);
        let mut reason = Reason::new(Code::EnsembleQuorum, Severity::Wait, sentence, clears)
            .rule("R4")
            .owner("zookeeper")
            .expected_at(at)
            .fact("members_needed", needed, "zookeeper", case.age(ensemble.at));
        for member in missing {
            let story = story(case, member);
            let name = case.policy.spell(&member.node);
            reason = reason.fact(name, story, Source::ZooKeeper.as_str(), case.age(ensemble.at));
        }
        reasons.push(reason);
    }
}

/// When a member has taken part for long enough.
fn ready_at(member: &Member) -> Option<Timestamp> {
    member.in_quorum_since?.checked_add(PATIENCE).ok()
}

fn story(case: &Case<'_>, member: &Member) -> String {
    match member.in_quorum_since {
        Some(since) => format!("{}, for {}", member.story, spell(case.now.duration_since(since))),
        None => member.story.clone(),
    }
}

/// A master is back once its members take part: one that still copies is no help to the others.
pub(crate) fn ensemble_syncing(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if case.action() != Action::Return || !subject.requires(Source::ZooKeeper) {
        return;
    }
    for ensemble in &case.snapshot.ensembles {
        let Some(member) = ensemble.member_on(subject.name).filter(|member| member.in_quorum_since.is_none())
        else {
            continue;
        };
        let sentence = format!(
            "{}'s member of {} takes no part yet: {}",
            subject.display(),
            ensemble.name,
            member.story
        );
        let reason = Reason::new(
            Code::EnsembleSyncing,
            Severity::Wait,
            sentence,
            "its member in the quorum, in the epoch of its leader",
        );
        reasons.push(reason.rule("R4").owner("zookeeper").fact(
            "member",
            &member.story,
            Source::ZooKeeper.as_str(),
            case.age(ensemble.at),
        ));
    }
}
