//! Asks Mesos processes over HTTP and reads their answers in small pieces.
//!
//! hyper itself instead of reqwest, which lets the buffer for an answer of a megabyte grow to half a megabyte
//! and has no setting for it: measured as an eighth of the agent's memory.

use crate::http::innermost;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{Builder, SendRequest},
    header::{ACCEPT, HOST},
};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// Bytes of an answer that are held at a time.
const PIECE: usize = 64 << 10;
/// An answer longer than this is refused, unless it is read as a stream.
const LONGEST_ANSWER: usize = 4 << 20;
/// One look uses one connection; kept until the next, it would hide a restart behind a broken one.
const LONGEST_KEPT: Duration = Duration::from_secs(2);

/// A client: follows no redirect by itself, asks no proxy, keeps one connection at most. It has no deadline of
/// its own: drop what takes too long.
#[derive(Debug, Default)]
pub struct Client(RefCell<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    authority: String,
    sender: SendRequest<Empty<Bytes>>,
    used: Instant,
}

/// An answer, whatever its status; its body is still to come.
pub type Answer = Response<Incoming>;

impl Client {
    /// Sends a `GET`.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn ask(&self, url: &str) -> Result<Answer, String> {
        self.send(url).await.map_err(|why| format!("ask {url}: {why}"))
    }

    async fn send(&self, url: &str) -> Result<Answer, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let authority = url.authority().to_owned();
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let request = Request::get(path)
            .header(HOST, &authority)
            .header(ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let mut sender = match self.kept(&authority).await {
            Some(sender) => sender,
            None => connect(&url).await?,
        };
        let answer = sender.send_request(request).await.map_err(|error| innermost(&error))?;
        *self.0.borrow_mut() = Some(Kept { authority, sender, used: Instant::now() });
        Ok(answer)
    }

    /// The connection of the request before, if it leads there and still stands.
    async fn kept(&self, authority: &str) -> Option<SendRequest<Empty<Bytes>>> {
        let kept = self.0.take().filter(|kept| kept.authority == authority)?;
        let mut sender = (kept.used.elapsed() < LONGEST_KEPT).then_some(kept.sender)?;
        // Answers that nobody read to their end close their connection, so this never waits for one.
        sender.ready().await.is_ok().then_some(sender)
    }

    /// The status and body of a `GET`.
    ///
    /// # Errors
    /// Nobody answers, the answer breaks off, or it is longer than 4 MiB.
    pub async fn fetch(&self, url: &str) -> Result<(StatusCode, Vec<u8>), String> {
        let mut answer = self.ask(url).await?;
        let mut body = Vec::new();
        while let Some(piece) = next_piece(&mut answer, url).await? {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST_ANSWER {
                return Err(format!("ask {url}: the answer is longer than 4 MiB"));
            }
        }
        Ok((answer.status(), body))
    }
}

/// The next piece of an answer, none at its end.
///
/// # Errors
/// The answer breaks off.
pub async fn next_piece(answer: &mut Answer, url: &str) -> Result<Option<Bytes>, String> {
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| format!("read {url}: {}", innermost(&error)))?;
        // Anything else than data would be trailers.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn connect(url: &Url) -> Result<SendRequest<Empty<Bytes>>, String> {
    let host = url.host_str().ok_or("the address names no host")?;
    // As in URLs, an address of version 6 stands in brackets, which the resolver does not know.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let (sender, connection) = Builder::new()
        .max_buf_size(PIECE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| innermost(&error))?;
    // What breaks the connection is told by the request or body that it breaks.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Answers each request of each connection with `answer`; tells on how many connections how much was asked.
    async fn with_server<T>(
        answer: String,
        requests: usize,
        ask: impl AsyncFnOnce(String) -> T,
    ) -> (Vec<String>, T) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = async {
            let mut heads = Vec::new();
            while heads.len() < requests {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut on_this_one = String::new();
                let mut head = vec![0; 4096];
                while heads.len() < requests {
                    let length = stream.read(&mut head).await.unwrap();
                    if length == 0 {
                        break;
                    }
                    on_this_one.push_str(&String::from_utf8_lossy(&head[..length]));
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    heads.push(on_this_one.clone());
                }
            }
            heads
        };
        tokio::join!(serve, ask(url))
    }

    fn with_body(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn requests_of_one_look_share_a_connection() {
        let client = Client::default();
        let (heads, ()) = with_server(with_body("{}"), 2, async |url| {
            for path in ["/slave(1)/state", "/metrics/snapshot?x=1"] {
                let (status, body) = client.fetch(&format!("{url}{path}")).await.unwrap();
                assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"{}"[..]));
            }
        })
        .await;
        let last = heads.last().unwrap();
        assert!(last.starts_with("GET /slave(1)/state HTTP/1.1\r\nhost: 127.0.0.1:"), "{last}");
        assert!(last.contains("GET /metrics/snapshot?x=1 HTTP/1.1"), "{last}");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_read_does_not_hold_up_the_next() {
        let client = Client::default();
        let large = with_body(&"x".repeat(1 << 20));
        let (heads, ()) = with_server(large, 2, async |url| {
            drop(client.ask(&url).await.unwrap());
            assert_eq!(client.fetch(&url).await.unwrap().1.len(), 1 << 20);
        })
        .await;
        assert_eq!(heads.len(), 2);
    }

    #[tokio::test]
    async fn an_answer_comes_in_small_pieces() {
        let client = Client::default();
        let large = with_body(&"x".repeat(3 << 20));
        with_server(large, 1, async |url| {
            let mut answer = client.ask(&url).await.unwrap();
            let mut length = 0;
            while let Some(piece) = next_piece(&mut answer, &url).await.unwrap() {
                assert!(piece.len() <= 2 * PIECE, "{}", piece.len());
                length += piece.len();
            }
            assert_eq!(length, 3 << 20);
        })
        .await;
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_is_too_long_is_an_error() {
        let client = Client::default();
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{".to_owned();
        let (_, error) = with_server(cut, 1, async |url| client.fetch(&url).await.unwrap_err()).await;
        assert!(error.starts_with("read http://127.0.0.1:"), "{error}");
        let long = with_body(&"x".repeat((4 << 20) + 1));
        let client = Client::default();
        let (_, error) = with_server(long, 1, async |url| client.fetch(&url).await.unwrap_err()).await;
        assert!(error.ends_with("the answer is longer than 4 MiB"), "{error}");
    }

    #[tokio::test]
    async fn where_nobody_listens_the_error_says_where_was_asked() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = Client::default().ask(&format!("http://{free}/state")).await.unwrap_err();
        assert!(error.starts_with(&format!("ask http://{free}/state: Connection refused")), "{error}");
    }
}
