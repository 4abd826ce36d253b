//! What `/status` says, and what page, metrics and terminal show: one struct, so that they never disagree.

use crate::{
    board::SharedBoard,
    clock::Moment,
    config::{NodeClass, Protections},
    heartbeat::SharedContact,
    holds,
    identity::Identity,
    orders::{SharedMachine, machine::OrdersView},
};
use jiff::Timestamp;
use millwright_protocol::{Facts, Finding, LocalHold, Status};
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, path::PathBuf};

/// The agent's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The node's name as it reports it.
    pub node: String,
    /// What kind of node it is.
    pub class: NodeClass,
    /// The agent's version.
    pub agent_version: String,
    /// The id of this boot.
    pub boot_id: String,
    /// The machine's id.
    pub machine_id: String,
    /// The server's UUID, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// Seconds since boot.
    pub uptime_seconds: u64,
    /// The node's clock when this was made.
    pub at: Timestamp,
    /// The worst status of all findings.
    pub worst: Status,
    /// What must never be done to this node, by its own configuration.
    pub protections: Protections,
    /// How the agent and its coordinator get on.
    pub coordinator: ContactView,
    /// Holds set on the node itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_holds: Vec<LocalHold>,
    /// Orders of the coordinator; absent where no agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<OrdersView>,
    /// All findings, the worst first.
    pub findings: Vec<Finding>,
    /// Everything else the checks saw.
    pub facts: Facts,
}

/// How the agent and its coordinator get on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContactView {
    /// Where it is; absent when none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `in_touch`, after 30 s without contact `silent`, after 5 min `alone`.
    #[serde(default)]
    pub standing: String,
    /// How long ago it took a report, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_seconds_ago: Option<u64>,
    /// When it took a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// Whether its policy lists this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// The UUID of its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Its clock minus ours, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_seconds: Option<f64>,
    /// The number of the last report.
    #[serde(default)]
    pub sequence: u64,
    /// Why the last report was not taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Since when reports are not taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_since: Option<Timestamp>,
}

impl ContactView {
    /// One sentence about it.
    pub fn sentence(&self) -> String {
        let Some(url) = &self.url else {
            return "no coordinator is configured: this agent checks and shows, and reports to nobody"
                .to_owned();
        };
        let accepted = match self.accepted_seconds_ago {
            None => "no report was accepted since the agent started".to_owned(),
            Some(seconds) => format!("the last report was accepted {seconds} s ago by {url}"),
        };
        let accepted = match self.standing.as_str() {
            "alone" => format!("{accepted}; this node is alone, and begins nothing"),
            _ => accepted,
        };
        match (&self.problem, self.listed) {
            (Some(problem), _) => format!("{problem}; {accepted}"),
            (None, Some(false)) => format!("{accepted}; its policy does not list this node"),
            (None, _) => accepted,
        }
    }
}

/// Where views come from.
#[derive(Debug, Clone)]
pub struct StatusSource {
    /// Who this node is.
    pub identity: Identity,
    /// What kind of node it is.
    pub class: NodeClass,
    /// What must never be done to it.
    pub protections: Protections,
    /// Where the coordinator is.
    pub coordinator: Option<String>,
    /// Findings and facts.
    pub board: SharedBoard,
    /// How reports fare.
    pub contact: SharedContact,
    /// Orders, where an agent runs.
    pub machine: Option<SharedMachine>,
    /// Where holds of the node are.
    pub state: PathBuf,
}

impl StatusSource {
    /// The status now.
    pub fn view(&self) -> StatusView {
        self.view_at(Moment::now())
    }

