//! Runs the checks: one task each on one thread, each in its own rhythm with a hard deadline.
//!
//! A check cannot block another, because looks only wait; it cannot pile up, because its next look begins
//! after the last one ended or was abandoned. What hangs in the kernel hangs in a child (see `probe`) that
//! keeps its slot; looks then wait for the slot, miss their deadlines one by one, and are counted.

use crate::{
    board::{Posted, SharedBoard, Slot},
    check::{Check, Rhythm},
    clock::Clock,
    ledger::Change,
};
use futures_util::{FutureExt, future::join_all};
use millwright_protocol::Status;
use std::{panic::AssertUnwindSafe, rc::Rc};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, timeout},
};

/// What the checks' tasks share.
#[derive(Clone)]
pub struct Runner {
    /// Where looks are written down.
    pub board: SharedBoard,
    /// What time it is.
    pub clock: Clock,
    /// Poked when tasks or containers changed.
    pub report_soon: Rc<Notify>,
}

impl Runner {
    /// Looks in the check's rhythm, for ever.
    pub async fn watch(self, slot: Slot, mut check: Box<dyn Check>) {
        let Rhythm { every, .. } = check.rhythm();
        let mut rhythm = interval(every);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            rhythm.tick().await;
            let posted = self.look(slot, check.as_mut()).await;
            if posted.work_changed {
                self.report_soon.notify_one();
            }
            posted.changes.iter().for_each(tell);
        }
    }

    /// Looks once. A look that panics is a defect of ours, costs this one answer, and is told.
    async fn look(&self, slot: Slot, check: &mut dyn Check) -> Posted {
        let Rhythm { every, deadline } = check.rhythm();
        let name = check.name();
        let looking = AssertUnwindSafe(async { check.look((self.clock)().wall).await }).catch_unwind();
        let look = timeout(deadline.min(every), looking).await;
        let now = (self.clock)();
        match look {
            Ok(Ok(look)) => self.board.lock().looked(slot, look, now),
            Ok(Err(_)) => {
                log::error!(check = name; "the check {name} broke; please report this with the log above it");
                self.board.lock().timed_out(slot, now)
            }
            Err(_) => self.board.lock().timed_out(slot, now),
        }
    }

    /// Looks once with every check, side by side.
    pub async fn once(&self, checks: Vec<(Slot, Box<dyn Check>)>) {
        join_all(checks.into_iter().map(|(slot, mut check)| async move {
            self.look(slot, check.as_mut()).await;
        }))
        .await;
    }
}

