//! Looking, acting and deleting beside a cloud in memory, with the traps of the real one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::{
    fake::{Fake, PROJECT, server},
    *,
};
use crate::{
    config::openstack::{Credential, NewServers, OpenStack, Who},
    fleet::outside::openstack::{OpenStackSeen, Server},
    integrations::peer::Tallies,
};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::time::Instant;

/// A cloud, and everything that can be done to it.
struct Lab {
    fake: Fake,
    folder: TempDir,
    looks: OpenStackObserver,
    acts: OpenStackOperator,
    deletes: OpenStackRemover,
}

fn write_secret(path: &Path, secret: &str) {
    fs::write(path, format!("{secret}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl Lab {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut OpenStack)) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let fake = Fake::start().await;
        let folder = TempDir::new().unwrap();
        let secret_file = folder.path().join("secret");
        write_secret(&secret_file, "geheim");
        let credential = Credential { who: Who::Application("abc".into()), secret_file };
        let mut config = OpenStack {
            auth_url: format!("{}/identity/v3", fake.cloud().address),
            region: "cern".into(),
            projects: vec![PROJECT.into()],
            credential: credential.clone(),
            delete: Some(credential.clone()),
            create: None,
            timeout: Duration::from_secs(10),
            every: Duration::from_secs(60),
        };
        change(&mut config);
        let sessions =
            || Arc::new(Sessions::new(&config, &config.credential, &Arc::new(Tallies::default())).unwrap());
        let (looks, acts, deletes) = (
            OpenStackObserver::new(sessions()),
            OpenStackOperator::new(sessions()),
            OpenStackRemover::new(sessions()),
        );
        Self { fake, folder, looks, acts, deletes }
    }

    async fn named(&self, name: &str) -> Vec<Server> {
        self.looks.servers_named(name).await.unwrap()
    }
}

fn target(id: &str) -> Target {
    let id = (!id.is_empty()).then(|| id.to_owned());
    Target { project: PROJECT.into(), id, name: "alibuild10".into() }
}

fn intent() -> Intent {
    Intent {
        operation: "op-17".into(),
        // As the fake's log has it.
        at: "2026-01-31T10:00:00Z".parse::<Timestamp>().unwrap(),
        send_before: Some(Instant::now() + Duration::from_secs(300)),
        patience: Duration::from_secs(30),
        lost_after: Duration::from_millis(1),
    }
}

fn look_only() -> Intent {
    Intent { send_before: None, ..intent() }
}

#[track_caller]
fn assert_refused(outcome: &Outcome, wanted: Refusal, sentence: &str) {
    match outcome {
        Outcome::NotDone { why, refusal: Some(refusal) } if *refusal == wanted => {
            assert!(why.contains(sentence), "{sentence:?} is missing in {why:?}");
        }
        other => panic!("not refused as {wanted}: {other:?}"),
    }
}

#[track_caller]
fn evidence(outcome: Outcome) -> String {
    match outcome {
        Outcome::Done(evidence) => {
            evidence.iter().map(|fact| format!("{}={} ", fact.fact, fact.value)).collect()
        }
        other => panic!("not done: {other:?}"),
    }
}

#[track_caller]
fn question(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unknown(question) => question,
        other => panic!("known: {other:?}"),
    }
}

#[tokio::test]
async fn servers_volumes_and_images_are_seen_in_our_words() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.add_volume("v1", "alibuild10_vol_001", Some("s1"));
    lab.fake.set("s1", "locked", json!(true));
    lab.fake.set("s1", "locked_reason", json!("kept for a debug"));
    // A server that boots from a volume has an empty text for an image; one in a part that is down has next to nothing.
    lab.fake.add("s2", "alibuild11");
    lab.fake.set("s2", "image", json!(""));
    lab.fake.cloud().servers.push(json!({ "id": "s3", "status": "UNKNOWN", "tenant_id": "p1", "links": [] }));
    let OpenStackSeen { servers, volumes, unseen } = lab.looks.look().await;
    assert_eq!((servers.len(), volumes.len(), unseen.len()), (3, 1, 0));
    let first = &servers[0];
    assert_eq!((first.id.as_str(), first.name.as_deref()), ("s1", Some("alibuild10")));
    assert_eq!(first.flavor.as_deref(), Some("m2.2xlarge"));
    assert_eq!((first.locked, first.locked_reason.as_deref()), (true, Some("kept for a debug")));
    assert_eq!((first.volumes[0].volume.as_str(), first.volumes[0].goes_with_server), ("v1", false));
    assert_eq!(first.image.as_deref(), Some("i-old"));
    assert_eq!(servers[1].image, None);
    assert_eq!((servers[2].name.as_deref(), servers[2].status.as_str()), (None, "UNKNOWN"));
    assert_eq!((volumes[0].size_gib, volumes[0].attached_to.as_slice()), (500, &["s1".to_owned()][..]));
    let image = lab.looks.newest_image(PROJECT, "ALMA9").await.unwrap().unwrap();
    assert_eq!(image.id, "i-new", "one that is withdrawn is newer");
    assert!(lab.looks.newest_image(PROJECT, "SLC5").await.unwrap().is_none());
}

