//! Programs the bench starts: where they are, on which ports they listen, on which processor they run.

use anyhow::{Context, Result, bail};
use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

/// This program itself.
pub fn bench() -> Result<PathBuf> {
    env::current_exe().context("find this program")
}

/// One of our programs, built in the same profile: `target/release/NAME` beside `target/release/examples/bench`.
pub fn ours(name: &str) -> Result<PathBuf> {
    let bench = bench()?;
    let file = bench.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join(name);
    if !file.is_file() {
        bail!("find {}: not there; tests/bench/run.sh builds it", file.display());
    }
    Ok(file)
}

/// A program of this machine, also in the folders that a user's `PATH` leaves out.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A port nobody listens on just now, never given out twice. Below 32,768: zabbix_agent2 takes no higher one, and
/// outgoing connections begin there.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() * 37 % 10_000).unwrap_or_default();
    for _ in 0..10_000 {
        let port = 22_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("find a free port: all from 22000 to 32000 are taken")
}

/// Whether somebody listens on the port.
pub fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// `program` on one processor; on a machine with a single one, wherever it likes.
pub fn on_processor(processor: usize, program: &Path) -> Command {
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    match find("taskset").filter(|_| several) {
        Some(taskset) => {
            let mut command = Command::new(taskset);
            command.arg("-c").arg(processor.to_string()).arg(program);
            command
        }
        None => Command::new(program),
    }
}
