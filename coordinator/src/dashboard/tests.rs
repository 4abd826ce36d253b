//! What the pages mean, asked of example fleets and of fleets that want to do harm.

mod operations;

use super::{
    example::{BUILD, Example, name},
    routes,
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

static EXAMPLES: LazyLock<BTreeMap<&str, Arc<Example>>> =
    LazyLock::new(|| Example::all().into_iter().map(|(story, example)| (story, Arc::new(example))).collect());

async fn ask(example: &Arc<Example>, path: &str) -> Response {
    let service = TowerToHyperService::new(routes::<Example>().with_state(Arc::clone(example)));
    service.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn page_of(example: &Arc<Example>, path: &str) -> String {
    let answer = ask(example, path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), "text/html; charset=utf-8");
    text(answer).await
}

/// A page of the example with that name.
async fn page(story: &str, path: &str) -> String {
    page_of(&EXAMPLES[story], path).await
}

/// Every kind of page of every example.
async fn all_pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for (story, example) in EXAMPLES.iter() {
        for node in ["alibuild03", "alibuild10", "alibuild12", "alimesos01"] {
            let answer = ask(example, &format!("/nodes/{node}")).await;
            pages.push((format!("{story} {node}"), text(answer).await));
        }
        let mut paths: Vec<String> =
            ["/", "/operations", "/approvals", "/holds", "/audit", "/pause", "/brake/agent"]
                .into_iter()
                .map(str::to_owned)
                .chain(["/begin/delete/alibuild10".to_owned(), "/holds/add".to_owned()])
                .chain(["/attest/alibuild10".to_owned()])
                .filter(|path| *story != "empty" || !path.ends_with("alibuild10"))
                .collect();
        paths.extend(example.operations.iter().map(|one| format!("/operations/{}", one.summary.id)));
        for path in paths {
            let page = page_of(example, &path).await;
            pages.push((format!("{story} {path}"), page));
        }
    }
    for path in ["/manual", "/manual/command-line", "/manual/coordinator-down", "/manual/coordinator-host"] {
        pages.push((path.to_owned(), page("empty", path).await));
    }
    for code in millwright_decision::Code::ALL {
        pages.push((code.to_string(), page("empty", &format!("/manual/reasons/{code}")).await));
    }
    pages
}

/// What stands between `open` and `close`, everywhere.
fn between<'a>(page: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    page.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect()
}

/// Every tag of a page, without the values of its attributes.
fn tags(page: &str) -> Vec<String> {
    between(page, "<", ">").into_iter().map(|tag| tag.split('"').step_by(2).collect()).collect()
}

/// The page's words without its tags.
fn words(page: &str) -> String {
    let text: String =
        page.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("&#39;", "'")
}

#[tokio::test]
async fn what_needs_a_human_stands_first_with_since_when_and_what_next() {
    let page = page("busy", "/").await;
    let attention = page.split("id=\"legend\"").next().unwrap();
    let said = words(attention);
    assert!(said.contains("5 things need a human"), "{said}");
    let order: Vec<usize> =
        ["alibuild12 no report", "alibuild17 /build is not mounted", "alibuild10 /build is 91 % full"]
            .map(|sentence| said.find(sentence).unwrap_or_else(|| panic!("{sentence} is missing in {said}")))
            .to_vec();
    assert!(order.is_sorted(), "worst first");
    assert!(said.contains("since 47 min ago Next log in, then mount /build"), "{said}");
    assert!(attention.contains("<code>millwright may reboot alibuild12</code>"));
}

#[tokio::test]
async fn a_state_is_said_to_hold_since_and_not_to_have_been() {
    let page = page("busy", "/").await;
    let states: Vec<String> = between(&page, "<td class=\"state\">", "</td>")
        .into_iter()
        .map(|cell| words(&format!("<td>{cell}")))
        .collect();
    let dated: Vec<&String> = states.iter().filter(|state| state.contains(" ago")).collect();
    assert!(!dated.is_empty() && dated.iter().all(|state| state.contains(" since ")), "{dated:?}");
}

