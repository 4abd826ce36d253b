//! A node's last findings and facts in few bytes, unpacked when a person looks.
//!
//! Thousands of parsed reports would fill the memory with the same words and with empty room between strings. Packed,
//! words that many nodes share (checks, images, kernels) are numbers of a dictionary, counts are as short as they
//! are small, and evidence of findings that are `ok` is left out. The form never leaves the process.

mod layout;

use layout::PackAll;

use jiff::Timestamp;
use millwright_protocol::{Facts, Finding, Status};
use std::{collections::HashMap, sync::Arc};

/// So many words are shared; later ones are written out. Outside data cannot make the dictionary grow for ever.
const MOST_WORDS: usize = 8_192;
/// Longer texts are no words.
const LONGEST_WORD: usize = 80;

/// Words that nodes share.
#[derive(Debug, Default)]
pub struct Words {
    numbers: HashMap<Arc<str>, u32>,
    words: Vec<Arc<str>>,
}

impl Words {
    fn number(&mut self, word: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(word) {
            return Some(*number);
        }
        if self.words.len() >= MOST_WORDS || word.len() > LONGEST_WORD {
            return None;
        }
        let number = u32::try_from(self.words.len()).ok()?;
        let shared: Arc<str> = word.into();
        self.words.push(shared.clone());
        self.numbers.insert(shared, number);
        Some(number)
    }
}

/// Findings and facts of one report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Packs them; evidence and advice of findings that are `ok` go.
    pub fn new(findings: &[Finding], facts: &Facts, words: &mut Words, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        let mut packer = Packer { bytes: scratch, words };
        findings.pack_all(&mut packer);
        facts.pack(&mut packer);
        Self(scratch.as_slice().into())
    }

    /// The findings.
    pub fn findings(&self, words: &Words) -> Vec<Finding> {
        Vec::unpack(&mut Unpacker { bytes: &self.0, words }).unwrap_or_default()
    }

    /// Findings and facts.
    pub fn open(&self, words: &Words) -> (Vec<Finding>, Facts) {
        let mut unpacker = Unpacker { bytes: &self.0, words };
        let findings = Vec::unpack(&mut unpacker).unwrap_or_default();
        (findings, Facts::unpack(&mut unpacker).unwrap_or_default())
    }

    /// Its size in bytes.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

struct Packer<'a> {
    bytes: &'a mut Vec<u8>,
    words: &'a mut Words,
}

impl Packer<'_> {
    /// Seven bits a byte, the lowest first, the eighth says that more follow.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn word(&mut self, word: &str) {
        match self.words.number(word) {
            Some(number) => self.number(u64::from(number) + 1),
            None => {
                self.number(0);
                self.text(word);
            }
        }
    }
}

/// Every reader gives `None` when the bytes end early, which only a mistake of ours can cause.
struct Unpacker<'a> {
    bytes: &'a [u8],
    words: &'a Words,
}

impl Unpacker<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (head, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn word(&mut self) -> Option<String> {
        match self.number()? {
            0 => self.text(),
            number => {
                self.words.words.get(usize::try_from(number - 1).ok()?).map(|word| word.as_ref().to_owned())
            }
        }
    }
}

trait Pack: Sized {
    fn pack(&self, out: &mut Packer<'_>);
    fn unpack(from: &mut Unpacker<'_>) -> Option<Self>;
}

/// A text that many nodes share.
trait Word: Sized {
    fn pack_word(&self, out: &mut Packer<'_>);
    fn unpack_word(from: &mut Unpacker<'_>) -> Option<Self>;
}

impl Word for String {
    fn pack_word(&self, out: &mut Packer<'_>) {
        out.word(self);
    }

    fn unpack_word(from: &mut Unpacker<'_>) -> Option<Self> {
        from.word()
    }
}

impl Word for Option<String> {
    fn pack_word(&self, out: &mut Packer<'_>) {
        out.bytes.push(u8::from(self.is_some()));
        if let Some(word) = self {
            out.word(word);
        }
    }

    fn unpack_word(from: &mut Unpacker<'_>) -> Option<Self> {
        Some(if from.byte()? == 0 { None } else { Some(from.word()?) })
    }
}

impl Pack for Finding {
    fn pack(&self, out: &mut Packer<'_>) {
        let is_ok = self.status == Status::Ok;
        self.check.pack_word(out);
        self.item.pack_word(out);
        self.status.pack(out);
        self.gating.pack(out);
        self.sentence.pack(out);
        self.since.pack(out);
        self.age_seconds.pack(out);
        if !is_ok {
            self.evidence.pack(out);
            self.next.pack(out);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        let mut finding = Self {
            check: Word::unpack_word(from)?,
            item: Word::unpack_word(from)?,
            status: Pack::unpack(from)?,
            gating: Pack::unpack(from)?,
            sentence: Pack::unpack(from)?,
            since: Pack::unpack(from)?,
            age_seconds: Pack::unpack(from)?,
            evidence: Vec::new(),
            next: None,
        };
        if finding.status != Status::Ok {
            finding.evidence = Pack::unpack(from)?;
            finding.next = Pack::unpack(from)?;
        }
        Some(finding)
    }
}

impl Pack for Timestamp {
    fn pack(&self, out: &mut Packer<'_>) {
        self.as_millisecond().pack(out);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        Self::from_millisecond(Pack::unpack(from)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing;

    #[test]
    fn what_was_packed_comes_out_again_but_for_the_evidence_of_what_is_fine() {
        let mut report = testing::report("alibuild10", 1);
        report.findings.push(testing::finding("volume", Some("/build"), Status::Crit, true));
        let mut words = Words::default();
        let packed = Packed::new(&report.findings, &report.facts, &mut words, &mut Vec::new());
        let (findings, facts) = packed.open(&words);
        for finding in report.findings.iter_mut().filter(|finding| finding.status == Status::Ok) {
            finding.evidence.clear();
            finding.next = None;
        }
        assert_eq!(findings, report.findings);
        assert_eq!(facts, report.facts);
    }

    #[test]
    fn a_full_dictionary_costs_room_and_nothing_else() {
        let mut words = Words::default();
        for number in 0..MOST_WORDS + 10 {
            words.number(&format!("word {number}"));
        }
        let report = testing::report("alibuild10", 1);
        let packed = Packed::new(&report.findings, &report.facts, &mut words, &mut Vec::new());
        assert_eq!(packed.open(&words).1, report.facts);
        assert_eq!(words.words.len(), MOST_WORDS);
    }

    #[test]
    fn numbers_of_every_length_come_out_again() {
        let mut words = Words::default();
        for number in [0, 1, 127, 128, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            Packer { bytes: &mut bytes, words: &mut words }.number(number);
            assert_eq!(Unpacker { bytes: &bytes, words: &words }.number(), Some(number));
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            number.pack(&mut Packer { bytes: &mut bytes, words: &mut words });
            assert_eq!(i64::unpack(&mut Unpacker { bytes: &bytes, words: &words }), Some(number));
        }
    }
}
