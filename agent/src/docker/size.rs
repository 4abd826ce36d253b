//! Sizes as Docker writes them for people: decimal units, with or without a space.

/// Reads a size such as `3.89 GB`, `10.74GB`, `65.54 kB` or `0B`, in bytes; none when it is no size.
///
/// Units are decimal (`kB`, `MB`, …, of 1000) as Docker uses them, or binary when written so (`KiB`).
pub fn read_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.trim().parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let (prefix, base) = match unit.strip_suffix("ib") {
        Some(prefix) => (prefix, 1024_f64),
        None => (unit.strip_suffix('b')?, 1000_f64),
    };
    let power = match prefix {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number * base.powi(power);
    (bytes.is_finite() && (0.0..1e19).contains(&bytes)).then_some(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_docker_is_read() {
        for (text, bytes) in [
            ("3.89 GB", 3_890_000_000),
            ("10.74GB", 10_740_000_000),
            ("65.54 kB", 65_540),
            ("0B", 0),
            ("20.97 MB", 20_970_000),
            ("1.5 TB", 1_500_000_000_000),
            ("2 KiB", 2048),
            ("512 B", 512),
        ] {
            assert_eq!(read_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_not_taken_for_zero() {
        for text in ["", "GB", "12", "3.89 XB", "-1 GB", "1 GBit", "NaN GB", "inf B", "é"] {
            assert_eq!(read_size(text), None, "{text}");
        }
    }
}
