//! Mutual TLS for agents: who they are is what their certificate says, and nothing else.
//!
//! Puppet's authority has given every host a certificate, and revokes it when the host goes. X3: without a list of what
//! is revoked nothing starts, because without one rustls lets revoked certificates in.

use crate::config::Tls;
use jiff::Timestamp;
use millwright_protocol::NodeName;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// No file of ours is larger; a revocation list of 100,000 certificates is about 4 MB.
const LARGEST: u64 = 16 << 20;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("use {} as {what}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What was found, and what to do.
        why: String,
    },
    /// The files do not go together.
    #[error("put certificate, key, ca and crl of [tls] together: {0}")]
    Together(String),
}

/// What the files make, as they were read last.
#[derive(Debug)]
struct Loaded {
    print: Print,
    server: Arc<ServerConfig>,
    /// When the first of the revocation lists should have been replaced.
    crl_until: Option<Timestamp>,
    certificate_until: Option<Timestamp>,
}

/// Which content the files have, without reading them: inode, time and length of each, or why it cannot be told.
type Print = [Result<(u64, i64, i64, u64), io::ErrorKind>; 4];

/// Makes handshakes with the files of `[tls]`, whatever they are now.
#[derive(Debug)]
pub struct Identity {
    files: Tls,
    loaded: Mutex<Arc<Loaded>>,
    changes: watch::Sender<()>,
}

/// How long the files are good, for those who have to renew them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// Our own certificate.
    pub certificate: Option<Timestamp>,
    /// The revocation list.
    pub crl: Option<Timestamp>,
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// One is missing, unreadable, or does not hold what it should; the key can be read by everybody.
    pub fn load(files: &Tls) -> Result<Self, TlsError> {
        let loaded = load(files)?;
        Ok(Self {
            files: files.clone(),
            loaded: Mutex::new(Arc::new(loaded)),
            changes: watch::Sender::default(),
        })
    }

    /// Takes over what was renewed on disk; returns whether something was. On an error the old files stay in force.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        if print_of(&self.files) == self.now().print {
            return Ok(false);
        }
        let loaded = load(&self.files)?;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        self.changes.send_replace(());
        Ok(true)
    }

    /// Is told when the files change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// For the next handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.now().server))
    }

    /// How long the files are good.
    pub fn until(&self) -> Until {
        let loaded = self.now();
        Until { certificate: loaded.certificate_until, crl: loaded.crl_until }
    }

    fn now(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The name in a certificate that the handshake has accepted.
///
/// # Errors
/// It names nobody.
pub fn certname(certificate: &CertificateDer<'_>) -> Result<String, String> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|error| format!("cannot be read: {error}"))?;
    let mut names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    match (names.next(), names.next()) {
        (Some(name), None) if !name.is_empty() => Ok(name.to_owned()),
        (None, _) => Err("names no host".to_owned()),
        (Some(_), None) => Err("names a host without a name".to_owned()),
        (Some(_), Some(_)) => Err("names several hosts".to_owned()),
    }
}

/// The node a certificate speaks for. (X2)
///
/// # Errors
/// It is a host of another domain, or none whose name can be a node's.
pub fn node_of(certname: &str, domains: &[String]) -> Result<NodeName, String> {
    let domain = crate::config::domain_of(certname).unwrap_or_default();
    if !domains.contains(&domain) {
        return Err(format!(
            "the certificate is that of {certname}, and tls.domains of coordinator.toml lets in {}",
            domains.join(", ")
        ));
    }
    certname.parse().map_err(|error| format!("the certificate is that of {certname}: {error}"))
}

fn print_of(files: &Tls) -> Print {
    [&files.certificate, &files.key, &files.ca, &files.crl].map(|path| {
        let file = fs::metadata(path).map_err(|error| error.kind())?;
        Ok((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
    })
}

/// The bytes of a file that is not too large.
fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    let bytes = fs::metadata(path).and_then(|file| match file.len() {
        0..=LARGEST => fs::read(path),
        _ => Err(io::Error::other("larger than 16 MiB")),
    });
    bytes.map_err(|error| wrong(path, what, error.to_string()))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "our key";
    let mode = fs::metadata(path).map_err(|error| wrong(path, what, error.to_string()))?.permissions().mode();
    if mode & 0o007 != 0 {
        let found = format!("everybody on this host can read it (mode {:o})", mode & 0o777);
        return Err(wrong(path, what, format!("{found}; take that away with `chmod o= {}`", path.display())));
    }
    PrivateKeyDer::from_pem_slice(&read(path, what)?)
        .map_err(|error| wrong(path, what, format!("no private key in PEM: {error}")))
}

fn wrong(path: &Path, what: &'static str, why: impl Into<String>) -> TlsError {
    TlsError::File { path: path.to_owned(), what, why: why.into() }
}

fn load(files: &Tls) -> Result<Loaded, TlsError> {
    // Before they are read: what is replaced meanwhile differs at the next look.
    let print = print_of(files);
    let chain = certificates(&files.certificate, "our certificate")?;
    let certificate_until = chain.first().and_then(expiry);
    let key = read_key(&files.key)?;
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca, "the authorities' certificates")? {
        roots
            .add(authority)
            .map_err(|error| wrong(&files.ca, "the authorities' certificates", error.to_string()))?;
    }
    let revoked = "the list of what is revoked";
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&read(&files.crl, revoked)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&files.crl, revoked, error.to_string()))?;
    if lists.is_empty() {
        return Err(wrong(&files.crl, revoked, "no PEM block X509 CRL in it; fetch it from the authority"));
    }
    let crl_until = lists.iter().filter_map(next_update).min();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let together = |error: &dyn std::fmt::Display| TlsError::Together(error.to_string());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .with_crls(lists)
        .build()
        .map_err(|error| match error {
            error @ VerifierBuilderError::InvalidCrl(_) => wrong(&files.crl, revoked, error.to_string()),
            other => together(&other),
        })?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| together(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| together(&error))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded { print, server: Arc::new(server), crl_until, certificate_until })
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path, what)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(path, what, error.to_string()))?;
    if found.is_empty() { Err(wrong(path, what, "no PEM block CERTIFICATE in it")) } else { Ok(found) }
}

fn expiry(certificate: &CertificateDer<'static>) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn next_update(list: &CertificateRevocationListDer<'static>) -> Option<Timestamp> {
    let (_, list) = CertificateRevocationList::from_der(list.as_ref()).ok()?;
    Timestamp::from_second(list.next_update()?.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_speaks_for_the_node_it_is_and_only_within_our_domains() {
        let domains = ["cern.ch".to_owned()];
        assert_eq!(node_of("ALIBUILD03.cern.ch", &domains).unwrap().as_str(), "alibuild3");
        for stranger in ["alibuild03.evil.org", "alibuild03", "alibuild03.x.cern.ch", "", ".cern.ch"] {
            assert!(node_of(stranger, &domains).is_err(), "{stranger}");
        }
        assert!(node_of("alibuild03.cern.ch", &[]).is_err(), "no domain lets nobody in");
    }
}
