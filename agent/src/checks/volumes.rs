//! Expected volumes and the root file system: mounted, on a device of its own, the right one, writable.
//!
//! Gating for expected volumes, because a build without its volume fills the root disk. How full they are is
//! [`space`]'s question and never gates: a separate finding, so that one can be acknowledged without the other.

mod device;
mod mountinfo;
mod slope;
mod space;

use super::Context;
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{Config, ExpectedVolume, Paths, units::spoken_size},
    probe::{Probe, ProbeError, ProbeSlot, Sight},
};
use jiff::Timestamp;
use millwright_protocol::{Status, VolumeFact};
use mountinfo::{Mount, MountTable};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};
use tokio::sync::watch;

/// One volume a node has, as its two checks see it.
struct Volume {
    config: Rc<Config>,
    expected: ExpectedVolume,
    /// The mount point, as findings name it.
    name: String,
    is_root: bool,
    book: Book,
}

/// The facts about all volumes; each check writes its own and hands on the whole.
#[derive(Clone, Default)]
struct Book(Rc<RefCell<BTreeMap<String, VolumeFact>>>);

impl Book {
    fn write(&self, name: &str, change: impl FnOnce(&mut VolumeFact)) {
        let mut book = self.0.borrow_mut();
        let fact = book.entry(name.to_owned()).or_default();
        fact.mount = name.to_owned();
        change(fact);
    }

    fn part(&self) -> FactPart {
        FactPart::Volumes(self.0.borrow().values().cloned().collect())
    }
}

/// The checks of every expected volume and, if wanted, of the root file system.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    let config = &context.config;
    let book = Book::default();
    let mut checks: Vec<Box<dyn Check>> = Vec::new();
    let root = config.checks.volumes.root.then(|| (ExpectedVolume::at("/"), true));
    let expected = config.checks.volumes.expected_of(config.node.class);
    for (expected, is_root) in expected.into_iter().map(|expected| (expected, false)).chain(root) {
        let name = expected.mount.display().to_string();
        let volume = Rc::new(Volume { config: config.clone(), expected, name, is_root, book: book.clone() });
        let (tell, told) = watch::channel(None);
        let probe = context.probe(config.checks.volumes.deadline);
        checks.push(Box::new(VolumeCheck {
            volume: volume.clone(),
            probe,
            slot: ProbeSlot::default(),
            tell,
        }));
        checks.push(Box::new(space::SpaceCheck::new(volume, told)));
    }
    checks
}

/// Looks whether one volume is there.
struct VolumeCheck {
    volume: Rc<Volume>,
    probe: Probe,
    slot: ProbeSlot,
    tell: watch::Sender<Option<Sight>>,
}

impl Check for VolumeCheck {
    fn name(&self) -> &'static str {
        "volume"
    }

    fn is_gating(&self) -> bool {
        !self.volume.is_root
    }

    fn item(&self) -> Option<&str> {
        Some(&self.volume.name)
    }

    fn when_silent(&self) -> Option<&str> {
        Some(
            "the disk or its server hangs: look at `dmesg -T | tail -50`; a reboot of the node is the usual cure",
        )
    }

    fn rhythm(&self) -> Rhythm {
        self.volume.rhythm()
    }

    fn look(&mut self, _now: Timestamp) -> Looking<'_> {
        Box::pin(async {
            let seen = self.see().await;
            self.tell.send_replace(seen.sight.as_ref().and_then(|sight| sight.as_ref().ok()).copied());
            let observation = self.volume.judge(&seen);
            self.volume.note(&seen);
            Look { observations: vec![observation], facts: vec![self.volume.book.part()] }
        })
    }
}

/// What one look at a volume saw.
#[derive(Debug, Default)]
struct Seen {
    /// Why the mount table could not be read.
    blind: Option<String>,
    mount: Option<Mount>,
    /// What the root directory is on.
    root: Option<Mount>,
    /// Whether the mount point exists at all; only looked at while nothing is mounted there.
    exists: bool,
    uuid: Option<String>,
    serial: Option<String>,
    /// Where the disk with the expected UUID is, if it is attached.
    expected_at: Option<PathBuf>,
    /// Mounted file systems answer or refuse.
    sight: Option<Result<Sight, ProbeError>>,
    /// Other disks that are mounted, for the facts.
    others: Vec<(Mount, Option<String>, Option<String>)>,
}

