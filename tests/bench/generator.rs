//! The process that plays many agents, as the bench talks to it.

use crate::{
    agents::Kind,
    authority::Authority,
    programs::{bench, on_processor},
};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

/// It runs, and ends with this.
pub struct Generator {
    child: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Generator {
    /// Starts it on the other processor and returns once every agent is connected.
    pub fn start(kind: Kind, port: u16, nodes: u32, authority: &Authority) -> Result<Self> {
        let mut command = on_processor(1, &bench()?);
        let kind = kind.to_possible_value().context("name the kind")?;
        command.args(["agents", "--kind", kind.get_name(), "--port", &port.to_string()]);
        command.args(["--nodes", &nodes.to_string(), "--authority"]).arg(authority.folder());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let told = child.stdin.take().context("talk to the generator")?;
        let says = BufReader::new(child.stdout.take().context("listen to the generator")?);
        let mut generator = Self { child, told, says };
        let word = generator.line()?;
        if word != "ready" {
            bail!("start agents: they said {word:?}");
        }
        Ok(generator)
    }

    /// Tells it something.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.told, "{line}").context("talk to the generator")
    }

    /// What came of it.
    pub fn outcome<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("read an outcome: {line:?}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
