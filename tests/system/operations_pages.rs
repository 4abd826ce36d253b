//! Somebody begins an operation on a page, sees it wait, and calls it off: a real coordinator, a real agent, a real browser.

use serde_json::{Value, json};

use super::coordinator::{policy_of, reporting};
use super::harness::{Coordinator, Node, Setup, Window, get, ready};
use super::people::token_of_jane;

/// A coordinator that may be told to begin something.
fn coordinator() -> Option<Coordinator> {
    let policy = policy_of(&["alibuild10", "alibuild11", "alibuild12"]).replace("observe", "advise");
    ready(Setup::new(&policy).and_then(Setup::start))
}

/// The newest operation.
fn newest(answer: &Value) -> Option<&Value> {
    answer["operations"].get(0)
}

#[test]
fn a_person_begins_a_drain_from_the_nodes_page_sees_it_wait_and_calls_it_off() {
    let Some(coordinator) = coordinator() else { return };
    let Some(window) = ready(Window::open()) else { return };
    let agents = ["alibuild10", "alibuild11", "alibuild12"]
        .map(|name| reporting(Node::named(name).unwrap(), &coordinator).start().unwrap());
    let secret = token_of_jane(&coordinator, "operate:agent");
    let node = format!("{}/nodes/alibuild10", coordinator.url());

    // Nobody in particular finds no button, and the way to have a name.
    coordinator.wait_verdict("drain", "alibuild10", "allowed").unwrap();
    window.go(&node).unwrap();
    let page = window.shows("Sign in to begin something").unwrap();
    assert!(!page.contains("Drain it…"), "{page}");
    window.go(&format!("{}/sign-in?next=/nodes/alibuild10", coordinator.url())).unwrap();
    window.write("#token", &secret).unwrap();
    window.click("main button").unwrap();
    window.shows("Drain it…").unwrap();

    window.click("#drain .button").unwrap();
    window.shows("Nothing is killed").unwrap();
    window.write("#reason", "its fan is <loud>").unwrap();
    window.click("main button").unwrap();
    window.shows("Waits").unwrap();
    let page = window.shows("its fan is <loud>").unwrap();
    assert!(page.contains("op-1") && page.contains("jane"), "{page}");
    assert!(window.address().unwrap().ends_with("/operations/op-1"), "{:?}", window.address());
    let begun = coordinator.ask("operations").unwrap();
    let drain = newest(&begun).unwrap();
    assert_eq!((&drain["action"], &drain["by"]), (&json!("drain"), &json!("jane")), "{begun:#}");

    // Others see it where they would look: on the node, in the list, in the audit.
    for (path, words) in [
        ("nodes/alibuild10", "Under way"),
        ("operations", "Drain alibuild10"),
        ("audit?person=jane", "alibuild10 (op-1)"),
    ] {
        let (status, html) = get(&format!("{}/{path}", coordinator.url())).unwrap();
        assert!(status == 200 && html.contains(words), "{words} on {path}: {html}");
    }

    window.click("a[href='/operations/op-1/cancel']").unwrap();
    window.write("#reason", "it was another node").unwrap();
    window.click("main button").unwrap();
    // The page follows the events; nobody loads it again.
    window.shows("called off by jane: it was another node").unwrap();
    let is_over = |answer: &Value| (newest(answer)?["state"] == "cancelled").then_some(());
    coordinator.wait_for("the drain to be called off", "operations", is_over).unwrap();
    drop(agents);
}

#[test]
fn the_off_switch_is_pressed_on_a_page_and_released_there() {
    let Some(coordinator) = coordinator() else { return };
    let Some(window) = ready(Window::open()) else { return };
    let secret = token_of_jane(&coordinator, "operate");
    window.go(&format!("{}/sign-in?next=/pause", coordinator.url())).unwrap();
    window.write("#token", &secret).unwrap();
    window.click("main button").unwrap();
    window.shows("Pause Millwright").unwrap();
    window.write("#reason", "the switch is replaced").unwrap();
    window.click("main button").unwrap();
    window.shows("by jane: the switch is replaced").unwrap();
    assert_eq!(coordinator.ask("pause").unwrap()["paused"]["by"], "jane");
    window.click("a[href='/resume']").unwrap();
    window.write("#reason", "it is in place").unwrap();
    window.click("main button").unwrap();
    window.shows("Pause everything…").unwrap();
    assert_eq!(coordinator.ask("pause").unwrap()["paused"], Value::Null);
}
