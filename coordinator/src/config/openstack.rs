//! `[openstack]`: where the cloud is, and as whom we come: one credential that cannot delete, and a second one, off by
//! default, that can.

use super::fragment::{Length, Wrong, absolute, length, web_address};
use millwright_decision::ClassPolicy;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use toml::Spanned;

/// The cloud.
#[derive(Debug, Clone)]
pub struct OpenStack {
    /// Keystone's address, such as `https://keystone.cern.ch/v3`.
    pub auth_url: String,
    /// Which region's services of its catalogue are ours; empty takes the first of each kind.
    pub region: String,
    /// By name, as policy names them for nodes.
    pub projects: Vec<String>,
    /// As whom we look and act.
    pub credential: Credential,
    /// As whom we delete; `None` deletes nothing.
    pub delete: Option<Credential>,
    /// What new servers are like; `None` makes none.
    pub create: Option<NewServers>,
    /// After this an answer is given up.
    pub timeout: Duration,
    /// From the start of one look to the start of the next.
    pub every: Duration,
}

/// As whom we come. The secret is read anew each time it is needed, so a renewed file is taken over by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Who.
    pub who: Who,
    /// A file that holds nothing but the secret or the password.
    pub secret_file: PathBuf,
}

/// Whom Keystone knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An application credential by its id; it is for one project.
    Application(String),
    /// A user, for every project they have a role in.
    User {
        /// Their name.
        name: String,
        /// Where that name is known, and the projects' names.
        domain: String,
    },
}

/// What new servers are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServers {
    /// By name.
    pub flavor: String,
    /// The newest active image whose name begins so.
    pub image: String,
    /// A network's id; empty leaves the choice to the cloud.
    pub network: String,
    /// A key pair's name; empty for none.
    pub key: String,
    /// The type of a data volume; empty takes the cloud's default.
    pub volume_type: String,
}

