//! Masters for tests: what they answer is written out, byte by byte.

use super::MesosMasters;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(super) fn masters(addresses: &[String]) -> MesosMasters {
    install_tls();
    MesosMasters::new(addresses, Duration::from_secs(5)).unwrap()
}

/// Without a provider of its own the client has no TLS; plain addresses do not miss it.
pub(super) fn install_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

pub(super) fn text(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// 200 with this body.
pub(super) fn ok(body: &str) -> &'static str {
    text(&refusal("200 OK", body))
}

/// This status with this body.
pub(super) fn refusal(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// 307 with this place.
pub(super) fn points_at(location: &str) -> &'static str {
    text(&format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

/// A master that answers every request with the same bytes; `PORT` in them is its own.
pub(super) async fn master(answer: &'static str) -> String {
    script(Script { answers: VecDeque::new(), then: Some(answer), ..Script::default() }).await.0
}

/// A master that says this, and then nothing for ever, without hanging up.
pub(super) async fn silent_after(said: &'static str) -> String {
    script(Script { then: Some(said), keeps: true, ..Script::default() }).await.0
}

/// What a master says, in order.
#[derive(Default)]
pub(super) struct Script {
    /// One for each request; `None` hangs up without a word, an empty text never answers.
    pub answers: VecDeque<Option<&'static str>>,
    /// What it says afterwards; `None` hangs up.
    pub then: Option<&'static str>,
    /// Whether it keeps connections open.
    pub keeps: bool,
}

/// A master that follows a script; its address, and the heads and bodies of what it was asked.
pub(super) async fn script(script: Script) -> (String, Arc<Mutex<Vec<String>>>) {
    serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
}

/// Two masters that first say this, and from then on point at each other.
pub(super) async fn pointing_at_each_other(
    first: [Option<&'static str>; 2],
) -> [(String, Arc<Mutex<Vec<String>>>); 2] {
    let listeners =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let other =
        [1, 0].map(|other: usize| points_at(&format!("//{}", listeners[other].local_addr().unwrap())));
    let [one, two] = listeners;
    [(one, first[0], other[0]), (two, first[1], other[1])].map(|(listener, first, other)| {
        let answers = first.map(Some).into_iter().collect();
        serve(listener, Script { answers, then: Some(other), ..Script::default() })
    })
}

fn serve(listener: TcpListener, mut script: Script) -> (String, Arc<Mutex<Vec<String>>>) {
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut peer, _)) = listener.accept().await {
            let Some(request) = read_request(&mut peer).await else { continue };
            heard.lock().unwrap().push(request);
            let answer = script.answers.pop_front().unwrap_or(script.then);
            let answer = answer.map(|answer| answer.replace("PORT", &port.to_string()));
            if let Some(answer) = &answer {
                drop(peer.write_all(answer.as_bytes()).await);
            }
            if script.keeps || answer.is_some_and(|answer| answer.is_empty()) {
                kept.push(peer);
            }
        }
    });
    (format!("http://127.0.0.1:{port}"), asked)
}

async fn read_request(peer: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = peer.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        request.extend(&piece[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").and_then(|length| length.trim().parse::<usize>().ok())
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}
