//! Reads Puppet's YAML: Ruby's tags, symbols and anchors are passed over. The only file that knows the crate.

use serde::de::DeserializeOwned;
use std::io::Read;

/// A report larger than this is not read.
pub const LARGEST: usize = 8 << 20;

/// Reads one document, as a stream.
///
/// # Errors
/// Not YAML, not what `T` needs, larger than 8 MiB, or built to exhaust its reader.
pub fn read<T: DeserializeOwned>(document: impl Read) -> Result<T, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(LARGEST),
            max_events: 2_000_000,
            max_nodes: 1_000_000,
            // Anchored pieces are kept in memory until the end.
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 4 << 20,
            // Puppet shares the tags of resources by alias, thousands of times.
            max_aliases: 200_000,
            enforce_alias_anchor_ratio: false,
        },
    };
    serde_saphyr::from_reader_with_options(document, options).map_err(|error| {
        // A reader's error says only that there was one; its cause says what. Of a message the first line says
        // what, the rest is a picture of the place.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let message = cause.to_string();
        message.lines().next().unwrap_or_default().chars().take(200).collect()
    })
}
