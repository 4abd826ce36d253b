//! Everything that runs during the demo, in the order in which it goes away again.

use anyhow::Result;

use super::system::harness::{
    Agent, Coordinator, DockerDaemon, FileSystem, LoopVolume, Mesos, MesosTask, Node, Puppet, Setup, TaskSpec,
};

/// The node with the tasks.
pub const BUSY: &str = "alibuild10";
/// The node without.
pub const EMPTY: &str = "alibuild11";

const BUILD: &str = "mesos-jenkins-0f343b0931126a20f133d67c2b018a3b-slc7_x86-64-larg";
const CHECKER: &str = "mesosci/prod/ci_alice_slc7";

/// The worked example, of which the demo takes the rules about tasks.
const ALICE: &str = include_str!("../../packaging/coordinator/etc/millwright/policy.alice.toml");
const RULES: &str = "[[tasks]]";

/// A small cluster. Fields are dropped from the top: first who looks, then what is looked at.
pub struct Stage {
    _agents: Vec<Agent>,
    /// Who judges.
    pub coordinator: Coordinator,
    _tasks: Vec<MesosTask>,
    _mesos: Mesos,
    _docker: Vec<DockerDaemon>,
    _volumes: Vec<LoopVolume>,
    _puppet: Puppet,
}

impl Stage {
    /// Starts everything; some ten seconds.
    pub fn set() -> Result<Self> {
        let puppet = Puppet::new()?;
        puppet.run_clean()?;
        let volumes =
            vec![LoopVolume::create(FileSystem::Ext4, 64)?, LoopVolume::create(FileSystem::Ext4, 64)?];
        let docker = vec![DockerDaemon::start()?, DockerDaemon::start()?];
        let [of_busy, _] = docker.as_slice() else { anyhow::bail!("start two Dockers: there are others") };
        // Its tasks run in the first Docker, so that the second node's is really empty.
        let mesos = Mesos::start(of_busy, 2)?;
        let tasks = start_tasks(&mesos)?;
        let setup = Setup::new(&policy())?.with_mesos(&mesos.master_url());
        let coordinator = setup.start()?;
        let mut agents = Vec::new();
        for (place, name) in [BUSY, EMPTY].into_iter().enumerate() {
            let (Some(docker), Some(volume)) = (docker.get(place), volumes.get(place)) else { continue };
            let others =
                volumes.iter().map(LoopVolume::mount_point).filter(|other| *other != volume.mount_point());
            let node = others
                .fold(node(name, docker, volume, &puppet)?, Node::without)
                .with("mesos_agent")
                .text("checks.mesos_agent.url", mesos.agent_url(place + 1))
                .text("coordinator.url", coordinator.agents_url());
            agents.push(node.start()?);
        }
        Ok(Self {
            _agents: agents,
            coordinator,
            _tasks: tasks,
            _mesos: mesos,
            _docker: docker,
            _volumes: volumes,
            _puppet: puppet,
        })
    }
}

/// A build of Jenkins and a pull-request checker of Aurora, as they are called in the cluster.
fn start_tasks(mesos: &Mesos) -> Result<Vec<MesosTask>> {
    let build = TaskSpec { id: BUILD.to_owned(), ..TaskSpec::named(BUILD) }.of("Jenkins Scheduler");
    let check = TaskSpec { name: CHECKER.to_owned(), ..TaskSpec::named("mesosci-prod-ci_alice_slc7-0") };
    let (build, check) = (build.on_agent(1), check.of("TwitterScheduler").on_agent(1));
    let mut tasks = vec![mesos.run_task(build)?, mesos.run_task(check)?];
    for task in &mut tasks {
        task.wait_running()?;
    }
    Ok(tasks)
}

fn node(name: &str, docker: &DockerDaemon, volume: &LoopVolume, puppet: &Puppet) -> Result<Node> {
    let public = puppet.summary().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let mount = volume.mount_point().display().to_string();
    let expected = format!("[{{ mount = {mount:?}, uuid = {:?} }}]", volume.uuid()?);
    Ok(Node::named(name)?
        // As relaxed as in production: a machine busy with a demo must not look unhealthy.
        .looking_every("5s")
        .with_docker(docker)
        .with("system")
        .with("processes")
        .with("volumes")
        .text("paths.dev", volume.dev_folder()?.display())
        .set("checks.volumes.expected", expected)
        .with("puppet")
        .set("checks.puppet.folders", format!("{:?}", [puppet.state_folder().display().to_string(), public])))
}

fn policy() -> String {
    let cluster = format!(
        r#"protections = "none"
[cluster]
name = "demo"
coordinator = "lab"
project = "demo"
[classes.agent]
mode = "observe"
[classes.agent.sources]
agent = "required"
mesos_master = "required"
[[nodes]]
class = "agent"
names = ["{BUSY}", "{EMPTY}"]
"#
    );
    let rules = ALICE.split_once(RULES).map(|(_, rules)| format!("{RULES}{rules}"));
    cluster + &rules.unwrap_or_default()
}