impl NewServers {
    /// The same, where a class does not say otherwise (R13).
    #[must_use]
    pub fn in_words_of(self, class: &ClassPolicy) -> Self {
        let word = |name: &str, usual: String| class.words.get(name).cloned().unwrap_or(usual);
        Self {
            flavor: word("flavor", self.flavor),
            image: word("image_kind", self.image),
            volume_type: word("volume_type", self.volume_type),
            ..self
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OpenStackFragment {
    auth_url: Option<Spanned<String>>,
    region: Option<String>,
    projects: Option<Spanned<Vec<String>>>,
    application_credential: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    domain: Option<String>,
    secret_file: Option<Spanned<PathBuf>>,
    timeout: Option<Length>,
    every: Option<Length>,
    delete: CredentialFragment,
    create: NewServersFragment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CredentialFragment {
    application_credential: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    domain: Option<String>,
    secret_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NewServersFragment {
    flavor: Option<Spanned<String>>,
    image: Option<Spanned<String>>,
    network: Option<String>,
    key: Option<String>,
    volume_type: Option<String>,
}

impl OpenStackFragment {
    /// The cloud, where there is one.
    pub(super) fn checked(self) -> Result<Option<OpenStack>, Wrong> {
        let own = CredentialFragment {
            application_credential: self.application_credential,
            user: self.user,
            domain: self.domain,
            secret_file: self.secret_file,
        };
        let offset = own.offset().or(self.delete.offset()).or(self.projects.as_ref().map(|p| p.span().start));
        let Some(auth_url) = self.auth_url else {
            return match offset {
                None => Ok(None),
                Some(offset) => Err(Wrong {
                    offset,
                    message: "[openstack] lacks `auth_url`; write Keystone's address, such as \
                              \"https://keystone.cern.ch/v3\""
                        .to_owned(),
                }),
            };
        };
        let at = auth_url.span().start;
        let lacks = |message: &str| Wrong { offset: at, message: message.to_owned() };
        let credential = own.checked("openstack")?.ok_or_else(|| {
            lacks(
                "[openstack] names nobody to come as; set `application_credential` or `user`, and `secret_file`",
            )
        })?;
        let projects = self.projects.map(Spanned::into_inner).unwrap_or_default();
        if projects.is_empty() || projects.iter().any(|project| project.trim().is_empty()) {
            return Err(lacks(
                "[openstack] names no project; write projects = [\"ALICE Release Testing\"], as policy names it",
            ));
        }
        let delete = self.delete.checked("openstack.delete")?;
        for given in [Some(&credential), delete.as_ref()].into_iter().flatten() {
            if matches!(given.who, Who::Application(_)) && projects.len() > 1 {
                return Err(lacks(
                    "an application credential is for one project, and [openstack] names several; name one, or \
                     come as a `user`",
                ));
            }
        }
        Ok(Some(OpenStack {
            auth_url: web_address(auth_url)?,
            region: self.region.unwrap_or_default(),
            projects,
            credential,
            delete,
            create: self.create.checked()?,
            timeout: length(self.timeout, 20),
            every: length(self.every, 60),
        }))
    }
}

impl CredentialFragment {
    fn offset(&self) -> Option<usize> {
        let name = given(self.application_credential.as_ref()).or(given(self.user.as_ref()));
        name.map(|name| name.span().start).or(self.secret_file.as_ref().map(|file| file.span().start))
    }

    fn checked(self, section: &str) -> Result<Option<Credential>, Wrong> {
        let Some(offset) = self.offset() else { return Ok(None) };
        let wrong = |message: String| Err(Wrong { offset, message });
        let who = match (given(self.application_credential.as_ref()), given(self.user.as_ref())) {
            (Some(id), None) => Who::Application(id.get_ref().clone()),
            (None, Some(name)) => Who::User {
                name: name.get_ref().clone(),
                domain: self.domain.unwrap_or_else(|| "Default".to_owned()),
            },
            (None, None) => {
                return wrong(format!(
                    "[{section}] has a secret of nobody; set `application_credential` or `user`"
                ));
            }
            (Some(_), Some(_)) => {
                return wrong(format!(
                    "[{section}] comes as two; set `application_credential` or `user`, not both"
                ));
            }
        };
        if self.secret_file.is_none() {
            return wrong(format!(
                "[{section}] lacks `secret_file`; name a file that holds nothing but the secret, such as \
                 \"/etc/millwright/openstack.secret\""
            ));
        }
        let secret_file = absolute(self.secret_file, "/etc/millwright/openstack.secret")?;
        Ok(Some(Credential { who, secret_file }))
    }
}

impl NewServersFragment {
    fn checked(self) -> Result<Option<NewServers>, Wrong> {
        let (flavor, image) = match (given(self.flavor.as_ref()), given(self.image.as_ref())) {
            (None, None) => return Ok(None),
            (Some(flavor), Some(image)) => (flavor.get_ref().clone(), image.get_ref().clone()),
            (Some(one), None) | (None, Some(one)) => {
                let message = "[openstack.create] takes both `flavor` and `image`, such as flavor = \"m2.2xlarge\" and \
                               image = \"ALMA9 - x86_64\"";
                return Err(Wrong { offset: one.span().start, message: message.to_owned() });
            }
        };
        Ok(Some(NewServers {
            flavor,
            image,
            network: self.network.unwrap_or_default(),
            key: self.key.unwrap_or_default(),
            volume_type: self.volume_type.unwrap_or_default(),
        }))
    }
}

/// An empty text is none.
fn given(text: Option<&Spanned<String>>) -> Option<&Spanned<String>> {
    text.filter(|text| !text.get_ref().trim().is_empty())
}

/// How the value of a key is written.
pub(super) fn example(key: &str) -> Option<&'static str> {
    Some(match key.strip_prefix("openstack.")?.rsplit('.').next()? {
        "auth_url" => r#""https://keystone.cern.ch/v3""#,
        "region" => r#""cern""#,
        "projects" => r#"["ALICE Release Testing"]"#,
        "application_credential" => r#""316a4842da4740e991d6939da6bf3aeb""#,
        "user" => r#""alibuild""#,
        "domain" => r#""Default""#,
        "secret_file" => r#""/etc/millwright/openstack.secret""#,
        "timeout" | "every" => r#""20s""#,
        "flavor" => r#""m2.2xlarge""#,
        "image" => r#""ALMA9 - x86_64""#,
        "network" => r#""f00b5ddf-02dc-4e80-8771-a6f5bd5d965e""#,
        "key" => r#""alibuild""#,
        "volume_type" => r#""io1""#,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn parse(text: &str) -> Result<Option<OpenStack>, String> {
        Config::parse(text, Path::new("c.toml"))
            .map(|config| config.openstack)
            .map_err(|error| error.to_string())
    }

    const COMPLETE: &str = "[openstack]\nauth_url = \"https://keystone.cern.ch/v3/\"\nprojects = [\"ALICE CI\"]\n\
        application_credential = \"abc\"\nsecret_file = \"/etc/millwright/secret\"\n";

    #[test]
    fn without_the_section_there_is_no_cloud_and_without_its_own_credential_nothing_is_deleted() {
        assert!(parse("").unwrap().is_none());
        let cloud = parse(COMPLETE).unwrap().unwrap();
        assert_eq!(cloud.credential.who, Who::Application("abc".into()));
        assert_eq!(cloud.auth_url, "https://keystone.cern.ch/v3");
        assert!(cloud.delete.is_none() && cloud.create.is_none());
        let more =
            format!("{COMPLETE}[openstack.delete]\nuser = \"remover\"\nsecret_file = \"/etc/m/other\"\n");
        let remover = parse(&more).unwrap().unwrap().delete.unwrap();
        assert_eq!(remover.who, Who::User { name: "remover".into(), domain: "Default".into() });
    }

    #[test]
    fn what_is_half_said_names_the_missing_half() {
        for (text, expected) in [
            ("[openstack]\nuser = \"a\"\n".to_owned(), vec!["c.toml:2: ", "lacks `auth_url`"]),
            ("[openstack]\nauth_url = \"https://k\"\n".to_owned(), vec!["names nobody", "secret_file"]),
            ("[openstack]\nauth_url = \"k\"\n".to_owned(), vec!["names nobody"]),
            (COMPLETE.replace("[\"ALICE CI\"]", "[]"), vec!["names no project"]),
            (COMPLETE.replace("[\"ALICE CI\"]", "[\"a\", \"b\"]"), vec!["one project", "several"]),
            (COMPLETE.replace("/etc/millwright/secret", "secret"), vec!["c.toml:5: ", "absolute"]),
            (COMPLETE.replace("secret_file", "user"), vec!["comes as two"]),
            (
                format!("{COMPLETE}[openstack.delete]\nuser = \"x\"\n"),
                vec!["c.toml:7: ", "lacks `secret_file`"],
            ),
            (format!("{COMPLETE}[openstack.create]\nflavor = \"x\"\n"), vec!["c.toml:7: ", "both"]),
            (format!("{COMPLETE}password = \"x\"\n"), vec!["c.toml:6: ", "password", "known keys"]),
        ] {
            let complaint = parse(&text).unwrap_err();
            for part in expected {
                assert!(complaint.contains(part), "{text}: {part:?} is missing in {complaint}");
            }
        }
    }
}
