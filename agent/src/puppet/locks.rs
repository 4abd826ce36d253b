//! Puppet's lock files: who runs now, and whether a person has disabled runs.

use crate::json;
use millwright_protocol::lenient::Text;
use serde::Deserialize;

/// Reads `agent_disabled.lock`: the reason, empty when none was given. The file's being there is what disables.
pub fn read_disabled(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(default)]
        disabled_message: Text,
    }
    match json::object::<Raw>(body) {
        Ok(raw) => raw.disabled_message.0.chars().take(300).collect(),
        Err(_) => String::from_utf8_lossy(body).trim().chars().take(300).collect(),
    }
}

/// Reads `agent_catalog_run.lock`: the process that runs; none while the file is being written.
pub fn read_pid(body: &[u8]) -> Option<u32> {
    std::str::from_utf8(body).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_read_where_there_is_one() {
        assert_eq!(read_disabled(br#"{"disabled_message":"disk swap, Ann"}"#), "disk swap, Ann");
        assert_eq!(read_disabled(br#"{"disabled_message":null}"#), "");
        assert_eq!(read_disabled(b""), "");
        assert_eq!(read_disabled(b"by hand\n"), "by hand");
        assert_eq!(read_disabled(b"\xff{"), "\u{fffd}{");
    }

    #[test]
    fn the_process_is_a_number_or_not_known() {
        assert_eq!(read_pid(b"1234\n"), Some(1234));
        for body in [&b""[..], b"-1", b"puppet", b"\xff", b"99999999999"] {
            assert_eq!(read_pid(body), None);
        }
    }
}
