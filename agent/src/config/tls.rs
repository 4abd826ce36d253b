//! `[tls]`: the files with which this host proves who it is, as Puppet lays them out.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where Puppet keeps its files, newest version first.
const PUPPET: [&str; 3] = ["/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/ssl", "/etc/puppet/ssl"];

/// `[tls]`. Needed where the coordinator's address is `https://`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Puppet's folder; without it the first that exists of those that Puppet 3 to 8 use.
    pub puppet_ssl: Option<PathBuf>,
    /// The name under which Puppet knows this host; without it the only one that `private_keys` has a key for.
    pub certname: Option<String>,
    /// This host's certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM: PKCS#1, PKCS#8 or SEC1.
    pub key: Option<PathBuf>,
    /// Certificates of the authorities that sign hosts.
    pub ca: Option<PathBuf>,
    /// What those authorities have revoked.
    pub crl: Option<PathBuf>,
}

/// The four files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// This host's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities.
    pub ca: PathBuf,
    /// What they have revoked.
    pub crl: PathBuf,
}

impl TlsConfig {
    /// The files as they are to be read now: those that are named, and Puppet's for the rest.
    ///
    /// # Errors
    /// Puppet has no key for this host, or several.
    pub fn files(&self) -> Result<TlsFiles, String> {
        let ssl = match &self.puppet_ssl {
            Some(ssl) => ssl.clone(),
            None => PUPPET
                .map(PathBuf::from)
                .into_iter()
                .find(|ssl| ssl.join("private_keys").is_dir())
                .unwrap_or_else(|| PUPPET[0].into()),
        };
        let certname = match (&self.certname, &self.certificate, &self.key) {
            (Some(certname), ..) => certname.to_ascii_lowercase(),
            (None, Some(_), Some(_)) => String::new(),
            (None, ..) => only_name(&ssl.join("private_keys"))?,
        };
        let or =
            |named: &Option<PathBuf>, of_puppet: String| named.clone().unwrap_or_else(|| ssl.join(of_puppet));
        Ok(TlsFiles {
            certificate: or(&self.certificate, format!("certs/{certname}.pem")),
            key: or(&self.key, format!("private_keys/{certname}.pem")),
            ca: or(&self.ca, "certs/ca.pem".to_owned()),
            crl: or(&self.crl, "crl.pem".to_owned()),
        })
    }
}

fn only_name(keys: &Path) -> Result<String, String> {
    let shown = keys.display();
    let entries = keys.read_dir().map_err(|error| format!("look for this host's key in {shown}: {error}"))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".pem")?.to_owned()))
        .collect();
    names.sort();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        [] => Err(format!("there is no key in {shown}; has Puppet run here? Else set tls.certname")),
        several => {
            Err(format!("there are keys of {} in {shown}; say which with tls.certname", several.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puppet(names: &[&str]) -> (tempfile::TempDir, TlsConfig) {
        let ssl = tempfile::tempdir().unwrap();
        std::fs::create_dir(ssl.path().join("private_keys")).unwrap();
        for name in names {
            std::fs::write(ssl.path().join(format!("private_keys/{name}")), "").unwrap();
        }
        let config = TlsConfig { puppet_ssl: Some(ssl.path().into()), ..TlsConfig::default() };
        (ssl, config)
    }

    #[test]
    fn the_only_key_tells_this_hosts_name() {
        let (ssl, config) = puppet(&["n10.cern.ch.pem", "notes.txt"]);
        let files = config.files().unwrap();
        assert_eq!(files.certificate, ssl.path().join("certs/n10.cern.ch.pem"));
        assert_eq!(files.crl, ssl.path().join("crl.pem"));
    }

    #[test]
    fn no_key_or_several_ask_for_a_name() {
        for (names, word) in [(&["a.pem", "b.pem"][..], "a, b"), (&[][..], "has Puppet run here?")] {
            let (_ssl, config) = puppet(names);
            let error = config.files().unwrap_err();
            assert!(error.contains(word) && error.contains("tls.certname"), "{error}");
        }
        let (_ssl, config) = puppet(&["a.pem", "b.pem"]);
        let config = TlsConfig { certname: Some("B".to_owned()), ..config };
        assert!(config.files().unwrap().key.ends_with("private_keys/b.pem"));
    }
}
