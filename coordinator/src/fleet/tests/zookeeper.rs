//! Ensembles: who takes part, since when.

use crate::fleet::{
    EnsembleSeen, MemberSaid, Observation,
    testing::{Story, name},
};
use millwright_decision::{Action, Code, Source, fleet::Ensemble};
use std::sync::Arc;

/// Three masters, whose members policy asks for.
fn story() -> Story {
    let mut story = Story::new(1);
    let mut policy = (**story.fleet.policy()).clone();
    for class in policy.classes.values_mut() {
        class.required.insert(Source::ZooKeeper);
    }
    let now = story.now();
    story.fleet.set_policy(Arc::new(policy), now);
    story
}

/// What the three say: a mode with an epoch, or nothing.
fn say(story: &mut Story, members: [Option<(&str, u64)>; 3]) {
    let same = |(mode, of): &(&str, u64), epoch| *mode == "follower" && *of == epoch;
    let synced = |epoch| members.iter().flatten().filter(|said| same(said, epoch)).count() as u64;
    say_of(story, members, synced);
}

/// The same, and the leader of an epoch says how many are in sync.
fn say_of(story: &mut Story, members: [Option<(&str, u64)>; 3], synced: impl Fn(u64) -> u64) {
    let member = |(number, said): (usize, Option<(&str, u64)>)| {
        let said = said.ok_or_else(|| "it does not answer".to_owned()).map(|(mode, epoch)| MemberSaid {
            mode: mode.to_owned(),
            epoch: Some(epoch),
            synced_followers: (mode == "leader").then(|| synced(epoch)),
            data_bytes: Some(5000),
            ..MemberSaid::default()
        });
        (name(&format!("alimesos0{}", number + 1)), said)
    };
    let seen =
        EnsembleSeen { name: "mesos".into(), members: members.into_iter().enumerate().map(member).collect() };
    let now = story.now();
    story.fleet.take_observation(Source::ZooKeeper, Ok(Observation::ZooKeeper(vec![seen])), now);
}

const WELL: [Option<(&str, u64)>; 3] = [Some(("leader", 2)), Some(("follower", 2)), Some(("follower", 2))];

fn ensemble(story: &Story) -> &Ensemble {
    &story.fleet.snapshot().ensembles[0]
}

fn seconds(story: &Story) -> [Option<i64>; 3] {
    let mut members = ensemble(story).members.iter();
    let now = story.now();
    [(); 3].map(|()| members.next()?.in_quorum_since.map(|since| now.duration_since(since).as_secs()))
}

#[test]
fn who_takes_part_has_done_so_since_it_was_first_seen_to_through_an_election_too() {
    let mut story = story();
    story.rounds(2);
    say(&mut story, WELL);
    story.rounds(3);
    // Another one leads: each has been seen in the quorum both times.
    say(&mut story, [Some(("follower", 3)), Some(("leader", 3)), Some(("follower", 3))]);
    assert_eq!(seconds(&story), [Some(30); 3]);
    story.rounds(1);
    say(&mut story, [Some(("follower", 3)), Some(("leader", 3)), None]);
    assert_eq!(seconds(&story), [Some(40), Some(40), None]);
    say(&mut story, [Some(("follower", 3)), Some(("leader", 3)), Some(("follower", 3))]);
    assert_eq!(seconds(&story), [Some(40), Some(40), Some(0)]);
}

#[test]
fn right_after_an_election_the_leaders_word_counts_that_all_follow_it() {
    let mut story = story();
    story.rounds(2);
    say_of(&mut story, [Some(("leader", 1)), Some(("follower", 0)), Some(("follower", 0))], |_| 2);
    assert_eq!(seconds(&story), [Some(0); 3]);
    say_of(&mut story, [Some(("leader", 1)), Some(("follower", 0)), Some(("follower", 1))], |_| 1);
    assert_eq!(seconds(&story), [Some(0), None, Some(0)]);
}

#[test]
fn what_is_no_quorum_is_none_whatever_each_member_says() {
    for (said, story_of_first) in [
        // Alone, it cannot lead.
        ([Some(("leader", 2)), None, None], "it says leader, without a majority"),
        // A follower that has not noticed the election.
        ([Some(("follower", 1)), Some(("leader", 2)), Some(("follower", 2))], "not of the leader that"),
        // Who has seen a later leader than this one does not follow it.
        ([Some(("follower", 3)), Some(("leader", 2)), Some(("follower", 2))], "not of the leader that"),
        // Two ensembles under one name, or an election that is not over.
        ([Some(("leader", 2)), Some(("leader", 3)), Some(("follower", 3))], "2 members say that they lead"),
        ([Some(("follower", 2)), Some(("follower", 2)), Some(("follower", 2))], "and nobody leads"),
        (
            [Some(("standalone", 2)), Some(("leader", 2)), Some(("follower", 2))],
            "alone, outside the ensemble",
        ),
    ] {
        let mut story = story();
        story.rounds(2);
        say(&mut story, said);
        let member = &ensemble(&story).members[0];
        assert_eq!(member.in_quorum_since, None, "{said:?}");
        assert!(member.story.contains(story_of_first), "{}", member.story);
    }
}

#[test]
fn after_a_minute_in_which_nobody_could_be_asked_the_ten_minutes_begin_anew() {
    let mut story = story();
    story.rounds(2);
    say(&mut story, WELL);
    story.rounds(5);
    say(&mut story, WELL);
    assert_eq!(seconds(&story), [Some(50); 3]);
    story.rounds(7);
    say(&mut story, WELL);
    assert_eq!(seconds(&story), [Some(0); 3]);
}

#[test]
fn a_master_goes_once_the_other_members_have_taken_part_for_ten_minutes_and_the_page_tells() {
    let mut story = story();
    for _ in 0..12 {
        story.rounds(5);
        say(&mut story, WELL);
    }
    let codes = |story: &mut Story| -> Vec<Code> {
        let now = story.now();
        let request = millwright_decision::Request::one(Action::Reboot, name("alimesos01"));
        story.fleet.judge(&request, now).unwrap().reasons.iter().map(|reason| reason.code).collect()
    };
    assert!(codes(&mut story).contains(&Code::EnsembleQuorum), "they were first seen 9 min ago");
    story.rounds(5);
    say(&mut story, WELL);
    assert!(!codes(&mut story).contains(&Code::EnsembleQuorum));
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alimesos02"), now).unwrap();
    assert_eq!(detail.outside[0].sentence, "its member of mesos: it follows, for 10 min, 4.8 KiB");
    let view = story.fleet.fleet_view(now, Vec::new());
    let source = view.sources.iter().find(|source| source.source == Source::ZooKeeper).unwrap();
    assert_eq!(source.sentence, "ensemble mesos: 3 of 3 take part, alimesos01 leads");
    assert_eq!(source.details[0], "mesos, alimesos01: it leads, for 10 min, 2 followers in sync, 4.8 KiB");
}
