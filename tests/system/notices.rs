//! What people who are not looking are told of operations: one thread each, everything once, however often the coordinator
//! dies, and whether or not anybody can be told.

use super::harness::{Chat, Mail, Setup, Site, acting_policy, needs_binary, ready, wait_for};
use serde_json::json;
use std::time::Duration;

const NODE: &str = "alibuild10";
const JANE: &str = "jane@lab.test";
/// What is said last of what Joe calls off.
const END: &str = "called off by joe";
const LIMIT: Duration = Duration::from_secs(120);

fn texts(said: &[(Option<String>, String)]) -> Vec<&str> {
    said.iter().map(|(_, text)| text.as_str()).collect()
}

/// Whether exactly one of the texts says this.
fn once(said: &[(Option<String>, String)], words: &str) -> bool {
    texts(said).iter().filter(|text| text.contains(words)).count() == 1
}

fn call_off(site: &Site, id: &str, by: &str, reason: &str) {
    let said = json!({ "reason": reason, "by": by });
    let (status, answer) =
        site.coordinator().unwrap().post(&format!("operations/{id}/cancel"), &said).unwrap();
    assert_eq!(status, 200, "{answer:#}");
    site.wait_end(id, "cancelled").unwrap();
}

/// What was said about one operation.
fn about(id: &str, said: &[(Option<String>, String)]) -> Vec<(Option<String>, String)> {
    let opening = format!("{id}: ");
    let root = said.iter().position(|(root, text)| root.is_none() && text.starts_with(&opening));
    let below = root.map(|place| format!("m{}", place + 1));
    let is_meant = |(root, text): &&(Option<String>, String)| {
        text.starts_with(&opening) || (root.is_some() && *root == below)
    };
    said.iter().filter(is_meant).cloned().collect()
}

#[test]
fn an_operation_has_one_thread_in_chat_and_mail_and_a_crash_tells_nothing_twice() {
    // Its messages are numbered, so each channel has one of its own.
    let (chat, hook, mail) = (Chat::start().unwrap(), Chat::start().unwrap(), Mail::start().unwrap());
    let setup = Setup::new(&acting_policy("none", &[NODE])).unwrap();
    let setup = setup.with(&hook.webhook("hook")).with(&chat.section("mattermost"));
    let Some(mut site) = ready(Site::start(setup.with(&mail.section(&[JANE])), NODE, |node| node)) else {
        return;
    };
    let all_heard = |id: &str, words: &str| {
        wait_for(&format!("{words} everywhere"), LIMIT, || {
            let heard =
                |said: &[(Option<String>, String)]| texts(said).iter().any(|text| text.contains(words));
            let subject = format!("[millwright] {id} {NODE}");
            let is_mailed = mail
                .mails()
                .iter()
                .any(|one| one.header("Subject").as_ref() == Some(&subject) && one.text.contains(words));
            let in_chats = heard(&about(id, &chat.said("builds"))) && heard(&about(id, &hook.said("hook")));
            Ok((in_chats && is_mailed).then_some(()))
        })
        .unwrap();
    };
    let id = site.begin("rebuild", &json!({ "reason": "disk @here <!channel>" })).unwrap();
    let told = site.wait_step(&id, "announce", &["done"]).unwrap();
    assert_eq!(told["evidence"][0]["value"], "colleagues were told", "{told:#}");
    call_off(&site, &id, "joe", "not today");
    all_heard(&id, END);
    // Each channel has one message after the other, so whoever has heard of this has the end above behind it.
    let next = site.begin("rebuild", &json!({})).unwrap();
    all_heard(&next, "wants");
    site.crash().unwrap();
    call_off(&site, &next, "joe", "not today either");
    all_heard(&next, END);

    let said = about(&id, &chat.said("builds"));
    assert_eq!(said.len(), 4, "{said:#?}");
    for words in ["wants alibuild10 rebuilt", "unless somebody objects until", "calls it off: not today", END]
    {
        assert!(once(&said, words), "{words}: {said:#?}");
    }
    let (root, first) = &said[0];
    assert!(root.is_none() && first.starts_with(&format!("{id}: jane (as root) wants {NODE} rebuilt: disk")));
    assert!(!first.contains("@here") && !first.contains("<!"), "{first}");
    assert!(said[1..].iter().all(|(root, _)| root.is_some()), "one thread: {said:#?}");
    assert!(texts(&said)[1].contains(&format!("`millwright cancel {id} --reason")), "{said:#?}");

    let lines = about(&id, &hook.said("hook"));
    assert_eq!(lines.len(), said.len(), "{lines:#?}");
    assert!(lines.iter().all(|(root, text)| root.is_none() && text.starts_with(&format!("{id}: "))));

    let subject = format!("[millwright] {id} {NODE}");
    let mails: Vec<_> =
        mail.mails().into_iter().filter(|one| one.header("Subject").as_ref() == Some(&subject)).collect();
    assert_eq!(mails.len(), said.len(), "{mails:#?}");
    let root = mails[0].header("Message-ID");
    assert!(mails.iter().all(|one| one.to == [format!("<{JANE}>")]), "{mails:#?}");
    assert!(mails[1..].iter().all(|one| one.header("In-Reply-To") == root), "{mails:#?}");
}

