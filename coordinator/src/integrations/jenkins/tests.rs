//! The client beside a Jenkins that answers in recorded shapes.

use super::{
    fake::{FakeJenkins, NO_CRUMB},
    *,
};
use crate::integrations::recorded::Recorded;
use millwright_decision::operation::Outcome;
use serde_json::json;
use std::{io::Write, os::unix::fs::PermissionsExt};

const TASK: &str = "mesos-jenkins-0123456789abcdef0123456789abcdef-slc7_x86-64-larg";

async fn client(jenkins: &FakeJenkins, credentials: Option<Credentials>) -> JenkinsClient {
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = jenkins.start().await.unwrap();
    JenkinsClient::new(&address, credentials, Duration::from_secs(5), &Tallies::default()).unwrap()
}

async fn look(client: &JenkinsClient) -> Jenkins {
    match client.look().await.unwrap() {
        Observation::Jenkins(seen) => seen,
        #[allow(unreachable_patterns, reason = "other systems say other things")]
        other => panic!("{other:?}"),
    }
}

fn build() -> serde_json::Value {
    json!({ "_class": "hudson.model.FreeStyleBuild", "fullDisplayName": "daily-tags #123",
        "url": "https://jenkins/job/daily-tags/123/", "timestamp": 1_770_000_000_000_i64, "estimatedDuration": 3_600_000 })
}

fn evidence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { evidence, .. } => evidence[0].value.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_build_is_told_with_its_computer_and_when_it_usually_ends() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, Some(build()));
    jenkins.has("idle", None);
    let seen = look(&client(&jenkins, None).await).await;
    assert_eq!((seen.version.as_str(), seen.queued, seen.is_quieting), ("2.176.2", 1, false));
    let busy = seen.computers.iter().find(|computer| computer.name == TASK).unwrap();
    assert_eq!(busy.builds[0].name, "daily-tags #123");
    assert_eq!(busy.builds[0].expected_end, moment(1_770_003_600_000));
    assert!(seen.computers.iter().find(|computer| computer.name == "idle").unwrap().builds.is_empty());
}

