//! Owners of tasks: whom to ask about what, and what they have answered.

use super::Fleet;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Code, Request, Stage,
    fleet::{Operation, OwnerWord},
    judge,
};
use millwright_protocol::NodeName;

/// What nobody has asked about for so long is forgotten.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// May this task end, or be moved?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerQuestion {
    /// Who is asked.
    pub owner: String,
    /// For which operation.
    pub operation: String,
    /// Who asked for that.
    pub requested_by: String,
    /// What that does.
    pub action: Action,
    /// To which node, as it is spelled.
    pub node: String,
    /// Mesos' id of the task.
    pub task: String,
    /// Its name.
    pub name: String,
    /// Its framework's name.
    pub framework: String,
    /// When it started, where known.
    pub started_at: Option<Timestamp>,
}

impl Fleet {
    /// What is to be asked now: the tasks with an owner that operations would end or move, and that nothing else keeps.
    /// They are asked about again whatever has been said, since owners change their minds.
    pub fn owner_questions(&mut self, now: Timestamp) -> Vec<OwnerQuestion> {
        self.refresh(now);
        let mut words = std::mem::take(&mut self.snapshot.owners);
        let mut questions = Vec::new();
        for open in self.snapshot.operations.iter() {
            // A drain waits for what the reboot after it would end.
            let judged = if open.action == Action::Drain { Action::Reboot } else { open.action };
            for node in &open.nodes {
                let request = Request {
                    stage: Stage::Permit,
                    operation: Some(open.id.clone()),
                    ..Request::one(judged, node.clone())
                };
                let reasons = judge(&request, &self.snapshot, &self.policy, now).reasons;
                for reason in reasons.iter().filter(|reason| reason.code == Code::OwnerObjects) {
                    let task =
                        reason.evidence.iter().find(|fact| fact.fact == "task").map(|fact| &fact.value);
                    questions.extend(task.and_then(|id| self.question(open, node, id)));
                }
            }
        }
        words.retain(|_, word| now.duration_since(word.at) < KEPT);
        self.snapshot.owners = words;
        questions
    }

    fn question(&self, open: &Operation, node: &NodeName, id: &str) -> Option<OwnerQuestion> {
        let known = self.snapshot.nodes.get(node)?;
        let own = known.agent.as_ref().and_then(|agent| agent.tasks.known()).into_iter().flatten();
        let master = known.master.iter().flat_map(|view| &view.tasks);
        let task = own.chain(master).find(|task| task.id == id)?;
        Some(OwnerQuestion {
            owner: task.owner.clone()?,
            operation: open.id.clone(),
            requested_by: open.requester.clone(),
            action: open.action,
            node: self.policy.spell(node).to_owned(),
            task: task.id.clone(),
            name: task.name.clone(),
            framework: task.framework.clone(),
            started_at: task.started_at,
        })
    }

    /// An owner has answered, or has not.
    pub fn take_owner_word(&mut self, task: &str, word: OwnerWord) {
        self.snapshot.owners.insert(task.to_owned(), word);
    }
}
