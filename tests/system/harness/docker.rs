//! A Docker Engine of our own: `dockerd` with its data, socket and containerd in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::machine::{needs_built, needs_program, needs_root};
use super::process::{Daemon, output_of, run};
use super::scratch::Scratch;

/// The image every daemon has from the start: busybox, two megabytes.
pub const TEST_IMAGE: &str = "millwright/busybox:latest";

/// What the engine has no use for: Kubernetes' side, and additions in `/opt`.
const PLUGINS: &str = r#""io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt""#;
const START_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A running engine. Containers share the host's network or have none, so that daemons do not meet in it.
#[derive(Debug)]
pub struct DockerDaemon {
    // Declared before the folder, because fields are dropped in this order.
    daemon: Daemon,
    containerd: Daemon,
    client: PathBuf,
    programs: Programs,
    scratch: Scratch,
}

#[derive(Debug)]
struct Programs {
    dockerd: PathBuf,
    containerd: PathBuf,
}

impl DockerDaemon {
    /// Starts an engine that knows one image, [`TEST_IMAGE`]. Takes about half a second.
    pub fn start() -> Result<Self> {
        needs_root("start Docker")?;
        let programs = Programs {
            dockerd: needs_program("dockerd", "docker.io")?,
            containerd: needs_program("containerd", "containerd")?,
        };
        let client = needs_program("docker", "docker.io")?;
        let image = needs_built("busybox.tar")?;
        let scratch = Scratch::new("docker")?;
        let (containerd, daemon) = programs.spawn(&scratch)?;
        let mut docker = Self { daemon, containerd, client, programs, scratch };
        docker.wait_ready()?;
        docker.cli(&["import", "--change", "CMD [\"sh\"]", &image.display().to_string(), TEST_IMAGE])?;
        Ok(docker)
    }

    /// The Unix socket of the API.
    pub fn socket(&self) -> PathBuf {
        socket(&self.scratch)
    }

    /// The socket as the address that `docker -H` and bollard take.
    pub fn address(&self) -> String {
        address(&self.scratch)
    }

    /// Process id of `dockerd`.
    pub fn pid(&self) -> i32 {
        self.daemon.pid()
    }

    /// Runs the `docker` command line against this engine and returns what it printed.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        run(self.command().args(arguments), COMMAND_LIMIT)
    }

    /// Whether the engine answers within a second.
    pub fn answers(&self) -> bool {
        let ping = output_of(self.command().args(["ps", "-q"]), Duration::from_secs(1));
        ping.is_ok_and(|output| output.status.success())
    }

    /// Starts a container in the background, on the host's network, and returns its id.
    pub fn run(&self, name: &str, image: &str, command: &[&str]) -> Result<String> {
        // Init, because a shell as the first process of a container ignores the request to stop.
        let mut arguments = vec!["run", "--detach", "--init", "--network", "host", "--name", name, image];
        arguments.extend(command);
        self.cli(&arguments)
    }

    /// Stops a container, which stays in the list as exited.
    pub fn stop_container(&self, name: &str) -> Result<()> {
        self.cli(&["stop", "--time", "1", name]).map(drop)
    }

    /// Removes a container, running or not.
    pub fn remove_container(&self, name: &str) -> Result<()> {
        self.cli(&["rm", "--force", name]).map(drop)
    }

    /// Makes a new image of about `mebibytes`, like no other: its content is random, so it cannot be compressed either.
    pub fn make_image(&self, name: &str, mebibytes: u32) -> Result<()> {
        let fill = format!("head -c {} /dev/urandom >/filler", u64::from(mebibytes) * 1024 * 1024);
        let container = format!("make-{}", name.replace(['/', ':'], "-"));
        self.cli(&["run", "--network", "none", "--name", &container, TEST_IMAGE, "sh", "-c", &fill])?;
        self.cli(&["commit", &container, name])?;
        self.remove_container(&container)
    }

    /// Gives an image another name; names that end in `:latest` may leave it out.
    pub fn tag(&self, image: &str, name: &str) -> Result<()> {
        self.cli(&["tag", image, name]).map(drop)
    }

    /// Makes the engine hang: its socket still accepts, and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.daemon.pause()
    }

    /// Ends the pause.
    pub fn resume(&self) -> Result<()> {
        self.daemon.signal(Signal::SIGCONT)
    }

    /// Stops the engine and with it all containers. The images stay.
    pub fn stop(&mut self) {
        let _ = self.resume();
        // The engine would grant each container its ten seconds.
        if let Ok(containers) = self.cli(&["ps", "-q"])
            && !containers.is_empty()
        {
            let _ = run(self.command().arg("kill").args(containers.lines()), COMMAND_LIMIT);
        }
        self.daemon.stop();
        self.containerd.stop();
    }

    /// Starts it again after `stop`.
    pub fn start_again(&mut self) -> Result<()> {
        (self.containerd, self.daemon) = self.programs.spawn(&self.scratch)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let (client, address) = (self.client.clone(), self.address());
        self.daemon.wait_for("Docker's answer", START_LIMIT, || {
            let version =
                output_of(client_command(&client, &address).arg("version"), Duration::from_secs(10));
            version.is_ok_and(|output| output.status.success()).then_some(())
        })
    }

    fn command(&self) -> Command {
        client_command(&self.client, &self.address())
    }
}

impl Drop for DockerDaemon {
    fn drop(&mut self) {
        self.stop();
    }
}

fn socket(scratch: &Scratch) -> PathBuf {
    scratch.join("docker.sock")
}

fn address(scratch: &Scratch) -> String {
    format!("unix://{}", socket(scratch).display())
}

fn client_command(client: &Path, address: &str) -> Command {
    let mut command = Command::new(client);
    command.args(["-H", address]);
    command
}

impl Programs {
    /// A containerd of our own too: the engine would take the system's where there is one, and leave traces in it.
    fn spawn(&self, scratch: &Scratch) -> Result<(Daemon, Daemon)> {
        let socket = scratch.join("containerd.sock");
        let folder = |name: &str| scratch.join("containerd").join(name);
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [{PLUGINS}]\n[grpc]\naddress = {socket:?}\n",
            folder("root"),
            folder("state"),
        );
        let config = scratch.write("containerd.toml", &config)?;
        let mut command = Daemon::leashed(&self.containerd);
        // Without it the engine cannot end its containers.
        command.env("LEASH_AFTER", scratch.join("docker.pid")).arg("--config").arg(config);
        let containerd = Daemon::start("containerd", &mut command, &scratch.join("containerd.log"))?;

        // It waits for its containerd by itself.
        let mut command = Daemon::leashed(&self.dockerd);
        command
            .arg("--containerd")
            .arg(socket)
            .arg("--host")
            .arg(address(scratch))
            .arg("--data-root")
            .arg(scratch.join("data"))
            .arg("--exec-root")
            .arg(scratch.join("exec"))
            .arg("--pidfile")
            .arg(scratch.join("docker.pid"))
            // No bridge and no firewall rules: those are the machine's, not ours.
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--shutdown-timeout=2"]);
        let daemon = Daemon::start("dockerd", &mut command, &scratch.join("dockerd.log"))?;
        Ok((containerd, daemon))
    }
}