#[test]
fn a_chat_that_is_away_holds_up_only_what_colleagues_may_object_to_and_hears_of_it_later() {
    let chat = Chat::start().unwrap();
    chat.breaks(Some(503));
    let setup = Setup::new(&acting_policy("none", &[NODE])).unwrap().with(&chat.section("slack"));
    let Some(site) = ready(Site::start(setup.with("[notice]\ntimeout = \"2s\""), NODE, |node| node)) else {
        return;
    };
    let id = site.begin("rebuild", &json!({})).unwrap();
    let told = site.wait_step(&id, "announce", &["not_done"]).unwrap();
    assert!(told["why"].as_str().unwrap().contains("503"), "{told:#}");
    call_off(&site, &id, "jane", "nobody hears");

    // Nobody has to be asked about a reboot here.
    let id = site.begin("reboot", &json!({})).unwrap();
    let told = site.wait_step(&id, "announce", &["done"]).unwrap();
    let evidence = told["evidence"][0]["value"].as_str().unwrap();
    assert!(evidence.contains("told as soon as that can be") && evidence.contains("503"), "{told:#}");
    let fleet = site.coordinator().unwrap().ask("nodes").unwrap();
    assert!(fleet["own_troubles"].to_string().contains("503"), "{:#}", fleet["own_troubles"]);
    chat.breaks(None);
    wait_for("what was missed", Duration::from_secs(400), || {
        Ok(once(&chat.said("builds"), "wants alibuild10 rebooted").then_some(()))
    })
    .unwrap();
    assert!(once(&chat.said("builds"), "calls it off: nobody hears"));
}

#[test]
fn every_channel_can_be_tried_and_one_that_fails_says_why() {
    if ready(needs_binary("millwright-coordinator")).is_none() {
        return;
    }
    let (chat, mail) = (Chat::start().unwrap(), Mail::start().unwrap());
    for security in ["tls", "starttls"] {
        let before = (mail.sealed(), chat.said("builds").len());
        let Some(section) = ready(mail.section_over_tls(security, &[JANE])) else { return };
        let setup = Setup::new(&acting_policy("none", &[NODE])).unwrap();
        let setup = setup.with(&chat.webhook("hook")).with(&chat.section("slack")).with(&section);
        let output = setup.run(&["notify-test"]).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("webhook: taken\nslack: taken\nmail to {JANE}: taken\n"), "{output:?}");
        assert_eq!((mail.sealed(), chat.said("builds").len()), (before.0 + 1, before.1 + 1));

        let stranger =
            section.lines().filter(|line| !line.starts_with("ca = ")).collect::<Vec<_>>().join("\n");
        let setup = Setup::new(&acting_policy("none", &[NODE])).unwrap().with(&stranger);
        let output = setup.run(&["notify-test"]).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            complaint.contains("mail to jane@lab.test: not taken") && !output.status.success(),
            "{complaint}"
        );
        assert_eq!(mail.sealed(), before.0 + 1, "nothing goes to a server that cannot prove its name");
    }
    let setup = Setup::new(&acting_policy("none", &[NODE])).unwrap();
    let setup = setup.with("[notice.slack]\nchannel = \"builds\"\ntoken_file = \"/nonexistent/token\"");
    let output = setup.run(&["--check-config"]).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("/nonexistent/token") && !output.status.success(), "{complaint}");
}
