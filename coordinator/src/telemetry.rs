//! Logging: to the systemd journal with fields where that is where our errors go, else a line each to standard error.
//!
//! `error`: somebody must act. `warn`: degraded, we carried on. `info`: something changed. `debug`: for whoever investigates.

use log::{Level, LevelFilter, Log, Metadata, Record, kv};
use std::io::Write;
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Starts logging. Does nothing when logging has been started already.
///
/// # Errors
/// When `level` is no level; the message lists them.
pub fn start(level: &str) -> Result<(), String> {
    let level: LevelFilter = level.trim().parse().map_err(|_| {
        format!("{level:?} is not a log level; the levels are off, error, warn, info, debug and trace")
    })?;
    if log::set_boxed_logger(logger()).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

fn logger() -> Box<dyn Log> {
    if connected_to_journal()
        && let Ok(journal) = JournalLog::new()
    {
        return Box::new(Ours(journal.with_syslog_identifier("millwright-coordinator".to_owned())));
    }
    Box::new(Ours(StandardError))
}

/// Lets through what our own code says, and of the libraries only warnings.
struct Ours<L>(L);

impl<L: Log> Log for Ours<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("millwright") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// `2026-01-31T10:00:00Z info sentence node.id=alibuild03`.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = line(jiff::Timestamp::now(), record);
        // A log that cannot be written has nowhere to say so.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

fn line(now: jiff::Timestamp, record: &Record<'_>) -> String {
    let level = record.level().as_str().to_ascii_lowercase();
    let text = record.args().to_string().replace(['\n', '\r'], " ");
    let mut fields = Fields(format!("{now:.3} {level} {text}"));
    let _ = record.key_values().visit(&mut fields);
    fields.0.push('\n');
    fields.0
}

struct Fields(String);

impl<'kvs> kv::VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push_str(&format!(" {key}={value}").replace(['\n', '\r'], " "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_time_level_sentence_and_fields_and_stays_one_line() {
        let fields = [("node.id", "alibuild03\nfake")];
        let record = Record::builder()
            .level(Level::Warn)
            .args(format_args!("two\nlines"))
            .key_values(&fields)
            .build()
            .to_owned();
        let at = "2026-01-31T10:00:00Z".parse().unwrap();
        assert_eq!(line(at, &record), "2026-01-31T10:00:00.000Z warn two lines node.id=alibuild03 fake\n");
    }

    #[test]
    fn libraries_are_heard_only_when_they_warn() {
        let ours = Ours(StandardError);
        for (target, level, heard) in [
            ("millwright_coordinator::api", Level::Debug, true),
            ("hyper::proto", Level::Debug, false),
            ("hyper::proto", Level::Warn, true),
        ] {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(ours.enabled(&metadata), heard, "{target} {level}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_the_list() {
        assert!(start("loud").unwrap_err().contains("debug"));
    }
}
