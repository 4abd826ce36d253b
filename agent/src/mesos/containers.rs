//! A Mesos agent's `/containers`: which containers it believes to run.

use crate::json;
use millwright_protocol::lenient::Text;
use serde::Deserialize;

/// One container that the agent lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MesosContainer {
    /// Mesos' id of the container; Docker's name for it holds this id.
    pub container_id: String,
    /// The executor in it.
    pub executor_id: String,
    /// Its framework.
    pub framework_id: String,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default)]
    container_id: Text,
    #[serde(default)]
    executor_id: Text,
    #[serde(default)]
    framework_id: Text,
}

/// Reads the list.
///
/// # Errors
/// Not a JSON list of objects, or an element that names neither container nor executor.
pub fn read_containers(body: &[u8]) -> Result<Vec<MesosContainer>, String> {
    let raw: Vec<Raw> = json::list(body).map_err(|error| format!("read the containers: {error}"))?;
    raw.into_iter()
        .map(|raw| {
            if raw.container_id.0.is_empty() && raw.executor_id.0.is_empty() {
                return Err("read the containers: one without container_id and executor_id".to_owned());
            }
            Ok(MesosContainer {
                container_id: raw.container_id.0,
                executor_id: raw.executor_id.0,
                framework_id: raw.framework_id.0,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_statistics_may_be_missing() {
        let body = br#"[{"container_id":"c1","executor_id":"e1","framework_id":"f1","source":"x"}]"#;
        assert_eq!(read_containers(body).unwrap()[0].container_id, "c1");
        assert_eq!(read_containers(b"[]").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_containers_is_refused() {
        for body in ["{}", "[1]", "[{}]", "", r#"[{"container_id":{}}]"#] {
            assert!(read_containers(body.as_bytes()).is_err(), "{body}");
        }
    }
}
