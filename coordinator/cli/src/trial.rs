//! `millwright try`: the whole thing on this machine. A folder, a policy, a coordinator, an agent; verdicts; nothing left.
//!
//! Nothing here waits for a while: it waits until the coordinator says that it is no longer warming up and knows this node,
//! or until a child ends, or until somebody wants to stop.

mod child;
mod files;
mod found;

use crate::{
    arguments::Trial,
    client::Client,
    page::{Look, Output, Page},
    show,
    verdict::Verdict,
};
use anyhow::{Context, anyhow, bail};
use child::Child;
use files::Files;
use found::Found;
use millwright_coordinator::{
    app::Announcement,
    view::{FleetView, NodeDetail},
};
use millwright_protocol::{NodeName, Status};
use serde_json::{Map, Value, json};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From one question to the coordinator to the next.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Two rounds of reports take 20 s; a machine this slow has another problem, and its logs say which.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs it.
pub async fn run(options: Trial, output: Output) -> anyhow::Result<ExitCode> {
    let mut wish = Wish::to_stop()?;
    let folder =
        tempfile::Builder::new().prefix("millwright-try-").tempdir().context("make a temporary folder")?;
    let found = Found::look().await;
    let files = Files::new(folder.path(), found)?;
    let mut pair = Pair::default();
    let outcome = tokio::select! {
        outcome = pair.perform(&files, &options, output) => outcome,
        () = wish.comes() => Ok(()),
    };
    pair.stop().await;
    if options.keep {
        let kept: PathBuf = folder.keep();
        crate::page::complain(&format!("kept {}", kept.display()));
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Somebody's wish to stop: Ctrl-C, a service manager, a terminal that closes.
struct Wish {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Wish {
    fn to_stop() -> anyhow::Result<Self> {
        let watch = |kind| signal(kind).context("watch for signals");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    async fn comes(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// The two programs.
#[derive(Default)]
struct Pair {
    coordinator: Option<Child>,
    agent: Option<Child>,
}

impl Pair {
    /// From nothing to verdicts; returns when they are printed (`--once`) or when a program ends.
    async fn perform(&mut self, files: &Files, options: &Trial, output: Output) -> anyhow::Result<()> {
        let announcement = self.start(files).await?;
        let client = Client::new(Some(&announcement.operators))?;
        if !output.json {
            let mut page = output.page();
            page.add(Look::Plain, "dashboard: ").add(Look::Strong, &announcement.operators).end();
            page.line(
                "The verdicts come when the coordinator has heard two rounds of reports, in about 20 s.",
            );
            output.print(&page)?;
        }
        let story = tokio::select! {
            story = wait_until_founded(&client, &files.node) => story?,
            died = self.death() => return Err(died),
        };
        output.print(&story.page(&announcement, files, output)?)?;
        if options.once {
            return Ok(());
        }
        if !output.json {
            let mut page = output.page();
            page.end().line("Ctrl-C stops both programs and removes everything.");
            output.print(&page)?;
        }
        Err(self.death().await)
    }

    async fn start(&mut self, files: &Files) -> anyhow::Result<Announcement> {
        files.write_coordinator()?;
        let mut coordinator = Child::start(
            "millwright-coordinator",
            &["run", "--announce", "--config", &files.coordinator_toml()],
            files.log("coordinator"),
        )?;
        let line = coordinator.first_line().await;
        self.coordinator = Some(coordinator);
        let line = match line? {
            Some(line) => line,
            None => return Err(self.death().await),
        };
        let announcement: Announcement = serde_json::from_str(&line)
            .with_context(|| format!("understand the coordinator's announcement {line:?}"))?;
        files.write_agent(&announcement.agents)?;
        let agent =
            Child::start("millwright-agent", &["run", "--config", &files.agent_toml()], files.log("agent"))?;
        self.agent = Some(agent);
        Ok(announcement)
    }

    /// Waits for a program to end that should not, and says how.
    async fn death(&mut self) -> anyhow::Error {
        let both = [self.coordinator.as_mut(), self.agent.as_mut()];
        let [coordinator, agent] = both.map(|child| async {
            match child {
                Some(child) => child.death().await,
                None => std::future::pending().await,
            }
        });
        tokio::select! {
            died = coordinator => died,
            died = agent => died,
        }
    }

    /// Ends both, the agent first so that it does not complain about a coordinator that is gone.
    async fn stop(self) {
        for child in [self.agent, self.coordinator].into_iter().flatten() {
            child.stop().await;
        }
    }
}

/// What is told in the end.
struct Story {
    node: NodeDetail,
    answer: Value,
    verdicts: Vec<Value>,
    read: Vec<Verdict>,
}

/// Waits until the coordinator is warm and knows this node.
async fn wait_until_founded(client: &Client, name: &NodeName) -> anyhow::Result<Story> {
    let warm = async {
        loop {
            let fleet: FleetView = client.read("/api/v1/nodes", &client.get("/api/v1/nodes", &[]).await?)?;
            let is_known =
                fleet.nodes().any(|node| node.key == name.as_str() && node.report_age_seconds.is_some());
            if is_known && fleet.warming_up.is_none() {
                return Ok::<_, anyhow::Error>(());
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    match tokio::time::timeout(PATIENCE, warm).await {
        Ok(warm) => warm?,
        Err(_) => bail!(
            "the agent's reports have not reached the coordinator within {} s; run it again with --keep and read the logs it keeps",
            PATIENCE.as_secs()
        ),
    }
    let path = format!("/api/v1/nodes/{name}");
    let answer = client.get(&path, &[]).await?;
    let node = client.read(&path, &answer)?;
    let verdicts = show::verdicts(client, name).await?;
    let read =
        verdicts.iter().map(|verdict| client.read("/api/v1/verdicts", verdict)).collect::<Result<_, _>>()?;
    Ok(Story { node, answer, verdicts, read })
}

impl Story {
    fn page(&self, announcement: &Announcement, files: &Files, output: Output) -> anyhow::Result<Page> {
        if output.json {
            return Ok(output.json_page(&self.json()?));
        }
        let mut page = output.page();
        page.end().add(Look::Strong, &self.node.summary.name);
        page.line(&format!(": {}", self.node.summary.sentence));
        for line in files.found.lines() {
            page.add(Look::Faint, &format!("  {line}")).end();
        }
        page.end();
        for finding in self.node.all_findings.iter().filter(|finding| finding.status != Status::Ok) {
            page.add(Look::of(finding.status), &format!("  {:<8} ", finding.status.as_str()))
                .line(&finding.sentence);
        }
        let good = self.node.all_findings.iter().filter(|finding| finding.status == Status::Ok).count();
        page.add(Look::Good, "  ok       ").line(&format!("{good} more findings"));
        for verdict in &self.read {
            page.end();
            verdict.write(&mut page);
        }
        page.end().line(&format!("more: {}/nodes/{}", announcement.operators, self.node.summary.key));
        Ok(page)
    }

    /// The one object that tools read.
    fn json(&self) -> anyhow::Result<Value> {
        let findings =
            self.answer.get("all_findings").ok_or_else(|| anyhow!("the coordinator told no findings"))?;
        let verdicts: Map<String, Value> = self
            .read
            .iter()
            .zip(&self.verdicts)
            .map(|(read, verdict)| (read.action.clone(), verdict.clone()))
            .collect();
        Ok(json!({ "node": self.node.summary.name, "findings": findings, "verdicts": verdicts }))
    }
}
