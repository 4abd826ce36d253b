//! `puppet_run`: Puppet once, in the foreground, and again while it fails.
//!
//! What a newcomer gets wrong: a run of Puppet is not for this service. It needs every power of root, much memory and all
//! system calls, of which the agent's unit leaves it none; so systemd runs it in a unit of its own, and the agent waits.

use super::{
    child::{self, ChildError, Ended},
    done, failed,
};
use crate::{
    config::{Config, OrdersConfig},
    orders::look,
    puppet::{Places, read_disabled},
};
use millwright_protocol::{Evidence, OrderState};
use std::{fs, time::Duration};
use tokio::time::{sleep, timeout};

/// Between two tries, and two looks whether another run has ended.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After a run that failed.
    pub between_tries: Duration,
    /// While another run is under way.
    pub between_looks: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { between_tries: Duration::from_secs(20), between_looks: Duration::from_secs(2) }
    }
}

/// What systemd takes to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// So much of the output is told, from the end.
const TOLD: usize = 2000;

/// Runs Puppet, `tries` times at most.
pub async fn run(config: &Config, tries: u8, pace: Pace) -> OrderState {
    let mut last = None;
    for number in 1..=tries.max(1) {
        if let Some(why) = disabled(config) {
            return failed(format!(
                "Puppet is disabled on this node: {why}; `puppet agent --enable` ends that"
            ));
        }
        if number > 1 {
            sleep(pace.between_tries).await;
        }
        let deadline = config.orders.puppet_deadline;
        let waiting = async {
            while look::puppet(config).is_some() {
                sleep(pace.between_looks).await;
            }
        };
        if timeout(deadline, waiting).await.is_err() {
            return failed(
                "another run of Puppet has not ended in `orders.puppet_deadline`; nothing was run",
            );
        }
        let ended = match once(&config.orders).await {
            Ok(ended) => ended,
            Err(error @ ChildError::Start { .. }) => return failed(format!("run Puppet: {error}")),
            Err(error @ ChildError::Late { .. }) => {
                return OrderState::Unknown {
                    sentence: format!("run Puppet: {error}; a new run tells how the node is"),
                };
            }
        };
        let evidence = evidence(number, &ended);
        match ended.code {
            // 0: nothing to change. 2: changed.
            Some(0 | 2) => return done(evidence),
            code => last = Some((meaning(code), evidence)),
        }
    }
    let (why, evidence) = last.unwrap_or_default();
    let sentence =
        format!("Puppet failed {tries} times, the last time since {why}; see its report on the node");
    OrderState::Failed { sentence, evidence }
}

/// What an exit code of `puppet agent --detailed-exitcodes` says of a run that failed.
fn meaning(code: Option<i32>) -> String {
    match code {
        Some(1) => "it could not run at all".to_owned(),
        Some(4) => "some resources failed".to_owned(),
        Some(6) => "some resources changed and some failed".to_owned(),
        Some(code) => format!("it ended with {code}, which no version documents"),
        None => "a signal ended it".to_owned(),
    }
}

fn evidence(number: u8, ended: &Ended) -> Vec<Evidence> {
    let code = ended.code.map_or("none".to_owned(), |code| code.to_string());
    let from = ended.output.char_indices().rev().nth(TOLD).map_or(0, |(place, _)| place);
    vec![
        Evidence::new("puppet_exit_code", code, "puppet"),
        Evidence::new("puppet_try", number, "agent"),
        Evidence::new("puppet_output", ended.output.get(from..).unwrap_or_default(), "puppet"),
    ]
}

async fn once(config: &OrdersConfig) -> Result<Ended, ChildError> {
    if !config.puppet_command.is_empty() {
        return child::run(&config.puppet_command, config.puppet_deadline).await;
    }
    let unit = config.puppet_unit.as_str();
    let systemctl = |words: &[&str]| -> Vec<String> {
        ["systemctl"].iter().chain(words).map(|word| (*word).to_owned()).collect()
    };
    // A unit that is run once is started when it has ended.
    let started = match child::run(&systemctl(&["start", "--", unit]), config.puppet_deadline).await {
        Err(late @ ChildError::Late { .. }) => {
            let _ = child::run(&systemctl(&["stop", "--no-block", "--", unit]), ANSWER_WITHIN).await;
            return Err(late);
        }
        started => started?,
    };
    // systemctl's own code only tells good from bad; the unit knows Puppet's.
    let shown = child::run(&systemctl(&["show", "-p", "ExecMainStatus", "--", unit]), ANSWER_WITHIN).await?;
    let code =
        shown.output.lines().find_map(|line| line.strip_prefix("ExecMainStatus=")?.trim().parse().ok());
    Ok(match (started.code, code) {
        (Some(0), code) => Ended { code: code.or(Some(0)), output: started.output },
        // The unit was not even started; what it says of an earlier run is not about this one.
        (_, None | Some(0 | 2)) => Ended { code: Some(1), output: started.output },
        (_, code) => Ended { code, output: started.output },
    })
}

