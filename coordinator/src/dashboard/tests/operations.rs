//! Operations, approvals, holds, audit and their forms: what they say, to whom, and what they send.

use super::*;
use crate::{
    dashboard::{PageData, Refused, example::jane},
    people::Caller,
};
use axum::http::Method;
use serde_json::{Value, json};

/// An answer to `caller`, who sends a form when there is one.
async fn asked(
    example: &Arc<Example>,
    caller: Caller,
    path: &str,
    form: Option<&[(&str, &str)]>,
) -> Response {
    let service = TowerToHyperService::new(routes::<Example>().with_state(Arc::clone(example)));
    let encoded = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let body: Vec<String> =
        form.unwrap_or_default().iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let mut request = Request::builder()
        .method(if form.is_some() { Method::POST } else { Method::GET })
        .uri(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body.join("&")))
        .unwrap();
    request.extensions_mut().insert(caller);
    service.call(request).await.unwrap()
}

async fn seen(caller: Caller, path: &str) -> String {
    let answer = asked(&EXAMPLES["busy"], caller, path, None).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    text(answer).await
}

/// The words on the buttons that lead to forms.
fn buttons(page: &str) -> Vec<String> {
    let words_of = |tag: &str| tag.rsplit_once('>').map(|(_, word)| word.to_owned());
    between(page, "<a class=\"button", "</a>").into_iter().filter_map(words_of).collect()
}

