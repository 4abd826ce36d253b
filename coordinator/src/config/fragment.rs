//! The file as written: every key optional, every default here, every unknown key refused.

use super::{
    Authority, Backup, Config, Listen, Mesos, People, Probe, Proxy, Retention, Roles, Tls, domain_of,
    notice::NoticeFragment,
    openstack::{self, OpenStackFragment},
    outside::{AuroraFragment, MarathonFragment, MesosDnsFragment, OutsideFragment, ZooKeeperFragment},
    parse_length,
    places::{self, PlaceFragment},
    tls::{PUPPET, PuppetFiles},
};
use crate::people::Role;
use millwright_protocol::NodeName;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fragment {
    host: Option<NodeName>,
    state_dir: Option<Spanned<PathBuf>>,
    policy: Option<Spanned<PathBuf>>,
    listen: ListenFragment,
    tls: TlsFragment,
    people: PeopleFragment,
    mesos: MesosFragment,
    zookeeper: ZooKeeperFragment,
    jenkins: OutsideFragment,
    marathon: MarathonFragment,
    aurora: AuroraFragment,
    mesos_dns: MesosDnsFragment,
    foreman: PlaceFragment,
    puppetdb: PlaceFragment,
    roger: PlaceFragment,
    owners: OutsideFragment,
    probe: ProbeFragment,
    retention: RetentionFragment,
    backup: BackupFragment,
    notice: NoticeFragment,
    openstack: OpenStackFragment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListenFragment {
    operators: Option<Spanned<String>>,
    agents: Option<Spanned<String>>,
    socket: Option<Spanned<PathBuf>>,
    host_names: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsFragment {
    puppet_ssl: Option<Spanned<PathBuf>>,
    certname: Option<String>,
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    operators_certificate: Option<Spanned<PathBuf>>,
    operators_key: Option<Spanned<PathBuf>>,
    ca: Option<Spanned<PathBuf>>,
    crl: Option<Spanned<PathBuf>>,
    crl_url: Option<Spanned<String>>,
    crl_certname: Option<String>,
    crl_every: Option<Length>,
    crl_grace: Option<Length>,
    domains: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PeopleFragment {
    look_without_name: Option<bool>,
    idle: Option<Length>,
    session: Option<Length>,
    token: Option<Length>,
    proxy: ProxyFragment,
    roles: RolesFragment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProxyFragment {
    users: Vec<Spanned<String>>,
    hosts: Vec<Spanned<String>>,
    person_header: Option<Spanned<String>>,
    groups_header: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RolesFragment {
    view: Vec<Spanned<String>>,
    operate: Vec<Spanned<String>>,
    approve: Vec<Spanned<String>>,
    admin: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MesosFragment {
    masters: Vec<Spanned<String>>,
    every: Option<Length>,
    timeout: Option<Length>,
    events: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProbeFragment {
    domain: Option<String>,
    port: Option<u16>,
    timeout: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionFragment {
    transitions: Option<Length>,
    audit: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BackupFragment {
    folder: Option<Spanned<PathBuf>>,
    every: Option<Length>,
    hand_on: Option<Spanned<Vec<String>>>,
}

/// What is wrong, and where in the file.
#[derive(Debug)]
pub(super) struct Wrong {
    pub offset: usize,
    pub message: String,
}

impl Fragment {
    /// Fills in the defaults and checks what a type alone cannot.
    pub fn checked(self) -> Result<Config, Wrong> {
        let state_dir = absolute(self.state_dir, "/var/lib/millwright")?;
        let domain = self.probe.domain.unwrap_or_default().trim_matches('.').to_owned();
        Ok(Config {
            host: self.host,
            backup: self.backup.checked(&state_dir)?,
            listen: self.listen.checked(self.tls.is_given())?,
            tls: self.tls.checked(&state_dir)?,
            state_dir,
            policy: absolute(self.policy, "/etc/millwright/policy.toml")?,
            people: self.people.checked()?,
            mesos: Mesos {
                masters: web_addresses(self.mesos.masters)?,
                every: length(self.mesos.every, 10),
                timeout: length(self.mesos.timeout, 5),
                events: self.mesos.events.unwrap_or(true),
            },
            zookeeper: self.zookeeper.checked()?,
            jenkins: self.jenkins.checked(15)?,
            marathon: self.marathon.checked()?,
            aurora: self.aurora.checked()?,
            mesos_dns: self.mesos_dns.checked()?,
            foreman: self.foreman.checked("foreman", &domain)?,
            puppetdb: self.puppetdb.checked("puppetdb", &domain)?,
            roger: self.roger.checked("roger", &domain)?,
            owners: self.owners.checked(30)?,
            probe: Probe {
                domain,
                port: self.probe.port.unwrap_or(22),
                timeout: length(self.probe.timeout, 5),
            },
            retention: Retention {
                transitions: length(self.retention.transitions, 90 * 86_400),
                audit: length(self.retention.audit, 400 * 86_400),
            },
            openstack: self.openstack.checked()?,
            notice: self.notice.checked()?,
        })
    }
}

impl ListenFragment {
    fn checked(self, has_tls: bool) -> Result<Listen, Wrong> {
        let offset = self.agents.as_ref().or(self.operators.as_ref()).map_or(0, |given| given.span().start);
        let operators = match self.operators {
            Some(operators) if has_tls => address(&operators, 8480)?,
            operators => loopback(operators, 8480, "or set [tls], so that operators come over TLS")?,
        };
        let agents = match self.agents {
            Some(agents) if has_tls => address(&agents, 8482)?,
            agents => loopback(agents, 8482, "or set [tls], so that agents prove who they are")?,
        };
        if operators == agents && operators.port() != 0 {
            let message = format!(
                "operators and agents cannot both be on {agents}; choose another port for one of them"
            );
            return Err(Wrong { offset, message });
        }
        Ok(Listen {
            operators,
            agents,
            socket: absolute(self.socket, "/run/millwright/coordinator.sock")?,
            host_names: self.host_names.into_iter().map(host_name).collect::<Result<_, _>>()?,
        })
    }
}

impl PeopleFragment {
    fn checked(self) -> Result<People, Wrong> {
        let mut roles = Roles::default();
        let lists = [self.roles.view, self.roles.operate, self.roles.approve, self.roles.admin];
        for (role, list) in Role::ALL.into_iter().zip(lists) {
            for entry in list {
                let offset = entry.span().start;
                roles.add(role, entry.get_ref()).map_err(|message| Wrong { offset, message })?;
            }
        }
        Ok(People {
            look_without_name: self.look_without_name.unwrap_or(true),
            idle: length(self.idle, 8 * 3600),
            session: length(self.session, 7 * 86_400),
            token: length(self.token, 366 * 86_400),
            proxy: self.proxy.checked()?,
            roles,
        })
    }
}

impl ProxyFragment {
    fn checked(self) -> Result<Proxy, Wrong> {
        Ok(Proxy {
            users: self.users.into_iter().map(Spanned::into_inner).collect(),
            hosts: self.hosts.into_iter().map(host_name).collect::<Result<_, _>>()?,
            person_header: header(self.person_header, "x-remote-user")?,
            groups_header: header(self.groups_header, "x-remote-groups")?,
        })
    }
}

impl BackupFragment {
    fn checked(self, state_dir: &Path) -> Result<Backup, Wrong> {
        let folder = match self.folder {
            None => state_dir.join("backups"),
            given => absolute(given, "/var/lib/millwright/backups")?,
        };
        let hand_on = match self.hand_on {
            None => Vec::new(),
            Some(program) => {
                let offset = program.span().start;
                let program = program.into_inner();
                if !program.is_empty() && !program.iter().any(|word| word.contains("{file}")) {
                    let message = "lacks \"{file}\", the copy; write one such as [\"rsync\", \"-a\", \"{file}\", \
                                   \"backup.example.org:millwright/\"]";
                    return Err(Wrong { offset, message: message.to_owned() });
                }
                program
            }
        };
        Ok(Backup { folder, every: length(self.every, 15 * 60), hand_on })
    }
}

impl TlsFragment {
    /// Whether agents are to prove who they are: a key says with what. How the list is kept fresh says nothing about that.
    fn is_given(&self) -> bool {
        let files = [&self.puppet_ssl, &self.certificate, &self.key, &self.ca, &self.crl];
        files.into_iter().any(Option::is_some)
            || self.crl_url.is_some()
            || self.certname.is_some()
            || self.domains.is_some()
    }

    /// The four files, from Puppet's folder where they are not named. Without any key there is no TLS.
    fn checked(self, state_dir: &Path) -> Result<Option<Tls>, Wrong> {
        if !self.is_given() {
            return Ok(None);
        }
        let offset = self.offset();
        let authority = match self.crl_url {
            None => None,
            Some(url) => Some(authority(&url, self.crl_certname, length(self.crl_every, 30))?),
        };
        let certname = self.certname.unwrap_or_default().to_ascii_lowercase();
        let ssl = match self.puppet_ssl {
            Some(ssl) => absolute(Some(ssl), PUPPET[0])?,
            None => {
                PUPPET.map(PathBuf::from).into_iter().find(|ssl| ssl.is_dir()).unwrap_or(PUPPET[0].into())
            }
        };
        let puppet = PuppetFiles::of(&ssl, &certname);
        let file = |key: &str, given: Option<Spanned<PathBuf>>, of_puppet: PathBuf| match given {
            None if certname.is_empty() => {
                let message = format!(
                    "[tls] lacks `{key}`; name the file, or set `certname` to the name under which Puppet knows this \
                     host, such as \"millwright.cern.ch\", to take Puppet's files"
                );
                Err(Wrong { offset, message })
            }
            None => Ok(of_puppet),
            given => absolute(given, "/etc/millwright/tls.pem"),
        };
        let domains = match self.domains {
            Some(domains) => domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            None => domain_of(&certname).into_iter().collect(),
        };
        let operators = match (self.operators_certificate, self.operators_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let example = "/etc/millwright/operators.pem";
                Some((absolute(Some(certificate), example)?, absolute(Some(key), example)?))
            }
            (Some(one), None) | (None, Some(one)) => {
                let message =
                    "operators_certificate and operators_key go together; name both files, or neither";
                return Err(Wrong { offset: one.span().start, message: message.to_owned() });
            }
        };
        Ok(Some(Tls {
            operators,
            certificate: file("certificate", self.certificate, puppet.certificate)?,
            key: file("key", self.key, puppet.key)?,
            ca: file("ca", self.ca, puppet.ca)?,
            crl: file("crl", self.crl, puppet.crl)?,
            fetched: state_dir.join("crl.fetched.pem"),
            authority,
            crl_grace: length(self.crl_grace, 7 * 86_400),
            domains,
        }))
    }

    /// Where the first file stands that is named.
    fn offset(&self) -> usize {
        let files = [&self.puppet_ssl, &self.certificate, &self.key, &self.ca, &self.crl];
        files.into_iter().flatten().map(|file| file.span().start).min().unwrap_or(0)
    }
}

/// Where the list comes from, and whose name is pinned there: the list is signed, but whoever may hold it back keeps
/// revoked hosts in.
fn authority(url: &Spanned<String>, certname: Option<String>, every: Duration) -> Result<Authority, Wrong> {
    let text = url.get_ref();
    let parsed = reqwest::Url::parse(text).ok().filter(|parsed| parsed.scheme() == "https");
    let Some(host) = parsed.as_ref().and_then(reqwest::Url::host_str) else {
        let message = format!(
            "{text:?} is not an https:// address; write one such as \
             \"https://puppet:8140/puppet-ca/v1/certificate_revocation_list/ca\""
        );
        return Err(Wrong { offset: url.span().start, message });
    };
    let certname = certname.unwrap_or_else(|| host.to_owned()).to_ascii_lowercase();
    Ok(Authority { url: text.clone(), certname, every })
}

fn address(given: &Spanned<String>, port: u16) -> Result<SocketAddr, Wrong> {
    let text = given.get_ref();
    text.parse().map_err(|_| Wrong {
        offset: given.span().start,
        message: format!("{text:?} is not an address and port; write one such as \"127.0.0.1:{port}\""),
    })
}

/// An address that others can reach needs TLS.
fn loopback(given: Option<Spanned<String>>, port: u16, advice: &str) -> Result<SocketAddr, Wrong> {
    let Some(given) = given else { return Ok(SocketAddr::from(([127, 0, 0, 1], port))) };
    let address = address(&given, port)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    let text = given.get_ref();
    Err(Wrong {
        offset: given.span().start,
        message: format!(
            "{text:?} can be reached from other machines without TLS; use a loopback address such as \
             \"127.0.0.1:{port}\" {advice}"
        ),
    })
}

pub(super) fn absolute(given: Option<Spanned<PathBuf>>, default: &str) -> Result<PathBuf, Wrong> {
    match given {
        None => Ok(PathBuf::from(default)),
        Some(path) if path.get_ref().is_absolute() => Ok(path.into_inner()),
        Some(path) => Err(Wrong {
            offset: path.span().start,
            message: format!("{:?} must be an absolute path such as {default:?}", path.get_ref()),
        }),
    }
}

fn web_addresses(given: Vec<Spanned<String>>) -> Result<Vec<String>, Wrong> {
    given.into_iter().map(web_address).collect()
}

pub(super) fn web_address(given: Spanned<String>) -> Result<String, Wrong> {
    let address = given.get_ref().trim_end_matches('/');
    let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    if host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace)) {
        return Ok(address.to_owned());
    }
    Err(Wrong {
        offset: given.span().start,
        message: format!("{address:?} must begin with http:// or https:// and name a host"),
    })
}

pub(super) fn host_name(given: Spanned<String>) -> Result<String, Wrong> {
    let name = given.get_ref();
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(Wrong {
        offset: given.span().start,
        message: format!("{name:?} must be a host name without a port, such as \"mw.cern.ch\""),
    })
}

fn header(given: Option<Spanned<String>>, default: &str) -> Result<String, Wrong> {
    let Some(name) = given else { return Ok(default.to_owned()) };
    match name.get_ref().parse::<axum::http::HeaderName>() {
        Ok(header) => Ok(header.as_str().to_owned()),
        Err(_) => Err(Wrong {
            offset: name.span().start,
            message: format!(
                "{:?} cannot be the name of a header; write one such as {default:?}",
                name.get_ref()
            ),
        }),
    }
}

pub(super) fn length(given: Option<Length>, default_secs: u64) -> Duration {
    given.map_or(Duration::from_secs(default_secs), |Length(length)| length)
}

/// A length of time above zero.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Length(Duration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match parse_length(&text) {
            Ok(Duration::ZERO) => Err(format!("{text:?} must be longer than nothing, such as \"10s\"")),
            Ok(length) => Ok(Self(length)),
            Err(invalid) => Err(invalid.to_string()),
        }
    }
}

/// How the value of a key, named with its sections, is written: for whoever wrote something else.
pub(super) fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "host" => r#""alibuild-coordinator""#,
        "state_dir" => r#""/var/lib/millwright""#,
        "policy" => r#""/etc/millwright/policy.toml""#,
        "listen.operators" => r#""127.0.0.1:8480""#,
        "listen.agents" => r#""127.0.0.1:8482""#,
        "listen.socket" => r#""/run/millwright/coordinator.sock""#,
        "listen.host_names" => r#"["mw.cern.ch"]"#,
        "people.look_without_name" | "mesos.events" => "true",
        "people.idle" | "people.session" | "people.token" => r#""8h""#,
        "people.proxy.users" => r#"["www-data"]"#,
        "people.proxy.hosts" => r#"["alibuild-frontend01.cern.ch"]"#,
        "people.proxy.person_header" => r#""x-remote-user""#,
        "people.proxy.groups_header" => r#""x-remote-groups""#,
        "people.roles.view" | "people.roles.operate" | "people.roles.approve" | "people.roles.admin" => {
            r#"["jane", "group:alice-vm-admin", "joe on agent"]"#
        }
        "tls.crl_url" => r#""https://puppet:8140/puppet-ca/v1/certificate_revocation_list/ca""#,
        "tls.crl_every" | "tls.crl_grace" => r#""10s""#,
        "mesos.masters" => r#"["http://alimesos01.cern.ch:5050"]"#,
        "mesos.every" | "mesos.timeout" | "probe.timeout" => r#""10s""#,
        "zookeeper.every" | "zookeeper.timeout" => r#""10s""#,
        "jenkins.url" => r#""https://alijenkins.cern.ch""#,
        "jenkins.user" => r#""millwright""#,
        "jenkins.secret_file" => r#""/etc/millwright/jenkins.secret""#,
        "jenkins.every" | "jenkins.timeout" | "owners.every" | "owners.timeout" => r#""10s""#,
        "owners.url" => r#""https://ci.example.org/may-i""#,
        "owners.user" => r#""millwright""#,
        "owners.secret_file" => r#""/etc/millwright/owners.secret""#,
        "marathon.servers" => r#"{ alimesos01 = "http://alimesos01.cern.ch:8080" }"#,
        "aurora.servers" => r#"{ alimesos01 = "http://alimesos01.cern.ch:8081" }"#,
        "mesos_dns.servers" => r#"{ alimesos01 = "http://alimesos01.cern.ch:8123" }"#,
        "mesos_dns.domain" => r#""mesos""#,
        "marathon.user" | "aurora.user" => r#""millwright""#,
        "marathon.secret_file" => r#""/etc/millwright/marathon.secret""#,
        "aurora.secret_file" => r#""/etc/millwright/aurora.secret""#,
        "marathon.every" | "marathon.timeout" | "aurora.every" | "aurora.timeout" => r#""10s""#,
        "marathon.move_tasks" | "marathon.abdicate" | "aurora.move_tasks" => "false",
        "marathon.act_user" | "aurora.act_user" => r#""millwright-act""#,
        "marathon.act_secret_file" => r#""/etc/millwright/marathon-act.secret""#,
        "aurora.act_secret_file" => r#""/etc/millwright/aurora-act.secret""#,
        "marathon.move_timeout" | "aurora.move_timeout" => r#""5m""#,
        "mesos_dns.every" | "mesos_dns.timeout" => r#""10s""#,
        "probe.domain" => r#""cern.ch""#,
        "probe.port" => "22",
        "retention.transitions" | "retention.audit" => r#""90d""#,
        "notice.webhook" => r#""https://chat.example.org/hooks/millwright""#,
        "notice.timeout" => r#""10s""#,
        "notice.mattermost.url" => r#""https://mattermost.example.org""#,
        "notice.mattermost.channel" => r#""4xp9fdt77pncbef59f4k1qe83o""#,
        "notice.slack.url" => r#""https://slack.com""#,
        "notice.slack.channel" => r#""C0123456789""#,
        "notice.mattermost.token_file" | "notice.slack.token_file" => r#""/etc/millwright/chat.token""#,
        "notice.mail.server" => r#""mail.example.org:587""#,
        "notice.mail.security" => r#""starttls""#,
        "notice.mail.from" => r#""millwright@example.org""#,
        "notice.mail.to" => r#"["alibuild-admins@example.org"]"#,
        _ => return places::example(key).or_else(|| openstack::example(key)),
    })
}
