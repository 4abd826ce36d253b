//! Just enough D-Bus to call one method of one service on the system bus, and to understand a yes, a no, or a file handed over.
//!
//! By hand, since a library for it would be larger than the agent's whole memory goal allows, and the programs that could
//! do it are not on every node: busctl came with systemd 221, dbus-send is a package of its own. Numbers are
//! little-endian, as the first byte of each message says.

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::{
    io::{self, IoSliceMut},
    os::fd::{AsRawFd, RawFd},
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
};

/// No message that we wait for is longer.
const LONGEST: usize = 64 << 10;
/// More messages than this that are no answer to us are not waited through.
const MOST_OTHERS: usize = 64;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A method, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Method<'a> {
    /// The service's name.
    pub destination: &'a str,
    /// The object's path.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method's name.
    pub member: &'a str,
}

/// Why a call was not answered with yes.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The bus was not reached, so the service has not heard of it.
    #[error("reach the system bus at {path}: {why}")]
    NotReached {
        /// The socket.
        path: String,
        /// What was found.
        why: String,
    },
    /// The service said no.
    #[error("{name}: {message}")]
    Refused {
        /// D-Bus' name of the error.
        name: String,
        /// The service's reason.
        message: String,
    },
    /// The call went out and no answer came back.
    #[error("no answer to the call: {0}")]
    NoAnswer(String),
}

/// What a method is called with.
#[derive(Debug, Clone, Copy)]
pub enum Arguments<'a> {
    /// One boolean.
    Flag(bool),
    /// Texts.
    Texts(&'a [&'a str]),
}

/// A file that the service handed over with its answer, closed when this is dropped.
#[derive(Debug)]
pub struct Handed(RawFd);

impl Drop for Handed {
    fn drop(&mut self) {
        // Whatever close says, the file is gone.
        let _ = nix::unistd::close(self.0);
    }
}

/// Calls a method, and returns the file that came with its answer, where one did.
///
/// # Errors
/// Why it was not answered with yes; only [`CallError::NoAnswer`] leaves open whether it was carried out.
pub async fn call(
    socket: &Path,
    method: Method<'_>,
    arguments: Arguments<'_>,
) -> Result<Option<Handed>, CallError> {
    let not_reached =
        |why: io::Error| CallError::NotReached { path: socket.display().to_string(), why: why.to_string() };
    let mut bus = Bus::greeted(socket).await.map_err(not_reached)?;
    let (signature, body) = arguments.written();
    bus.stream.write_all(&message(2, method, &signature, &body)).await.map_err(not_reached)?;
    let no_answer = |error: io::Error| CallError::NoAnswer(error.to_string());
    match bus.answer(2).await.map_err(no_answer)? {
        Answer::Yes(handed) => Ok(handed),
        Answer::No { name, message } => Err(CallError::Refused { name, message }),
    }
}

impl Arguments<'_> {
    /// Their signature, and their bytes.
    fn written(self) -> (String, Vec<u8>) {
        match self {
            Self::Flag(flag) => ("b".to_owned(), u32::from(flag).to_le_bytes().to_vec()),
            Self::Texts(texts) => {
                let mut body = Vec::new();
                for text in texts {
                    pad(&mut body, 4);
                    body.extend(length(text.len()));
                    body.extend(text.bytes().chain([0]));
                }
                ("s".repeat(texts.len()), body)
            }
        }
    }
}

/// A connection, with the files that came along with what was read last.
struct Bus {
    stream: UnixStream,
    handed: Vec<Handed>,
}