    fn view_at(&self, now: Moment) -> StatusView {
        let (mut findings, facts) = {
            let board = self.board.lock();
            (board.findings(now), board.facts(now))
        };
        findings.sort_by_key(|finding| (Reverse(finding.status), !finding.gating, finding.since));
        StatusView {
            node: self.identity.name.clone(),
            class: self.class,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: self.identity.boot_id.clone(),
            machine_id: self.identity.machine_id.clone(),
            server_uuid: self.identity.server_uuid.clone(),
            uptime_seconds: now.uptime.as_secs(),
            at: now.wall,
            worst: findings.first().map_or(Status::Ok, |finding| finding.status),
            protections: self.protections,
            coordinator: self.contact_view(now),
            local_holds: holds::in_force(&self.state, now.wall).unwrap_or_default(),
            orders: self.machine.as_ref().map(|machine| machine.lock().view()),
            findings,
            facts,
        }
    }

    fn contact_view(&self, now: Moment) -> ContactView {
        let contact = self.contact.lock();
        ContactView {
            url: self.coordinator.clone(),
            standing: contact.standing(now).as_str().to_owned(),
            accepted_seconds_ago: contact.accepted.map(|accepted| now.since(accepted).as_secs()),
            accepted_at: contact.accepted.map(|accepted| accepted.wall),
            listed: contact.listed,
            cluster: contact.cluster.clone(),
            clock_offset_seconds: contact.clock_offset_seconds,
            sequence: contact.sequence,
            problem: contact.problem.as_ref().map(|(problem, _)| problem.clone()),
            problem_since: contact.problem.as_ref().map(|(_, since)| since.wall),
        }
    }
}

