//! A ZooKeeper ensemble of three, of which single members can be stopped.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine::needs_program;
use super::ports::free_port;
use super::process::Daemon;
use super::scratch::Scratch;

/// Every jar of Debian's folder; the server finds among them what it needs.
const CLASSES: &str = "/usr/share/java/*";
const SERVER: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// Three servers on one machine; they are called 1, 2 and 3.
#[derive(Debug)]
pub struct ZooKeeperEnsemble {
    members: Vec<Member>,
    scratch: Scratch,
}

#[derive(Debug)]
struct Member {
    number: usize,
    client: u16,
    daemon: Option<Daemon>,
}

impl ZooKeeperEnsemble {
    /// Starts all three and waits until one leads and two follow. Takes some seconds: three Javas start.
    pub fn start() -> Result<Self> {
        needs_program("java", "default-jre-headless")?;
        if !std::path::Path::new("/usr/share/java/zookeeper.jar").exists() {
            bail!("needs zookeeper.jar (Debian package zookeeper; tests/lab/install.sh installs it)");
        }
        let scratch = Scratch::new("zookeeper")?;
        let mut servers = String::new();
        for number in 1..=3 {
            servers += &format!("server.{number}=127.0.0.1:{}:{}\n", free_port()?, free_port()?);
        }
        let mut members = Vec::new();
        for number in 1..=3 {
            let client = free_port()?;
            let folder = scratch.make(&format!("member-{number}"))?;
            scratch.write(&format!("member-{number}/myid"), &number.to_string())?;
            let config = format!(
                "dataDir={}\nclientPort={client}\nclientPortAddress=127.0.0.1\ntickTime=500\ninitLimit=20\nsyncLimit=10\n\
                 admin.enableServer=false\n4lw.commands.whitelist=*\n{servers}",
                folder.display()
            );
            scratch.write(&format!("member-{number}.cfg"), &config)?;
            members.push(Member { number, client, daemon: None });
        }
        let mut ensemble = Self { members, scratch };
        for member in &mut ensemble.members {
            member.launch(&ensemble.scratch)?;
        }
        for member in &mut ensemble.members {
            member.wait_serving()?;
        }
        Ok(ensemble)
    }

    /// Where clients reach a member.
    pub fn address(&self, number: usize) -> Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, self.member(number)?.client)))
    }

    /// `leader`, `follower`, or `None` when it does not serve: stopped, or without a majority.
    pub fn mode(&self, number: usize) -> Result<Option<String>> {
        Ok(self.member(number)?.mode())
    }

    /// The answer to a four-letter word such as `mntr`.
    pub fn ask(&self, number: usize, word: &str) -> Result<String> {
        self.member(number)?.ask(word)
    }

    /// Stops a member.
    pub fn stop(&mut self, number: usize) -> Result<()> {
        self.member_mut(number)?.daemon = None;
        Ok(())
    }

    /// Takes everything a stopped member has written, as a new disk would.
    pub fn wipe(&mut self, number: usize) -> Result<()> {
        let data = self.scratch.join(&format!("member-{number}/version-2"));
        std::fs::remove_dir_all(&data).with_context(|| format!("wipe {}", data.display()))
    }

    /// Starts a stopped member again and waits until it serves.
    pub fn start_again(&mut self, number: usize) -> Result<()> {
        let place = self.place(number)?;
        if let Some(member) = self.members.get_mut(place) {
            member.launch(&self.scratch)?;
            member.wait_serving()?;
        }
        Ok(())
    }

    fn place(&self, number: usize) -> Result<usize> {
        let place = self.members.iter().position(|member| member.number == number);
        place.with_context(|| format!("find member {number}: there are 1, 2 and 3"))
    }

    fn member(&self, number: usize) -> Result<&Member> {
        self.members.get(self.place(number)?).context("find the member")
    }

    fn member_mut(&mut self, number: usize) -> Result<&mut Member> {
        let place = self.place(number)?;
        self.members.get_mut(place).context("find the member")
    }
}

impl Member {
    fn launch(&mut self, scratch: &Scratch) -> Result<()> {
        let name = format!("ZooKeeper {}", self.number);
        let mut command = Daemon::leashed(&needs_program("java", "default-jre-headless")?);
        command
            // Quick to start and small, since three of them share the machine with everything else.
            .args([
                "-Xmx64m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-XX:-UsePerfData",
                "-cp",
                CLASSES,
                SERVER,
            ])
            .arg(scratch.join(&format!("member-{}.cfg", self.number)));
        let log = scratch.join(&format!("member-{}.log", self.number));
        self.daemon = Some(Daemon::start(&name, &mut command, &log)?);
        Ok(())
    }

    fn wait_serving(&mut self) -> Result<()> {
        let client = self.client;
        let Some(daemon) = self.daemon.as_mut() else {
            bail!("wait for member {}: it is stopped", self.number)
        };
        daemon.wait_for("the ensemble's majority", Duration::from_secs(60), || mode_at(client).map(drop))
    }

    fn mode(&self) -> Option<String> {
        mode_at(self.client)
    }

    fn ask(&self, word: &str) -> Result<String> {
        ask_at(self.client, word).with_context(|| format!("ask member {} for {word}", self.number))
    }
}

fn mode_at(port: u16) -> Option<String> {
    let answer = ask_at(port, "srvr").ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}

fn ask_at(port: u16, word: &str) -> Result<String> {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
