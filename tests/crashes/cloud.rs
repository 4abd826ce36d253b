//! What stands in for the programs of the cloud: they take their time, and end as `ai-rebuild` and its like end. Each call
//! leaves a line when it begins and one when it ends, and each effect leaves one, so that "once" can be counted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::Chance;
use super::system::harness::Scratch;

/// Each step that is carried out by a command, and its program. Deleting volumes takes a program of the site's own.
const PROGRAMS: [(&str, &str); 7] = [
    ("rebuild", "ai-rebuild"),
    ("create", "ai-bs"),
    ("mask_alarms", "roger"),
    ("quarantine", "server-stop"),
    ("delete_server", "ai-kill"),
    ("delete_volumes", "volume-delete"),
    ("ledger", "foreman-delete"),
];

/// How a program's calls end, in their order; after these all is well. Nothing that is known to have had an effect, or that
/// may have had one, is called again.
const MOODS: [&[&str]; 5] = [&[], &[], &["no-ticket"], &["late"], &["lost", "no-ticket"]];

const PROGRAM: &str = r#"#!/bin/sh
name=${0##*/}
cd "$(dirname "$0")" || exit 99
echo "$name begun $$ $*" >>calls
mood=$(sed -n "$(grep -c "^$name begun" calls)p" "moods.$name")
echo "looking $1 up in Foreman"
sleep "$(cat takes)"
# Nobody listens any more when the coordinator is gone: then it ends here, or below, when it has been at work.
echo "asking Nova for $1"
code=0
case $mood in
no-ticket) code=3 ;;
lost) code=30 ;;
late) code=30 && echo "$name $$" >>effects ;;
*) echo "$name $$" >>effects ;;
esac
sleep "$(cat takes)"
echo "Nova is done with $1: $code"
echo "$name ended $$ $code" >>calls
exit $code
"#;

/// The programs of one site.
pub struct Cloud {
    scratch: Scratch,
}

/// What somebody finds who looks how far a program came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    StillRuns,
    Effect,
    NoEffect,
}

impl Cloud {
    /// Programs of these moods.
    pub fn new(chance: &mut Chance) -> Result<Self> {
        let scratch = Scratch::new("cloud")?;
        scratch.write("takes", &format!("0.{}", 2 + chance.below(8)))?;
        for (_, name) in PROGRAMS {
            let program = scratch.write(name, PROGRAM)?;
            fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
            let moods = MOODS.get(usize::try_from(chance.below(MOODS.len() as u64))?).unwrap_or(&MOODS[0]);
            scratch.write(&format!("moods.{name}"), &(moods.join("\n") + "\n"))?;
        }
        Ok(Self { scratch })
    }

    /// The section of a policy that names them.
    pub fn policy(&self) -> String {
        let of = |line: &dyn Fn(&str, PathBuf) -> String| -> String {
            PROGRAMS.iter().map(|(step, name)| line(step, self.scratch.join(name))).collect()
        };
        let commands = of(&|step, program| format!("{step} = [{program:?}, \"{{host}}.cern.ch\"]\n"));
        let harmless = of(&|step, _| format!("{step} = [2, 3, 4, 5]\n"));
        format!(
            "[executors]\nby = \"command\"\n[executors.commands]\n{commands}[executors.harmless_exits]\n{harmless}"
        )
    }

    /// How often the program of a step has had its effect.
    pub fn effects(&self, step: &str) -> Result<usize> {
        let name = program(step)?;
        Ok(self.lines("effects").iter().filter(|line| line.split(' ').next() == Some(name)).count())
    }

    /// How often it was called.
    pub fn calls(&self, step: &str) -> Result<usize> {
        let begun = format!("{} begun ", program(step)?);
        Ok(self.lines("calls").iter().filter(|line| line.starts_with(&begun)).count())
    }

    /// Whether it is at work.
    pub fn runs(&self, step: &str) -> Result<bool> {
        let begun = format!("{} begun ", program(step)?);
        let calls = self.lines("calls");
        let mut processes = calls.iter().filter_map(|line| line.strip_prefix(&begun)?.split(' ').next());
        Ok(processes.any(|process| self.is_ours(process)))
    }

    /// What a person finds who looks.
    pub fn look(&self, step: &str) -> Result<Found> {
        Ok(match (self.runs(step)?, self.effects(step)?) {
            (true, _) => Found::StillRuns,
            (false, 0) => Found::NoEffect,
            (false, _) => Found::Effect,
        })
    }

    /// That the step has happened, and once.
    pub fn is_done_once(&self, step: &str, attempts: u64) -> Result<()> {
        let (effects, calls) = (self.effects(step)?, self.calls(step)?);
        let told = || format!("{:#?}\n{:#?}", self.lines("calls"), self.lines("effects"));
        ensure!(effects == 1, "{step} has happened {effects} times: {}", told());
        ensure!(calls as u64 <= attempts, "{step}: {calls} calls in {attempts} attempts: {}", told());
        Ok(())
    }

    /// A process of that number may be another one by now.
    fn is_ours(&self, process: &str) -> bool {
        let line = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.contains(&self.scratch.path().display().to_string())
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.scratch.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn program(step: &str) -> Result<&'static str> {
    let found = PROGRAMS.iter().find(|(named, _)| *named == step);
    found.map(|(_, name)| *name).with_context(|| format!("find the program of {step}"))
}
