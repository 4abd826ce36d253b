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
use super::visitor::address;

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
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
";
const NAME: &str = "/CN=Puppet CA: puppet.lab.test";

/// One authority and the hosts it has signed.
#[derive(Debug)]
pub struct Pki {
    openssl: PathBuf,
    scratch: Scratch,
}

impl Pki {
    /// A new authority that has signed nobody.
    pub fn new() -> Result<Self> {
        let pki = Self::prepare()?;
        pki.run_with("req -x509 -new -key ca_key.pem -days 3650 -out ca.pem -subj", &[NAME])?;
        fs::copy(pki.scratch.join("ca.pem"), pki.scratch.join("trusted.pem"))?;
        pki.publish("")?;
        Ok(pki)
    }

    /// A new authority that another one has signed, as Puppet 6 and newer make them.
    pub fn below_another() -> Result<Self> {
        let pki = Self::prepare()?;
        pki.run("genrsa -out root_key.pem 2048")?;
        pki.run_with(
            "req -x509 -new -key root_key.pem -days 3650 -out root.pem -subj",
            &["/CN=Puppet Root CA"],
        )?;
        pki.run_with("req -new -key ca_key.pem -out ca.csr -subj", &[NAME])?;
        pki.run(
            "x509 -req -in ca.csr -CA root.pem -CAkey root_key.pem -CAcreateserial -days 3650 -extfile settings \
             -extensions authority -out ca.pem",
        )?;
        pki.run("ca -batch -config settings -cert root.pem -keyfile root_key.pem -gencrl -out root_crl.pem")?;
        pki.join(&["ca.pem", "root.pem"], "trusted.pem")?;
        pki.publish("")?;
        Ok(pki)
    }

    fn prepare() -> Result<Self> {
        let openssl = needs_program("openssl", "openssl")?;
        let pki = Self { openssl, scratch: Scratch::new("pki")? };
        for (name, text) in
            [("settings", SETTINGS), ("index.txt", ""), ("serial", "01\n"), ("crlnumber", "01\n")]
        {
            pki.scratch.write(name, text)?;
        }
        pki.run("genrsa -traditional -out ca_key.pem 2048")?;
        Ok(pki)
    }

    /// Signs a host and returns its `ssl` folder, as Puppet would fill it on that host.
    pub fn host(&self, certname: &str) -> Result<PathBuf> {
        let ssl = self.ssl(certname);
        for folder in ["certs", "private_keys"] {
            fs::create_dir_all(ssl.join(folder))?;
        }
        self.sign(certname)?;
        fs::copy(self.scratch.join("trusted.pem"), ssl.join("certs/ca.pem"))?;
        fs::copy(self.list(), ssl.join("crl.pem"))?;
        Ok(ssl)
    }

    /// A new key and certificate in the place of the old ones.
    pub fn sign(&self, certname: &str) -> Result<()> {
        self.issue(certname, "pkcs1", "")
    }

    /// The same with a key in this form: `pkcs1`, `pkcs8` or `sec1`.
    pub fn sign_with_key(&self, certname: &str, form: &str) -> Result<()> {
        self.issue(certname, form, "")
    }

    /// The same, good from one hour to another, counted from now.
    pub fn sign_between(&self, certname: &str, from: i64, until: i64) -> Result<()> {
        let at = |hours| stamp(Timestamp::now() + SignedDuration::from_hours(hours));
        self.issue(certname, "pkcs1", &format!("-startdate {} -enddate {}", at(from), at(until)))
    }

    /// The same, good for so many seconds.
    pub fn sign_for_seconds(&self, certname: &str, seconds: i64) -> Result<()> {
        let until = stamp(Timestamp::now() + SignedDuration::from_secs(seconds));
        self.issue(certname, "pkcs1", &format!("-enddate {until}"))
    }

    /// A certificate that nobody but the host itself has signed, in the place of the old one.
    pub fn self_sign(&self, certname: &str) -> Result<()> {
        self.run(&format!(
            "x509 -req -in {certname}.csr -signkey {certname}.key -days 30 -extfile settings -extensions host -out {certname}.crt"
        ))?;
        self.hand_out(certname)
    }

