//! Mounts that are known to hang: cvmfs, NFS. Each configured path has to answer in a child with a deadline.

use super::Context;
use crate::{
    check::{Check, Look, Looking, Observation, Rhythm},
    probe::{Probe, ProbeError, ProbeSlot},
};
use jiff::Timestamp;
use millwright_protocol::Status;
use std::path::PathBuf;

/// One check a path, so that one that hangs says nothing about the others.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    let mounts = &context.config.checks.mounts;
    let check = |path: &PathBuf| MountCheck {
        name: path.display().to_string(),
        path: context.config.paths.rooted(path),
        rhythm: Rhythm { every: mounts.every, deadline: mounts.deadline },
        probe: context.probe(mounts.deadline),
        slot: ProbeSlot::default(),
    };
    mounts.paths.iter().map(|path| Box::new(check(path)) as Box<dyn Check>).collect()
}

struct MountCheck {
    name: String,
    path: PathBuf,
    rhythm: Rhythm,
    probe: Probe,
    slot: ProbeSlot,
}

impl Check for MountCheck {
    fn name(&self) -> &'static str {
        "mount"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn item(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn when_silent(&self) -> Option<&str> {
        Some(
            "the mount hangs: for cvmfs try `cvmfs_config reload`, else `umount -l` it; for NFS look at its server",
        )
    }

    fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    fn look(&mut self, _now: Timestamp) -> Looking<'_> {
        Box::pin(async {
            let name = &self.name;
            let observation = match self.probe.see(&self.slot, &self.path).await {
                Ok(_) => Observation::new(Status::Ok, format!("{name} answers")),
                Err(ProbeError::Refused(why)) => {
                    Observation::new(Status::Crit, format!("{name} does not work: {why}")).next(format!(
                        "try `ls {name}`; for cvmfs `cvmfs_config probe` and `cvmfs_config reload`"
                    ))
                }
                Err(error) => {
                    Observation::new(Status::Unknown, format!("{name} could not be looked at: {error}"))
                }
            };
            Look { observations: vec![observation.item(name)], facts: Vec::new() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, probe::tests::saying};
    use std::rc::Rc;
    use tokio::{sync::Notify, task::LocalSet};

    async fn look(answer: &str) -> Observation {
        let mut config = Config::default();
        config.checks.mounts.paths = vec!["/cvmfs/alice.cern.ch".into()];
        let context = Context::new(Rc::new(config), Rc::new(Notify::new()), saying(answer));
        let mut check = checks(&context).remove(0);
        let look = LocalSet::new().run_until(check.look(Timestamp::UNIX_EPOCH)).await;
        look.observations.into_iter().next().unwrap()
    }

    #[tokio::test]
    async fn a_mount_that_refuses_is_crit_and_says_what_the_kernel_said() {
        let refused = look(r#"{"refused":"Transport endpoint is not connected"}"#).await;
        assert_eq!((refused.status, refused.gating), (Status::Crit, false));
        assert_eq!(
            refused.sentence,
            "/cvmfs/alice.cern.ch does not work: Transport endpoint is not connected"
        );
        assert_eq!(look("").await.status, Status::Unknown);
    }
}
