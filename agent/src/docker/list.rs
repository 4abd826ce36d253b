//! Docker's `/containers/json`: which containers there are.

use crate::json;
use millwright_protocol::lenient::Text;
use serde::{Deserialize, Deserializer};

/// One container of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Docker's id.
    pub id: String,
    /// Its own name, without the leading slash; links to it give further names, which are left out.
    pub name: String,
    /// Its image, as it was started.
    pub image: String,
    /// Docker's word: `running`, `exited`, …; before API 1.23 read from the status.
    pub state: String,
    /// Docker's sentence, such as `Up 2 hours (unhealthy)`.
    pub status: String,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default, rename = "Id")]
    id: Text,
    #[serde(default, rename = "Names", deserialize_with = "names")]
    names: Vec<Text>,
    #[serde(default, rename = "Image")]
    image: Text,
    #[serde(default, rename = "State")]
    state: Text,
    #[serde(default, rename = "Status")]
    status: Text,
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Text>, D::Error> {
    Ok(Option::<Vec<Text>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the list.
///
/// # Errors
/// Not a JSON list of objects, or an element without an id.
pub fn read_list(body: &[u8]) -> Result<Vec<Listed>, String> {
    let raw: Vec<Raw> = json::list(body).map_err(|error| format!("read Docker's containers: {error}"))?;
    raw.into_iter()
        .map(|raw| {
            if raw.id.0.is_empty() {
                return Err("read Docker's containers: one has no id".to_owned());
            }
            let state = if raw.state.0.is_empty() { state_of(&raw.status.0).to_owned() } else { raw.state.0 };
            Ok(Listed {
                name: own_name(&raw.names),
                id: raw.id.0,
                image: raw.image.0,
                state,
                status: raw.status.0,
            })
        })
        .collect()
}

/// Of `/web`, `/other/alias`, the one without a further slash.
fn own_name(names: &[Text]) -> String {
    let bare = |name: &Text| name.0.trim_start_matches('/').to_owned();
    names
        .iter()
        .map(bare)
        .find(|name| !name.contains('/'))
        .or_else(|| names.first().map(bare))
        .unwrap_or_default()
}

/// What engines before API 1.23 say only in words.
fn state_of(status: &str) -> &'static str {
    match status {
        up if up.starts_with("Up") && up.contains("(Paused)") => "paused",
        up if up.starts_with("Up") => "running",
        restarting if restarting.starts_with("Restarting") => "restarting",
        exited if exited.starts_with("Exited") || exited.starts_with("Exit") => "exited",
        dead if dead.starts_with("Dead") => "dead",
        removing if removing.starts_with("Removal") => "removing",
        created if created.is_empty() || created.starts_with("Created") => "created",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_engines_say_the_state_in_words_only() {
        let body = br#"[
            {"Id":"1","Names":["/web/alias","/web"],"Image":"i","Status":"Up 2 hours"},
            {"Id":"2","Names":null,"Status":"Exited (137) 3 days ago"},
            {"Id":"3","Names":["/c"],"Status":"Up 3 seconds (Paused)"},
            {"Id":"4","Status":"Restarting (1) 5 seconds ago"},
            {"Id":"5","Names":[],"Status":""},
            {"Id":"6","State":"running","Status":"Up 2 hours (unhealthy)","New":{"a":1}}]"#;
        let list = read_list(body).unwrap();
        let states: Vec<_> = list.iter().map(|one| one.state.as_str()).collect();
        assert_eq!(states, ["running", "exited", "paused", "restarting", "created", "running"]);
        assert_eq!(list[0].name, "web");
    }

    #[test]
    fn what_is_no_list_of_containers_is_refused() {
        for body in ["", "{}", "[{}]", "[1]", r#"[{"Id":"1","Names":{}}]"#, r#"[{"Id":"1"}"#] {
            assert!(read_list(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(read_list(b" [] ").unwrap(), []);
    }
}