#[tokio::test]
async fn a_name_is_compared_whole_though_nova_takes_it_for_a_pattern() {
    let lab = Lab::start().await;
    for (id, name) in [("s1", "alibuild10"), ("s2", "alibuild100"), ("s3", "old-alibuild10")] {
        lab.fake.add(id, name);
    }
    let found = lab.named("alibuild10").await;
    assert_eq!(found.iter().map(|server| server.id.as_str()).collect::<Vec<_>>(), ["s1"]);
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page_and_no_address_in_it_is_followed() {
    let lab = Lab::start().await;
    lab.fake.cloud().page = 2;
    for number in 0..7 {
        lab.fake.add(&format!("s{number}"), &format!("alibuild{number}"));
        lab.fake.add_volume(&format!("v{number}"), "", None);
    }
    let seen = lab.looks.look().await;
    assert_eq!((seen.servers.len(), seen.volumes.len()), (7, 7), "{:?}", seen.unseen);
}

#[tokio::test]
async fn a_token_that_has_run_out_is_replaced_once_and_the_act_is_done_once() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    assert_eq!(lab.named("alibuild10").await.len(), 1);
    lab.fake.cloud().tokens.clear();
    assert_eq!(lab.named("alibuild10").await.len(), 1);
    assert_eq!(lab.fake.cloud().issued, 2);
    // Between looking and acting as well.
    evidence(lab.acts.hard_reboot(&target("s1"), &intent()).await);
    lab.fake.cloud().tokens.clear();
    evidence(lab.acts.hard_reboot(&target("s1"), &intent()).await);
    assert_eq!(lab.fake.changes(), ["reboot s1", "reboot s1"]);
}

#[tokio::test]
async fn while_keystone_is_away_a_401_of_glance_is_no_proof_of_a_bad_token() {
    let lab = Lab::start().await;
    assert!(lab.looks.newest_image(PROJECT, "ALMA9").await.unwrap().is_some());
    lab.fake.cloud().keystone_is_down = true;
    let why = lab.looks.newest_image(PROJECT, "ALMA9").await.unwrap_err();
    assert!(matches!(why, CloudError::Token { .. }) && why.had_no_effect(), "{why}");
    assert!(why.to_string().contains("keystone"), "who is to be mended is named: {why}");
    lab.fake.cloud().keystone_is_down = false;
    assert!(lab.looks.newest_image(PROJECT, "ALMA9").await.unwrap().is_some());
    assert_eq!(lab.fake.cloud().issued, 1, "the old token was good all the time");
}

