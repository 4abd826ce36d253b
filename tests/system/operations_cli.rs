//! Operations from the command line, against a real coordinator: with stand-ins for the programs of the cloud that succeed,
//! fail, get half-way and take their time; and whatever goes away meanwhile.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::coordinator::reporting;
use super::harness::{Coordinator, Node, Scratch, Setup, needs_binary, output_of, ready, wait_for};

const LIMIT: Duration = Duration::from_secs(120);

/// A program that behaves as told by the files beside it: `exit` has its exit code, and it goes on once `go` is there.
const STAND_IN: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 99
echo "Creating Foreman entry for $1"
printf '%s\n' "$@" >> calls
until [ -e go ]; do sleep 0.1; done
code=$(cat exit)
[ "$code" = 0 ] || echo "ERROR: Nova answered 503 for $1" >&2
[ "$code" != 9 ] || kill -9 $$
exit "$code"
"#;

/// A coordinator whose class of agents may be acted on, with a program in the place of `ai-bs`.
struct Site {
    coordinator: Option<Coordinator>,
    programs: Scratch,
    policy: String,
    socket: String,
}

impl Site {
    fn start(mode: &str) -> Option<Self> {
        ready(needs_binary("millwright"))?;
        let programs = Scratch::new("programs").unwrap();
        let program = programs.write("ai-bs", STAND_IN).unwrap();
        let mut mode_of = fs::metadata(&program).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode_of, 0o755);
        fs::set_permissions(&program, mode_of).unwrap();
        let policy = format!(
            "[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\nproject = \"lab\"\nzones = [\"a\"]\n\
             [protections]\nalibuild03 = [\"never_rebuild\"]\n\
             [executors.commands]\ncreate = [{program:?}, \"{{host}}\", \"a b; $(reboot)\"]\n\
             [executors.harmless_exits]\ncreate = [10]\n\
             [classes.agent]\nmode = {mode:?}\n[classes.agent.sources]\nagent = \"required\"\n\
             [[nodes]]\nclass = \"agent\"\nzone = \"a\"\nnames = [\"alibuild03\", \"alibuild10\", \"alibuild11\"]\n"
        );
        let coordinator = ready(Setup::new(&policy).and_then(Setup::start))?;
        let socket = format!("unix:{}", coordinator.socket().display());
        Some(Self { coordinator: Some(coordinator), programs, policy, socket })
    }

    /// One that may make something: whether a store was put back is only noticed in the first reports.
    fn warm(mode: &str) -> Option<Self> {
        let site = Self::start(mode)?;
        warmed_up(site.coordinator());
        Some(site)
    }

    fn coordinator(&self) -> &Coordinator {
        self.coordinator.as_ref().unwrap()
    }

    fn restart(&mut self) {
        let setup = self.coordinator.take().unwrap().stop();
        self.coordinator = Some(setup.start().unwrap());
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(needs_binary("millwright").unwrap());
        command.args(["--server", &self.socket]).args(words).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        output_of(&mut self.command(words), LIMIT).unwrap()
    }

    /// Starts it without waiting for its end.
    fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The stand-in ends so, at once or when it is let go.
    fn stand_in(&self, exit: i32, goes: bool) {
        self.programs.write("exit", &exit.to_string()).unwrap();
        let go = self.programs.join("go");
        if goes { fs::write(go, "").unwrap() } else { drop(fs::remove_file(go)) }
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.programs.join("calls")).unwrap_or_default()
    }

    fn operation(&self, id: &str) -> Value {
        self.coordinator().ask(&format!("operations/{id}")).unwrap()
    }

    /// A create that waits for a person to run its command.
    fn create(&self) {
        let asked = self.run(&["create", "ALIBUILD10.cern.ch", "--reason", "a new one", "--wait"]);
        let (told, progress) = (said(&asked), complaint(&asked));
        assert_eq!(asked.status.code(), Some(11), "{told}\n{progress}");
        assert!(progress.contains("wants alibuild10") && progress.contains("a new one"), "{progress}");
        assert!(told.contains("millwright step op-1"), "{told}");
    }
}

