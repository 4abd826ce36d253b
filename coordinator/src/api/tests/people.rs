//! Who may do what: tokens, roles by class, a proxy that vouches for people, and everybody who only claims to be somebody.

use super::rig::{Answer, Rig};
use crate::people::Caller;
use serde_json::{Value, json};

/// The user that runs the test vouches for people on the Unix socket.
fn proxied() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    format!(
        "[people.proxy]\nusers = [\"{user}\"]\n[people.roles]\nview = [\"*\"]\noperate = [\"jane on agent\", \"group:ops\"]\n"
    )
}

async fn behind_proxy(rig: &Rig, first: &str, headers: &str, body: &str) -> Answer {
    let json = "host: mw\r\ncontent-type: application/json\r\n";
    rig.on_socket(&format!("{first} HTTP/1.1\r\n{json}{headers}"), body).await
}

#[track_caller]
fn is(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
}

/// Who did what, newest first.
async fn audit(rig: &Rig) -> Vec<String> {
    // What nobody waits for is written before this, in its order.
    rig.app.record("test", "note", "", "").await.unwrap();
    let entries = rig.get("/api/v1/audit").await.body["audit"].as_array().unwrap().clone();
    let words = |entry: &Value| {
        let word = |key: &str| entry[key].as_str().unwrap().to_owned();
        format!("{} {}", word("by"), word("what"))
    };
    entries.iter().skip(1).map(words).collect()
}

