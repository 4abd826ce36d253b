//! `millwright step`: a person has the step begun that waits for one. What needs the cloud's credentials runs here, as our
//! child and exactly as policy says, with the permit taken before and the exit code recorded after.
//!
//! If this program dies in between, nobody has said how the command ended: the step stays as it is until somebody looks.

mod child;

use crate::{
    client::{Client, Refused, is_passing},
    may,
    operations::quoted,
    output::{Output, Tone, clean},
    say::{self, Said},
    terminal, watch, words,
};
use anyhow::{Context, Result, bail};
use child::{Ended, Sink};
use clap::Args;
use jiff::Timestamp;
use millwright_coordinator::view::{OperationView, StepView};
use millwright_protocol::NodeName;
use serde_json::{Value, json};
use std::{io, process::ExitCode, time::Duration};

/// How long until an exit code that the coordinator did not take is said again.
const AGAIN: Duration = Duration::from_secs(2);

/// Which step, and how.
#[derive(Debug, Args)]
pub struct Which {
    /// The operation, such as op-17.
    operation: String,
    /// Only show the command, to be run elsewhere within five minutes. Whether it was run stays unknown until somebody says so.
    #[arg(long)]
    print: bool,
    /// With --print: the node's name once more, for scripts; people type it on the terminal.
    #[arg(long, value_name = "NAME", requires = "print")]
    typed: Option<String>,
}

/// Has it begun.
pub async fn run(client: &Client, output: &Output, which: Which, json: bool) -> Result<ExitCode> {
    let (_, view) = watch::read(client, &which.operation).await?;
    let Some((place, step)) = view.steps.iter().enumerate().find(|(_, step)| step.is_current) else {
        bail!("{} is {}: no step of it waits for a person", view.summary.id, view.summary.state);
    };
    output.complain(&clean(&format!(
        "{}: {} {} for {}: {}",
        view.summary.id, view.summary.action, view.summary.node, view.summary.by, view.summary.reason
    )));
    output.complain(&format!("step {} ({}) of {}", step.step, step.doing, view.summary.node));
    let is_due = matches!(step.state.as_str(), "pending" | "not_done");
    let is_by_hand = view.executor == "by_hand" && !view.command.is_empty();
    match (is_due, is_by_hand) {
        (true, true) if which.print => print(client, output, &which, &view, json).await,
        (true, true) => here(client, output, &view, place, json).await,
        (true, false) if which.print => {
            bail!("{} is nothing that a person runs; without --print it is only let begin", step.step)
        }
        (true, false) if view.may.iter().any(|word| word == "begin") => {
            go_ahead(client, output, &view, json).await
        }
        _ => {
            output.complain(&clean(&format!("millwright step: {}", not_now(&view, step))));
            Ok(may::exit_code(if view.summary.needs_people() { "needs_people" } else { "wait" }))
        }
    }
}

/// Why there is nothing to begin, and what to do instead.
fn not_now(view: &OperationView, step: &StepView) -> String {
    let id = &view.summary.id;
    match step.state.as_str() {
        "unknown" => format!(
            "nobody knows whether {} has happened: {}; look, then say `millwright confirm {id} done --reason …` or `millwright confirm {id} not_run --reason …`",
            step.step,
            step.why.as_deref().unwrap_or_default()
        ),
        "begun" if step.by.is_some() => format!(
            "{} has begun `{}` and not said how it ended; if it surely does not run, say `millwright confirm {id} not_run --reason …`, else wait for its effect",
            step.by.as_deref().unwrap_or_default(),
            quoted(&step.command)
        ),
        _ => {
            let waits =
                view.summary.waiting.as_ref().map_or_else(|| format!("it is {}", step.state), watch::waits);
            format!("no step of {id} waits for you to begin it: {waits}")
        }
    }
}

