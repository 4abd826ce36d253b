//! Certificates as Puppet's authority gives them out, for thousands of hosts.
//!
//! openssl makes the authority, the coordinator's certificate and one of an agent; from that one all others are made by
//! writing another name and signing again, since a process for each would take longer than what is measured. RSA keys
//! have the 4,096 bits that Puppet gives them.

use crate::{lab::harness::visitor::TrustsAll, programs::find, sample_fleet::node_name};
use anyhow::{Context, Result, bail, ensure};
use rustls::{
    ClientConfig, SignatureScheme,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::SigningKey,
};
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Where every host is.
pub const DOMAIN: &str = "bench.test";
/// What `openssl ca` wants to be told for a list of revoked certificates, and what Puppet writes into those of hosts.
const SETTINGS: &str = "[ca]\ndefault_ca = bench\n[bench]\ndatabase = index.txt\ndefault_md = sha256\n\
    default_crl_days = 30\ncrlnumber = crlnumber\n[host]\nbasicConstraints = critical,CA:FALSE\n\
    keyUsage = critical,digitalSignature,keyEncipherment\nextendedKeyUsage = critical,serverAuth,clientAuth\n";

/// The authority, in a folder.
pub struct Authority(PathBuf);

/// The name in the certificate of a host.
pub fn certname(host: &str) -> String {
    format!("{host}.{DOMAIN}")
}

impl Authority {
    /// A new one that has signed nobody.
    pub fn new(folder: PathBuf) -> Result<Self> {
        let authority = Self(folder);
        for (name, text) in [("settings", SETTINGS), ("index.txt", ""), ("crlnumber", "01\n")] {
            fs::write(authority.file(name), text)?;
        }
        authority.openssl("genrsa -out ca.key 4096")?;
        authority.openssl("req -x509 -new -key ca.key -days 30 -out ca.pem -subj /CN=bench-authority")?;
        authority.openssl("ca -config settings -keyfile ca.key -cert ca.pem -gencrl -out crl.pem")?;
        Ok(authority)
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Signs a host with an RSA key of its own.
    pub fn host(&self, host: &str) -> Result<()> {
        self.openssl(&format!("genrsa -out {host}.key 4096"))?;
        self.sign(host)
    }

    /// Signs the agent that all others are made from. Its key is of an elliptic curve: a generator that spent its time
    /// on RSA would be slower than the server, and to check either takes the server about as long.
    pub fn template(&self) -> Result<()> {
        let host = node_name(1);
        self.openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {host}.key"))?;
        self.sign(&host)
    }

    fn sign(&self, host: &str) -> Result<()> {
        self.openssl(&format!("req -new -key {host}.key -out {host}.csr -subj /CN={}", certname(host)))?;
        self.openssl(&format!(
            "x509 -req -in {host}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -sha256 -extfile settings \
             -extensions host -out {host}.crt"
        ))
    }

    /// The section of our configurations with the files of a host.
    pub fn section(&self, host: &str) -> String {
        let file = |name: &str| self.file(name).display().to_string();
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\nca = {:?}\ncrl = {:?}\n",
            file(&format!("{host}.crt")),
            file(&format!("{host}.key")),
            file("ca.pem"),
            file("crl.pem")
        )
    }

    fn openssl(&self, words: &str) -> Result<()> {
        let program = find("openssl").context("needs openssl (Debian package openssl)")?;
        let output = Command::new(program).args(words.split_whitespace()).current_dir(&self.0).output()?;
        if !output.status.success() {
            bail!("openssl {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// Makes the certificates of agents from the one that openssl made.
pub struct Agents {
    template: Vec<u8>,
    key: PrivateKeyDer<'static>,
    authority: Arc<dyn SigningKey>,
    provider: Arc<CryptoProvider>,
}

impl Agents {
    /// Reads an [`Authority`]'s folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let name = node_name(1);
        let authority = PrivateKeyDer::from_pem_file(folder.join("ca.key"))?;
        Ok(Self {
            template: CertificateDer::from_pem_file(folder.join(format!("{name}.crt")))?.to_vec(),
            key: PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?,
            authority: ring::sign::any_supported_type(&authority)?,
            provider: Arc::new(ring::default_provider()),
        })
    }

    /// What the agent with this number brings to a handshake.
    pub fn config(&self, number: u32) -> Result<ClientConfig> {
        let chain = vec![CertificateDer::from(self.certificate(&node_name(number))?)];
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsAll(Arc::clone(&self.provider))))
            .with_client_auth_cert(chain, self.key.clone_key())?;
        // After a restart of the coordinator there is nothing to resume.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn certificate(&self, host: &str) -> Result<Vec<u8>> {
        let mut certificate = self.template.clone();
        // A certificate is a sequence of what is signed, how, and the signature, which comes last.
        let whole = content(&certificate, 0)?;
        let signed = whole.start..content(&certificate, whole.start)?.end;
        let (from, to) = (certname(&node_name(1)), certname(host));
        ensure!(from.len() == to.len(), "sign {to}: its name is not as long as {from}");
        let place = certificate.windows(from.len()).position(|window| window == from.as_bytes());
        let place = place.context("find the name in a certificate")?;
        certificate.get_mut(place..place + to.len()).context("write a name")?.copy_from_slice(to.as_bytes());
        let signer = self.authority.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.context("sign with RSA")?;
        let signature = signer.sign(certificate.get(signed).context("find what is signed")?)?;
        let place = certificate.len() - signature.len();
        certificate.get_mut(place..).context("write a signature")?.copy_from_slice(&signature);
        Ok(certificate)
    }
}

/// Where the content of the DER element at `at` is.
fn content(bytes: &[u8], at: usize) -> Result<Range<usize>> {
    let byte = |place: usize| bytes.get(place).copied().map(usize::from).context("read DER: it ends early");
    let first = byte(at + 1)?;
    let (start, length) = if first < 128 {
        (at + 2, first)
    } else {
        let more = first - 128;
        let length = (0..more)
            .try_fold(0, |length, place| Ok::<_, anyhow::Error>(length * 256 + byte(at + 2 + place)?))?;
        (at + 2 + more, length)
    };
    Ok(start..start + length)
}
