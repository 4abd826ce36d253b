//! Somebody at the agents' door who is no agent: shows any certificate, trusts whoever answers, and sends any bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring::default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// Longer than any limit of the coordinator.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection that has been let in.
pub struct Visitor(StreamOwned<ClientConnection, TcpStream>);

impl Visitor {
    /// Comes to the coordinator at `url` with the certificate of `certname` in its `ssl` folder.
    pub fn come(url: &str, ssl: &Path, certname: &str) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(ssl.join(format!("certs/{certname}.pem")))?;
        let key = PrivateKeyDer::from_pem_file(ssl.join(format!("private_keys/{certname}.pem")))?;
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsAll(provider)))
            .with_client_auth_cert(chain.collect::<Result<_, _>>()?, key)?;
        let stream = TcpStream::connect(address(url)).context("connect to the agents' door")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("coordinator")?;
        Ok(Self(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream)))
    }

    /// Sends these bytes.
    pub fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)?;
        Ok(self.0.flush()?)
    }

    /// Everything that is answered until the coordinator closes the connection.
    pub fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match self.0.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => heard.extend(piece.iter().take(length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let is_silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    assert!(!is_silent, "the coordinator keeps a connection it should have closed");
                    break;
                }
            }
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Sends these bytes and hears the answer.
    pub fn ask(mut self, bytes: &[u8]) -> String {
        // It may be refused, and the connection closed, before all of it is sent.
        let _ = self.say(bytes);
        self.hear()
    }
}

/// Host and port of an address.
pub fn address(url: &str) -> &str {
    url.trim_start_matches("https://")
}

/// Takes any server: what is looked at is what it makes of us.
#[derive(Debug)]
pub struct TrustsAll(pub Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
