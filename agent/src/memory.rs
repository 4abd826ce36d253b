//! What the agent must not forget, whatever happens to the machine: orders, boots, the newest coordinator.
//!
//! One small file of checksummed lines: added to with a sync before anything is acted upon, written anew by renaming when
//! it has grown. The last line may have been cut short by a loss of power; it was then never acted upon. Any other damage
//! means that something may be forgotten, so the agent refuses everything and says so, until a person has looked.
//!
//! What a newcomer gets wrong: a memory that begins anew does not know what the one before it knew. Orders older than the
//! memory are not begun, and nobody claims to know whether they were.

pub mod disk;
mod line;
mod record;
#[cfg(test)]
mod tests;

pub use disk::{Disk, Fault, FileDisk, SimDisk};
pub use record::{Begun, Boot, Record, Remembered};

use jiff::Timestamp;
use millwright_protocol::{Fence, OrderState, Seen};
use std::{io, time::Duration};

/// So many orders are kept, the newest, also when all is said about them.
const KEPT: usize = 200;
/// More than so many at once are not ours to carry out: the memory is then full.
const MOST: usize = 2000;
/// So many boots are kept.
const BOOTS: usize = 50;
/// Written anew when it has so many lines more than it needs.
const SPARE: usize = 1000;

/// What is remembered.
#[derive(Debug)]
pub struct Memory<D> {
    disk: D,
    kept: Kept,
    lines: usize,
    trouble: Option<Trouble>,
}

/// The sum of all records.
#[derive(Debug, Clone, Default, PartialEq)]
struct Kept {
    since: Option<(String, u64)>,
    seen: Option<Seen>,
    boots: Vec<Boot>,
    orders: Vec<Remembered>,
    whitelist: Option<u64>,
}

/// Why nothing can be remembered, or nothing that is remembered believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It cannot be read, or a line other than a torn last one is damaged.
    #[error("the memory {place} cannot be believed: {why}")]
    Damaged {
        /// Where it is.
        place: String,
        /// What was found.
        why: String,
    },
    /// It could not be written; what it holds may be behind.
    #[error("the memory {place} cannot be written: {why}")]
    Unwritable {
        /// Where it is.
        place: String,
        /// What the disk said.
        why: String,
    },
    /// There are too many orders at once.
    #[error("the memory {place} is full: {MOST} orders at once")]
    Full {
        /// Where it is.
        place: String,
    },
}

impl Trouble {
    /// What a person does about it.
    pub fn next(&self) -> String {
        match self {
            Self::Damaged { place, .. } => format!(
                "nobody can tell which orders were carried out: check the disk, look at the node's open operation, then \
                 `mv {place} {place}.damaged` and `systemctl restart millwright-agent`"
            ),
            Self::Unwritable { .. } => {
                "make room on that disk, or mend it; the agent tries again by itself".to_owned()
            }
            Self::Full { .. } => {
                "find out what sends so many orders; old ones leave room after an hour".to_owned()
            }
        }
    }
}

impl<D: Disk> Memory<D> {
    /// Opens what is there, or begins anew. `boot_id` and `uptime` are of this boot.
    pub fn open(disk: D, boot_id: &str, uptime: Duration) -> Self {
        let mut memory = Self { disk, kept: Kept::default(), lines: 0, trouble: None };
        memory.read(boot_id, uptime);
        memory
    }

