//! Whether a node's ssh answers: a connection to TCP 22 and a banner, no login. Where it does not, whether ping does.

use super::ping::{Pinged, ping};
use crate::fleet::{Door, Knock};
use futures_util::future::BoxFuture;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

/// A host with more addresses than these is pinged at the first ones.
const MOST_PINGED: usize = 2;

/// What we want from a node from outside, and nothing more.
pub trait ProbeSsh: Send + Sync {
    /// Whether ssh answers behind this door in time. A hanging machine may accept a connection and say nothing, so only
    /// a banner counts. Not known when we could not even try: a name that is not found or that leads to our own
    /// machine, or our own lack of means, says nothing about the node.
    fn knock<'a>(&'a self, door: &'a Door) -> BoxFuture<'a, Knock>;
}

/// The real thing.
#[derive(Debug)]
pub struct Ssh {
    port: u16,
    domain: String,
    timeout: Duration,
    /// That ping is not to be had here is said once.
    has_complained: AtomicBool,
}

impl ProbeSsh for Ssh {
    fn knock<'a>(&'a self, door: &'a Door) -> BoxFuture<'a, Knock> {
        Box::pin(async move {
            let (answered, story) = match self.find(door).await {
                Ok(addresses) => {
                    let (answered, story) = self.try_all(&self.full_name(&door.host), &addresses).await;
                    if answered == Some(false) {
                        let (ping, told) = self.ping(&addresses).await;
                        return Knock { answered, story: format!("{story}; {told}"), ping };
                    }
                    (answered, story)
                }
                Err(why) => (None, format!("not tried: {why}")),
            };
            Knock { answered, story, ping: None }
        })
    }
}

impl Ssh {
    /// `port` is 22 but for tests; `domain` is added to host names that have none, empty for nothing. Looking up the name
    /// may take as long as `timeout`, connection and banner together as long again, and ping once more.
    pub fn new(port: u16, domain: String, timeout: Duration) -> Self {
        Self { port, domain, timeout, has_complained: AtomicBool::new(false) }
    }

    /// Whether one of the addresses answers ping, and what happened. It tells a machine that hangs from one that is off.
    async fn ping(&self, addresses: &[SocketAddr]) -> (Option<bool>, String) {
        let mut answer = (None, "ping was not tried".to_owned());
        for address in addresses.iter().take(MOST_PINGED) {
            match ping(address.ip(), self.timeout).await {
                Pinged::Answers => return (Some(true), "it answers ping".to_owned()),
                Pinged::Silent => answer = (Some(false), "it does not answer ping".to_owned()),
                Pinged::NotTried(why) => {
                    if !self.has_complained.swap(true, Ordering::Relaxed) {
                        log::warn!("silent nodes are not pinged: {why}");
                    }
                }
            }
        }
        answer
    }

    fn full_name(&self, host: &str) -> String {
        let has_domain = host.contains(['.', ':']);
        if has_domain || self.domain.is_empty() { host.to_owned() } else { format!("{host}.{}", self.domain) }
    }

    /// The addresses behind a door that are not ours, or why there are none.
    async fn find(&self, door: &Door) -> Result<Vec<SocketAddr>, String> {
        let host = self.full_name(&door.host);
        let found = match timeout(self.timeout, lookup_host((host.as_str(), self.port))).await {
            Err(_) => return Err(format!("no address of {host} within {}", self.patience())),
            Ok(Err(error)) => return Err(format!("look up {host}: {error}")),
            Ok(Ok(found)) => found,
        };
        let elsewhere: Vec<SocketAddr> =
            found.filter(|address| door.may_be_here || !is_here(*address)).collect();
        if elsewhere.is_empty() {
            return Err(format!(
                "{host} leads to the coordinator's own machine, which cannot vouch for the node"
            ));
        }
        Ok(elsewhere)
    }

    /// Whether one of the addresses answers, and what happened.
    async fn try_all(&self, host: &str, addresses: &[SocketAddr]) -> (Option<bool>, String) {
        let place = format!("{host}:{}", self.port);
        let until = Instant::now() + self.timeout;
        let mut stream = match timeout_at(until, TcpStream::connect(addresses)).await {
            Err(_) => return (Some(false), format!("no connection to {place} within {}", self.patience())),
            Ok(Err(error)) if is_our_own(&error) => return (None, format!("not tried: {place}: {error}")),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return (Some(false), format!("{place} refused the connection"));
            }
            Ok(Err(error)) => return (Some(false), format!("connect to {place}: {error}")),
            Ok(Ok(stream)) => stream,
        };
        match timeout_at(until, banner(&mut stream)).await {
            Ok(Ok(true)) => (Some(true), format!("{place} answers with a banner")),
            Ok(Ok(false)) => (Some(false), format!("{place} accepted the connection and gave no ssh banner")),
            Ok(Err(error)) => (Some(false), format!("{place} accepted the connection, then: {error}")),
            Err(_) => {
                let story =
                    format!("{place} accepted the connection and said nothing in {}", self.patience());
                (Some(false), story)
            }
        }
    }

    fn patience(&self) -> String {
        format!("{} s", self.timeout.as_secs_f32())
    }
}

