//! Agents and coordinator prove to each other who they are, with certificates as Puppet's authority gives them out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::harness::{Agent, Coordinator, Node, Pki, Setup, get, get_json, ready, wait_for};

pub const COORDINATOR: &str = "millwright.lab.test";
pub const POLICY: &str = "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\n\
    [classes.agent]\nmode = \"observe\"\n[classes.agent.sources]\nagent = \"required\"\n\
    [[nodes]]\nclass = \"agent\"\nnames = [\"alibuild10\", \"alibuild11\"]\n";

pub fn setup(pki: &Pki, certname: &str) -> Setup {
    let ssl = pki.ssl(certname);
    let tls = format!("[tls]\ncertname = {certname:?}\npuppet_ssl = {ssl:?}\n");
    Setup::new(POLICY).unwrap().with(&tls)
}

/// An agent called `name` that shows the certificate of `certname`.
pub fn node(name: &str, pki: &Pki, certname: &str, coordinator: &Coordinator) -> Node {
    Node::named(name)
        .unwrap()
        .with("system")
        .text("coordinator.url", coordinator.agents_url())
        .text("coordinator.certname", COORDINATOR)
        .text("coordinator.report_every", "1s")
        .text("coordinator.retry_at_most", "1s")
        .text("tls.puppet_ssl", pki.ssl(certname).display())
}

/// A number of the coordinator's own.
pub fn metric(coordinator: &Coordinator, name: &str) -> u64 {
    let metrics = get(&format!("{}/metrics", coordinator.url())).unwrap().1;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

pub fn wait_accepted(agent: &Agent) {
    agent
        .wait_for("a report to be accepted", |view| {
            let contact = &view.coordinator;
            (contact.problem.is_none() && contact.accepted_seconds_ago.is_some()).then_some(())
        })
        .unwrap();
}

pub fn wait_problem(agent: &Agent, words: &[&str]) {
    agent
        .wait_for(&format!("a problem with the coordinator that says {words:?}"), |view| {
            let problem = view.coordinator.problem.as_ref()?;
            words.iter().all(|word| problem.contains(word)).then_some(())
        })
        .unwrap();
}

#[test]
fn a_host_speaks_for_itself_until_it_is_revoked_and_a_renewed_certificate_goes_on() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, "alibuild10.lab.test", "alibuild11.lab.test"] {
        pki.host(host).unwrap();
    }
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    assert!(coordinator.agents_url().starts_with("https://127.0.0.1:"), "{}", coordinator.agents_url());
    let ten = node("alibuild10", &pki, "alibuild10.lab.test", &coordinator).start().unwrap();
    let eleven = node("alibuild11", &pki, "alibuild11.lab.test", &coordinator).start().unwrap();
    for agent in [&ten, &eleven] {
        wait_accepted(agent);
    }

    let posing = node("alibuild11", &pki, "alibuild10.lab.test", &coordinator).start().unwrap();
    wait_problem(&posing, &["the certificate is that of alibuild10", "about alibuild11", "not_your_node"]);
    drop(posing);

    pki.revoke("alibuild10.lab.test", COORDINATOR).unwrap();
    wait_problem(&ten, &["the coordinator", "is away"]);
    // Its open connection is cut first; only the next try meets the list in a handshake.
    wait_for("the next handshake to be refused", std::time::Duration::from_secs(60), || {
        Ok((metric(&coordinator, "millwright_handshakes_refused_total") > 0).then_some(()))
    })
    .unwrap();
    wait_accepted(&eleven);
    pki.sign("alibuild10.lab.test").unwrap();
    wait_accepted(&ten);
}

#[test]
fn an_ordinary_host_cannot_pose_as_the_coordinator() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in ["alibuild13.lab.test", "alibuild10.lab.test"] {
        pki.host(host).unwrap();
    }
    let impostor = setup(&pki, "alibuild13.lab.test").start().unwrap();
    let agent = node("alibuild10", &pki, "alibuild10.lab.test", &impostor).start().unwrap();
    wait_problem(
        &agent,
        &["the certificate of alibuild13.lab.test", "coordinator.certname is millwright.lab.test"],
    );
}

