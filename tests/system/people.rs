//! People with names: a token on the command line and in a real browser, and a real Apache that vouches for them.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use super::coordinator::policy_of;
use super::harness::{
    Coordinator, FRONT_USER, Front, Scratch, Setup, Window, get, get_with, needs_binary, output_fed,
    output_of, ready,
};

const LIMIT: Duration = Duration::from_secs(60);

fn coordinator(sections: &str) -> Option<Coordinator> {
    ready(Setup::new(&policy_of(&["alibuild10"])).and_then(|setup| setup.with(sections).start()))
}

/// The command line of somebody whose settings are in `home`.
pub fn millwright(home: &Scratch, arguments: &[&str]) -> Command {
    let mut command = Command::new(needs_binary("millwright").unwrap());
    command.env("XDG_CONFIG_HOME", home.path()).env_remove("MILLWRIGHT_TOKEN").args(arguments);
    command
}

/// Standard output of a command that must succeed.
pub fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A new token of Jane's, made by root on the socket.
pub fn token_of_jane(coordinator: &Coordinator, may: &str) -> String {
    let socket = format!("unix:{}", coordinator.socket().display());
    let home = Scratch::new("root").unwrap();
    let make = ["--server", &socket, "token", "make", "--person", "jane", "--may", may, "--label", "laptop"];
    let secret = said(&output_of(&mut millwright(&home, &make), LIMIT).unwrap());
    assert!(
        secret.starts_with("mwt_") && !secret.contains('\n'),
        "nothing else on standard output: {secret}"
    );
    secret
}

#[test]
fn somebody_logs_in_on_the_command_line_says_a_word_under_their_name_and_logs_out() {
    let Some(coordinator) = coordinator("") else { return };
    let secret = token_of_jane(&coordinator, "operate:agent");
    let home = Scratch::new("home").unwrap();
    let run = |arguments: &[&str]| output_of(&mut millwright(&home, arguments), LIMIT).unwrap();

    let dead = ["--server", coordinator.url(), "node", "dead", "alibuild10", "--reason", "burned"];
    assert!(complaint(&run(&dead)).contains("millwright login"));

    let login = ["--server", coordinator.url(), "login"];
    let wrong = output_fed(&mut millwright(&home, &login), "mwt_0000\n", LIMIT).unwrap();
    assert!(complaint(&wrong).contains("knows no such token"));
    let told = said(&output_fed(&mut millwright(&home, &login), &format!("{secret}\n"), LIMIT).unwrap());
    assert!(told.contains("jane: may operate:agent") && !told.contains(&secret), "{told}");

    // From now on without --server.
    assert!(said(&run(&["whoami"])).starts_with("jane: may operate:agent"));
    assert!(said(&run(&["node", "dead", "alibuild10", "--reason", "burned"])).contains("counts as dead"));
    let audit = coordinator.ask("audit").unwrap();
    assert_eq!(
        (&audit["audit"][0]["by"], &audit["audit"][0]["what"]),
        (&json!("jane"), &json!("dead")),
        "{audit:#}"
    );
    assert!(said(&run(&["token", "list"])).contains("laptop"));
    assert!(complaint(&run(&["token", "make", "--may", "view"])).contains("not_allowed"));

    said(&run(&["logout"]));
    assert!(complaint(&run(&dead)).contains("not_signed_in"));
}

#[test]
fn tokens_outlive_a_restart_and_so_do_their_ends() {
    let Some(coordinator) = coordinator("") else { return };
    let (kept, lost) = (token_of_jane(&coordinator, "view"), token_of_jane(&coordinator, "operate"));
    let bearer = |secret: &str| vec![("authorization".to_owned(), format!("Bearer {secret}"))];
    let id = |coordinator: &Coordinator, secret: &str| {
        let url = format!("{}/api/v1/me", coordinator.url());
        let (_, me) = get_with(&url, &bearer(secret)).unwrap();
        serde_json::from_str::<Value>(&me).unwrap()["token"]["id"].clone()
    };
    let revoked = coordinator.post("tokens/revoke", &json!({ "id": id(&coordinator, &lost) })).unwrap();
    assert_eq!(revoked.0, 200, "{revoked:?}");
    let coordinator = coordinator.stop().start().unwrap();
    assert!(id(&coordinator, &kept).is_string());
    let (status, refusal) = get_with(&format!("{}/api/v1/me", coordinator.url()), &bearer(&lost)).unwrap();
    assert!(status == 401 && refusal.contains("revoked"), "{refusal}");
    let database = std::fs::read(coordinator.setup().database()).unwrap();
    let holds = |secret: &str| database.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!holds(&kept) && !holds(&lost), "a secret is on the disk");
}