fn warmed_up(coordinator: &Coordinator) {
    let is_over = |fleet: &Value| fleet["warming_up"].is_null().then_some(());
    coordinator.wait_for("the end of the warm-up", "nodes", is_over).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The state of a step.
fn state(operation: &Value, step: &str) -> String {
    let steps = operation["steps"].as_array().unwrap();
    steps.iter().find(|one| one["step"] == step).unwrap()["state"].as_str().unwrap().to_owned()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_step_is_run_as_a_child_and_ends_as_its_exit_code_says() {
    if !is_root() {
        return;
    }
    let Some(site) = Site::warm("act") else { return };
    site.create();
    for (exit, code, state_then, part) in [
        // Nothing was touched; it may be begun again.
        (10, 1, "not_done", "touches nothing"),
        (30, 11, "unknown", "Nova answered 503"),
        (9, 11, "unknown", "ended by a signal"),
        (0, 0, "done", "create is done"),
    ] {
        site.stand_in(exit, true);
        let step = site.run(&["step", "op-1"]);
        let told = said(&step);
        assert_eq!(step.status.code(), Some(code), "exit {exit}: {told}\n{}", complaint(&step));
        assert!(told.contains("Creating Foreman entry for alibuild10") && told.contains(part), "{told}");
        assert_eq!(state(&site.operation("op-1"), "create"), state_then);
        if state_then == "unknown" {
            let again = site.run(&["step", "op-1"]);
            assert!(complaint(&again).contains("millwright confirm op-1 not_run"), "{}", complaint(&again));
            let not_run = site.run(&["confirm", "op-1", "not_run", "--reason", "looked in Nova"]);
            assert!(not_run.status.success(), "{}", complaint(&not_run));
        }
    }
    assert_eq!(site.calls(), "alibuild10\na b; $(reboot)\n".repeat(4), "word by word, and once each time");
    let shown = said(&site.run(&["operations", "op-1"]));
    assert!(shown.contains("[x] create") && shown.contains("waiting for its first report"), "{shown}");
    let audit = said(&site.run(&["audit", "--limit", "50"]));
    assert!(
        audit.contains("create alibuild10 (op-1): a new one") && audit.contains("looked in Nova"),
        "{audit}"
    );
}

#[test]
fn how_a_command_ended_is_told_to_a_coordinator_that_was_away_meanwhile() {
    if !is_root() {
        return;
    }
    let Some(mut site) = Site::warm("act") else { return };
    site.create();
    site.stand_in(0, false);
    let step = site.begin(&["step", "op-1"]);
    wait_for("the command to run", LIMIT, || Ok((!site.calls().is_empty()).then_some(()))).unwrap();
    let setup = site.coordinator.take().unwrap().stop();
    site.stand_in(0, true);
    site.coordinator = Some(setup.start().unwrap());
    let ended = step.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}\n{}", said(&ended), complaint(&ended));
    assert_eq!(state(&site.operation("op-1"), "create"), "done");
    assert_eq!(site.calls().lines().count(), 2, "it ran once");
}

#[test]
fn a_step_whose_program_is_killed_is_nobodys_to_guess() {
    if !is_root() {
        return;
    }
    let Some(mut site) = Site::warm("act") else { return };
    site.create();
    site.stand_in(0, false);
    let mut step = site.begin(&["step", "op-1"]);
    wait_for("the command to run", LIMIT, || Ok((!site.calls().is_empty()).then_some(()))).unwrap();
    kill(Pid::from_raw(step.id().cast_signed()), Signal::SIGKILL).unwrap();
    step.wait().unwrap();
    site.stand_in(0, true);
    site.restart();
    let again = site.run(&["step", "op-1"]);
    let why = complaint(&again);
    assert_eq!(again.status.code(), Some(10), "{why}");
    assert!(why.contains("not said how it ended") && why.contains("not_run"), "{why}");
    assert_eq!(site.calls().lines().count(), 2, "nothing was run a second time");
    let not_run = site.run(&["confirm", "op-1", "not_run", "--reason", "looked"]);
    assert!(not_run.status.success(), "{}", complaint(&not_run));
}

#[test]
fn a_command_is_shown_to_whoever_types_the_nodes_name_and_is_unknown_from_then_on() {
    if !is_root() {
        return;
    }
    let Some(site) = Site::warm("act") else { return };
    site.create();
    assert_eq!(site.run(&["step", "op-1", "--print"]).status.code(), Some(2), "nobody types");
    let wrong = site.run(&["step", "op-1", "--print", "--typed", "alibuild11"]);
    assert!(wrong.status.code() == Some(1) && complaint(&wrong).contains("nothing was shown"));
    assert_eq!(state(&site.operation("op-1"), "create"), "pending");
    let shown = site.run(&["step", "op-1", "--print", "--typed", "AliBuild10"]);
    let (told, warned) = (said(&shown), complaint(&shown));
    assert!(told.ends_with("/ai-bs alibuild10 'a b; $(reboot)'\n") && told.lines().count() == 1, "{told}");
    assert!(warned.contains("valid until") && warned.contains("stopped by nobody"), "{warned}");
    assert_eq!(state(&site.operation("op-1"), "create"), "unknown");
    assert_eq!(site.calls(), "", "nothing was run");
}

#[test]
fn what_is_declined_ends_with_the_code_of_its_verdict_and_says_what_to_do() {
    if !is_root() {
        return;
    }
    let Some(site) = Site::start("act") else { return };
    for (words, code, part) in [
        ("rebuild alibuild03 --reason x", 12, "must never be rebuilt"),
        ("drain alibuild10 --reason x", 10, "warming_up"),
        ("drain alibuild10", 2, "say why"),
        ("drain alibuild10 --reason=", 2, "say why"),
        ("delete alibuild10 --reason x", 2, "--typed NAME"),
        ("drain nobody --reason x", 1, "unknown_node"),
        ("operations op-9", 1, "unknown_operation"),
        ("approve op-9 --digest x --reason x", 1, "unknown_operation"),
        ("hold lift hold-9 --reason x", 1, "hold list"),
        ("attest alibuild10 mesos_master --reason x", 1, "nobody can vouch"),
        ("resume --reason x", 1, "not paused"),
        ("reboot alibuild10 --reason x --confirm everything", 2, "confirm_reboot"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let output = site.run(&words);
        let told = format!("{}{}", said(&output), complaint(&output));
        assert_eq!(output.status.code(), Some(code), "{words:?}: {told}");
        assert!(told.contains(part), "{words:?}: {part} is missing in {told}");
    }
    let json = site.run(&["--json", "rebuild", "alibuild03", "--reason", "x"]);
    let declined: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(declined["declined"]["code"], "node_protected", "{declined:#}");
    let observed = Site::start("observe").unwrap();
    let output = observed.run(&["create", "alibuild10", "--reason", "x"]);
    assert!(output.status.code() == Some(12) && complaint(&output).contains("mode_observe"));
}

#[test]
fn holds_the_off_switch_and_the_brake_are_said_and_shown() {
    if !is_root() {
        return;
    }
    let Some(site) = Site::warm("act") else { return };
    let good = |words: &[&str]| {
        let output = site.run(words);
        assert!(output.status.success(), "{words:?}: {}", complaint(&output));
        said(&output)
    };
    assert!(good(&["hold", "add", "alibuild10", "looking at its disk", "--for", "2h"]).contains("hold-1"));
    let listed = good(&["hold", "list"]);
    assert!(listed.contains("looking at its disk") && listed.contains("to be looked at by"), "{listed}");
    good(&["hold", "lift", "hold-1", "--reason", "seen"]);
    assert!(good(&["hold", "list"]).contains("no node is held"));
    good(&["pause", "--reason", "network"]);
    let paused = site.run(&["create", "alibuild10", "--reason", "x"]);
    assert!(paused.status.code() == Some(11) && said(&paused).contains("[paused]"), "{}", said(&paused));
    good(&["resume", "--reason", "over"]);
    assert!(good(&["brake"]).contains("no brake is on"));
    let reset = site.run(&["brake", "reset", "agent", "--reason", "x"]);
    assert_eq!(reset.status.code(), Some(1), "{}", said(&reset));
    assert!(good(&["create", "alibuild10", "--reason", "x", "--dry-run"]).contains("nothing was started"));
    assert!(good(&["operations"]).contains("no such operations"));
}

#[test]
fn a_drain_is_watched_over_a_restart_of_the_coordinator_until_the_node_is_empty() {
    if !is_root() {
        return;
    }
    let Some(mut site) = Site::start("act") else { return };
    let reports = |site: &Site| {
        let agent = reporting(Node::named("alibuild10").unwrap(), site.coordinator()).start().unwrap();
        let is_warm = |fleet: &Value| fleet["warming_up"].is_null().then_some(());
        site.coordinator().wait_for("the end of the warm-up", "nodes", is_warm).unwrap();
        agent
    };
    let agent = reports(&site);
    // It looks at neither Docker nor Mesos, so a person has to.
    let vouched = site.run(&["attest", "alibuild10", "agent", "--reason", "looked: nothing runs"]);
    assert!(vouched.status.success(), "{}", complaint(&vouched));
    let progress = site.programs.join("progress");
    let mut drain = site.command(&["drain", "alibuild10", "--reason", "kernel", "--wait"]);
    let drain = drain.stdout(Stdio::piped()).stderr(fs::File::create(&progress).unwrap()).spawn().unwrap();
    let told = || fs::read_to_string(&progress).unwrap();
    let is_held_up = |list: &Value| {
        let reasons = list["operations"][0]["waiting"]["reasons"].as_array()?;
        reasons.iter().any(|reason| reason["code"] == "budget_spent").then_some(())
    };
    site.coordinator().wait_for("the budget to be spent", "operations?open=true", is_held_up).unwrap();
    drop(agent);
    let setup = site.coordinator.take().unwrap().stop();
    wait_for("the drain to be told apart from its watcher", LIMIT, || {
        Ok(told().contains("op-1 goes on as soon as it runs again").then_some(()))
    })
    .unwrap();
    site.coordinator = Some(setup.start().unwrap());
    // It has other ports now; people's socket is the same.
    let _agent = reports(&site);
    let more = "mode = \"act\"\nout = { at_least = 9, percent = 10 }\n";
    site.coordinator().setup().write_policy(&site.policy.replace("mode = \"act\"\n", more)).unwrap();
    let ended = drain.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}\n{}", said(&ended), told());
    assert!(told().contains("the coordinator answers again"), "{}", told());
    assert!(said(&ended).contains("is empty and stays so"), "{}", said(&ended));
    let listed = said(&site.run(&["hold", "list"]));
    assert!(listed.contains("op-1") && listed.contains("(of a drain)"), "{listed}");
}
