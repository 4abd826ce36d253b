//! The coordinator has the list of what is revoked from the authority itself, and puts no other one in force.

use std::fs;
use std::time::Duration;

use super::harness::{Authority, Coordinator, Pki, Setup, codes, ready, wait_for};
use super::tls::{COORDINATOR, POLICY, node, wait_accepted, wait_problem};

const AUTHORITY: &str = "puppet.lab.test";
const TEN: &str = "alibuild10.lab.test";
const LIMIT: Duration = Duration::from_secs(60);

fn setup(pki: &Pki, authority: &Authority) -> Setup {
    let ssl = pki.ssl(COORDINATOR);
    let url = authority.url();
    Setup::new(POLICY).unwrap().with(&format!(
        "[tls]\ncertname = {COORDINATOR:?}\npuppet_ssl = {ssl:?}\ncrl_url = {url:?}\ncrl_certname = {AUTHORITY:?}\ncrl_every = \"1s\"\n"
    ))
}

/// Waits until the coordinator says this of itself.
fn wait_trouble(coordinator: &Coordinator, words: &[&str]) {
    let mut last = serde_json::Value::Null;
    wait_for(&format!("a trouble that says {words:?}"), LIMIT, || {
        last = coordinator.ask("nodes")?["own_troubles"].clone();
        let said = last.to_string();
        Ok(words.iter().all(|word| said.contains(word)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {last:#}"));
}

fn wait_no_trouble(coordinator: &Coordinator) {
    coordinator
        .wait_for("no trouble", "nodes", |fleet| fleet["own_troubles"].as_array()?.is_empty().then_some(()))
        .unwrap();
}

#[test]
fn who_is_revoked_is_out_though_puppet_never_fetches_the_list_and_stays_out_without_the_authority() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let authority = Authority::start(&pki, AUTHORITY).unwrap();
    let coordinator = setup(&pki, &authority).start().unwrap();
    let ten = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    wait_accepted(&ten);
    wait_for("an answer that nothing is new", LIMIT, || {
        Ok(authority.statuses().contains(&304).then_some(()))
    })
    .unwrap();

    pki.revoke_at_the_authority(TEN).unwrap();
    wait_problem(&ten, &["the coordinator", "is away"]);
    wait_no_trouble(&coordinator);
    drop(ten);

    drop(authority);
    wait_trouble(&coordinator, &["cannot be renewed from https://127.0.0.1", "stays in force"]);
    let coordinator = coordinator.stop().start().unwrap();
    let ten = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    wait_problem(&ten, &["the coordinator", "is away"]);
    // Even where Puppet has lost its file: what was fetched is kept.
    let coordinator = coordinator.stop();
    fs::remove_file(pki.ssl(COORDINATOR).join("crl.pem")).unwrap();
    assert!(coordinator.start().unwrap().node("alibuild10").is_ok());
}

#[test]
fn a_list_that_is_older_or_of_another_authority_or_none_at_all_is_refused_and_told() {
    let (Some(pki), Some(other)) = (ready(Pki::new()), ready(Pki::new())) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let empty = fs::read(pki.list()).unwrap();
    pki.revoke_at_the_authority(TEN).unwrap();
    let authority = Authority::start(&pki, AUTHORITY).unwrap();
    let coordinator = setup(&pki, &authority).start().unwrap();
    let kept = coordinator.setup().state().join("crl.fetched.pem");
    let newest = fs::read(pki.list()).unwrap();
    wait_for("the list", LIMIT, || Ok((fs::read(&kept).ok() == Some(newest.clone())).then_some(()))).unwrap();

    let foreign = fs::read(other.list()).unwrap();
    let cut = &newest[..newest.len() / 2];
    let huge = vec![b'x'; 17 << 20];
    for (answer, words) in [
        (&empty[..], &["is older than", "in force"][..]),
        (&foreign, &["signed by none of the authorities"]),
        (cut, &["what it answers is refused"]),
        (b"<html>sign in</html>", &["no PEM block X509 CRL"]),
        (b"", &["no PEM block X509 CRL"]),
        (&huge, &["larger than 16 MiB"]),
    ] {
        authority.answer_instead(answer);
        wait_trouble(&coordinator, words);
        assert_eq!(fs::read(&kept).unwrap(), newest);
    }
    let ten = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    wait_problem(&ten, &["the coordinator", "is away"]);
    authority.answer_truly();
    wait_no_trouble(&coordinator);
}

#[test]
fn an_expired_list_is_told_and_long_after_nothing_may_be_done_until_there_is_a_new_one() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let ssl = pki.ssl(COORDINATOR);
    let setup = Setup::new(POLICY)
        .unwrap()
        .with(&format!("[tls]\ncertname = {COORDINATOR:?}\npuppet_ssl = {ssl:?}\n"));
    pki.publish_expired(6, COORDINATOR).unwrap();
    let coordinator = setup.start().unwrap();
    let ten = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    wait_accepted(&ten);
    wait_trouble(
        &coordinator,
        &["the list of revoked certificates expired", "it still holds", "crl_expired"],
    );
    let verdict = coordinator.verdict("drain", "alibuild10").unwrap();
    assert!(!codes(&verdict).contains(&"crl_expired".to_owned()), "{verdict:#}");

    pki.publish_expired(8, COORDINATOR).unwrap();
    wait_trouble(&coordinator, &["nothing may be done with any node"]);
    let verdict = coordinator.wait_verdict("drain", "alibuild10", "refused").unwrap();
    assert_eq!(codes(&verdict), ["crl_expired"]);
    wait_accepted(&ten);

    pki.publish_expired(-30, COORDINATOR).unwrap();
    wait_no_trouble(&coordinator);
    let verdict = coordinator.verdict("drain", "alibuild10").unwrap();
    assert!(!codes(&verdict).contains(&"crl_expired".to_owned()), "{verdict:#}");
}

#[test]
fn an_ordinary_host_cannot_pose_as_the_authority() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let impostor = Authority::start(&pki, TEN).unwrap();
    let coordinator = setup(&pki, &impostor).start().unwrap();
    wait_trouble(
        &coordinator,
        &["the certificate of alibuild10.lab.test", "the authority is puppet.lab.test"],
    );
    assert!(impostor.statuses().is_empty(), "nothing was asked of it");
}
