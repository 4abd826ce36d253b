//! What stands around every page: the cluster, what holds for the whole fleet, and how old all of it is.

use super::{
    markdown::{self, Span},
    words::{self, Mark, Moment, Tone},
};
use crate::view::FleetView;
use jiff::Timestamp;

/// The frame of a page.
pub struct Shell {
    /// The cluster's name; empty while no policy names one.
    pub cluster: String,
    /// When the page was made, and the same as a clock says it; absent for pages that do not age.
    pub made_at: Option<(Moment, String)>,
    /// What holds for the whole fleet, loudest first.
    pub banners: Vec<Banner>,
    /// In words what changed, for readers that cannot see; compared between two refreshes.
    pub summary: String,
    /// The canonical name of the node that the page is about; empty for the fleet.
    pub node: String,
    /// The path of the page's place in the menu; empty for pages that have none.
    pub place: &'static str,
}

/// The menu.
const PLACES: [(&str, &str); 7] = [
    ("/", "Fleet"),
    ("/operations", "Operations"),
    ("/approvals", "Approvals"),
    ("/holds", "Holds"),
    ("/audit", "Audit"),
    ("/manual", "Manual"),
    ("/me", "You"),
];

/// One thing that holds for the whole fleet.
pub struct Banner {
    /// How it is to be read.
    pub tone: Tone,
    /// The same as a symbol.
    pub symbol: &'static str,
    /// The headline.
    pub headline: &'static str,
    /// What it means now.
    pub sentence: Vec<Span>,
    /// Since when.
    pub since: Option<Moment>,
    /// The page in the manual.
    pub code: Option<&'static str>,
    /// What a person can do about it here: the form's path and its word.
    pub act: Option<(String, &'static str)>,
}

impl Shell {
    /// The frame of a page about the fleet at the moment of `fleet`.
    pub fn new(fleet: &FleetView) -> Self {
        let now = fleet.asked_at;
        let clock = now.strftime("%H:%M:%S UTC").to_string();
        Self {
            cluster: fleet.cluster.clone(),
            made_at: Some((Moment::new(now, now), clock)),
            banners: banners(fleet),
            ..Self::bare()
        }
    }

    /// The same at a place of the menu.
    pub fn at(self, place: &'static str) -> Self {
        Self { place, ..self }
    }

    /// The same for a page that stays as it is while somebody fills in its form.
    pub fn still(self) -> Self {
        Self { made_at: None, ..self }
    }

    /// The menu: path, word, and whether the page is there.
    pub fn menu(&self) -> [(&'static str, &'static str, bool); 7] {
        PLACES.map(|(path, word)| (path, word, path == self.place))
    }

    /// The same for a page about `node` (nothing for the fleet), whose own summary comes before the banners'.
    pub fn about(self, node: &str, summary: &str) -> Self {
        let headlines = self.banners.iter().map(|banner| banner.headline);
        let summary = std::iter::once(summary).chain(headlines).collect::<Vec<_>>().join(". ");
        Self { summary, node: node.to_owned(), ..self }
    }

    /// The frame of a page that needs no fleet, such as the manual's.
    pub fn bare() -> Self {
        Self {
            cluster: String::new(),
            made_at: None,
            banners: Vec::new(),
            summary: String::new(),
            node: String::new(),
            place: "",
        }
    }
}

impl Banner {
    fn new(
        mark: Mark,
        headline: &'static str,
        sentence: String,
        since: Option<Moment>,
        code: Option<&'static str>,
    ) -> Self {
        let ends = sentence.ends_with(['.', '!', '?']);
        let sentence = markdown::line(&if ends { sentence } else { sentence + "." });
        Self { tone: mark.tone, symbol: mark.symbol, headline, sentence, since, code, act: None }
    }
}

const BAD: Mark = Mark { word: "crit", symbol: "✕", tone: Tone::Bad };
const NOTICE: Mark = Mark { word: "notice", symbol: "⚑", tone: Tone::Notice };
const BUSY: Mark = Mark { word: "wait", symbol: "◔", tone: Tone::Busy };

fn banners(fleet: &FleetView) -> Vec<Banner> {
    let now = fleet.asked_at;
    let moment = |at: Timestamp| Some(Moment::new(at, now));
    let mut banners = Vec::new();
    if let Some(why) = &fleet.policy.unreadable {
        let sentence = format!("Everything is protected and nothing is started: {why}");
        banners.push(Banner::new(
            BAD,
            "The policy cannot be read",
            sentence,
            fleet.policy.unreadable_since.and_then(moment),
            Some("policy_unreadable"),
        ));
    }
    for trouble in &fleet.own_troubles {
        let sentence = format!("{}: {}", trouble.what.replace('_', " "), trouble.sentence);
        banners.push(Banner::new(
            BAD,
            "The coordinator is in trouble",
            sentence,
            moment(trouble.since),
            None,
        ));
    }
    for brake in &fleet.brakes {
        let sentence = format!("class {}: {}", brake.class, brake.why);
        let banner =
            Banner::new(BAD, "The storm brake is on", sentence, moment(brake.since), Some("brake_tripped"));
        let act = Some((format!("/brake/{}", brake.class), "Reset it…"));
        banners.push(Banner { act, ..banner });
    }
    if let Some(pause) = &fleet.paused {
        let sentence = format!("by {}: {}", pause.by, pause.reason);
        let banner = Banner::new(NOTICE, "Paused", sentence, moment(pause.since), Some("paused"));
        banners.push(Banner { act: Some(("/resume".to_owned(), "Go on…")), ..banner });
    }
    if let Some(warm_up) = &fleet.warming_up {
        let mut sentence = format!(
            "{} of 2 full rounds of reports heard; what has not reported yet is shown as it was last known",
            warm_up.rounds
        );
        if !warm_up.missing.is_empty() {
            sentence += &format!(". Missing: {}", some(&warm_up.missing));
        }
        banners.push(Banner::new(
            BUSY,
            "The coordinator has just started",
            sentence,
            moment(warm_up.since),
            Some("warming_up"),
        ));
    }
    if let Some(changed) = fleet.leader_changed_at {
        let sentence = "agents have 10 min to register again, and nothing is judged meanwhile".to_owned();
        banners.push(Banner::new(
            BUSY,
            "Mesos has changed its leader",
            sentence,
            moment(changed),
            Some("leader_changed"),
        ));
    }
    if !fleet.outside_blamed.is_empty() {
        let sentence = format!("many nodes fail {} at once", some(&fleet.outside_blamed));
        banners.push(Banner::new(
            NOTICE,
            "Trouble outside the nodes",
            sentence,
            None,
            Some("outside_blamed"),
        ));
    }
    banners
}

/// At most eight names, then how many more.
pub fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {}", shown.join(", "), words::count(more, "other")),
    }
}
