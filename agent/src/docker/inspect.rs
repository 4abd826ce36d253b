//! Docker's `/containers/ID/json`: how one container is doing.

use crate::json;
use jiff::Timestamp;
use millwright_protocol::lenient::{self, Text};
use serde::Deserialize;

/// One container, looked at closely.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Docker's id.
    pub id: String,
    /// Its name without the leading slash.
    pub name: String,
    /// Docker's word: `running`, `exited`, …; on old engines put together from flags.
    pub state: String,
    /// When it last started; none when never.
    pub started_at: Option<Timestamp>,
    /// How often Docker restarted it.
    pub restarts: u64,
    /// `healthy`, `unhealthy`, `starting`; none without a health check.
    pub health: Option<String>,
    /// How it ended, while it is not running.
    pub exit_code: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default, rename = "Id")]
    id: Text,
    #[serde(default, rename = "Name")]
    name: Text,
    #[serde(default, rename = "State", deserialize_with = "lenient::or_default")]
    state: RawState,
    #[serde(default, rename = "RestartCount", deserialize_with = "lenient::count")]
    restarts: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    #[serde(default)]
    status: Text,
    #[serde(default, deserialize_with = "lenient::flag")]
    running: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    paused: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    restarting: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    dead: Option<bool>,
    #[serde(default)]
    started_at: Text,
    #[serde(default, deserialize_with = "lenient::number")]
    exit_code: Option<f64>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    health: RawHealth,
}

#[derive(Debug, Default, Deserialize)]
struct RawHealth {
    #[serde(default, rename = "Status")]
    status: Text,
}

/// Reads one container.
///
/// # Errors
/// Not a JSON object, or one without an id.
pub fn read_inspect(body: &[u8]) -> Result<Inspected, String> {
    let raw: Raw = json::object(body).map_err(|error| format!("read a container: {error}"))?;
    of_raw(raw)
}

/// Reads a list of containers as `docker inspect` prints it.
///
/// # Errors
/// Not a JSON list, or as [`read_inspect`].
pub fn read_inspects(body: &[u8]) -> Result<Vec<Inspected>, String> {
    let raw: Vec<Raw> = json::list(body).map_err(|error| format!("read containers: {error}"))?;
    raw.into_iter().map(of_raw).collect()
}

fn of_raw(raw: Raw) -> Result<Inspected, String> {
    if raw.id.0.is_empty() {
        return Err("read a container: it has no id".to_owned());
    }
    let state = raw.state;
    Ok(Inspected {
        id: raw.id.0,
        name: raw.name.0.trim_start_matches('/').to_owned(),
        state: word(&state),
        // The year 1 is Docker's way to say never.
        started_at: state.started_at.0.parse::<Timestamp>().ok().filter(|at| at.as_second() > 0),
        restarts: raw.restarts.unwrap_or_default(),
        health: Some(state.health.status.0.to_lowercase()).filter(|word| !word.is_empty() && word != "none"),
        exit_code: state.exit_code.map(|code| code as i64),
    })
}

fn word(state: &RawState) -> String {
    if !state.status.0.is_empty() {
        return state.status.0.clone();
    }
    let word = if state.restarting == Some(true) {
        "restarting"
    } else if state.paused == Some(true) {
        "paused"
    } else if state.running == Some(true) {
        "running"
    } else if state.dead == Some(true) {
        "dead"
    } else if state.running.is_none() {
        "unknown"
    } else if state.started_at.0.is_empty() || state.started_at.0.starts_with("0001-") {
        "created"
    } else {
        "exited"
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_of_today_and_one_of_an_old_engine_read_alike() {
        let new = read_inspect(
            br#"{"Id":"1","Name":"/zk","RestartCount":2,"State":{"Status":"running","Running":true,
                "StartedAt":"2026-01-31T10:00:00.123456789Z","Health":{"Status":"unhealthy","Log":[]}}}"#,
        )
        .unwrap();
        assert_eq!((new.name.as_str(), new.state.as_str(), new.restarts), ("zk", "running", 2));
        assert_eq!(new.health.as_deref(), Some("unhealthy"));
        let old = read_inspect(
            br#"{"Id":"1","Name":"/zk","State":{"Running":true,"Paused":false,"StartedAt":"2015-01-06T15:47:32.07Z"}}"#,
        )
        .unwrap();
        assert_eq!((old.state.as_str(), old.restarts, old.health), ("running", 0, None));
        assert_eq!(old.started_at.unwrap().as_second(), 1_420_559_252);
    }

    #[test]
    fn never_started_is_no_time() {
        let body = br#"{"Id":"1","State":{"Running":false,"ExitCode":0,"StartedAt":"0001-01-01T00:00:00Z"}}"#;
        let one = read_inspect(body).unwrap();
        assert_eq!((one.state.as_str(), one.started_at), ("created", None));
        assert_eq!(read_inspect(br#"{"Id":"1","State":null}"#).unwrap().state, "unknown");
        assert_eq!(read_inspect(br#"{"Id":"1","State":{"Running":"true"}}"#).unwrap().state, "running");
    }

    #[test]
    fn what_is_no_container_is_refused() {
        for body in ["", "[]", "{}", r#"{"Id":"1","State":"up"}"#, r#"{"message":"No such container"}"#] {
            assert!(read_inspect(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(read_inspects(br#"[{"Id":"1"}]"#).unwrap().len(), 1);
    }
}
