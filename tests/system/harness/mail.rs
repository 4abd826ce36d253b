//! The mail server that stands beside its client, running in a thread of its own.

use super::machine::needs_program;
use super::process::output_of;
use super::scratch::Scratch;
use anyhow::{Context, Result, bail};
use fake::{At, FakeMail};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::ops::Deref;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

#[path = "../../../coordinator/src/integrations/mail/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake;

const LIMIT: Duration = Duration::from_secs(60);

/// A running one; it ends when it is dropped.
pub struct Mail {
    fake: FakeMail,
    address: String,
    scratch: Scratch,
    _runtime: Runtime,
}

impl Mail {
    /// Listens on a free port.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (fake, scratch) = (FakeMail::default(), Scratch::new("mail")?);
        let address = runtime.block_on(fake.start()).context("start a mail server")?;
        Ok(Self { fake, address, scratch, _runtime: runtime })
    }

    /// Its section in `coordinator.toml`, with these recipients.
    pub fn section(&self, to: &[&str]) -> String {
        let address = &self.address;
        format!(
            "[notice.mail]\nserver = {address:?}\nsecurity = \"none\"\nfrom = \"millwright@lab.test\"\nto = {to:?}"
        )
    }

    /// The same over TLS, with a certificate for `localhost` of its own making.
    pub fn section_over_tls(&self, security: &str, to: &[&str]) -> Result<String> {
        let openssl = needs_program("openssl", "openssl")?;
        let (key, certificate) = (self.scratch.join("key.pem"), self.scratch.join("certificate.pem"));
        let mut command = Command::new(openssl);
        command.args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(' '));
        command.args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        let output = output_of(&mut command, LIMIT)?;
        if !output.status.success() {
            bail!("make a certificate: {}", String::from_utf8_lossy(&output.stderr));
        }
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(
                    vec![CertificateDer::from_pem_file(&certificate)?],
                    PrivateKeyDer::from_pem_file(&key)?,
                )?;
        let at = if security == "tls" { At::Once } else { At::Request };
        self.fake.seals(TlsAcceptor::from(Arc::new(config)), at);
        let section = self.section(to).replace("127.0.0.1", "localhost");
        let section = section.replace("security = \"none\"", &format!("security = {security:?}"));
        Ok(format!("{section}\nca = {certificate:?}"))
    }
}

impl Deref for Mail {
    type Target = FakeMail;

    fn deref(&self) -> &FakeMail {
        &self.fake
    }
}