#[test]
fn an_executor_that_names_nothing_and_works_is_at_work() {
    let read = |executor: &str| {
        let text = format!(r#"{{"computer":[{{"displayName":"a","executors":[{executor}]}}]}}"#);
        let list: ComputerList = serde_json::from_str(&text).unwrap();
        list.computer.into_iter().next().unwrap().in_our_words().builds
    };
    // A part of a pipeline, whose plugin tells nothing.
    assert_eq!(read(r#"{"idle":false,"currentExecutable":{}}"#)[0].name, "a build that it does not name");
    assert_eq!(read(r#"{"idle":false}"#).len(), 1);
    assert_eq!(read(r#"{"currentExecutable":{"url":"u"}}"#)[0].name, "u", "older versions do not say idle");
    // As versions before 2 answer of idle ones.
    assert!(read("{}").is_empty() && read(r#"{"idle":true,"currentExecutable":null}"#).is_empty());
    let never =
        read(r#"{"currentExecutable":{"fullDisplayName":"x #1","timestamp":5,"estimatedDuration":-1}}"#);
    assert_eq!(never[0].expected_end, None);
}

#[test]
fn an_answer_without_the_list_is_no_empty_jenkins() {
    assert!(serde_json::from_str::<ComputerList>("{}").is_err());
    assert!(serde_json::from_str::<ComputerList>(r#"{"computer":[]}"#).unwrap().computer.is_empty());
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_which_keys_to_set() {
    let jenkins = FakeJenkins::default();
    jenkins.wants("millwright", "11aa");
    let refusal = client(&jenkins, None).await.look().await.unwrap_err();
    assert!(refusal.contains("jenkins.user") && !refusal.contains('<'), "{refusal}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    let credentials = Credentials { user: "millwright".to_owned(), secret_file: file.path().to_owned() };
    let client = client(&jenkins, Some(credentials)).await;
    assert!(client.look().await.unwrap_err().contains("there is no secret"));
    writeln!(file, "wrong").unwrap();
    assert!(client.look().await.unwrap_err().contains("API token is still valid"));
    // A new secret is used at once.
    file.as_file().set_len(0).unwrap();
    std::fs::write(file.path(), "11aa\n").unwrap();
    assert!(client.look().await.is_ok());
}

#[tokio::test]
async fn a_computer_is_taken_out_once_and_brought_back_by_us_only() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, Some(build()));
    let client = client(&jenkins, None).await;
    for _ in 0..2 {
        let outcome = client.take_out(TASK, "op-1: reboot of alibuild10").await;
        assert_eq!(evidence(&outcome), "takes none: Millwright op-1: reboot of alibuild10");
    }
    assert_eq!(jenkins.toggles(), 1, "it is a toggle: pressed twice, it would be back");
    assert_eq!(evidence(&client.bring_back(TASK).await), "takes builds");
    assert_eq!(jenkins.why_out(TASK), None);
    jenkins.somebody_takes_out(TASK, "disk is being changed");
    let outcome = client.bring_back(TASK).await;
    assert_eq!(evidence(&outcome), "takes none, by somebody else: disk is being changed");
    assert_eq!((jenkins.toggles(), jenkins.why_out(TASK).as_deref()), (2, Some("disk is being changed")));
}

#[tokio::test]
async fn a_computer_that_mesos_has_taken_away_meanwhile_is_out_and_back() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, None);
    let client = client(&jenkins, None).await;
    jenkins.loses(TASK);
    assert_eq!(evidence(&client.take_out(TASK, "op-1").await), "is gone");
    assert_eq!(evidence(&client.bring_back(TASK).await), "is gone");
}

#[tokio::test]
async fn a_computer_that_goes_between_the_look_and_the_press_is_gone_and_no_failure() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, None);
    jenkins.is_too_late();
    let client = client(&jenkins, None).await;
    assert_eq!(evidence(&client.take_out(TASK, "op-1").await), "is gone");
    jenkins.has(TASK, None);
    jenkins.somebody_takes_out(TASK, "Millwright op-1");
    assert_eq!(evidence(&client.bring_back(TASK).await), "is gone");
    assert_eq!(jenkins.toggles(), 0);
}

#[tokio::test]
async fn a_403_for_a_missing_crumb_is_told_from_one_for_a_missing_right() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, None);
    jenkins.wants("millwright", "11aa");
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(file.path(), "11aa\n").unwrap();
    let credentials = Credentials { user: "millwright".to_owned(), secret_file: file.path().to_owned() };
    let client = client(&jenkins, Some(credentials)).await;
    for (refusal, advice) in [
        (NO_CRUMB[0], "give an API token instead of a password"),
        (NO_CRUMB[1], "give an API token instead of a password"),
        (
            "<html><title>alice is missing the Agent/Disconnect permission</title></html>",
            "its user has the right",
        ),
    ] {
        jenkins.wants_a_crumb(refusal);
        let outcome = client.take_out(TASK, "op-1").await;
        let Outcome::NotDone { why, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains(advice) && !why.contains('<'), "{refusal}: {why}");
    }
    assert_eq!(jenkins.toggles(), 0);
}

#[tokio::test]
async fn a_zookeeper_on_the_port_of_jenkins_is_no_jenkins_without_builds() {
    drop(rustls::crypto::ring::default_provider().install_default());
    // ZooKeeper's own pages answer 200 to words they do not know, and are at one place only.
    let zookeeper = Recorded::default();
    zookeeper.says("/commands/ruok", 200, r#"{"command":"ruok","error":null}"#);
    let address = zookeeper.start().await;
    let client = JenkinsClient::new(&address, None, Duration::from_secs(5), &Tallies::default()).unwrap();
    assert!(client.look().await.unwrap_err().contains("404"));
    zookeeper.says(
        "/computer/api/json",
        200,
        r#"{"command":"computer","error":"Unknown command: computer"}"#,
    );
    assert!(client.look().await.unwrap_err().contains("missing field `computer`"));
}

#[tokio::test]
async fn a_switch_that_somebody_presses_at_the_same_time_is_noticed() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, None);
    jenkins.has_a_rival();
    let outcome = client(&jenkins, None).await.take_out(TASK, "op-1").await;
    assert!(
        matches!(&outcome, Outcome::NotDone { why, .. } if why.contains("still takes builds")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_jenkins_that_is_down_changes_nothing_and_says_so() {
    let jenkins = FakeJenkins::default();
    jenkins.has(TASK, None);
    jenkins.breaks(Some(503));
    let client = client(&jenkins, None).await;
    assert!(client.look().await.unwrap_err().contains("503"));
    assert!(matches!(client.take_out(TASK, "op-1").await, Outcome::NotDone { .. }));
    assert_eq!(jenkins.toggles(), 0);
}