impl Bus {
    /// One that has said who it is and got its name.
    async fn greeted(socket: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket).await?;
        let user: String =
            nix::unistd::geteuid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes()).await?;
        let said = line(&mut stream).await?;
        if !said.starts_with("OK ") {
            return Err(io::Error::other(format!("the bus answers {said:?} to our name")));
        }
        stream.write_all(b"NEGOTIATE_UNIX_FD\r\n").await?;
        // A bus that hands over no files still carries calls.
        line(&mut stream).await?;
        stream.write_all(b"BEGIN\r\n").await?;
        let hello = Method {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
        };
        stream.write_all(&message(1, hello, "", &[])).await?;
        let mut bus = Self { stream, handed: Vec::new() };
        match bus.answer(1).await? {
            Answer::Yes(_) => Ok(bus),
            Answer::No { name, message } => Err(io::Error::other(format!("{name}: {message}"))),
        }
    }

    /// The answer to the call `serial`; what comes before it is signals to everybody.
    async fn answer(&mut self, serial: u32) -> io::Result<Answer> {
        for _ in 0..MOST_OTHERS {
            self.handed.clear();
            let mut head = [0; 16];
            self.read(&mut head).await?;
            let number = |at: usize| {
                let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                bytes.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
            };
            let (body, fields) = (number(4), number(12));
            let rest = fields.next_multiple_of(8).saturating_add(body);
            if head.first() != Some(&b'l') || rest > LONGEST {
                return Err(io::Error::other("the bus answers what is no message of ours"));
            }
            let mut rest = vec![0; rest];
            self.read(&mut rest).await?;
            let (heading, body) = rest.split_at(fields.next_multiple_of(8));
            let heading = read_fields(heading.get(..fields).unwrap_or_default());
            if heading.reply_to != Some(serial) {
                continue;
            }
            return Ok(match head.get(1) {
                Some(2) => Answer::Yes(self.handed.pop()),
                _ => Answer::No { name: heading.error_name, message: first_text(body) },
            });
        }
        Err(io::Error::other("the bus says much and answers nothing"))
    }

    /// Fills these bytes, and keeps the files that come along.
    async fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            self.stream.readable().await?;
            let (stream, handed) = (&self.stream, &mut self.handed);
            match stream.try_io(Interest::READABLE, || receive(stream.as_raw_fd(), rest, handed)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads what is there, as `read`, which would lose the files that come along.
fn receive(socket: RawFd, bytes: &mut [u8], handed: &mut Vec<Handed>) -> io::Result<usize> {
    let mut room = nix::cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(bytes)];
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut room), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(files) = part {
            handed.extend(files.into_iter().map(Handed));
        }
    }
    Ok(message.bytes)
}

