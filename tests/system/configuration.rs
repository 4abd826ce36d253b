//! The agent and a configuration that is wrong: it does not start, and says file, line, key and what to write.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;

use super::harness::{Node, Scratch, needs_binary, output_of, ready};
use super::tls::POLICY;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_wrong_key_stops_the_agent_with_file_line_and_what_to_write_instead() {
    let node = || Node::named("alibuild10").unwrap();
    for (node, words) in [
        (node().set("checks.docker.evry", 1), ["checks.docker", "evry"]),
        (node().set("checks.docker.every", 30), ["checks.docker.every", "\"10s\""]),
        (node().text("checks.docker.every", "30"), ["checks.docker.every", "has no unit"]),
        (node().text("checks.docker.deadline", "2m"), ["checks.docker.deadline", "at most `every`"]),
        (node().text("status.listen", "0.0.0.0:8481"), ["status.listen", "127.0.0.1:8481"]),
        (node().text("coordinator.url", "http://10.0.0.1:8482"), ["coordinator.url", "unprotected"]),
        (node().text("node.name", "not a name"), ["node.name", "not a name"]),
        (node().set("checks.containers.infrastructure", "[\"*\"]"), ["infrastructure", "every container"]),
        (node().set("checks.docker.socket", "/no/quotes"), ["quoted", "string"]),
    ] {
        for (arguments, code) in
            [(["run"].as_slice(), 1), (["--check-config"].as_slice(), 1), (["check"].as_slice(), 3)]
        {
            let Some(output) = ready(node.run(arguments)) else { return };
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
            assert!(complaint.contains("agent.toml line "), "no file and line: {complaint}");
            for word in words {
                assert!(complaint.contains(word), "no {word:?} in {complaint}");
            }
            assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn configuration_that_others_can_change_is_not_read_and_the_command_that_ends_it_is_said() {
    let Some(folder) = ready(Scratch::new("owners")) else { return };
    let policy = folder.write("policy.toml", POLICY).unwrap();
    let settings = format!("policy = {policy:?}\nhost = \"lab\"\nstate_dir = {:?}\n", folder.join("state"));
    for (program, file, text) in [
        ("millwright-agent", "agent.toml", String::new()),
        ("millwright-coordinator", "coordinator.toml", settings),
    ] {
        let path = folder.write(file, &text).unwrap();
        let checked = || {
            let mut command = Command::new(needs_binary(program).unwrap());
            output_of(command.arg("--config").arg(&path).arg("--check-config"), LIMIT).unwrap()
        };
        assert!(checked().status.success(), "{}", String::from_utf8_lossy(&checked().stderr));
        let refused = |words: &[&str]| {
            let output = checked();
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{complaint}");
            for word in words {
                assert!(complaint.contains(word), "no {word:?} in {complaint}");
            }
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        refused(&[file, "everybody on this host can write to it", "`chmod go-w /"]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        refused(&[file, "the group ", "`chmod go-w /"]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        if geteuid().is_root() {
            chown(&path, Some(65534), None).unwrap();
            refused(&[file, "it belongs to the user 65534", "`chown root /"]);
            chown(&path, Some(0), None).unwrap();
        }
        let folder = folder.path();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        refused(&[file, "put another file in its place", "`chmod o-w /"]);
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o664)).unwrap();
    let mut command = Command::new(needs_binary("millwright-coordinator").unwrap());
    let output =
        output_of(command.arg("--config").arg(folder.join("coordinator.toml")).arg("--check-config"), LIMIT);
    let complaint = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(complaint.contains("policy.toml") && complaint.contains("chmod go-w"), "{complaint}");
}

#[test]
fn a_good_configuration_is_said_to_be_good_without_starting_anything() {
    let Some(output) = ready(Node::named("alibuild10").unwrap().run(&["--check-config"])) else { return };
    assert!(output.status.success());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.trim().ends_with("agent.toml is good"), "{told}");
}

#[test]
fn an_agent_that_cannot_say_who_it_is_does_not_start_and_names_the_key() {
    let node = Node::named("alibuild10").unwrap().text("paths.machine_id", "/nonexistent/machine-id");
    let Some(output) = ready(node.run(&[])) else { return };
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && complaint.contains("set paths.machine_id"), "{complaint}");
}

#[test]
fn a_second_agent_on_the_same_port_says_what_is_in_its_way() {
    let Some(first) = ready(Node::named("alibuild10").unwrap().start()) else { return };
    let port = first.url().rsplit(':').next().unwrap();
    let second = Node::named("alibuild11").unwrap().text("status.listen", format!("127.0.0.1:{port}"));
    let output = second.run(&[]).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && complaint.contains("is another agent running?"), "{complaint}");
}
