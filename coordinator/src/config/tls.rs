//! `[tls]`: the files with which the coordinator proves who it is and agents are let in, as Puppet lays them out.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Where Puppet keeps its files, newest version first.
pub const PUPPET: [&str; 3] = ["/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/ssl", "/etc/puppet/ssl"];

/// The files, and whom they let in. Not there: agents come over loopback only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate, PEM, those that signed it after it.
    pub certificate: PathBuf,
    /// Its key, PEM: PKCS#1, PKCS#8 or SEC1.
    pub key: PathBuf,
    /// What operators and their browsers are shown instead, where their address is not loopback: certificate and key.
    pub operators: Option<(PathBuf, PathBuf)>,
    /// Certificates of the authorities that sign agents.
    pub ca: PathBuf,
    /// What those authorities have revoked.
    pub crl: PathBuf,
    /// Where we keep the list that we have fetched from the authority.
    pub fetched: PathBuf,
    /// How that list is fetched; `None` leaves it to Puppet.
    pub authority: Option<Authority>,
    /// So long after the list should have been replaced, everything goes on as before.
    pub crl_grace: Duration,
    /// Domains whose hosts may speak for nodes; a certificate of another domain is refused.
    pub domains: Vec<String>,
}

/// Where the list of what is revoked is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The list's address, `https://`.
    pub url: String,
    /// The authority's name in its certificate.
    pub certname: String,
    /// From one request to the next.
    pub every: Duration,
}

/// Puppet's own four files.
#[derive(Debug)]
pub struct PuppetFiles {
    /// As in [`Tls`].
    pub certificate: PathBuf,
    /// As in [`Tls`].
    pub key: PathBuf,
    /// As in [`Tls`].
    pub ca: PathBuf,
    /// As in [`Tls`].
    pub crl: PathBuf,
}

impl PuppetFiles {
    /// Where Puppet has put the files of `certname`, below `ssl`.
    pub fn of(ssl: &Path, certname: &str) -> Self {
        Self {
            certificate: ssl.join(format!("certs/{certname}.pem")),
            key: ssl.join(format!("private_keys/{certname}.pem")),
            ca: ssl.join("certs/ca.pem"),
            crl: ssl.join("crl.pem"),
        }
    }
}

/// `cern.ch` of `alibuild10.cern.ch`.
pub fn domain_of(certname: &str) -> Option<String> {
    certname.split_once('.').map(|(_, domain)| domain.to_ascii_lowercase())
}