#[tokio::test]
async fn a_secret_that_is_wrong_missing_or_open_to_others_is_named_and_a_new_one_is_taken_over() {
    let lab = Lab::start().await;
    let path = lab.folder.path().join("secret");
    let why = |seen: OpenStackSeen| seen.unseen[0].1.clone();
    write_secret(&path, "falsch");
    let said = why(lab.looks.look().await);
    assert!(said.contains("401") && said.contains("the application credential abc"), "{said}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(why(lab.looks.look().await).contains("chmod 0600"));
    write_secret(&path, " ");
    assert!(why(lab.looks.look().await).contains("it is empty"));
    write_secret(&path, "geheim");
    assert!(lab.looks.look().await.unseen.is_empty());
}

#[tokio::test]
async fn a_credential_of_another_project_and_a_region_without_services_are_told() {
    let lab = Lab::with(|config| config.projects = vec!["ALICE Other".into()]).await;
    let said = lab.looks.look().await.unseen[0].1.clone();
    assert!(said.contains("belongs to project \"ALICE CI\""), "{said}");
    let lab = Lab::with(|config| config.region = "mars".into()).await;
    let said = lab.looks.look().await.unseen[0].1.clone();
    assert!(said.contains("no nova in region \"mars\""), "{said}");
    let outcome = lab.acts.stop(&Target { project: "no such".into(), ..target("") }, &intent()).await;
    assert_refused(&outcome, Refusal::CloudSilent, "not among openstack.projects");
}

#[tokio::test]
async fn an_older_nova_is_spoken_to_in_its_own_version_and_one_too_old_is_refused() {
    let lab = Lab::start().await;
    lab.fake.cloud().highest_version = "2.74";
    lab.fake.add("s1", "alibuild10");
    assert_eq!(lab.named("alibuild10").await.len(), 1);
    let lab = Lab::start().await;
    lab.fake.cloud().highest_version = "2.72";
    let said = lab.looks.look().await.unseen[0].1.clone();
    assert!(said.contains("2.72") && said.contains("needs 2.73"), "{said}");
}

#[tokio::test]
async fn every_act_is_followed_until_it_is_so() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    let said = evidence(lab.acts.hard_reboot(&target(""), &intent()).await);
    assert!(said.contains("status=ACTIVE") && said.contains("request=req-1"), "{said}");
    let said = evidence(lab.acts.rebuild(&target("s1"), Some("ALMA9 - x86_64 (new)"), &intent()).await);
    assert!(said.contains("image=i-new"), "{said}");
    let said = evidence(lab.acts.stop(&target("s1"), &intent()).await);
    assert!(said.contains("status=SHUTOFF"), "{said}");
    evidence(lab.acts.stop(&target("s1"), &intent()).await);
    evidence(lab.acts.lock(&target("s1"), &intent()).await);
    let said = evidence(lab.acts.lock(&target("s1"), &intent()).await);
    assert!(said.contains("locked_reason=millwright op-17"), "{said}");
    evidence(lab.acts.unlock(&target("s1"), &intent()).await);
    evidence(lab.acts.start(&target("s1"), &intent()).await);
    assert_eq!(
        lab.fake.changes(),
        ["reboot s1", "rebuild s1", "stop s1", "lock s1", "unlock s1", "start s1"],
        "what was so already was not done again"
    );
}

#[tokio::test]
async fn a_server_that_is_off_is_reset_since_only_a_soft_reboot_is_refused_there() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.set("s1", "status", json!("SHUTOFF"));
    let said = evidence(lab.acts.hard_reboot(&target("s1"), &intent()).await);
    assert!(said.contains("status=ACTIVE"), "{said}");
    assert_eq!(lab.fake.changes(), ["reboot s1"]);
}

#[tokio::test]
async fn attachments_are_known_by_their_volume_since_newer_novas_give_them_no_id() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    // Being attached this moment, so that only the list of attachments tells.
    lab.fake.add_volume("v1", "alibuild10_vol_001", Some("s1"));
    lab.fake.set("s1", "os-extended-volumes:volumes_attached", json!([]));
    let (_, volumes) = lab.acts.find(&target("s1")).await.unwrap();
    assert_eq!(volumes.iter().map(|volume| volume.id.as_str()).collect::<Vec<_>>(), ["v1"]);
}

#[tokio::test]
async fn a_server_that_somebody_has_locked_is_left_alone() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.set("s1", "locked", json!(true));
    lab.fake.set("s1", "locked_reason", json!("kept for a debug"));
    for outcome in [
        lab.acts.hard_reboot(&target("s1"), &intent()).await,
        lab.acts.rebuild(&target("s1"), None, &intent()).await,
        lab.acts.stop(&target("s1"), &intent()).await,
        lab.acts.lock(&target("s1"), &intent()).await,
        lab.acts.unlock(&target("s1"), &intent()).await,
        lab.deletes.delete_server(&target("s1"), &intent()).await,
    ] {
        assert_refused(&outcome, Refusal::ServerLocked, "kept for a debug");
    }
    assert!(lab.fake.changes().is_empty());
}

