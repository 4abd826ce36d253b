//! Secrets: made of 256 random bits, shown once, kept as digests only. (X6)

use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::fmt::{self, Write};

/// The kernel gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("get random bytes from the kernel for a secret; it gave none")]
pub struct NoRandomness;

/// A secret that is about to be given to somebody.
pub struct Secret(String);

impl Secret {
    /// A new one. `prefix` says what it is, so that people and scanners of leaked secrets recognise it.
    ///
    /// # Errors
    /// The kernel gave no randomness.
    pub fn random(prefix: &str) -> Result<Self, NoRandomness> {
        let bytes: [u8; 32] = random()?;
        Ok(Self(format!("{prefix}{}", hex(&bytes))))
    }

    /// The text, for the one who gets it.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The SHA-256 of a secret. Secrets are random, so nothing slower is needed; finding one by its digest compares nothing
/// that an attacker could learn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of the text of a secret.
    pub fn of(secret: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, secret.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

/// Seals what we send out, so that we know it again. Another one after each start.
pub struct Seal(hmac::Key);

impl Seal {
    /// A new one.
    ///
    /// # Errors
    /// The kernel gave no randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        let bytes: [u8; 32] = random()?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The seal of a text.
    pub fn of(&self, text: &str) -> String {
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    /// Whether a seal is that of a text. Digests are compared, so that the time it takes tells nothing.
    pub fn fits(&self, text: &str, given: &str) -> bool {
        Digest::of(&self.of(text)) == Digest::of(given)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seal(…)")
    }
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_show_themselves_to_nobody_who_prints_them() {
        let (one, other) = (Secret::random("mwt_").unwrap(), Secret::random("mwt_").unwrap());
        assert_ne!(one.text(), other.text());
        assert_eq!(one.text().len(), "mwt_".len() + 64);
        assert!(!format!("{one:?}").contains(one.text()));
    }

    #[test]
    fn a_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&Digest::of("abc").0), expected);
    }

    #[test]
    fn a_seal_is_good_for_its_text_and_its_run_only() {
        let seal = Seal::random().unwrap();
        assert_eq!(seal.of("a"), seal.of("a"));
        assert!(seal.fits("a", &seal.of("a")) && !seal.fits("a", &seal.of("b")) && !seal.fits("a", ""));
        assert_ne!(seal.of("a"), seal.of("b"));
        assert_ne!(seal.of("a"), Seal::random().unwrap().of("a"));
    }
}