impl VolumeCheck {
    async fn see(&self) -> Seen {
        let (volume, paths) = (&*self.volume, &self.volume.config.paths);
        let table = match fs::read(paths.mountinfo()) {
            Ok(bytes) => MountTable::parse(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                let blind = Some(format!("{}: {error}", paths.mountinfo().display()));
                return Seen { blind, ..Seen::default() };
            }
        };
        let point = paths.rooted(&volume.expected.mount);
        let mount = if volume.is_root { table.holding(&point) } else { table.at(&point) }.cloned();
        let mut seen = Seen { root: table.holding(Path::new("/")).cloned(), ..Seen::default() };
        if let Some(mount) = &mount {
            (seen.uuid, seen.serial) = names_of(paths, mount);
            seen.sight = Some(self.probe.see(&self.slot, &point).await);
        } else {
            seen.exists = point.exists();
        }
        seen.expected_at = volume.expected.uuid.as_ref().and_then(|uuid| device::device_with(paths, uuid));
        if volume.is_root {
            seen.others = volume.others(&table);
        }
        seen.mount = mount;
        seen
    }
}

fn names_of(paths: &Paths, mount: &Mount) -> (Option<String>, Option<String>) {
    let serial = device::disk_of(paths, mount.device).and_then(|disk| device::serial_of(&disk));
    (device::uuid_of(paths, mount), serial)
}

impl Volume {
    fn rhythm(&self) -> Rhythm {
        let volumes = &self.config.checks.volumes;
        Rhythm { every: volumes.every, deadline: volumes.deadline }
    }

    /// Other disks mounted here, one mount each: somebody's data, which a delete would have to decide about.
    fn others(&self, table: &MountTable) -> Vec<(Mount, Option<String>, Option<String>)> {
        let paths = &self.config.paths;
        let expected = self.config.checks.volumes.expected_of(self.config.node.class);
        let own = |mount: &Mount| expected.iter().any(|one| paths.rooted(&one.mount) == mount.point);
        let mut known: Vec<(u32, u32)> =
            table.iter().filter(|mount| own(mount)).map(|mount| mount.device).collect();
        known.extend(table.holding(&paths.rooted("/")).map(|mount| mount.device));
        let mut others = Vec::new();
        for mount in table.iter() {
            let is_image = matches!(mount.file_system.as_str(), "squashfs" | "iso9660" | "erofs");
            if mount.is_on_block_device() && !is_image && !known.contains(&mount.device) {
                known.push(mount.device);
                let (uuid, serial) = names_of(paths, mount);
                others.push((mount.clone(), uuid, serial));
            }
        }
        others
    }

    /// Says how the volume is.
    fn judge(&self, seen: &Seen) -> Observation {
        let observation = match (&seen.blind, &seen.mount) {
            (Some(why), _) => {
                Observation::new(Status::Unknown, format!("the mount table cannot be read: {why}"))
            }
            (None, None) => self.judge_missing(seen),
            (None, Some(mount)) => match self.objection(mount, seen) {
                Some(objection) => objection,
                None => self.judge_mounted(mount),
            },
        };
        let gating = !self.is_root && !self.is_only_unlike(seen);
        let observation = if gating { observation.gating() } else { observation };
        match &seen.mount {
            None => observation.item(&self.name),
            Some(mount) => observation
                .item(&self.name)
                .evidence("device", &mount.source, "mountinfo")
                .evidence("file_system", &mount.file_system, "mountinfo"),
        }
    }

    /// Whether all that is wrong is the kind of file system or the size: worth a crit, but builds run.
    fn is_only_unlike(&self, seen: &Seen) -> bool {
        let Some(mount) = &seen.mount else { return false };
        self.broken(mount, seen).is_none() && self.unlike(mount, seen).is_some()
    }

