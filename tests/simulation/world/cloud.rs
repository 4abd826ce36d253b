//! A cloud that the coordinator asks itself: slow with what it takes on, now and then without an answer, in error, or half
//! done, and with a good memory for what it was asked.

use super::*;

/// A request is followed for so long, in seconds, before it is a question.
const PATIENCE: i64 = 900;
/// The same of one that was made before the coordinator died.
const LOOK: i64 = 600;

/// An attempt at a step: its operation, place and number.
pub type Asked = (String, usize, u32);

/// What the cloud has taken on.
#[derive(Debug, Clone)]
pub struct Request {
    node: NodeName,
    step: Step,
    ends_at: Timestamp,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It comes about.
    Comes,
    /// It ends in error and changes nothing.
    Fails,
    /// It is called done, and nothing happens.
    Lies,
}

impl World {
    /// What comes of asking, or of only looking what became of an earlier request; and after how many seconds that is known.
    pub(super) fn ask_cloud(&mut self, task: &Task, may_ask: bool) -> (Outcome, i64) {
        let (asked, step) = (asked(task), task.step);
        if self.trouble("cloud", 400) {
            self.coverage.count_word("fault/cloud_silent", step.as_str());
            let outcome = match may_ask {
                true => refused("cloud_silent", "connection refused"),
                false => Outcome::unknown("the cloud does not answer"),
            };
            return (outcome, 10);
        }
        match self.requests.get(&asked).cloned() {
            Some(request) => self.follow(&request, if may_ask { PATIENCE } else { LOOK }),
            None if may_ask => self.request(task, asked),
            None => (Outcome::not_done("the cloud has no such request in its log"), 60),
        }
    }

    fn request(&mut self, task: &Task, asked: Asked) -> (Outcome, i64) {
        let (step, name) = (task.step, &task.node);
        if let Some((word, why)) = self.objects(step, name) {
            return (refused(word, why), 2);
        }
        if self.trouble("cloud", 600) {
            self.coverage.count_word("fault/cloud_refuses", step.as_str());
            return (refused("server_busy", "409: it is in task_state powering-off"), 2);
        }
        // Stopping is one request and locking another.
        if step == Step::Quarantine && self.trouble("cloud", 800) {
            self.coverage.count_word("fault/cloud_half_done", step.as_str());
            self.touch(name, step);
            return (refused("cloud_silent", "it is stopped, and could not be locked"), 60);
        }
        // Each attempt is judged by what became of it.
        self.checker.done.remove(&(task.operation.clone(), step));
        let fate = if self.trouble("cloud", 600) {
            self.coverage.count_word("fault/cloud_fails", step.as_str());
            Fate::Fails
        } else if matches!(step, Step::HardReboot | Step::Rebuild) && self.trouble("cloud_lies", 300) {
            self.note("cloud_lies", Some(name));
            self.checker.lied.insert((task.operation.clone(), step));
            Fate::Lies
        } else {
            super::super::checker::touched_by_cloud(self, name, task);
            if matches!(step, Step::HardReboot | Step::Rebuild | Step::Quarantine) {
                self.take_down(name);
            }
            Fate::Comes
        };
        let seconds = self.chance.between(5, 1200);
        let ends_at = self.now + SignedDuration::from_secs(seconds);
        let request = Request { node: name.clone(), step, ends_at, fate };
        self.after(seconds, Happening::CloudEnds(asked.clone()));
        self.requests.insert(asked, request.clone());
        if self.trouble("cloud", 800) {
            self.coverage.count_word("fault/cloud_hangs", step.as_str());
            return (Outcome::unknown("the connection broke after the request was sent"), 30);
        }
        self.follow(&request, PATIENCE)
    }

    fn follow(&mut self, request: &Request, patience: i64) -> (Outcome, i64) {
        // What happens at its end has happened a second later.
        let left = request.ends_at.duration_since(self.now).as_secs().max(0) + 1;
        if left > patience {
            return (Outcome::unknown("the cloud is still at work on it"), patience);
        }
        let outcome = match request.fate {
            Fate::Comes | Fate::Lies => Outcome::done(Vec::new()),
            Fate::Fails => Outcome::not_done("it ended in error: no valid host was found"),
        };
        (outcome, left)
    }

    pub(super) fn cloud_ends(&mut self, asked: &Asked) {
        let Some(request) = self.requests.get(asked).cloned() else { return };
        if request.fate == Fate::Comes {
            self.touch(&request.node, request.step);
        }
    }

    /// The operations for which the cloud is still at work: whoever looks there sees it.
    pub fn cloud_is_at_work_for(&self) -> BTreeSet<String> {
        let open = self.requests.iter().filter(|(_, request)| self.now <= request.ends_at);
        open.map(|((operation, ..), _)| operation.clone()).collect()
    }

    /// What the cloud itself has against it.
    fn objects(&self, step: Step, name: &NodeName) -> Option<(&'static str, &'static str)> {
        let is_there = self.nodes.get(name).is_some_and(|node| !node.is_deleted);
        if step == Step::Create {
            return is_there.then_some(("server_exists", "there is one of that name"));
        }
        if step == Step::DeleteVolumes {
            return None;
        }
        if !is_there {
            return Some(("server_absent", "there is none of that name"));
        }
        if self.others.locked.contains_key(name) {
            return Some(("server_locked", "somebody has locked it"));
        }
        self.others.twins.contains_key(name).then_some(("server_doubtful", "there are two of that name"))
    }
}

fn asked(task: &Task) -> Asked {
    (task.operation.clone(), task.place, task.attempt)
}

fn refused(word: &str, why: &str) -> Outcome {
    Outcome::NotDone { why: why.to_owned(), refusal: Some(word.to_owned()) }
}