/// How many findings there are of each status, the worst first, as "2 crit, 1 warn, 9 ok".
pub fn tally(findings: &[Finding]) -> String {
    let counts: Vec<String> = [Status::Crit, Status::Unknown, Status::Warn, Status::Ok]
        .into_iter()
        .map(|status| (findings.iter().filter(|finding| finding.status == status).count(), status.as_str()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if counts.is_empty() { "nothing is checked".to_owned() } else { counts.join(", ") }
}

/// A hold of the node, in words.
pub fn hold(hold: &LocalHold) -> String {
    let until = hold.until.map_or("until it is lifted".to_owned(), |until| format!("until {until}"));
    format!("{} holds this node as it is, {until}: {} (hold {})", hold.author, hold.reason, hold.id)
}

/// "since 10:04 CET (12 min)", by the node's own time zone; with the day when it was not today.
pub fn since(finding: &Finding, now: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    let (then, today) = (finding.since.to_zoned(zone.clone()), now.to_zoned(zone));
    let clock = if then.date() == today.date() {
        then.strftime("%H:%M %Z")
    } else {
        then.strftime("%b %-d %H:%M %Z")
    };
    let lasted = std::time::Duration::try_from(now.duration_since(finding.since)).unwrap_or_default();
    match lasted.as_secs() {
        0 => format!("since {clock}"),
        _ => format!("since {clock} ({})", crate::config::units::spoken(lasted)),
    }
}

/// What pre-pull does about each image, in words.
pub fn images(facts: &Facts) -> Vec<String> {
    use crate::config::units::spoken_size;
    use millwright_protocol::PullState;
    let about = |image: &millwright_protocol::ImageFact| {
        let presence = if image.present { "present" } else { "missing" };
        let Some(pull) = &image.pull else { return format!("{}: {presence}", image.name) };
        let error = pull.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let doing = match pull.state {
            PullState::Pulling => {
                let percent =
                    (pull.done_bytes.saturating_mul(100)).checked_div(pull.total_bytes).unwrap_or(0);
                let (done, total) = (spoken_size(pull.done_bytes), spoken_size(pull.total_bytes));
                format!("being pulled, {percent} % ({done} of {total})")
            }
            PullState::Waiting => "waits for its turn to be pulled".to_owned(),
            PullState::Failed => format!("could not be pulled, try {}{error}", pull.attempts),
            PullState::NoRoom => format!("is not pulled, there is too little room{error}"),
            PullState::Done | PullState::Unknown => return format!("{}: {presence}", image.name),
        };
        format!("{}: {presence}, {doing}", image.name)
    };
    facts.images.iter().map(about).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::orders::machine::OrderView;
    use crate::{
        check::{Check, Look, Looking, Observation, Rhythm},
        heartbeat::Contact,
    };
    use std::time::Duration;

    struct Disk;

    impl Check for Disk {
        fn name(&self) -> &'static str {
            "volume"
        }
        fn is_gating(&self) -> bool {
            true
        }
        fn rhythm(&self) -> Rhythm {
            Rhythm { every: Duration::from_secs(60), deadline: Duration::from_secs(10) }
        }
        fn look(&mut self, _now: Timestamp) -> Looking<'_> {
            Box::pin(async { Look::default() })
        }
    }

    /// A node with a missing volume, a full one, a well one with a nasty name, and a coordinator that is away.
    pub(crate) fn example() -> StatusView {
        let start =
            Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: Duration::from_secs(90_000) };
        let board = SharedBoard::default();
        let slot = board.lock().add(&Disk, start);
        let observations = vec![
            Observation::new(Status::Ok, "fine <b>&\"'\u{1b}[2J").item("a\"\\\n<i>"),
            Observation::new(Status::Warn, "/build is 60 % full").item("space"),
            Observation::new(Status::Crit, "/data is slow").item("/data"),
            Observation::new(Status::Crit, "/build is not mounted")
                .item("/build")
                .gating()
                .next("mount /build"),
        ];
        board.lock().looked(slot, Look { observations, facts: Vec::new() }, start);
        let contact = SharedContact::default();
        *contact.lock() = Contact {
            accepted: Some(start),
            problem: Some(("the coordinator is away".into(), start.after(Duration::from_secs(30)))),
            ..Contact::default()
        };
        let source = StatusSource {
            identity: Identity { name: "alibuild10".into(), ..Identity::default() },
            class: NodeClass::Agent,
            protections: Protections { never_rebuild: true, ..Protections::default() },
            coordinator: Some("http://127.0.0.1:8482".into()),
            board,
            contact,
            machine: None,
            state: "/none/such".into(),
        };
        source.view_at(start.after(Duration::from_secs(90)))
    }

    /// The same node, held and ordered about, with a memory that cannot be used.
    pub(crate) fn ordered() -> StatusView {
        let view = example();
        let last = OrderView {
            id: "op-1.2.1".into(),
            verb: "reboot".into(),
            state: "refused".into(),
            sentence: Some("veto: <ann> holds this node".into()),
            at: view.at,
            told: false,
        };
        let hold = LocalHold {
            id: "5f0c".into(),
            author: "ann".into(),
            reason: "the <disk>".into(),
            since: view.at,
            until: None,
        };
        let orders = OrdersView {
            enabled: false,
            memory_trouble: Some("torn".into()),
            untold: 1,
            last: vec![last],
            ..OrdersView::default()
        };
        StatusView { orders: Some(orders), local_holds: vec![hold], ..view }
    }

    #[test]
    fn the_worst_comes_first_and_gating_before_the_rest() {
        let view = example();
        let order: Vec<_> = view.findings.iter().map(|finding| finding.item.as_deref().unwrap()).collect();
        assert_eq!(order, ["/build", "/data", "space", "a\"\\\n<i>"]);
        assert_eq!((view.worst, tally(&view.findings).as_str()), (Status::Crit, "2 crit, 1 warn, 1 ok"));
    }

    #[test]
    fn contact_says_when_a_report_was_accepted_last_and_why_none_is_now() {
        let view = example();
        assert_eq!(
            view.coordinator.sentence(),
            "the coordinator is away; the last report was accepted 90 s ago by http://127.0.0.1:8482"
        );
    }

    #[test]
    fn a_view_survives_the_wire() {
        for view in [example(), ordered()] {
            let back: StatusView = serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap();
            assert_eq!(back, view);
        }
    }

    #[test]
    fn a_node_that_is_alone_says_that_it_begins_nothing() {
        let alone = ContactView { standing: "alone".into(), ..example().coordinator };
        assert!(alone.sentence().contains("this node is alone, and begins nothing"), "{}", alone.sentence());
    }
}
