//! A mail server for tests: takes mail as the book says, or fails where it is told to.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A running mail server.
#[derive(Clone, Default)]
pub struct FakeMail(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    mails: Vec<Received>,
    failing: BTreeMap<String, Failing>,
    login: String,
    tls: Option<(TlsAcceptor, At)>,
    /// How many mails came over TLS.
    sealed: usize,
}

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// From the first byte on.
    Once,
    /// After `STARTTLS`.
    Request,
}

/// What happens at a word of a client, such as `RCPT`, or at the end of its message, `.`.
#[derive(Clone)]
pub enum Failing {
    /// Says this.
    Says(&'static str),
    /// Says nothing any more.
    Hangs,
    /// Closes the connection.
    Closes,
}

/// One mail that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// As given to `MAIL FROM`.
    pub from: String,
    /// As given to `RCPT TO`.
    pub to: Vec<String>,
    /// Headers and text.
    pub text: String,
}

impl Received {
    /// The value of a header, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    }
}

impl FakeMail {
    /// Listens on a free port of loopback; gives host and port.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                // Who breaks off has its reasons.
                tokio::spawn(async move { drop(server.serve(stream).await) });
            }
        });
        Ok(address)
    }

    /// Everything that it took, in its order.
    pub fn mails(&self) -> Vec<Received> {
        self.inside(|inside| inside.mails.clone())
    }

    /// From now on this happens at this word, or nothing any more.
    pub fn fails(&self, at: &str, how: Option<Failing>) {
        self.inside(|inside| match how {
            Some(how) => drop(inside.failing.insert(at.to_owned(), how)),
            None => drop(inside.failing.remove(at)),
        });
    }

    /// What the last client said who it was, as it came.
    pub fn login(&self) -> String {
        self.inside(|inside| inside.login.clone())
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it can prove who it is.
    pub fn seals(&self, acceptor: TlsAcceptor, at: At) {
        self.inside(|inside| inside.tls = Some((acceptor, at)));
    }

    /// How many mails came over TLS.
    pub fn sealed(&self) -> usize {
        self.inside(|inside| inside.sealed)
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        match self.inside(|inside| inside.tls.clone()) {
            None => self.talk(stream, "hello", None).await.map(drop),
            Some((acceptor, At::Once)) => {
                self.talk(acceptor.accept(stream).await?, "hello", Some(true)).await.map(drop)
            }
            Some((acceptor, At::Request)) => match self.talk(stream, "hello", Some(false)).await? {
                Some(stream) => {
                    self.talk(acceptor.accept(stream).await?, "sealed", Some(true)).await.map(drop)
                }
                None => Ok(()),
            },
        }
    }

    /// Goes on until the client leaves, or wants TLS: then the stream comes back. `sealed` says whether it has it.
    async fn talk<S>(&self, stream: S, first: &str, sealed: Option<bool>) -> std::io::Result<Option<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        let mut mail = Received::default();
        let mut word = first.to_owned();
        loop {
            let failing = self.inside(|inside| inside.failing.get(&word).cloned());
            if matches!(&failing, Some(Failing::Hangs)) {
                return std::future::pending().await;
            }
            if word == "." && !matches!(failing, Some(Failing::Says(_))) {
                self.inside(|inside| {
                    inside.sealed += usize::from(sealed == Some(true));
                    inside.mails.push(std::mem::take(&mut mail));
                });
            }
            let answer = match failing {
                Some(Failing::Says(answer)) => answer,
                Some(Failing::Closes) => return Ok(None),
                _ => answer(&word, sealed == Some(false)),
            };
            if !answer.is_empty() {
                stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                stream.flush().await?;
            }
            if word == "STARTTLS" {
                return Ok(Some(stream.into_inner()));
            }
            if word == "DATA" && answer.starts_with('3') {
                mail.text = text(&mut stream).await?;
                word = ".".to_owned();
                continue;
            }
            let mut line = String::new();
            if word == "QUIT" || stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            let line = line.trim_end();
            match line.split_once(':') {
                Some(("MAIL FROM", from)) => mail.from = from.to_owned(),
                Some(("RCPT TO", to)) => mail.to.push(to.to_owned()),
                _ => {}
            }
            word = line.split(' ').next().unwrap_or_default().to_owned();
            if word == "AUTH" {
                self.inside(|inside| inside.login = line.to_owned());
            }
        }
    }
}

/// What is said when all goes well.
fn answer(word: &str, offers_tls: bool) -> &'static str {
    match word {
        "hello" => "220 mail.lab ESMTP",
        // TLS has just begun, and the client speaks first.
        "sealed" => "",
        "EHLO" if offers_tls => "250-mail.lab\r\n250-STARTTLS\r\n250 8BITMIME",
        "EHLO" => "250-mail.lab\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
        "AUTH" => "235 welcome",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 good",
    }
}

/// Up to the line with a dot alone.
async fn text(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
