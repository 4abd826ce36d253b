//! Event streams: what was missed, what comes, and how they end.

use super::rig::Rig;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A reader of one stream.
struct Reader {
    stream: TcpStream,
    text: String,
}

impl Reader {
    async fn open(to: SocketAddr, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let last = last.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let request =
            format!("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, text: String::new() }
    }

    /// Reads until `part` has come; `false` when the stream ends first, or when nothing else could make a test that has
    /// failed already end.
    async fn until(&mut self, part: &str) -> bool {
        tokio::time::timeout(Duration::from_secs(20), self.read_until(part)).await.unwrap_or(false)
    }

    async fn read_until(&mut self, part: &str) -> bool {
        let mut buffer = [0; 4096];
        let mut searched = 0;
        while !self.text[searched..].contains(part) {
            searched = self.text.floor_char_boundary(self.text.len().saturating_sub(part.len()));
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.text.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        }
        true
    }

    /// The id of the last complete event.
    fn last_id(&self) -> &str {
        self.text.rsplit("id: ").next().unwrap().lines().next().unwrap()
    }
}

#[tokio::test]
async fn a_stream_says_hello_and_then_what_changes() {
    let rig = Rig::start().await;
    let mut reader = Reader::open(rig.operators, None).await;
    assert!(reader.until("event: hello").await, "{}", reader.text);
    assert!(reader.text.to_lowercase().contains("content-type: text/event-stream"));
    rig.app.events.tell("verdict", "{\"a\":1}".to_owned());
    assert!(reader.until("data: {\"a\":1}\n").await, "{}", reader.text);
    assert!(reader.text.contains("event: verdict"));
}

#[tokio::test]
async fn a_report_that_changes_a_node_is_an_event() {
    let rig = Rig::start().await;
    let mut reader = Reader::open(rig.operators, None).await;
    assert!(reader.until("event: hello").await);
    rig.report("n01", &rig.sample_report("n01")).await;
    assert!(reader.until("event: node").await, "{}", reader.text);
    assert!(reader.until("n01").await, "{}", reader.text);
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    let rig = Rig::start().await;
    let mut reader = Reader::open(rig.operators, None).await;
    rig.app.events.tell("node", "\"first\"".to_owned());
    assert!(reader.until("hello").await);
    rig.app.events.tell("node", "\"second\"".to_owned());
    assert!(reader.until("data: \"second\"\n\n").await);
    let seen = reader.last_id().to_owned();
    drop(reader);
    rig.app.events.tell("node", "\"third\"".to_owned());
    let mut again = Reader::open(rig.operators, Some(&seen)).await;
    assert!(again.until("third").await, "{}", again.text);
    assert!(!again.text.contains("second") && !again.text.contains("reset"), "{}", again.text);
}

#[tokio::test]
async fn a_reader_whose_place_is_lost_is_told_to_begin_anew() {
    let rig = Rig::start().await;
    let mut reader = Reader::open(rig.operators, Some("another-run-5")).await;
    assert!(reader.until("event: reset").await, "{}", reader.text);
}

#[tokio::test]
async fn a_reader_that_lags_is_dropped_and_nobody_waits_for_it() {
    let rig = Rig::start().await;
    let mut slow = Reader::open(rig.operators, None).await;
    assert!(slow.until("hello").await);
    // Far more than fits into any buffer between us and a reader that reads nothing.
    let much = "x".repeat(16 * 1024);
    for _ in 0..4000 {
        rig.app.events.tell("node", much.clone());
        tokio::task::yield_now().await;
    }
    assert!(!slow.until("this never comes").await, "the stream ends");
    assert!(rig.stopped().await, "and holds nothing up");
}

#[tokio::test]
async fn streams_end_when_the_coordinator_stops() {
    let rig = Rig::start().await;
    let mut reader = Reader::open(rig.operators, None).await;
    assert!(reader.until("hello").await);
    let (stopped, more) = tokio::join!(rig.stopped(), reader.until("this never comes"));
    assert!(stopped && !more);
}