#[test]
fn somebody_signs_in_in_a_browser_and_no_foreign_page_speaks_for_them() {
    let Some(coordinator) = coordinator("") else { return };
    let Some(window) = ready(Window::open()) else { return };
    let secret = token_of_jane(&coordinator, "operate");
    let me = format!("{}/me", coordinator.url());

    window.go(&me).unwrap();
    window.shows("Nobody in particular").unwrap();
    window.click("main a").unwrap();
    window.write("#token", "mwt_0000").unwrap();
    window.click("main button").unwrap();
    window.shows("knows no such token").unwrap();
    window.write("#token", &secret).unwrap();
    window.click("main button").unwrap();
    let page = window.shows("jane").unwrap();
    assert!(page.contains("operate"), "{page}");
    assert_eq!(window.address().unwrap(), me);
    let cookie = window.cookies().unwrap()[0].clone();
    let rules = ["name", "httpOnly", "secure", "sameSite", "path"].map(|key| cookie[key].clone());
    assert_eq!(rules, [json!("__Host-millwright"), json!(true), json!(true), json!("Strict"), json!("/")]);

    // A page of somebody else's has the browser send a form; what is open here still is.
    let target = coordinator.url();
    let evil =
        format!("data:text/html,<form method=post action='{target}/sign-out'><button>x</button></form>");
    window.go(&evil).unwrap();
    window.click("button").unwrap();
    window.shows("cross_site").unwrap();
    window.go(&me).unwrap();
    window.shows("jane").unwrap();

    // Revoked, the next page is nobody's.
    let (status, _) = coordinator.post("tokens/revoke", &json!({ "person": "jane" })).unwrap();
    assert_eq!(status, 200);
    window.go(&me).unwrap();
    window.shows("Nobody in particular").unwrap();
}

#[test]
fn an_apache_in_front_vouches_for_whom_it_has_signed_in_and_for_nobody_else() {
    let sections = format!(
        "[people]\nlook_without_name = false\n[people.proxy]\nusers = [\"{FRONT_USER}\"]\n\
         [people.roles]\nview = [\"*\"]\noperate = [\"jane on agent\"]"
    );
    let Some(coordinator) = coordinator(&sections) else { return };
    let Some(front) = ready(Front::start(&coordinator.socket())) else { return };
    assert_eq!(get(&format!("{}/api/v1/me", front.url())).unwrap().0, 401, "Apache lets in whoever signs in");

    let me = |headers: &[(String, String)]| -> Value {
        let (status, text) = get_with(&format!("{}/api/v1/me", front.url_for_jane()), headers).unwrap();
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let plain = me(&[]);
    assert_eq!((&plain["name"], &plain["how"]), (&json!("jane"), &json!("proxy")), "{plain:#}");
    assert_eq!(plain["rights"], json!(["view", "operate:agent"]));
    let forged = [("X-Remote-User", "root"), ("X-Remote-Groups", "admins"), ("x-remote-user", "joe")];
    let forged = forged.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(me(&forged)["name"], json!("jane"), "what a visitor claims is removed");

    // Somebody else on this host who claims the same is nobody, and here sees nothing.
    let claimed = [("x-remote-user".to_owned(), "jane".to_owned())];
    assert_eq!(get_with(&format!("{}/api/v1/nodes", coordinator.url()), &claimed).unwrap().0, 401);

    // In a browser the pages work through it, forms included.
    let Some(window) = ready(Window::open()) else { return };
    window.go(&format!("{}/me", front.url_for_jane())).unwrap();
    window.write("#label", "laptop").unwrap();
    window.click(".form button").unwrap();
    let page = window.shows("mwt_").unwrap();
    assert!(page.contains("jane"), "{page}");
}
