//! Reads every file of a folder with the production readers and prints what each made of it. See README.md beside.
#![expect(clippy::print_stderr, reason = "it is how this program tells its user what is wrong")]

mod kinds;

use std::{
    fs,
    io::{self, Read, Write},
    panic,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// A file larger than this is not read; no answer of a real system came near.
const LARGEST: u64 = 256 << 20;
/// Folders deeper than this are not walked.
const DEEPEST: usize = 64;

/// What became of one file.
enum Outcome {
    Ok(String),
    Refused(String),
    Skipped(String),
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("name a folder: make corpus CORPUS=FOLDER");
        return ExitCode::from(2);
    };
    let mut files = Vec::new();
    if let Err(error) = walk(&folder, 0, &mut files) {
        eprintln!("read {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    files.sort();
    let mut panicked = false;
    for file in &files {
        let shown =
            file.strip_prefix(&folder).unwrap_or(file).to_string_lossy().replace(char::is_control, "?");
        let line = match panic::catch_unwind(|| read(&folder, file)) {
            Ok(Outcome::Ok(counts)) => format!("ok {shown} {counts}"),
            Ok(Outcome::Refused(why)) => format!("refused {shown}: {}", one_line(&why)),
            Ok(Outcome::Skipped(why)) => format!("skipped {shown}: {}", one_line(&why)),
            Err(_) => {
                panicked = true;
                format!("panicked {shown}")
            }
        };
        // Whoever reads may have had enough.
        if writeln!(io::stdout(), "{line}").is_err() {
            break;
        }
    }
    if panicked { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// All files below a folder. Links are listed, not followed, so loops end.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && depth < DEEPEST {
            // A folder that cannot be entered is told as what it is.
            if walk(&entry.path(), depth + 1, files).is_err() {
                files.push(entry.path());
            }
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn read(folder: &Path, file: &Path) -> Outcome {
    let metadata = match fs::symlink_metadata(file) {
        Ok(metadata) => metadata,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let metadata = if metadata.is_symlink() {
        match fs::metadata(file) {
            Ok(target) if target.is_file() => target,
            Ok(_) => return Outcome::Skipped("a link that leads to no file".to_owned()),
            Err(error) => return Outcome::Refused(format!("follow the link: {error}")),
        }
    } else {
        metadata
    };
    if !metadata.is_file() {
        return Outcome::Skipped("not a file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Outcome::Refused(format!("{} bytes, more than 256 MiB", metadata.len()));
    }
    let mut body = Vec::new();
    if let Err(error) = fs::File::open(file).and_then(|file| file.take(LARGEST).read_to_end(&mut body)) {
        return Outcome::Refused(error.to_string());
    }
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let inside = file.strip_prefix(folder).unwrap_or(file);
    // The folder named may itself be that of one system.
    let system = match inside.components().next() {
        Some(first) if first.as_os_str() != inside.as_os_str() => {
            first.as_os_str().to_string_lossy().into_owned()
        }
        _ => folder.canonicalize().map(|folder| name_of(&folder)).unwrap_or_default(),
    };
    let name = name_of(file).to_lowercase();
    kinds::read(&system, &name, &body)
}

fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    flat.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
