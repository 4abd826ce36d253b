//! Owners of tasks: who is asked, when, and what their word is good for.

use crate::fleet::testing::{Story, begins, name, owned};
use jiff::SignedDuration;
use millwright_decision::{
    Action,
    fleet::{OwnerSaid, OwnerWord},
};

/// Owner and task of each question.
fn asked(story: &mut Story) -> Vec<(String, String)> {
    let now = story.now();
    let questions = story.fleet.owner_questions(now);
    questions.into_iter().map(|question| (question.owner, question.task)).collect()
}

fn word(story: &mut Story, task: &str, owner: &str, said: OwnerSaid) {
    let word = OwnerWord { owner: owner.into(), at: story.now(), said };
    story.fleet.take_owner_word(task, word);
}

#[test]
fn owners_are_asked_about_what_an_operation_would_end_or_move_and_about_nothing_else() {
    let mut story = owned();
    assert_eq!(asked(&mut story), [], "nobody wants anything");
    // The build has to end by itself, so its owner has nothing to give away.
    let wanted = [("web", "service-1"), ("tests", "spare-1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    for action in [Action::Reboot, Action::Drain, Action::Delete] {
        begins(&mut story, action, "alibuild01");
        let mut found = asked(&mut story);
        found.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(found, wanted, "{action}");
    }
    for action in [Action::Return, Action::Prepull] {
        begins(&mut story, action, "alibuild01");
        assert_eq!(asked(&mut story), [], "{action}");
    }
    begins(&mut story, Action::Reboot, "alibuild03");
    assert_eq!(asked(&mut story), []);
}

#[test]
fn they_are_asked_again_whatever_they_said_and_words_that_nobody_needs_are_forgotten() {
    let mut story = owned();
    begins(&mut story, Action::Reboot, "alibuild01");
    for said in [OwnerSaid::Yes, OwnerSaid::No("busy".into()), OwnerSaid::Nothing("no route".into())] {
        word(&mut story, "spare-1", "tests", said.clone());
        assert_eq!(asked(&mut story).len(), 2);
        assert_eq!(story.fleet.snapshot().owners["spare-1"].said, said, "asking keeps the word");
    }
    story.rounds(61);
    asked(&mut story);
    assert!(story.fleet.snapshot().owners.is_empty());
}

#[test]
fn a_service_is_moved_only_under_a_yes_that_still_holds() {
    let mut story = owned();
    story.master.as_mut().unwrap().agents.iter_mut().for_each(|agent| agent.deactivated = true);
    story.rounds(2);
    let says = |story: &Story, later: i64| {
        let now = story.now() + SignedDuration::from_secs(later);
        story.fleet.may_move(&name("alibuild01"), "service-1", now).map(drop)
    };
    let refused = Err("its owner, web, has not just said yes".to_owned());
    assert_eq!(says(&story, 0), refused);
    word(&mut story, "service-1", "tests", OwnerSaid::Yes);
    assert_eq!(says(&story, 0), refused, "somebody else's yes");
    word(&mut story, "service-1", "web", OwnerSaid::No("busy".into()));
    assert_eq!(says(&story, 0), refused);
    word(&mut story, "service-1", "web", OwnerSaid::Yes);
    assert_eq!(says(&story, 0), Ok(()));
    for _ in 0..12 {
        story.rounds(1);
    }
    assert_eq!(says(&story, 0), refused, "two minutes are over");
}
