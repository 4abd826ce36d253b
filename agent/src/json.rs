//! Reads JSON bodies of outside systems into small structs.

use serde::de::DeserializeOwned;

/// Reads an object.
///
/// # Errors
/// Not JSON, not an object (serde alone would take a list for one), or not what `T` needs.
pub fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    opened_by(body, b'{', "an object")
}

/// Reads a list.
///
/// # Errors
/// Not JSON, not a list, or an element is not what `T` needs.
pub fn list<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, String> {
    opened_by(body, b'[', "a list")
}

fn opened_by<T: DeserializeOwned>(body: &[u8], opening: u8, what: &str) -> Result<T, String> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err("nothing there, not even JSON".to_owned()),
        Some(&first) if first != opening => return Err(format!("not {what} of JSON")),
        Some(_) => {}
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Thing {
        name: String,
    }

    #[test]
    fn a_list_is_no_object_and_an_object_no_list() {
        assert_eq!(object::<Thing>(b" {\"name\":\"x\"}").unwrap().name, "x");
        assert!(object::<Thing>(b"[]").is_err());
        assert!(object::<Thing>(b" ").is_err());
        assert!(object::<Thing>(b"{").is_err());
        assert!(list::<Thing>(b"{}").is_err());
        assert_eq!(list::<Thing>(b"[{}]").unwrap(), [Thing::default()]);
    }
}