/// Whether an address is one of this machine's: loopback, or where a datagram to it would leave from. None is sent.
fn is_here(address: SocketAddr) -> bool {
    let ip = address.ip();
    let from = || -> io::Result<IpAddr> {
        let any =
            if ip.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let socket = std::net::UdpSocket::bind((any, 0))?;
        socket.connect(address)?;
        Ok(socket.local_addr()?.ip())
    };
    ip.is_loopback() || ip.is_unspecified() || from().is_ok_and(|from| from == ip)
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
async fn banner(stream: &mut TcpStream) -> io::Result<bool> {
    let mut seen: Vec<u8> = Vec::new();
    let mut buffer = [0; 256];
    while seen.len() < 4096 {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        seen.extend(buffer.iter().take(length).copied());
        if seen.windows(4).any(|word| *word == *b"SSH-") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    fn on(port: u16) -> Ssh {
        Ssh::new(port, String::new(), Duration::from_secs(5))
    }

    fn here() -> Door {
        Door { host: "127.0.0.1".into(), may_be_here: true }
    }

    async fn listening() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    async fn answers(says: &'static [u8]) -> Option<bool> {
        let (listener, port) = listening().await;
        let peer = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            drop(peer.write_all(says).await);
        });
        let knock = on(port).knock(&here()).await;
        peer.await.unwrap();
        assert!(knock.story.starts_with(&format!("127.0.0.1:{port} ")), "{}", knock.story);
        knock.answered
    }

    #[tokio::test]
    async fn only_a_banner_is_an_answer() {
        assert_eq!(answers(b"SSH-2.0-OpenSSH_7.4\r\n").await, Some(true));
        assert_eq!(answers(b"welcome\r\nSSH-2.0-OpenSSH_7.4\r\n").await, Some(true));
        assert_eq!(answers(b"HTTP/1.1 400\r\n").await, Some(false));
        assert_eq!(answers(b"").await, Some(false), "a machine that hangs may still accept");
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer_and_said_as_it_was() {
        let (listener, port) = listening().await;
        drop(listener);
        let knock = on(port).knock(&here()).await;
        assert_eq!(knock.answered, Some(false));
        assert!(
            knock.story.starts_with(&format!("127.0.0.1:{port} refused the connection; ")),
            "{}",
            knock.story
        );
        // This machine lives; where ping is not allowed, nothing is said about it.
        assert_ne!(knock.ping, Some(false), "{}", knock.story);
    }

    #[tokio::test]
    async fn a_machine_that_accepts_and_hangs_is_told_apart_from_one_that_refuses() {
        let (_listener, port) = listening().await;
        let hasty = Ssh::new(port, String::new(), Duration::from_millis(100));
        let knock = hasty.knock(&here()).await;
        assert_eq!(knock.answered, Some(false));
        let story = format!("127.0.0.1:{port} accepted the connection and said nothing in 0.1 s; ");
        assert!(knock.story.starts_with(&story), "{}", knock.story);
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_says_nothing_about_the_node() {
        let knock = on(22).knock(&Door { host: "not a host name".into(), may_be_here: false }).await;
        assert_eq!(knock.answered, None);
        assert!(knock.story.starts_with("not tried: look up not a host name"), "{}", knock.story);
    }

    #[tokio::test]
    async fn the_coordinators_own_machine_does_not_vouch_for_a_node() {
        let (_listener, port) = listening().await;
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0"] {
            let knock = on(port).knock(&Door { host: host.into(), may_be_here: false }).await;
            assert_eq!(knock.answered, None, "{host}");
            assert!(knock.story.contains("the coordinator's own machine"), "{}", knock.story);
        }
    }

    #[test]
    fn a_short_name_gets_the_domain_and_an_address_does_not() {
        let ssh = Ssh::new(22, "cern.ch".into(), Duration::from_secs(5));
        for (given, tried) in [("n01", "n01.cern.ch"), ("n01.cern.ch", "n01.cern.ch"), ("::1", "::1")] {
            assert_eq!(ssh.full_name(given), tried);
        }
    }
}