#[test]
fn the_right_host_with_the_store_of_another_cluster_is_not_our_coordinator() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, "alibuild10.lab.test"] {
        pki.host(host).unwrap();
    }
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let health = get_json(&format!("{}/healthz", coordinator.url())).unwrap();
    let cluster = health["cluster"].as_str().unwrap();
    let of_other = node("alibuild10", &pki, "alibuild10.lab.test", &coordinator)
        .text("coordinator.cluster", "00000000-0000-4000-8000-000000000000")
        .start()
        .unwrap();
    wait_problem(&of_other, &[cluster, "coordinator.cluster is 00000000-", "nothing of its answer is used"]);
    let view = of_other.status().unwrap().coordinator;
    assert!(view.accepted_at.is_none() && view.listed.is_none() && view.cluster.is_none(), "{view:?}");
    let later = view.sequence + 2;
    of_other.wait_for("two more tries", |view| (view.coordinator.sequence >= later).then_some(())).unwrap();
    assert_eq!(of_other.log().matches("nothing of its answer is used").count(), 1, "{}", of_other.log());
    drop(of_other);

    let of_ours = node("alibuild10", &pki, "alibuild10.lab.test", &coordinator)
        .text("coordinator.cluster", cluster)
        .start()
        .unwrap();
    wait_accepted(&of_ours);
    assert_eq!(of_ours.status().unwrap().coordinator.cluster.as_deref(), Some(cluster));
}

#[test]
fn a_host_of_another_authority_or_domain_is_not_let_in() {
    let (Some(pki), Some(other)) = (ready(Pki::new()), ready(Pki::new())) else { return };
    pki.host(COORDINATOR).unwrap();
    pki.host("alibuild10.evil.test").unwrap();
    let stranger = other.host("alibuild10.lab.test").unwrap();
    // It knows the right authority, but is not signed by it.
    fs::copy(pki.ssl(COORDINATOR).join("certs/ca.pem"), stranger.join("certs/ca.pem")).unwrap();
    fs::copy(pki.ssl(COORDINATOR).join("crl.pem"), stranger.join("crl.pem")).unwrap();
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let of_other = node("alibuild10", &other, "alibuild10.lab.test", &coordinator).start().unwrap();
    wait_problem(&of_other, &["is away"]);
    let of_evil = node("alibuild10", &pki, "alibuild10.evil.test", &coordinator).start().unwrap();
    wait_problem(&of_evil, &["alibuild10.evil.test", "tls.domains"]);
    assert!(
        coordinator.node("alibuild10").unwrap().get("reported_at").is_none_or(serde_json::Value::is_null)
    );
}

#[test]
fn without_a_list_of_what_is_revoked_nothing_starts_and_nothing_is_reported() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, "alibuild10.lab.test"] {
        pki.host(host).unwrap();
    }
    let list = pki.ssl(COORDINATOR).join("crl.pem");
    let text = fs::read_to_string(&list).unwrap();
    for broken in [None, Some(""), Some("-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n")] {
        match broken {
            None => fs::remove_file(&list).unwrap(),
            Some(text) => fs::write(&list, text).unwrap(),
        }
        let output = setup(&pki, COORDINATOR).run(&["run"]).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && complaint.contains("revoked"), "{broken:?}: {complaint}");
    }
    fs::write(&list, &text).unwrap();
    let key = pki.ssl(COORDINATOR).join(format!("private_keys/{COORDINATOR}.pem"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = setup(&pki, COORDINATOR).run(&["run"]).unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("everybody on this host can read it"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    let of_node = pki.ssl("alibuild10.lab.test").join("crl.pem");
    fs::remove_file(&of_node).unwrap();
    let agent = node("alibuild10", &pki, "alibuild10.lab.test", &coordinator).start().unwrap();
    wait_problem(&agent, &["crl.pem as the list of what is revoked", "No such file"]);
    fs::write(&of_node, &text).unwrap();
    wait_accepted(&agent);
}

#[test]
fn broken_files_leave_the_old_ones_in_force_and_are_told() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, "alibuild10.lab.test"] {
        pki.host(host).unwrap();
    }
    let coordinator = setup(&pki, COORDINATOR).start().unwrap();
    fs::write(pki.ssl(COORDINATOR).join("crl.pem"), "nonsense").unwrap();
    wait_for("a trouble of the coordinator's own", std::time::Duration::from_secs(60), || {
        Ok(coordinator.ask("nodes")?.to_string().contains("as they are now cannot be used").then_some(()))
    })
    .unwrap();
    let agent = node("alibuild10", &pki, "alibuild10.lab.test", &coordinator).start().unwrap();
    wait_accepted(&agent);
}