#[tokio::test]
async fn a_doubtful_name_is_refused_whatever_makes_it_doubtful() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    let outcome = lab.acts.hard_reboot(&target("s9"), &intent()).await;
    assert_refused(&outcome, Refusal::ServerDoubtful, "the agent there says that its server is s9");
    lab.fake.add("s2", "alibuild10");
    let outcome = lab.acts.hard_reboot(&target("s1"), &intent()).await;
    assert_refused(&outcome, Refusal::ServerDoubtful, "s1 of project \"ALICE CI\" (ACTIVE), s2");
    lab.fake.cloud().servers.retain(|server| server["id"] == "s1");
    lab.fake.cloud().servers.push(json!({ "id": "s3", "status": "UNKNOWN" }));
    let outcome = lab.acts.hard_reboot(&target("s1"), &intent()).await;
    assert_refused(&outcome, Refusal::ServerDoubtful, "s3 of project \"ALICE CI\" (UNKNOWN)");
    lab.fake.cloud().servers = vec![server("s1", "somebody-elses")];
    let outcome = lab.acts.hard_reboot(&target("s1"), &intent()).await;
    assert_refused(&outcome, Refusal::ServerDoubtful, "is called somebody-elses");
    let outcome = lab.acts.hard_reboot(&target(""), &intent()).await;
    assert_refused(&outcome, Refusal::ServerAbsent, "the right project");
    assert!(lab.fake.changes().is_empty());
}

#[tokio::test]
async fn a_server_that_is_busy_or_in_no_state_for_it_is_left_alone() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.set("s1", "OS-EXT-STS:task_state", json!("resize_prep"));
    let outcome = lab.acts.hard_reboot(&target("s1"), &intent()).await;
    assert_refused(&outcome, Refusal::ServerBusy, "ACTIVE and busy with resize_prep");
    assert_refused(&lab.deletes.delete_server(&target("s1"), &intent()).await, Refusal::ServerBusy, "busy");
    lab.fake.set("s1", "OS-EXT-STS:task_state", json!(null));
    lab.fake.set("s1", "status", json!("BUILD"));
    let outcome = lab.acts.rebuild(&target("s1"), None, &intent()).await;
    assert_refused(&outcome, Refusal::ServerBusy, "BUILD");
    lab.fake.set("s1", "status", json!("ACTIVE"));
    lab.fake.set("s1", "image", json!(""));
    let outcome = lab.acts.rebuild(&target("s1"), None, &intent()).await;
    assert_refused(&outcome, Refusal::ServerBusy, "boots from a volume");
    let late = Intent { send_before: Some(Instant::now()), ..intent() };
    assert_refused(&lab.acts.hard_reboot(&target("s1"), &late).await, Refusal::Expired, "permit ran out");
    assert!(lab.fake.changes().is_empty());
}

#[tokio::test]
async fn what_fails_in_nova_is_a_question_with_novas_own_words() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.cloud().fails = vec!["rebuild", "delete"];
    let asked = question(lab.acts.rebuild(&target("s1"), None, &intent()).await);
    assert!(asked.contains("it fails as told") && asked.contains("openstack server show s1"), "{asked}");
    lab.fake.cloud().actions.clear();
    let asked = question(lab.deletes.delete_server(&target("s1"), &intent()).await);
    assert!(asked.contains("could not be deleted"), "{asked}");
}

#[tokio::test]
async fn a_request_that_is_taken_and_not_carried_out_is_a_question_and_is_found_again() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.cloud().compute_is_down = true;
    let hasty = Intent { patience: Duration::from_millis(1), ..intent() };
    let asked = question(lab.acts.hard_reboot(&target("s1"), &hasty).await);
    assert!(asked.contains("req-1") && asked.contains("HARD_REBOOT and busy with rebooting_hard"), "{asked}");
    lab.fake.cloud().compute_is_down = false;
    evidence(lab.acts.hard_reboot(&target("s1"), &look_only()).await);
    assert_eq!(lab.fake.changes(), ["reboot s1"]);
}

#[tokio::test]
async fn after_a_crash_our_own_request_is_found_and_made_no_second_time() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    // Done, and the answer lost on its way.
    lab.fake.cloud().answer_instead = Some(StatusCode::BAD_GATEWAY);
    evidence(lab.acts.rebuild(&target("s1"), None, &intent()).await);
    evidence(lab.acts.rebuild(&target("s1"), None, &look_only()).await);
    assert_eq!(lab.fake.changes(), ["rebuild s1"]);
    // Whoever only looks, and finds nothing, has sent nothing.
    let Outcome::NotDone { why, refusal: None } = lab.acts.hard_reboot(&target("s1"), &look_only()).await
    else {
        panic!("it was never asked for");
    };
    assert!(why.contains("no such request of ours"), "{why}");
    // Somebody else's, and one of long ago, are not ours.
    lab.fake.cloud().actions.get_mut("s1").unwrap()[0]["user_id"] = json!("somebody");
    assert!(matches!(
        lab.acts.rebuild(&target("s1"), None, &look_only()).await,
        Outcome::NotDone { refusal: None, .. }
    ));
    lab.fake.cloud().actions.get_mut("s1").unwrap()[0]["user_id"] = json!(fake::USER);
    let later = Intent { at: "2026-01-31T10:30:00Z".parse().unwrap(), ..look_only() };
    assert!(matches!(
        lab.acts.rebuild(&target("s1"), None, &later).await,
        Outcome::NotDone { refusal: None, .. }
    ));
    assert_eq!(lab.fake.changes(), ["rebuild s1"]);
}

