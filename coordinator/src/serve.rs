//! Listening: one accept loop per address, a cap on connections, time limits on both directions, an orderly end.
//!
//! axum's own server has no cap, no read or write limits and waits for open event streams for ever, so the loop is ours.

mod patient;
mod refusals;
mod tally;
pub mod tls;

pub use refusals::Refusals;

use crate::shutdown::Shutdown;
use axum::{Router, extract::Request};
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, rt::TokioTimer, service::TowerToHyperService};
use patient::{Heard, Patient};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tally::Tally;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::LazyConfigAcceptor;

/// Who is at the other end; every request carries it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on this machine, who can be anybody.
    Loopback(SocketAddr),
    /// Somebody on the Unix socket, whom the kernel vouches for.
    Unix {
        /// Their user id.
        uid: u32,
    },
    /// Somebody elsewhere, over TLS, who shows no certificate.
    Remote(SocketAddr),
    /// A host whose certificate we accepted.
    Host {
        /// The name in the certificate.
        certname: Arc<str>,
    },
}

/// The cookie of a browser's session. Its prefix binds it to this host, over TLS or on loopback only (RFC 6265bis, 4.1.3).
pub const COOKIE: &str = "__Host-millwright";

/// How much those who come over the network may take of us. Whoever has not said who they are must not keep out those who have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of those that we have let in.
    pub connections: usize,
    /// Of those, connections of one host or address.
    pub connections_per_host: usize,
    /// Handshakes under way. With more, the next wait in the kernel's queue.
    pub handshakes: usize,
    /// Of those, handshakes with one address. On this machine there is no limit: a proxy brings everybody's.
    pub handshakes_per_address: usize,
}

/// Is told of whom we turn away.
pub trait Doorkeeper: Send + Sync + 'static {
    /// Somebody was not let in.
    fn not_let_in(&self, from: IpAddr, why: &str);
    /// A host that was let in has sent what is no request, or a request without end; its connection is closed.
    fn cut(&self, certname: &str, why: &str);
    /// A request of a host was refused.
    fn refused(&self, certname: &str, status: u16);
}

/// Connections on the Unix socket that only root may have.
const ROOTS: usize = 16;
/// A request's head must be complete after this; also how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(30);
/// Somebody who has not said who they are after this is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Somebody who has not had a turn after this is let go, long before an agent gives up: what is worked out for one who
/// is gone is lost, and thousands who all wait for longer would never come in.
const TURN: Duration = Duration::from_secs(3);
/// A request's head is no longer, in bytes.
const LONGEST_HEAD: usize = 64 << 10;
/// A reader that takes nothing for so long is let go.
const WRITE: Duration = Duration::from_secs(30);
/// After a failed accept (out of file descriptors), wait so long for some to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves a TCP address until shutdown.
pub fn tcp(listener: TcpListener, router: Router, cap: usize, shutdown: &Shutdown) {
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        let slots = Arc::new(Semaphore::new(cap));
        accept(
            &stop,
            &slots,
            || listener.accept(),
            |stream: TcpStream, from| {
                // Answers are small and complete: waiting for more to send only delays them.
                let _ = stream.set_nodelay(true);
                Some((stream, Peer::Loopback(from), ()))
            },
            &router,
        )
        .await;
    });
}

/// Serves a TCP address with TLS until shutdown.
pub fn over_tls(
    listener: TcpListener,
    (identity, door): (Arc<tls::Identity>, tls::Door),
    router: Router,
    limits: Limits,
    shutdown: &Shutdown,
    keeper: Arc<dyn Doorkeeper>,
) {
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        let handshakes = Arc::new(Semaphore::new(limits.handshakes));
        let strangers = Tally::new(limits.handshakes_per_address);
        let turns = Arc::new(Semaphore::new(signing_at_once()));
        let inside = Inside {
            connections: Arc::new(Semaphore::new(limits.connections)),
            guests: Tally::new(limits.connections_per_host),
            door,
            router,
            stop: stop.clone(),
            keeper: Arc::clone(&keeper),
        };
        while let Some((handshake, stream, from)) = next(&stop, &handshakes, || listener.accept()).await {
            let place = match from.ip() {
                here if here.is_loopback() => None,
                there => match strangers.take(there) {
                    None => {
                        keeper.not_let_in(there, "too many handshakes of this address are not finished");
                        continue;
                    }
                    place => place,
                },
            };
            let _ = stream.set_nodelay(true);
            let (identity, inside, keeper) = (Arc::clone(&identity), inside.clone(), Arc::clone(&keeper));
            let turns = Arc::clone(&turns);
            stop.spawn(async move {
                // Asked for first, so that no change is missed while hands are shaken.
                let changes = identity.changes();
                let met = greet(stream, from, (&identity, door), &turns).await;
                drop((handshake, place));
                let welcomed = match met {
                    Ok((stream, guest)) => inside.welcome(stream, guest, changes).await,
                    Err(why) => Err(why),
                };
                if let Err(why) = welcomed {
                    keeper.not_let_in(from.ip(), &why);
                }
            });
        }
    });
}

