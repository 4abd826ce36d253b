//! Node names: how different spellings of one machine become one name. And which coordinator speaks.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The canonical short name of a node: lower case, no domain, no leading zeros in runs of digits.
///
/// `ALIBUILD03.cern.ch`, `alibuild3` and `alibuild003` are the same node. Pages show the spelling of the
/// policy, never this form, so this type prints for machines and logs only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

/// A text that cannot be the name of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a node name: {why}; write a host name such as \"alibuild03\" or \"alibuild03.cern.ch\""
)]
pub struct InvalidName {
    given: String,
    why: &'static str,
}

/// The longest label a host name may have (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

impl NodeName {
    /// The canonical spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = InvalidName;

    fn from_str(given: &str) -> Result<Self, InvalidName> {
        let refuse = |why| Err(InvalidName { given: given.chars().take(80).collect(), why });
        let short = given.trim().split('.').next().unwrap_or_default();
        if short.is_empty() {
            return refuse("it is empty");
        }
        if short.len() > LONGEST_LABEL {
            return refuse("it is longer than 63 characters");
        }
        if !short.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return refuse("it has characters other than letters, digits, '-' and '_'");
        }
        Ok(Self(canonical(short).into()))
    }
}

/// Lower case, and every run of digits without its leading zeros ("0" stays for a run of zeros only).
fn canonical(short: &str) -> String {
    let mut name = String::with_capacity(short.len());
    let mut zeros = 0;
    let mut in_number = false;
    for letter in short.chars() {
        if letter == '0' && !in_number {
            zeros += 1;
            continue;
        }
        if zeros > 0 && !letter.is_ascii_digit() {
            name.push('0');
        }
        zeros = 0;
        in_number = letter.is_ascii_digit();
        name.push(letter.to_ascii_lowercase());
    }
    if zeros > 0 {
        name.push('0');
    }
    name
}

impl TryFrom<String> for NodeName {
    type Error = InvalidName;

    fn try_from(given: String) -> Result<Self, InvalidName> {
        given.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Which coordinator speaks. An order counts if its generation is the agent's and its epoch not below the highest seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// How often a person has put a copy of the store in its place, from 1.
    pub generation: u64,
    /// How often a coordinator has begun to write to that store, from 1.
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_node_is_the_same_name() {
        for spelling in ["alibuild03", "ALIBUILD03.cern.ch", "alibuild3", "alibuild003", " alibuild03 "] {
            assert_eq!(spelling.parse::<NodeName>().unwrap().as_str(), "alibuild3", "{spelling}");
        }
    }

    #[test]
    fn zeros_inside_and_after_a_number_stay() {
        for (spelling, name) in [
            ("node10", "node10"),
            ("node0", "node0"),
            ("node00x", "node0x"),
            ("a-010-0b", "a-10-0b"),
            ("n100", "n100"),
        ] {
            assert_eq!(spelling.parse::<NodeName>().unwrap().as_str(), name, "{spelling}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_accepted_form() {
        for bad in ["", ".cern.ch", "a b", "<script>", "näme", &"x".repeat(64)] {
            let refusal = bad.parse::<NodeName>().unwrap_err().to_string();
            assert!(refusal.contains("write a host name such as"), "{refusal}");
        }
    }
}
