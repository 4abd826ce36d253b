//! Hosts with a good certificate that send what no agent sends: refused, told once, counted, and nobody else notices.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::harness::{Coordinator, Pki, Visitor, address, get, ready, wait_for};
use super::tls::{COORDINATOR, metric, node, setup, wait_accepted};

const TEN: &str = "alibuild10.lab.test";
const ELEVEN: &str = "alibuild11.lab.test";
const LIMIT: Duration = Duration::from_secs(60);

struct Door {
    pki: Pki,
    coordinator: Coordinator,
}

impl Door {
    fn open() -> Option<Self> {
        let pki = ready(Pki::new())?;
        for host in [COORDINATOR, TEN, ELEVEN] {
            pki.host(host).unwrap();
        }
        let coordinator = setup(&pki, COORDINATOR).start().unwrap();
        Some(Self { pki, coordinator })
    }

    fn visitor(&self) -> Visitor {
        Visitor::come(self.coordinator.agents_url(), &self.pki.ssl(TEN), TEN).unwrap()
    }

    fn ask(&self, request: &str) -> String {
        self.visitor().ask(request.as_bytes())
    }

    fn metric(&self, name: &str) -> u64 {
        metric(&self.coordinator, name)
    }

    /// Nothing of what was sent has become a report, and an agent is served as ever.
    fn is_as_before(&self) {
        let ten = self.coordinator.node("alibuild10").unwrap();
        assert!(ten.get("reported_at").is_none_or(Value::is_null), "{ten:#}");
        wait_accepted(&node("alibuild11", &self.pki, ELEVEN, &self.coordinator).start().unwrap());
    }