    /// Puts key and certificate of a host of this authority into the folder of the same host of another.
    pub fn lend(&self, certname: &str, other: &Self) -> Result<()> {
        for file in [format!("private_keys/{certname}.pem"), format!("certs/{certname}.pem")] {
            put(&self.ssl(certname).join(&file), &other.ssl(certname).join(&file))?;
        }
        Ok(())
    }

    fn issue(&self, certname: &str, form: &str, dates: &str) -> Result<()> {
        let key = match form {
            "pkcs1" => "genrsa -traditional -out KEY 2048",
            "pkcs8" => "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out KEY",
            "sec1" => "ecparam -name prime256v1 -genkey -noout -out KEY",
            other => bail!("{other} is no form of a key"),
        };
        self.run(&key.replace("KEY", &format!("{certname}.key")))?;
        let subject = format!("/CN={certname}");
        self.run_with(&format!("req -new -key {certname}.key -out {certname}.csr -subj"), &[subject])?;
        self.run(&format!(
            "ca -batch -notext -config settings -extensions host {dates} -in {certname}.csr -out {certname}.crt"
        ))?;
        self.hand_out(certname)
    }

    fn hand_out(&self, certname: &str) -> Result<()> {
        let ssl = self.ssl(certname);
        let (key, certificate) = (format!("{certname}.key"), format!("{certname}.crt"));
        put(&self.scratch.join(&key), &ssl.join(format!("private_keys/{certname}.pem")))?;
        put(&self.scratch.join(&certificate), &ssl.join(format!("certs/{certname}.pem")))
    }

    /// What `openssl s_client` says when it sends `request` to the address, with these further arguments.
    pub fn s_client(&self, url: &str, request: &str, arguments: &[&str]) -> Result<String> {
        let said = self.scratch.write("request", request)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" <\"$0\""]).arg(said).arg(&self.openssl);
        command.args(["s_client", "-ign_eof", "-connect", address(url)]).args(arguments);
        let output = output_of(&mut command, LIMIT)?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Revokes a host and hands the new list to `holder`, as Puppet does with its own host.
    pub fn revoke(&self, certname: &str, holder: &str) -> Result<()> {
        self.revoke_at_the_authority(certname)?;
        put(&self.scratch.join("crl.pem"), &self.ssl(holder).join("crl.pem"))
    }

    /// Revokes a host; nobody is told, as with old Puppets.
    pub fn revoke_at_the_authority(&self, certname: &str) -> Result<()> {
        self.run(&format!("ca -batch -config settings -revoke {certname}.crt"))?;
        self.publish("")
    }

    /// Hands `holder` a list that should have been replaced so many days ago.
    pub fn publish_expired(&self, days_ago: i64, holder: &str) -> Result<()> {
        let at = |days| stamp(Timestamp::now() - SignedDuration::from_hours(24 * days));
        let (made, until) = (at(days_ago.max(0) + 30), at(days_ago));
        self.publish(&format!("-crl_lastupdate {made} -crl_nextupdate {until}"))?;
        put(&self.list(), &self.ssl(holder).join("crl.pem"))
    }

    /// The authority's own list of what is revoked.
    pub fn list(&self) -> PathBuf {
        self.scratch.join("crl.pem")
    }

    /// The `ssl` folder of a host.
    pub fn ssl(&self, certname: &str) -> PathBuf {
        self.scratch.join(&format!("hosts/{certname}"))
    }

    /// Makes the list anew, in one step for whoever reads it.
    fn publish(&self, dates: &str) -> Result<()> {
        self.run(&format!("ca -batch -config settings -gencrl {dates} -out issued.pem"))?;
        let of_root = self.scratch.join("root_crl.pem").exists().then_some("root_crl.pem");
        let lists: Vec<&str> = ["issued.pem"].into_iter().chain(of_root).collect();
        self.join(&lists, "crl.new")?;
        Ok(fs::rename(self.scratch.join("crl.new"), self.list())?)
    }

    fn join(&self, files: &[&str], into: &str) -> Result<()> {
        let texts: Vec<Vec<u8>> =
            files.iter().map(|file| fs::read(self.scratch.join(file))).collect::<Result<_, _>>()?;
        Ok(fs::write(self.scratch.join(into), texts.concat())?)
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

/// A moment as `openssl ca` reads it.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%SZ").to_string()
}
