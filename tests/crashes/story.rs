//! One operation with one kill in it, and whoever plays along meanwhile: machines, the cloud's slow effects, people.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Chance;
use super::cloud::{Cloud, Found};
use super::kind::Kind;
use super::lab::{Lab, deactivate};
use super::puppet::Puppet;
use super::system::harness::{Mesos, Site, step_of, story_of};

/// Minutes of proofs, a start that warms up, and a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(900);
/// Whoever looks how far a program came looks again after this before they say anything.
const LOOKS_AGAIN: Duration = Duration::from_secs(5);
/// Puppet comes round by itself.
const PUPPET_EVERY: Duration = Duration::from_secs(8);
/// A server that is stopped may be missed for a week.
const REST_SECONDS: u32 = 7 * 24 * 3600 + 60;

/// When the coordinator dies.
enum Death {
    /// Once its story has so many events.
    After(u64),
    /// While the program of this step is at work.
    During(&'static str),
}

/// An operation under way.
struct Story<'lab> {
    kind: Kind,
    lab: &'lab Lab,
    own_mesos: Option<Mesos>,
    place: usize,
    site: Site,
    cloud: Cloud,
    puppet: Puppet,
    /// Since when a person looks how far a program came.
    looks_since: Option<Instant>,
    /// When the cloud has told that it will make or stop a machine, and how long that takes.
    accepted_at: Option<Instant>,
    takes: Duration,
    ran_puppet: Option<Instant>,
    has_rested: bool,
}

/// Begins it on a node of its own, kills the coordinator, and looks how it ends. Returns after how many events of its story
/// the kill came.
pub fn carry_through(kind: Kind, lab: &Lab, number: usize, chance: &mut Chance) -> Result<usize> {
    let mut story = Story::prepare(kind, lab, number, chance)?;
    if kind == Kind::Return {
        deactivate(story.mesos(), &story.mesos().agent_id(story.place)?)?;
    }
    let id = story.site.begin(kind.word(), &kind.request())?;
    let death = death(kind, chance);
    let pause = Duration::from_millis(chance.below(800));
    let began = Instant::now();
    let mut killed_after = None;
    let ended = loop {
        let operation = story.site.operation(&id)?;
        ensure!(began.elapsed() < LIMIT, "{id} has not ended: {operation:#}");
        ensure!(operation["state"] != "stuck", "{id} is stuck: {operation:#}");
        let events = story_of(&operation).len();
        let is_over = operation["state"] == kind.end() || !operation["ended"].is_null();
        let is_time = match death {
            Death::After(wanted) => events as u64 >= wanted,
            Death::During(step) => story.cloud.runs(step)?,
        };
        if killed_after.is_none() && (is_time || is_over) {
            sleep(pause);
            story.site.crash()?;
            killed_after = Some(events);
            continue;
        }
        if is_over {
            break operation;
        }
        story.play(&id, &operation).with_context(|| format!("play along with {id}: {operation:#}"))?;
        sleep(Duration::from_millis(20));
    };
    let agent_id = story.mesos().agent_id(story.place)?;
    kind.is_right(&ended, &story.site, story.mesos(), &agent_id, &story.cloud)?;
    lab.docker.cli(&["version"]).context("ask the Docker that all share")?;
    killed_after.context("it was never killed")
}

fn death(kind: Kind, chance: &mut Chance) -> Death {
    let commands = kind.commands();
    // What cannot be taken back is where it matters most.
    let is_during = chance.below(2) == 0;
    let place = usize::try_from(chance.below(commands.len() as u64)).unwrap_or_default();
    match commands.get(place).filter(|_| is_during) {
        Some(step) => Death::During(step),
        None => Death::After(chance.below(kind.events()) + 1),
    }
}

impl<'lab> Story<'lab> {
    fn prepare(kind: Kind, lab: &'lab Lab, number: usize, chance: &mut Chance) -> Result<Self> {
        let own_mesos = match kind {
            Kind::Rebuild => Some(Mesos::start(&lab.docker, 1)?),
            _ => None,
        };
        let (cloud, puppet) = (Cloud::new(chance)?, Puppet::new()?);
        if kind == Kind::Rebuild {
            puppet.run()?;
        }
        let site = kind.site(lab, own_mesos.as_ref().unwrap_or(&lab.mesos), number, &cloud, &puppet)?;
        Ok(Self {
            kind,
            lab,
            own_mesos,
            place: lab.place(kind, number),
            site,
            cloud,
            puppet,
            looks_since: None,
            accepted_at: None,
            takes: Duration::from_millis(chance.below(10_000)),
            ran_puppet: None,
            has_rested: false,
        })
    }

