//! Which wanted images are here, and how pulling the others goes. Looks only; pulling is `prepull`'s business.

use super::Context;
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{
        DockerConfig,
        units::{spoken, spoken_size},
    },
    docker::Engine,
    prepull::{Images, inspect},
};
use jiff::Timestamp;
use millwright_protocol::{ImageFact, PullProgress, PullState, Status};
use std::time::Duration;

/// Often enough to follow a pull.
const RHYTHM: Rhythm = Rhythm { every: Duration::from_secs(10), deadline: Duration::from_secs(10) };

/// The check `images`.
pub struct ImagesCheck {
    images: Images,
    engine: Engine,
}

impl ImagesCheck {
    /// The check, with the images and Docker's section.
    pub fn new(images: Images, docker: &DockerConfig) -> Self {
        Self { images, engine: Engine::new(&docker.socket) }
    }
}

fn of(fact: &ImageFact, now: Timestamp) -> Observation {
    let name = &fact.name;
    let pull = fact.pull.as_ref().map_or(String::new(), |pull| format!("; {}", in_words(pull, now)));
    let size = spoken_size(fact.size_bytes);
    let observation = match (fact.present, fact.pull.as_ref().map(|pull| pull.state)) {
        (true, Some(PullState::Failed | PullState::NoRoom)) => Observation::new(
            Status::Warn,
            format!("{name} is here ({size}) but cannot be brought up to date{pull}"),
        ),
        (true, Some(PullState::Done)) | (true, None) => {
            Observation::new(Status::Ok, format!("{name} is here ({size})"))
        }
        (true, Some(_)) => Observation::new(Status::Ok, format!("{name} is here ({size}){pull}")),
        (false, _) => Observation::new(
            Status::Warn,
            format!("{name} is not here{pull}; a first task would wait for it"),
        ),
    };
    let observation = observation.item(name).evidence("id", fact.id.as_deref().unwrap_or("none"), "docker");
    match (observation.status, &fact.pull) {
        (Status::Ok, _) => observation,
        (_, Some(_)) => observation.next("see the reason; pulling is tried again by itself"),
        (_, None) => {
            observation.next(format!("pull it: `docker pull {name}`, or set `enabled = true` in [prepull]"))
        }
    }
}

fn in_words(pull: &PullProgress, now: Timestamp) -> String {
    let again = pull.next_try_at.map_or(String::new(), |at| {
        let seconds = u64::try_from(at.as_second() - now.as_second()).unwrap_or_default();
        match seconds {
            0 => ", next try due".to_owned(),
            seconds => format!(", next try in {}", spoken(Duration::from_secs(seconds))),
        }
    });
    let why = pull.error.as_deref().unwrap_or("no reason given");
    match pull.state {
        PullState::Waiting => format!("waiting for its turn{again}"),
        PullState::Pulling if pull.total_bytes > 0 => {
            let percent = u128::from(pull.done_bytes) * 100 / u128::from(pull.total_bytes);
            format!("being pulled, {percent} % of {} so far", spoken_size(pull.total_bytes))
        }
        PullState::Pulling => "being pulled".to_owned(),
        PullState::Failed => format!("try {} failed: {why}{again}", pull.attempts),
        PullState::NoRoom => format!("too little room: {why}{again}"),
        PullState::Done => "pulled".to_owned(),
        PullState::Unknown => "in a state this version does not know".to_owned(),
    }
}

/// The check of the wanted images.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    vec![Box::new(ImagesCheck::new(context.images.clone(), &context.config.checks.docker))]
}

impl Check for ImagesCheck {
    fn name(&self) -> &'static str {
        "images"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn when_silent(&self) -> Option<&str> {
        Some("see the finding `docker`")
    }

    fn rhythm(&self) -> Rhythm {
        RHYTHM
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let mut unknown = Vec::new();
            let names = self.images.borrow().names();
            for name in names {
                match inspect(&self.engine, &name).await {
                    Ok(image) => self.images.borrow_mut().saw(&name, image),
                    Err(why) => unknown.push((name.to_string(), why)),
                }
            }
            let facts = self.images.borrow().facts();
            let observations = facts
                .iter()
                .map(|fact| match unknown.iter().find(|(name, _)| *name == fact.name) {
                    None => of(fact, now),
                    Some((name, why)) => Observation::new(
                        Status::Unknown,
                        format!("whether {name} is here is not known: {why}"),
                    )
                    .item(name)
                    .next("see the finding `docker`"),
                })
                .collect();
            Look { observations, facts: vec![FactPart::Images(facts)] }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(present: bool, state: Option<PullState>) -> ImageFact {
        let pull = state.map(|state| PullProgress {
            state,
            done_bytes: 40,
            total_bytes: 100,
            attempts: 2,
            error: Some("toomanyrequests".into()),
            next_try_at: Some(Timestamp::from_second(90).unwrap()),
        });
        ImageFact { name: "a/b:latest".into(), present, pull, ..ImageFact::default() }
    }

    #[test]
    fn a_missing_image_is_told_with_how_its_pull_goes() {
        for (fact, status, words) in [
            (fact(true, Some(PullState::Done)), Status::Ok, "is here"),
            (fact(true, None), Status::Ok, "is here"),
            (
                fact(true, Some(PullState::Failed)),
                Status::Warn,
                "try 2 failed: toomanyrequests, next try in 30 s",
            ),
            (fact(false, Some(PullState::Pulling)), Status::Warn, "being pulled, 40 % of 100"),
            (fact(false, Some(PullState::NoRoom)), Status::Warn, "too little room"),
            (fact(false, None), Status::Warn, "is not here"),
        ] {
            let seen = of(&fact, Timestamp::from_second(60).unwrap());
            assert_eq!(seen.status, status, "{seen:?}");
            assert!(seen.sentence.contains(words), "{}", seen.sentence);
            assert!(!seen.gating);
        }
    }
}