/// One line a change of state.
fn tell(change: &Change) {
    let (level, to) = match change.to {
        Some(status @ Status::Crit) => (log::Level::Error, status.as_str()),
        Some(status @ (Status::Warn | Status::Unknown)) => (log::Level::Warn, status.as_str()),
        Some(Status::Ok) => (log::Level::Info, Status::Ok.as_str()),
        None => (log::Level::Info, "gone"),
    };
    let (before, was) = match change.from {
        None => ("", String::new()),
        Some(from) if Some(from) == change.to => (from.as_str(), String::new()),
        Some(from) => (from.as_str(), format!(", was {}", from.as_str())),
    };
    let item = change.item.as_deref().unwrap_or_default();
    log::log!(
        level,
        check = change.check, item = item, status = to, before = before, gating = change.gating;
        "{to}{was}: {}", change.sentence
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::{Look, Looking, Observation},
        clock::Moment,
    };
    use jiff::Timestamp;
    use std::{cell::Cell, future::pending, time::Duration};
    use tokio::{
        task::LocalSet,
        time::{Instant, advance, sleep},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes `takes` for each look; `None` never ends. Counts looks begun and looks in flight.
    struct Slow {
        name: &'static str,
        takes: Option<Duration>,
        begun: Rc<Cell<u32>>,
        in_flight: Rc<Cell<u32>>,
    }

    struct InFlight(Rc<Cell<u32>>);

    impl Drop for InFlight {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }

    impl Check for Slow {
        fn name(&self) -> &'static str {
            self.name
        }
        fn is_gating(&self) -> bool {
            true
        }
        fn rhythm(&self) -> Rhythm {
            Rhythm { every: 10 * SECOND, deadline: 5 * SECOND }
        }
        fn look(&mut self, _now: Timestamp) -> Looking<'_> {
            self.begun.set(self.begun.get() + 1);
            self.in_flight.set(self.in_flight.get() + 1);
            assert_eq!(self.in_flight.get(), 1, "looks of one check overlap");
            let (takes, in_flight) = (self.takes, InFlight(self.in_flight.clone()));
            Box::pin(async move {
                let _in_flight = in_flight;
                match takes {
                    Some(takes) => sleep(takes).await,
                    None => pending().await,
                }
                Look { observations: vec![Observation::new(Status::Ok, "fine").gating()], ..Look::default() }
            })
        }
    }

    struct Panics;

    impl Check for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn is_gating(&self) -> bool {
            false
        }
        fn rhythm(&self) -> Rhythm {
            Rhythm { every: 10 * SECOND, deadline: 5 * SECOND }
        }
        fn look(&mut self, _now: Timestamp) -> Looking<'_> {
            panic!("a defect")
        }
    }

    /// A clock that follows tokio's paused one.
    fn runner() -> Runner {
        let started = Instant::now();
        let wall: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        Runner {
            board: SharedBoard::default(),
            clock: Rc::new(move || {
                let passed = started.elapsed();
                Moment { wall: wall + passed, uptime: 100 * SECOND + passed }
            }),
            report_soon: Rc::new(Notify::new()),
        }
    }

    fn slow(name: &'static str, takes: Option<Duration>) -> Slow {
        Slow { name, takes, begun: Rc::default(), in_flight: Rc::default() }
    }

    fn statuses(runner: &Runner) -> Vec<Status> {
        runner.board.lock().findings((runner.clock)()).into_iter().map(|finding| finding.status).collect()
    }

    async fn run(runner: &Runner, checks: Vec<Box<dyn Check>>, duration: Duration) {
        let tasks = LocalSet::new();
        for check in checks {
            let slot = runner.board.lock().add(check.as_ref(), (runner.clock)());
            tasks.spawn_local(runner.clone().watch(slot, check));
        }
        let step = SECOND / 2;
        tasks
            .run_until(async {
                for _ in 0..duration.as_millis() / step.as_millis() {
                    advance(step).await;
                    tokio::task::yield_now().await;
                }
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_blocks_no_other_and_becomes_crit_after_three_looks() {
        let runner = runner();
        let (hung, well) = (slow("hung", None), slow("well", Some(SECOND)));
        let looks = (hung.begun.clone(), well.begun.clone());
        let checks: Vec<Box<dyn Check>> = vec![Box::new(hung), Box::new(well)];
        run(&runner, checks, 76 * SECOND).await;
        assert_eq!(statuses(&runner), [Status::Crit, Status::Ok]);
        assert_eq!((looks.0.get(), looks.1.get()), (8, 8), "one look a rhythm, none piled up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_over_its_deadline_is_abandoned_and_unknown() {
        let runner = runner();
        let late = slow("late", Some(6 * SECOND));
        let in_flight = late.in_flight.clone();
        run(&runner, vec![Box::new(late)], 6 * SECOND).await;
        assert_eq!(statuses(&runner), [Status::Unknown]);
        assert_eq!(in_flight.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_panics_is_unknown_and_stops_nothing() {
        let runner = runner();
        run(&runner, vec![Box::new(Panics), Box::new(slow("well", Some(SECOND)))], 20 * SECOND).await;
        assert_eq!(statuses(&runner), [Status::Unknown, Status::Ok]);
    }

    #[tokio::test(start_paused = true)]
    async fn once_looks_with_every_check_side_by_side() {
        let runner = runner();
        let checks: Vec<Box<dyn Check>> =
            vec![Box::new(slow("a", Some(4 * SECOND))), Box::new(slow("b", None))];
        let slots = checks
            .into_iter()
            .map(|check| (runner.board.lock().add(check.as_ref(), (runner.clock)()), check))
            .collect();
        let started = Instant::now();
        runner.once(slots).await;
        assert_eq!(started.elapsed(), 5 * SECOND);
        assert_eq!(statuses(&runner), [Status::Ok, Status::Unknown]);
    }
}
