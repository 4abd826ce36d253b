//! Whether a node's ssh answers: a connection to TCP 22 and a banner, no login.

use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// What we want from a node from outside, and nothing more.
pub trait ProbeSsh: Send + Sync {
    /// Whether ssh answers on this host in time. A hanging machine may accept a connection and say nothing,
    /// so only a banner counts.
    fn answers<'a>(&'a self, host: &'a str) -> BoxFuture<'a, bool>;
}

/// The real thing.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// Added to names without a dot, such as `cern.ch`; empty for none.
    pub domain: String,
    /// 22, but for tests.
    pub port: u16,
    /// Connection and banner together take no longer.
    pub timeout: Duration,
}

impl Ssh {
    fn full_name(&self, host: &str) -> String {
        if self.domain.is_empty() || host.contains('.') {
            host.to_owned()
        } else {
            format!("{host}.{}", self.domain)
        }
    }
}

impl ProbeSsh for Ssh {
    fn answers<'a>(&'a self, host: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let host = self.full_name(host);
            timeout(self.timeout, banner(&host, self.port)).await.is_ok_and(|seen| seen.is_ok())
        })
    }
}

/// Servers may say other lines before the banner (RFC 4253, section 4.2); four bytes of it are enough where none do.
async fn banner(host: &str, port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((host, port)).await?;
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
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    fn ssh(port: u16) -> Ssh {
        Ssh { domain: "cern.ch".to_owned(), port, timeout: Duration::from_secs(5) }
    }

    #[test]
    fn the_domain_is_added_to_names_that_have_none() {
        assert_eq!(ssh(22).full_name("alibuild10"), "alibuild10.cern.ch");
        assert_eq!(ssh(22).full_name("alibuild10.example.org"), "alibuild10.example.org");
        assert_eq!(Ssh { domain: String::new(), ..ssh(22) }.full_name("alibuild10"), "alibuild10");
    }

    async fn answers(says: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            drop(peer.write_all(says).await);
        });
        let answered = ssh(port).answers("127.0.0.1").await;
        peer.await.unwrap();
        answered
    }

    #[tokio::test]
    async fn only_a_banner_is_an_answer() {
        assert!(answers(b"SSH-2.0-OpenSSH_7.4\r\n").await);
        assert!(answers(b"welcome\r\nSSH-2.0-OpenSSH_7.4\r\n").await);
        assert!(!answers(b"HTTP/1.1 400\r\n").await);
        assert!(!answers(b"").await, "a machine that hangs may still accept");
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(!ssh(port).answers("127.0.0.1").await);
        assert!(!ssh(port).answers("not a host name").await);
    }
}
