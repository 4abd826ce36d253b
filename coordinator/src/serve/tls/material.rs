//! What the files of `[tls]` hold, read and checked.

use super::{
    TlsError,
    revoked::{self, RevocationList},
};
use crate::config::Tls;
use jiff::Timestamp;
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// No file of ours is larger; a revocation list of 100,000 certificates is about 4 MB.
pub const LARGEST: u64 = 16 << 20;
/// How the list is called in complaints.
pub(super) const REVOKED: &str = "the list of what is revoked";
const AUTHORITIES: &str = "the authorities' certificates";

/// Which content the files have, without reading them: inode, time and length of each, or why it cannot be told.
pub(super) type Print = [Result<(u64, i64, i64, u64), io::ErrorKind>; 7];

/// Everything that handshakes need.
#[derive(Debug)]
pub(super) struct Material {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// What operators are shown instead.
    pub operators: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    pub authorities: Vec<CertificateDer<'static>>,
    /// The newest of each authority.
    pub lists: Vec<RevocationList>,
}

impl Material {
    /// Reads all of it.
    pub fn read(files: &Tls, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain = certificates(&files.certificate, "our certificate")?;
        let key = read_key(&files.key)?;
        let operators = match &files.operators {
            Some((chain, key)) => {
                Some((certificates(chain, "the certificate for operators")?, read_key(key)?))
            }
            None => None,
        };
        let authorities = certificates(&files.ca, AUTHORITIES)?;
        let lists = lists(files, &authorities, provider)?;
        Ok(Self { chain, key, operators, authorities, lists })
    }

    /// The authorities, as handshakes want them.
    pub fn roots(&self, files: &Tls) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.clone()).map_err(|error| wrong(&files.ca, AUTHORITIES, error.to_string()))?;
        }
        Ok(roots)
    }

    /// Until when our certificates are good.
    pub fn certificate_until(&self) -> Option<Timestamp> {
        let for_operators = self.operators.as_ref().and_then(|(chain, _)| chain.first());
        let ours = self.chain.first().into_iter().chain(for_operators);
        ours.filter_map(|certificate| {
            let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
            Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
        })
        .min()
    }

    /// When the first of the lists should have been replaced.
    pub fn crl_until(&self) -> Option<Timestamp> {
        self.lists.iter().filter_map(RevocationList::until).min()
    }
}

/// Taken before the files are read: what is replaced meanwhile differs at the next look.
pub(super) fn print_of(files: &Tls) -> Print {
    let (certificate, key) = (&files.certificate, &files.key);
    let (shown, its_key) = files.operators.as_ref().map_or((certificate, key), |(shown, key)| (shown, key));
    [certificate, key, shown, its_key, &files.ca, &files.crl, &files.fetched].map(|path| {
        let file = fs::metadata(path).map_err(|error| error.kind())?;
        Ok((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
    })
}

/// Puppet's lists and those that we have fetched; one of the two must be there (X3).
fn lists(
    files: &Tls,
    authorities: &[CertificateDer<'_>],
    provider: &CryptoProvider,
) -> Result<Vec<RevocationList>, TlsError> {
    let fetched = match fs::read(&files.fetched) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(wrong(&files.fetched, REVOKED, error.to_string())),
        Ok(pem) => revoked::read_signed(&pem, authorities, &provider.signature_verification_algorithms)
            // An authority that was made anew, for example: what was fetched of the old one says nothing any more.
            .inspect_err(|why| log::warn!("leave {} aside: {why}", files.fetched.display()))
            .unwrap_or_default(),
    };
    let advised = |why: String| format!("{why}; fetch it from the authority");
    let of_puppet = match read(&files.crl, REVOKED) {
        Err(_) if !fetched.is_empty() && !files.crl.exists() => Vec::new(),
        read => revoked::read(&read?).map_err(|why| wrong(&files.crl, REVOKED, advised(why)))?,
    };
    Ok(revoked::newest(of_puppet.into_iter().chain(fetched)))
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

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path, what)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(path, what, error.to_string()))?;
    if found.is_empty() { Err(wrong(path, what, "no PEM block CERTIFICATE in it")) } else { Ok(found) }
}

pub(super) fn wrong(path: &Path, what: &'static str, why: impl Into<String>) -> TlsError {
    TlsError::File { path: path.to_owned(), what, why: why.into() }
}