#[tokio::test]
async fn a_token_does_what_it_may_for_the_class_it_may_and_no_more() {
    let rig = Rig::start().await;
    rig.report("stranger", &rig.sample_report("stranger")).await;
    let (agents, _) = rig.token("operate:agent").await;
    let (masters, _) = rig.token("operate:master").await;
    let (viewer, _) = rig.token("view").await;
    let dead = json!({ "reason": "burned", "by": "somebody else" });
    for secret in [&masters, &viewer] {
        is(&rig.with_token(secret, "POST /api/v1/nodes/n01/dead", Some(&dead)).await, 403, "not_allowed");
        let given = json!({ "finding": "n01/docker", "until": "2099-01-01T00:00:00Z" });
        is(&rig.with_token(secret, "POST /api/v1/acknowledgements", Some(&given)).await, 403, "not_allowed");
        assert_eq!(rig.with_token(secret, "GET /api/v1/nodes", None).await.status, 200);
    }
    let answer = rig.with_token(&agents, "POST /api/v1/nodes/n01/dead", Some(&dead)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(audit(&rig).await[0], "jane dead", "under their own name, whatever they say");
    let unlisted = rig.with_token(&agents, "POST /api/v1/nodes/stranger/dead", Some(&dead)).await;
    is(&unlisted, 403, "not_allowed");
    assert!(unlisted.body["message"].as_str().unwrap().contains("takes operate, and jane may operate:agent"));
}

#[tokio::test]
async fn a_token_that_is_nobodys_is_refused_counted_and_answered_more_slowly() {
    let rig = Rig::start().await;
    let answer = rig.with_token("mwt_0000", "GET /api/v1/nodes", None).await;
    is(&answer, 401, "bad_token");
    assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    let basic = "GET /api/v1/nodes HTTP/1.1\r\nauthorization: Basic cm9vdDpyb290\r\n";
    is(&rig.tcp(rig.operators, basic, b"").await, 401, "bad_token");
    let mut last = answer;
    for _ in 0..20 {
        last = rig.with_token("mwt_0000", "GET /api/v1/nodes", None).await;
    }
    is(&last, 429, "too_many_requests");
    assert!(last.head.contains("retry-after: "), "{}", last.head);
    let (good, _) = rig.token("view").await;
    assert_eq!(
        rig.with_token(&good, "GET /api/v1/me", None).await.status,
        200,
        "a good one is not slowed down"
    );
    assert!(rig.get_text("/metrics").await.contains("millwright_tokens_refused_total 21\n"));
}

#[tokio::test]
async fn a_revoked_token_is_out_at_once_and_the_audit_has_its_whole_life() {
    let rig = Rig::start().await;
    let (secret, id) = rig.token("operate").await;
    let me = rig.with_token(&secret, "GET /api/v1/me", None).await.body;
    assert_eq!((&me["name"], &me["how"], &me["token"]["id"]), (&json!("jane"), &json!("token"), &json!(id)));
    let (other, _) = rig.token("admin").await;
    let revoked = rig
        .with_token(&other, "POST /api/v1/tokens/revoke", Some(&json!({ "id": id, "reason": "lost" })))
        .await;
    assert_eq!(revoked.body["tokens"][0]["state"], "revoked", "{}", revoked.body);
    let refused = rig.with_token(&secret, "GET /api/v1/me", None).await;
    is(&refused, 401, "bad_token");
    assert!(refused.body["message"].as_str().unwrap().contains("revoked"), "{}", refused.body);
    let again = rig.with_token(&other, "POST /api/v1/tokens/revoke", Some(&json!({ "id": id }))).await;
    assert_eq!(again.body["tokens"][0]["revoked_by"], "jane", "said again it is kept again: {}", again.body);
    let said = audit(&rig).await;
    for what in ["root make_token", "jane use_token", "jane revoke_token", "jane refuse_token"] {
        assert!(said.iter().any(|entry| entry == what), "{what}: {said:?}");
    }
}

#[tokio::test]
async fn a_person_sees_their_own_tokens_and_an_administrator_everybodys() {
    let rig = Rig::start().await;
    let (viewer, _) = rig.token("view").await;
    let (admin, _) = rig.token("admin").await;
    let make = json!({ "person": "joe", "may": ["operate:agent"], "label": "laptop" });
    is(&rig.with_token(&viewer, "POST /api/v1/tokens", Some(&make)).await, 403, "not_allowed");
    let made = rig.with_token(&admin, "POST /api/v1/tokens", Some(&make)).await.body;
    let joe = made["secret"].as_str().unwrap();
    assert_eq!(made["token"]["made_by"], "jane");
    let seen = |body: &Value| body["tokens"].as_array().unwrap().len();
    assert_eq!(seen(&rig.with_token(joe, "GET /api/v1/tokens", None).await.body), 1);
    assert_eq!(seen(&rig.with_token(&admin, "GET /api/v1/tokens", None).await.body), 3);
    let secrets = rig.with_token(&admin, "GET /api/v1/tokens", None).await.body.to_string();
    assert!(!secrets.contains("mwt_"), "no list has a secret");
    let steal = json!({ "person": "jane" });
    is(&rig.with_token(joe, "POST /api/v1/tokens/revoke", Some(&steal)).await, 404, "unknown_token");
    is(&rig.get("/api/v1/tokens").await, 401, "not_signed_in");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_nor_for_ever() {
    let rig = Rig::start_with(&proxied()).await;
    let make = |may: &str, more: Value| {
        let mut body = json!({ "may": [may] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let from_page = "x-remote-user: jane\r\nsec-fetch-site: same-origin\r\n";
    for (body, status, code) in [
        (make("operate:master", json!({})), 403, "not_allowed"),
        (make("admin", json!({})), 403, "not_allowed"),
        (make("view", json!({ "person": "joe" })), 403, "not_allowed"),
        (make("view", json!({ "person": "root" })), 400, "bad_parameter"),
        (make("view", json!({ "expires_at": "2099-01-01T00:00:00Z" })), 400, "bad_parameter"),
        (make("view", json!({ "expires_at": "1999-01-01T00:00:00Z" })), 400, "bad_parameter"),
        (make("rule", json!({})), 400, "bad_parameter"),
    ] {
        is(&behind_proxy(&rig, "POST /api/v1/tokens", from_page, &body).await, status, code);
    }
    let made = behind_proxy(&rig, "POST /api/v1/tokens", from_page, &make("operate:agent", json!({}))).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let secret = made.body["secret"].as_str().unwrap();
    let more =
        rig.with_token(secret, "POST /api/v1/tokens", Some(&json!({ "may": ["operate:agent"] }))).await;
    is(&more, 403, "not_allowed");
    assert!(more.body["message"].as_str().unwrap().contains("a stolen one cannot"), "{}", more.body);
}

#[tokio::test]
async fn a_proxy_vouches_for_people_and_only_a_proxy_does() {
    let rig = Rig::start_with(&proxied()).await;
    let me =
        behind_proxy(&rig, "GET /api/v1/me", "x-remote-user: joe\r\nx-remote-groups: a;ops\r\n", "").await;
    assert_eq!(
        (&me.body["name"], &me.body["how"], &me.body["rights"]),
        (&json!("joe"), &json!("proxy"), &json!(["view", "operate"])),
        "{}",
        me.body
    );
    is(&behind_proxy(&rig, "GET /api/v1/me", "", "").await, 401, "not_signed_in");
    for headers in [
        "x-remote-user: jane\r\nx-remote-user: joe\r\n",
        "x-remote-user: jane doe\r\n",
        "x-remote-user: root\r\n",
        "x-remote-user: <script>\r\n",
    ] {
        is(&behind_proxy(&rig, "GET /api/v1/me", headers, "").await, 400, "bad_request");
    }
    let claimed = "GET /api/v1/me HTTP/1.1\r\nx-remote-user: jane\r\n";
    let me = rig.tcp(rig.operators, claimed, b"").await.body;
    assert_eq!(
        (&me["name"], &me["how"]),
        (&Value::Null, &json!("nobody")),
        "anybody on this host can say so"
    );
    assert!(audit(&rig).await.contains(&"joe sign_in".to_owned()));
}

#[tokio::test]
async fn a_foreign_page_does_nothing_in_the_name_of_whoever_looks_at_it() {
    let rig = Rig::start_with(&proxied()).await;
    let dead = json!({ "reason": "x" }).to_string();
    let jane = "x-remote-user: jane\r\n";
    for headers in [
        "",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "origin: https://evil.example\r\n",
    ] {
        let headers = format!("{jane}{headers}");
        is(&behind_proxy(&rig, "POST /api/v1/nodes/n01/dead", &headers, &dead).await, 403, "cross_site");
    }
    let headers = format!("{jane}origin: https://mw.cern.ch\r\n");
    let done = behind_proxy(&rig, "POST /api/v1/nodes/n01/dead", &headers, &dead).await;
    assert_eq!(done.status, 200, "{}", done.body);
}

#[tokio::test]
async fn where_everybody_needs_a_name_the_rest_sees_that_it_lives_and_where_to_sign_in() {
    let rig = Rig::start_with("[people]\nlook_without_name = false\n").await;
    for path in ["/api/v1/nodes", "/metrics", "/openapi.json", "/me", "/", "/api/v1/events", "/nothing"] {
        is(&rig.get(path).await, 401, "not_signed_in");
    }
    for path in ["/healthz", "/readyz", "/sign-in", "/manual/people", "/assets/style.css"] {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
    let browser = "GET /nodes/n01?a=b HTTP/1.1\r\naccept: text/html\r\n";
    let sent = rig.tcp(rig.operators, browser, b"").await;
    assert_eq!(sent.status, 303);
    assert!(sent.head.contains("location: /sign-in?next=/nodes/n01%3fa%3db"), "{}", sent.head);
    let followed = format!("{browser}sec-fetch-site: cross-site\r\n");
    let sent = rig.tcp(rig.operators, &followed, b"").await;
    assert!(sent.status == 200 && sent.body.as_str().unwrap().contains("refresh"), "{}", sent.body);
    let (secret, _) = rig.token("view").await;
    assert_eq!(rig.with_token(&secret, "GET /metrics", None).await.status, 200, "as Prometheus does it");
}

#[tokio::test]
async fn what_a_proxy_passes_on_is_never_roots_and_comes_from_anywhere() {
    let rig = Rig::start().await;
    let relayed = ["x-forwarded-for: 10.0.0.1\r\n", "via: 1.1 proxy\r\n", "forwarded: for=10.0.0.1\r\n"];
    for headers in relayed {
        is(&behind_proxy(&rig, "GET /api/v1/me", headers, "").await, 401, "not_signed_in");
        let head = format!("GET /api/v1/me HTTP/1.1\r\n{headers}");
        is(&rig.tcp(rig.operators, &head, b"").await, 401, "not_signed_in");
    }
    for headers in ["sec-fetch-site: none\r\n", "origin: x\r\n"] {
        let me = behind_proxy(&rig, "GET /api/v1/me", headers, "").await;
        assert_eq!(me.body["how"], "nobody", "{headers}: {}", me.body);
    }
    if nix::unistd::geteuid().is_root() {
        assert_eq!(behind_proxy(&rig, "GET /api/v1/me", "", "").await.body["how"], "root");
    }
}

#[tokio::test]
async fn who_is_revoked_while_they_send_is_out_before_it_takes_effect() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (path, body) in [
        ("tokens", json!({ "person": "joe", "may": ["admin"] })),
        ("tokens/revoke", json!({ "person": "jane" })),
        ("nodes/n01/dead", json!({ "reason": "burned" })),
        ("acknowledgements", json!({ "finding": "n01/docker", "until": "2099-01-01T00:00:00Z" })),
    ] {
        let rig = Rig::start().await;
        let (secret, id) = rig.token("admin").await;
        let body = body.to_string();
        let (begun, rest) = body.split_at(5);
        let head = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nauthorization: Bearer {secret}\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{begun}",
            rig.operators,
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(rig.operators).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let root = Caller::root();
        while rig.app.tokens(&root).iter().all(|token| token.used.is_none()) {
            tokio::task::yield_now().await;
        }
        rig.app.revoke_tokens(&root, "root", crate::app::Which::One(&id), "stolen").await.unwrap();
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("bad_token"), "{path}: {answer}");
        assert_eq!(rig.app.tokens(&root).len(), 1, "{path}");
    }
}

#[tokio::test]
async fn root_gets_in_however_many_others_are_on_the_socket() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root, to be somebody else");
        return;
    }
    let rig = Rig::start().await;
    let path = rig.socket();
    std::fs::set_permissions(path.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    // Python, since only a process of its own can be somebody else: 64 connections are all there are here.
    let others = "import socket,sys,os\nos.setuid(65534)\nall=[]\nfor _ in range(64):\n s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);all.append(s)\nprint('there',flush=True)\nsys.stdin.read()";
    let mut others = std::process::Command::new("python3")
        .args(["-c", others])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut there = [0; 5];
    std::io::Read::read_exact(others.stdout.as_mut().unwrap(), &mut there).unwrap();
    let me = behind_proxy(&rig, "GET /api/v1/me", "", "").await;
    assert_eq!(me.body["how"], "root", "{}", me.body);
    drop(others.stdin.take());
    others.wait().unwrap();
}

#[tokio::test]
async fn somebody_has_so_many_tokens_and_no_more() {
    let rig = Rig::start().await;
    for _ in 0..100 {
        rig.token("view").await;
    }
    let (admin, make) =
        (rig.app.tokens(&Caller::root())[0].person.clone(), json!({ "person": "Jane", "may": ["view"] }));
    assert_eq!(admin, "jane");
    if nix::unistd::geteuid().is_root() {
        is(&rig.post_on_socket("/api/v1/tokens", &make).await, 429, "too_many_requests");
    }
}

#[tokio::test]
async fn somebody_who_asks_all_the_time_waits_and_the_others_do_not() {
    let rig = Rig::start().await;
    let mut refusal = None;
    for _ in 0..10_000 {
        if let Err(refused) = rig.app.count_request("joe") {
            refusal = Some(refused);
            break;
        }
    }
    let refusal = refusal.unwrap();
    assert!(refusal.retry_after.is_some() && refusal.code.as_str() == "too_many_requests", "{refusal:?}");
    assert_eq!(rig.app.count_request("jane"), Ok(()));
}

#[tokio::test]
async fn an_open_stream_ends_with_its_token() {
    let rig = Rig::start().await;
    let (secret, id) = rig.token("view").await;
    let revoke = async {
        while rig.app.events.listeners() == 0 {
            tokio::task::yield_now().await;
        }
        let (admin, _) = rig.token("admin").await;
        rig.with_token(&admin, "POST /api/v1/tokens/revoke", Some(&json!({ "id": id }))).await
    };
    let (stream, revoked) = tokio::join!(rig.with_token(&secret, "GET /api/v1/events", None), revoke);
    assert_eq!((stream.status, revoked.status), (200, 200), "the stream has come to an end");
}

#[tokio::test]
async fn with_a_list_of_revoked_certificates_that_is_too_old_only_root_changes_anything() {
    let rig = Rig::start().await;
    let (admin, _) = rig.token("admin").await;
    let dead = json!({ "reason": "burned" });
    let at = rig.app.clock.now();
    rig.app.with_fleet(|fleet, _| {
        fleet.set_crl_expired(Some(millwright_decision::fleet::CrlExpired { expired_at: at, since: at }));
    });
    let refused = rig.with_token(&admin, "POST /api/v1/nodes/n01/dead", Some(&dead)).await;
    is(&refused, 503, "read_only");
    let form = format!(
        "POST /me/tokens HTTP/1.1\r\nauthorization: Bearer {admin}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    );
    is(&rig.tcp(rig.operators, &form, b"may=admin").await, 503, "read_only");
    assert_eq!(rig.with_token(&admin, "GET /api/v1/nodes", None).await.status, 200, "everybody looks");
    assert_eq!(rig.post_on_socket("/api/v1/nodes/n01/dead", &dead).await.status, 200);
    rig.app.with_fleet(|fleet, _| fleet.set_crl_expired(None));
    assert_eq!(rig.with_token(&admin, "POST /api/v1/nodes/n01/accept", Some(&dead)).await.status, 200);
}
