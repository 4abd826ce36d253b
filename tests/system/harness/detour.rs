//! What stands between a program and a system and holds up what passes: a download that stays halfway, a Docker
//! that answers every question but one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::docker::DockerDaemon;
use super::scratch::Scratch;

/// A way to a TCP port of this machine that lets only so many bytes back, until it is opened.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    state: Arc<GateState>,
}

#[derive(Debug)]
struct GateState {
    left: AtomicU64,
    is_open: Mutex<bool>,
    opened: Condvar,
    is_over: AtomicBool,
}

impl Gate {
    /// Stands in front of `port` and lets `bytes` back through.
    pub fn before(port: u16, bytes: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen before a port")?;
        let gate = Self {
            port: listener.local_addr()?.port(),
            state: Arc::new(GateState {
                left: AtomicU64::new(bytes),
                is_open: Mutex::new(false),
                opened: Condvar::new(),
                is_over: AtomicBool::new(false),
            }),
        };
        let state = gate.state.clone();
        thread::spawn(move || {
            for inside in listener.incoming() {
                if state.is_over.load(Ordering::SeqCst) {
                    return;
                }
                if let (Ok(inside), Ok(outside)) = (inside, TcpStream::connect((Ipv4Addr::LOCALHOST, port))) {
                    state.connect(inside, outside);
                }
            }
        });
        Ok(gate)
    }

    /// The port to use instead.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        *self.state.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.state.opened.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
        self.state.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl GateState {
    fn connect(self: &Arc<Self>, inside: TcpStream, outside: TcpStream) {
        let (Ok(inside_too), Ok(outside_too)) = (inside.try_clone(), outside.try_clone()) else { return };
        thread::spawn(move || pass(inside_too, outside_too, |_| {}));
        let state = self.clone();
        thread::spawn(move || pass(outside, inside, |count| state.wait_for(count)));
    }

    fn wait_for(&self, count: u64) {
        let spent =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(count));
        if spent.is_err() {
            let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.opened.wait_while(is_open, |is_open| !*is_open));
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, wait: impl Fn(u64)) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        wait(count as u64);
        let Some(read) = piece.get(..count) else { break };
        if to.write_all(read).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// A socket that passes requests on to a real Docker, but for those of one path, which it never answers.
#[derive(Debug)]
pub struct DeafSocket {
    path: PathBuf,
    is_deaf: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    _scratch: Scratch,
}

impl DeafSocket {
    /// Stands before `docker` and, once told to, keeps requests for paths that contain `question`.
    pub fn before(docker: &DockerDaemon, question: &'static str) -> Result<Self> {
        let scratch = Scratch::new("detour")?;
        let path = scratch.join("docker.sock");
        let listener = UnixListener::bind(&path).context("listen before Docker")?;
        let (is_deaf, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (deaf, over, docker) = (is_deaf.clone(), is_over.clone(), docker.socket());
        thread::spawn(move || {
            let mut kept = Vec::new();
            for inside in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut inside) = inside else { continue };
                let Ok(head) = read_head(&mut inside) else { continue };
                let asked = head.lines().next().is_some_and(|line| line.contains(question));
                if asked && deaf.load(Ordering::SeqCst) {
                    // Open, and silent: as a hung daemon keeps it.
                    kept.push(inside);
                    continue;
                }
                let docker = docker.clone();
                thread::spawn(move || forward(&head, inside, &docker));
            }
        });
        Ok(Self { path, is_deaf, is_over, _scratch: scratch })
    }

    /// The socket to use instead.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Answers the question no more.
    pub fn turn_deaf(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
    }
}

impl Drop for DeafSocket {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
    }
}

fn read_head(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// One request without a body, one answer, and the connection is over, so that each question comes by here.
fn forward(head: &str, mut inside: UnixStream, docker: &std::path::Path) {
    let once = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let answer = UnixStream::connect(docker).and_then(|mut docker| {
        docker.write_all(once.as_bytes())?;
        std::io::copy(&mut docker, &mut inside)
    });
    drop(answer);
}