/// Somebody who has been let in.
struct Guest {
    peer: Peer,
    /// So long the certificate is good that they have shown.
    remaining: Duration,
}

/// What is behind a door.
#[derive(Clone)]
struct Inside {
    connections: Arc<Semaphore>,
    guests: Arc<Tally<String>>,
    door: tls::Door,
    router: Router,
    stop: Shutdown,
    keeper: Arc<dyn Doorkeeper>,
}

impl Inside {
    /// Talks with a guest until they go, we stop, or what let it in no longer holds.
    async fn welcome(
        self,
        stream: tokio_rustls::server::TlsStream<TcpStream>,
        guest: Guest,
        mut changes: tokio::sync::watch::Receiver<()>,
    ) -> Result<(), String> {
        let Guest { peer, remaining } = guest;
        let whose = address(Some(&peer));
        let _slot = self.connections.try_acquire().map_err(|_| "all connections are taken")?;
        let place = self.guests.take(whose.clone());
        let _place = place.ok_or_else(|| format!("{whose} has too many connections"))?;
        let end = async {
            tokio::select! {
                () = self.stop.asked() => {}
                // Who was let in by files that are no longer in force comes in anew, or does not.
                _ = changes.changed() => {}
                () = tokio::time::sleep(remaining) => {}
            }
        };
        // People mistype, and are answered; what agents ask for is always the same.
        let keeper = (self.door == tls::Door::Agents).then(|| Arc::clone(&self.keeper));
        let (told, from) = (keeper.clone(), whose.clone());
        let answered = move |status: u16| match &told {
            // Whoever speaks for another is told of where that is found out.
            Some(keeper) if (400..500).contains(&status) && status != 403 => keeper.refused(&from, status),
            _ => {}
        };
        let why = converse(stream, peer, self.router.clone(), answered, end).await;
        if let (Some(why), Some(keeper)) = (why, keeper) {
            keeper.cut(&whose, &why);
        }
        Ok(())
    }
}

/// How many signatures are made at once. With RSA that is the dear part of a handshake, milliseconds of a processor, and
/// people and those who are in need some of it as well.
fn signing_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// The handshake: who is there, or why they may not come in.
async fn greet(
    stream: TcpStream,
    from: SocketAddr,
    (identity, door): (&tls::Identity, tls::Door),
    turns: &Semaphore,
) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Guest), String> {
    let handshake = tokio::time::timeout(HANDSHAKE, shake_hands(stream, identity.config(door), turns)).await;
    let stream = handshake.map_err(|_| format!("no handshake within {HANDSHAKE:?}"))??;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = match (certificates.first(), door) {
        (Some(certificate), _) => certificate,
        (None, tls::Door::Operators) => {
            return Ok((stream, Guest { peer: Peer::Remote(from), remaining: Duration::MAX }));
        }
        (None, tls::Door::Agents) => return Err("no certificate".to_owned()),
    };
    let certname = tls::certname(certificate).map_err(|why| format!("the certificate {why}"))?;
    let remaining = tls::remaining(certificate, SystemTime::now());
    Ok((stream, Guest { peer: Peer::Host { certname: certname.into() }, remaining }))
}

/// What both sides say. Ours is signed when it is our turn, on a thread of its own, and for nobody who has gone meanwhile.
async fn shake_hands(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    turns: &Semaphore,
) -> Result<tokio_rustls::server::TlsStream<TcpStream>, String> {
    let told = |error: io::Error| tls::told(&error);
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.map_err(told)?;
    let turn = tokio::time::timeout(TURN, turns.acquire()).await;
    let turn = turn.map_err(|_| {
        format!("too many come at once: no turn within {TURN:?}; agents try again by themselves")
    })?;
    if matches!(hello.io.peek(&mut [0]).now_or_never(), Some(Ok(0) | Err(_))) {
        return Err("gone before its turn came".to_owned());
    }
    let answer = tokio::task::spawn_blocking(move || hello.into_stream(config)).await;
    drop(turn);
    answer.map_err(|error| error.to_string())?.await.map_err(told)
}

