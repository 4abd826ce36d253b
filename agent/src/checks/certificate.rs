//! When the host's certificates expire. Reads them, never their keys.

use super::Context;
use crate::{
    check::{Check, Look, Looking, Observation, Rhythm},
    config::{CertificateConfig, Config, Endpoint, units::spoken},
};
use jiff::Timestamp;
use millwright_protocol::Status;
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use x509_parser::pem::Pem;

/// No certificate is larger.
const LARGEST: u64 = 1 << 20;

/// The one check of all certificates.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    vec![Box::new(CertificateCheck { config: context.config.clone() })]
}

struct CertificateCheck {
    config: Rc<Config>,
}

impl Check for CertificateCheck {
    fn name(&self) -> &'static str {
        "certificate"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn rhythm(&self) -> Rhythm {
        let certificate = &self.config.checks.certificate;
        Rhythm { every: certificate.every, deadline: certificate.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let config = &self.config.checks.certificate;
            let listed = config.paths.iter().map(|path| (path.clone(), self.config.paths.rooted(path)));
            let observations = listed.chain(self.of_reports()).filter_map(|(path, place)| {
                let name = path.display().to_string();
                let observation = match read(&place) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return None,
                    Err(error) => {
                        Observation::new(Status::Unknown, format!("{name} cannot be read: {error}"))
                    }
                    Ok(bytes) => match validity(&bytes) {
                        Ok(validity) => validity.judge(&name, config, now),
                        Err(why) => {
                            Observation::new(Status::Unknown, format!("{name} is no certificate: {why}"))
                                .next(
                                    "write the certificate there as PEM, or change checks.certificate.paths",
                                )
                        }
                    },
                };
                Some(observation.item(&name))
            });
            Look { observations: observations.collect(), facts: Vec::new() }
        })
    }
}

impl CertificateCheck {
    /// The certificate with which this host reports: once it expires nobody hears from the node.
    fn of_reports(&self) -> Option<(PathBuf, PathBuf)> {
        let is_used = matches!(self.config.coordinator.url, Some(Endpoint::Https { .. }));
        let certificate = is_used.then(|| self.config.tls.files().ok()).flatten()?.certificate;
        let is_listed = self.config.checks.certificate.paths.contains(&certificate);
        (!is_listed).then(|| (certificate.clone(), certificate))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Validity {
    from: Timestamp,
    until: Timestamp,
}

/// The validity of the first certificate in a PEM file.
fn validity(bytes: &[u8]) -> Result<Validity, String> {
    for block in Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|error| error.to_string())?;
        if block.label == "CERTIFICATE" {
            let certificate = block.parse_x509().map_err(|error| error.to_string())?;
            let validity = certificate.validity();
            let time = |seconds| Timestamp::from_second(seconds).map_err(|error| error.to_string());
            return Ok(Validity {
                from: time(validity.not_before.timestamp())?,
                until: time(validity.not_after.timestamp())?,
            });
        }
    }
    Err("there is no PEM block CERTIFICATE in it".to_owned())
}

impl Validity {
    fn judge(self, name: &str, config: &CertificateConfig, now: Timestamp) -> Observation {
        let left = Duration::try_from(self.until.duration_since(now)).ok();
        let day = self.until.strftime("%Y-%m-%d");
        let (status, sentence) = match left {
            _ if now < self.from => {
                (Status::Warn, format!("{name} is not valid before {}; is the clock right?", self.from))
            }
            None => (Status::Crit, format!("{name} expired on {day}")),
            Some(left) => {
                let status = match left {
                    left if left < config.crit_before => Status::Crit,
                    left if left < config.warn_before => Status::Warn,
                    _ => Status::Ok,
                };
                (status, format!("{name} expires in {} ({day})", spoken(left)))
            }
        };
        let observation = Observation::new(status, sentence).evidence("not_after", self.until, name);
        match status {
            Status::Ok => observation,
            _ => observation
                .next("renew it: where Puppet does that, see why it did not with `puppet agent --test`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Self-signed, made for this test, valid from 2026-01-01 to 2026-12-31.
    const CERTIFICATE: &str = include_str!("certificate/sample.pem");

    fn judged(now: &str) -> Observation {
        validity(CERTIFICATE.as_bytes()).unwrap().judge(
            "hostcert.pem",
            &CertificateConfig::default(),
            now.parse().unwrap(),
        )
    }

    #[test]
    fn fourteen_days_before_it_warns_and_three_days_before_it_is_crit() {
        for (now, status, words) in [
            ("2025-12-31T00:00:00Z", Status::Warn, "not valid before 2026-01-01"),
            ("2026-06-01T00:00:00Z", Status::Ok, "expires in 213 days (2026-12-31)"),
            ("2026-12-18T00:00:00Z", Status::Warn, "expires in 13 days"),
            ("2026-12-29T00:00:00Z", Status::Crit, "expires in 2 days"),
            ("2027-01-05T00:00:00Z", Status::Crit, "expired on 2026-12-31"),
        ] {
            let observation = judged(now);
            assert_eq!(observation.status, status, "{now}: {}", observation.sentence);
            assert!(observation.sentence.contains(words), "{}", observation.sentence);
        }
        assert_eq!(
            validity(CERTIFICATE.as_bytes()).unwrap().from + 364 * DAY,
            validity(CERTIFICATE.as_bytes()).unwrap().until
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_no_finding_and_a_broken_one_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        config.checks.certificate.paths =
            vec!["/missing.pem".into(), "/broken.pem".into(), "/empty.pem".into()];
        std::fs::write(
            root.path().join("broken.pem"),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        std::fs::write(root.path().join("empty.pem"), [0xff, 0xfe]).unwrap();
        let mut check = CertificateCheck { config: Rc::new(config) };
        let look = check.look(Timestamp::UNIX_EPOCH).await;
        let seen: Vec<_> = look.observations.iter().map(|seen| (seen.item.as_deref(), seen.status)).collect();
        assert_eq!(seen, [(Some("/broken.pem"), Status::Unknown), (Some("/empty.pem"), Status::Unknown)]);
    }

    #[tokio::test]
    async fn the_certificate_with_which_the_host_reports_is_watched_without_being_listed() {
        let root = tempfile::tempdir().unwrap();
        let certificate = root.path().join("own.pem");
        std::fs::write(&certificate, CERTIFICATE).unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        config.tls.certificate = Some(certificate.clone());
        config.tls.key = Some(root.path().join("own.key"));
        for (url, seen) in [("http://127.0.0.1:8482", 0), ("https://mw.cern.ch:8482", 1)] {
            config.coordinator.url = Some(url.parse().unwrap());
            let mut check = CertificateCheck { config: Rc::new(config.clone()) };
            let look = check.look("2027-01-05T00:00:00Z".parse().unwrap()).await;
            assert_eq!(look.observations.len(), seen, "{url}");
            assert!(
                look.observations.iter().all(|one| one.sentence.contains("own.pem expired on 2026-12-31"))
            );
        }
    }
}
