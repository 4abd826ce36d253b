//! The manual: a page for every reason code and a few on running Millwright, compiled in, so that a page and the program it explains never differ.

use super::{
    markdown::{self, Block, Document, Span},
    shell::Shell,
};
use askama::Template;

macro_rules! pages {
    ($($code:literal,)+) => {
        /// The text of every page by its code.
        const PAGES: &[(&str, &str)] =
            &[$(($code, include_str!(concat!("../../../packaging/manual/reasons/", $code, ".md"))),)+];
    };
}

pages! {
    "policy_unreadable",
    "node_unlisted",
    "not_managed",
    "node_protected",
    "volume_protected",
    "volume_unknown",
    "confirm_reboot",
    "dedicated_node",
    "coordinator_lives_here",
    "identity_changed",
    "paused",
    "brake_tripped",
    "crl_expired",
    "warming_up",
    "leader_changed",
    "fact_stale",
    "source_unknown",
    "views_disagree",
    "silent_node",
    "silent_repair_running",
    "task_protected",
    "task_checker",
    "task_service",
    "task_pinned",
    "owner_objects",
    "orphan_container",
    "empty_not_proven",
    "not_cordoned",
    "master_quorum",
    "ensemble_quorum",
    "ensemble_syncing",
    "master_out",
    "budget_spent",
    "drain_budget",
    "other_zone_out",
    "last_of_label",
    "settling",
    "go_ahead",
    "store_behind",
    "journal_damaged",
    "operation_running",
    "outside_window",
    "freeze",
    "quiet_hours",
    "hold_present",
    "approval_missing",
    "objection_window",
    "intent_missing",
    "project_unknown",
    "server_doubtful",
    "server_locked",
    "not_healthy",
    "puppet_not_converged",
    "puppet_failing",
    "image_missing",
    "spec_mismatch",
    "rebuild_silence",
    "zone_taken",
    "zone_unknown",
    "node_exists",
    "is_leader",
    "volumes_left",
    "rebuild_instead",
    "reboot_hint",
    "rights_needed",
    "outside_blamed",
    "last_of_class",
    "known_dead",
    "attested",
}

/// The pages that are about no code.
const CHAPTERS: [(&str, &str); 9] = [
    ("certificates", include_str!("../../../packaging/manual/certificates.md")),
    ("command-line", include_str!("../../../packaging/manual/command-line.md")),
    ("coordinator-down", include_str!("../../../packaging/manual/coordinator-down.md")),
    ("registers", include_str!("../../../packaging/manual/registers.md")),
    ("coordinator-host", include_str!("../../../packaging/manual/coordinator-host.md")),
    ("notices", include_str!("../../../packaging/manual/notices.md")),
    ("operations", include_str!("../../../packaging/manual/operations.md")),
    ("people", include_str!("../../../packaging/manual/people.md")),
    ("security", include_str!("../../../packaging/manual/security.md")),
];

const INDEX: &str = include_str!("../../../packaging/manual/README.md");

/// One page of the manual.
#[derive(Template)]
#[template(path = "manual.html")]
pub struct ManualPage {
    shell: Shell,
    document: Document,
    is_code: bool,
    is_index: bool,
}

impl ManualPage {
    /// The list of all pages.
    pub fn index() -> Self {
        Self::new(INDEX, false, true)
    }

    /// The page of a code; `None` for a word that is no code.
    pub fn of(code: &str) -> Option<Self> {
        let (_, text) = PAGES.iter().find(|(name, _)| *name == code)?;
        Some(Self::new(text, true, false))
    }

    /// A page that is about no code.
    pub fn chapter(name: &str) -> Option<Self> {
        let (_, text) = CHAPTERS.iter().find(|(known, _)| *known == name)?;
        Some(Self::new(text, false, false))
    }

    fn new(text: &str, is_code: bool, is_index: bool) -> Self {
        Self { shell: Shell::bare(), document: markdown::read(text, path_of), is_code, is_index }
    }
}

/// Where below `/manual/` the page of a code, or another page, is; `None` when there is none.
pub fn path_of(name: &str) -> Option<String> {
    if PAGES.iter().any(|(code, _)| *code == name) {
        return Some(format!("reasons/{name}"));
    }
    CHAPTERS.iter().any(|(known, _)| *known == name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_decision::Code;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let pages: BTreeSet<&str> = PAGES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, pages);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/manual/reasons");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".md", ""))
            .collect();
        assert_eq!(codes, files.iter().map(String::as_str).collect());
    }

    #[test]
    fn every_page_says_what_its_code_means_what_to_do_and_gives_an_example() {
        for (code, text) in PAGES {
            let page = markdown::read(text, path_of);
            assert_eq!(page.title, *code);
            let headings: Vec<&str> = page
                .blocks
                .iter()
                .filter_map(|block| match block {
                    Block::Heading(heading) => Some(heading.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(headings.first(), Some(&"What it means"), "{code}");
            assert!(
                matches!(headings.get(1), Some(&"How to clear it" | &"What to do")),
                "{code}: {headings:?}"
            );
            assert_eq!(headings.last(), Some(&"Example"), "{code}");
        }
    }

    #[test]
    fn the_index_leads_to_every_page() {
        let linked: BTreeSet<String> = markdown::read(INDEX, path_of)
            .blocks
            .into_iter()
            .filter_map(|block| match block {
                Block::List(items) => Some(items),
                _ => None,
            })
            .flatten()
            .flatten()
            .filter_map(|span| match span {
                Span::Page { path, .. } => Some(path),
                _ => None,
            })
            .collect();
        let codes = PAGES.iter().map(|(code, _)| format!("reasons/{code}"));
        let pages: BTreeSet<String> = codes.chain(CHAPTERS.map(|(name, _)| name.to_owned())).collect();
        assert_eq!(linked, pages);
    }

    #[test]
    fn every_file_of_the_manual_is_served_and_no_link_is_left_as_written() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/manual");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect();
        let served: BTreeSet<String> =
            CHAPTERS.iter().map(|(name, _)| (*name).to_owned()).chain(["README".to_owned()]).collect();
        assert_eq!(files, served);
        let all = PAGES.iter().chain(&CHAPTERS).map(|(_, text)| *text).chain([INDEX]);
        for text in all {
            let page = format!("{:?}", markdown::read(text, path_of));
            assert!(!page.contains(".md)") && !page.contains("]("), "{page}");
        }
    }

    #[test]
    fn no_page_has_what_the_reader_of_pages_does_not_know() {
        let pages = PAGES.iter().chain(&CHAPTERS).map(|(name, text)| (*name, *text));
        for (name, text) in pages.chain([("README", INDEX)]) {
            let table = text.lines().find(|line| line.starts_with('|'));
            assert_eq!(table, None, "{name}: write a list, since tables are shown as they are written");
        }
    }

    #[test]
    fn a_word_that_is_no_code_has_no_page() {
        assert!(ManualPage::of("../../etc/passwd").is_none() && ManualPage::of("").is_none());
    }
}
