//! Durations ("15m", "1h 30m") and sizes ("100GiB") as people write them.
//!
//! Use with `#[serde(with = "units::duration")]` and `#[serde(with = "units::size")]`.

use serde::{Deserializer, de};
use std::{fmt, time::Duration};

const DURATION_FORM: &str = "a duration such as \"500ms\", \"10s\", \"15m\", \"6h\", \"14d\" or \"1h30m\"";
const SIZE_FORM: &str = "a size such as \"512MiB\", \"100GiB\", \"500GB\" or \"2TiB\"";

/// The longest duration accepted: ten years. Longer ones are typing errors.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Reads a duration above zero, with milliseconds as the smallest unit.
///
/// # Errors
/// What was given and the accepted form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = |why: &str| Err(format!("{text:?} {why}; write {DURATION_FORM}"));
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((number, unit, after)) = split_quantity(rest) else {
            return refuse("is no duration");
        };
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return refuse("has no unit"),
            _ => return refuse("has a unit that is not known"),
        };
        let part = number.parse::<u64>().ok().and_then(|count| count.checked_mul(milliseconds));
        let Some(sum) = part.and_then(|part| total.checked_add(Duration::from_millis(part))) else {
            return refuse("is no whole number of a unit");
        };
        total = sum;
        rest = after.trim_start();
    }
    if total.is_zero() {
        return refuse("is zero or empty");
    }
    if total > LONGEST {
        return refuse("is longer than ten years");
    }
    Ok(total)
}

/// Reads a size in bytes; KiB, MiB, … are powers of 1024, kB, MB, … powers of 1000.
///
/// # Errors
/// What was given and the accepted form.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refuse = |why: &str| Err(format!("{text:?} {why}; write {SIZE_FORM}"));
    let Some((number, unit, "")) = split_quantity(text.trim()) else {
        return refuse("is no size");
    };
    let bytes: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "" => return refuse("has no unit"),
        _ => return refuse("has a unit that is not known"),
    };
    match number.parse::<u64>().ok().and_then(|count| count.checked_mul(bytes)) {
        Some(size) => Ok(size),
        None => refuse("is no whole number of a unit, or is too large"),
    }
}

/// Splits "15m rest" into number, unit and the rest.
fn split_quantity(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits)?;
    if number.is_empty() {
        return None;
    }
    let rest = rest.trim_start();
    let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(letters)?;
    Some((number, unit, rest))
}

/// A duration in words, for sentences: "3 s", "12 min", "5 h", "3 days".
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if !duration.is_zero() => format!("{} ms", duration.as_millis()),
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A size in words, for sentences: "93 GiB", "1.5 TiB".
pub fn spoken_size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let value = bytes as f64 / unit as f64;
            return if value < 10.0 { format!("{value:.1} {name}") } else { format!("{value:.0} {name}") };
        }
    }
    format!("{bytes} B")
}

/// For `#[serde(with = "units::duration")]`.
pub mod duration {
    use super::{DURATION_FORM, Deserializer, Duration, Text, parse_duration};

    /// Reads a duration above zero.
    ///
    /// # Errors
    /// What was given and the accepted form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_str(Text { form: DURATION_FORM, parse: parse_duration })
    }
}

/// For `#[serde(with = "units::size")]`.
pub mod size {
    use super::{Deserializer, SIZE_FORM, Text, parse_size};

    /// Reads a size in bytes.
    ///
    /// # Errors
    /// What was given and the accepted form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(Text { form: SIZE_FORM, parse: parse_size })
    }
}

/// For `#[serde(default, with = "units::optional_size")]`.
pub mod optional_size {
    use super::{Deserializer, size};

    /// Reads a size in bytes; only a missing key is `None`.
    ///
    /// # Errors
    /// What was given and the accepted form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        size::deserialize(deserializer).map(Some)
    }
}

struct Text<T> {
    form: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.form)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("10s", 10), ("15m", 900), ("15min", 900), ("6h", 21_600), ("1h 30m", 5_400), ("14d", 1_209_600)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_accepted_form() {
        for text in ["", "0s", "10", "s", "-1s", "1.5h", "3 weeks", "99999999999999999999s", "9999d", "ä"] {
            let refusal = parse_duration(text).unwrap_err();
            assert!(refusal.contains("write a duration such as"), "{text}: {refusal}");
        }
    }

    #[test]
    fn sizes_know_both_families_of_units() {
        for (text, bytes) in [("100GiB", 100 << 30), ("500 GB", 500_000_000_000), ("0B", 0), ("1kB", 1000)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "100", "GiB", "1.5GiB", "1GiB 5MiB", "99999999999TiB", "-1GiB"] {
            assert!(parse_size(text).unwrap_err().contains("write a size such as"), "{text}");
        }
    }

    #[test]
    fn spoken_values_are_short() {
        assert_eq!(spoken(Duration::from_secs(7_300)), "2 h");
        assert_eq!(spoken(Duration::from_millis(20)), "20 ms");
        assert_eq!(spoken_size(93 << 30), "93 GiB");
        assert_eq!(spoken_size(3 << 29), "1.5 GiB");
        assert_eq!(spoken_size(12), "12 B");
    }
}
