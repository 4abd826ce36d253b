//! Copies the store, so that a broken disk costs no more than a quarter of an hour.

use super::{Hub, Task};
use crate::{metrics::Metrics, store::backup, troubles::Troubles};
use futures_util::future::BoxFuture;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// A copy to another host that takes longer is given up.
const HAND_ON: Duration = Duration::from_secs(300);

/// See the module.
pub struct Backup {
    /// Whose clock.
    pub hub: Arc<dyn Hub>,
    /// Where people see that there is none.
    pub troubles: Arc<Troubles>,
    /// Where machines see when there was one.
    pub metrics: Arc<Metrics>,
    /// The store.
    pub store: PathBuf,
    /// Where copies are kept.
    pub folder: PathBuf,
    /// A program and its arguments that takes each copy to another host; `{file}` is the copy. Empty for none.
    pub hand_on: Vec<String>,
}

impl Task for Backup {
    fn name(&self) -> &'static str {
        "backup"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let outcome = self.once().await;
            match &outcome {
                Ok(()) => {
                    self.metrics.backup.set(Some(self.hub.now()));
                    self.troubles.clear("backup");
                }
                Err(why) => {
                    let sentence = format!("there is no new backup of the store: {why}");
                    self.troubles.set("backup", sentence, self.hub.now());
                }
            }
            outcome
        })
    }
}

impl Backup {
    async fn once(&self) -> Result<(), String> {
        let (folder, store, now) = (self.folder.clone(), self.store.clone(), self.hub.now());
        let copied = tokio::task::spawn_blocking(move || backup::copy_into(&folder, &store, now)).await;
        let copy = copied.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        hand_on(&self.hand_on, &copy).await
    }
}

async fn hand_on(program: &[String], copy: &Path) -> Result<(), String> {
    let Some((program, arguments)) = program.split_first() else { return Ok(()) };
    let copy = copy.display().to_string();
    let mut command = tokio::process::Command::new(program);
    command.args(arguments.iter().map(|argument| argument.replace("{file}", &copy)));
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(HAND_ON, command.output())
        .await
        .map_err(|_| format!("{program} did not end within {HAND_ON:?}"))?
        .map_err(|error| format!("start {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next_back().unwrap_or("and said nothing");
    let found = format!("{program} ended with {}: {said}", output.status);
    Err(format!(
        "hand {copy} on: {found}; the copy is there, run what backup.hand_on says by hand to see why"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::Fleet,
        store::{Retention, Store},
        tasks::testing::TestHub,
    };
    use jiff::Timestamp;
    use millwright_decision::Policy;

    fn backup(folder: &Path, hand_on: &[&str]) -> Backup {
        let store = folder.join("store");
        drop(Store::open(&store, Retention::default()).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let fleet = Fleet::new(Arc::new(Policy::unreadable("none", "mw".parse().unwrap())), now);
        Backup {
            hub: Arc::new(TestHub::new(fleet, now)),
            troubles: Arc::default(),
            metrics: Arc::default(),
            store,
            folder: folder.join("copies"),
            hand_on: hand_on.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn a_copy_is_made_and_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        let mut backup = backup(folder.path(), &["cp", "{file}", elsewhere.to_str().unwrap()]);
        backup.run().await.unwrap();
        assert!(Store::open(&elsewhere, Retention::default()).is_ok());
    }

    #[tokio::test]
    async fn a_backup_that_fails_is_a_trouble_until_one_works() {
        let folder = tempfile::tempdir().unwrap();
        let mut backup = backup(folder.path(), &["/bin/false"]);
        assert!(backup.run().await.is_err());
        let trouble = backup.troubles.list().remove(0);
        assert!(trouble.sentence.contains("no new backup") && trouble.sentence.contains("/bin/false"));
        backup.hand_on.clear();
        backup.run().await.unwrap();
        assert!(backup.troubles.list().is_empty());
    }
}
