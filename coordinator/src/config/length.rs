//! Lengths of time as people write them: `"10s"`, `"15m"`, `"90d"`.

use std::time::Duration;

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a length of time; write a number and one of ms, s, m, h, d, such as \"15m\"")]
pub struct InvalidLength(String);

/// Longer than anybody means: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads `"500ms"`, `"10s"`, `"15m"`, `"2h"`, `"90d"`.
///
/// # Errors
/// For anything else, and beyond a hundred years.
pub fn parse_length(text: &str) -> Result<Duration, InvalidLength> {
    let refuse = || InvalidLength(text.chars().take(40).collect());
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at_checked(digits).ok_or_else(refuse)?;
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refuse()),
    };
    let length = Duration::from_millis(number.checked_mul(milliseconds).ok_or_else(refuse)?);
    if length <= LONGEST { Ok(length) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_length() {
        for (text, seconds) in [("10s", 10), ("15m", 900), ("2h", 7200), ("90d", 7_776_000), ("15 m", 900)] {
            assert_eq!(parse_length(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_length("500ms"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn anything_else_is_refused_with_the_accepted_form() {
        for text in ["", "10", "m", "-1s", "1.5h", "1w", "10é", "99999999999999999999d", "40000000000d"] {
            let message = parse_length(text).unwrap_err().to_string();
            assert!(message.contains("such as \"15m\""), "{text}: {message}");
        }
    }
}
