//! Which field of a fact is packed how: one line a field, `word` for texts that many nodes share.

use super::{Pack, Packer, Unpacker, Word};
use millwright_protocol::{
    Container, ContainerFacts, ContainerRole, Evidence, Facts, ImageFact, MesosAgentFacts, MesosMasterFacts,
    PullProgress, PullState, PuppetFacts, Resources, Status, SystemFacts, Task, TaskState, VolumeFact,
    ZooKeeperFacts,
};
use std::collections::BTreeMap;

macro_rules! pack_field {
    (word, $value:expr, $out:expr) => {
        Word::pack_word($value, $out)
    };
    (plain, $value:expr, $out:expr) => {
        Pack::pack($value, $out)
    };
}

macro_rules! unpack_field {
    (word, $from:expr) => {
        Word::unpack_word($from)?
    };
    (plain, $from:expr) => {
        Pack::unpack($from)?
    };
}

/// Every field must be named, so that a new one cannot be forgotten.
macro_rules! packed {
    ($($name:ident { $($field:ident: $how:ident),+ $(,)? })+) => {$(
        impl Pack for $name {
            fn pack(&self, out: &mut Packer<'_>) {
                let Self { $($field),+ } = self;
                $(pack_field!($how, $field, out);)+
            }

            fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
                Some(Self { $($field: unpack_field!($how, from)),+ })
            }
        }
    )+};
}

/// Words of a closed list, by their place in it.
macro_rules! packed_words {
    ($($name:ident { $($variant:ident),+ })+) => {$(
        impl Pack for $name {
            fn pack(&self, out: &mut Packer<'_>) {
                out.bytes.push(*self as u8);
            }

            fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
                let place = from.byte()?;
                [$(Self::$variant),+].into_iter().find(|variant| *variant as u8 == place)
            }
        }
    )+};
}

packed_words! {
    Status { Ok, Warn, Unknown, Crit }
    ContainerRole { Infrastructure, Task, Orphan, Other }
    PullState { Waiting, Pulling, Failed, NoRoom, Done, Unknown }
    TaskState { Staging, Starting, Running, Killing, Unreachable, Ended, Unknown }
}

packed! {
    Facts {
        mesos_agent: plain, mesos_master: plain, containers: plain, volumes: plain, images: plain,
        zookeeper: plain, puppet: plain, system: plain,
    }
    MesosAgentFacts {
        url: word, agent_id: plain, version: word, hostname: plain, registered: plain, attributes: plain,
        tasks: plain, age_seconds: plain,
    }
    MesosMasterFacts {
        elected: plain, leader: word, registrar_recovered: plain, agents_active: plain, uptime_seconds: plain,
        age_seconds: plain,
    }
    ContainerFacts { containers: plain, version: word, storage_driver: word, age_seconds: plain }
    Container { name: plain, image: word, state: word, role: plain, started_at: plain, restarts: plain }
    VolumeFact {
        mount: word, mounted: plain, device: word, file_system: word, uuid: plain, serial: plain,
        read_write: plain, size_bytes: plain, free_bytes: plain, used_percent: plain, inodes_used_percent: plain,
        hours_to_full: plain, is_root: plain,
    }
    ImageFact { name: word, present: plain, id: word, size_bytes: plain, verified_at: plain, pull: plain }
    PullProgress {
        state: plain, done_bytes: plain, total_bytes: plain, attempts: plain, error: plain, next_try_at: plain,
    }
    ZooKeeperFacts { mode: word, synced_followers: plain, epoch: plain, version: word, age_seconds: plain }
    PuppetFacts {
        last_run_at: plain, clean: plain, clean_streak: plain, failed_streak: plain, disabled: plain,
        environment: word, version: word,
    }
    SystemFacts {
        cpus: plain, memory_bytes: plain, memory_available_bytes: plain, load: plain, kernel: word, os: word,
        reboot_required: plain,
    }
    Task {
        id: plain, name: plain, framework: word, framework_id: word, role: word, state: plain,
        resources: plain, labels: plain, started_at_secs: plain,
    }
    Resources { cpus: plain, mem_mib: plain, disk_mib: plain }
    Evidence { fact: word, value: plain, source: word, age_seconds: plain }
}

impl Pack for bool {
    fn pack(&self, out: &mut Packer<'_>) {
        out.bytes.push(u8::from(*self));
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        Some(from.byte()? != 0)
    }
}

impl Pack for u8 {
    fn pack(&self, out: &mut Packer<'_>) {
        out.bytes.push(*self);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        from.byte()
    }
}

impl Pack for u32 {
    fn pack(&self, out: &mut Packer<'_>) {
        out.number(u64::from(*self));
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        from.number()?.try_into().ok()
    }
}

impl Pack for u64 {
    fn pack(&self, out: &mut Packer<'_>) {
        out.number(*self);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        from.number()
    }
}

impl Pack for i64 {
    /// Small numbers stay short on both sides of zero: 0, -1, 1, -2, … become 0, 1, 2, 3, ….
    fn pack(&self, out: &mut Packer<'_>) {
        out.number(((self << 1) ^ (self >> 63)) as u64);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        let folded = from.number()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }
}

impl Pack for f64 {
    fn pack(&self, out: &mut Packer<'_>) {
        out.bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        Some(Self::from_le_bytes(from.take(8)?.try_into().ok()?))
    }
}

impl Pack for [f64; 3] {
    fn pack(&self, out: &mut Packer<'_>) {
        for value in self {
            value.pack(out);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        Some([f64::unpack(from)?, f64::unpack(from)?, f64::unpack(from)?])
    }
}

impl Pack for String {
    fn pack(&self, out: &mut Packer<'_>) {
        out.text(self);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        from.text()
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, out: &mut Packer<'_>) {
        out.bytes.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.pack(out);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        Some(if from.byte()? == 0 { None } else { Some(T::unpack(from)?) })
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, out: &mut Packer<'_>) {
        self.as_slice().pack_all(out);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        let length = from.number()?;
        (0..length).map(|_| T::unpack(from)).collect()
    }
}

/// Slices are written like the lists they are read back as.
pub(super) trait PackAll {
    fn pack_all(&self, out: &mut Packer<'_>);
}

impl<T: Pack> PackAll for [T] {
    fn pack_all(&self, out: &mut Packer<'_>) {
        out.number(self.len() as u64);
        for value in self {
            value.pack(out);
        }
    }
}

impl Pack for BTreeMap<String, String> {
    fn pack(&self, out: &mut Packer<'_>) {
        out.number(self.len() as u64);
        for (name, value) in self {
            name.pack_word(out);
            value.pack_word(out);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        let length = from.number()?;
        (0..length).map(|_| Some((from.word()?, from.word()?))).collect()
    }
}
