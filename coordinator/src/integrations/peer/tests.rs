//! A peer beside servers that answer, refuse, hang up, point elsewhere and say too much.

use super::*;
use axum::{Router, extract::State, http::Uri, response::IntoResponse};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{io::AsyncReadExt, net::TcpListener};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), largest: 1000 };

fn peer(address: &str) -> Peer {
    drop(rustls::crypto::ring::default_provider().install_default());
    Peer::new("jenkins", address, LIMITS, &Tallies::default()).unwrap()
}

/// A server that answers every request the same way.
async fn answers<T: IntoResponse + Clone + Send + Sync + 'static>(answer: T) -> String {
    let router = Router::new().fallback(|State(answer): State<T>| async { answer }).with_state(answer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/ci", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that takes connections, reads a little and hangs up; how many it has had.
async fn hangs_up() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    (address, count)
}

#[tokio::test]
async fn everything_is_asked_below_the_address_and_nothing_beside_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/ci", listener.local_addr().unwrap());
    let router = Router::new().fallback(|uri: Uri| async move { uri.to_string() });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let peer = peer(&address);
    let answer = peer.ask(Call::get("api/json").query("tree", "a[b]")).await.unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), "/ci/api/json?tree=a%5Bb%5D");
    for beside in ["/api/json", "../x", "http://elsewhere/x", "//elsewhere/x"] {
        let refusal = peer.ask(Call::get(beside)).await.unwrap_err();
        assert!(refusal.had_no_effect() && refusal.to_string().contains("leads away"), "{refusal}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_system_says_wherever_that_stands() {
    for (body, said) in [
        (
            r#"{"itemNotFound":{"code":404,"message":"Instance X could not be found."}}"#,
            "Instance X could not",
        ),
        (r#"{"error":"text"}"#, "404 Not Found: text"),
        ("no such thing\nat all", "404 Not Found: no such thing"),
        ("<html><head></head></html>", "404 Not Found"),
        (
            "<!DOCTYPE html>\n<HTML><head><TITLE>Error 404 gone\nfor good</TITLE></head>",
            "404 Not Found: Error 404 gonefor",
        ),
        ("<html><title>", "404 Not Found"),
        ("", "404 Not Found"),
    ] {
        let address = answers((StatusCode::NOT_FOUND, body)).await;
        let refusal = peer(&address).ask(Call::get("x")).await.unwrap_err();
        assert!(refusal.to_string().contains(said) && !refusal.to_string().contains('<'), "{refusal}");
        assert_eq!(refusal.status(), Some(StatusCode::NOT_FOUND));
        assert!(refusal.had_no_effect());
    }
}

#[tokio::test]
async fn what_reads_is_asked_once_more_and_what_changes_something_is_sent_once() {
    let (address, count) = hangs_up().await;
    let peer = peer(&address);
    assert!(peer.ask(Call::get("x")).await.is_err());
    assert_eq!(count.load(Ordering::Relaxed), 2);
    let failure = peer.ask(Call::post("x")).await.unwrap_err();
    assert_eq!(count.load(Ordering::Relaxed), 3);
    assert!(!failure.had_no_effect(), "nobody knows what became of it: {failure}");
}

#[tokio::test]
async fn what_was_never_sent_or_was_refused_had_no_effect_and_what_failed_inside_may_have() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refusal = peer(&format!("http://{gone}")).ask(Call::post("x")).await.unwrap_err();
    assert!(refusal.had_no_effect(), "{refusal}");
    let broken = answers(StatusCode::INTERNAL_SERVER_ERROR).await;
    assert!(!peer(&broken).ask(Call::post("x")).await.unwrap_err().had_no_effect());
    let busy = answers(StatusCode::CONFLICT).await;
    assert!(peer(&busy).ask(Call::post("x")).await.unwrap_err().had_no_effect());
}

#[tokio::test]
async fn a_redirection_is_told_and_not_followed() {
    let address = answers((StatusCode::FOUND, [(LOCATION, "http://elsewhere/login")])).await;
    let refusal = peer(&address).ask(Call::get("x")).await.unwrap_err().to_string();
    assert!(refusal.contains("it points at http://elsewhere/login"), "{refusal}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let address = answers("x".repeat(1001)).await;
    let refusal = peer(&address).ask(Call::get("x")).await.unwrap_err().to_string();
    assert!(refusal.contains("larger than 1000 bytes"), "{refusal}");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_place() {
    #[derive(Debug, serde::Deserialize)]
    struct Wanted {
        #[expect(dead_code, reason = "only its place matters")]
        computer: Vec<u32>,
    }
    let address = answers(json!({ "computer": [1, "two"] }).to_string()).await;
    let answer = peer(&address).ask(Call::get("x")).await.unwrap();
    let refusal = answer.json::<Wanted>().unwrap_err().to_string();
    assert!(refusal.contains("at computer[1]"), "{refusal}");
}

#[tokio::test]
async fn a_system_that_keeps_failing_gets_a_rest_and_its_tally_tells() {
    let tallies = Tallies::default();
    drop(rustls::crypto::ring::default_provider().install_default());
    let broken = answers(StatusCode::BAD_GATEWAY).await;
    let peer = Peer::new("jenkins", &broken, LIMITS, &tallies).unwrap();
    for _ in 0..breaker::ENOUGH {
        assert!(matches!(peer.ask(Call::get("x")).await, Err(PeerError::Refused { .. })));
    }
    let rest = peer.ask(Call::post("x")).await.unwrap_err();
    assert!(rest.had_no_effect() && rest.to_string().contains("asked again in"), "{rest}");
    assert!(rest.to_string().contains("the last time: it answers 502"), "what was found: {rest}");
    let results = tallies.of("jenkins").results();
    assert_eq!(results.map(|(_, count)| count), [0, 0, 5, 0, 1]);
}

#[test]
fn an_address_that_is_none_is_refused_with_the_accepted_form() {
    for bad in ["jenkins", "ftp://jenkins", "", "http://"] {
        let refusal = Peer::new("jenkins", bad, LIMITS, &Tallies::default()).err().unwrap();
        assert!(refusal.to_string().contains("write one that begins with"), "{refusal}");
    }
}