#[tokio::test]
async fn what_waits_for_a_person_stands_first_and_what_is_over_last() {
    let page = seen(jane("view"), "/operations").await;
    let (open, over) = page.split_once("id=\"title-over\"").unwrap();
    let said = words(open);
    assert!(said.contains("7 of 12 operations wait for a person"), "{said}");
    let order = ["Reboot alibuild09", "Rebuild alimesos02", "Drain alibuild24"]
        .map(|title| said.find(title).unwrap());
    assert!(order.is_sorted(), "{order:?} in {said}");
    for part in [
        "step 2 of 17: consent",
        "a second person has to agree, expected in 9 h",
        "now up to approvers",
        "asked for by joe",
        "– kept empty",
        "✕ damaged",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    let said = words(over);
    for part in ["✓ succeeded", "– called off", "! taken over", "alibuild06 is rebooted"] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    let of_node = words(&seen(jane("view"), "/operations?node=ALIBUILD024.cern.ch").await);
    assert!(of_node.contains("Drain alibuild24") && !of_node.contains("alimesos02"), "{of_node}");
}

#[tokio::test]
async fn an_operation_in_every_state_has_a_page_that_says_what_it_waits_for() {
    for operation in &EXAMPLES["busy"].operations {
        let summary = &operation.summary;
        let page = seen(jane("operate approve"), &format!("/operations/{}", summary.id)).await;
        let said = words(&page);
        assert!(said.contains(&summary.reason) && said.contains("Everything that happened"), "{said}");
        if let (Some(waiting), None) = (&summary.waiting, &summary.broken) {
            let begin: String = waiting.sentence.chars().take(20).collect();
            assert!(said.contains(begin.trim()), "{begin:?} is missing in {said}");
        }
        assert_eq!(
            between(&page, "aria-current=\"step\"", ">").len(),
            usize::from(!summary.is_over() && summary.state != "parked"),
            "{}",
            summary.id
        );
        assert_eq!(
            said.contains("no return"),
            operation.steps.iter().any(|step| step.is_irreversible),
            "{said}"
        );
    }
    let missing = ask(&EXAMPLES["busy"], "/operations/op-999").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_operations_page_shows_evidence_permit_grants_digest_and_the_exact_command() {
    let said = words(&seen(jane("operate"), "/operations/op-27").await);
    for part in [
        "Evidence of Cordon",
        "deactivated true (mesos master, 2 s old)",
        "Permit for rebuild, given",
        "ran out 40 min ago",
        "The point of no return is behind",
        "millwright step op-27",
        "ai-rebuild --nova-image slc7-builder alibuild15.cern.ch",
        "approval_missing by ann",
        "5f2c90d1e7a30027",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
}

#[tokio::test]
async fn buttons_are_those_that_may_be_said_by_whoever_looks() {
    for (operation, rights, expected) in [
        ("op-31", "operate approve", &["Approve", "Call it off"][..]),
        ("op-31", "operate", &["Call it off"]),
        ("op-31", "view", &[]),
        ("op-31", "approve:agent", &[]),
        ("op-30", "approve", &["Call it off"]),
        ("op-29", "operate:agent", &["Go on with it", "Call it off"]),
        ("op-28", "operate:agent", &["Call it off"]),
        ("op-27", "operate", &["It is done", "It was not run", "Take it over as it is"]),
        ("op-25", "operate", &["Try again", "Take it over as it is"]),
        ("op-22", "admin", &[]),
        ("op-21", "admin", &[]),
    ] {
        let page = seen(jane(rights), &format!("/operations/{operation}")).await;
        assert_eq!(buttons(&page), expected, "{operation} for {rights}");
    }
    let own = words(&seen(jane("approve"), "/operations/op-30").await);
    assert!(own.contains("You asked for it yourself, so another person has to agree."), "{own}");
    let without = words(&seen(jane("view"), "/operations/op-31").await);
    assert!(without.contains("takes approve:master, and jane may view"), "{without}");
    let nobody = seen(Caller::nobody(true, true), "/operations/op-31").await;
    assert!(buttons(&nobody).is_empty() && nobody.contains("href=\"/sign-in?next=/operations/op-31\""));
}

#[tokio::test]
async fn the_inbox_has_what_one_may_agree_to_and_says_why_not_the_rest() {
    let page = seen(jane("approve"), "/approvals").await;
    let (mine, others) = page.split_once("id=\"title-others\"").unwrap();
    let said = words(mine);
    assert!(said.contains("1 operation waits for your yes") && said.contains("Rebuild alimesos02"), "{said}");
    assert!(said.contains("5f2c90d1e7a30031") && !said.contains("alibuild18"), "{said}");
    assert!(words(others).contains("You asked for it yourself"), "{}", words(others));
    let said = words(&seen(jane("approve:agent"), "/approvals").await);
    assert!(said.contains("Nothing waits for your yes") && said.contains("takes approve:master"), "{said}");
}

#[tokio::test]
async fn a_node_page_begins_what_may_start_and_in_mode_observe_nothing() {
    let page = seen(jane("operate"), "/nodes/alibuild10").await;
    assert!(buttons(&page).contains(&"Drain it…".to_owned()), "{:?}", buttons(&page));
    let protected = seen(jane("operate"), "/nodes/alibuild3").await;
    for never in ["Rebuild it…", "Delete it…"] {
        assert!(!buttons(&protected).contains(&never.to_owned()), "{:?}", buttons(&protected));
    }
    assert!(
        buttons(&protected).contains(&"Reboot it…".to_owned()),
        "with a confirmation: {:?}",
        buttons(&protected)
    );
    for caller in [jane("view"), jane("operate:master"), Caller::nobody(true, true)] {
        let page = seen(caller.clone(), "/nodes/alibuild10").await;
        assert!(!page.contains("href=\"/begin/"), "{caller:?}");
    }
    let observed = asked(&EXAMPLES["calm"], jane("admin"), "/nodes/alibuild10", None).await;
    let observed = text(observed).await;
    assert!(!observed.contains("href=\"/begin/"));
    assert!(words(&observed).contains("the policy has this class in mode observe"), "{}", words(&observed));
    let kept = seen(jane("operate"), "/nodes/alibuild16").await;
    assert!(
        buttons(&kept).contains(&"Return it…".to_owned()) && words(&kept).contains("Under way"),
        "{:?}",
        buttons(&kept)
    );
    let held = words(&seen(jane("operate"), "/nodes/alibuild10").await);
    assert!(held.contains("a debugger is attached to its build, to be looked at in 4 h"), "{held}");
}

/// A fleet whose API answers like this, and what it was told.
fn answering(answer: Result<Value, Refused>) -> Arc<Example> {
    let mut example = Example::busy();
    example.answer = answer;
    Arc::new(example)
}

fn told(example: &Arc<Example>) -> Vec<(String, Value)> {
    example.said.lock().unwrap().clone()
}

#[tokio::test]
async fn a_form_tells_the_api_exactly_what_was_filled_in_and_leads_on() {
    let seal = ("seal", "seal of jane");
    for (path, form, to, body, leads) in [
        (
            "/begin/drain/alibuild10",
            vec![("reason", " loud fan ")],
            "/api/v1/operations",
            json!({ "action": "drain", "nodes": ["alibuild10"], "reason": "loud fan", "confirm": [], "let_go": [] }),
            "/operations/op-40",
        ),
        (
            "/begin/reboot/alibuild3",
            vec![("reason", "x"), ("confirm", "confirm_reboot")],
            "/api/v1/operations",
            json!({ "action": "reboot", "nodes": ["alibuild3"], "reason": "x", "confirm": ["confirm_reboot"], "let_go": [] }),
            "/operations/op-40",
        ),
        (
            "/begin/delete/alibuild11",
            vec![("reason", "x"), ("typed", "AliBuild11"), ("volumes", "delete")],
            "/api/v1/operations",
            json!({ "action": "delete", "nodes": ["alibuild11"], "reason": "x", "confirm": [], "let_go": [], "typed": "AliBuild11", "volumes": "delete" }),
            "/operations/op-40",
        ),
        (
            "/operations/op-31/approve",
            vec![("reason", "x"), ("digest", "5f2c90d1e7a30031")],
            "/api/v1/operations/op-31/approve",
            json!({ "reason": "x", "digest": "5f2c90d1e7a30031" }),
            "/operations/op-31",
        ),
        (
            "/operations/op-31/cancel",
            vec![("reason", "x")],
            "/api/v1/operations/op-31/cancel",
            json!({ "reason": "x" }),
            "/operations/op-31",
        ),
        (
            "/operations/op-25/abandon",
            vec![("reason", "x"), ("node", "alibuild9"), ("typed", "alibuild09")],
            "/api/v1/operations/op-25/cancel",
            json!({ "reason": "x", "abandon": true }),
            "/operations/op-25",
        ),
        (
            "/operations/op-25/retry",
            vec![("reason", "x")],
            "/api/v1/operations/op-25/retry",
            json!({ "reason": "x" }),
            "/operations/op-25",
        ),
        (
            "/operations/op-29/begin",
            vec![("reason", "x")],
            "/api/v1/operations/op-29/confirm",
            json!({ "reason": "x", "what": "begin" }),
            "/operations/op-29",
        ),
        (
            "/operations/op-27/not_run",
            vec![("reason", "x")],
            "/api/v1/operations/op-27/confirm",
            json!({ "reason": "x", "what": "not_run" }),
            "/operations/op-27",
        ),
        (
            "/holds/add",
            vec![("reason", "x"), ("node", "alibuild10"), ("hours", "4")],
            "/api/v1/holds",
            json!({ "node": "alibuild10", "reason": "x", "until": "2026-01-31T18:20:07Z" }),
            "/holds",
        ),
        (
            "/attest/alibuild10",
            vec![("reason", "x"), ("source", "jenkins")],
            "/api/v1/attestations",
            json!({ "node": "alibuild10", "source": "jenkins", "reason": "x" }),
            "/nodes/alibuild10",
        ),
        (
            "/holds/hold-4/lift",
            vec![("reason", "x")],
            "/api/v1/holds/hold-4/lift",
            json!({ "reason": "x" }),
            "/holds",
        ),
        ("/pause", vec![("reason", "x")], "/api/v1/pause", json!({ "on": true, "reason": "x" }), "/"),
        ("/resume", vec![("reason", "x")], "/api/v1/pause", json!({ "on": false, "reason": "x" }), "/"),
        (
            "/brake/agent",
            vec![("reason", "x")],
            "/api/v1/brake",
            json!({ "class": "agent", "reason": "x" }),
            "/",
        ),
    ] {
        let example = answering(Ok(json!({ "id": "op-40" })));
        let form: Vec<(&str, &str)> = form.into_iter().chain([seal]).collect();
        let answer = asked(&example, jane("operate approve"), path, Some(&form)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.headers().get(header::LOCATION).unwrap(), leads, "{path}");
        assert_eq!(told(&example), [(to.to_owned(), body)], "{path}");
    }
}

#[tokio::test]
async fn a_form_that_is_not_ours_or_lacks_something_says_nothing_and_keeps_what_was_typed() {
    let seal = ("seal", "seal of jane");
    for (path, form, status, why) in [
        (
            "/begin/drain/alibuild10",
            vec![("reason", "kept <b>")],
            StatusCode::FORBIDDEN,
            "nothing was done, send it again",
        ),
        (
            "/begin/drain/alibuild10",
            vec![("reason", "kept <b>"), ("seal", "seal of joe")],
            StatusCode::FORBIDDEN,
            "for somebody else",
        ),
        (
            "/begin/rebuild/alibuild11",
            vec![("image", "kept <b>"), ("reason", " "), seal],
            StatusCode::BAD_REQUEST,
            "say why",
        ),
        (
            "/begin/delete/alibuild11",
            vec![("reason", "kept <b>"), seal],
            StatusCode::BAD_REQUEST,
            "type the node's name",
        ),
        (
            "/begin/delete/alibuild11",
            vec![("reason", "kept <b>"), ("typed", "alibuild12"), seal],
            StatusCode::BAD_REQUEST,
            "look again at what is meant",
        ),
        (
            "/operations/op-25/abandon",
            vec![("reason", "kept <b>"), ("node", "alibuild9"), ("typed", "alibuild3"), seal],
            StatusCode::BAD_REQUEST,
            "look again",
        ),
        ("/holds/add", vec![("reason", "kept <b>"), seal], StatusCode::BAD_REQUEST, "name the node"),
        ("/attest/alibuild10", vec![("reason", "kept <b>"), seal], StatusCode::BAD_REQUEST, "looked at"),
    ] {
        let example = answering(Ok(json!({})));
        let answer = asked(&example, jane("operate approve"), path, Some(&form)).await;
        assert_eq!(answer.status(), status, "{path}");
        let page = text(answer).await;
        assert!(words(&page).contains(why), "{why:?} is missing in {}", words(&page));
        assert!(page.contains("value=\"kept &#60;b&#62;\""), "{path}: {page}");
        assert_eq!(told(&example), [], "{path}");
    }
}

#[tokio::test]
async fn what_the_api_refuses_is_said_on_the_form_which_keeps_what_was_typed() {
    let message = "alibuild03 must be confirmed (confirm_reboot); this would help: <i>ask</i>";
    let example = answering(Err(Refused { status: StatusCode::CONFLICT, message: message.to_owned() }));
    let form = [("seal", "seal of jane"), ("reason", "a \"quoted\" reason"), ("confirm", "confirm_reboot")];
    let answer = asked(&example, jane("operate"), "/begin/reboot/alibuild3", Some(&form)).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let page = text(answer).await;
    assert!(page.contains("role=\"alert\"") && page.contains("&#60;i&#62;ask"), "{page}");
    assert!(page.contains("value=\"a &#34;quoted&#34; reason\""), "{page}");
    assert!(page.contains("value=\"confirm_reboot\" checked required"), "{page}");
}

#[tokio::test]
async fn an_approver_who_looked_at_something_else_is_told_to_look_again() {
    let example = answering(Err(Refused { status: StatusCode::CONFLICT, message: "stale".to_owned() }));
    let form = [("seal", "seal of jane"), ("reason", "x"), ("digest", "0000000000000000")];
    let answer = asked(&example, jane("approve"), "/operations/op-31/approve", Some(&form)).await;
    let page = text(answer).await;
    assert!(words(&page).contains("This has changed since you opened the form"), "{}", words(&page));
    assert!(page.contains("name=\"digest\" value=\"5f2c90d1e7a30031\""), "{page}");
}

#[tokio::test]
async fn a_form_that_would_be_refused_says_why_instead_of_fields() {
    for (story, caller, path, why) in [
        ("busy", jane("view"), "/begin/drain/alibuild10", "takes operate:agent, and jane may view"),
        ("busy", Caller::nobody(true, true), "/begin/drain/alibuild10", "Sign in"),
        ("calm", jane("admin"), "/begin/drain/alibuild10", "mode observe"),
        ("busy", jane("admin"), "/begin/rebuild/alibuild3", "It cannot begin now"),
        ("busy", jane("admin"), "/operations/op-30/approve", "another person has to agree"),
        ("busy", jane("admin"), "/operations/op-21/cancel", "op-21 is succeeded"),
        ("busy", jane("admin"), "/operations/op-28/begin", "millwright step op-28"),
        ("busy", jane("operate"), "/holds/hold-4/lift", "takes approve:agent"),
        ("calm", jane("admin"), "/resume", "is not paused"),
        ("storm", jane("admin"), "/pause", "has paused Millwright already"),
        ("calm", jane("admin"), "/brake/agent", "is not on"),
        ("busy", jane("operate:agent"), "/pause", "takes operate, and jane may operate:agent"),
    ] {
        let page = text(asked(&EXAMPLES[story], caller, path, None).await).await;
        assert!(words(&page).contains(why), "{path}: {why:?} is missing in {}", words(&page));
        assert!(!page.contains("<form"), "{path}");
    }
}

#[tokio::test]
async fn paths_of_forms_that_cannot_be_are_not_found() {
    for path in [
        "/begin/explode/alibuild10",
        "/begin/drain/%3Cscript%3E",
        "/begin/drain/nobody12345",
        "/operations/op-999/cancel",
        "/operations/..%2Fx/cancel",
        "/operations/op-31/explode",
        "/holds/alibuild17%2F1/lift",
        "/holds/hold-99/lift",
        "/brake/everything",
    ] {
        let example = answering(Ok(json!({})));
        assert_eq!(
            asked(&example, jane("admin"), path, None).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_audit_is_filtered_by_node_and_person_and_leads_to_operations() {
    let page = seen(jane("view"), "/audit").await;
    assert!(
        page.contains("<a href=\"/operations/op-28\">op-28</a>") && page.contains("reset brake"),
        "{page}"
    );
    let of_node = words(&seen(jane("view"), "/audit?node=alibuild14").await);
    assert!(
        of_node.contains("looked at the disk") && !of_node.contains("loud"),
        "of its operation: {of_node}"
    );
    let of_node = words(&seen(jane("view"), "/audit?node=alibuild24").await);
    assert!(of_node.contains("loud") && !of_node.contains("looked at the disk"), "{of_node}");
    let of_person = words(&seen(jane("view"), "/audit?person=JANE").await);
    assert!(of_person.contains("it was the switch") && !of_person.contains("debugger"), "{of_person}");
    let odd = seen(jane("view"), "/audit?node=%3Cscript%3E").await;
    assert!(words(&odd).contains("Nothing.") && odd.contains("value=\"&#60;script&#62;\""), "{odd}");
}

/// Markup in everything that people and machines may have written.
fn hostile_operations() -> Arc<Example> {
    const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";
    let mut example = Example::busy();
    for operation in &mut example.operations {
        let summary = &mut operation.summary;
        for text in [&mut summary.node, &mut summary.by, &mut summary.reason, &mut operation.class] {
            EVIL.clone_into(text);
        }
        if let Some(waiting) = &mut summary.waiting {
            EVIL.clone_into(&mut waiting.sentence);
            EVIL.clone_into(&mut waiting.owner);
            for reason in &mut waiting.reasons {
                EVIL.clone_into(&mut reason.sentence);
                EVIL.clone_into(&mut reason.unblocked_by);
            }
        }
        summary.broken = summary.broken.as_ref().map(|_| EVIL.to_owned());
        summary.ended = summary.ended.as_ref().map(|_| EVIL.to_owned());
        operation.let_go = vec![EVIL.to_owned()];
        operation.image = Some(EVIL.to_owned());
        operation.command.iter_mut().for_each(|word| EVIL.clone_into(word));
        for step in &mut operation.steps {
            step.why = Some(EVIL.to_owned());
            step.by = Some(EVIL.to_owned());
            step.command = vec![EVIL.to_owned()];
            for seen in &mut step.evidence {
                EVIL.clone_into(&mut seen.value);
                EVIL.clone_into(&mut seen.fact);
            }
        }
        for grant in &mut operation.grants {
            EVIL.clone_into(&mut grant.by);
            EVIL.clone_into(&mut grant.code);
            grant.task = Some(EVIL.to_owned());
        }
        operation.story.iter_mut().for_each(|line| EVIL.clone_into(&mut line.sentence));
    }
    for hold in &mut example.holds {
        EVIL.clone_into(&mut hold.by);
        EVIL.clone_into(&mut hold.reason);
        EVIL.clone_into(&mut hold.node);
    }
    for entry in &mut example.audit {
        for text in [&mut entry.by, &mut entry.what, &mut entry.about, &mut entry.reason] {
            EVIL.clone_into(text);
        }
    }
    Arc::new(example)
}

#[tokio::test]
async fn names_reasons_tasks_and_commands_never_become_markup() {
    let hostile = hostile_operations();
    let mut paths: Vec<String> =
        ["/operations", "/approvals", "/holds", "/audit", "/holds/hold-4/lift"].map(str::to_owned).to_vec();
    for operation in &hostile.operations {
        let id = &operation.summary.id;
        paths.push(format!("/operations/{id}"));
        paths.extend(operation.may.iter().map(|may| format!("/operations/{id}/{may}")));
    }
    for path in paths {
        let page = text(asked(&hostile, jane("admin"), &path, None).await).await;
        assert!(page.contains("&#60;script&#62;alert(1)"), "the text is shown: {path}");
        assert!(!page.contains("<img") && between(&page, "<script", ">").len() < 2, "{path}");
        for tag in tags(&page) {
            assert!(!tag.contains("onerror") && !tag.contains("alert"), "{path}: {tag}");
        }
    }
}

#[tokio::test]
async fn a_fleet_without_operations_holds_or_words_says_so() {
    let example = &EXAMPLES["calm"];
    assert!(example.operations().await.is_empty());
    for (path, part) in [
        ("/operations", "Nothing is under way"),
        ("/approvals", "Nothing waits for your yes"),
        ("/holds", "No holds stand"),
        ("/audit", "Nothing."),
    ] {
        let said = words(&page("calm", path).await);
        assert!(said.contains(part), "{path}: {said}");
    }
}
