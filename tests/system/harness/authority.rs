//! The web server of Puppet's authority, which hands out the list of what is revoked to whoever shows a certificate of
//! its own, and compares dates as the real one does.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::pki::Pki;

const PATIENCE: Duration = Duration::from_secs(10);

/// A running server on loopback. It answers with the authority's newest list until told otherwise.
#[derive(Debug)]
pub struct Authority {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    list: PathBuf,
    said: Mutex<Said>,
    is_over: AtomicBool,
}

/// How it answers, and what it has answered.
#[derive(Debug, Default)]
struct Said {
    instead: Option<Vec<u8>>,
    statuses: Vec<u16>,
}

impl Authority {
    /// The authority of `pki`, on a host with this certificate.
    pub fn start(pki: &Pki, certname: &str) -> Result<Self> {
        let config = Arc::new(config(&pki.host(certname)?, certname)?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen as the authority")?;
        let port = listener.local_addr()?.port();
        let shared =
            Arc::new(Shared { list: pki.list(), said: Mutex::default(), is_over: AtomicBool::new(false) });
        let servant = shared.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if servant.is_over.load(Ordering::Relaxed) {
                    return;
                }
                // A client that we do not let in is part of the stories.
                let _ = stream.map(|stream| servant.serve(stream, config.clone()));
            }
        });
        Ok(Self { port, shared, thread: Some(thread) })
    }

    /// Where the list is.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/puppet-ca/v1/certificate_revocation_list/ca", self.port)
    }

    /// Answers with this from now on, and not with the list.
    pub fn answer_instead(&self, body: &[u8]) {
        self.shared.said().instead = Some(body.to_vec());
    }

    /// Answers with the list again.
    pub fn answer_truly(&self) {
        self.shared.said().instead = None;
    }

    /// The status of every answer so far.
    pub fn statuses(&self) -> Vec<u16> {
        self.shared.said().statuses.clone()
    }
}

impl Shared {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut tls = StreamOwned::new(ServerConnection::new(config)?, stream);
        let mut since = None;
        let mut reader = BufReader::new(&mut tls);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => since = since.or_else(|| header(line, "if-modified-since")),
            }
        }
        drop(reader);
        let (status, body) = self.answer(since)?;
        self.said().statuses.push(status);
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())?;
        write!(
            tls,
            "HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )?;
        tls.write_all(&body)?;
        tls.conn.send_close_notify();
        Ok(tls.flush()?)
    }

    fn answer(&self, since: Option<Timestamp>) -> Result<(u16, Vec<u8>)> {
        if let Some(body) = &self.said().instead {
            return Ok((200, body.clone()));
        }
        let modified = Timestamp::try_from(fs::metadata(&self.list)?.modified()?)?;
        if since.is_some_and(|since| modified <= since) {
            return Ok((304, Vec::new()));
        }
        Ok((200, fs::read(&self.list)?))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the loop, which then sees that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn header(line: &str, name: &str) -> Option<Timestamp> {
    let (given, value) = line.split_once(':')?;
    let is_it = given.eq_ignore_ascii_case(name);
    is_it.then(|| DateTimeParser::new().parse_timestamp(value.trim()).ok())?
}

fn config(ssl: &Path, certname: &str) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(ssl.join("certs/ca.pem"))? {
        roots.add(authority?)?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let chain: Vec<_> = CertificateDer::pem_file_iter(ssl.join(format!("certs/{certname}.pem")))?
        .collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(ssl.join(format!("private_keys/{certname}.pem")))?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?)
}
