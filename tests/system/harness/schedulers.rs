//! The Marathon, the Aurora, the Mesos-DNS and the owners of tasks that stand beside their clients, running in a thread of
//! their own. Real ones are not to be had here.

use anyhow::{Context, Result};
use fake_aurora::FakeAurora;
use fake_marathon::FakeMarathon;
use fake_mesos_dns::FakeMesosDns;
use fake_owners::FakeOwners;
use tokio::runtime::{Builder, Runtime};

#[path = "../../../coordinator/src/integrations/aurora/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake_aurora;
#[path = "../../../coordinator/src/integrations/marathon/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake_marathon;
#[path = "../../../coordinator/src/integrations/mesos_dns/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake_mesos_dns;
#[path = "../../../coordinator/src/integrations/owners/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake_owners;

pub use fake_marathon::OnKill;

/// All of them, the schedulers on one master; they end when they are dropped.
pub struct Schedulers {
    /// Marathon.
    pub marathon: FakeMarathon,
    /// Aurora.
    pub aurora: FakeAurora,
    /// Mesos-DNS.
    pub mesos_dns: FakeMesosDns,
    /// Owners of tasks, who say no until told otherwise.
    pub owners: FakeOwners,
    urls: [String; 4],
    _runtime: Runtime,
}

impl Schedulers {
    /// Listen on free ports.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (marathon, aurora, mesos_dns) =
            (FakeMarathon::default(), FakeAurora::default(), FakeMesosDns::default());
        let owners = FakeOwners::default();
        let urls = runtime
            .block_on(async {
                Ok::<_, std::io::Error>([
                    marathon.start().await?,
                    aurora.start().await?,
                    mesos_dns.start().await?,
                    owners.start().await?,
                ])
            })
            .context("start a Marathon, an Aurora, a Mesos-DNS and owners")?;
        Ok(Self { marathon, aurora, mesos_dns, owners, urls, _runtime: runtime })
    }

    /// Their sections in `coordinator.toml`: they may be asked to move tasks, and have a few seconds for it.
    pub fn sections(&self) -> String {
        let [marathon, aurora, mesos_dns, owners] = &self.urls;
        let looks = "every = \"2s\"\ntimeout = \"2s\"";
        let moves = "move_tasks = true\nmove_timeout = \"4s\"";
        format!(
            "[marathon]\nservers = {{ alimesos01 = {marathon:?} }}\n{looks}\n{moves}\n\
             [aurora]\nservers = {{ alimesos01 = {aurora:?} }}\n{looks}\n{moves}\n\
             [mesos_dns]\nservers = {{ alimesos01 = {mesos_dns:?} }}\n{looks}\n\
             [owners]\nurl = {owners:?}\n{looks}"
        )
    }
}
