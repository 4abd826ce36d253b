//! What remains of a node that is deleted: its alarms, which Roger masks and gets back, and the places that knew it.

use super::harness::{DockerDaemon, Places, Setup, Site, acting_policy, get_json, ready, step_of};
use super::operations::{waits_for, with_docker};
use serde_json::{Value, json};

const NODE: &str = "alibuild10";
const HOST: &str = "alibuild10.example.org";
const OTHER: &str = "alibuild11";

/// Commands that end well and do nothing: the fakes are what happens.
fn policy(mode: &str) -> String {
    acting_policy("none", &[NODE, OTHER])
        .replace(
            "mode = \"act\"\n",
            &format!("mode = {mode:?}\nout = {{ at_least = 9, percent = 10 }}\nquarantine = \"5s\"\n"),
        )
        .replace("reboot = { kind", "delete = { kind = \"none\" }\nreboot = { kind")
        + "[executors]\nby = \"command\"\nalarms = \"roger\"\n[executors.commands]\nquarantine = [\"true\"]\n\
           delete_server = [\"true\"]\nledger = [\"true\"]\n"
}

/// A node whose emptiness its Docker proves, beside those who know it as a host.
fn site(mode: &str, docker: &DockerDaemon, places: &Places) -> Option<Site> {
    places.know(&[NODE, OTHER]);
    let setup = Setup::new(&policy(mode)).unwrap().with(&places.sections());
    let socket = docker.socket();
    ready(Site::start(setup, NODE, move |node| with_docker(node, &socket)))
}

fn evidence<'a>(step: &'a Value, source: &str) -> &'a str {
    let facts = step["evidence"].as_array().unwrap();
    let fact = facts.iter().find(|fact| fact["source"] == source);
    fact.unwrap_or_else(|| panic!("nothing by {source}: {step:#}"))["value"].as_str().unwrap()
}

#[test]
fn a_delete_masks_alarms_and_ends_once_foreman_and_puppetdb_have_forgotten_the_node() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let places = Places::start().unwrap();
    let Some(mut site) = site("act", &docker, &places) else { return };
    let url = site.coordinator().unwrap().url().to_owned();
    let detail = get_json(&format!("{url}/api/v1/nodes/{NODE}")).unwrap();
    let told = |source: &str| {
        let all = detail["outside"].as_array().unwrap();
        let seen = all.iter().find(|seen| seen["source"] == source);
        seen.unwrap_or_else(|| panic!("{source}: {detail:#}"))["sentence"].as_str().unwrap().to_owned()
    };
    assert!(told("foreman").starts_with("Puppet: No changes"), "{}", told("foreman"));
    assert!(told("roger").starts_with("production, app, nc, os on"), "{}", told("roger"));

    let id = site.begin("delete", &json!({ "typed": NODE, "volumes": "keep" })).unwrap();
    let masked = site.wait_step(&id, "mask_alarms", &["done"]).unwrap();
    let (on, message) = places.roger.on(HOST);
    assert!(on.is_empty() && message.starts_with(&format!("Millwright {id}: ")), "{on:?} {message}");
    let intent = masked["command"].to_string();
    assert!(intent.contains("alarms=app,nc,os"), "what is to be put back is written down: {intent}");

    // It is stopped, rests, and is deleted; two places still know it.
    site.wait_step(&id, "quarantine", &["done"]).unwrap();
    site.machine.go_down().unwrap();
    waits_for(&site, &id, "Foreman still knows alibuild10.example.org");
    places.foreman.loses(HOST);
    places.puppetdb.has(HOST, json!({ "deactivated": "2026-01-31T10:00:00.000Z" }));
    let ended = site.wait_end(&id, "succeeded").unwrap();
    let ledger = step_of(&ended, "ledger").unwrap();
    for source in ["foreman", "puppetdb"] {
        assert_eq!(evidence(ledger, source), "gone", "{ledger:#}");
    }
    assert!(evidence(ledger, "people").contains("left to jane"), "DNS: {ledger:#}");
    assert!(places.roger.on(HOST).0.is_empty(), "nobody is woken for a node that is gone");
}

#[test]
fn a_delete_that_is_called_off_puts_its_alarms_back_and_leaves_what_others_have_set() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let places = Places::start().unwrap();
    let Some(mut site) = site("advise", &docker, &places) else { return };
    let cancel = |site: &Site, id: &str| {
        let path = format!("operations/{id}/cancel");
        let (status, answer) =
            site.coordinator().unwrap().post(&path, &json!({ "reason": "a story" })).unwrap();
        assert_eq!(status, 200, "{answer:#}");
    };
    // Roger does what it is told and says that it failed: what became of it is seen by looking.
    places.roger.lies();
    for others in [false, true] {
        let id = site.begin("delete", &json!({ "typed": NODE, "volumes": "keep" })).unwrap();
        site.wait_step(&id, "mask_alarms", &["done"]).unwrap();
        assert!(places.roger.on(HOST).0.is_empty());
        // A person has to begin what cannot be taken back, and the coordinator is killed meanwhile.
        site.crash().unwrap();
        if others {
            places.roger.somebody_sets(HOST, json!({ "message": "bob works on it" }));
        }
        cancel(&site, &id);
        let ended = site.wait_end(&id, "cancelled").unwrap();
        let alarms = evidence(step_of(&ended, "mask_alarms").unwrap(), "roger").to_owned();
        let (on, message) = places.roger.on(HOST);
        if others {
            assert!(alarms.starts_with("left as bob has set it"), "{alarms}");
            assert_eq!((on.len(), message.as_str()), (0, "bob works on it"));
        } else {
            let all = ["nc", "os", "app"].map(str::to_owned).to_vec();
            assert_eq!((on, message.as_str()), (all, ""), "{alarms}");
        }
    }
}
