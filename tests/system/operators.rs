//! Operators over the network: TLS with a certificate that their browsers trust, nobody without a name, and a front end on
//! another host that is known by its Puppet certificate.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Coordinator, Pki, Scratch, Setup, Window, get, output_of, ready, wait_for};
use super::people::{complaint, millwright, said, token_of_jane};
use super::tls::{COORDINATOR, POLICY};

const LIMIT: Duration = Duration::from_secs(60);
const FRONT: &str = "front01.lab.test";

/// What operators' browsers trust: certificate and key for 127.0.0.1, in a folder.
fn for_operators() -> Scratch {
    let scratch = Scratch::new("operators").unwrap();
    let words = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=mw.lab.test -addext subjectAltName=IP:127.0.0.1 \
                 -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out shown.pem";
    let made =
        output_of(Command::new("openssl").args(words.split(' ')).current_dir(scratch.path()), LIMIT).unwrap();
    assert!(made.status.success(), "{made:?}");
    let strict = Command::new("chmod").args(["600", "key.pem"]).current_dir(scratch.path()).status().unwrap();
    assert!(strict.success());
    scratch
}

/// A coordinator whose operators' address is no loopback to it; the address is that of 127.0.0.1 in the new family.
fn coordinator(pki: &Pki, shown: &Scratch) -> Coordinator {
    let sections = format!(
        "[tls]\ncertname = {COORDINATOR:?}\npuppet_ssl = {:?}\noperators_certificate = {:?}\noperators_key = {:?}\n\
         [people.proxy]\nhosts = [\"{FRONT}\"]\n[people.roles]\nview = [\"*\"]\n",
        pki.ssl(COORDINATOR),
        shown.join("shown.pem"),
        shown.join("key.pem"),
    );
    let setup = Setup::new(POLICY).unwrap().with_operators("[::ffff:127.0.0.1]:0");
    setup.with(&sections).start().unwrap()
}

/// What the coordinator says to a host that shows its certificate and claims to speak for Jane.
fn as_host(coordinator: &Coordinator, pki: &Pki, host: &str, trusted: &Path) -> Result<Value, String> {
    let ssl = pki.ssl(host);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--header", "x-remote-user: jane", "--cacert"]).arg(trusted);
    curl.arg("--cert").arg(ssl.join(format!("certs/{host}.pem")));
    curl.arg("--key").arg(ssl.join(format!("private_keys/{host}.pem")));
    let answer = output_of(curl.arg(format!("{}/api/v1/me", url(coordinator))), LIMIT).unwrap();
    match answer.status.success() {
        true => Ok(serde_json::from_slice(&answer.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&answer.stderr).into_owned()),
    }
}

/// The operators' address as browsers spell it.
fn url(coordinator: &Coordinator) -> String {
    coordinator.url().replace("[::ffff:127.0.0.1]", "127.0.0.1")
}

#[test]
fn over_the_network_operators_come_with_tls_and_a_name_or_see_nothing() {
    let Some(pki) = ready(Pki::new()) else { return };
    for host in [COORDINATOR, FRONT, "alibuild10.lab.test"] {
        pki.host(host).unwrap();
    }
    let shown = for_operators();
    let coordinator = coordinator(&pki, &shown);
    let (url, trusted) = (url(&coordinator), shown.join("shown.pem"));
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert!(get(&format!("{}/healthz", url.replace("https", "http"))).is_err(), "plain HTTP");

    // The command line, which remembers address and authority.
    let secret = token_of_jane(&coordinator, "operate");
    let (home, ca) = (Scratch::new("home").unwrap(), trusted.display().to_string());
    let run = |arguments: &[&str]| output_of(&mut millwright(&home, arguments), LIMIT).unwrap();
    let unknown = complaint(&run(&["--server", &url, "nodes"]));
    assert!(unknown.contains("--ca FILE"), "{unknown}");
    let nobody = complaint(&run(&["--server", &url, "--ca", &ca, "nodes"]));
    assert!(nobody.contains("not_signed_in"), "{nobody}");
    let login = ["--server", &url, "--ca", &ca, "login"];
    let told = said(&super::harness::output_fed(&mut millwright(&home, &login), &secret, LIMIT).unwrap());
    assert!(told.contains("jane: may operate"), "{told}");
    assert!(said(&run(&["nodes"])).contains("alibuild10"));

    // A front end on another host, until its certificate is revoked; another host is just a host.
    let me = as_host(&coordinator, &pki, FRONT, &trusted).unwrap();
    assert_eq!((&me["name"], &me["how"]), (&json!("jane"), &json!("proxy")), "{me:#}");
    let other = as_host(&coordinator, &pki, "alibuild10.lab.test", &trusted).unwrap();
    assert_eq!(other["code"], json!("not_signed_in"), "{other:#}");
    pki.revoke(FRONT, COORDINATOR).unwrap();
    wait_for("the front end to be out", Duration::from_secs(90), || {
        Ok(as_host(&coordinator, &pki, FRONT, &trusted).is_err().then_some(()))
    })
    .unwrap();

    // A browser is sent to where it can sign in, and from there to where it wanted to go.
    let Some(window) = ready(Window::open()) else { return };
    window.go(&format!("{url}/nodes/alibuild10")).unwrap();
    window.shows("Your personal token").unwrap();
    window.write("#token", &secret).unwrap();
    window.click("main button").unwrap();
    window.shows("alibuild10").unwrap();
    assert_eq!(window.address().unwrap(), format!("{url}/nodes/alibuild10"));
}
