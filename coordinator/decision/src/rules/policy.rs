//! Whether the policy lets a node be talked about at all.

use crate::{
    action::Action,
    case::{Case, Subject},
    code::Code,
    policy::{Class, NodePolicy},
    verdict::{Reason, Severity},
};
use millwright_protocol::NodeName;

/// DESIGN 3.7: a policy that cannot be read protects everything.
pub(crate) fn unreadable(case: &Case<'_>, reasons: &mut Vec<Reason>) {
    let Some(why) = &case.policy.unreadable else { return };
    if case.action() == Action::Prepull {
        return;
    }
    reasons.push(
        Reason::new(
            Code::PolicyUnreadable,
            Severity::Refused,
            "the policy cannot be read, so everything is protected".to_owned(),
            "a policy that `millwright policy check` accepts",
        )
        .owner("policy")
        .fact("policy", why, "policy", 0),
    );
}

/// Looks a node up; physical and unlisted nodes are seen and never touched.
pub(crate) fn admit<'a>(
    case: &Case<'a>,
    name: &'a NodeName,
    listed: Option<&'a NodePolicy>,
) -> Result<Subject<'a>, Box<Reason>> {
    let refuse = |code, sentence, unblocked_by: &'static str| {
        let mut reason = Reason::new(code, Severity::Refused, sentence, unblocked_by).owner("policy");
        reason.node = Some(case.policy.spell(name).to_owned());
        Err(Box::new(reason))
    };
    let Some(listed) = listed else {
        let sentence = match case.action() {
            Action::Create => format!("{name} is not in the policy, which says what a new node has to be"),
            _ => format!("{name} is not in the policy, so nobody may touch it through Millwright"),
        };
        return refuse(Code::NodeUnlisted, sentence, "an entry for the node in policy.toml");
    };
    match case.policy.class_of(listed) {
        Some(class) if listed.class != Class::Physical => Ok(Subject::new(case, name, listed, class)),
        _ => refuse(
            Code::NotManaged,
            format!("{} is a physical node: it is shown, and other people run it", listed.display),
            "nothing; ask the people who run the machine",
        ),
    }
}
