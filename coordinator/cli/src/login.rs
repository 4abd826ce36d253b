//! Having a name: `millwright login`, `logout` and `whoami`.

use crate::{
    client::{Client, Server},
    credentials::{Credentials, Entry, path},
    output::{Output, Tone, clean},
};
use anyhow::{Context, Result, bail};
use millwright_coordinator::view::MeView;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Takes a token from the terminal, or as a line of standard input, asks the coordinator about it, and keeps it.
pub async fn login(server: Server, ca: Option<PathBuf>, output: &Output) -> Result<ExitCode> {
    let Some(path) = path() else {
        bail!("keep a token: neither HOME nor XDG_CONFIG_HOME says where; set MILLWRIGHT_TOKEN instead");
    };
    let before = Credentials::read(Some(&path))?;
    let token = read_token(&server)?;
    if token.is_empty() {
        bail!(
            "no token was given; one begins with mwt_, and an administrator makes it with `millwright token make`"
        );
    }
    let client = Client::new(server.clone(), Some(token.clone()), ca.as_deref())?;
    let me: MeView = client.get("/api/v1/me", &[]).await?;
    let ca = ca.map(|ca| std::path::absolute(&ca)).transpose().context("name the file of --ca as a whole")?;
    before.keep(&path, &server, Entry { token, ca })?;
    output.line(format!("{} is asked from now on; its token is in {}", server, path.display()))?;
    print(output, &me)?;
    Ok(ExitCode::SUCCESS)
}

/// Forgets the token. It stays good wherever else it is.
pub fn logout(server: &Server, output: &Output) -> Result<ExitCode> {
    let had = match path() {
        Some(path) => Credentials::read(Some(&path))?.forget(&path, server)?,
        None => false,
    };
    output.line(match had {
        true => {
            format!("the token for {server} is forgotten here; `millwright token revoke` ends it everywhere")
        }
        false => format!("there is no token for {server} here"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Who the coordinator takes us for.
pub async fn whoami(client: &Client, output: &Output, json: bool) -> Result<ExitCode> {
    let answer: serde_json::Value = client.get("/api/v1/me", &[]).await?;
    if json {
        output.json(&answer)?;
    } else {
        print(output, &serde_json::from_value(answer)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(output: &Output, me: &MeView) -> Result<()> {
    lines(output, me).into_iter().try_for_each(|line| output.line(line))
}

fn lines(output: &Output, me: &MeView) -> Vec<String> {
    let may = if me.rights.is_empty() { "nothing".to_owned() } else { me.rights.join(", ") };
    let Some(name) = &me.name else {
        return vec![format!("nobody in particular: may {may}; `millwright login` gives you a name")];
    };
    let name = output.tone(Tone::Strong, name);
    let how = match (me.how.as_str(), &me.token) {
        (_, Some(token)) => {
            format!("the token {} ({}), good until {:.0}", token.id, token.label, token.expires_at)
        }
        ("root", None) => "root on the coordinator's host".to_owned(),
        (how, None) => how.to_owned(),
    };
    vec![clean(&format!("{name}: may {may}")), clean(&format!("  known by {how}"))]
}

/// A line, without showing it where somebody types it.
fn read_token(server: &Server) -> Result<String> {
    let stdin = io::stdin();
    let mut line = String::new();
    if !stdin.is_terminal() {
        stdin.lock().read_line(&mut line).context("read the token from standard input")?;
        return Ok(line.trim().to_owned());
    }
    write!(io::stderr(), "Your token for {server} (it is not shown): ")?;
    let before = tcgetattr(&stdin).context("switch the terminal's echo off")?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent).context("switch the terminal's echo off")?;
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).context("switch the terminal's echo on again")?;
    writeln!(io::stderr())?;
    read.context("read the token from the terminal")?;
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_hears_who_they_are_and_nobody_how_to_be_somebody() {
        let me = |name: Option<&str>, how: &str, rights: &[&str]| MeView {
            name: name.map(str::to_owned),
            how: how.to_owned(),
            rights: rights.iter().map(|right| (*right).to_owned()).collect(),
            token: None,
        };
        let output = Output::plain();
        assert_eq!(
            lines(&output, &me(Some("root"), "root", &["admin"])),
            ["root: may admin", "  known by root on the coordinator's host"]
        );
        let nobody = lines(&output, &me(None, "nobody", &["view"])).concat();
        assert!(nobody.contains("may view") && nobody.contains("millwright login"), "{nobody}");
    }
}