#[tokio::test]
async fn a_server_is_gone_when_it_was_seen_to_go_and_not_when_it_is_nowhere() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    let said = evidence(lab.deletes.delete_server(&target("s1"), &intent()).await);
    assert!(said.contains("deleted=yes"), "{said}");
    evidence(lab.deletes.delete_server(&target("s1"), &look_only()).await);
    assert_eq!(lab.fake.changes(), ["delete s1"]);
    let outcome = lab.deletes.delete_server(&target("s7"), &intent()).await;
    assert_refused(&outcome, Refusal::ServerAbsent, "no trace of one");
    let outcome = lab.deletes.delete_server(&target(""), &intent()).await;
    assert_refused(&outcome, Refusal::ServerAbsent, "the right project");
}

#[tokio::test]
async fn a_volume_is_deleted_only_when_no_server_has_it() {
    let lab = Lab::start().await;
    lab.fake.add("s1", "alibuild10");
    lab.fake.add_volume("v1", "alibuild10_vol_001", Some("s1"));
    let outcome = lab.deletes.delete_volume(PROJECT, "v1", &intent()).await;
    assert_refused(&outcome, Refusal::VolumeInUse, "in-use, on server s1");
    evidence(lab.deletes.delete_server(&target("s1"), &intent()).await);
    evidence(lab.deletes.delete_volume(PROJECT, "v1", &intent()).await);
    evidence(lab.deletes.delete_volume(PROJECT, "v1", &look_only()).await);
    assert_eq!(lab.fake.changes(), ["delete s1", "delete volume v1"]);
}

fn order() -> Order {
    let like = NewServers {
        flavor: "m2.2xlarge".into(),
        image: "ALMA9".into(),
        network: String::new(),
        key: "lab".into(),
        volume_type: String::new(),
    };
    let volume = Some(OrderedVolume { name: "alibuild12_vol_001".into(), size_gib: 466 });
    let zone = Some("cern-geneva-b".to_owned());
    Order { project: PROJECT.into(), name: "alibuild12".into(), zone, like, image: None, volume }
}

#[tokio::test]
async fn a_server_is_made_with_its_volume_and_only_once() {
    let lab = Lab::start().await;
    let said = evidence(lab.acts.create(&order(), &intent()).await);
    assert!(said.contains("image=i-new") && said.contains("zone=cern-geneva-b"), "{said}");
    evidence(lab.acts.create(&order(), &intent()).await);
    evidence(lab.acts.create(&order(), &look_only()).await);
    assert_eq!(lab.fake.changes(), ["volume alibuild12_vol_001", "create alibuild12", "attach v-1"]);
    let other = Intent { operation: "op-18".into(), ..intent() };
    let outcome = lab.acts.create(&order(), &other).await;
    assert_refused(&outcome, Refusal::ServerExists, "already under that name");
}

#[tokio::test]
async fn what_was_half_made_before_a_lost_answer_is_gone_on_with() {
    let lab = Lab::start().await;
    lab.fake.cloud().answer_instead = Some(StatusCode::BAD_GATEWAY);
    let asked = question(lab.acts.create(&order(), &intent()).await);
    assert!(asked.contains("openstack volume list"), "{asked}");
    let said = evidence(lab.acts.create(&order(), &intent()).await);
    assert!(said.contains("volume=v-1"), "{said}");
    assert_eq!(lab.fake.changes(), ["volume alibuild12_vol_001", "create alibuild12", "attach v-1"]);
    let no_image = Order { name: "alibuild13".into(), image: Some("SLC5".into()), volume: None, ..order() };
    let Outcome::NotDone { why, .. } = lab.acts.create(&no_image, &intent()).await else { panic!("made") };
    assert!(why.contains("no active image \"SLC5\""), "{why}");
}