    fn read(&mut self, boot_id: &str, uptime: Duration) {
        let place = self.disk.place();
        self.kept = Kept { since: Some(from_now(boot_id, uptime)), ..Kept::default() };
        let damaged = |why: String| Trouble::Damaged { place: place.clone(), why };
        let bytes = match self.disk.read() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.trouble = Some(damaged(error.to_string()));
                return;
            }
        };
        let Some(bytes) = bytes else { return self.write_anew() };
        match kept_in(&bytes) {
            // The first line is written with the file, so not even a loss of power leaves a file without it.
            Ok((kept, ..)) if kept.since.is_none() => {
                self.trouble = Some(damaged("its beginning is missing".to_owned()));
            }
            Ok((kept, lines, is_torn)) => {
                (self.kept, self.lines) = (kept, lines);
                if is_torn {
                    self.write_anew();
                }
            }
            Err(why) => self.trouble = Some(damaged(why)),
        }
    }

    /// Why orders cannot be carried out.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Tries again where the disk had refused. What was answered meanwhile could not be remembered, so the memory counts as
    /// beginning now: orders made before are refused.
    pub fn mend(&mut self, boot_id: &str, uptime: Duration) {
        if !matches!(self.trouble, Some(Trouble::Unwritable { .. })) {
            return;
        }
        self.trouble = None;
        self.read(boot_id, uptime);
        if self.trouble.is_none() {
            let before = self.kept.since.replace(from_now(boot_id, uptime));
            self.write_anew();
            if self.trouble.is_some() {
                self.kept.since = before;
            }
        }
    }

    /// Adds records; they survive a loss of power when this returns `Ok`.
    ///
    /// # Errors
    /// Why nothing is believed to be remembered.
    pub fn add(&mut self, records: Vec<Record>) -> Result<(), Trouble> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let mut lines = String::new();
        for record in &records {
            lines.push_str(&line_of(record).map_err(|error| self.unwritable(&io::Error::from(error)))?);
        }
        if let Err(error) = self.disk.append(lines.as_bytes()) {
            return Err(self.unwritable(&error));
        }
        self.lines += records.len();
        records.into_iter().for_each(|record| self.kept.lay(record));
        Ok(())
    }

    fn unwritable(&mut self, error: &io::Error) -> Trouble {
        let trouble = Trouble::Unwritable { place: self.disk.place(), why: error.to_string() };
        self.trouble = Some(trouble.clone());
        trouble
    }

    /// Forgets what nobody can ask about any more, and writes the file anew when that is worth it. `coordinator` is the
    /// coordinator's clock at its earliest; without it nothing that has a time is forgotten.
    pub fn tidy(&mut self, coordinator: Option<Timestamp>) {
        self.kept.forget(coordinator);
        match &self.trouble {
            None if self.kept.orders.len() >= MOST => {
                self.trouble = Some(Trouble::Full { place: self.disk.place() });
            }
            Some(Trouble::Full { .. }) if self.kept.orders.len() < MOST => self.trouble = None,
            _ => {}
        }
        if self.trouble.is_none() && self.lines > self.needed() + SPARE {
            self.write_anew();
        }
    }

    fn needed(&self) -> usize {
        self.kept.orders.len() + self.kept.boots.len() + 3
    }

    fn write_anew(&mut self) {
        let lines: Result<Vec<String>, _> = self.kept.records().iter().map(line_of).collect();
        let written =
            lines.map_err(io::Error::from).and_then(|lines| self.disk.replace(lines.concat().as_bytes()));
        match written {
            Ok(()) => self.lines = self.needed(),
            Err(error) => drop(self.unwritable(&error)),
        }
    }

    /// How long this boot's part of the memory reaches back; `None` for all of this boot.
    pub fn age(&self, boot_id: &str, uptime: Duration) -> Option<Duration> {
        let (boot, since) = self.kept.since.as_ref()?;
        (boot == boot_id).then(|| uptime.saturating_sub(Duration::from_secs(*since)))
    }

    /// The newest coordinator and position heard of.
    pub fn seen(&self) -> Option<Seen> {
        self.kept.seen
    }

    /// What `seen` becomes by an order or answer of this coordinator; `None` where that is nothing new.
    pub fn newer(&self, fence: Fence, position: u64, ordered_at: Option<Timestamp>) -> Option<Seen> {
        let heard = Seen { fence, position, ordered_at };
        let newer = match self.kept.seen {
            Some(seen) if seen.fence.generation == fence.generation => Seen {
                fence: seen.fence.max(fence),
                position: seen.position.max(position),
                ordered_at: seen.ordered_at.max(ordered_at),
            },
            seen => heard.max(seen.unwrap_or(heard)),
        };
        (self.kept.seen != Some(newer)).then_some(newer)
    }

    /// One order.
    pub fn order(&self, id: &str) -> Option<&Remembered> {
        self.kept.orders.iter().find(|order| order.id == id)
    }

    /// Every order that is kept, the oldest first.
    pub fn orders(&self) -> &[Remembered] {
        &self.kept.orders
    }

    /// Every boot that is kept, the oldest first.
    pub fn boots(&self) -> &[Boot] {
        &self.kept.boots
    }

    /// The version of the whitelist in force.
    pub fn whitelist(&self) -> Option<u64> {
        self.kept.whitelist
    }
}