/// An agent's step, or one that the coordinator runs, in mode `advise`.
async fn go_ahead(client: &Client, output: &Output, view: &OperationView, json: bool) -> Result<ExitCode> {
    let word = json!({ "what": "begin", "by": words::author() });
    let (answer, _) = match begun(client, output, view, &word).await? {
        Ok(said) => said,
        Err(code) => return Ok(code),
    };
    if json {
        output.json(&answer)?;
    } else {
        let id = &view.summary.id;
        output.line(format!("{id} goes on; `millwright operations {id} --watch` follows it"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes the permit. What objects is shown and becomes the exit code.
async fn begun(
    client: &Client,
    output: &Output,
    view: &OperationView,
    word: &Value,
) -> Result<Result<(Value, Said), ExitCode>> {
    match say::post(client, &view.summary.id, "confirm", word).await {
        Ok(said) => Ok(Ok(said)),
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) if refused.code == "objected" => {
                output.complain(&format!("millwright: {refused}"));
                let (_, now) = watch::read(client, &view.summary.id).await?;
                Ok(Err(may::exit_code(if now.summary.needs_people() { "needs_people" } else { "wait" })))
            }
            _ => Err(error),
        },
    }
}

/// Takes the permit, runs the command, says how it ended.
async fn here(
    client: &Client,
    output: &Output,
    view: &OperationView,
    place: usize,
    json: bool,
) -> Result<ExitCode> {
    let id = &view.summary.id;
    output.complain(&clean(&format!("its command: {}", quoted(&view.command))));
    // From here on Ctrl-C is for the command alone: we stay to say how it ended.
    let spared = child::Spared::new().context("keep Ctrl-C for the command")?;
    let word = json!({ "what": "begin", "by": words::author() });
    let (_, said) = match begun(client, output, view, &word).await? {
        Ok(said) => said,
        Err(code) => return Ok(code),
    };
    output.complain(&clean(&format!("runs now: {}", quoted(&said.command))));
    // For programs standard output is ours alone.
    let out: Sink = if json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    let ended = child::run(&said.command, out, Box::new(io::stderr())).await;
    drop(spared);
    let word = match &ended {
        Ok(Ended { code, said }) => {
            json!({ "what": "exit", "code": code, "said": said, "by": words::author() })
        }
        // Nothing was started, and that is sure.
        Err(error) => {
            output.complain(&format!("millwright step: {error:#}; nothing was run, and that is recorded"));
            json!({ "what": "not_run", "reason": format!("{error:#}"), "by": words::author() })
        }
    };
    let (answer, said) = told(client, output, id, &word).await?;
    let step = said.operation.steps.get(place).context("find the step in the coordinator's answer")?;
    if json {
        output.json(&answer)?;
    } else {
        let tone = if step.state == "done" { Tone::Good } else { Tone::Bad };
        let why = step.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        output.line(output.tone(tone, &format!("{} is {}{why}", step.step, step.state.replace('_', " "))))?;
    }
    Ok(match step.state.as_str() {
        "done" => ExitCode::SUCCESS,
        "unknown" => may::exit_code("needs_people"),
        _ => ExitCode::FAILURE,
    })
}

/// Says how it ended until the coordinator has it: the command is over, and nobody else knows.
async fn told(client: &Client, output: &Output, id: &str, word: &Value) -> Result<(Value, Said)> {
    let mut is_away = false;
    loop {
        let error = match say::post(client, id, "confirm", word).await {
            Ok(said) => return Ok(said),
            Err(error) => error,
        };
        if !is_passing(&error) {
            let look =
                format!("say how the command ended; `millwright operations {id}` shows what is known of it");
            return Err(error.context(look));
        }
        if !std::mem::replace(&mut is_away, true) {
            output.complain(&format!(
                "{error:#}; the command has ended, and the coordinator is told as soon as it answers"
            ));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Shows the command to a person who runs it elsewhere.
async fn print(
    client: &Client,
    output: &Output,
    which: &Which,
    view: &OperationView,
    json: bool,
) -> Result<ExitCode> {
    let (id, node) = (&view.summary.id, &view.summary.node);
    let typed = match &which.typed {
        Some(typed) => Some(typed.clone()),
        None => terminal::ask(&format!("it is about {node}; type its name to see the command:"))?,
    };
    let Some(typed) = typed else {
        output.complain(
            "millwright step --print: nobody is here to type the node's name; give it with --typed NAME",
        );
        return Ok(ExitCode::from(2));
    };
    let is_meant = |name: &str| {
        name.parse::<NodeName>().ok().is_some_and(|name| Some(name) == view.summary.key.parse().ok())
    };
    if !is_meant(&typed) {
        bail!("{typed:?} is not {node}, which {id} is about; nothing was shown");
    }
    let word = json!({ "what": "printed", "reason": "shown, to be run elsewhere", "by": words::author() });
    let (answer, said) = match begun(client, output, view, &word).await? {
        Ok(said) => said,
        Err(code) => return Ok(code),
    };
    if json {
        output.json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let until = said.operation.permit.as_ref().map(|permit| permit.expires_at);
    for line in warning(id, node, until) {
        output.complain(&line);
    }
    // By itself, so that it can be copied.
    output.line(clean(&quoted(&said.command)))?;
    Ok(ExitCode::SUCCESS)
}

fn warning(id: &str, node: &str, until: Option<Timestamp>) -> [String; 3] {
    let until = until.map_or_else(|| "for 5 minutes".to_owned(), |until| format!("until {until:.0}"));
    [
        format!(
            "valid {until}; in 5 minutes ask again with `millwright step {id} --print`: what held for {node} may hold no more"
        ),
        "whoever runs it later is stopped by nobody: throw it away then".to_owned(),
        format!(
            "whether it was run is unknown from now on: say `millwright confirm {id} done --reason …` or `millwright confirm {id} not_run --reason …`"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::example::{view, waiting};

    fn told_at(state: &str, change: impl Fn(&mut StepView)) -> String {
        let mut view = view("running", &[], waiting("a build runs", false));
        let step = view.steps.last_mut().unwrap();
        step.state = state.to_owned();
        change(step);
        let step = step.clone();
        not_now(&view, &step)
    }

    #[test]
    fn who_has_nothing_to_begin_is_told_why_and_what_to_say_instead() {
        assert!(told_at("pending", |_| {}).contains("waits: a build runs"));
        let unknown = told_at("unknown", |step| step.why = Some("exit 30".into()));
        assert!(
            unknown.contains("exit 30") && unknown.contains("`millwright confirm op-3 not_run"),
            "{unknown}"
        );
        let begun = told_at("begun", |step| {
            step.by = Some("joe".into());
            step.command = vec!["ai-rebuild".into()];
        });
        assert!(begun.contains("joe has begun `ai-rebuild`"), "{begun}");
    }

    #[test]
    fn a_printed_command_says_until_when_and_that_nobody_stops_it_later() {
        let text = warning("op-3", "alibuild10", Some("2026-01-31T10:05:00Z".parse().unwrap())).join("\n");
        for part in [
            "valid until 2026-01-31T10:05:00Z",
            "in 5 minutes ask again",
            "stopped by nobody",
            "confirm op-3 not_run",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
