//! Listening: one accept loop per address, a cap on connections, time limits on both directions, an orderly end.
//!
//! axum's own server has no cap, no read or write limits and waits for open event streams for ever, so the loop is ours.

mod patient;
mod refusals;
pub mod tls;

pub use refusals::Refusals;

use crate::shutdown::Shutdown;
use axum::{Router, extract::Request};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, rt::TokioTimer, service::TowerToHyperService};
use patient::Patient;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

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

/// A request's head must be complete after this; also how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(30);
/// Somebody who has not said who they are after this is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
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
                (stream, Peer::Loopback(from))
            },
            &router,
        )
        .await;
    });
}

/// Serves a TCP address with TLS until shutdown. Whoever is not let in is told to `refused`, with the reason.
pub fn over_tls(
    listener: TcpListener,
    (identity, door): (Arc<tls::Identity>, tls::Door),
    router: Router,
    cap: usize,
    shutdown: &Shutdown,
    refused: impl Fn(IpAddr, &str) + Clone + Send + 'static,
) {
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        let slots = Arc::new(Semaphore::new(cap));
        while let Some((slot, stream, from)) = next(&stop, &slots, || listener.accept()).await {
            let _ = stream.set_nodelay(true);
            let (identity, router) = (Arc::clone(&identity), router.clone());
            let (refused, until) = (refused.clone(), stop.clone());
            stop.spawn(async move {
                // Asked for first, so that no change is missed while hands are shaken.
                let mut changes = identity.changes();
                let end = async {
                    tokio::select! {
                        () = until.asked() => {}
                        // Who was let in by files that are no longer in force comes in anew, or does not.
                        _ = changes.changed() => {}
                    }
                };
                match greet(stream, from, &identity, door).await {
                    Ok((stream, peer)) => converse(stream, peer, router, end).await,
                    Err(why) => refused(from.ip(), &why),
                }
                drop(slot);
            });
        }
    });
}

/// The handshake: who is there, or why they may not come in.
async fn greet(
    stream: TcpStream,
    from: SocketAddr,
    identity: &tls::Identity,
    door: tls::Door,
) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Peer), String> {
    let handshake = tokio::time::timeout(HANDSHAKE, identity.acceptor(door).accept(stream)).await;
    let stream = handshake
        .map_err(|_| format!("no handshake within {HANDSHAKE:?}"))?
        .map_err(|error| error.to_string())?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = match (certificates.first(), door) {
        (Some(certificate), _) => certificate,
        (None, tls::Door::Operators) => return Ok((stream, Peer::Remote(from))),
        (None, tls::Door::Agents) => return Err("no certificate".to_owned()),
    };
    let certname = tls::certname(certificate).map_err(|why| format!("the certificate {why}"))?;
    Ok((stream, Peer::Host { certname: certname.into() }))
}

/// Serves a Unix socket until shutdown.
pub fn unix(listener: UnixListener, router: Router, cap: usize, shutdown: &Shutdown) {
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        let slots = Arc::new(Semaphore::new(cap));
        accept(
            &stop,
            &slots,
            || listener.accept(),
            |stream: UnixStream, _| {
                // Whoever the kernel does not vouch for is nobody in particular.
                let uid = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
                (stream, Peer::Unix { uid })
            },
            &router,
        )
        .await;
    });
}

async fn accept<S, A, F>(
    stop: &Shutdown,
    slots: &Arc<Semaphore>,
    listen: impl Fn() -> F,
    meet: impl Fn(S, A) -> (S, Peer),
    router: &Router,
) where
    F: Future<Output = io::Result<(S, A)>>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while let Some((slot, stream, address)) = next(stop, slots, &listen).await {
        let (stream, peer) = meet(stream, address);
        let end = stop.token().cancelled_owned();
        let connection = converse(stream, peer, router.clone(), end);
        stop.spawn(async move {
            connection.await;
            drop(slot);
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

/// One connection, from its first request to its last.
async fn converse<S>(stream: S, peer: Peer, router: Router, end: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower_service(router, peer.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = end => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("connection from {peer:?} ended early: {error}");
    }
}

/// The router with the peer added to each request.
fn tower_service(
    router: Router,
    peer: Peer,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> {
    let service = TowerToHyperService::new(router);
    hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        hyper::service::Service::call(&service, request)
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
