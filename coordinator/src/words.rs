//! Numbers as people say them, the same on every page and in every line of the command line.

use jiff::SignedDuration;

/// A length of time with one unit: "119 s", "119 min", "47 h", "12 d".
pub fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// [`length`] of a number of seconds.
pub fn seconds(seconds: u64) -> String {
    length(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// What killing a task costs, and what of it is not its own running time: "32 min, of which 30 min until its
/// successor is warm". `ran` is for how long it has run, in seconds as well.
pub fn kill_cost(cost: u64, ran: Option<u64>) -> String {
    match ran.and_then(|ran| cost.checked_sub(ran)).filter(|warm_up| *warm_up > 0) {
        None => seconds(cost),
        Some(warm_up) => {
            format!("{}, of which {} until its successor is warm", seconds(cost), seconds(warm_up))
        }
    }
}

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// A size in binary units with three digits at most: "412 GiB", "1.4 GiB".
pub fn size(bytes: u64) -> String {
    let mut unit = 0;
    let mut scaled = bytes;
    let mut rest = 0;
    while scaled >= 1024 && unit + 1 < UNITS.len() {
        rest = scaled % 1024;
        scaled /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 || scaled >= 10 {
        format!("{scaled} {name}")
    } else {
        format!("{scaled}.{} {name}", rest * 10 / 1024)
    }
}

/// "1 node", "2 nodes".
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_keep_to_one_unit() {
        for (given, spelled) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
            (u64::MAX, "106751991167300 d"),
        ] {
            assert_eq!(seconds(given), spelled);
        }
    }

    #[test]
    fn a_kill_cost_says_what_of_it_is_warm_up() {
        assert_eq!(kill_cost(1920, Some(120)), "32 min, of which 30 min until its successor is warm");
        assert_eq!(kill_cost(120, Some(120)), "2 min");
        assert_eq!(kill_cost(120, None), "2 min");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([count(0, "node"), count(1, "node"), count(2, "node")], ["0 nodes", "1 node", "2 nodes"]);
    }
}
