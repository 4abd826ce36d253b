//! The programs people run on a node today, each set up to look at about what our agent looks at, every ten seconds.

use crate::{
    lab::harness::Scratch,
    line::say,
    programs::{answers, find, free_port},
    watched::Watched,
};
use anyhow::Result;
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

/// A peer, and how it is asked for what it knows, once each cycle.
pub struct Peer {
    /// The program.
    pub watched: Watched,
    /// A scrape or a query; nothing for those that work by themselves.
    pub ask: Box<dyn Fn()>,
}

/// Starts those that are installed. `http` is a server they may look at too.
pub fn start_all(scratch: &Scratch, http: u16) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (program, start) in [
        ("collectd", collectd as fn(&Path, &Scratch, u16) -> Result<Peer>),
        ("monit", monit),
        ("zabbix_agent2", zabbix),
        ("prometheus-node-exporter", node_exporter),
    ] {
        match find(program) {
            Some(path) => peers.push(start(&path, scratch, http)?),
            None => say(format_args!("without {program}: not installed (tests/bench/install.sh)")),
        }
    }
    Ok(peers)
}

fn node_exporter(program: &Path, scratch: &Scratch, _: u16) -> Result<Peer> {
    let port = free_port()?;
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut watched = Watched::start("node_exporter", &command, scratch.path())?;
    watched.wait_for("its port", || answers(port))?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    Ok(Peer { watched, ask: Box::new(move || talk(port, request)) })
}

fn monit(program: &Path, scratch: &Scratch, http: u16) -> Result<Peer> {
    let folder = scratch.make("monit")?.display().to_string();
    let file = scratch.write(
        "monitrc",
        &format!(
            "set daemon 10\nset logfile {folder}/log\nset pidfile {folder}/pid\nset idfile {folder}/id\n\
             set statefile {folder}/state\n\
             check system bench\n  if loadavg (5min) > 1000 then alert\n  if memory usage > 99% then alert\n\
             check filesystem root with path /\n  if space usage > 99% then alert\n  if inode usage > 99% then alert\n\
             check filesystem temporary with path /tmp\n  if space usage > 99% then alert\n\
             check process docker with matching dockerd\n\
             check host mesos with address 127.0.0.1\n  if failed port {http} protocol http request \"/health\" then alert\n\
             check file certificate with path /etc/ssl/certs/ca-certificates.crt\n  if failed checksum then alert\n"
        ),
    )?;
    // It reads nothing that others could have written.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let mut command = Command::new(program);
    command.args(["-I", "-c"]).arg(file);
    Ok(Peer { watched: Watched::start("monit", &command, scratch.path())?, ask: Box::new(|| ()) })
}

fn collectd(program: &Path, scratch: &Scratch, _: u16) -> Result<Peer> {
    let folder = scratch.make("collectd")?.display().to_string();
    let plugins = ["cpu", "df", "disk", "interface", "load", "memory", "processes", "swap", "uptime", "csv"];
    let load: String = plugins.iter().map(|plugin| format!("LoadPlugin {plugin}\n")).collect();
    let file = scratch.write(
        "collectd.conf",
        &format!(
            "Hostname \"bench\"\nBaseDir \"{folder}\"\nPIDFile \"{folder}/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\n\
             Interval 10\n{load}<Plugin csv>\n  DataDir \"{folder}/csv\"\n</Plugin>\n"
        ),
    )?;
    let mut command = Command::new(program);
    command.args(["-f", "-C"]).arg(file);
    Ok(Peer { watched: Watched::start("collectd", &command, scratch.path())?, ask: Box::new(|| ()) })
}

fn zabbix(program: &Path, scratch: &Scratch, _: u16) -> Result<Peer> {
    let port = free_port()?;
    let folder = scratch.make("zabbix")?.display().to_string();
    let file = scratch.write(
        "zabbix_agent2.conf",
        &format!(
            "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nLogType=console\nHostname=bench\n\
             PluginSocket={folder}/plugin.sock\nControlSocket={folder}/agent.sock\n"
        ),
    )?;
    let mut command = Command::new(program);
    command.args(["-f", "-c"]).arg(file);
    let mut watched = Watched::start("zabbix_agent2", &command, scratch.path())?;
    watched.wait_for("its port", || answers(port))?;
    let keys = [
        "system.cpu.load[all,avg5]",
        "vm.memory.size[available]",
        "vfs.fs.size[/,pused]",
        "vfs.fs.inode[/,pused]",
        "proc.num[]",
        "system.uptime",
        "net.if.in[lo]",
    ];
    let requests = keys.map(|key| {
        let mut request = b"ZBXD\x01".to_vec();
        request.extend((key.len() as u64).to_le_bytes());
        request.extend(key.as_bytes());
        request
    });
    Ok(Peer { watched, ask: Box::new(move || requests.iter().for_each(|request| talk(port, request))) })
}

/// Sends a request and reads the answer to its end, whatever it says.
fn talk(port: u16, request: &[u8]) {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let mut answer = Vec::new();
    let _ = stream.write_all(request).and_then(|()| stream.read_to_end(&mut answer));
}
