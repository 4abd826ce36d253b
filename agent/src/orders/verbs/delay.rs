//! A shutdown that waits for us: logind's *delay* inhibitor. Whoever holds one is waited for when the system goes down, for
//! five seconds unless the machine says otherwise, so that what is under way can be ended and told.

use super::dbus::{self, Arguments, Handed, Method};
use crate::config::Paths;
use std::time::Duration;
use tokio::time::timeout;

/// Logind answers at once, or is in no state to.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

const INHIBIT: Method<'_> = Method {
    destination: "org.freedesktop.login1",
    path: "/org/freedesktop/login1",
    interface: "org.freedesktop.login1.Manager",
    member: "Inhibit",
};

/// What, who, why, how.
const WORDS: [&str; 4] = ["shutdown", "millwright-agent", "tells that an ordered reboot starts", "delay"];

/// Holds a shutdown up until it is dropped, or logind has waited long enough.
#[derive(Debug)]
pub struct Delay(#[expect(dead_code, reason = "held open")] Handed);

/// Asks logind for one.
///
/// # Errors
/// Why there is none, for people. A shutdown is none the worse for it.
pub async fn take(paths: &Paths) -> Result<Delay, String> {
    let socket = paths.rooted("/run/dbus/system_bus_socket");
    match timeout(ANSWER_WITHIN, dbus::call(&socket, INHIBIT, Arguments::Texts(&WORDS))).await {
        Ok(Ok(Some(handed))) => Ok(Delay(handed)),
        Ok(Ok(None)) => Err("logind said yes and handed nothing over".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("logind did not answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::dbus::tests, *};
    use std::io::{self, Read};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn what_logind_hands_over_is_held_until_it_is_let_go() {
        let (_root, paths) = tests::node();
        let listener = UnixListener::bind(paths.rooted("/run/dbus/system_bus_socket")).unwrap();
        // Logind waits for the end of a pipe whose other end whoever holds the shutdown up has open.
        let (mut end, held) = io::pipe().unwrap();
        let (delay, asked) = tokio::join!(take(&paths), tests::bus_that_hands_over(listener, held.into()));
        let delay = delay.unwrap();
        let asked = String::from_utf8_lossy(&asked).into_owned();
        for word in ["Inhibit", "ssss", "shutdown\0", "millwright-agent\0", "delay\0"] {
            assert!(asked.contains(word), "{word:?} is missing in {asked:?}");
        }
        nix::fcntl::fcntl(&end, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        let open = end.read(&mut [0]).unwrap_err();
        assert_eq!(open.kind(), io::ErrorKind::WouldBlock, "somebody holds it open");
        drop(delay);
        assert_eq!(end.read(&mut [0]).unwrap(), 0, "nobody holds it open");
    }

    #[tokio::test]
    async fn without_logind_or_its_yes_there_is_none_and_why_is_said() {
        let (_root, paths) = tests::node();
        let why = take(&paths).await.unwrap_err();
        assert!(why.contains("system_bus_socket"), "{why}");
        for (answer, part) in [
            (tests::reply(3, 2, "a shutdown is under way"), "a shutdown is under way"),
            (tests::reply(2, 2, ""), "handed nothing over"),
        ] {
            let (_root, paths) = tests::node();
            let listener = UnixListener::bind(paths.rooted("/run/dbus/system_bus_socket")).unwrap();
            let (delay, _) = tokio::join!(take(&paths), tests::bus(listener, vec![answer]));
            let why = delay.unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