impl Kept {
    fn lay(&mut self, record: Record) {
        match record {
            Record::Since { boot_id, uptime_seconds } => self.since = Some((boot_id, uptime_seconds)),
            Record::Seen(seen) => self.seen = self.seen.max(Some(seen)),
            Record::Boot(boot) => {
                self.boots.retain(|known| known.boot_id != boot.boot_id);
                self.boots.push(boot);
                let surplus = self.boots.len().saturating_sub(BOOTS);
                self.boots.drain(..surplus);
            }
            Record::Order(order) => match self.orders.iter_mut().find(|known| known.id == order.id) {
                Some(known) => *known = order,
                None => self.orders.push(order),
            },
            Record::Told { id } => {
                if let Some(order) = self.orders.iter_mut().find(|order| order.id == id) {
                    order.told = true;
                    order.shorten();
                }
            }
            Record::Whitelist { version } => self.whitelist = self.whitelist.max(Some(version)),
        }
    }

    fn records(&self) -> Vec<Record> {
        let since = self.since.clone();
        let since = since.map(|(boot_id, uptime_seconds)| Record::Since { boot_id, uptime_seconds });
        let boots = self.boots.iter().cloned().map(Record::Boot);
        let orders = self.orders.iter().cloned().map(Record::Order);
        let whitelist = self.whitelist.map(|version| Record::Whitelist { version });
        since
            .into_iter()
            .chain(self.seen.map(Record::Seen))
            .chain(boots)
            .chain(orders)
            .chain(whitelist)
            .collect()
    }

    /// Drops old orders that are void, told, and were no reboot that still counts.
    fn forget(&mut self, coordinator: Option<Timestamp>) {
        let Some(now) = coordinator else { return };
        let mut surplus = self.orders.len().saturating_sub(KEPT);
        self.orders.retain(|order| {
            let is_kept = surplus == 0 || !is_forgettable(order, now);
            surplus -= usize::from(!is_kept);
            is_kept
        });
    }
}

/// A reboot counts for a day, and an order may come again until it is void; both have an hour to spare.
fn is_forgettable(order: &Remembered, now: Timestamp) -> bool {
    let is_past = |at: Timestamp, hours: i64| now.duration_since(at).as_hours() >= hours;
    let is_open = order.event.state == OrderState::Starting;
    order.told
        && !is_open
        && order.void_at.unwrap_or(order.event.at) < now
        && order.void_at.is_none_or(|at| is_past(at, 1))
        && (order.verb != "reboot" || order.begun.as_ref().is_none_or(|begun| is_past(begun.at, 25)))
}

/// A beginning in whole seconds, never before the true one.
fn from_now(boot_id: &str, uptime: Duration) -> (String, u64) {
    (boot_id.to_owned(), uptime.as_secs().saturating_add(1))
}

fn line_of(record: &Record) -> serde_json::Result<String> {
    serde_json::to_string(record).map(|json| line::line(&json))
}

/// What a file holds, in how many lines, and whether its last was cut short.
fn kept_in(bytes: &[u8]) -> Result<(Kept, usize, bool), String> {
    let read = line::read(bytes).map_err(|line| format!("line {line} does not match its checksum"))?;
    let mut kept = Kept::default();
    for (number, record) in read.records.iter().enumerate() {
        let record = serde_json::from_str(record)
            .map_err(|error| format!("line {} is no record of this version: {error}", number + 1))?;
        kept.lay(record);
    }
    Ok((kept, read.records.len(), read.is_torn))
}
