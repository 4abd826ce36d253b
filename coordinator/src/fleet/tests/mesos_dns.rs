//! Mesos-DNS beside the masters' own word about who leads.

use crate::fleet::{
    MesosDns, Observation,
    testing::{Story, name},
};
use millwright_decision::Source;
use millwright_protocol::Status;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

fn addresses(number: u8) -> BTreeSet<IpAddr> {
    BTreeSet::from([IpAddr::from([10, 0, 0, number])])
}

fn master(number: u8) -> millwright_protocol::NodeName {
    name(&format!("alimesos0{number}"))
}

/// The server on alimesos02 gives this answer; masters have the addresses of their numbers.
fn say(story: &mut Story, said: Result<BTreeSet<IpAddr>, String>) {
    let seen = MesosDns {
        name: "leader.mesos".into(),
        servers: BTreeMap::from([(master(2), said)]),
        addresses: (1..=3).map(|number| (master(number), addresses(number))).collect(),
    };
    let now = story.now();
    story.fleet.take_observation(Source::MesosDns, Ok(Observation::MesosDns(seen)), now);
}

fn line(story: &mut Story) -> (Status, String) {
    let now = story.now();
    let detail = story.fleet.node_detail(&master(2), now).unwrap();
    let seen = detail.outside.into_iter().find(|seen| seen.source == Source::MesosDns).unwrap();
    (seen.status, seen.sentence)
}

#[test]
fn a_server_that_leads_to_another_master_than_the_one_that_leads_is_a_warning_on_its_node() {
    let mut story = Story::new(1);
    story.rounds(20);
    say(&mut story, Ok(addresses(1)));
    assert_eq!(line(&mut story), (Status::Ok, "its server: leader.mesos is alimesos01, which leads".into()));
    for (said, shown) in [
        (addresses(3), "leader.mesos is alimesos03, and alimesos01 leads"),
        (addresses(9), "leader.mesos is 10.0.0.9, which is no master we know, and alimesos01 leads"),
        (BTreeSet::new(), "leader.mesos is unknown to it, and alimesos01 leads"),
    ] {
        say(&mut story, Ok(said));
        let (status, sentence) = line(&mut story);
        assert_eq!(status, Status::Warn);
        assert!(sentence.contains(shown) && sentence.contains("or restart it"), "{sentence}");
    }
    say(&mut story, Err("http://alimesos02:8123: nobody answers".into()));
    assert_eq!(line(&mut story), (Status::Warn, "its server: http://alimesos02:8123: nobody answers".into()));
    let now = story.now();
    let view = story.fleet.fleet_view(now, Vec::new());
    let source = view.sources.iter().find(|source| source.source == Source::MesosDns).unwrap();
    assert_eq!(source.details, ["alimesos02: http://alimesos02:8123: nobody answers"]);
}

#[test]
fn right_after_an_election_it_may_still_lead_to_the_last_leader() {
    let mut story = Story::new(1);
    story.rounds(20);
    story.master.as_mut().unwrap().leader = "alimesos03".into();
    story.rounds(1);
    say(&mut story, Ok(addresses(1)));
    let (status, sentence) = line(&mut story);
    assert_eq!(status, Status::Unknown);
    assert!(sentence.contains("it catches up within two minutes"), "{sentence}");
    story.rounds(15);
    say(&mut story, Ok(addresses(1)));
    assert_eq!(line(&mut story).0, Status::Warn);
}

#[test]
fn while_nobody_knows_who_leads_no_server_is_blamed() {
    let mut story = Story::new(1);
    story.rounds(2);
    story.master = None;
    story.rounds(5);
    say(&mut story, Ok(addresses(3)));
    assert_eq!(
        line(&mut story),
        (
            Status::Unknown,
            "its server: leader.mesos is alimesos03, and which master leads is not known".into()
        )
    );
}

#[test]
fn what_was_said_before_a_minute_of_silence_is_no_more_than_that() {
    let mut story = Story::new(1);
    story.rounds(20);
    say(&mut story, Ok(addresses(1)));
    story.rounds(7);
    assert_eq!(line(&mut story).0, Status::Unknown);
}
