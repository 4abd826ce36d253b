//! `reboot`: logind's `Reboot`, in an orderly way; never by force.
//!
//! Not `systemctl reboot`: as root it goes past logind on old systemd, so that whoever asked logind for a moment to put
//! things away gets none. Logind lets root past those who forbid a shutdown; the agent asks about them itself, just before.

use super::{
    child,
    dbus::{self, Arguments, CallError, Method},
    failed,
};
use crate::config::{OrdersConfig, Paths};
use millwright_protocol::OrderState;
use std::time::Duration;
use tokio::time::timeout;

/// Logind answers before it begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

const REBOOT: Method<'_> = Method {
    destination: "org.freedesktop.login1",
    path: "/org/freedesktop/login1",
    interface: "org.freedesktop.login1.Manager",
    member: "Reboot",
};

/// Asks for the reboot. `None` when it was asked for: then only the next boot, or time, tells what became of it.
pub async fn run(config: &OrdersConfig, paths: &Paths) -> Option<OrderState> {
    if let Some(command) = &config.reboot_command {
        return match child::run(&[command.display().to_string()], ANSWER_WITHIN).await {
            Ok(ended) if ended.code == Some(0) => None,
            Ok(ended) => Some(failed(format!(
                "{} ended with {:?}: {}",
                command.display(),
                ended.code,
                ended.output.trim()
            ))),
            Err(error @ child::ChildError::Start { .. }) => Some(failed(error.to_string())),
            Err(child::ChildError::Late { .. }) => None,
        };
    }
    let socket = paths.rooted("/run/dbus/system_bus_socket");
    match timeout(ANSWER_WITHIN, dbus::call(&socket, REBOOT, Arguments::Flag(false))).await {
        // An answer that did not come may have gone down with the system: wait for the boot in either case.
        Ok(Ok(_) | Err(CallError::NoAnswer(_))) | Err(_) => None,
        Ok(Err(error @ (CallError::NotReached { .. } | CallError::Refused { .. }))) => {
            Some(failed(format!("ask logind for a reboot: {error}; nothing was done")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::dbus::tests, *};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn logind_is_asked_and_its_no_is_told() {
        let (_root, paths) = tests::node();
        let socket = paths.rooted("/run/dbus/system_bus_socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let bus = tests::bus(listener, vec![tests::reply(3, 2, "a ward is closed")]);
        let config = OrdersConfig::default();
        let (state, asked) = tokio::join!(run(&config, &paths), bus);
        assert!(
            matches!(&state, Some(OrderState::Failed { sentence, .. }) if sentence.contains("a ward is closed")),
            "{state:?}"
        );
        let asked = String::from_utf8_lossy(&asked).into_owned();
        assert!(asked.contains("org.freedesktop.login1.Manager") && asked.contains("Reboot"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_yes_and_a_bus_that_goes_down_are_waited_for() {
        for answers in [vec![tests::reply(2, 2, "")], vec![]] {
            let (_root, paths) = tests::node();
            let listener = UnixListener::bind(paths.rooted("/run/dbus/system_bus_socket")).unwrap();
            let config = OrdersConfig::default();
            let (state, _) = tokio::join!(run(&config, &paths), tests::bus(listener, answers));
            assert_eq!(state, None);
        }
    }

    #[tokio::test]
    async fn without_logind_nothing_is_done() {
        let (_root, paths) = tests::node();
        let state = run(&OrdersConfig::default(), &paths).await;
        assert!(
            matches!(&state, Some(OrderState::Failed { sentence, .. }) if sentence.contains("system_bus_socket")),
            "{state:?}"
        );
    }

    #[tokio::test]
    async fn a_command_in_its_place_is_run_and_its_failure_told() {
        let (_root, paths) = tests::node();
        for (command, is_failed) in [("/bin/true", false), ("/bin/false", true), ("/none/such", true)] {
            let config = OrdersConfig { reboot_command: Some(command.into()), ..OrdersConfig::default() };
            assert_eq!(run(&config, &paths).await.is_some(), is_failed, "{command}");
        }
    }
}
