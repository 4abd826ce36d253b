//! A small HTTP server that keeps what it is sent: the coordinator of a story that is about the agent alone, and
//! the chat of one about notices.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::wait::wait_for;

/// Whoever has connected sends, or is left alone, within this.
const PATIENCE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(120);

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Path and query.
    pub path: String,
    /// The JSON body.
    pub body: Value,
}

/// A running server on loopback.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Vec<Received>>,
    orders: Mutex<Vec<Value>>,
    status: AtomicU16,
    is_over: AtomicBool,
}

impl Receiver {
    /// Listens on a free port and takes everything in.
    pub fn start() -> Result<Self> {
        Self::start_on(0)
    }

    /// Listens on this port.
    pub fn start_on(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("listen for requests")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            orders: Mutex::default(),
            status: AtomicU16::new(200),
            is_over: AtomicBool::new(false),
        });
        let servant = shared.clone();
        let thread = thread::spawn(move || servant.serve(&listener));
        Ok(Self { port, shared, thread: Some(thread) })
    }

    /// Where it is, without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on requests are kept and answered with this status.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// From now on an agent that asks for orders gets these. Its questions are not kept.
    pub fn order(&self, orders: &[Value]) {
        *self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner) = orders.to_vec();
    }

    /// Everything so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a request as wanted and returns what `look` takes out of it.
    pub fn wait_for<T>(&self, what: &str, look: impl Fn(&Received) -> Option<T>) -> Result<T> {
        wait_for(what, LIMIT, || Ok(self.received().iter().rev().find_map(&look)))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // The listener waits for a connection, so it gets one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            // One at a time is plenty, and a sender that breaks off is its own business.
            let _ = stream.context("accept").and_then(|stream| self.answer(stream));
        }
    }

    fn answer(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let (path, body) = read_request(&mut stream)?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let is_question = path.contains("/orders?");
        if !is_question {
            self.received.lock().unwrap_or_else(PoisonError::into_inner).push(Received { path, body });
        }
        let status = self.status.load(Ordering::SeqCst);
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = match status {
            200 if is_question => json!({"orders": orders, "at": Timestamp::now()}),
            200 => json!({"protocol": 1, "received_at": Timestamp::now(), "listed": true}),
            _ => json!({"code": "not_now", "message": "told to refuse", "request_id": "1"}),
        }
        .to_string();
        write!(
            stream,
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )?;
        Ok(())
    }
}

/// Path and body of a request whose length is told in its head.
fn read_request(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 << 10 || stream.read(&mut byte)? == 0 {
            bail!("read a request: its head does not end");
        }
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).context("read a request: it has no path")?.to_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok((path, body))
}
