//! A stream whose other end must keep reading: a write that makes no progress for too long is an error.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Whether something came in since we last said something. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<AtomicBool>);

impl Heard {
    /// Somebody has begun to say something, and has no answer yet.
    pub fn is_unanswered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, heard: bool) {
        self.0.store(heard, Ordering::Relaxed);
    }
}

/// The stream with its limit.
pub struct Patient<S> {
    stream: S,
    limit: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
    heard: Heard,
}

impl<S> Patient<S> {
    /// Gives up on a reader that takes nothing for `limit`.
    pub fn new(stream: S, limit: Duration, heard: Heard) -> Self {
        Self { stream, limit, waiting: None, heard }
    }

    /// Notes that something was said, and passes on how much.
    fn said(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.heard.set(false);
        }
        written
    }

    /// Passes on what the stream says, unless it has said "later" for too long.
    fn judge<T>(&mut self, context: &mut Context<'_>, said: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.waiting = None;
            return said;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.heard.set(true);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write(context, bytes);
        let said = self.said(said);
        self.judge(context, said)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        let said = self.said(said);
        self.judge(context, said)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, said)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(context, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_let_go() {
        let (ours, _theirs) = tokio::net::UnixStream::pair().unwrap();
        let mut patient = Patient::new(ours, Duration::from_millis(1), Heard::default());
        let error = loop {
            if let Err(error) = patient.write_all(&[0; 65536]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_came_in_is_unanswered_until_something_is_said() {
        use tokio::io::AsyncReadExt;
        let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
        let heard = Heard::default();
        let mut patient = Patient::new(ours, Duration::from_secs(60), heard.clone());
        assert!(!heard.is_unanswered());
        theirs.write_all(b"GE").await.unwrap();
        patient.read_exact(&mut [0; 2]).await.unwrap();
        assert!(heard.is_unanswered());
        patient.write_all(b"HTTP").await.unwrap();
        assert!(!heard.is_unanswered());
    }
}
