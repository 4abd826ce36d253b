//! Lenient readers for numbers of outside systems: Mesos and friends write counts as floats, and now and
//! then as text.

use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, fmt};

/// A number, however it was written; `null` and text that is no number are `None`.
///
/// # Errors
/// Objects and lists are refused: there the shape itself is not what we think it is.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

/// A count: a finite number not below zero, cut to a whole one.
///
/// # Errors
/// As [`number`].
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(number(deserializer)?.filter(|value| (0.0..1e15).contains(value)).map(whole))
}

fn whole(value: f64) -> u64 {
    value as u64
}

/// A yes or no, however it was written: `true`, `1`, `"true"`; anything else is `None`.
///
/// # Errors
/// Objects and lists are refused.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match text(deserializer)?.as_deref().map(str::trim) {
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        _ => None,
    })
}

/// A text, or the text of a number or boolean; `None` for `null`.
///
/// # Errors
/// Objects and lists are refused.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose {
        Text(String),
        Flag(bool),
        Number(f64),
        Nothing(()),
    }
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Text(text) => Some(text),
        Loose::Flag(flag) => Some(flag.to_string()),
        Loose::Number(number) => Some(number.to_string()),
        Loose::Nothing(()) => None,
    })
}

/// A text however it was written: see [`text`]; `null` is the empty text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(text(deserializer)?.unwrap_or_default()))
    }
}

/// `null` read as the default of its type.
///
/// # Errors
/// As the type's own reader.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Labels written as `[{"key": …, "value": …}]`; a value may be absent, an object around the list is seen through.
///
/// # Errors
/// Anything else than a list, an object or `null`.
pub fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    struct Label {
        #[serde(default)]
        key: Text,
        #[serde(default)]
        value: Text,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Labels {
        List(Vec<Label>),
        Wrapped {
            #[serde(default)]
            labels: Vec<Label>,
        },
        Nothing(()),
    }

    Ok(match Labels::deserialize(deserializer)? {
        Labels::List(labels) | Labels::Wrapped { labels } => {
            labels.into_iter().map(|label| (label.key.0, label.value.0)).collect()
        }
        Labels::Nothing(()) => BTreeMap::new(),
    })
}

struct NumberVisitor;

impl<'de> de::Visitor<'de> for NumberVisitor {
    type Value = Option<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.is_finite().then_some(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(f64::from(u8::from(value))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.trim().parse::<f64>().ok().filter(|number| number.is_finite()))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "count")]
        agents: Option<u64>,
    }

    fn agents(json: &str) -> Option<u64> {
        serde_json::from_str::<Sample>(json).unwrap().agents
    }

    #[test]
    fn a_count_may_be_whole_float_text_or_absent() {
        for (json, seen) in [
            (r#"{"agents":3}"#, Some(3)),
            (r#"{"agents":3.0}"#, Some(3)),
            (r#"{"agents":"3"}"#, Some(3)),
            (r#"{"agents":null}"#, None),
            (r#"{"agents":"many"}"#, None),
            (r#"{"agents":-1}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(agents(json), seen, "{json}");
        }
    }

    #[test]
    fn a_flag_may_be_a_boolean_a_number_or_a_text() {
        #[derive(Deserialize)]
        struct Flagged {
            #[serde(default, deserialize_with = "flag")]
            active: Option<bool>,
        }
        for (json, seen) in [
            (r#"{"active":true}"#, Some(true)),
            (r#"{"active":1}"#, Some(true)),
            (r#"{"active":0.0}"#, Some(false)),
            (r#"{"active":"false"}"#, Some(false)),
            (r#"{"active":"perhaps"}"#, None),
            (r#"{"active":null}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(serde_json::from_str::<Flagged>(json).unwrap().active, seen, "{json}");
        }
    }

    #[test]
    fn labels_are_read_in_every_shape_they_come_in() {
        #[derive(Deserialize)]
        struct Labelled {
            #[serde(default, deserialize_with = "labels")]
            labels: BTreeMap<String, String>,
        }
        for (json, seen) in [
            (r#"{"labels":[{"key":"a","value":"b"},{"key":"c"}]}"#, "a=b,c="),
            (r#"{"labels":{"labels":[{"key":"a","value":1}]}}"#, "a=1"),
            (r#"{"labels":null}"#, ""),
            (r#"{"labels":{}}"#, ""),
            (r#"{}"#, ""),
        ] {
            let read = serde_json::from_str::<Labelled>(json).unwrap().labels;
            let pairs: Vec<String> = read.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(pairs.join(","), seen, "{json}");
        }
    }

    #[test]
    fn a_list_is_no_number() {
        assert!(serde_json::from_str::<Sample>(r#"{"agents":[1]}"#).is_err());
    }
}
