//! From an order that can be read to one that is carried out, refused, or prepared.

use super::{
    Begun, Case, Disk, Evidence, LocalFacts, Machine, Moment, No, Order, OrderState, Prepared, Record,
    RefusalCode, Remembered, Seen, Timestamp, Verb, check,
};

/// What the checks make of an order.
enum Judged {
    /// To be carried out now.
    Begin,
    /// A reboot without its second step: nothing objects.
    Prepare,
    /// A reboot that has happened already.
    AlreadyDone,
}

impl<D: Disk> Machine<D> {
    pub(super) fn judge(
        &mut self,
        order: Order,
        facts: &LocalFacts,
        nonce: &str,
        now: Moment,
    ) -> Option<Order> {
        let case = self.case(&order, facts, &self.running, now);
        // What comes from a coordinator that is not current is nothing to learn from.
        let is_heard = case.is_meant().is_ok() && case.leader_is_current().is_ok();
        let judged = self.checked(&case, now);
        let seen =
            is_heard.then(|| self.memory.newer(order.fence, order.position, Some(order.issued_at))).flatten();
        match judged {
            Ok(Judged::Begin) => return self.begin(order, seen, now),
            Ok(Judged::Prepare) => self.prepare(&order, seen, nonce, now),
            Ok(Judged::AlreadyDone) => {
                let boot = Evidence::new("boot_id", &self.rules.identity.boot_id, "agent");
                self.close(&order, seen, OrderState::Done { evidence: vec![boot] }, now);
            }
            Err(no) => {
                let (verb, code) = (order.verb.as_str(), no.code.as_str());
                log::warn!(order = order.id.as_str(); "{verb} is refused ({code}): {}", no.sentence);
                self.close(&order, seen, told(no), now);
            }
        }
        None
    }

    /// Every check in its order; the first that objects ends it.
    fn checked(&self, case: &Case<'_, D>, now: Moment) -> Result<Judged, No> {
        case.is_meant()?;
        case.leader_is_current()?;
        case.is_in_time()?;
        let is_reboot = matches!(case.order.verb, Verb::Reboot { .. });
        match case.is_for_this_boot() {
            // The boot that was to end has ended (S10).
            Err(_) if is_reboot => return Ok(Judged::AlreadyDone),
            answer => answer?,
        }
        case.is_within_memory()?;
        case.is_permitted_here()?;
        if let Verb::Reboot { commit: Some(nonce), .. } = &case.order.verb {
            case.is_not_too_soon()?;
            self.was_prepared(&case.order.id, nonce, now)?;
            case.last_look()?;
            return Ok(Judged::Begin);
        }
        case.nobody_objects()?;
        case.nothing_runs()?;
        case.is_not_too_soon()?;
        case.can_be_done_here()?;
        case.is_newest_list()?;
        Ok(if is_reboot { Judged::Prepare } else { Judged::Begin })
    }

    /// 11: the second step of a reboot follows the first, at once, in the same run of the agent.
    fn was_prepared(&self, id: &str, nonce: &str, now: Moment) -> Result<(), No> {
        let why = match &self.prepared {
            None => "it was not prepared, or the agent was restarted since",
            Some(prepared) if prepared.id != id || prepared.nonce != nonce => {
                "another reboot was prepared since"
            }
            Some(prepared) if !prepared.is_fresh(now) => "it was prepared more than 60 s ago",
            Some(_) => return Ok(()),
        };
        Err(No::new(RefusalCode::PrepareLost, format!("{why}; give the order anew")))
    }

    fn prepare(&mut self, order: &Order, seen: Option<Seen>, nonce: &str, now: Moment) {
        if let Err(trouble) = self.memory.add(seen.map(Record::Seen).into_iter().collect()) {
            let no = No::new(RefusalCode::MemoryBroken, trouble.to_string());
            return self.tell_unremembered(&order.id, no.state(), now);
        }
        // Asked once more, the answer is the same: a commit to it may be on its way.
        let again = self.prepared.take().filter(|known| known.id == order.id && known.is_fresh(now));
        let prepared = again.unwrap_or_else(|| Prepared {
            id: order.id.clone(),
            nonce: nonce.to_owned(),
            at: now.uptime,
        });
        let event = self.event(OrderState::Prepared { nonce: prepared.nonce.clone() }, now);
        self.prepared = Some(prepared);
        self.tell(&order.id, event);
    }