fn disabled(config: &Config) -> Option<String> {
    let folders = config.checks.puppet.folders.iter().map(|folder| config.paths.rooted(folder));
    let lock = Places::new(folders).newest("agent_disabled.lock")?;
    Some(read_disabled(&fs::read(lock.path).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const PACE: Pace =
        Pace { between_tries: Duration::from_millis(1), between_looks: Duration::from_millis(5) };

    /// A node whose Puppet is this script; each run adds a line to `runs`.
    fn node(script: &str) -> (tempfile::TempDir, Config) {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        config.paths.proc = Some("/proc".into());
        config.checks.puppet.folders = vec!["/state".into()];
        fs::create_dir(root.path().join("state")).unwrap();
        let script = format!("echo run >> {}/runs; {script}", root.path().display());
        config.orders.puppet_command = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
        (root, config)
    }

    fn runs(root: &Path) -> usize {
        fs::read_to_string(root.join("runs")).unwrap_or_default().lines().count()
    }

    #[tokio::test]
    async fn nothing_to_change_and_changes_are_both_good() {
        for code in [0, 2] {
            let (root, config) = node(&format!("echo Notice: Applied; exit {code}"));
            let state = run(&config, 3, PACE).await;
            let OrderState::Done { evidence } = state else { panic!("{state:?}") };
            assert_eq!(evidence[0].value, code.to_string());
            assert_eq!(evidence[2].value, "Notice: Applied\n");
            assert_eq!(runs(root.path()), 1);
        }
    }

    #[tokio::test]
    async fn a_run_that_fails_is_tried_again_as_often_as_ordered_and_then_told() {
        for (code, words) in
            [(1, "could not run"), (4, "some resources failed"), (6, "changed and some failed"), (99, "99")]
        {
            let (root, config) = node(&format!("exit {code}"));
            let state = run(&config, 3, PACE).await;
            assert!(
                matches!(&state, OrderState::Failed { sentence, .. } if sentence.contains(words)),
                "{state:?}"
            );
            assert_eq!(runs(root.path()), 3);
        }
    }

    #[tokio::test]
    async fn a_run_that_succeeds_after_failing_is_done() {
        let (root, config) = node("test $(wc -l < runs_file) -ge 2");
        let mut config = config;
        config.orders.puppet_command[2] = config.orders.puppet_command[2]
            .replace("runs_file", &root.path().join("runs").display().to_string());
        let state = run(&config, 5, PACE).await;
        assert!(matches!(state, OrderState::Done { .. }), "{state:?}");
        assert_eq!(runs(root.path()), 2);
    }

    #[tokio::test]
    async fn a_disabled_puppet_is_not_run() {
        let (root, config) = node("exit 0");
        fs::write(root.path().join("state/agent_disabled.lock"), r#"{"disabled_message":"disk swap"}"#)
            .unwrap();
        let state = run(&config, 3, PACE).await;
        assert!(
            matches!(&state, OrderState::Failed { sentence, .. } if sentence.contains("disk swap")),
            "{state:?}"
        );
        fs::write(root.path().join("state/agent_disabled.lock"), "").unwrap();
        let state = run(&config, 3, PACE).await;
        assert!(matches!(&state, OrderState::Failed { .. }), "its being there is enough: {state:?}");
        assert_eq!(runs(root.path()), 0);
    }

    #[tokio::test]
    async fn a_lock_whose_process_is_gone_holds_nothing_up() {
        let (root, config) = node("exit 0");
        // Above what Linux gives out.
        fs::write(root.path().join("state/agent_catalog_run.lock"), "4194305").unwrap();
        let state = run(&config, 1, PACE).await;
        assert!(matches!(state, OrderState::Done { .. }), "{state:?}");
        assert_eq!(runs(root.path()), 1);
    }

    #[tokio::test]
    async fn another_run_is_waited_for_and_not_for_ever() {
        let (root, mut config) = node("exit 0");
        let lock = root.path().join("state/agent_catalog_run.lock");
        fs::write(&lock, std::process::id().to_string()).unwrap();
        config.orders.puppet_deadline = Duration::from_millis(50);
        let state = run(&config, 1, PACE).await;
        assert!(
            matches!(&state, OrderState::Failed { sentence, .. } if sentence.contains("nothing was run")),
            "{state:?}"
        );
        assert_eq!(runs(root.path()), 0);
        config.orders.puppet_deadline = Duration::from_secs(60);
        // It is looked at least once before the lock goes.
        let (state, ()) = tokio::join!(run(&config, 1, PACE), async {
            tokio::task::yield_now().await;
            fs::remove_file(&lock).unwrap();
        });
        assert!(matches!(state, OrderState::Done { .. }), "{state:?}");
    }

    #[tokio::test]
    async fn a_run_that_takes_too_long_is_killed_and_nobody_claims_to_know() {
        let (_root, mut config) = node("sleep 600");
        config.orders.puppet_deadline = Duration::from_millis(200);
        let state = run(&config, 2, PACE).await;
        assert!(matches!(state, OrderState::Unknown { .. }), "{state:?}");
    }
}
