//! What is shown and trusted where a system speaks TLS. Files are read when the client is made; renewed ones take a restart.

use reqwest::{Certificate, ClientBuilder, Identity};
use std::path::{Path, PathBuf};

/// Files of PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The certificate that we show, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authorities that we trust; without them those that the host trusts.
    pub ca: Option<PathBuf>,
}

impl Files {
    /// The same client with these.
    ///
    /// # Errors
    /// Which file cannot be read, or does not hold what it should.
    pub fn add_to(&self, mut client: ClientBuilder) -> Result<ClientBuilder, String> {
        if let Some(ca) = &self.ca {
            let all = Certificate::from_pem_bundle(&read(ca)?)
                .map_err(|error| format!("{} holds no certificates: {error}", ca.display()))?;
            if all.is_empty() {
                return Err(format!("{} holds no certificates; name a file of PEM", ca.display()));
            }
            client = client.tls_certs_only(all);
        }
        if let Some((certificate, key)) = &self.identity {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let identity = Identity::from_pem(&pem).map_err(|error| {
                let (certificate, key) = (certificate.display(), key.display());
                format!("{certificate} and {key} are no certificate with its key: {error}")
            })?;
            client = client.identity(identity);
        }
        Ok(client)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "no PEM at all").unwrap();
        let path = file.path().to_owned();
        let shown = path.display().to_string();
        let wrong = |files: Files| files.add_to(reqwest::Client::builder()).map(drop).unwrap_err();
        assert!(wrong(Files { ca: Some(path.clone()), identity: None }).contains(&shown));
        let both = Some((path.clone(), path));
        assert!(wrong(Files { identity: both, ca: None }).contains(&shown));
        let gone = wrong(Files { ca: Some("/nonexistent/ca.pem".into()), identity: None });
        assert!(gone.starts_with("read /nonexistent/ca.pem: "), "{gone}");
    }
}