#[tokio::test]
async fn calm_is_claimed_only_when_nothing_stands_against_it() {
    for (story, example) in EXAMPLES.iter() {
        let said = words(&page_of(example, "/").await);
        assert_eq!(said.contains("Nothing needs a human"), *story == "calm", "{story}");
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_loud_and_every_verdict_refused() {
    let page = page("unreadable", "/").await;
    let banner = between(&page, "<section class=\"banner ", "</section>");
    assert!(banner.first().unwrap().starts_with("tone-bad"));
    assert!(
        words(banner.first().unwrap())
            .contains("protectoins: unknown key; known keys are cluster, hints, protections. What to do")
    );
    assert!(
        words(banner.first().unwrap())
            .contains("nothing is started: the policy /etc/millwright/policy.toml cannot be read: line 14")
    );
    assert!(banner.first().unwrap().contains("<time"), "since when: {}", banner.first().unwrap());
    assert!(words(&page).contains("The policy cannot be read"));
    assert!(page.contains("⊘") && !between(&page, "<tbody>", "</tbody>").concat().contains("allowed"));
}

#[tokio::test]
async fn without_any_policy_that_could_be_read_nothing_is_said_of_what_it_lists() {
    let mut example = Example::empty();
    example.fleet.policy.unreadable = Some("read the policy /etc/policy.toml".to_owned());
    example.fleet.policy.version.clear();
    example.fleet.not_configured.clear();
    let said = words(&page_of(&Arc::new(example), "/").await);
    assert!(said.contains("policy cannot be read, and none is known from before"), "{said}");
    assert!(said.contains("nobody knows which sources this site has"), "{said}");
    for wrong in ["lists none", "lists 0 nodes", "Start millwright-agent", "no such source"] {
        assert!(!said.contains(wrong), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn brake_pause_change_of_leader_and_start_are_announced_on_every_page_of_the_fleet() {
    for path in ["/", "/nodes/alibuild10"] {
        let page = page("storm", path).await;
        let summary = between(&page, "data-summary=\"", "\"").concat();
        for headline in ["The storm brake is on", "Paused", "Mesos has changed its leader"] {
            assert!(words(&page).contains(headline), "{headline} on {path}");
            assert!(summary.contains(headline), "readers that cannot see are told of {headline}: {summary}");
        }
    }
    let said = words(&page("starting", "/").await);
    assert!(
        said.contains("1 of 2 full rounds of reports heard") && said.contains("Missing: alibuild30"),
        "{said}"
    );
}

#[tokio::test]
async fn a_fleet_without_nodes_says_what_to_do_next() {
    let said = words(&page("empty", "/").await);
    assert!(said.contains("No nodes yet") && said.contains("Start millwright-agent on a node"), "{said}");
    assert!(said.contains("millwright policy import"), "{said}");
}

#[tokio::test]
async fn a_storm_says_once_what_is_the_same_for_many_and_folds_away_the_rest() {
    let page = page("storm", "/").await;
    let attention = page.split("id=\"legend\"").next().unwrap();
    let (shown, folded) = attention.split_once("<details id=\"more-attention\">").unwrap();
    assert_eq!(between(shown, "<li class=\"tone-", "</li>").len(), 10);
    assert_eq!(between(folded, "<li class=\"tone-", "</li>").len(), 2);
    let said = words(shown);
    assert!(said.contains("12 things need a human") && words(folded).starts_with("2 more"), "{said}");
    assert!(said.contains("14 nodes: no report for 7 min, ssh does not answer"), "{said}");
    assert!(said.contains("alibuild12 alibuild30 alibuild31") && said.contains("and 2 more"), "{said}");
    assert!(
        said.contains("Next look at its console in OpenStack, then millwright may reboot NODE"),
        "{said}"
    );
}

#[tokio::test]
async fn a_card_shows_every_reason_with_owner_unblock_and_its_page_in_the_manual() {
    let page = page("busy", "/nodes/alibuild3").await;
    let rebuild = between(&page, "<article id=\"rebuild\"", "</article>").concat();
    let said = words(&rebuild);
    for part in [
        "Rebuild ⊘ refused",
        "alibuild03 must never be rebuilt",
        "Cleared by nothing; this protection has no override",
        "node_protected · rule R9 · refused · up to policy",
        "protection never_rebuild (policy)",
        "millwright may rebuild alibuild03",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    assert!(rebuild.contains("href=\"/manual/reasons/node_protected\""));
}

#[tokio::test]
async fn a_node_page_has_the_four_verdicts_the_checklist_and_what_runs_there() {
    let page = page("busy", "/nodes/ALIBUILD010.cern.ch").await;
    for action in ["drain", "reboot", "rebuild", "delete"] {
        assert!(page.contains(&format!("<article id=\"{action}\"")), "{action}");
    }
    let said = words(&page);
    for part in [
        "Checklist 8 of 8",
        "would clear during an operation",
        BUILD,
        "◆ protected a Jenkins build",
        "◇ checker a pull-request checker",
        "/build 91 % used, 41 GiB free, full in 5 h",
        "acknowledged by jane until 2026-01-31 22:20:07 UTC",
        "alisw/slc8-builder:latest 1.5 GiB of 4.0 GiB",
        "clean runs in a row 118",
        "What I cannot see – not asked jenkins",
        "rebooted",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
}

#[tokio::test]
async fn a_silent_node_shows_its_last_known_state_as_such() {
    let said = words(&page("busy", "/nodes/alibuild12").await);
    assert!(said.contains("Last known state.") && said.contains("Last report 7 min ago"), "{said}");
    assert!(said.contains("silent_node · rule R21"), "{said}");
}

#[tokio::test]
async fn a_changed_identity_shows_what_changed_and_how_to_accept_it() {
    let said = words(&page("busy", "/nodes/alibuild21").await);
    assert!(said.contains("Not the machine on record. another machine id than recorded"), "{said}");
    assert!(said.contains("millwright node accept alibuild21"), "{said}");
    let row = page("busy", "/").await;
    assert!(row.contains("not the machine on record</a>"));
}

#[tokio::test]
async fn a_node_that_nobody_knows_is_a_page_and_not_a_riddle() {
    for (path, part) in [
        ("/nodes/alibuild099x", "alibuild099x is neither in the policy"),
        ("/nodes/%3Cscript%3E", "is not a node name"),
    ] {
        let answer = ask(&EXAMPLES["busy"], path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let page = text(answer).await;
        assert!(words(&page).contains(part), "{page}");
        assert!(!page.contains("<script>") && page.contains("href=\"/\""), "{page}");
    }
    let answer = ask(&EXAMPLES["busy"], "/manual/reasons/no_such_code").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_large_fleet_lists_those_with_trouble_unless_all_are_asked_for() {
    let large = || {
        let mut example = Example::busy();
        let agents = example.fleet.classes.iter_mut().find(|class| class.nodes.len() > 9).unwrap();
        let pattern = agents.nodes.iter().find(|node| node.name == "alibuild01").unwrap().clone();
        agents.nodes.extend((1000..2000).map(|number| crate::view::NodeSummary {
            name: format!("node{number}"),
            key: format!("node{number}"),
            ..pattern.clone()
        }));
        Arc::new(example)
    };
    let large = large();
    let short = page_of(&large, "/").await;
    assert!(!short.contains("node1500") && short.contains("/nodes/alibuild17"));
    assert!(words(&short).contains("without trouble not shown"));
    assert!(page_of(&large, "/?show=all").await.contains("/nodes/node1500"));
    assert!(page_of(&large, "/?show=nonsense").await.contains("/nodes/alibuild17"));
    let small = page("busy", "/?show=trouble").await;
    assert!(!small.contains("/nodes/alibuild16") && small.contains("/nodes/alibuild17"));
}

/// Markup in every text that comes from outside.
fn hostile() -> Arc<Example> {
    const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";
    let mut example = Example::busy();
    let node = example.nodes.get_mut(&name("alibuild10")).unwrap();
    node.summary.name = format!("alibuild10{EVIL}");
    node.summary.sentence = EVIL.to_owned();
    node.summary.zone = Some(EVIL.to_owned());
    for task in &mut node.living_tasks.tasks {
        EVIL.clone_into(&mut task.name);
        EVIL.clone_into(&mut task.id);
        EVIL.clone_into(&mut task.framework);
        task.rule = Some(EVIL.to_owned());
    }
    for container in &mut node.containers.as_mut().unwrap().containers {
        EVIL.clone_into(&mut container.name);
        EVIL.clone_into(&mut container.image);
        EVIL.clone_into(&mut container.state);
    }
    for finding in &mut node.all_findings {
        EVIL.clone_into(&mut finding.sentence);
        EVIL.clone_into(&mut finding.id);
        finding.next = Some(format!("`{EVIL}` [x](javascript:alert(3))"));
    }
    for transition in &mut node.history {
        EVIL.clone_into(&mut transition.sentence);
    }
    for answer in &mut node.verdict_history {
        EVIL.clone_into(&mut answer.sentence);
        EVIL.clone_into(&mut answer.action);
        EVIL.clone_into(&mut answer.verdict);
        answer.codes = vec![EVIL.to_owned()];
    }
    EVIL.clone_into(&mut node.volumes[0].fact.mount);
    EVIL.clone_into(&mut node.images[0].name);
    let summary = node.summary.clone();
    let fleet = &mut example.fleet;
    EVIL.clone_into(&mut fleet.cluster);
    EVIL.clone_into(&mut fleet.attention[0].sentence);
    fleet.policy.unreadable = Some(EVIL.to_owned());
    for class in &mut fleet.classes {
        for node in class.nodes.iter_mut().filter(|node| node.key == "alibuild10") {
            *node = summary.clone();
        }
    }
    Arc::new(example)
}

#[tokio::test]
async fn names_and_sentences_from_outside_never_become_markup() {
    let hostile = hostile();
    for path in ["/", "/nodes/alibuild10"] {
        let page = page_of(&hostile, path).await;
        assert!(page.contains("&#60;script&#62;alert(1)"), "the text is shown: {path}");
        assert!(!page.contains("<img") && !page.contains("href=\"javascript"), "{path}");
        for tag in tags(&page) {
            assert!(!tag.contains("onerror") && !tag.contains("alert"), "{path}: {tag}");
        }
        assert_eq!(between(&page, "<script", ">"), [" src=\"/assets/live.js\" defer"]);
    }
}

#[tokio::test]
async fn earlier_answers_are_folded_newest_first_and_bounded() {
    let folded = |page: &str| between(page, "<details id=\"earlier\">", "</details>").concat();
    let earlier = folded(&page("busy", "/nodes/alibuild10").await);
    let said = words(&earlier);
    let newest = said.find("10 h ago reboot ✓ allowed nothing objected").unwrap_or_else(|| panic!("{said}"));
    let before = said.find("reboot ◔ wait a build must finish: Jenkins builds task_protected").unwrap();
    assert!(newest < before, "{said}");
    assert!(
        earlier.contains("href=\"/manual/reasons/task_protected\"") && !earlier.contains("not_a_code_yet")
    );
    assert!(said.contains("The same in a terminal: millwright node alibuild10 --history"), "{said}");
    let mut example = Example::busy();
    let node = example.nodes.get_mut(&name("alibuild10")).unwrap();
    node.verdict_history = vec![node.verdict_history[0].clone(); 41];
    let many = folded(&page_of(&Arc::new(example), "/nodes/alibuild10").await);
    assert_eq!(between(&many, "<li>", "</li>").len(), 40);
    assert!(words(&many).contains("There are more:"));
    let mut example = Example::busy();
    example.nodes.get_mut(&name("alibuild10")).unwrap().verdict_history.clear();
    assert_eq!(folded(&page_of(&Arc::new(example), "/nodes/alibuild10").await), "", "nothing to unfold");
}

#[tokio::test]
async fn pages_hold_to_the_strict_content_policy() {
    for (path, page) in all_pages().await {
        for tag in tags(&page) {
            assert!(!tag.contains(" style=") && !tag.contains(" on"), "{path}: {tag}");
        }
        for to in ["href=\"", "src=\""].iter().flat_map(|name| between(&page, name, "\"")) {
            assert!(to.starts_with('/') || to.starts_with('#'), "nothing from elsewhere: {path}: {to}");
        }
        assert!(!page.contains("<style"), "{path}");
        assert!(between(&page, "<script", "</script>").iter().all(|script| script.ends_with('>')), "{path}");
    }
}

#[tokio::test]
async fn every_page_can_be_read_without_colours_and_without_a_mouse() {
    for (path, page) in all_pages().await {
        assert!(page.contains("<html lang=\"en\">") && page.contains("<main id=\"content\""), "{path}");
        assert!(page.contains("<a class=\"skip\" href=\"#content\">"), "{path}");
        assert_eq!(between(&page, "<h1", ">").len(), 1, "{path}");
        for mark in between(&page, "<span class=\"mark ", "</span></span>") {
            let after_symbol = mark.split("</span>").nth(1).unwrap_or(mark);
            assert!(after_symbol.chars().any(char::is_alphabetic), "a mark without a word on {path}: {mark}");
        }
        for svg in between(&page, "<svg", ">") {
            assert!(svg.contains("role=\"img\"") && svg.contains("aria-label=\""), "{path}: {svg}");
        }
        for time in between(&page, "<time", ">") {
            assert!(time.contains("datetime=\"") && time.contains("UTC\""), "{path}: {time}");
        }
        let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
        for id in between(&page, " id=\"", "\"") {
            *ids.entry(id).or_default() += 1;
        }
        assert!(ids.values().all(|count| *count == 1), "{path}: {ids:?}");
        for label in between(&page, "aria-labelledby=\"", "\"") {
            assert!(ids.contains_key(label), "{path}: nothing is called {label}");
        }
    }
}

#[tokio::test]
async fn pages_that_age_refresh_with_and_without_a_script_and_the_manual_does_not() {
    for (path, page) in all_pages().await {
        let ages = page.contains("data-clock=\"");
        assert_eq!(ages, page.contains("<noscript><meta http-equiv=\"refresh\""), "{path}");
        assert_eq!(ages, page.contains("src=\"/assets/live.js\""), "{path}");
        for part in between(&page, "<", ">").into_iter().filter(|tag| tag.contains(" data-live")) {
            assert!(part.contains("id=\""), "the script finds live parts by their id: {path}: {part}");
        }
    }
    assert!(page("calm", "/").await.contains("data-clock=\"14:20:07 UTC\""));
}

#[tokio::test]
async fn every_link_to_the_manual_and_to_a_node_leads_somewhere() {
    let mut codes = BTreeSet::new();
    let mut nodes = BTreeSet::new();
    for (_, page) in all_pages().await {
        codes.extend(between(&page, "href=\"/manual/reasons/", "\"").into_iter().map(str::to_owned));
        nodes.extend(between(&page, "href=\"/nodes/", "\"").into_iter().map(str::to_owned));
    }
    assert!(codes.len() > 40 && nodes.len() > 50, "{} {}", codes.len(), nodes.len());
    for code in codes {
        assert!(super::manual::path_of(&code).is_some(), "{code}");
    }
    let example = &EXAMPLES["busy"];
    for node in nodes {
        let (key, _) = node.split_once('#').unwrap_or((&node, ""));
        assert!(example.nodes.contains_key(key), "{key}");
    }
}

#[tokio::test]
async fn assets_are_sent_with_their_type_and_a_tag() {
    for (path, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let answer = ask(&EXAMPLES["empty"], &format!("/assets/{path}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), kind);
        assert!(answer.headers().contains_key(header::ETAG));
    }
}

#[tokio::test]
async fn the_manual_on_running_it_is_served_with_its_steps_and_links() {
    let index = page("empty", "/manual/").await;
    assert!(
        index.contains("<a href=\"/manual/coordinator-down\">The coordinator is down: what now</a>"),
        "{index}"
    );
    let down = page("empty", "/manual/coordinator-down").await;
    assert!(down.contains("<ol><li>On the coordinator&#39;s host:"), "{down}");
    assert!(down.contains("<a href=\"/manual/reasons/warming_up\"><code>warming_up</code></a>"), "{down}");
}

#[tokio::test]
async fn a_browser_that_is_lost_gets_a_page_and_a_program_does_not() {
    let service = TowerToHyperService::new(routes::<Example>().with_state(Arc::clone(&EXAMPLES["busy"])));
    for (path, accept, is_page) in [
        ("/nothing", "text/html,*/*;q=0.8", true),
        ("/manual/nothing", "*/*", true),
        ("/nothing", "*/*", false),
        ("/api/v1/nothing", "text/html", false),
    ] {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let answer = service.call(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let kind = answer.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        assert_eq!(kind.is_some_and(|kind| kind.starts_with("text/html")), is_page, "{path} {accept}");
    }
}

#[tokio::test]
async fn what_is_switched_off_is_no_alarm_and_what_does_not_answer_is() {
    use super::{Around, NodePage, PageData};
    let around = Around { caller: &crate::people::Caller::nobody(true, true), operations: &[], holds: &[] };
    use askama::Template;
    let example = &EXAMPLES["busy"];
    let fleet = example.fleet();
    let mut node = example.node(&name("alibuild10")).await.unwrap();
    node.containers = None;
    let broken = words(&NodePage::new(&fleet, &node, &[], &around).render().unwrap());
    assert!(broken.contains("Containers ? Docker did not answer."), "{broken}");
    node.all_findings
        .retain(|finding| !["docker", "container", "containers"].contains(&finding.check.as_str()));
    let off = words(&NodePage::new(&fleet, &node, &[], &around).render().unwrap());
    assert!(off.contains("Containers Not asked: nothing in its agent.toml asks for it."), "{off}");
    node.all_findings.clear();
    let silent = words(&NodePage::new(&fleet, &node, &[], &around).render().unwrap());
    assert!(silent.contains("Containers Not known."), "{silent}");
}

#[tokio::test]
async fn the_age_beside_a_nodes_name_is_that_of_its_state() {
    let page = page("busy", "/nodes/alibuild10").await;
    let head = between(&page, "<h1 id=\"name\">", "</h1>");
    assert!(head[0].contains("<span class=\"since\">since "), "{}", head[0]);
    let lead = between(&page, "<p class=\"lead\">", "</p>");
    assert!(!lead[0].contains("since"), "{}", lead[0]);
}