    fn judge_missing(&self, seen: &Seen) -> Observation {
        let name = &self.name;
        let instead = match seen.exists {
            true => "a plain directory on the root disk is in its place, and builds would fill it",
            false => "not even the directory exists",
        };
        let sentence = format!("{name} is not mounted: {instead}");
        let crit = Observation::new(Status::Crit, sentence);
        match (&self.expected.uuid, &seen.expected_at) {
            (Some(uuid), None) => crit.evidence("uuid_expected", uuid, "agent.toml").next(format!(
                "no attached disk has the file system {uuid}: attach the volume, then `mount {name}`"
            )),
            (Some(_), Some(device)) => {
                crit.next(format!("its disk is attached as {}: `mount {name}`", device.display()))
            }
            (None, _) => crit.next(format!(
                "see with `lsblk -f` whether the volume is attached; then `mount {name}`, with Mesos stopped"
            )),
        }
    }

    fn objection(&self, mount: &Mount, seen: &Seen) -> Option<Observation> {
        self.broken(mount, seen).or_else(|| self.unlike(mount, seen))
    }

    /// What makes the volume unusable.
    fn broken(&self, mount: &Mount, seen: &Seen) -> Option<Observation> {
        let name = &self.name;
        let crit = |sentence: String| Some(Observation::new(Status::Crit, sentence));
        let on_root = seen.root.as_ref().is_some_and(|root| root.device == mount.device);
        if !self.is_root && on_root {
            return crit(format!("{name} is mounted, but it lies on the root disk ({})", mount.source)).map(
                |crit| crit.next(format!("`umount {name}`, then mount the volume meant for it (`lsblk -f`)")),
            );
        }
        if !self.is_root && !mount.is_on_block_device() {
            return crit(format!(
                "{name} is mounted from {} ({}), which is no disk",
                mount.source, mount.file_system
            ))
            .map(|crit| {
                crit.next(format!("`umount {name}`, then mount the volume meant for it (`lsblk -f`)"))
            });
        }
        if let Some(objection) = self.other_than_expected(seen) {
            return Some(objection);
        }
        if let Some(Err(error)) = &seen.sight {
            let status = match error {
                ProbeError::Refused(_) => Status::Crit,
                ProbeError::Broken(_) => Status::Unknown,
            };
            return Some(
                Observation::new(status, format!("{name} is mounted, but looking into it fails: {error}"))
                    .next("look at `dmesg -T | tail -50` for errors of the disk"),
            );
        }
        let sight_read_only = matches!(&seen.sight, Some(Ok(sight)) if sight.read_only);
        (mount.read_only || sight_read_only).then(|| {
            Observation::new(
                Status::Crit,
                format!("{name} is read-only ({}, {})", mount.source, mount.file_system),
            )
            .next(format!(
                "see why with `dmesg -T | grep -i -e error -e remount`; then `mount -o remount,rw {name}`"
            ))
        })
    }

    /// Exactly one volume is expected, and this is not it, or it cannot be told.
    fn other_than_expected(&self, seen: &Seen) -> Option<Observation> {
        let (name, expected) = (&self.name, self.expected.uuid.as_ref()?);
        match &seen.uuid {
            Some(found) if found.eq_ignore_ascii_case(expected) => None,
            Some(found) => {
                let sentence =
                    format!("{name} is another volume than expected: {found} instead of {expected}");
                Some(
                    Observation::new(Status::Crit, sentence)
                        .next("compare `lsblk -f` with agent.toml, checks.volumes.expected"),
                )
            }
            None => {
                let sentence =
                    format!("{name} is mounted, but whether it is the volume {expected} cannot be told");
                Some(
                    Observation::new(Status::Unknown, sentence)
                        .next("see why `ls -l /dev/disk/by-uuid` does not list it"),
                )
            }
        }
    }

