//! The machine itself: memory, kills for want of memory, load, clock, whether it wants a reboot.
//!
//! Nothing here gates: builds run on a busy machine, and a reboot is for people or an operation to decide.

mod clock;
mod oom;
mod reboot;

use super::Context;
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{Config, SystemConfig, units::spoken_size},
};
use clock::KernelClock;
use jiff::Timestamp;
use millwright_protocol::{Status, SystemFacts};
use oom::OomKills;
use std::{rc::Rc, thread::available_parallelism};
use sysinfo::System;

/// The one check of the machine.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    let oom_kills = OomKills::watch(&context.config.paths);
    vec![Box::new(SystemCheck { config: context.config.clone(), oom_kills })]
}

struct SystemCheck {
    config: Rc<Config>,
    oom_kills: OomKills,
}

impl Check for SystemCheck {
    fn name(&self) -> &'static str {
        "system"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn rhythm(&self) -> Rhythm {
        let system = &self.config.checks.system;
        Rhythm { every: system.every, deadline: system.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let config = &self.config.checks.system;
            let facts = SystemFacts {
                reboot_required: reboot::required(&self.config.paths, &kernel()),
                ..facts_of_this_machine()
            };
            let observations = vec![
                memory(&facts, config),
                self.oom_kills.look(now, config.oom_kills_told_for),
                load(&facts, config),
                KernelClock::read().judge(config.clock_offset),
                reboot(&facts),
            ];
            Look { observations, facts: vec![FactPart::System(facts)] }
        })
    }
}

fn kernel() -> String {
    System::kernel_version().unwrap_or_default()
}

/// Figures the kernel does not tell stay zero, which no machine has.
fn facts_of_this_machine() -> SystemFacts {
    let load = System::load_average();
    let mut facts = SystemFacts {
        cpus: available_parallelism().ok().and_then(|cpus| u32::try_from(cpus.get()).ok()).unwrap_or(0),
        load: load.map(|load| [load.one, load.five, load.fifteen]).unwrap_or_default(),
        kernel: kernel(),
        os: System::long_os_version().unwrap_or_default(),
        ..SystemFacts::default()
    };
    if let Ok(mut system) = System::new() {
        system.refresh_memory();
        facts.memory_bytes = system.total_memory();
        facts.memory_available_bytes = system.available_memory();
    }
    facts
}

fn memory(facts: &SystemFacts, config: &SystemConfig) -> Observation {
    let (available, total) = (facts.memory_available_bytes, facts.memory_bytes);
    if total == 0 {
        return Observation::new(Status::Unknown, "the kernel does not tell how much memory there is")
            .item("memory");
    }
    let percent = u128::from(available) * 100 / u128::from(total);
    let is_short = percent < u128::from(config.memory_available_percent);
    let status = if is_short { Status::Warn } else { Status::Ok };
    let sentence = format!(
        "{percent} % of the memory is available ({} of {})",
        spoken_size(available),
        spoken_size(total)
    );
    let observation =
        Observation::new(status, sentence).item("memory").evidence("available_bytes", available, "meminfo");
    if is_short {
        observation.next("see what takes it with `ps aux --sort=-rss | head`")
    } else {
        observation
    }
}

/// Above this the scheduler's load controller would begin to kill revocable tasks, so it is the normal
/// maximum, and only lasting load beyond it is worth a word (R: 15-minute load > processors + 2).
fn load(facts: &SystemFacts, config: &SystemConfig) -> Observation {
    let ([_, _, fifteen], cpus) = (facts.load, facts.cpus);
    let limit = f64::from(cpus) + config.load_above_cpus;
    let status = if cpus > 0 && fifteen > limit { Status::Warn } else { Status::Ok };
    let sentence = match status {
        Status::Ok => format!("the load is {fifteen:.1} on {cpus} processors"),
        _ => format!("the load is {fifteen:.1}, more than {limit:.1} for {cpus} processors"),
    };
    let observation = Observation::new(status, sentence)
        .item("load")
        .debounce(config.load_for)
        .evidence("load15", fifteen, "loadavg");
    match status {
        Status::Ok => observation,
        _ => {
            observation.next("see what runs with `top`; processes in state D point at a slow disk or server")
        }
    }
}

fn reboot(facts: &SystemFacts) -> Observation {
    match &facts.reboot_required {
        None => Observation::new(Status::Ok, "no reboot is wanted").item("reboot"),
        Some(why) => Observation::new(Status::Warn, format!("a reboot is wanted: {why}"))
            .item("reboot")
            .next("reboot it when it is empty: ask `millwright may reboot` first"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SystemConfig {
        SystemConfig::default()
    }

    #[test]
    fn less_than_ten_percent_of_the_memory_warns() {
        let facts = |available: u64| SystemFacts {
            memory_bytes: 64 << 30,
            memory_available_bytes: available << 30,
            ..SystemFacts::default()
        };
        assert_eq!(memory(&facts(7), &config()).status, Status::Ok);
        let short = memory(&facts(6), &config());
        assert_eq!((short.status, short.gating), (Status::Warn, false));
        assert_eq!(short.sentence, "9 % of the memory is available (6.0 GiB of 64 GiB)");
        assert_eq!(memory(&SystemFacts::default(), &config()).status, Status::Unknown);
    }

    #[test]
    fn load_above_processors_and_two_warns_when_it_lasts_half_an_hour() {
        let facts = |fifteen| SystemFacts { cpus: 8, load: [50.0, 50.0, fifteen], ..SystemFacts::default() };
        assert_eq!(load(&facts(10.0), &config()).status, Status::Ok);
        let busy = load(&facts(10.1), &config());
        assert_eq!((busy.status, busy.debounce.as_secs()), (Status::Warn, 1800));
    }

    #[test]
    fn this_machine_tells_its_memory_and_kernel() {
        let facts = facts_of_this_machine();
        assert!(facts.memory_bytes > 0 && facts.cpus > 0 && !facts.kernel.is_empty(), "{facts:?}");
        assert!(facts.memory_available_bytes <= facts.memory_bytes);
    }
}
