//! Whom the coordinator tells, and how.

use super::{
    fragment::{Length, Wrong, absolute, length, web_address},
    outside::{credentials, host_and_port},
};
use crate::integrations::peer::Credentials;
use lettre::{Address, message::Mailbox};
use serde::Deserialize;
use std::{net::IpAddr, path::PathBuf, time::Duration};
use toml::Spanned;

/// Where notices go; everything absent tells nobody.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Gets a POST with a JSON body. A secret.
    pub webhook: Option<String>,
    /// A channel of a Mattermost server.
    pub mattermost: Option<Chat>,
    /// A channel of a Slack workspace.
    pub slack: Option<Chat>,
    /// People and lists.
    pub mail: Option<Mail>,
    /// After this a message counts as not taken.
    pub timeout: Duration,
}

/// A chat that is spoken to as a bot.
#[derive(Debug, Clone)]
pub struct Chat {
    /// Such as `https://mattermost.example.org`.
    pub url: String,
    /// The channel's id.
    pub channel: String,
    /// A file with the bot's token and nothing else.
    pub token_file: PathBuf,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS once both have said hello; without it nothing is sent.
    #[default]
    StartTls,
    /// TLS from the first byte on.
    Tls,
    /// None; on loopback only.
    None,
}

/// Mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: Security,
    /// Authorities to believe beside the system's.
    pub ca: Option<PathBuf>,
    /// In whose name; nobody's where it takes mail of every host.
    pub credentials: Option<Credentials>,
    /// Who sends.
    pub from: Mailbox,
    /// Who gets it; at least one.
    pub to: Vec<Address>,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoticeFragment {
    webhook: Option<Spanned<String>>,
    timeout: Option<Length>,
    mattermost: MattermostFragment,
    slack: SlackFragment,
    mail: MailFragment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MattermostFragment {
    url: Option<Spanned<String>>,
    channel: Option<Spanned<String>>,
    token_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SlackFragment {
    url: Option<Spanned<String>>,
    channel: Option<Spanned<String>>,
    token_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MailFragment {
    server: Option<Spanned<String>>,
    security: Option<Security>,
    ca: Option<Spanned<PathBuf>>,
    user: Option<Spanned<String>>,
    secret_file: Option<Spanned<PathBuf>>,
    from: Option<Spanned<String>>,
    to: Vec<Spanned<String>>,
}

impl NoticeFragment {
    pub fn checked(self) -> Result<Notice, Wrong> {
        let MattermostFragment { url, channel, token_file } = self.mattermost;
        let mattermost = match (url, channel, token_file) {
            (None, None, None) => None,
            (Some(url), Some(channel), Some(file)) => Some(chat(web_address(url)?, channel, file)?),
            (url, channel, file) => {
                let offset = first(&[start(url), start(channel), start(file)]);
                return Err(wrong(offset, "url, channel and token_file go together"));
            }
        };
        let SlackFragment { url, channel, token_file } = self.slack;
        let slack = match (channel, token_file) {
            (None, None) => None,
            (Some(channel), Some(file)) => {
                let url = url.map_or_else(|| Ok("https://slack.com".to_owned()), web_address)?;
                Some(chat(url, channel, file)?)
            }
            (channel, file) => {
                let offset = first(&[start(channel), start(file)]);
                return Err(wrong(offset, "channel and token_file go together"));
            }
        };
        Ok(Notice {
            webhook: self.webhook.map(web_address_with_secret).transpose()?,
            mattermost,
            slack,
            mail: self.mail.checked()?,
            timeout: length(self.timeout, 10),
        })
    }
}

/// As every address, but a complaint does not show it.
fn web_address_with_secret(given: Spanned<String>) -> Result<String, Wrong> {
    let offset = given.span().start;
    let message = "it must begin with https:// or http:// and name a host, such as \
                   \"https://chat.example.org/hooks/millwright\"";
    let text = given.get_ref().clone();
    web_address(given).map_err(|_| wrong(offset, message))?;
    Ok(text)
}

fn chat(url: String, channel: Spanned<String>, file: Spanned<PathBuf>) -> Result<Chat, Wrong> {
    if channel.get_ref().is_empty() || !channel.get_ref().bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = format!(
            "{:?} is no id of a channel, which is letters and digits; the chat shows it in the channel's details",
            channel.get_ref()
        );
        return Err(wrong(channel.span().start, &message));
    }
    let token_file = absolute(Some(file), "/etc/millwright/chat.token")?;
    Ok(Chat { url, channel: channel.into_inner(), token_file })
}

impl MailFragment {
    fn checked(self) -> Result<Option<Mail>, Wrong> {
        let security = self.security.unwrap_or_default();
        let credentials = credentials(self.user, self.secret_file)?;
        let ca = self.ca.map(|ca| absolute(Some(ca), "/etc/millwright/mail.ca.pem")).transpose()?;
        let (server, from) = match (self.server, self.from) {
            (None, None) if self.to.is_empty() => return Ok(None),
            (Some(server), Some(from)) if !self.to.is_empty() => (server, from),
            (server, from) => {
                let offset = first(&[start(server), start(from), self.to.first().map(|to| to.span().start)]);
                return Err(wrong(offset, "server, from and to go together"));
            }
        };
        let place = host_and_port(&server)?;
        let Some((host, Ok(port))) = place.rsplit_once(':').map(|(host, port)| (host, port.parse())) else {
            return Err(wrong(server.span().start, "it is not a host and port"));
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if security == Security::None && !is_here {
            let message = format!(
                "{host} is another host, and `security = \"none\"` is for this one only; write \"starttls\" or \"tls\""
            );
            return Err(wrong(server.span().start, &message));
        }
        let address = |given: &Spanned<String>| {
            given.get_ref().parse::<Address>().map_err(|why| {
                let message = format!(
                    "{:?} is no mail address ({why}); write one such as \"jane@example.org\"",
                    given.get_ref()
                );
                wrong(given.span().start, &message)
            })
        };
        let sender = from.get_ref().parse::<Mailbox>().map_err(|why| {
            let message = format!(
                "{:?} is no sender ({why}); write one such as \"millwright@example.org\"",
                from.get_ref()
            );
            wrong(from.span().start, &message)
        })?;
        let to = self.to.iter().map(address).collect::<Result<_, _>>()?;
        Ok(Some(Mail { host, port, security, ca, credentials, from: sender, to }))
    }
}

fn start<T>(given: Option<Spanned<T>>) -> Option<usize> {
    given.map(|given| given.span().start)
}

fn first(offsets: &[Option<usize>]) -> usize {
    offsets.iter().flatten().min().copied().unwrap_or(0)
}

fn wrong(offset: usize, message: &str) -> Wrong {
    Wrong { offset, message: message.to_owned() }
}
