//! The stream of a pull: how far it is, and whether it failed. Docker sends its 200 before it begins to work, so
//! failure arrives inside the stream.

use crate::json;
use millwright_protocol::lenient::{self, Text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A line longer than this is no progress of Docker's.
const LONGEST_LINE: usize = 1 << 20;
/// More layers than this are not followed one by one.
const MOST_LAYERS: usize = 1000;

/// What a pull has said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullStream {
    /// The piece of a record that has not ended yet.
    rest: Vec<u8>,
    layers: BTreeMap<String, Layer>,
    /// Why it failed, once it said so.
    error: Option<String>,
    /// Its last word, such as `Status: Image is up to date for …`.
    last_status: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Layer {
    done: u64,
    total: u64,
}

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(default)]
    status: Text,
    #[serde(default)]
    id: Text,
    #[serde(default)]
    error: Text,
    #[serde(default, rename = "errorDetail", deserialize_with = "lenient::or_default")]
    error_detail: ErrorDetail,
    #[serde(default, rename = "progressDetail", deserialize_with = "lenient::or_default")]
    progress: Progress,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    message: Text,
}

#[derive(Debug, Default, Deserialize)]
struct Progress {
    #[serde(default, deserialize_with = "lenient::count")]
    current: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    total: Option<u64>,
}

impl PullStream {
    /// Takes in the next piece; records end with a line feed, pieces may be cut anywhere.
    ///
    /// # Errors
    /// A record that is no JSON object.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), String> {
        self.rest.extend_from_slice(piece);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.take(&line)?;
        }
        if self.rest.len() > LONGEST_LINE {
            return Err("read the pull: a record of more than 1 MiB".to_owned());
        }
        Ok(())
    }

    /// Ends the stream; the last record may lack its line feed.
    ///
    /// # Errors
    /// Why the pull failed, or that the stream broke off inside a record.
    pub fn finish(&mut self) -> Result<(), String> {
        let line = std::mem::take(&mut self.rest);
        self.take(&line)?;
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Why it failed, once it said so.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Its last word about the whole.
    pub fn last_status(&self) -> &str {
        &self.last_status
    }

    /// Bytes done and to do, over all layers known so far.
    pub fn bytes(&self) -> (u64, u64) {
        self.layers.values().fold((0, 0), |(done, total), layer| {
            (done.saturating_add(layer.done.min(layer.total)), total.saturating_add(layer.total))
        })
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let record: Record = json::object(line).map_err(|error| format!("read the pull: {error}"))?;
        let message = if record.error_detail.message.0.is_empty() {
            record.error.0
        } else {
            record.error_detail.message.0
        };
        if !message.is_empty() {
            self.error = Some(message.chars().take(500).collect());
        }
        self.follow(&record.id.0, &record.status.0, &record.progress);
        if !record.status.0.is_empty() {
            self.last_status = record.status.0.chars().take(500).collect();
        }
        Ok(())
    }

    /// Downloading counts; extracting afterwards counts its bytes anew and is left out.
    fn follow(&mut self, layer: &str, status: &str, progress: &Progress) {
        if layer.is_empty() || (self.layers.len() >= MOST_LAYERS && !self.layers.contains_key(layer)) {
            return;
        }
        match status {
            "Downloading" => {
                let total = progress.total.or_else(|| self.layers.get(layer).map(|known| known.total));
                let done = progress.current.unwrap_or_default();
                self.layers.insert(layer.to_owned(), Layer { done, total: total.unwrap_or(done) });
            }
            "Download complete" | "Pull complete" | "Verifying Checksum" => {
                if let Some(known) = self.layers.get_mut(layer) {
                    known.done = known.total;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"{\"status\":\"Pulling from library/x\",\"id\":\"latest\"}\r\n\
        {\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"a\"}\r\n\
        {\"status\":\"Downloading\",\"progressDetail\":{\"current\":719,\"total\":2457},\"id\":\"a\"}\r\n\
        {\"status\":\"Downloading\",\"progressDetail\":{\"current\":100,\"total\":100},\"id\":\"b\"}\r\n\
        {\"status\":\"Extracting\",\"progressDetail\":{\"current\":5,\"total\":2457},\"id\":\"b\"}\r\n";

    #[test]
    fn progress_is_the_sum_over_layers_wherever_the_pieces_are_cut() {
        for size in [1, 7, 4096] {
            let mut pull = PullStream::default();
            for piece in STREAM.chunks(size) {
                pull.feed(piece).unwrap();
            }
            assert_eq!(pull.bytes(), (819, 2557), "pieces of {size}");
        }
    }

    #[test]
    fn a_layer_is_done_when_docker_says_so() {
        let mut pull = PullStream::default();
        pull.feed(STREAM).unwrap();
        pull.feed(b"{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"a\"}\n").unwrap();
        pull.feed(b"{\"status\":\"Status: Downloaded newer image for x:latest\"}").unwrap();
        pull.finish().unwrap();
        assert_eq!(pull.bytes(), (2557, 2557));
        assert_eq!(pull.last_status(), "Status: Downloaded newer image for x:latest");
    }

    #[test]
    fn an_error_inside_the_stream_is_a_failed_pull() {
        for record in [
            r#"{"errorDetail":{"message":"image not found"},"error":"image not found"}"#,
            r#"{"error":"image not found"}"#,
            r#"{"errorDetail":{"code":1,"message":"image not found"}}"#,
        ] {
            let mut pull = PullStream::default();
            pull.feed(STREAM).unwrap();
            pull.feed(record.as_bytes()).unwrap();
            assert_eq!(pull.finish().unwrap_err(), "image not found", "{record}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_or_is_no_json_is_an_error() {
        let mut pull = PullStream::default();
        pull.feed(b"{\"status\":\"Downl").unwrap();
        assert!(pull.finish().is_err());
        assert!(PullStream::default().feed(b"<html>\n").is_err());
        assert!(PullStream::default().feed(&vec![b' '; LONGEST_LINE + 2]).is_err());
    }
}
