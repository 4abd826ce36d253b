//! Those that know nodes as hosts, running in a thread of their own: the Foreman, PuppetDB and Roger that stand beside their
//! clients. Real ones are not to be had here.

use anyhow::{Context, Result};
use foreman::FakeForeman;
use puppetdb::FakePuppetDb;
use roger::FakeRoger;
use tokio::runtime::{Builder, Runtime};

#[path = "../../../coordinator/src/integrations/foreman/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod foreman;
#[path = "../../../coordinator/src/integrations/puppetdb/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod puppetdb;
#[path = "../../../coordinator/src/integrations/roger/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod roger;

/// All three; they end when this is dropped.
pub struct Places {
    /// Foreman.
    pub foreman: FakeForeman,
    /// PuppetDB.
    pub puppetdb: FakePuppetDb,
    /// Roger.
    pub roger: FakeRoger,
    urls: [String; 3],
    _runtime: Runtime,
}

impl Places {
    /// Listen on free ports.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (foreman, puppetdb, roger) =
            (FakeForeman::default(), FakePuppetDb::default(), FakeRoger::default());
        let urls = [
            runtime.block_on(foreman.start()).context("start a Foreman")?,
            runtime.block_on(puppetdb.start()).context("start a PuppetDB")?,
            runtime.block_on(roger.start()).context("start a Roger")?,
        ];
        Ok(Self { foreman, puppetdb, roger, urls, _runtime: runtime })
    }

    /// Their sections in `coordinator.toml`.
    pub fn sections(&self) -> String {
        let section = |(name, url): (&str, &String)| {
            format!("[{name}]\nurl = {url:?}\ndomain = \"example.org\"\nevery = \"2s\"\ntimeout = \"2s\"\n")
        };
        ["foreman", "puppetdb", "roger"].into_iter().zip(&self.urls).map(section).collect()
    }

    /// All three know these nodes, and all is well with them.
    pub fn know(&self, nodes: &[&str]) {
        for node in nodes {
            let host = format!("{node}.example.org");
            self.foreman.has(
                &host,
                serde_json::json!({ "configuration_status_label": "No changes", "build": false }),
            );
            self.puppetdb.has(&host, serde_json::json!({ "latest_report_status": "unchanged" }));
            self.roger.has(&host);
        }
    }
}
