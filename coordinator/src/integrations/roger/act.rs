//! Masks alarms and puts them back, each read before and after. What somebody else has changed since is theirs.
//!
//! Our mark is the message, and it names the operation. Only what is on is turned off, so only that is turned on again.

use super::{RogerClient, field, path};
use crate::{
    fleet::RogerSet,
    integrations::peer::{Call, PeerError},
};
use futures_util::future::BoxFuture;
use millwright_decision::{
    Alarms, Evidence,
    operation::{Outcome, mark},
};
use reqwest::Method;
use serde_json::{Map, Value};

/// What we do to Roger, and nothing more.
pub trait RogerAct: Send + Sync {
    /// Turns off every alarm of a host that is on, if what is set is `before`, or what an earlier try has left.
    fn mask<'a>(
        &'a self,
        host: &'a str,
        before: &'a Alarms,
        operation: &'a str,
        why: &'a str,
    ) -> BoxFuture<'a, Outcome>;

    /// Sets `before` again, where what is set is still what this operation has set.
    fn restore<'a>(&'a self, host: &'a str, before: &'a Alarms, operation: &'a str)
    -> BoxFuture<'a, Outcome>;
}

/// The source could not be asked, so nothing was done, and it can be asked again for ever.
fn silent(why: String) -> Outcome {
    Outcome::NotDone { why, refusal: Some("roger_silent".to_owned()) }
}

impl RogerClient {
    /// What is set now. `Err` holds the outcome when there is none to be had.
    async fn now(&self, host: &str) -> Result<Option<RogerSet>, Outcome> {
        self.state(host).await.map_err(|error| silent(self.0.explain(&error)))
    }

    /// Changes some fields. What became of a change that nobody answered is seen by reading it back.
    async fn put(
        &self,
        host: &str,
        alarms: impl Iterator<Item = (String, bool)>,
        message: &str,
    ) -> Result<(), Outcome> {
        let mut fields: Map<String, Value> =
            alarms.map(|(alarm, is_on)| (field(&alarm), Value::Bool(is_on))).collect();
        fields.insert("hostname".to_owned(), host.into());
        fields.insert("message".to_owned(), message.into());
        match self.0.ask(Call::new(Method::PUT, path(host)).json(Value::Object(fields))).await {
            Ok(_) => Ok(()),
            Err(PeerError::NotSent { asked, why }) => Err(silent(format!("{asked}: {why}"))),
            Err(error) if error.had_no_effect() => Err(Outcome::not_done(self.0.explain(&error))),
            Err(_) => Ok(()),
        }
    }

    async fn masked(&self, host: &str, before: &Alarms, mark: &str, why: &str) -> Result<Outcome, Outcome> {
        let Some(set) = self.now(host).await? else { return Ok(unknown_host(host)) };
        let is_ours = set.set.message.starts_with(mark);
        if set.set.on.is_empty() {
            return Ok(Outcome::done(vec![before.evidence("alarms before"), set.set.evidence("alarms")]));
        }
        if !is_ours && set.set != *before {
            let by = by(&set);
            let why = format!("{by} has set something else since it was read: {}", set.set.story());
            return Err(Outcome::NotDone { why, refusal: Some("alarms_changed".to_owned()) });
        }
        self.put(host, set.set.on.iter().map(|alarm| (alarm.clone(), false)), &format!("{mark} {why}"))
            .await?;
        match self.state(host).await {
            Ok(Some(after)) if after.set.on.is_empty() && after.set.message.starts_with(mark) => {
                Ok(Outcome::done(vec![before.evidence("alarms before"), after.set.evidence("alarms")]))
            }
            Ok(Some(after)) if after.set == *before => Err(Outcome::not_done(format!(
                "Roger took the call, and {host} is as before: {}",
                after.set.story()
            ))),
            Ok(Some(after)) => Err(Outcome::unknown(format!(
                "are the alarms of {host} off? After the call it is {}, set by {}",
                after.set.story(),
                by(&after)
            ))),
            Ok(None) => Ok(unknown_host(host)),
            Err(error) => {
                Err(Outcome::unknown(format!("are the alarms of {host} off? {}", self.0.explain(&error))))
            }
        }
    }

    async fn restored(&self, host: &str, before: &Alarms, mark: &str) -> Result<Outcome, Outcome> {
        let Some(set) = self.now(host).await? else { return Ok(unknown_host(host)) };
        if set.set == *before {
            return Ok(Outcome::done(vec![set.set.evidence("alarms")]));
        }
        if !set.set.message.starts_with(mark) {
            let left = format!("left as {} has set it: {}", by(&set), set.set.story());
            return Ok(Outcome::done(vec![Evidence::new("alarms", left, "roger")]));
        }
        // Somebody may have turned one on, or set another state, and left our message.
        let missing = before.on.difference(&set.set.on).map(|alarm| (alarm.clone(), true));
        self.put(host, missing, &before.message).await?;
        match self.state(host).await {
            Ok(Some(after)) if before.on.is_subset(&after.set.on) => {
                let mut evidence = vec![after.set.evidence("alarms")];
                if after.set.appstate != before.appstate {
                    let left = format!("{} since, left so; it was {}", after.set.appstate, before.appstate);
                    evidence.push(Evidence::new("appstate", left, "roger"));
                }
                Ok(Outcome::done(evidence))
            }
            Ok(Some(after)) => Err(Outcome::not_done(format!(
                "Roger took the call, and {host} is {}, not {}",
                after.set.story(),
                before.story()
            ))),
            Ok(None) => Ok(unknown_host(host)),
            Err(error) => Err(Outcome::unknown(format!(
                "are the alarms of {host} as they were ({})? {}",
                before.story(),
                self.0.explain(&error)
            ))),
        }
    }
}

/// Who set it last.
fn by(set: &RogerSet) -> &str {
    set.by.as_deref().unwrap_or("somebody")
}

/// It wakes nobody for a host that it does not know.
fn unknown_host(host: &str) -> Outcome {
    Outcome::done(vec![Evidence::new("alarms", format!("Roger does not know {host}"), "roger")])
}

impl RogerAct for RogerClient {
    fn mask<'a>(
        &'a self,
        host: &'a str,
        before: &'a Alarms,
        operation: &'a str,
        why: &'a str,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.masked(host, before, &mark(operation), why).await.unwrap_or_else(|outcome| outcome)
        })
    }

    fn restore<'a>(
        &'a self,
        host: &'a str,
        before: &'a Alarms,
        operation: &'a str,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.restored(host, before, &mark(operation)).await.unwrap_or_else(|outcome| outcome)
        })
    }
}
