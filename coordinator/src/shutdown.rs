//! How the coordinator stops: everybody is told once, everybody gets the same few seconds.
//!
//! A stream of events never ends by itself, so each one watches [`Shutdown::asked`]; without that a stop would wait for the
//! last open dashboard.

use std::{future::Future, io, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Stops what was started through it. Clones stop together.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Starts a task that is waited for at the end. It must watch [`Self::asked`].
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Returns once a stop was asked for.
    pub async fn asked(&self) {
        self.token.cancelled().await;
    }

    /// The token behind [`Self::asked`], for those who need an owned future.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Whether a stop was asked for.
    pub fn is_asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Asks everybody to stop.
    pub fn ask(&self) {
        self.token.cancel();
    }

    /// Asks everybody to stop and waits for them; `false` when some were still busy after `patience`.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.ask();
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

/// Somebody's wish that we stop, watched from the moment this is made.
#[derive(Debug)]
pub struct Wish {
    terminate: Signal,
    interrupt: Signal,
}

impl Wish {
    /// Begins to watch. To be made before anybody knows that we run, so that no wish is lost or kills us on the spot.
    ///
    /// # Errors
    /// When the operating system refuses to watch signals.
    pub fn watch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the first SIGTERM or SIGINT, and says which it was.
    pub async fn comes(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_watches_is_waited_for() {
        let shutdown = Shutdown::default();
        let watching = shutdown.clone();
        shutdown.spawn(async move { watching.asked().await });
        assert!(shutdown.finish(Duration::from_secs(60)).await);
    }

    #[tokio::test]
    async fn a_task_that_does_not_watch_is_left_behind() {
        let shutdown = Shutdown::default();
        shutdown.spawn(std::future::pending());
        assert!(!shutdown.finish(Duration::ZERO).await);
    }
}
