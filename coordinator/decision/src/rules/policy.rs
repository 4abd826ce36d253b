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
    let Some(unreadable) = &case.policy.unreadable else { return };
    if case.action() == Action::Prepull {
        return;
    }
    let file = unreadable.path.as_ref().map_or_else(String::new, |path| format!(" {path}"));
    reasons.push(
        Reason::new(
            Code::PolicyUnreadable,
            Severity::Refused,
            format!("the policy{file} cannot be read, so everything is protected"),
            format!("a policy that `millwright policy check{file}` accepts"),
        )
        .owner("policy")
        .since(unreadable.since)
        .fact("policy", &unreadable.why, "policy", 0),
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

#[cfg(test)]
mod tests {
    use crate::{Action, Policy, Request, Snapshot, Unreadable, judge};
    use jiff::Timestamp;

    #[test]
    fn a_policy_that_cannot_be_read_is_named_with_its_file_and_since_when() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let mut unreadable = Unreadable::from("line 3: no");
        let request = Request::one(Action::Reboot, "n1".parse().unwrap());
        let mut said = |path: Option<&str>| {
            unreadable.path = path.map(str::to_owned);
            unreadable.since = path.map(|_| now - jiff::SignedDuration::from_mins(3));
            let policy = Policy::unreadable(unreadable.clone(), "mw".parse().unwrap());
            judge(&request, &Snapshot::new(now), &policy, now).reasons.remove(0)
        };
        let reason = said(Some("/srv/policy.toml"));
        assert_eq!(reason.since, Some("2026-01-31T09:57:00Z".parse().unwrap()));
        assert_eq!(reason.sentence, "the policy /srv/policy.toml cannot be read, so everything is protected");
        assert_eq!(reason.unblocked_by, "a policy that `millwright policy check /srv/policy.toml` accepts");
        assert_eq!(reason.evidence[0].value, "line 3: no");
        assert_eq!(said(None).unblocked_by, "a policy that `millwright policy check` accepts");
    }
}
