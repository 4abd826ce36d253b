//! Takes a computer out of use and brings it back, each read before and after.

use super::{JenkinsClient, wire::Computer};
use crate::integrations::peer::{Call, PeerError, segment};
use futures_util::future::BoxFuture;
use millwright_decision::{Evidence, operation::Outcome};

/// Every reason of ours begins so; what begins otherwise is somebody else's.
pub const MARK: &str = "Millwright ";
/// What is wanted of one computer.
const SWITCH: &str = "displayName,offline,temporarilyOffline,offlineCauseReason";

/// What we do to Jenkins, and nothing more.
pub trait JenkinsAct: Send + Sync {
    /// Gives a computer no new builds; those that run go on. One that somebody has taken out already stays theirs.
    fn take_out<'a>(&'a self, computer: &'a str, why: &'a str) -> BoxFuture<'a, Outcome>;

    /// Gives a computer builds again, if it was us who took it out.
    fn bring_back<'a>(&'a self, computer: &'a str) -> BoxFuture<'a, Outcome>;
}

/// How a computer's switch stands.
enum Switch {
    /// Jenkins does not know it (any more).
    Gone,
    /// It takes builds, as far as the switch is concerned.
    In,
    /// Ours.
    OutByUs(String),
    /// Somebody else's, with their reason.
    OutByOthers(String),
}

impl JenkinsClient {
    async fn switch(&self, computer: &str) -> Result<Switch, String> {
        let path = format!("computer/{}/api/json", segment(computer));
        let call = Call::get(path).query("tree", SWITCH).credentials(self.credentials.as_ref());
        let answer = match self.peer.ask(call).await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Ok(Switch::Gone),
            Err(error) => return Err(self.explain(&error)),
        };
        let seen: Computer = answer.json().map_err(|error| error.to_string())?;
        let reason = seen.offline_cause_reason.unwrap_or_default();
        Ok(match (seen.temporarily_offline, reason.starts_with(MARK)) {
            (false, _) => Switch::In,
            (true, true) => Switch::OutByUs(reason),
            (true, false) => Switch::OutByOthers(reason),
        })
    }

    /// Presses the switch; `Err` holds the outcome when that is already certain.
    async fn toggle(&self, computer: &str, message: &str) -> Result<(), Outcome> {
        let path = format!("computer/{}/toggleOffline", segment(computer));
        let call = Call::post(path).query("offlineMessage", message).may_point_on();
        match self.peer.ask(call.credentials(self.credentials.as_ref())).await {
            Ok(_) => Ok(()),
            // Mesos may have taken it away since it was looked at; then it is not there when it is read back.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) if error.had_no_effect() => Err(Outcome::not_done(self.explain(&error))),
            // What became of it is seen by reading it back.
            Err(_) => Ok(()),
        }
    }

    async fn out(&self, computer: &str, why: &str) -> Outcome {
        match self.switch(computer).await {
            Ok(Switch::In) => {}
            Ok(switch) => return Outcome::done(vec![switch.evidence(computer)]),
            Err(why) => return Outcome::not_done(why),
        }
        if let Err(outcome) = self.toggle(computer, &format!("{MARK}{why}")).await {
            return outcome;
        }
        match self.switch(computer).await {
            Ok(Switch::In) => Outcome::not_done(format!(
                "Jenkins took the call and {computer} still takes builds; somebody may have pressed its switch as well"
            )),
            Ok(switch) => Outcome::done(vec![switch.evidence(computer)]),
            Err(why) => Outcome::unknown(format!("does Jenkins give {computer} no builds? {why}")),
        }
    }

    async fn back(&self, computer: &str) -> Outcome {
        match self.switch(computer).await {
            Ok(Switch::OutByUs(_)) => {}
            // Whoever took it out brings it back.
            Ok(switch) => return Outcome::done(vec![switch.evidence(computer)]),
            Err(why) => return Outcome::not_done(why),
        }
        if let Err(outcome) = self.toggle(computer, "").await {
            return outcome;
        }
        match self.switch(computer).await {
            Ok(Switch::OutByUs(_)) => {
                Outcome::not_done(format!("Jenkins took the call and {computer} still takes no builds"))
            }
            Ok(switch) => Outcome::done(vec![switch.evidence(computer)]),
            Err(why) => Outcome::unknown(format!("does Jenkins give {computer} builds again? {why}")),
        }
    }
}

/// Jenkins knows no such computer (any more).
fn is_gone(error: &PeerError) -> bool {
    error.status().is_some_and(|status| status.as_u16() == 404)
}

impl Switch {
    fn evidence(&self, computer: &str) -> Evidence {
        let state = match self {
            Self::Gone => "is gone".to_owned(),
            Self::In => "takes builds".to_owned(),
            Self::OutByUs(reason) => format!("takes none: {reason}"),
            Self::OutByOthers(reason) if reason.is_empty() => "takes none, by somebody else".to_owned(),
            Self::OutByOthers(reason) => format!("takes none, by somebody else: {reason}"),
        };
        Evidence::new(format!("computer {computer}"), state, "jenkins")
    }
}

impl JenkinsAct for JenkinsClient {
    fn take_out<'a>(&'a self, computer: &'a str, why: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.out(computer, why))
    }

    fn bring_back<'a>(&'a self, computer: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.back(computer))
    }
}