async fn line(bus: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") && line.len() < 1024 {
        line.push(bus.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// A method call.
fn message(serial: u32, method: Method<'_>, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (code, kind, text) in [
        (PATH, b'o', method.path),
        (INTERFACE, b's', method.interface),
        (MEMBER, b's', method.member),
        (DESTINATION, b's', method.destination),
    ] {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        fields.extend(length(text.len()));
        fields.extend(text.bytes().chain([0]));
    }
    if !signature.is_empty() {
        pad(&mut fields, 8);
        fields.extend([SIGNATURE, 1, b'g', 0]);
        fields.push(u8::try_from(signature.len()).unwrap_or(0));
        fields.extend(signature.bytes().chain([0]));
    }
    // Little-endian, a call, no flags, version 1.
    let mut message = vec![b'l', 1, 0, 1];
    message.extend(length(body.len()));
    message.extend(serial.to_le_bytes());
    message.extend(length(fields.len()));
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(0).to_le_bytes()
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

enum Answer {
    Yes(Option<Handed>),
    No { name: String, message: String },
}

#[derive(Default)]
struct Heading {
    reply_to: Option<u32>,
    error_name: String,
}

/// Reads what matters; every field we may get is a text or a number.
fn read_fields(bytes: &[u8]) -> Heading {
    let mut heading = Heading::default();
    let mut at = 0_usize;
    while let Some([code, _, kind, _]) = bytes.get(at..at + 4) {
        let value = bytes.get(at + 4..).unwrap_or_default();
        let taken = match kind {
            b'u' => {
                let number = value.first_chunk().copied().map(u32::from_le_bytes);
                if *code == REPLY_SERIAL {
                    heading.reply_to = number;
                }
                4
            }
            b's' | b'o' => {
                let text = first_text(value);
                let taken = 4 + text.len() + 1;
                if *code == ERROR_NAME {
                    heading.error_name = text;
                }
                taken
            }
            b'g' => value.first().map_or(0, |length| usize::from(*length)) + 2,
            // Nothing after a kind that we do not know can be found.
            _ => return heading,
        };
        at = (at + 4 + taken).next_multiple_of(8);
    }
    heading
}

/// The text with which a body begins, where it begins with one.
fn first_text(bytes: &[u8]) -> String {
    let length = bytes.first_chunk().copied().map_or(0, u32::from_le_bytes) as usize;
    let text = bytes.get(4..4_usize.saturating_add(length)).unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessage, sendmsg};
    use std::{io::IoSlice, os::fd::OwnedFd};
    use tokio::net::UnixListener;

    /// A node with a place for the bus, on which nobody listens yet.
    pub(in crate::orders::verbs) fn node() -> (tempfile::TempDir, crate::config::Paths) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/dbus")).unwrap();
        let paths = crate::config::Paths { root: root.path().into(), ..crate::config::Paths::default() };
        (root, paths)
    }

    /// A bus that lets one client in and answers its second call with these messages.
    pub(in crate::orders::verbs) async fn bus(listener: UnixListener, answers: Vec<Vec<u8>>) -> Vec<u8> {
        let (mut client, asked) = called_on(&listener).await;
        for answer in answers {
            client.write_all(&answer).await.unwrap();
        }
        asked
    }

    /// A bus that answers the second call of one client with yes, and hands this file over.
    pub(in crate::orders::verbs) async fn bus_that_hands_over(
        listener: UnixListener,
        file: OwnedFd,
    ) -> Vec<u8> {
        let (client, asked) = called_on(&listener).await;
        let (signal, yes, files) = (reply(4, 0, "a signal"), reply(2, 2, ""), [file.as_raw_fd()]);
        let send = |bytes: &[u8], files: &[ControlMessage<'_>]| {
            sendmsg::<()>(client.as_raw_fd(), &[IoSlice::new(bytes)], files, MsgFlags::empty(), None).unwrap()
        };
        // A file that comes with what is no answer is not kept.
        send(&signal, &[ControlMessage::ScmRights(&files)]);
        send(&yes, &[ControlMessage::ScmRights(&files)]);
        asked
    }

    /// The client that was let in, and its second call.
    async fn called_on(listener: &UnixListener) -> (UnixStream, Vec<u8>) {
        let (mut client, _) = listener.accept().await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), 0);
        assert!(line(&mut client).await.unwrap().starts_with("AUTH EXTERNAL 3"));
        client.write_all(b"OK 1234deadbeef\r\n").await.unwrap();
        assert_eq!(line(&mut client).await.unwrap(), "NEGOTIATE_UNIX_FD");
        client.write_all(b"AGREE_UNIX_FD\r\n").await.unwrap();
        assert_eq!(line(&mut client).await.unwrap(), "BEGIN");
        read_call(&mut client).await;
        client.write_all(&reply(2, 1, "")).await.unwrap();
        let asked = read_call(&mut client).await;
        (client, asked)
    }

    async fn read_call(client: &mut UnixStream) -> Vec<u8> {
        let mut head = [0; 16];
        client.read_exact(&mut head).await.unwrap();
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let mut rest = vec![0; number(12).next_multiple_of(8) + number(4)];
        client.read_exact(&mut rest).await.unwrap();
        [head.to_vec(), rest].concat()
    }

    /// A message of this kind in answer to a call; an error when there is a text.
    pub(in crate::orders::verbs) fn reply(kind: u8, to: u32, text: &str) -> Vec<u8> {
        let mut fields = vec![REPLY_SERIAL, 1, b'u', 0];
        fields.extend(to.to_le_bytes());
        if kind == 3 {
            fields.extend([ERROR_NAME, 1, b's', 0]);
            fields.extend(length(7));
            fields.extend(b"a.b.Err\0");
        }
        let mut body = Vec::new();
        if !text.is_empty() {
            pad(&mut fields, 8);
            fields.extend([SIGNATURE, 1, b'g', 0, 1, b's', 0]);
            body.extend(length(text.len()));
            body.extend(text.bytes().chain([0]));
        }
        let mut message = vec![b'l', kind, 0, 1];
        message.extend(length(body.len()));
        message.extend(7_u32.to_le_bytes());
        message.extend(length(fields.len()));
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }

    const METHOD: Method<'_> = Method { destination: "x.y", path: "/x/y", interface: "x.y.Z", member: "Do" };

    async fn called(answers: Vec<Vec<u8>>) -> (Result<Option<Handed>, CallError>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::join!(call(&socket, METHOD, Arguments::Flag(false)), bus(listener, answers))
    }

    #[tokio::test]
    async fn a_call_is_answered_by_its_own_answer_among_others() {
        let (answer, asked) = called(vec![reply(4, 0, "a signal"), reply(2, 9, ""), reply(2, 2, "")]).await;
        assert!(answer.unwrap().is_none());
        let text = String::from_utf8_lossy(&asked).into_owned();
        assert!(text.contains("x.y.Z") && text.contains("/x/y"), "{text:?}");
        assert_eq!(asked[asked.len() - 4..], [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn a_refusal_has_its_name_and_its_reason() {
        let (answer, _) = called(vec![reply(3, 2, "not now")]).await;
        assert_eq!(answer.unwrap_err().to_string(), "a.b.Err: not now");
    }

    #[tokio::test]
    async fn a_bus_that_hangs_up_or_talks_nonsense_leaves_the_end_open_and_one_that_is_not_there_does_not() {
        for answers in [vec![], vec![b"nonsense that is no message".to_vec()], vec![vec![0xff; 100]]] {
            let (answer, _) = called(answers).await;
            assert!(matches!(answer, Err(CallError::NoAnswer(_))), "{answer:?}");
        }
        let answer = call(Path::new("/none/such"), METHOD, Arguments::Flag(false)).await;
        assert!(matches!(answer, Err(CallError::NotReached { .. })), "{answer:?}");
    }

    #[test]
    fn a_heading_cut_anywhere_is_read_without_harm() {
        let whole = reply(3, 2, "text");
        for cut in 16..whole.len() {
            read_fields(&whole[16..cut]);
        }
    }
}
