//! Lists of what is revoked: whose they are, how old, and which of two holds.
//!
//! Two sources have them: Puppet's file, which old Puppets never fetch again, and the authority itself. Of each authority
//! the newer list holds, whichever way it came; an older one would let the revoked in again.

use jiff::Timestamp;
use rustls::{
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject},
};
use std::cmp::Ordering;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// One list, as its authority has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: CertificateRevocationListDer<'static>,
    /// The authority's name, as encoded.
    issuer: Vec<u8>,
    /// Grows with every list; length first, so that it compares as a number.
    number: Option<(usize, Vec<u8>)>,
    /// When it was made, in seconds since 1970.
    made_at: i64,
    until: Option<Timestamp>,
}

impl RevocationList {
    fn of(der: CertificateRevocationListDer<'static>) -> Result<Self, String> {
        let (rest, list) = CertificateRevocationList::from_der(der.as_ref())
            .map_err(|error| format!("not readable: {error}"))?;
        if !rest.is_empty() {
            return Err("not readable: something follows the list".to_owned());
        }
        let number = list.crl_number().map(|number| {
            let bytes = number.to_bytes_be();
            (bytes.len(), bytes)
        });
        let until = list.next_update().and_then(|until| Timestamp::from_second(until.timestamp()).ok());
        let (issuer, made_at) = (list.issuer().as_raw().to_vec(), list.last_update().timestamp());
        Ok(Self { issuer, number, made_at, until, der })
    }

    /// When it should have been replaced.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// As rustls takes it.
    pub fn der(&self) -> CertificateRevocationListDer<'static> {
        self.der.clone()
    }

    /// Which of two lists of one authority was made first: by number, which the authority counts up, else by time.
    fn age(&self, other: &Self) -> Ordering {
        match (&self.number, &other.number) {
            (Some(number), Some(others)) => number.cmp(others).then(self.made_at.cmp(&other.made_at)),
            _ => self.made_at.cmp(&other.made_at),
        }
    }

    fn when(&self) -> String {
        Timestamp::from_second(self.made_at)
            .map_or_else(|_| "no time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    }

    /// Whether one of the authorities has signed it, in a way that handshakes can check as well: a list with SHA-1 would
    /// keep everybody out.
    fn is_signed_by(&self, authorities: &[CertificateDer<'_>], known: &WebPkiSupportedAlgorithms) -> bool {
        let Ok((_, list)) = CertificateRevocationList::from_der(self.der.as_ref()) else { return false };
        let wanted = list.signature_algorithm.algorithm.as_bytes();
        authorities.iter().any(|authority| {
            let Ok((_, authority)) = X509Certificate::from_der(authority) else { return false };
            let key = authority.public_key().subject_public_key.data.as_ref();
            authority.subject().as_raw() == list.issuer().as_raw()
                && known.all.iter().any(|algorithm| {
                    // A tag and a length stand before the name of the algorithm.
                    let name = algorithm.signature_alg_id();
                    let is_it = name.as_ref().get(2..).is_some_and(|name| name.starts_with(wanted));
                    let signature = list.signature_value.data.as_ref();
                    is_it && algorithm.verify_signature(key, list.tbs_cert_list.as_ref(), signature).is_ok()
                })
        })
    }
}

/// The lists in a PEM text.
///
/// # Errors
/// There is none, or one cannot be read.
pub fn read(pem: &[u8]) -> Result<Vec<RevocationList>, String> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem)
        .map(|der| der.map_err(|error| format!("not readable: {error}")).and_then(RevocationList::of))
        .collect::<Result<Vec<_>, _>>()?;
    if lists.is_empty() { Err("no PEM block X509 CRL in it".to_owned()) } else { Ok(lists) }
}

/// The lists in a PEM text that came over the network, each proven to be of one of our authorities.
///
/// # Errors
/// One of them cannot be read, or none of the authorities has signed it.
pub fn read_signed(
    pem: &[u8],
    authorities: &[CertificateDer<'_>],
    known: &WebPkiSupportedAlgorithms,
) -> Result<Vec<RevocationList>, String> {
    let lists = read(pem)?;
    match lists.iter().find(|list| !list.is_signed_by(authorities, known)) {
        None => Ok(lists),
        Some(list) => Err(format!(
            "the list of {} is signed by none of the authorities in tls.ca, or in a way that is no longer safe",
            list.when()
        )),
    }
}

/// Refuses lists that are older than those in force.
///
/// # Errors
/// Which is.
pub fn none_is_older(lists: &[RevocationList], in_force: &[RevocationList]) -> Result<(), String> {
    for list in lists {
        let newer =
            in_force.iter().find(|held| held.issuer == list.issuer && list.age(held) == Ordering::Less);
        if let Some(held) = newer {
            let (made, held) = (list.when(), held.when());
            return Err(format!("the list of {made} is older than that of {held}, which is in force"));
        }
    }
    Ok(())
}

/// Of each authority the newest list.
pub fn newest(lists: impl IntoIterator<Item = RevocationList>) -> Vec<RevocationList> {
    let mut kept: Vec<RevocationList> = Vec::new();
    for list in lists {
        match kept.iter_mut().find(|held| held.issuer == list.issuer) {
            Some(held) if held.age(&list) == Ordering::Less => *held = list,
            Some(_) => {}
            None => kept.push(list),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(issuer: &str, number: Option<u8>, made_at: i64) -> RevocationList {
        RevocationList {
            der: Vec::new().into(),
            issuer: issuer.into(),
            number: number.map(|number| (1, vec![number])),
            made_at,
            until: None,
        }
    }

    #[test]
    fn of_each_authority_the_newest_list_holds_by_number_and_then_by_time() {
        let kept = newest([
            list("root", Some(1), 10),
            list("middle", None, 30),
            list("root", Some(2), 9),
            list("middle", None, 20),
            list("root", Some(2), 8),
        ]);
        assert_eq!(kept, [list("root", Some(2), 9), list("middle", None, 30)]);
    }

    #[test]
    fn an_older_list_is_refused_and_the_same_one_is_not() {
        let held = [list("root", Some(7), 100), list("middle", None, 100)];
        for good in [
            list("root", Some(7), 100),
            list("root", Some(8), 50),
            list("middle", Some(1), 100),
            list("x", None, 1),
        ] {
            none_is_older(&[good], &held).unwrap();
        }
        for old in [
            list("root", Some(6), 200),
            list("root", Some(7), 99),
            list("root", None, 99),
            list("middle", None, 99),
        ] {
            let why = none_is_older(&[old], &held).unwrap_err();
            assert!(why.contains("is older than") && why.contains("1970-01-01"), "{why}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers() {
        let long = RevocationList { number: Some((2, vec![1, 0])), ..list("root", None, 0) };
        assert_eq!(long.age(&list("root", Some(255), 1)), Ordering::Greater);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "nonsense", "-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
