//! Mutual TLS to the coordinator, with the files Puppet has put on this host.
//!
//! X1: every host has a certificate of the same authority, and it is good for servers too. So a good certificate only says
//! "some host"; the coordinator is the one whose certificate bears the pinned name.

use crate::config::TlsFiles;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject,
    },
};
use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// No file of ours is larger; a revocation list of 100,000 certificates is about 4 MB.
const LARGEST: u64 = 16 << 20;

/// The files as they were at one moment; another print is another content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Print(Vec<Option<(u64, i64, i64, u64)>>);

impl Print {
    /// Of the files as they are now.
    pub fn of(files: &TlsFiles) -> Self {
        let print = |path: &Path| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
        };
        Self([&files.certificate, &files.key, &files.ca, &files.crl].map(|path| print(path)).into())
    }
}

/// What TLS to the coordinator called `certname` needs.
///
/// # Errors
/// A file is missing or does not hold what it should.
pub fn config(files: &TlsFiles, certname: &str) -> Result<ClientConfig, String> {
    let chain: Vec<CertificateDer<'static>> = pieces(&files.certificate, "this host's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key, "this host's key")?)
        .map_err(|error| wrong(&files.key, "this host's key", &error))?;
    let mut roots = RootCertStore::empty();
    for authority in pieces::<CertificateDer<'static>>(&files.ca, "the authorities' certificates")? {
        roots.add(authority).map_err(|error| wrong(&files.ca, "the authorities' certificates", &error))?;
    }
    let revoked: Vec<CertificateRevocationListDer<'static>> =
        pieces(&files.crl, "the list of what is revoked")?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let together = |error: &dyn std::fmt::Display| format!("put the files of [tls] together: {error}");
    let chain_of_trust = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .with_crls(revoked)
        .build()
        .map_err(|error| match error {
            error @ VerifierBuilderError::InvalidCrl(_) => {
                wrong(&files.crl, "the list of what is revoked", &error)
            }
            other => together(&other),
        })?;
    let verifier = Pinned { chain_of_trust, certname: certname.to_ascii_lowercase() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| together(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)
        .map_err(|error| together(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| wrong(path, what, &error))?.len();
    if length > LARGEST {
        return Err(wrong(path, what, &"larger than 16 MiB"));
    }
    fs::read(path).map_err(|error| wrong(path, what, &error))
}

/// Everything of one kind in a PEM file, at least one.
fn pieces<T: PemObject>(path: &Path, what: &str) -> Result<Vec<T>, String> {
    let found: Vec<T> = T::pem_slice_iter(&read(path, what)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(path, what, &error))?;
    if found.is_empty() { Err(wrong(path, what, &"there is none in it")) } else { Ok(found) }
}

fn wrong(path: &Path, what: &str, why: &dyn std::fmt::Display) -> String {
    format!("use {} as {what}: {why}", path.display())
}

/// Trusts whoever the authorities trust and who bears one name.
#[derive(Debug)]
struct Pinned {
    chain_of_trust: Arc<WebPkiServerVerifier>,
    certname: String,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        asked: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trusted = self.chain_of_trust.verify_server_cert(certificate, intermediates, asked, ocsp, now);
        match trusted {
            // rustls looks at the name last, and at alternative names only, which Puppet's older authorities leave out.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            // With the time of this very try in it, each try would be another problem, and logged as one.
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })) => {
                return Err(CertificateError::Expired.into());
            }
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })) => {
                return Err(CertificateError::NotValidYet.into());
            }
            Err(error) => return Err(error),
        }
        let names = names_of(certificate)?;
        if names.contains(&self.certname) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General(format!(
            "it shows the certificate of {}, and coordinator.certname is {}",
            names.first().map_or("nobody", String::as_str),
            self.certname
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain_of_trust.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain_of_trust.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain_of_trust.supported_verify_schemes()
    }
}

/// The common name first, then the alternative ones, in lower case.
fn names_of(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    // Puppet's authority writes names that are none ("Puppet CA: host"); a name we cannot read is no name.
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative =
        alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
    Ok(common.chain(alternative).map(str::to_ascii_lowercase).collect())
}
