//! Tries every way to people, so that an operator sees it work before it is needed.

use crate::{
    config::Config,
    integrations::{channels, peer::Tallies},
    notice::{Level, Notice, Parcel},
    store::Incarnation,
};
use jiff::Timestamp;
use uuid::Uuid;

/// Sends one message on each channel and says how each took it.
///
/// # Errors
/// None is configured, or one did not take it; a line each.
pub async fn notify_test(config: &Config) -> Result<String, String> {
    // Told apart from everything that a coordinator tells.
    let store = Incarnation { cluster: Uuid::new_v4(), generation: 0 };
    let channels = channels::all(&config.notice, store, &Tallies::default())?;
    if channels.is_empty() {
        return Err("nobody is told: [notice] of coordinator.toml names no channel".to_owned());
    }
    let parcel = Parcel {
        id: String::new(),
        root: None,
        notice: Notice {
            at: Timestamp::now(),
            level: Level::Info,
            node: None,
            subject: "test".to_owned(),
            operation: None,
            text: "this is a test of Millwright's notices; nothing has happened".to_owned(),
        },
    };
    let (mut lines, mut is_good) = (Vec::new(), true);
    for channel in channels {
        match channel.tell(&parcel).await {
            Ok(_) => lines.push(format!("{}: taken", channel.name())),
            Err(why) => {
                is_good = false;
                lines.push(format!("{}: not taken: {why}", channel.name()));
            }
        }
    }
    if is_good { Ok(lines.join("\n")) } else { Err(lines.join("\nmillwright-coordinator: ")) }
}
