//! Lengths of time and sizes as people say them.

use jiff::Timestamp;

/// "45 s", "12 min", "3 h", "5 d".
pub fn length(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago that was; "now" for the future.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match u64::try_from(now.duration_since(then).as_secs()) {
        Ok(seconds) => format!("{} ago", length(seconds)),
        Err(_) => "now".to_owned(),
    }
}

/// "95 GiB", "3.2 TiB".
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" || value >= 10.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_are_said_in_the_unit_that_fits() {
        for (seconds, said) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")] {
            assert_eq!(length(seconds), said);
        }
        for (size, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (102_005_473_280, "95 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(size), said);
        }
    }
}
