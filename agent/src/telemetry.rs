//! Where log lines go, and what the service manager is told.
//!
//! To the journal with their fields when it listens; otherwise to stderr, where `<n>` gives the severity to
//! whoever reads it (systemd and syslog do), and a terminal gets plain lines.

use log::{Level, LevelFilter, Log, Metadata, Record, kv};
use sd_notify::NotifyState;
use std::{
    fmt::Write as _,
    io::{IsTerminal, Write, stderr},
    time::Duration,
};
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Sends log lines to where they are read. A second call changes nothing.
pub fn start(level: LevelFilter) {
    let to_journal =
        || JournalLog::new().map(|journal| journal.with_syslog_identifier("millwright-agent".to_owned()));
    let installed = match to_journal() {
        Ok(journal) if connected_to_journal() => journal.install(),
        _ => log::set_boxed_logger(Box::new(ToStderr { is_terminal: stderr().is_terminal() })),
    };
    if installed.is_ok() {
        log::set_max_level(level);
    }
}

struct ToStderr {
    is_terminal: bool,
}

impl Log for ToStderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if is_ours(record.metadata()) {
            // Nobody to tell when stderr is gone.
            let _ = writeln!(stderr(), "{}", line(record, self.is_terminal));
        }
    }

    fn flush(&self) {}
}

/// Libraries speak up when something is wrong only.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("millwright") || metadata.level() <= Level::Warn
}

fn line(record: &Record<'_>, is_terminal: bool) -> String {
    let mut line = match is_terminal {
        true => format!("{:5} ", record.level()),
        false => format!("<{}>", severity(record.level())),
    };
    // One record, one line, whatever was found outside.
    line.extend(
        record.args().to_string().chars().map(|letter| if letter.is_control() { ' ' } else { letter }),
    );
    let mut fields = Fields(&mut line);
    // The visitor never fails.
    let _ = record.key_values().visit(&mut fields);
    line
}

/// syslog's numbers.
fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

struct Fields<'a>(&'a mut String);

impl<'kvs> kv::VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let value = value.to_string();
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(self.0, " {key}={value:?}");
        }
        Ok(())
    }
}

/// Tells systemd that the agent is up.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells systemd that the agent is going.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The line `systemctl status` shows; also says that we are alive.
pub fn alive(status: &str) {
    notify(&[NotifyState::Status(status), NotifyState::Watchdog]);
}

/// How often [`alive`] has to be called, when systemd watches.
pub fn watched_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("tell the service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(is_terminal: bool, message: &str) -> String {
        let fields = [("check", "docker"), ("item", "")];
        line(
            &Record::builder().level(Level::Warn).args(format_args!("{message}")).key_values(&fields).build(),
            is_terminal,
        )
    }

    #[test]
    fn lines_for_machines_carry_severity_and_fields() {
        assert_eq!(written(false, "docker hangs"), "<4>docker hangs check=\"docker\"");
        assert_eq!(written(true, "docker hangs"), "WARN  docker hangs check=\"docker\"");
    }

    #[test]
    fn nothing_from_outside_begins_a_line_of_its_own_or_moves_the_cursor() {
        assert_eq!(written(false, "a\n<0>b\u{1b}[2J"), "<4>a <0>b [2J check=\"docker\"");
    }
}
