//! Volumes on loop devices: real file systems that can be full, read-only or gone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine::{needs_program, needs_root};
use super::process::run;
use super::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// The file systems a volume can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// As small as a few MiB.
    Ext4,
    /// At least 300 MiB, which mkfs insists on; the file behind it is sparse.
    Xfs,
}

/// A file system in a sparse file, mounted.
#[derive(Debug)]
pub struct LoopVolume {
    image: PathBuf,
    mount_point: PathBuf,
    // Unmounts, then removes.
    scratch: Scratch,
}

impl LoopVolume {
    /// Makes and mounts a volume of `mebibytes`.
    pub fn create(file_system: FileSystem, mebibytes: u64) -> Result<Self> {
        needs_root("mount volumes")?;
        let (make, arguments) = match file_system {
            FileSystem::Ext4 => (needs_program("mkfs.ext4", "e2fsprogs")?, ["-q", "-F"].as_slice()),
            FileSystem::Xfs => (needs_program("mkfs.xfs", "xfsprogs")?, ["-q"].as_slice()),
        };
        let scratch = Scratch::new("volume")?;
        let image = scratch.join("image");
        let file = File::create(&image).context("create the volume's file")?;
        file.set_len(mebibytes * 1024 * 1024).context("size the volume's file")?;
        run(Command::new(make).args(arguments).arg(&image), LIMIT)?;
        let volume = Self { mount_point: scratch.make("build")?, image, scratch };
        volume.mount()?;
        Ok(volume)
    }

    /// Where it is, or would be, mounted. The folder exists even when the volume is missing.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// The loop device it is mounted from.
    pub fn device(&self) -> Result<String> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
        let point = self.mount_point.display().to_string();
        // The last one wins where there are several.
        let device = mounts.lines().rev().find_map(|line| {
            let mut fields = line.split(' ');
            fields.next().filter(|_| fields.next() == Some(&point))
        });
        Ok(device.with_context(|| format!("{point} is not mounted"))?.to_owned())
    }

    /// UUID of the file system.
    pub fn uuid(&self) -> Result<String> {
        run(
            Command::new(needs_program("blkid", "util-linux")?)
                .args(["-s", "UUID", "-o", "value"])
                .arg(&self.image),
            LIMIT,
        )
    }

    /// A folder with `disk/by-uuid` as udev keeps it in `/dev`; machines of tests often run no udev.
    pub fn dev_folder(&self) -> Result<PathBuf> {
        let folder = self.scratch.make("dev/disk/by-uuid")?;
        let link = folder.join(self.uuid()?);
        // Mounted again it may be another loop device.
        let _ = fs::remove_file(&link);
        symlink(self.device()?, &link).context("link the device's UUID")?;
        Ok(self.scratch.join("dev"))
    }

    /// Writes until nothing more fits.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.mount_point.join("filler")).context("create the filler")?;
        // Smaller and smaller, so that the last block is taken as well.
        for size in [1 << 20, 1 << 12, 1 << 10] {
            let zeros = vec![0; size];
            loop {
                match file.write_all(&zeros).and_then(|()| file.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("fill the volume"),
                }
            }
        }
        Ok(())
    }

    /// Makes room again after `fill`.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(self.mount_point.join("filler")).context("remove the filler")
    }

    /// Mounts it again so that nothing can be written.
    pub fn make_read_only(&self) -> Result<()> {
        self.remount("ro")
    }

    /// Takes `make_read_only` back.
    pub fn make_writable(&self) -> Result<()> {
        self.remount("rw")
    }

    /// Unmounts it: the volume is missing, its folder is there.
    pub fn unmount(&self) -> Result<()> {
        run(Command::new(needs_program("umount", "mount")?).arg(&self.mount_point), LIMIT).map(drop)
    }

    /// Mounts it after `unmount`.
    pub fn mount(&self) -> Result<()> {
        let mount = needs_program("mount", "mount")?;
        let mounted =
            run(Command::new(mount).args(["-o", "loop"]).arg(&self.image).arg(&self.mount_point), LIMIT);
        match mounted {
            Ok(_) => Ok(()),
            Err(error) if error.to_string().contains("loop device") => bail!("needs loop devices: {error:#}"),
            Err(error) => Err(error),
        }
    }

    fn remount(&self, mode: &str) -> Result<()> {
        let mount = needs_program("mount", "mount")?;
        run(Command::new(mount).args(["-o", &format!("remount,{mode}")]).arg(&self.mount_point), LIMIT)
            .map(drop)
    }
}
