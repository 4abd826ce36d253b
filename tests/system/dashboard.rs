//! The coordinator's pages in a real browser, at a desk and on a phone.

use super::coordinator::{policy_of, reporting};
use super::harness::{Browser, DockerDaemon, Node, Setup, View, get, ready};

#[test]
fn the_node_page_shows_checklist_tasks_and_verdicts_at_a_desk_on_a_phone_and_in_the_dark() {
    let Some(browser) = ready(Browser::find()) else { return };
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(coordinator) =
        ready(Setup::new(&policy_of(&["alibuild10", "alibuild11"])).and_then(Setup::start))
    else {
        return;
    };
    let _agent =
        reporting(Node::named("alibuild10").unwrap().with_docker(&docker), &coordinator).start().unwrap();
    let docker_is_known = |detail: &serde_json::Value| detail["containers"].is_object().then_some(());
    coordinator.wait_for("its Docker", "nodes/alibuild10", docker_is_known).unwrap();

    let (fleet, node) =
        (format!("{}/", coordinator.url()), format!("{}/nodes/alibuild10", coordinator.url()));
    for (page, words) in [
        (&fleet, ["alibuild10", "alibuild11"].as_slice()),
        (&node, ["Docker", "drain", "reboot", "rebuild", "delete"].as_slice()),
    ] {
        for view in [View::desktop(page), View::phone(page), View::phone(page).dark()] {
            let html = browser.html(&view).unwrap().to_lowercase();
            for word in words {
                assert!(html.contains(&word.to_lowercase()), "no {word} on {page}: {html}");
            }
            let png = browser.screenshot(&view).unwrap();
            assert_eq!(png_size(&png), (view.width, view.height));
        }
        // Without scripts, and for anybody who asks a browser to trust nothing else.
        let (status, html) = get(page).unwrap();
        assert_eq!(status, 200);
        assert!(!html.contains("http://") || html.contains(coordinator.url()), "an outside address: {html}");
    }
    let (status, html) = get(&format!("{}/nodes/nobody", coordinator.url())).unwrap();
    assert_eq!(status, 404);
    assert!(html.contains("nobody") && html.contains("<html"), "{html}");
}

/// Width and height stand right behind the name of PNG's first chunk.
fn png_size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
