//! The site's front end: a real Apache that has people sign in and passes them on to the coordinator's Unix socket.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::http::get;
use super::machine::{needs_program, needs_root};
use super::ports::free_port;
use super::process::{Daemon, run};
use super::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);
/// The user under which it works, that Debian has for web servers.
pub const USER: &str = "www-data";

/// A running Apache.
#[derive(Debug)]
pub struct Front {
    url: String,
    _daemon: Daemon,
    _scratch: Scratch,
}

impl Front {
    /// Starts one in front of a coordinator; `jane` signs in with the password `secret`.
    pub fn start(socket: &Path) -> Result<Self> {
        needs_root("have Apache work as another user")?;
        let apache = needs_program("apache2", "apache2-bin")?;
        let scratch = Scratch::new("apache")?;
        let port = free_port()?;
        let hash = run(Command::new("openssl").args(["passwd", "-apr1", "secret"]), LIMIT)?;
        let users = scratch.write("users", &format!("jane:{hash}\n"))?;
        let modules: Vec<String> = [
            "mpm_event",
            "authn_core",
            "authn_file",
            "authz_core",
            "authz_user",
            "auth_basic",
            "headers",
            "proxy",
            "proxy_http",
        ]
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
        let folder = scratch.path().display();
        // The four lines about headers and the proxy stand in the manual as well (packaging/manual/people.md).
        let config = format!(
            "{}ServerName localhost\nListen 127.0.0.1:{port}\nUser {USER}\nGroup {USER}\nServerRoot {folder}\n\
             PidFile {folder}/pid\nErrorLog {folder}/error.log\nMutex file:{folder}\n\
             <Location />\nAuthType Basic\nAuthName site\nAuthUserFile {}\nRequire valid-user\n</Location>\n\
             RequestHeader unset X-Remote-User\nRequestHeader unset X-Remote-Groups\n\
             RequestHeader set X-Remote-User expr=%{{REMOTE_USER}}\n\
             ProxyPass / unix:{}|http://localhost/\n",
            modules.concat(),
            users.display(),
            socket.display()
        );
        let config = scratch.write("apache.conf", &config)?;
        for path in [scratch.path(), socket.parent().context("find the folder of the socket")?] {
            run(Command::new("chmod").arg("o+x").arg(path), LIMIT)?;
        }
        run(Command::new("chmod").arg("o+r").arg(&users), LIMIT)?;
        let mut command = Daemon::leashed(&apache);
        command.arg("-f").arg(config).args(["-D", "FOREGROUND"]);
        let mut daemon = Daemon::start("apache2", &mut command, &scratch.join("error.log"))?;
        let url = format!("http://127.0.0.1:{port}");
        daemon.wait_for("its answer", LIMIT, || get(&url).ok())?;
        Ok(Self { url, _daemon: daemon, _scratch: scratch })
    }

    /// Where people come in, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same for Jane, who has signed in.
    pub fn url_for_jane(&self) -> String {
        self.url.replacen("http://", "http://jane:secret@", 1)
    }
}
