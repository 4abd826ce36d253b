//! Carries out what the machine decides: asks Docker for room, pulls, and looks whether the image is really there.

use super::{ImageName, Images, Next};
use crate::{
    clock::Clock,
    config::Paths,
    docker::{Engine, Image, PullStream, read_image, read_info},
};
use futures_util::StreamExt;
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// A pull that says nothing for this long is given up.
const SILENT_FOR: Duration = Duration::from_secs(600);
/// Questions to Docker beside the pull itself take no longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Pulls images for ever. Run it as a task of its own.
pub async fn drive(images: Images, engine: Engine, paths: Paths, clock: Clock) {
    images.borrow_mut().start(clock().wall, chance());
    loop {
        let next = images.borrow().next(clock().wall);
        match next {
            Next::Wait(wait) => sleep(wait.max(Duration::from_secs(1))).await,
            Next::Pull(name) => pull(&images, &engine, &paths, &clock, &name).await,
        }
    }
}

async fn pull(images: &Images, engine: &Engine, paths: &Paths, clock: &Clock, name: &ImageName) {
    let needed = images.borrow().room_needed(name);
    match room(engine, paths).await {
        Ok(free) if free < needed => {
            images.borrow_mut().no_room(name, free, clock().wall, chance());
            log::warn!(image = name.to_string().as_str(); "{name} is not pulled: too little room");
            return;
        }
        Ok(_) => {}
        Err(why) => {
            images.borrow_mut().began(name);
            fail(images, clock, name, &why);
            return;
        }
    }
    images.borrow_mut().began(name);
    let deadline = images.borrow().config().deadline;
    let result = timeout(deadline, stream(images, engine, name)).await;
    match result.unwrap_or_else(|_| Err("it took longer than `prepull.deadline`".to_owned())) {
        Ok((image, said)) => {
            log::info!(image = name.to_string().as_str(); "{name} pulled: {said}");
            images.borrow_mut().succeeded(name, image, clock().wall);
        }
        Err(why) => fail(images, clock, name, &why),
    }
}

fn fail(images: &Images, clock: &Clock, name: &ImageName, why: &str) {
    log::warn!(image = name.to_string().as_str(); "{name} could not be pulled: {why}");
    images.borrow_mut().failed(name, why, clock().wall, chance());
}

/// Pulls to the end of the stream, then looks: a stream that ends proves nothing.
async fn stream(images: &Images, engine: &Engine, name: &ImageName) -> Result<(Image, String), String> {
    let mut pieces = engine.pull(name.repository(), name.tag()).map_err(|error| error.to_string())?;
    let mut pull = PullStream::default();
    loop {
        let piece = timeout(SILENT_FOR, pieces.next()).await.map_err(|_| "Docker went silent".to_owned())?;
        let Some(piece) = piece else { break };
        pull.feed(piece.map_err(|error| error.to_string())?.as_ref())?;
        images.borrow_mut().progressed(name, pull.bytes());
        if let Some(error) = pull.error() {
            return Err(error.to_owned());
        }
    }
    pull.finish()?;
    let image = inspect(engine, name).await?.ok_or("Docker ended the pull but does not have the image")?;
    Ok((image, pull.last_status().to_owned()))
}

/// What Docker has of an image; none when it has none.
///
/// # Errors
/// Docker does not say.
pub async fn inspect(engine: &Engine, name: &ImageName) -> Result<Option<Image>, String> {
    let path = format!("/images/{name}/json");
    match timeout(ANSWER_WITHIN, engine.read(&path, read_image)).await {
        Ok(Ok(image)) => Ok(Some(image)),
        Ok(Err(error)) if error.is_not_found() => Ok(None),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("Docker does not inspect the image in time".to_owned()),
    }
}

/// Bytes free for root where Docker keeps images.
async fn room(engine: &Engine, paths: &Paths) -> Result<u64, String> {
    let info = timeout(ANSWER_WITHIN, engine.read("/info", read_info))
        .await
        .map_err(|_| "Docker does not describe itself in time".to_owned())?
        .map_err(|error| error.to_string())?;
    if let Some(data) = info.pool.and_then(|pool| pool.data) {
        return Ok(data.total.saturating_sub(data.used));
    }
    if info.root_dir.is_empty() {
        return Err("Docker does not say where it keeps images, so room cannot be checked".to_owned());
    }
    let folder = paths.rooted(&info.root_dir);
    let space = nix::sys::statvfs::statvfs(&folder)
        .map_err(|error| format!("look for room in {}: {error}", folder.display()))?;
    Ok(space.blocks_available().saturating_mul(space.fragment_size()))
}

/// A number from 0 to 1, to spread a fleet; the standard library's own seed is random enough for that.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}