    /// 13: the intent, on the disk before the deed.
    fn begin(&mut self, order: Order, seen: Option<Seen>, now: Moment) -> Option<Order> {
        let begun = Begun {
            at: self.bound.now(now.uptime)?.latest,
            boot_id: self.rules.identity.boot_id.clone(),
            uptime_seconds: now.uptime.as_secs(),
            undelayed: None,
        };
        let verb = order.verb.as_str();
        let remembered = Remembered {
            id: order.id.clone(),
            verb: verb.to_owned(),
            void_at: Some(order.void_at()),
            begun: Some(begun),
            event: self.event(OrderState::Starting, now),
            told: false,
        };
        let event = remembered.event.clone();
        let whitelist = match order.verb {
            Verb::SetWhitelist { version, .. } => Some(Record::Whitelist { version }),
            _ => None,
        };
        let records = seen.map(Record::Seen).into_iter().chain(whitelist);
        if let Err(trouble) = self.memory.add(records.chain([Record::Order(remembered)]).collect()) {
            let no = No::new(RefusalCode::MemoryBroken, trouble.to_string());
            self.tell_unremembered(&order.id, no.state(), now);
            return None;
        }
        self.prepared = None;
        self.running.push((order.id.clone(), verb));
        self.tell(&order.id, event);
        log::info!(order = order.id.as_str(), operation = order.operation.as_str(); "{verb} begins: {}", order.reason);
        Some(order)
    }

    /// Says the last word about an order that was never begun, and remembers it first.
    fn close(&mut self, order: &Order, seen: Option<Seen>, state: OrderState, now: Moment) {
        self.close_as((&order.id, order.verb.as_str()), Some(order.void_at()), seen, state, now);
    }

    /// [`Machine::close`], for what may not be readable.
    pub(super) fn close_as(
        &mut self,
        (id, verb): (&str, &str),
        void_at: Option<Timestamp>,
        seen: Option<Seen>,
        state: OrderState,
        now: Moment,
    ) {
        let event = self.event(state, now);
        let (id, verb) = (id.to_owned(), verb.to_owned());
        self.remember(Remembered { id, verb, void_at, begun: None, event, told: false }, seen);
    }

    /// Remembers the last word about an order, and tells it. What could not be remembered is told all the same: it is true.
    pub(super) fn remember(&mut self, order: Remembered, seen: Option<Seen>) {
        let (id, event) = (order.id.clone(), order.event.clone());
        let records = seen.map(Record::Seen).into_iter().chain([Record::Order(order)]).collect();
        if let Err(trouble) = self.memory.add(records) {
            log::error!(order = id.as_str(); "{trouble}; {}", trouble.next());
        }
        self.tell(&id, event);
    }

    pub(super) fn case<'a>(
        &'a self,
        order: &'a Order,
        facts: &'a LocalFacts,
        running: &'a [(String, &'static str)],
        now: Moment,
    ) -> Case<'a, D> {
        let (rules, memory, bound) = (&self.rules, &self.memory, self.bound);
        Case { order, rules, memory, bound, facts, running, uptime: now.uptime }
    }
}

/// How an objection is told. What the memory cannot know is not known: "refused" would say that it was never begun.
pub(super) fn told(no: No) -> OrderState {
    match no.code {
        RefusalCode::MemoryBroken => OrderState::Unknown { sentence: no.sentence },
        _ => no.state(),
    }
}

impl Prepared {
    fn is_fresh(&self, now: Moment) -> bool {
        now.uptime.saturating_sub(self.at) <= check::COMMIT_WITHIN
    }
}