    fn mesos(&self) -> &Mesos {
        self.own_mesos.as_ref().unwrap_or(&self.lab.mesos)
    }

    /// What happens by itself, and what people do.
    fn play(&mut self, id: &str, operation: &Value) -> Result<()> {
        match self.kind {
            Kind::Reboot if self.site.machine.reboots_asked() > 0 && self.site.machine.boots() == 1 => {
                self.site.machine.reboot()?;
            }
            Kind::Rebuild | Kind::Create => self.make_machine()?,
            Kind::Delete => {
                if self.cloud.effects("quarantine")? > 0 {
                    self.site.machine.go_down()?;
                }
                self.rest(operation)?;
            }
            _ => {}
        }
        self.approve(id, operation)?;
        self.say_how_it_ended(id, operation)
    }

    /// The cloud has taken a request: some time later there is a machine, and its Puppet runs.
    fn make_machine(&mut self) -> Result<()> {
        let wanted = if self.kind == Kind::Create { 1 } else { 2 };
        if self.site.machine.boots() < wanted {
            if self.cloud.effects(self.kind.word())? == 0 {
                return Ok(());
            }
            if self.accepted_at.get_or_insert_with(Instant::now).elapsed() < self.takes {
                return Ok(());
            }
            if let Some(mesos) = &mut self.own_mesos {
                self.site.machine.replace()?;
                self.puppet.forget()?;
                mesos.start_again_with_new_ids()?;
            }
            self.site.machine.boot()?;
        }
        let has_made = self.accepted_at.is_some();
        if has_made && self.ran_puppet.is_none_or(|at| at.elapsed() > PUPPET_EVERY) {
            self.puppet.run()?;
            self.ran_puppet = Some(Instant::now());
        }
        Ok(())
    }

    /// A week goes by, in which the coordinator is started anew.
    fn rest(&mut self, operation: &Value) -> Result<()> {
        let is_resting = step_of(operation, "rest").is_some_and(|step| step["is_current"] == true);
        if is_resting && !self.has_rested {
            self.has_rested = true;
            let lab = self.lab;
            self.site.crash_into(|setup| Ok(lab.later(setup, REST_SECONDS)))?;
        }
        Ok(())
    }

    /// A second person agrees where one has to.
    fn approve(&self, id: &str, operation: &Value) -> Result<()> {
        let reasons = operation["waiting"]["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !reasons.iter().any(|reason| reason["code"] == "approval_missing") {
            return Ok(());
        }
        let word = json!({ "digest": operation["digest"], "reason": "seen", "by": "jill" });
        let (status, answer) = self.site.coordinator()?.post(&format!("operations/{id}/approve"), &word)?;
        ensure!(status == 200, "approve {id}: {status}: {answer:#}");
        Ok(())
    }

    /// Of a step that nobody knows the end of a person says what they find, if it does not show by itself.
    fn say_how_it_ended(&mut self, id: &str, operation: &Value) -> Result<()> {
        let step = operation["step"].as_str().unwrap_or_default().to_owned();
        let is_unknown = step_of(operation, &step).is_some_and(|found| found["state"] == "unknown");
        if !is_unknown || !self.kind.commands().contains(&step.as_str()) {
            self.looks_since = None;
            return Ok(());
        }
        let found = self.cloud.look(&step)?;
        if found == Found::StillRuns || (found == Found::Effect && self.kind.makes_a_machine()) {
            self.looks_since = None;
            return Ok(());
        }
        if self.looks_since.get_or_insert_with(Instant::now).elapsed() < LOOKS_AGAIN {
            return Ok(());
        }
        self.looks_since = None;
        let what = if found == Found::Effect { "done" } else { "not_run" };
        let word = json!({ "what": what, "reason": "looked in Nova", "by": "jane" });
        let (status, answer) = self.site.coordinator()?.post(&format!("operations/{id}/confirm"), &word)?;
        ensure!(status == 200, "confirm {what} of {step}: {status}: {answer:#}");
        Ok(())
    }
}
