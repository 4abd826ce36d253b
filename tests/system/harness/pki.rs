//! Puppet's certificate authority, played by openssl: the same folders, keys as PKCS#1, no alternative names, as the
//! authorities of sites that have been there for long.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};

use super::machine::needs_program;
use super::process::output_of;
use super::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// What `openssl ca` wants to be told, and what Puppet writes into certificates of hosts.
const SETTINGS: &str = "\
[ca]
default_ca = puppet
[puppet]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca_key.pem
default_md = sha256
default_days = 1825
default_crl_days = 1825
unique_subject = no
policy = any
crlnumber = crlnumber
[any]
commonName = supplied
[host]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = critical,serverAuth,clientAuth
subjectKeyIdentifier = hash
";

/// One authority and the hosts it has signed.
#[derive(Debug)]
pub struct Pki {
    openssl: PathBuf,
    scratch: Scratch,
}

impl Pki {
    /// A new authority that has signed nobody.
    pub fn new() -> Result<Self> {
        let openssl = needs_program("openssl", "openssl")?;
        let pki = Self { openssl, scratch: Scratch::new("pki")? };
        for (name, text) in
            [("settings", SETTINGS), ("index.txt", ""), ("serial", "01\n"), ("crlnumber", "01\n")]
        {
            pki.scratch.write(name, text)?;
        }
        pki.run("genrsa -traditional -out ca_key.pem 2048")?;
        pki.run_with(
            "req -x509 -new -key ca_key.pem -days 3650 -out ca.pem -subj",
            &["/CN=Puppet CA: puppet.lab.test"],
        )?;
        pki.publish()?;
        Ok(pki)
    }

    /// Signs a host and returns its `ssl` folder, as Puppet would fill it on that host.
    pub fn host(&self, certname: &str) -> Result<PathBuf> {
        let ssl = self.ssl(certname);
        for folder in ["certs", "private_keys"] {
            fs::create_dir_all(ssl.join(folder))?;
        }
        self.sign(certname)?;
        fs::copy(self.scratch.join("ca.pem"), ssl.join("certs/ca.pem"))?;
        fs::copy(self.scratch.join("crl.pem"), ssl.join("crl.pem"))?;
        Ok(ssl)
    }

    /// A new key and certificate in the place of the old ones.
    pub fn sign(&self, certname: &str) -> Result<()> {
        self.run(&format!("genrsa -traditional -out {certname}.key 2048"))?;
        self.run_with(
            &format!("req -new -key {certname}.key -out {certname}.csr -subj"),
            &[&format!("/CN={certname}")],
        )?;
        self.run(&format!(
            "ca -batch -notext -config settings -extensions host -in {certname}.csr -out {certname}.crt"
        ))?;
        let ssl = self.ssl(certname);
        put(
            &self.scratch.join(&format!("{certname}.key")),
            &ssl.join(format!("private_keys/{certname}.pem")),
        )?;
        put(&self.scratch.join(&format!("{certname}.crt")), &ssl.join(format!("certs/{certname}.pem")))
    }

    /// Revokes a host and hands the new list to `holder`, as Puppet does with its own host.
    pub fn revoke(&self, certname: &str, holder: &str) -> Result<()> {
        self.revoke_at_the_authority(certname)?;
        put(&self.scratch.join("crl.pem"), &self.ssl(holder).join("crl.pem"))
    }

    /// Revokes a host; nobody is told, as with old Puppets.
    pub fn revoke_at_the_authority(&self, certname: &str) -> Result<()> {
        self.run(&format!("ca -batch -config settings -revoke {certname}.crt"))?;
        self.publish()
    }

    /// Hands `holder` a list that should have been replaced so many days ago.
    pub fn publish_expired(&self, days_ago: i64, holder: &str) -> Result<()> {
        let at = |days| (Timestamp::now() - SignedDuration::from_hours(24 * days)).strftime("%Y%m%d%H%M%SZ");
        let (made, until) = (at(days_ago.max(0) + 30), at(days_ago));
        self.run(&format!(
            "ca -batch -config settings -gencrl -crl_lastupdate {made} -crl_nextupdate {until} -out crl.pem"
        ))?;
        put(&self.scratch.join("crl.pem"), &self.ssl(holder).join("crl.pem"))
    }

    /// The authority's own list of what is revoked.
    pub fn list(&self) -> PathBuf {
        self.scratch.join("crl.pem")
    }

    /// The `ssl` folder of a host.
    pub fn ssl(&self, certname: &str) -> PathBuf {
        self.scratch.join(&format!("hosts/{certname}"))
    }

    fn publish(&self) -> Result<()> {
        self.run("ca -batch -config settings -gencrl -out crl.pem")
    }

    fn run(&self, words: &str) -> Result<()> {
        self.run_with::<&str>(words, &[])
    }

    fn run_with<A: AsRef<OsStr>>(&self, words: &str, more: &[A]) -> Result<()> {
        let mut command = Command::new(&self.openssl);
        command.args(words.split_whitespace()).args(more).current_dir(self.scratch.path());
        let output = output_of(&mut command, LIMIT)?;
        if !output.status.success() {
            bail!("openssl {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// In one step, as Puppet replaces files, and for nobody else to read.
fn put(from: &Path, to: &Path) -> Result<()> {
    let draft = to.with_extension("new");
    fs::copy(from, &draft)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
    Ok(fs::rename(draft, to)?)
}
