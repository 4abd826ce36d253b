//! `[tls]`: the files with which the coordinator proves who it is and agents are let in, as Puppet lays them out.

use std::path::{Path, PathBuf};

/// Where Puppet keeps its files, newest version first.
pub const PUPPET: [&str; 3] = ["/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/ssl", "/etc/puppet/ssl"];

/// The files, and whom they let in. Not there: agents come over loopback only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate, PEM, those that signed it after it.
    pub certificate: PathBuf,
    /// Its key, PEM: PKCS#1, PKCS#8 or SEC1.
    pub key: PathBuf,
    /// Certificates of the authorities that sign agents.
    pub ca: PathBuf,
    /// What those authorities have revoked.
    pub crl: PathBuf,
    /// Domains whose hosts may speak for nodes; a certificate of another domain is refused.
    pub domains: Vec<String>,
}

impl Tls {
    /// Where Puppet has put the files of `certname`, below `ssl`.
    pub fn of_puppet(ssl: &Path, certname: &str) -> Self {
        Self {
            certificate: ssl.join(format!("certs/{certname}.pem")),
            key: ssl.join(format!("private_keys/{certname}.pem")),
            ca: ssl.join("certs/ca.pem"),
            crl: ssl.join("crl.pem"),
            domains: domain_of(certname).into_iter().collect(),
        }
    }
}

/// `cern.ch` of `alibuild10.cern.ch`.
pub fn domain_of(certname: &str) -> Option<String> {
    certname.split_once('.').map(|(_, domain)| domain.to_ascii_lowercase())
}
