//! Tells people who are not looking: keeps what is to be told, then has each channel take its part.

use super::{Hub, Task};
use crate::{
    integrations::channels::Channel,
    notice::{NotTold, Outbox, Post},
    store::{NoticeRow, Store, StoreError},
    troubles::Troubles,
};
use futures_util::future::{BoxFuture, join_all};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot::Sender;

/// So many messages a run and channel: a chat is no log.
const AT_ONCE: usize = 20;
/// The word of the trouble that people see while a channel does not answer.
const TROUBLE: &str = "notices";

/// See the module.
pub struct Notify {
    hub: Arc<dyn Hub>,
    store: Arc<Store>,
    post: Arc<Post>,
    troubles: Arc<Troubles>,
    channels: Vec<Arc<dyn Channel>>,
    desk: Mutex<Desk>,
}

/// What the channels share.
struct Desk {
    outbox: Outbox,
    /// Who waits for an announcement to be taken.
    waiting: BTreeMap<String, Vec<Sender<String>>>,
    /// What the store has not taken.
    unsaved: BTreeMap<(String, String), NoticeRow>,
}

impl Notify {
    /// What holds in the fleet of `hub`, and what is left at `post`, goes to `channels`. Of operations nothing is told that
    /// was written up to `position` of the journal, unless the store knows how far it was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(
        hub: Arc<dyn Hub>,
        store: Arc<Store>,
        post: Arc<Post>,
        troubles: Arc<Troubles>,
        channels: Vec<Arc<dyn Channel>>,
        position: u64,
    ) -> Result<Self, StoreError> {
        let names = channels.iter().map(|channel| channel.name().to_owned());
        let outbox = Outbox::open(&store.notices()?, names, position);
        let desk = Mutex::new(Desk { outbox, waiting: BTreeMap::new(), unsaved: BTreeMap::new() });
        Ok(Self { hub, store, post, troubles, channels, desk })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn notify(&self) -> Result<(), String> {
        let now = self.hub.now();
        self.take_in(now);
        // Before anything is told: who crashes in between tells it afterwards, and not never.
        let kept = self.keep().await;
        join_all(self.channels.iter().map(|channel| self.deliver(channel.as_ref()))).await;
        let trouble = self.desk().outbox.trouble();
        match &trouble {
            Some(sentence) => drop(self.troubles.set(TROUBLE, sentence.clone(), now)),
            None => drop(self.troubles.clear(TROUBLE)),
        }
        self.post.note_trouble(trouble.clone());
        kept?;
        trouble.map_or(Ok(()), Err)
    }

    fn take_in(&self, now: Timestamp) {
        let seen = self.hub.ask(|fleet, now| (fleet.conditions(now), fleet.snapshot().warm_up.is_some()));
        let (tells, announcements) = self.post.fetch();
        let mut desk = self.desk();
        tells.into_iter().for_each(|tell| desk.outbox.tell(tell));
        for announcement in announcements {
            if desk.outbox.announce(&announcement.key, announcement.notice) {
                // Nobody may be waiting any more.
                let _ = announcement.reply.send("the chat, before".to_owned());
            } else {
                desk.waiting.entry(announcement.key).or_default().push(announcement.reply);
            }
        }
        if let Some((conditions, is_warming_up)) = seen {
            desk.outbox.compare(&conditions, is_warming_up, now);
        }
        desk.outbox.tidy(now);
        desk.waiting.retain(|_, waiting| waiting.iter().any(|reply| !reply.is_closed()));
    }

    /// Has the store keep what is not there yet; what it does not take is offered again.
    async fn keep(&self) -> Result<(), String> {
        let rows: Vec<NoticeRow> = {
            let mut desk = self.desk();
            for row in desk.outbox.take_changes() {
                desk.unsaved.insert((row.kind.clone(), row.key.clone()), row);
            }
            desk.unsaved.values().cloned().collect()
        };
        if rows.is_empty() {
            return Ok(());
        }
        self.store.keep_notices(rows.clone()).await.map_err(|why| why.to_string())?;
        let mut desk = self.desk();
        for row in rows {
            let key = (row.kind.clone(), row.key.clone());
            // Another channel may have changed it meanwhile.
            if desk.unsaved.get(&key) == Some(&row) {
                desk.unsaved.remove(&key);
            }
        }
        Ok(())
    }

    /// Hands one channel what waits for it, until there is no more or it does not take one.
    async fn deliver(&self, channel: &dyn Channel) {
        for _ in 0..AT_ONCE {
            let next = self.desk().outbox.next_for(channel.name(), self.hub.now());
            let Some(parcel) = next else { return };
            let (mut heard, mut is_over) = (Vec::new(), false);
            match channel.tell(&parcel).await {
                Ok(taken) => {
                    let mut desk = self.desk();
                    let key = desk.outbox.taken(channel.name(), &parcel, taken, self.hub.now());
                    heard.extend(key.and_then(|key| desk.waiting.remove(&key)).into_iter().flatten());
                }
                Err(why) => {
                    self.desk().outbox.refused(channel.name(), &parcel, &why, self.hub.now());
                    is_over = !matches!(why, NotTold::ThreadGone(_));
                }
            }
            if let Err(why) = self.keep().await {
                log::warn!("what people were told may be told again after a restart: {why}");
            }
            for reply in heard {
                // Nobody may be waiting any more.
                let _ = reply.send(channel.name().to_owned());
            }
            if is_over {
                return;
            }
        }
    }
}

impl Task for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.notify())
    }
}

#[cfg(test)]
mod tests;