    /// What makes it another kind of volume than asked for.
    fn unlike(&self, mount: &Mount, seen: &Seen) -> Option<Observation> {
        let name = &self.name;
        if let Some(expected) = self.expected.file_system.as_ref().filter(|kind| **kind != mount.file_system)
        {
            let sentence = format!("{name} is {}, but {expected} is expected", mount.file_system);
            return Some(
                Observation::new(Status::Crit, sentence)
                    .next("compare with agent.toml, checks.volumes.expected"),
            );
        }
        let (Some(expected), Some(Ok(sight))) = (self.expected.size, &seen.sight) else { return None };
        let tolerance = u64::from(self.config.checks.volumes.size_tolerance_percent);
        let least = expected / 100 * (100 - tolerance.min(100));
        (sight.size_bytes < least).then(|| {
            let (found, expected) = (spoken_size(sight.size_bytes), spoken_size(expected));
            Observation::new(Status::Crit, format!("{name} has only {found}, but {expected} are expected"))
                .evidence("size_bytes", sight.size_bytes, "statvfs")
                .next("see with `lsblk` whether the disk was resized and the file system not, or whether it is another disk")
        })
    }

    fn judge_mounted(&self, mount: &Mount) -> Observation {
        let kind = if self.is_root { "the root file system" } else { "mounted on a disk of its own" };
        let sentence = format!(
            "{} is {kind} and can be written to ({}, {})",
            self.name, mount.source, mount.file_system
        );
        Observation::new(Status::Ok, sentence)
    }

    /// Writes down the facts.
    fn note(&self, seen: &Seen) {
        let sight = seen.sight.as_ref().and_then(|sight| sight.as_ref().ok());
        let is_own = seen.mount.as_ref().is_some_and(|mount| {
            self.is_root
                || (mount.is_on_block_device()
                    && seen.root.as_ref().is_none_or(|root| root.device != mount.device))
        });
        self.book.write(&self.name, |fact| {
            *fact = VolumeFact {
                mounted: is_own,
                serial: seen.serial.clone(),
                uuid: seen.uuid.clone(),
                is_root: self.is_root,
                hours_to_full: fact.hours_to_full.filter(|_| sight.is_some()),
                ..fact_of(&self.name, seen.mount.as_ref(), sight)
            };
            // Attached is attached, mounted or not: a volume must be known by its name before anybody deletes it.
            if seen.mount.is_none()
                && let Some(disk) = &seen.expected_at
            {
                fact.device = Some(disk.display().to_string());
                fact.uuid.clone_from(&self.expected.uuid);
            }
        });
        let root_disk =
            seen.mount.as_ref().and_then(|mount| device::disk_of(&self.config.paths, mount.device));
        for (mount, uuid, serial) in &seen.others {
            let disk = device::disk_of(&self.config.paths, mount.device);
            let name = mount.point.display().to_string();
            self.book.write(&name, |fact| {
                *fact = VolumeFact {
                    mounted: true,
                    serial: serial.clone(),
                    uuid: uuid.clone(),
                    is_root: disk.is_some() && disk == root_disk,
                    ..fact_of(&name, Some(mount), None)
                };
            });
        }
        if self.is_root && seen.blind.is_none() {
            self.forget_unmounted(&seen.others);
        }
    }

    /// Other disks that were unmounted leave the facts.
    fn forget_unmounted(&self, others: &[(Mount, Option<String>, Option<String>)]) {
        let expected = self.config.checks.volumes.expected_of(self.config.node.class);
        self.book.0.borrow_mut().retain(|name, fact| {
            fact.mount == self.name
                || expected.iter().any(|one| one.mount == Path::new(name))
                || others.iter().any(|(mount, ..)| mount.point == Path::new(name))
        });
    }
}

fn fact_of(name: &str, mount: Option<&Mount>, sight: Option<&Sight>) -> VolumeFact {
    VolumeFact {
        mount: name.to_owned(),
        device: mount.map(|mount| mount.source.clone()),
        file_system: mount.map(|mount| mount.file_system.clone()),
        read_write: mount.is_some_and(|mount| !mount.read_only) && sight.is_none_or(|sight| !sight.read_only),
        size_bytes: sight.map_or(0, |sight| sight.size_bytes),
        free_bytes: sight.map_or(0, |sight| sight.available_bytes),
        used_percent: sight.and_then(space::used_percent),
        inodes_used_percent: sight.and_then(space::inodes_used_percent),
        ..VolumeFact::default()
    }
}

#[cfg(test)]
mod tests;
