//! One record a line: its length, a checksum, and the record as JSON; and what of a file may be believed.
//!
//! What a newcomer gets wrong: a line that was written whole and read damaged must not be taken for one that a loss of
//! power cut short. The second was never acted upon and may go; the first may be all that keeps an order from being carried
//! out twice. The length, written first, tells them apart.

use std::fmt::Write;

/// `LLLLLLLL CCCCCCCC `, both in hexadecimal.
const HEAD: usize = 18;

/// The line of one record, which must have no line break in it.
pub fn line(record: &str) -> String {
    let mut line = String::with_capacity(HEAD + record.len() + 1);
    // Writing to a String cannot fail.
    let _ = writeln!(line, "{:08x} {:08x} {record}", record.len(), checksum(record.as_bytes()));
    line
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// Its records, in order.
    pub records: Vec<&'a str>,
    /// Whether the last line was cut short, so that the next one must not be put behind it.
    pub is_torn: bool,
}

/// Reads a file.
///
/// # Errors
/// The number of the line that is damaged, from 1.
pub fn read(bytes: &[u8]) -> Result<Read<'_>, usize> {
    let mut read = Read { records: Vec::new(), is_torn: false };
    let mut rest = bytes;
    while !rest.is_empty() {
        let number = read.records.len() + 1;
        match first(rest) {
            First::Whole(record) => {
                read.records.push(record);
                rest = rest.get(HEAD + record.len() + 1..).unwrap_or_default();
            }
            First::Unended(record) => {
                read.records.push(record);
                read.is_torn = true;
                break;
            }
            First::Torn => {
                read.is_torn = true;
                break;
            }
            First::Damaged => return Err(number),
        }
    }
    Ok(read)
}

enum First<'a> {
    /// A good line.
    Whole(&'a str),
    /// All of a record, and nothing after it, not even the end of its line.
    Unended(&'a str),
    /// The file ends before the line does.
    Torn,
    Damaged,
}

fn first(bytes: &[u8]) -> First<'_> {
    // Blocks that a file system had set aside and not yet written read as zeros.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let is_cut = written < bytes.len();
    let bytes = bytes.get(..written).unwrap_or_default();
    let short = || if is_cut || !bytes.ends_with(b"\n") { First::Torn } else { First::Damaged };
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return short() };
    let Some((length, sum)) = heading(head) else { return First::Damaged };
    let Some((record, after)) = rest.split_at_checked(length) else { return short() };
    let record = match std::str::from_utf8(record) {
        Ok(text) if checksum(record) == sum => text,
        _ => return First::Damaged,
    };
    match after.first() {
        None => First::Unended(record),
        Some(b'\n') => First::Whole(record),
        Some(_) => First::Damaged,
    }
}

/// Length and checksum.
fn heading(head: &[u8]) -> Option<(usize, u32)> {
    let mut words = std::str::from_utf8(head).ok()?.split(' ');
    let (length, sum, nothing) = (words.next()?, words.next()?, words.next()?);
    let is_good = length.len() == 8 && sum.len() == 8 && nothing.is_empty() && words.next().is_none();
    if !is_good {
        return None;
    }
    Some((usize::try_from(u32::from_str_radix(length, 16).ok()?).ok()?, u32::from_str_radix(sum, 16).ok()?))
}

/// CRC-32 as Ethernet has it: finds every damage of up to 32 bits in a row. Records are few and short, so no table.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1));
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        ["{\"a\":1}", "", "{\"b\":\"é\"}"].map(line).concat().into_bytes()
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_was_written_is_read() {
        let file = file();
        assert_eq!(
            read(&file).unwrap(),
            Read { records: vec!["{\"a\":1}", "", "{\"b\":\"é\"}"], is_torn: false }
        );
        assert_eq!(read(b"").unwrap().records.len(), 0);
    }

    #[test]
    fn a_file_cut_short_anywhere_keeps_every_whole_line_and_damages_none() {
        let file = file();
        for cut in 0..file.len() {
            let whole = file[..cut].iter().filter(|byte| **byte == b'\n').count();
            for zeros in [0, 1, 700] {
                let mut left = file[..cut].to_vec();
                left.extend(std::iter::repeat_n(0, zeros));
                let read = read(&left).unwrap_or_else(|line| panic!("cut at {cut} + {zeros}: line {line}"));
                assert!(read.records.len() == whole || read.records.len() == whole + 1, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_byte_changed_anywhere_is_noticed_or_costs_nothing() {
        let file = file();
        let good = read(&file).unwrap().records.join("|");
        for place in 0..file.len() {
            for change in [0x01, 0x80, 0xff, file[place], file[place] ^ b'\n'] {
                let mut damaged = file.clone();
                damaged[place] ^= change;
                if damaged != file
                    && let Ok(read) = read(&damaged)
                {
                    assert_eq!(read.records.join("|"), good, "byte {place} changed by {change:#x}");
                }
            }
        }
    }
}
