//! RecordIO, in which Mesos streams events: a length in decimal, a line feed, that many bytes, and so on without an end.
//!
//! Pieces of the stream have nothing to do with records. A record that is longer than we keep is passed over byte by
//! byte, so that the first one, with the state of a whole cluster in it, costs no memory.

/// A record is kept up to this length: a task with all its labels is far smaller.
const KEPT: usize = 64 * 1024;
/// A longer record is a fault, not an event.
const LONGEST: u64 = 512 * 1024 * 1024;
/// Digits of the longest length.
const DIGITS: usize = 9;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// All of it.
    Whole(Vec<u8>),
    /// It was too long to keep.
    PassedOver,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("read an event of Mesos: found {0:?} where the length of the next one should be")]
    Length(String),
    #[error("read an event of Mesos: it has {0} bytes, {LONGEST} are the most")]
    TooLong(u64),
}

/// Where the reader is in the stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Length(String),
    Record { left: u64, kept: Option<Vec<u8>> },
}

impl Default for Place {
    fn default() -> Self {
        Self::Length(String::new())
    }
}

impl Reader {
    /// Takes the next piece of the stream and returns the records that end in it.
    ///
    /// # Errors
    /// The stream is not RecordIO, or a record is too long to be one. Nothing more can be read then.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<Vec<Record>, Broken> {
        let mut records = Vec::new();
        while !piece.is_empty() {
            piece = match &mut self.place {
                Place::Length(digits) => match piece.split_first() {
                    Some((b'\n', rest)) => {
                        self.place = start(digits)?;
                        rest
                    }
                    Some((digit, rest)) if digit.is_ascii_digit() && digits.len() < DIGITS => {
                        digits.push(char::from(*digit));
                        rest
                    }
                    _ => {
                        let shown = piece.get(..piece.len().min(20)).unwrap_or_default();
                        let found = format!("{digits}{}", String::from_utf8_lossy(shown));
                        return Err(Broken::Length(found));
                    }
                },
                Place::Record { left, kept } => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                    let (mine, rest) = piece.split_at(length);
                    if let Some(kept) = kept {
                        kept.extend(mine);
                    }
                    *left -= length as u64;
                    rest
                }
            };
            if let Place::Record { left: 0, kept } = &mut self.place {
                records.push(kept.take().map_or(Record::PassedOver, Record::Whole));
                self.place = Place::default();
            }
        }
        Ok(records)
    }
}

fn start(digits: &str) -> Result<Place, Broken> {
    let length: u64 = digits.parse().map_err(|_| Broken::Length(digits.to_owned()))?;
    if length > LONGEST {
        return Err(Broken::TooLong(length));
    }
    let kept = (length <= KEPT as u64).then(Vec::new);
    Ok(Place::Record { left: length, kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8], piece: usize) -> Result<Vec<Record>, Broken> {
        let mut reader = Reader::default();
        let mut records = Vec::new();
        for piece in stream.chunks(piece) {
            records.extend(reader.take(piece)?);
        }
        Ok(records)
    }

    fn whole(text: &str) -> Record {
        Record::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn records_are_the_same_however_the_stream_is_cut() {
        let stream = "3\nabc20\n{\"type\":\"HEARTBEAT\"}0\n4\n\u{e9}\n\n".as_bytes();
        let expected = [whole("abc"), whole("{\"type\":\"HEARTBEAT\"}"), whole(""), whole("\u{e9}\n\n")];
        for piece in 1..=stream.len() {
            assert_eq!(read(stream, piece).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_record_that_is_not_over_yet_is_none() {
        assert_eq!(read(b"5\nabcd", 2).unwrap(), []);
        assert_eq!(read(b"5", 1).unwrap(), []);
    }

    #[test]
    fn a_long_record_is_passed_over_and_the_next_one_read() {
        let mut stream = format!("{}\n", KEPT + 1).into_bytes();
        stream.extend(vec![b'x'; KEPT + 1]);
        stream.extend(b"2\nok");
        for piece in [1_000, 65_536, stream.len()] {
            assert_eq!(read(&stream, piece).unwrap(), [Record::PassedOver, whole("ok")]);
        }
        let kept = [format!("{KEPT}\n").into_bytes(), vec![b'x'; KEPT]].concat();
        assert!(
            matches!(read(&kept, 10_000).unwrap().as_slice(), [Record::Whole(bytes)] if bytes.len() == KEPT)
        );
    }

    #[test]
    fn what_is_no_length_is_refused_before_anything_is_kept() {
        for bad in ["-1\n", "\n", "{\"type\":1}", "1e3\n", "12345678901234567890\n", " 3\nabc", "<html>"] {
            assert!(matches!(read(bad.as_bytes(), 3), Err(Broken::Length(_))), "{bad:?}");
        }
        assert_eq!(read(b"536870913\n", 4), Err(Broken::TooLong(536_870_913)));
        assert_eq!(read(b"536870912\nx", 4), Ok(vec![]));
    }
}
