//! Where those who have something to tell leave it, without ever waiting for a chat.

use super::Notice;
use crate::operations::Tell;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot::{self, Receiver, Sender};

/// So much is held until the outbox fetches it; the journal has it all the same.
const MOST: usize = 1_000;

/// Something that waits until one channel has taken it.
#[derive(Debug)]
pub struct Announcement {
    /// Told once under this name, however often it is tried.
    pub key: String,
    /// What.
    pub notice: Notice,
    /// Gets the name of the channel that took it.
    pub reply: Sender<String>,
}

/// The letter box.
#[derive(Debug, Default)]
pub struct Post(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    tells: VecDeque<Tell>,
    announcements: Vec<Announcement>,
    trouble: Option<String>,
}

impl Post {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves what happened, in its order.
    pub fn leave(&self, tells: impl IntoIterator<Item = Tell>) {
        let mut inside = self.inside();
        inside.tells.extend(tells);
        let over = inside.tells.len().saturating_sub(MOST);
        inside.tells.drain(..over);
    }

    /// Leaves something that has to be told; the answer is the channel that took it.
    pub fn announce(&self, key: String, notice: Notice) -> Receiver<String> {
        let (reply, answer) = oneshot::channel();
        self.inside().announcements.push(Announcement { key, notice, reply });
        answer
    }

    /// Empties it.
    pub fn fetch(&self) -> (Vec<Tell>, Vec<Announcement>) {
        let mut inside = self.inside();
        (inside.tells.drain(..).collect(), std::mem::take(&mut inside.announcements))
    }

    /// What keeps people from being told; `None` while nothing does.
    pub fn note_trouble(&self, trouble: Option<String>) {
        self.inside().trouble = trouble;
    }

    /// The same, for whoever waits in vain.
    pub fn trouble(&self) -> Option<String> {
        self.inside().trouble.clone()
    }
}
