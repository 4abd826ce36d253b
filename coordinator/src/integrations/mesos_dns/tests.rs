//! The client beside servers that answer in recorded shapes.

use super::*;
use crate::integrations::recorded::Recorded;

const LEADER: &str = r#"[{"host":"leader.mesos.","ip":"127.0.0.1"}]"#;
const PATH: &str = "/v1/hosts/leader.mesos";

/// Servers on alimesos01, alimesos02 and so on; all of them are this machine.
async fn client(servers: &[&Recorded]) -> MesosDnsClient {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut addresses = BTreeMap::new();
    for (number, server) in servers.iter().enumerate() {
        addresses.insert(node(number + 1), server.start().await);
    }
    let given = OutsideServers {
        servers: addresses,
        credentials: None,
        every: Duration::from_secs(20),
        timeout: Duration::from_secs(5),
    };
    let masters = ["http://127.0.0.1:5050".to_owned()];
    MesosDnsClient::new(&given, "mesos", &masters, &Tallies::default()).unwrap()
}

fn node(number: usize) -> NodeName {
    format!("alimesos0{number}").parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn each_server_is_told_by_itself_with_every_address_it_gives() {
    let (one, two, broken) = (Recorded::default(), Recorded::default(), Recorded::default());
    one.says(PATH, 200, LEADER);
    two.says(
        PATH,
        200,
        r#"[{"host":"leader.mesos.","ip":"10.0.0.2"},{"host":"leader.mesos.","ip":"2001:db8::2"}]"#,
    );
    broken.says(PATH, 500, "no");
    let seen = client(&[&one, &two, &broken]).await.look_once().await.unwrap();
    assert_eq!(seen.name, "leader.mesos");
    assert_eq!(seen.servers[&node(1)], Ok(BTreeSet::from([ip("127.0.0.1")])));
    assert_eq!(seen.servers[&node(2)], Ok(BTreeSet::from([ip("10.0.0.2"), ip("2001:db8::2")])));
    assert!(seen.servers[&node(3)].as_ref().unwrap_err().contains("500"));
    assert_eq!(seen.addresses[&node(1)], BTreeSet::from([ip("127.0.0.1")]));
}

#[tokio::test]
async fn nothing_found_is_an_answer_of_empty_words() {
    let server = Recorded::default();
    server.says(PATH, 200, r#"[{"host":"","ip":""}]"#);
    let seen = client(&[&server]).await.look_once().await.unwrap();
    assert_eq!(seen.servers[&node(1)], Ok(BTreeSet::new()));
}

#[tokio::test]
async fn the_one_that_stories_start_answers_as_the_recorded_ones() {
    let dns = fake::FakeMesosDns::default();
    let servers = BTreeMap::from([(node(1), dns.start().await.unwrap())]);
    let given = OutsideServers { servers, timeout: Duration::from_secs(5), ..OutsideServers::default() };
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = MesosDnsClient::new(&given, "mesos", &[], &Tallies::default()).unwrap();
    assert_eq!(client.look_once().await.unwrap().servers[&node(1)], Ok(BTreeSet::new()));
    dns.leads("leader.mesos", &["10.0.0.1"]);
    let seen = client.look_once().await.unwrap();
    assert_eq!(seen.servers[&node(1)], Ok(BTreeSet::from([ip("10.0.0.1")])));
}

#[tokio::test]
async fn what_is_no_answer_of_mesos_dns_says_what_to_look_at() {
    for (status, body, says) in [
        (200, r#"[{"host":"leader.mesos.","ip":"leader"}]"#, r#"it gives "leader" as an address"#),
        (200, r#"{"error":"no"}"#, "see that mesos_dns.servers names Mesos-DNS itself"),
        (200, "<html></html>", "see that mesos_dns.servers names Mesos-DNS itself"),
        (200, r#"[{"host":"x"}]"#, "missing field `ip`"),
        (404, "", "of a version that has this"),
    ] {
        let server = Recorded::default();
        server.says(PATH, status, body);
        let why = client(&[&server]).await.look_once().await.unwrap_err();
        assert!(why.contains(says) && why.contains("no server answers"), "{body}: {why}");
    }
    let server = Recorded::default();
    server.says_with(PATH, 302, ("location", "http://elsewhere.example.org/"), "");
    let why = client(&[&server]).await.look_once().await.unwrap_err();
    assert!(why.contains("it points at http://elsewhere.example.org/"), "{why}");
}

#[test]
fn the_host_of_an_address_is_found_however_it_is_written() {
    for (address, found) in [
        ("http://alimesos01.cern.ch:8123", "alimesos01.cern.ch"),
        ("https://alimesos01/dns", "alimesos01"),
        ("http://[2001:db8::2]:8123", "2001:db8::2"),
    ] {
        assert_eq!(host(address), found);
    }
}
