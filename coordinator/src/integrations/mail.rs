//! Mail over SMTP: to one person or list, one thread an operation.
//!
//! Each recipient is a channel of its own, so that one whose address is wrong keeps nobody else from being told. A message
//! has the same Message-ID however often it is sent: where nobody knows whether it was taken it is sent again, and readers
//! of mail show it once.

#[cfg(test)]
#[allow(dead_code, reason = "stories use all of it")]
mod fake;
#[cfg(test)]
mod tests;

use super::{
    chain,
    channels::Channel,
    channels::line,
    peer::{Tallies, Tally},
};
use crate::{
    config::{Mail as Config, Security},
    notice::{NotTold, Notice, Parcel, Taken},
    store::Incarnation,
    trusted,
};
use futures_util::future::BoxFuture;
use lettre::{
    Address, Message,
    message::{
        Mailbox, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as From, Rcpt},
        extension::ClientId,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// One recipient.
pub struct Mail {
    name: String,
    config: Config,
    recipient: Address,
    timeout: Duration,
    /// What no other store has had.
    ours: String,
    tally: Arc<Tally>,
}

impl Mail {
    /// To this recipient; everything together may take `timeout`.
    pub fn new(
        config: &Config,
        recipient: &Address,
        timeout: Duration,
        store: Incarnation,
        tallies: &Tallies,
    ) -> Self {
        Self {
            name: format!("mail to {recipient}"),
            config: config.clone(),
            recipient: recipient.clone(),
            timeout,
            // A store that was put back counts its messages anew.
            ours: format!("{}.{}", store.generation, store.cluster),
            tally: tallies.of("mail"),
        }
    }

    async fn send(&self, parcel: &Parcel) -> Result<Taken, NotTold> {
        let id = self.message_id(parcel);
        let message = self.message(parcel, &id).map_err(NotTold::Refused)?;
        let (started, is_sent) = (Instant::now(), AtomicBool::new(false));
        let ended = tokio::time::timeout(self.timeout, self.hand_over(&message, &is_sent)).await;
        let told = match ended {
            Ok(Ok(())) => Ok(Taken { root: Some(id) }),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(NotTold::Later(format!("{}: no answer within {:?}", self.asked(), self.timeout))),
        };
        self.tally.asked(told.as_ref().ok().map(|_| 250), started.elapsed());
        match told {
            Err(NotTold::Later(why)) if is_sent.load(Ordering::Relaxed) => Err(NotTold::Later(format!(
                "{why}; it may have been taken, and is sent again under the same Message-ID"
            ))),
            told => told,
        }
    }

    fn asked(&self) -> String {
        format!("hand mail for {} to {}:{}", self.recipient, self.config.host, self.config.port)
    }

    /// Speaks to the server until it has taken the message; `is_sent` once it has all of it.
    async fn hand_over(&self, message: &[u8], is_sent: &AtomicBool) -> Result<(), NotTold> {
        let failed = |error: Error| NotTold::Later(format!("{}: {error}", self.asked()));
        let mut server = self.connect().await?;
        self.sign_in(&mut server).await?;
        server.command(From::new(Some(self.config.from.email.clone()), Vec::new())).await.map_err(failed)?;
        server.command(Rcpt::new(self.recipient.clone(), Vec::new())).await.map_err(|error| {
            let advice = if error.is_permanent() { "; see notice.mail.to" } else { "" };
            NotTold::Later(format!(
                "{} is refused by {}: {}{advice}",
                self.recipient, self.config.host, error
            ))
        })?;
        server.command(Data).await.map_err(failed)?;
        is_sent.store(true, Ordering::Relaxed);
        match server.message(message).await {
            Ok(_) => {}
            Err(error) if error.is_permanent() => {
                is_sent.store(false, Ordering::Relaxed);
                return Err(NotTold::Refused(format!("{}: {error}", self.asked())));
            }
            Err(error) => {
                // A server that says no has not taken it.
                is_sent.store(!error.is_transient(), Ordering::Relaxed);
                return Err(failed(error));
            }
        }
        // It is taken; how they part is all the same.
        let _ = server.quit().await;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, NotTold> {
        let failed = |error: Error| NotTold::Later(format!("{}: {error}", self.asked()));
        let (host, port) = (self.config.host.as_str(), self.config.port);
        let us = ClientId::Domain(self.config.from.email.domain().to_owned());
        let at_once = match self.config.security {
            Security::Tls => Some(self.tls()?),
            Security::StartTls | Security::None => None,
        };
        let connected =
            AsyncSmtpConnection::connect_tokio1((host, port), Some(self.timeout), &us, at_once, None).await;
        let mut server = connected.map_err(failed)?;
        if self.config.security == Security::StartTls {
            if !server.can_starttls() {
                let why = format!(
                    "{}: it offers no STARTTLS, and without it anybody could read along; see notice.mail.security",
                    self.asked()
                );
                return Err(NotTold::Later(why));
            }
            server.starttls(self.tls()?, &us).await.map_err(failed)?;
        }
        Ok(server)
    }

    /// Whom to believe is the system's business, or that of one file.
    fn tls(&self) -> Result<TlsParameters, NotTold> {
        let failed = |why: String| NotTold::Later(format!("prepare TLS for {}: {why}", self.config.host));
        let mut tls = TlsParameters::builder(self.config.host.clone());
        if let Some(ca) = &self.config.ca {
            let pem = trusted::read(ca).map_err(|why| failed(format!("read {}: {why}", ca.display())))?;
            for certificate in certificates(&pem) {
                let certificate =
                    Certificate::from_pem(&certificate).map_err(|why| failed(why.to_string()))?;
                tls = tls.add_root_certificate(certificate);
            }
        }
        tls.build_rustls().map_err(|why| failed(why.to_string()))
    }

    async fn sign_in(&self, server: &mut AsyncSmtpConnection) -> Result<(), NotTold> {
        let Some(credentials) = &self.config.credentials else { return Ok(()) };
        let (user, secret) = credentials.read().map_err(NotTold::Later)?;
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let signed_in = server.auth(&mechanisms, &Credentials::new(user, secret)).await;
        signed_in.map(drop).map_err(|error| {
            let why = error;
            NotTold::Later(format!(
                "sign in to {}: {why}; see notice.mail.user and its secret",
                self.config.host
            ))
        })
    }

    fn message_id(&self, parcel: &Parcel) -> String {
        let number = if parcel.id.is_empty() { parcel.notice.at.to_string() } else { parcel.id.clone() };
        let number: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("<{number}.{}@{}>", self.ours, self.config.from.email.domain())
    }

    /// The whole message, headers included.
    fn message(&self, parcel: &Parcel, id: &str) -> Result<Vec<u8>, String> {
        let notice = &parcel.notice;
        let mut message = Message::builder()
            .from(self.config.from.clone())
            .to(Mailbox::new(None, self.recipient.clone()))
            .subject(subject(notice))
            .date(SystemTime::from(notice.at))
            .message_id(Some(id.to_owned()));
        if let Some(root) = &parcel.root {
            message = message.in_reply_to(root.clone()).references(root.clone());
        }
        // Whoever is away must not answer.
        let by_a_program = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = message.raw_header(HeaderValue::new(by_a_program, "auto-generated".to_owned()));
        let text = format!("{}\r\n\r\n-- \r\nMillwright, {}\r\n", line(&notice.text), notice.at);
        let message = message.singlepart(SinglePart::plain(text));
        message.map(|message| message.formatted()).map_err(|why| format!("write a mail: {}", chain(&why)))
    }
}

/// The same for everything in a thread.
fn subject(notice: &Notice) -> String {
    let about = match (&notice.operation, &notice.node) {
        (Some(operation), Some(node)) => format!("{operation} {node}"),
        (Some(operation), None) => operation.clone(),
        (None, _) => notice.subject.clone(),
    };
    line(&format!("[millwright] {about}"))
}

/// Each certificate of a file for itself.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    text.split_inclusive(END)
        .filter(|one| one.contains(END))
        .map(|one| one.trim().as_bytes().to_vec())
        .collect()
}

impl Channel for Mail {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), String> {
        if let Some(credentials) = &self.config.credentials {
            credentials.read()?;
        }
        match self.config.security {
            Security::None => Ok(()),
            Security::StartTls | Security::Tls => self.tls().map(drop).map_err(|why| why.to_string()),
        }
    }

    fn tell<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<Taken, NotTold>> {
        Box::pin(self.send(parcel))
    }
}