/// Serves a Unix socket until shutdown.
pub fn unix(listener: UnixListener, router: Router, cap: usize, shutdown: &Shutdown) {
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        let slots = Arc::new(Semaphore::new(cap));
        // Root gets in also when everybody else on this host is there.
        let others = Tally::new(cap.saturating_sub(ROOTS));
        accept(
            &stop,
            &slots,
            || listener.accept(),
            |stream: UnixStream, _| {
                // Whoever the kernel does not vouch for is nobody in particular.
                let uid = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
                let place = if uid == 0 { None } else { Some(others.take(())?) };
                Some((stream, Peer::Unix { uid }, place))
            },
            &router,
        )
        .await;
    });
}

/// Talks with everybody whom `meet` lets in, each of whom may hold something until they go.
async fn accept<S, A, P, F>(
    stop: &Shutdown,
    slots: &Arc<Semaphore>,
    listen: impl Fn() -> F,
    meet: impl Fn(S, A) -> Option<(S, Peer, P)>,
    router: &Router,
) where
    F: Future<Output = io::Result<(S, A)>>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Send + 'static,
{
    while let Some((slot, stream, address)) = next(stop, slots, &listen).await {
        let Some((stream, peer, place)) = meet(stream, address) else { continue };
        let end = stop.token().cancelled_owned();
        let connection = converse(stream, peer, router.clone(), |_| {}, end);
        stop.spawn(async move {
            connection.await;
            drop((slot, place));
        });
    }
}

/// The next connection and its slot, none at shutdown.
async fn next<S, A, F>(
    stop: &Shutdown,
    slots: &Arc<Semaphore>,
    listen: impl Fn() -> F,
) -> Option<(OwnedSemaphorePermit, S, A)>
where
    F: Future<Output = io::Result<(S, A)>>,
{
    loop {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        let accepted = tokio::select! {
            () = stop.asked() => return None,
            accepted = listen() => accepted,
        };
        match accepted {
            Ok((stream, address)) => return Some((slot, stream, address)),
            Err(error) => {
                log::warn!("accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, from its first request to its last. `answered` hears of the status of every answer. Tells why it was cut
/// off, when what came in was no request or had no end.
async fn converse<S>(
    stream: S,
    peer: Peer,
    router: Router,
    answered: impl Fn(u16) + Send + Sync,
    end: impl Future<Output = ()>,
) -> Option<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let heard = Heard::default();
    let service = tower_service(router, peer.clone(), answered);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE, heard.clone())), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = end => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let error = ended.err()?;
    log::debug!("connection from {peer:?} ended early: {error}");
    if error.is_parse() {
        return Some(format!("what it sends is no request: {error}"));
    }
    // An idle connection ends the same way, and that is nothing to tell of.
    (error.is_timeout() && heard.is_unanswered())
        .then(|| format!("the head of a request was not complete within {HEAD:?}"))
}

/// The router with the peer added to each request.
fn tower_service(
    router: Router,
    peer: Peer,
    answered: impl Fn(u16) + Send + Sync,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> {
    let service = TowerToHyperService::new(router);
    let answered = Arc::new(answered);
    hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let answer = hyper::service::Service::call(&service, request);
        let answered = Arc::clone(&answered);
        async move {
            let answer = answer.await?;
            answered(answer.status().as_u16());
            Ok(answer)
        }
    })
}

/// Binds the Unix socket. One that a dead coordinator left behind is replaced; one that answers is not.
///
/// # Errors
/// When another coordinator listens there, or the place cannot be written.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another coordinator answers there; stop it first, or choose another listen.socket",
        ));
    }
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let listener = UnixListener::bind(path)?;
    // Anybody may look, as on loopback; who may write is decided by the peer's user id.
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    Ok(listener)
}

/// The peer of a request; requests that came through no listener of ours have none.
pub fn peer_of(request: &Request) -> Option<Peer> {
    request.extensions().get().cloned()
}

/// Where a request comes from, for the audit and for counting.
pub fn address(peer: Option<&Peer>) -> String {
    match peer {
        Some(Peer::Loopback(address) | Peer::Remote(address)) => address.ip().to_string(),
        Some(Peer::Unix { uid }) => format!("user {uid} on the socket"),
        Some(Peer::Host { certname }) => certname.to_string(),
        None => "nowhere".to_owned(),
    }
}
