//! `millwright audit`: who said what, and whether what operations did is all there and as it was written.

use crate::{
    client::{Client, Server},
    output::{Output, Tone, clean},
};
use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use jiff::Timestamp;
use millwright_coordinator::{
    app,
    store::journal::{Verified, verify},
    words,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Checks the journal of operations in a backup, a copy, or the store itself, entry by entry. Needs no coordinator and
    /// changes nothing.
    Verify {
        /// The file, such as /var/lib/millwright/backups/coordinator-TIME.sqlite.
        file: PathBuf,
        /// Taken and not needed, so that it is not offered.
        #[arg(long, hide = true)]
        server: Option<Server>,
    },
}

/// One thing that somebody said.
#[derive(Deserialize)]
struct Entry {
    at: Timestamp,
    by: String,
    what: String,
    about: String,
    #[serde(default)]
    reason: String,
}

/// Who said what, newest first.
pub async fn list(client: &Client, output: &Output, limit: u16, json: bool) -> Result<ExitCode> {
    let answer: Value = client.get("/api/v1/audit", &[("limit", &limit.to_string())]).await?;
    if json {
        output.json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let entries = answer.get("audit").map(Vec::<Entry>::deserialize).transpose()?.unwrap_or_default();
    entries.iter().try_for_each(|entry| output.line(said(entry)))?;
    Ok(ExitCode::SUCCESS)
}

fn said(entry: &Entry) -> String {
    let why = if entry.reason.is_empty() { String::new() } else { format!(": {}", entry.reason) };
    clean(&format!("{:.0}  {}  {} {}{why}", entry.at, entry.by, entry.what, entry.about))
}

/// Runs one of them.
pub fn run(output: &Output, command: AuditCommand, json: bool) -> Result<ExitCode> {
    let AuditCommand::Verify { file, .. } = command;
    let told = look(&file);
    let is_whole = told.as_ref().is_ok_and(|verified| verified.damage.is_empty());
    match told {
        _ if json => output.json(&as_json(&file, told))?,
        Ok(verified) if is_whole => output.line(whole(&file, &verified))?,
        Ok(verified) => {
            output.line(output.tone(Tone::Bad, &broken(&file, &verified)))?;
        }
        Err(error) => return Err(error),
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look(file: &Path) -> Result<Verified> {
    let found = fs::metadata(file).with_context(|| format!("read {}", file.display()))?;
    ensure!(found.is_file() && found.len() > 0, "read {}: there is no store in it", file.display());
    let is_in_use = file.parent().is_some_and(app::is_in_use);
    Ok(verify(file, is_in_use)?)
}

fn as_json(file: &Path, told: Result<Verified>) -> Value {
    match told {
        Ok(verified) => {
            let mut value = json!({ "file": file, "good": verified.damage.is_empty() });
            if let (Some(value), Ok(Value::Object(more))) =
                (value.as_object_mut(), serde_json::to_value(verified))
            {
                value.extend(more);
            }
            value
        }
        Err(error) => json!({ "file": file, "good": false, "errors": [format!("{error:#}")] }),
    }
}

fn whole(file: &Path, verified: &Verified) -> String {
    let streams = words::count(verified.streams, "stream");
    format!("{}: {}, chain intact, {streams}", file.display(), entries(verified))
}

fn broken(file: &Path, verified: &Verified) -> String {
    let mut told = format!("{}: {}, chain broken:", file.display(), entries(verified));
    for damage in &verified.damage {
        told.push_str(&format!("\n  {}", damage.sentence));
    }
    told
}

fn entries(verified: &Verified) -> String {
    let count = match verified.entries {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    match (verified.first, verified.last) {
        (Some(first), Some(last)) => format!("{count}, first {:.0}, last {:.0}", first.at, last.at),
        _ => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_coordinator::store::{
        Retention, Store,
        journal::{Draft, Journal},
    };

    fn draft(number: u64) -> Draft {
        let at = Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap()).unwrap();
        Draft { stream: "op-1".into(), number, at, kind: "begun".into(), payload: "{}".into() }
    }

    /// A store with so many entries.
    fn store(folder: &Path, entries: u64) -> PathBuf {
        let path = folder.join("store");
        let (store, _) = Store::open(&path, Retention::default()).unwrap();
        let drafts: Vec<Draft> = (1..=entries).map(draft).collect();
        store.journal().unwrap().append(0, &drafts).unwrap();
        path
    }

    #[test]
    fn an_entry_of_the_audit_is_one_line() {
        let entry = |reason: &str| Entry {
            at: Timestamp::from_second(1_700_000_000).unwrap(),
            by: "ann".into(),
            what: "reboot".into(),
            about: "n01 (op-3)".into(),
            reason: reason.into(),
        };
        assert_eq!(
            said(&entry("kernel\u{1b}")),
            "2023-11-14T22:13:20Z  ann  reboot n01 (op-3): kernel\u{fffd}"
        );
        assert_eq!(said(&entry("")), "2023-11-14T22:13:20Z  ann  reboot n01 (op-3)");
    }

    #[test]
    fn a_whole_journal_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = store(folder.path(), 2);
        let told = whole(&path, &look(&path).unwrap());
        let expected =
            "2 entries, first 2023-11-14T22:13:21Z, last 2023-11-14T22:13:22Z, chain intact, 1 stream";
        assert_eq!(told, format!("{}: {expected}", path.display()));
        let value = as_json(&path, look(&path));
        assert_eq!(
            (&value["good"], &value["entries"], &value["last"]["position"]),
            (&json!(true), &json!(2), &json!(2))
        );
    }

    #[test]
    fn a_store_without_operations_has_no_entries_and_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = store(folder.path(), 0);
        assert!(whole(&path, &look(&path).unwrap()).ends_with("0 entries, chain intact, 0 streams"));
    }

    #[test]
    fn a_journal_that_breaks_is_told_place_by_place() {
        let verified = Verified {
            entries: 1,
            damage: vec![millwright_coordinator::store::journal::Damage {
                position: 2,
                sentence: "position 2 is missing".into(),
            }],
            ..Verified::default()
        };
        let told = broken("copy".as_ref(), &verified);
        assert_eq!(told, "copy: 1 entry, chain broken:\n  position 2 is missing");
        assert_eq!(as_json("copy".as_ref(), Ok(verified))["damage"][0]["position"], 2);
    }

    #[test]
    fn what_is_no_store_is_not_called_whole() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("empty", ""), ("text", "hello, I am a text")] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            assert!(look(&path).is_err(), "{name}");
            assert_eq!(as_json(&path, look(&path))["good"], false);
        }
        assert!(look(&folder.path().join("nothing")).unwrap_err().to_string().contains("nothing"));
    }
}
