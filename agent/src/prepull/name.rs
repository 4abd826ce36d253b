//! The name of an image, always with its tag.

use serde::Deserialize;
use std::fmt;

/// A name such as `alisw/slc7-builder:latest` or `registry.cern.ch:5000/alisw/x:1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ImageName {
    repository: String,
    tag: String,
}

const ACCEPTED: &str = "write \"alisw/slc7-builder:latest\"";

impl ImageName {
    /// Reads a name; without a tag it means `latest`, and says so to Docker: old engines pull every tag otherwise.
    ///
    /// # Errors
    /// What is wrong and the accepted form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains('@') {
            return Err(format!("{text:?} is pinned by digest, which is never stale; {ACCEPTED}"));
        }
        // A colon before the last slash is a registry's port.
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (text, "latest"),
        };
        let is_plain = |text: &str, more: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(char::from(byte)))
        };
        let has_empty_part = repository.split('/').any(str::is_empty);
        if !is_plain(repository, "-_./:") || !is_plain(tag, "-_.") || has_empty_part || tag.len() > 128 {
            return Err(format!("{text:?} is not the name of an image; {ACCEPTED}"));
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// Without the tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl TryFrom<String> for ImageName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_always_has_a_tag() {
        for (text, repository, tag) in [
            ("alisw/slc7-builder", "alisw/slc7-builder", "latest"),
            ("alisw/slc7-builder:v1.2", "alisw/slc7-builder", "v1.2"),
            ("registry.cern.ch:5000/alisw/x", "registry.cern.ch:5000/alisw/x", "latest"),
            ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x", "1"),
        ] {
            let name = ImageName::parse(text).unwrap();
            assert_eq!((name.repository(), name.tag()), (repository, tag), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_accepted_form() {
        for text in
            ["", ":latest", "x:", "a b", "x?fromSrc=y", "x&tag=y", "../x#y", "a//b", "x@sha256:1", "/x"]
        {
            assert!(ImageName::parse(text).unwrap_err().contains(ACCEPTED), "{text}");
        }
    }
}
