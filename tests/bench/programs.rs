//! Programs the bench starts: where they are, on which ports they listen, on which processor they run.

use anyhow::{Context, Result, bail};
use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
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

/// A port nobody listens on just now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
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
