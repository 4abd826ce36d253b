//! Every kind of certificate and key that a host may come with: which are let in, and that each other one is told and counted.

use std::time::Duration;

use super::harness::{Coordinator, Pki, Setup, ready, wait_for};
use super::tls::{COORDINATOR, POLICY, metric, node, setup, wait_accepted, wait_problem};

const TEN: &str = "alibuild10.lab.test";
const ELEVEN: &str = "alibuild11.lab.test";
const LIMIT: Duration = Duration::from_secs(60);

fn wait_log(coordinator: &Coordinator, words: &str) {
    wait_for(&format!("the log to say {words:?}"), LIMIT, || {
        Ok(coordinator.log().contains(words).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", coordinator.log()));
}

#[test]
fn expired_early_self_signed_and_foreign_certificates_are_refused_told_once_and_counted() {
    let (Some(pki), Some(other)) = (ready(Pki::new()), ready(Pki::new())) else { return };
    pki.host(COORDINATOR).unwrap();
    for (kind, words) in [
        ("expired", "its certificate has expired"),
        ("early", "not valid yet"),
        ("self-signed", "UnknownIssuer"),
        ("foreign", "BadSignature"),
        ("revoked", "Revoked"),
    ] {
        pki.host(TEN).unwrap();
        match kind {
            "expired" => pki.sign_between(TEN, -48, -24).unwrap(),
            "early" => pki.sign_between(TEN, 24, 48).unwrap(),
            "self-signed" => pki.self_sign(TEN).unwrap(),
            "foreign" => {
                other.host(TEN).unwrap();
                other.lend(TEN, &pki).unwrap();
            }
            _ => pki.revoke(TEN, COORDINATOR).unwrap(),
        }
        let coordinator = setup(&pki, COORDINATOR).start().unwrap();
        let agent = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
        wait_problem(&agent, &["the coordinator", "is away"]);
        wait_for("three refusals", LIMIT, || {
            Ok((metric(&coordinator, "millwright_handshakes_refused_total") >= 3).then_some(()))
        })
        .unwrap();
        let log = coordinator.log();
        assert!(log.contains(words), "{kind}: {log}");
        assert_eq!(log.matches("did not let 127.0.0.1 in").count(), 1, "{kind}: {log}");
        let ten = coordinator.node("alibuild10").unwrap();
        assert!(ten.get("reported_at").is_none_or(serde_json::Value::is_null), "{kind}: {ten:#}");
    }
}

#[test]
fn who_shows_no_certificate_is_not_let_in() {
    let Some(pki) = ready(Pki::new()) else { return };
    pki.host(COORDINATOR).unwrap();
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let said = pki.s_client(coordinator.agents_url(), "GET /healthz HTTP/1.0\r\n\r\n", &[]).unwrap();
    assert!(!said.contains("alive"), "{said}");
    wait_log(&coordinator, "peer sent no certificates");
}

#[test]
fn keys_in_every_form_that_puppet_and_openssl_write_are_taken() {
    let Some(pki) = ready(Pki::new()) else { return };
    for form in ["pkcs1", "pkcs8", "sec1"] {
        for host in [COORDINATOR, TEN] {
            pki.host(host).unwrap();
            pki.sign_with_key(host, form).unwrap();
        }
        let coordinator = setup(&pki, COORDINATOR).start().unwrap();
        let agent = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
        wait_accepted(&agent);
    }
}

#[test]
fn hosts_of_an_authority_below_another_are_let_in_and_revoked_like_any_other() {
    let Some(pki) = ready(Pki::below_another()) else { return };
    for host in [COORDINATOR, TEN, ELEVEN] {
        pki.host(host).unwrap();
    }
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let ten = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    let eleven = node("alibuild11", &pki, ELEVEN, &coordinator).start().unwrap();
    wait_accepted(&ten);
    wait_accepted(&eleven);
    pki.revoke(TEN, COORDINATOR).unwrap();
    wait_problem(&ten, &["is away"]);
    wait_accepted(&eleven);
}

#[test]
fn a_connection_ends_with_the_certificate_that_opened_it() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    pki.sign_for_seconds(TEN, 25).unwrap();
    let ten = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    wait_accepted(&ten);
    wait_problem(&ten, &["is away"]);
    wait_log(&coordinator, "its certificate has expired");
}

#[test]
fn a_coordinator_whose_certificate_has_expired_is_told_once_by_the_agent() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    pki.sign_between(COORDINATOR, -48, -24).unwrap();
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let agent = node("alibuild10", &pki, TEN, &coordinator).start().unwrap();
    wait_problem(&agent, &["is away", "xpired"]);
    let later = agent.status().unwrap().coordinator.sequence + 3;
    agent.wait_for("three more tries", |view| (view.coordinator.sequence >= later).then_some(())).unwrap();
    assert_eq!(agent.log().matches("xpired").count(), 1, "{}", agent.log());
    wait_log(&coordinator, "the coordinator's certificate expired on");
}

#[test]
fn tls_below_1_2_is_refused_and_no_session_is_resumed() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let ssl = pki.ssl(TEN);
    let (certificate, key) =
        (ssl.join(format!("certs/{TEN}.pem")), ssl.join(format!("private_keys/{TEN}.pem")));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let session = pki.ssl(TEN).join("session");
    let session = session.to_str().unwrap();
    let ask = |more: &[&str]| {
        let mut arguments = vec!["-cert", certificate, "-key", key];
        arguments.extend(more);
        pki.s_client(coordinator.agents_url(), "GET /healthz HTTP/1.0\r\nHost: mw\r\n\r\n", &arguments)
            .unwrap()
    };
    for old in ["-tls1", "-tls1_1"] {
        let said = ask(&[old, "-cipher", "DEFAULT@SECLEVEL=0"]);
        assert!(!said.contains("alive"), "{old}: {said}");
    }
    wait_log(&coordinator, "did not let 127.0.0.1 in");
    for new in ["-tls1_2", "-tls1_3"] {
        let _ = std::fs::remove_file(session);
        let first = ask(&[new, "-sess_out", session]);
        assert!(first.contains("alive") && first.contains("New, TLSv1"), "{new}: {first}");
        if std::path::Path::new(session).exists() {
            let again = ask(&[new, "-sess_in", session]);
            assert!(again.contains("New, TLSv1") && !again.contains("Reused"), "{new}: {again}");
        }
    }
}

#[test]
fn a_coordinator_whose_own_files_do_not_go_together_does_not_start() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, TEN] {
        pki.host(host).unwrap();
    }
    let (ssl, other) = (pki.ssl(COORDINATOR), pki.ssl(TEN));
    let foreign = other.join(format!("private_keys/{TEN}.pem"));
    let text = format!("[tls]\ncertname = {COORDINATOR:?}\npuppet_ssl = {ssl:?}\nkey = {foreign:?}\n");
    let output = Setup::new(POLICY).unwrap().with(&text).run(&["--check-config"]).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && complaint.contains("put certificate, key, ca and crl of [tls] together"),
        "{complaint}"
    );
}