    fn wait_told(&self, words: &[&str]) {
        wait_for(&format!("the log to say {words:?}"), LIMIT, || {
            let log = self.coordinator.log();
            Ok(log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.coordinator.log()));
    }

    fn times_told(&self, words: &str) -> usize {
        self.coordinator.log().matches(words).count()
    }
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: mw\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

const REPORT: &str = "/v1/agents/alibuild10/report";

#[test]
fn what_is_no_request_ends_the_connection_is_told_once_and_counted() {
    let Some(door) = Door::open() else { return };
    let long = "x".repeat(100_000);
    let many = "X: y\r\n".repeat(200);
    let requests = [
        ("no HTTP", "hello\r\n\r\n".to_owned()),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("a line break in the path", "GET /healthz\r\nX HTTP/1.1\r\n\r\n".to_owned()),
        ("a line break in a header", "GET /healthz HTTP/1.1\r\nHost: mw\r\nX: a\rEvil: b\r\n\r\n".to_owned()),
        ("a zero in a header", "GET /healthz HTTP/1.1\r\nHost: mw\r\nX: a\0b\r\n\r\n".to_owned()),
        ("a space before the colon", "GET /healthz HTTP/1.1\r\nHost : mw\r\n\r\n".to_owned()),
        ("a folded header", "GET /healthz HTTP/1.1\r\nHost: mw\r\nX: a\r\n b\r\n\r\n".to_owned()),
        ("a head that is too long", format!("GET /healthz HTTP/1.1\r\nHost: mw\r\nX: {long}\r\n\r\n")),
        ("a path that is too long", format!("GET /{long} HTTP/1.1\r\nHost: mw\r\n\r\n")),
        ("too many headers", format!("GET /healthz HTTP/1.1\r\n{many}\r\n")),
        ("two lengths", post(REPORT, "Content-Length: 2\r\nContent-Length: 3\r\n", "{}")),
        ("a length below zero", post(REPORT, "Content-Length: -2\r\n", "{}")),
        ("a length that is no number", post(REPORT, "Content-Length: 0x2\r\n", "{}")),
        ("a coding that is not chunked", post(REPORT, "Transfer-Encoding: gzip\r\n", "{}")),
        ("a coding after chunked", post(REPORT, "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n")),
    ];
    for (what, request) in &requests {
        let answer = door.ask(request);
        let is_refused =
            ["HTTP/1.1 400", "HTTP/1.1 431", "HTTP/1.1 414"].iter().any(|status| answer.starts_with(status));
        assert!(answer.is_empty() || is_refused, "{what}: {answer}");
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{what}: {answer}");
    }
    let told = door.times_told("closed a connection of alibuild10.lab.test");
    assert!(told >= 1, "{}", door.coordinator.log());
    // The same again and again is told once.
    let before = door.times_told("what it sends is no request");
    let last = &requests[requests.len() - 1].1;
    for _ in 0..5 {
        door.ask(last);
    }
    assert_eq!(door.times_told("what it sends is no request"), before);
    wait_for("each to be counted", LIMIT, || {
        Ok((door.metric("millwright_connections_cut_total") >= requests.len() as u64 + 5).then_some(()))
    })
    .unwrap();
    door.is_as_before();
}

#[test]
fn a_request_in_two_readings_has_one_answer_and_ends_the_connection() {
    let Some(door) = Door::open() else { return };
    let hidden = "GET /healthz HTTP/1.1\r\nHost: mw\r\n\r\n";
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        let request = format!(
            "POST {REPORT} HTTP/1.1\r\nHost: mw\r\nContent-Type: application/json\r\n{headers}\r\n0\r\n\r\n{hidden}"
        );
        let answer = door.ask(&request);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 400") && !answer.contains("alive"), "{answer}");
    }
    let two = door.ask(&post(REPORT, "Host: evil\r\nContent-Length: 2\r\n", "{}"));
    assert!(two.starts_with("HTTP/1.1 400") && two.contains("2 Host headers"), "{two}");
    door.is_as_before();
}

#[test]
fn a_request_that_is_refused_says_why_and_is_told_once_however_often_it_comes() {
    let Some(door) = Door::open() else { return };
    let counted = || door.metric("millwright_http_answers_total{audience=\"agents\",result=\"refused\"}");
    let large = format!("Content-Length: {}\r\n", 5 << 20);
    let requests = [
        (post(REPORT, &large, &"x".repeat(5 << 20)), "HTTP/1.1 413", "body_too_large"),
        (
            post("/v1/agents/a%0d%0aSet-Cookie:%20x/report", "Content-Length: 2\r\n", "{}"),
            "HTTP/1.1 400",
            "bad_node_name",
        ),
        (
            post("/v1/agents/%3Cscript%3E/report", "Content-Length: 2\r\n", "{}"),
            "HTTP/1.1 400",
            "bad_node_name",
        ),
        (
            post("/v1/agents/alibuild11/report", "Content-Length: 2\r\n", "{}"),
            "HTTP/1.1 403",
            "not_your_node",
        ),
        (post("/etc/passwd", "Content-Length: 2\r\n", "{}"), "HTTP/1.1 404", "not_found"),
        (post(REPORT, "Content-Length: 2\r\n", "[]"), "HTTP/1.1 400", "bad_json"),
        (post(REPORT, "Content-Length: 3\r\n", "\u{fc}x"), "HTTP/1.1 400", "bad_json"),
        (
            format!(
                "POST {REPORT} HTTP/1.1\r\nHost: mw\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
            ),
            "HTTP/1.1 415",
            "unsupported_media_type",
        ),
        (
            format!("DELETE {REPORT} HTTP/1.1\r\nHost: mw\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 405",
            "method_not_allowed",
        ),
    ];
    let before = counted();
    for _ in 0..3 {
        for (request, status, code) in &requests {
            let answer = door.ask(request);
            assert!(answer.starts_with(status) && answer.contains(code), "{code}: {answer}");
            let head = answer.split("\r\n\r\n").next().unwrap();
            assert!(!head.contains("Set-Cookie"), "{answer}");
        }
    }
    assert_eq!(counted() - before, 3 * requests.len() as u64);
    for status in [413, 400, 404, 415, 405] {
        let told = door.times_told(&format!("refused a request of {TEN} with status {status}"));
        assert_eq!(told, 1, "{status}: {}", door.coordinator.log());
    }
    assert_eq!(door.times_told("refused alibuild10.lab.test as alibuild11"), 1);
    door.is_as_before();
}

#[test]
fn whoever_is_slow_or_breaks_off_is_let_go_and_told() {
    let Some(door) = Door::open() else { return };
    let url = door.coordinator.agents_url();
    // Each takes as long as the coordinator's patience with it, so they wait side by side.
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut silent = TcpStream::connect(address(url)).unwrap();
            silent.set_read_timeout(Some(LIMIT)).unwrap();
            assert_eq!(silent.read(&mut [0; 64]).unwrap(), 0, "a handshake that never begins");
        });
        scope.spawn(|| {
            let mut head = door.visitor();
            head.say(b"POST /v1/agents/alibuild10/report HTTP/1.1\r\nHost: mw\r\nX-Slow: ").unwrap();
            let answer = head.hear();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        });
        scope.spawn(|| {
            let mut body = door.visitor();
            body.say(post(REPORT, "Content-Length: 1000\r\n", "{").as_bytes()).unwrap();
            let answer = body.hear();
            assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too_slow"), "{answer}");
        });
        scope.spawn(|| {
            let mut truncated = door.visitor();
            truncated.say(post(REPORT, "Content-Length: 1000\r\n", "{\"protocol\": 1").as_bytes()).unwrap();
        });
    });
    door.wait_told(&["did not let 127.0.0.1 in", "no handshake within"]);
    door.wait_told(&["closed a connection of alibuild10.lab.test", "head of a request was not complete"]);
    door.wait_told(&["refused a request of alibuild10.lab.test with status 408"]);
    door.is_as_before();
}

#[test]
fn a_storm_of_handshakes_that_never_end_keeps_no_agent_out() {
    let Some(door) = Door::open() else { return };
    let Ok(limit) = fs::read_to_string("/proc/self/limits") else { return };
    let files = limit.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: u64 = files.split_whitespace().nth(3).unwrap().parse().unwrap_or(u64::MAX);
    let storm = if files < 3_000 { 400 } else { 1_200 };
    let connections: Vec<TcpStream> =
        (0..storm).map(|_| TcpStream::connect(address(door.coordinator.agents_url())).unwrap()).collect();
    wait_accepted(&node("alibuild11", &door.pki, ELEVEN, &door.coordinator).start().unwrap());
    drop(connections);
    assert!(get(&format!("{}/healthz", door.coordinator.url())).is_ok());
}
