//! Whom the coordinator takes for the authority when it fetches the list: one host by its name.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Trusts whoever the authorities trust and who bears one name, be it the common or an alternative one: Puppet's older
/// authorities write the common one only.
#[derive(Debug)]
pub(super) struct Pinned {
    pub chain_of_trust: Arc<WebPkiServerVerifier>,
    /// In lower case.
    pub certname: String,
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
        match self.chain_of_trust.verify_server_cert(certificate, intermediates, asked, ocsp, now) {
            // The name is looked at last, so all else is good; it is compared here.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        let names = names_of(certificate)?;
        if names.contains(&self.certname) {
            return Ok(ServerCertVerified::assertion());
        }
        let shown = names.first().map_or("nobody", String::as_str);
        let wanted = &self.certname;
        Err(Error::General(format!(
            "it shows the certificate of {shown}, and the authority is {wanted}; see tls.crl_certname"
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
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative =
        alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
    Ok(common.chain(alternative).map(str::to_ascii_lowercase).collect())
}
