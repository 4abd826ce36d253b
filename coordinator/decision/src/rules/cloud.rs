//! R20, R21: what the cloud would refuse, or do to another machine, is said before anything is begun.

use crate::{
    Action,
    case::{Case, Subject},
    code::Code,
    fleet::CloudView,
    policy::Source,
    verdict::{Reason, Severity},
};

/// The cloud's account, where it is asked and the action goes through it.
fn asked<'a>(case: &Case<'_>, subject: &Subject<'a>) -> Option<&'a CloudView> {
    let goes_there = match case.action() {
        Action::Rebuild | Action::Delete => true,
        Action::Reboot => subject.is_silent,
        _ => false,
    };
    let view = subject.node?.cloud.as_deref()?;
    (goes_there && subject.requires(Source::OpenStack)).then_some(view)
}

/// Names are not unique: acting on one of two servers of a name is a coin toss.
pub(crate) fn server_doubtful(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some(view) = asked(case, subject).filter(|view| view.servers.len() > 1) else { return };
    let mut reason = Reason::new(
        Code::ServerDoubtful,
        Severity::NeedsPeople,
        format!(
            "{} servers are called {}, and nobody can tell which is meant",
            view.servers.len(),
            subject.display()
        ),
        "one server of that name: the other removed, or renamed with `openstack server set --name NEW ID`",
    )
    .rule("R20")
    .owner("operators");
    for server in &view.servers {
        reason = reason.fact("server", &server.id, Source::OpenStack.as_str(), case.age(view.at));
    }
    reasons.push(reason);
}

/// Whoever locked a server wants it left alone.
pub(crate) fn server_locked(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some(view) = asked(case, subject) else { return };
    let [server] = view.servers.as_slice() else { return };
    let Some(why) = &server.locked else { return };
    let story = if why.is_empty() { "nobody said why".to_owned() } else { format!("it says “{why}”") };
    reasons.push(
        Reason::new(
            Code::ServerLocked,
            Severity::NeedsPeople,
            format!("the server of {} is locked in the cloud, and {story}", subject.display()),
            format!("whoever locked it: `openstack server unlock {}`", server.id),
        )
        .owner("operators")
        .fact("locked", why, Source::OpenStack.as_str(), case.age(view.at)),
    );
}
