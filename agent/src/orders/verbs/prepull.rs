//! `prepull`: pulls now what is missing of the images that this node keeps anyway.

use super::{done, failed};
use crate::{
    clock::Clock,
    docker::Engine,
    prepull::{ImageName, Images, inspect},
};
use jiff::Timestamp;
use millwright_protocol::{Evidence, OrderState, PullState};
use std::time::Duration;
use tokio::time::sleep;

/// How often it is looked whether the images are there.
const LOOK: Duration = Duration::from_secs(2);

/// Hurries the pulls and waits for their end. The checks have seen that each image is one of the node's.
pub async fn run(images: &Images, engine: &Engine, wanted: &[String], clock: &Clock) -> OrderState {
    let mut names = Vec::new();
    for name in wanted {
        match ImageName::parse(name) {
            Ok(name) => names.push(name),
            Err(why) => return failed(format!("{name:?} is no image: {why}")),
        }
    }
    let hurried_at = clock().wall;
    images.borrow_mut().hurry(&names, hurried_at);
    // One pull after the other, each within its own deadline.
    let deadline = images.borrow().config().deadline.saturating_mul(u32::try_from(names.len()).unwrap_or(1));
    let began = clock();
    loop {
        match missing(engine, &names).await {
            Ok(missing) if missing.is_empty() => {
                return done(
                    names.iter().map(|name| Evidence::new("image_present", name, "docker")).collect(),
                );
            }
            Ok(missing) => {
                if let Some(why) = failure(images, &missing, hurried_at) {
                    return failed(why);
                }
            }
            Err(why) => return failed(format!("ask Docker for its images: {why}")),
        }
        if clock().since(began) > deadline {
            let sentence =
                "the pull goes on and is later than `prepull.deadline`; the node's report tells its end";
            return OrderState::Unknown { sentence: sentence.to_owned() };
        }
        sleep(LOOK).await;
    }
}

async fn missing(engine: &Engine, names: &[ImageName]) -> Result<Vec<ImageName>, String> {
    let mut missing = Vec::new();
    for name in names {
        if inspect(engine, name).await?.is_none() {
            missing.push(name.clone());
        }
    }
    Ok(missing)
}

/// Why one of these was tried and not pulled since it was hurried.
fn failure(images: &Images, missing: &[ImageName], hurried_at: Timestamp) -> Option<String> {
    let facts = images.borrow().facts();
    missing.iter().find_map(|name| {
        let pull = facts.iter().find(|fact| fact.name == name.to_string())?.pull.as_ref()?;
        let is_put_off = pull.next_try_at.is_some_and(|at| at > hurried_at);
        let is_failed = matches!(pull.state, PullState::Failed | PullState::NoRoom) && is_put_off;
        is_failed.then(|| format!("pull {name}: {}", pull.error.as_deref().unwrap_or("no reason was given")))
    })
}
