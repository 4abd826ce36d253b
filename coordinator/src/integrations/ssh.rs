//! Whether a node's ssh answers: a connection to TCP 22 and a banner, no login.

use futures_util::future::BoxFuture;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// What we want from a node from outside, and nothing more.
pub trait ProbeSsh: Send + Sync {
    /// Whether ssh answers on this host in time. A hanging machine may accept a connection and say nothing, so only a
    /// banner counts. `None` when we could not even try: a name that is not found, or our own lack of means, says
    /// nothing about the node.
    fn answers<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Option<bool>>;
}

/// The real thing.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// 22, but for tests.
    pub port: u16,
    /// Added to host names that have none; empty for nothing.
    pub domain: String,
    /// Looking up the name may take so long, and connection and banner together as long again.
    pub timeout: Duration,
}

impl ProbeSsh for Ssh {
    fn answers<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Option<bool>> {
        Box::pin(async move {
            let host = self.full_name(host);
            let found = timeout(self.timeout, lookup_host((host.as_str(), self.port))).await.ok()?.ok()?;
            let found: Vec<SocketAddr> = found.collect();
            match timeout(self.timeout, banner(&found)).await {
                Ok(Ok(())) => Some(true),
                Ok(Err(error)) if is_our_own(&error) => None,
                Ok(Err(_)) | Err(_) => Some(false),
            }
        })
    }
}

impl Ssh {
    fn full_name(&self, host: &str) -> String {
        let has_domain = host.contains(['.', ':']);
        if has_domain || self.domain.is_empty() { host.to_owned() } else { format!("{host}.{}", self.domain) }
    }
}

/// No file descriptor, no memory, no way out of this machine: nothing that the node could help.
fn is_our_own(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let ours = [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENOMEM,
        Errno::ENETUNREACH,
        Errno::EADDRNOTAVAIL,
    ];
    error.raw_os_error().is_some_and(|number| ours.contains(&Errno::from_raw(number)))
}

/// Servers may say other lines before the banner (RFC 4253, section 4.2); four bytes of it are enough where none do.
async fn banner(addresses: &[SocketAddr]) -> io::Result<()> {
    let mut stream = TcpStream::connect(addresses).await?;
    let mut seen: Vec<u8> = Vec::new();
    let mut buffer = [0; 256];
    while seen.len() < 4096 {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        seen.extend(buffer.iter().take(length).copied());
        if seen.windows(4).any(|word| *word == *b"SSH-") {
            return Ok(());
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    fn on(port: u16) -> Ssh {
        Ssh { port, domain: String::new(), timeout: Duration::from_secs(5) }
    }

    async fn answers(says: &'static [u8]) -> Option<bool> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            drop(peer.write_all(says).await);
        });
        let answered = on(port).answers("127.0.0.1").await;
        peer.await.unwrap();
        answered
    }

    #[tokio::test]
    async fn only_a_banner_is_an_answer() {
        assert_eq!(answers(b"SSH-2.0-OpenSSH_7.4\r\n").await, Some(true));
        assert_eq!(answers(b"welcome\r\nSSH-2.0-OpenSSH_7.4\r\n").await, Some(true));
        assert_eq!(answers(b"HTTP/1.1 400\r\n").await, Some(false));
        assert_eq!(answers(b"").await, Some(false), "a machine that hangs may still accept");
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(on(port).answers("127.0.0.1").await, Some(false));
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_says_nothing_about_the_node() {
        assert_eq!(on(22).answers("not a host name").await, None);
    }

    #[test]
    fn a_short_name_gets_the_domain_and_an_address_does_not() {
        let ssh = Ssh { domain: "cern.ch".into(), ..on(22) };
        for (given, tried) in [("n01", "n01.cern.ch"), ("n01.cern.ch", "n01.cern.ch"), ("::1", "::1")] {
            assert_eq!(ssh.full_name(given), tried);
        }
    }
}
