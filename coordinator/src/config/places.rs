//! Systems that know nodes as hosts: where each is, as whom we come, and under which names it knows them.

use super::fragment::{Length, Wrong, absolute, host_name, length, web_address};
use super::outside::credentials;
use crate::integrations::peer::{Credentials, Files};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use toml::Spanned;

/// One such system.
#[derive(Debug, Clone)]
pub struct Place {
    /// Such as `https://foreman.cern.ch`.
    pub url: String,
    /// Added to a node's name, such as `cern.ch`; never empty.
    pub domain: String,
    /// In whose name; nobody's where it lets everybody look.
    pub credentials: Option<Credentials>,
    /// What is shown and trusted where it speaks TLS.
    pub files: Files,
    /// From the start of one look to the start of the next.
    pub every: Duration,
    /// After this an answer is given up.
    pub timeout: Duration,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlaceFragment {
    url: Option<Spanned<String>>,
    domain: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    secret_file: Option<Spanned<PathBuf>>,
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    ca: Option<Spanned<PathBuf>>,
    every: Option<Length>,
    timeout: Option<Length>,
}

impl PlaceFragment {
    /// The system, where one is named. A host is asked for by its whole name: a short one would be known to nobody, which
    /// looks as if it were gone.
    pub fn checked(self, section: &str, probed: &str) -> Result<Option<Place>, Wrong> {
        let credentials = credentials(self.user, self.secret_file)?;
        let identity = match (self.certificate, self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let example = "/etc/puppetlabs/puppet/ssl/certs/millwright.example.org.pem";
                Some((absolute(Some(certificate), example)?, absolute(Some(key), example)?))
            }
            (Some(one), None) | (None, Some(one)) => {
                let message = "certificate and key go together; name both files, or neither".to_owned();
                return Err(Wrong { offset: one.span().start, message });
            }
        };
        let ca = match self.ca {
            None => None,
            given => Some(absolute(given, "/etc/puppetlabs/puppet/ssl/certs/ca.pem")?),
        };
        let domain = self.domain.map(host_name).transpose()?.unwrap_or_else(|| probed.to_owned());
        let Some(url) = self.url else { return Ok(None) };
        if domain.is_empty() {
            let message = format!(
                "[{section}] lacks `domain`; write what makes a node's name the whole name of its host, such as \"cern.ch\""
            );
            return Err(Wrong { offset: url.span().start, message });
        }
        Ok(Some(Place {
            url: web_address(url)?,
            domain,
            credentials,
            files: Files { identity, ca },
            every: length(self.every, 120),
            timeout: length(self.timeout, 10),
        }))
    }
}

/// The accepted form of a key, such as `foreman.url`.
pub(super) fn example(key: &str) -> Option<&'static str> {
    let (section, key) = key.split_once('.')?;
    Some(match (section, key) {
        ("foreman", "url") => r#""https://foreman.cern.ch""#,
        ("puppetdb", "url") => r#""https://puppetdb.cern.ch:8081""#,
        ("roger", "url") => r#""https://teigi.example.org:8201""#,
        ("foreman" | "puppetdb" | "roger", "domain") => r#""cern.ch""#,
        ("foreman" | "puppetdb" | "roger", "user") => r#""millwright""#,
        ("foreman" | "puppetdb" | "roger", "secret_file") => r#""/etc/millwright/foreman.secret""#,
        ("foreman" | "puppetdb" | "roger", "certificate" | "key" | "ca") => {
            r#""/etc/puppetlabs/puppet/ssl/certs/ca.pem""#
        }
        ("foreman" | "puppetdb" | "roger", "every" | "timeout") => r#""10s""#,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("c.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_is_never_asked_for_by_a_short_name() {
        let refusal = parse("[foreman]\nurl = \"https://f.example.org\"\n").unwrap_err();
        assert!(refusal.contains("c.toml:2") && refusal.contains("lacks `domain`"), "{refusal}");
        let config =
            parse("[probe]\ndomain = \"cern.ch\"\n[roger]\nurl = \"https://r.example.org\"\n").unwrap();
        assert_eq!(config.roger.unwrap().domain, "cern.ch");
    }

    #[test]
    fn a_certificate_goes_with_its_key() {
        let refusal = parse(
            "[puppetdb]\nurl = \"https://p.example.org\"\ndomain = \"d.org\"\ncertificate = \"/etc/c.pem\"\n",
        )
        .unwrap_err();
        assert!(refusal.contains("c.toml:4") && refusal.contains("go together"), "{refusal}");
    }
}
