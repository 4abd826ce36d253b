//! Mutual TLS for agents: who they are is what their certificate says, and nothing else.
//!
//! Puppet's authority has given every host a certificate, and revokes it when the host goes. X3: without a list of what
//! is revoked nothing starts, because without one rustls lets revoked certificates in.

mod material;
mod pinned;
pub mod revoked;

use crate::config::Tls;
use jiff::Timestamp;
pub use material::LARGEST;
use material::{Material, Print, REVOKED, print_of, wrong};
use millwright_protocol::NodeName;
use pinned::Pinned;
use rustls::{
    CertificateError, ClientConfig, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::CertificateDer,
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
};
use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

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
    material: Material,
    agents: Arc<ServerConfig>,
    operators: Arc<ServerConfig>,
}

/// Who comes in where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Hosts only, with a certificate of our authorities.
    Agents,
    /// Everybody, who then says who they are; a host with a certificate has said so.
    Operators,
}

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
    pub fn config(&self, door: Door) -> Arc<ServerConfig> {
        let loaded = self.now();
        Arc::clone(match door {
            Door::Agents => &loaded.agents,
            Door::Operators => &loaded.operators,
        })
    }

    /// How long the files are good.
    pub fn until(&self) -> Until {
        let material = &self.now().material;
        Until { certificate: material.certificate_until(), crl: material.crl_until() }
    }

    /// For a request to the authority called `certname`: it must prove that, and we show who we are.
    ///
    /// # Errors
    /// The files do not go together.
    pub fn client(&self, certname: &str) -> Result<ClientConfig, TlsError> {
        let loaded = self.now();
        let (material, provider) = (&loaded.material, provider());
        let lists = material.lists.iter().map(revoked::RevocationList::der);
        let roots = Arc::new(material.roots(&self.files)?);
        let chain_of_trust = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .with_crls(lists)
            .build()
            .map_err(|error| together(&error))?;
        let verifier = Pinned { chain_of_trust, certname: certname.to_ascii_lowercase() };
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| together(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(material.chain.clone(), material.key.clone_key())
            .map_err(|error| together(&error))
    }

    /// Takes over lists that came over the network, and keeps them for the next start. Returns whether they say anything
    /// new; on an error the old ones stay in force.
    ///
    /// # Errors
    /// They are not of our authorities, or older than those in force, or cannot be kept.
    pub fn take(&self, pem: &[u8]) -> Result<bool, String> {
        let held = self.now();
        let material = &held.material;
        let lists =
            revoked::read_signed(pem, &material.authorities, &provider().signature_verification_algorithms)?;
        revoked::none_is_older(&lists, &material.lists)?;
        let both = revoked::newest(material.lists.iter().cloned().chain(lists));
        if both == material.lists {
            return Ok(false);
        }
        // Handshakes look at more than we do; what they cannot use must not be kept.
        server(&self.files, material, &both, Door::Agents).map_err(|error| error.to_string())?;
        let path = &self.files.fetched;
        let draft = path.with_extension("new");
        let kept = fs::write(&draft, pem).and_then(|()| fs::rename(&draft, path));
        kept.map_err(|error| format!("keep it as {}: {error}", path.display()))?;
        self.reload().map_err(|error| error.to_string())
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
        // It stands in logs and answers.
        (Some(name), None) if !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("names a host with letters that no host name has".to_owned())
        }
        (Some(name), None) if !name.is_empty() => Ok(name.to_owned()),
        (None, _) => Err("names no host".to_owned()),
        (Some(_), None) => Err("names a host without a name".to_owned()),
        (Some(_), Some(_)) => Err("names several hosts".to_owned()),
    }
}

/// Why a handshake failed, in the same words each time: rustls tells the time of the handshake as well, and what differs
/// each time would be logged each time.
pub fn told(error: &io::Error) -> String {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref()).ok_or(error);
    match error {
        Ok(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "its certificate has expired".to_owned(),
        Ok(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => "its certificate is not valid yet; look at the clocks of both hosts".to_owned(),
        Ok(error) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// So long a certificate that the handshake has accepted stays good.
pub fn remaining(certificate: &CertificateDer<'_>, now: SystemTime) -> Duration {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Duration::ZERO };
    let until = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(until));
    until.map_or(Duration::MAX, |until| until.duration_since(now).unwrap_or_default())
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

fn load(files: &Tls) -> Result<Loaded, TlsError> {
    let print = print_of(files);
    let material = Material::read(files, &provider())?;
    let at = |door| server(files, &material, &material.lists, door).map(Arc::new);
    let (agents, operators) = (at(Door::Agents)?, at(Door::Operators)?);
    Ok(Loaded { print, material, agents, operators })
}

fn server(
    files: &Tls,
    material: &Material,
    lists: &[revoked::RevocationList],
    door: Door,
) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let roots = Arc::new(material.roots(files)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .with_crls(lists.iter().map(revoked::RevocationList::der));
    let verifier = match door {
        Door::Agents => verifier,
        Door::Operators => verifier.allow_unauthenticated(),
    };
    let verifier = verifier.build().map_err(|error| match error {
        error @ VerifierBuilderError::InvalidCrl(_) => wrong(&files.crl, REVOKED, error.to_string()),
        other => together(&other),
    })?;
    let (chain, key) = match (door, &material.operators) {
        (Door::Operators, Some((chain, key))) => (chain, key),
        _ => (&material.chain, &material.key),
    };
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| together(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|error| together(&error))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Whoever resumes a session shows no certificate again, and it may have been revoked or have expired since.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(server)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn together(error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Together(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::UnixTime;

    #[test]
    fn a_handshake_that_fails_for_the_same_cause_fails_in_the_same_words() {
        let at = |seconds| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            let why = CertificateError::ExpiredContext {
                time,
                not_after: UnixTime::since_unix_epoch(Duration::ZERO),
            };
            told(&io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(why)))
        };
        assert_eq!(at(1000), at(2000));
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(told(&io::Error::new(io::ErrorKind::InvalidData, unknown)).contains("UnknownIssuer"));
        assert_eq!(told(&io::Error::other("reset")), "reset");
    }

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
