//! The running cloud of `up.sh`, as its own user sees it and as whoever runs its services can break it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::system::harness::Scratch;

/// Its project; the space is on purpose.
pub const PROJECT: &str = "ALICE CI";
/// Stories change its delays one at a time.
static BEHAVIOUR: Mutex<()> = Mutex::new(());

/// The lab.
pub struct Lab {
    folder: PathBuf,
}

/// What the story wants to know of a server.
#[derive(Debug)]
pub struct Server {
    pub id: String,
    pub status: String,
    pub image: String,
    /// What its lock says; empty without one.
    pub lock: String,
}

impl Lab {
    /// The one that is up.
    pub fn find() -> Result<Self> {
        let folder =
            std::env::var_os("OPENSTACK_LAB").context("set OPENSTACK_LAB, or say `make test-openstack`")?;
        let folder = PathBuf::from(folder);
        ensure!(folder.join("clouds.yaml").exists(), "{} has no running lab", folder.display());
        Ok(Self { folder })
    }

    /// The section of coordinator.toml, with the secrets in files of their own.
    pub fn config(&self, secrets: &Scratch) -> Result<String> {
        let keep = |name: &str, secret: &str| -> Result<String> {
            let path = secrets.write(name, secret)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(path.display().to_string())
        };
        let credential = self.folder.join("state/appcred.json");
        let credential: Value = serde_json::from_str(&fs::read_to_string(credential)?)?;
        let (id, secret) = (&credential["id"], credential["secret"].as_str().context("find the secret")?);
        Ok(format!(
            "[openstack]\nauth_url = \"{}\"\nregion = \"cern\"\nprojects = [{PROJECT:?}]\n\
             application_credential = {id}\nsecret_file = {:?}\ntimeout = \"8s\"\n\
             [openstack.delete]\nuser = \"alibuild\"\nsecret_file = {:?}\n",
            self.address()?,
            keep("secret", secret)?,
            keep("delete-secret", "lab-alibuild")?,
        ))
    }

    fn address(&self) -> Result<String> {
        let clouds = fs::read_to_string(self.folder.join("clouds.yaml"))?;
        let line = clouds.lines().find_map(|line| line.trim().strip_prefix("auth_url: "));
        Ok(line.context("find auth_url in clouds.yaml")?.to_owned())
    }

    /// Runs the command line of OpenStack and returns what it prints.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("openstack")
            .env("OS_CLIENT_CONFIG_FILE", self.folder.join("clouds.yaml"))
            .args(["--os-cloud", "lab", "--os-compute-api-version", "2.79"])
            .args(arguments)
            .output()
            .context("run openstack")?;
        if !output.status.success() {
            bail!("openstack {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let said = self.cli(&[arguments, &["-f", "json"]].concat())?;
        serde_json::from_str(&said).with_context(|| format!("read {said}"))
    }

    /// The one server of that name.
    pub fn server(&self, name: &str) -> Result<Server> {
        let seen = self.ask(&["server", "show", name])?;
        let text = |key: &str| seen[key].as_str().unwrap_or_default().to_owned();
        Ok(Server {
            id: text("id"),
            status: text("status"),
            // As `NAME (ID)`.
            image: text("image").rsplit('(').next().unwrap_or_default().trim_end_matches(')').to_owned(),
            lock: text("locked_reason"),
        })
    }

    /// How often that was done to a server, by Nova's log.
    pub fn actions(&self, server: &str, word: &str) -> Result<usize> {
        let log = self.ask(&["server", "event", "list", server])?;
        let events = log.as_array().context("find the events")?;
        Ok(events.iter().filter(|event| event["Action"] == word).count())
    }

    /// The id of an image.
    pub fn image(&self, name: &str) -> Result<String> {
        let image = self.ask(&["image", "show", name])?;
        Ok(image["id"].as_str().context("find the image's id")?.to_owned())
    }

    /// The id of a volume, where there is one of that name.
    pub fn volume(&self, name: &str) -> Result<Option<String>> {
        let volumes = self.ask(&["volume", "list"])?;
        let found = volumes.as_array().context("find the volumes")?.iter().find(|one| one["Name"] == name);
        Ok(found.and_then(|one| one["ID"].as_str()).map(str::to_owned))
    }

    /// Makes a second server of that name, and returns its id.
    pub fn twin(&self, name: &str) -> Result<String> {
        let made = self.ask(&[
            "server",
            "create",
            "--image",
            "ALMA9 - x86_64",
            "--flavor",
            "m2.small",
            "--nic",
            "none",
            "--wait",
            name,
        ])?;
        Ok(made["id"].as_str().context("find the twin's id")?.to_owned())
    }

    /// A service stops answering, as one that hangs.
    pub fn halt(&self, service: &str) -> Result<()> {
        self.signal(service, Signal::SIGSTOP)
    }

    /// It goes on.
    pub fn go_on(&self, service: &str) -> Result<()> {
        self.signal(service, Signal::SIGCONT)
    }

    fn signal(&self, service: &str, signal: Signal) -> Result<()> {
        let file = self.folder.join(format!("run/{service}.pid"));
        let pid: i32 =
            fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?.trim().parse()?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("send {signal} to {service}"))
    }

    /// From now on the hypervisors take so many seconds for that.
    pub fn takes(&self, what: &str, seconds: u32) -> Result<()> {
        let _one = BEHAVIOUR.lock();
        let text = json!({ "delay": { what: seconds }, "fail": {} }).to_string();
        fs::write(self.folder.join("state/behaviour.json"), text).context("write how the hypervisors behave")
    }
}
