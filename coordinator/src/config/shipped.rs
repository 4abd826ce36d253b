//! The configuration file that is shipped says everything the program knows, and nothing else.

use super::Config;
use std::{collections::BTreeSet, path::Path};

const SHIPPED: &str = include_str!("../../../packaging/coordinator/etc/millwright/coordinator.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("coordinator.toml")).map_err(|error| error.to_string())
}

/// The keys of a section, as the program itself lists them when it is given one that it does not know.
fn known_keys(section: &str) -> BTreeSet<String> {
    let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    let complaint = parse(&format!("{head}no_such_key = 1\n")).unwrap_err();
    let (_, known) = complaint.split_once("; known").unwrap_or_else(|| panic!("{complaint}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys that the shipped file shows in a section: "#key =", "# key =" and "key =".
fn shown_keys(section: &str) -> BTreeSet<String> {
    let mut current = "";
    let mut keys = BTreeSet::new();
    for line in SHIPPED.lines() {
        if let Some(name) = line.strip_prefix('[') {
            current = name.trim_end_matches(']');
            // A section is a key of the one it stands in.
            let (outer, key) = current.rsplit_once('.').unwrap_or(("", current));
            if section == outer {
                keys.insert(key.to_owned());
            }
        } else if let Some((key, _)) = line.trim_start_matches(['#', ' ']).split_once(" = ")
            && current == section
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.insert(key.to_owned());
        }
    }
    keys
}

/// The shipped file with the lines that begin so taken out of their comment.
fn uncommented(mark: &str) -> String {
    let uncomment = |line: &str| match line.strip_prefix(mark) {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) && rest.contains(" = ") => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    SHIPPED.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let sections = [
        "",
        "listen",
        "tls",
        "people",
        "people.proxy",
        "people.roles",
        "mesos",
        "zookeeper",
        "jenkins",
        "marathon",
        "aurora",
        "mesos_dns",
        "foreman",
        "puppetdb",
        "roger",
        "owners",
        "probe",
        "retention",
        "backup",
        "notice",
        "notice.mattermost",
        "notice.slack",
        "notice.mail",
        "openstack",
        "openstack.delete",
        "openstack.create",
    ];
    for section in sections {
        assert_eq!(shown_keys(section), known_keys(section), "section [{section}]");
    }
}

#[test]
fn the_shipped_file_and_the_defaults_it_shows_are_the_defaults() {
    let defaults = format!("{:?}", parse("").unwrap());
    assert_eq!(format!("{:?}", parse(SHIPPED).unwrap()), defaults);
    let written_out = uncommented("#");
    assert_ne!(written_out, SHIPPED, "there are defaults to take out of their comments");
    assert_eq!(format!("{:?}", parse(&written_out).unwrap()), defaults);
}

#[test]
fn the_examples_in_the_shipped_file_are_accepted() {
    let config = parse(&uncommented("# ")).unwrap();
    assert_eq!(config.host.unwrap().as_str(), "alibuild-coordinator");
    assert!(config.jenkins.is_some());
    let notice = config.notice;
    assert!(notice.webhook.is_some() && notice.mattermost.is_some() && notice.slack.is_some());
    assert_eq!(notice.mail.unwrap().to.len(), 1);
    let dns = config.mesos_dns.unwrap().given;
    let schedulers = [config.marathon.unwrap(), config.aurora.unwrap()];
    assert!(
        schedulers.iter().all(|scheduler| !scheduler.may.anything()),
        "nothing is moved unless somebody says so"
    );
    assert!(schedulers.iter().all(|scheduler| scheduler.may.credentials.is_some()));
    let servers = schedulers.map(|scheduler| scheduler.given.servers.len());
    assert_eq!((servers, dns.servers.len()), ([3; 2], 3));
    for place in [config.foreman, config.puppetdb, config.roger] {
        assert_eq!(place.unwrap().domain, "cern.ch");
    }
}
