//! Reading JSON from a stranger: announced as JSON, within its length, within its time, UTF-8, of the right shape.

use super::error::{ErrorCode, Refusal};
use axum::{extract::Request, http::header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The whole body must be here after this.
const ARRIVAL: Duration = Duration::from_secs(20);
/// So many times the longest body is read before a sender that does not end is cut off.
const PATIENCE: usize = 4;

/// Reads the body as JSON.
///
/// # Errors
/// A [`Refusal`] that names line, column and field of what is wrong.
pub async fn json<T: DeserializeOwned>(request: Request, longest: usize) -> Result<T, Refusal> {
    announced_as_json(&request)?;
    parse(&bytes(request, longest).await?)
}

/// As [`json`], and an absent body reads as `{}`.
///
/// # Errors
/// As [`json`].
pub async fn optional_json<T: DeserializeOwned>(request: Request, longest: usize) -> Result<T, Refusal> {
    let announced = announced_as_json(&request);
    let bytes = bytes(request, longest).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return parse(b"{}");
    }
    announced?;
    parse(&bytes)
}

/// A web page may send text anywhere unasked; JSON it may not.
fn announced_as_json(request: &Request) -> Result<(), Refusal> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::UnsupportedMediaType,
        format!(
            "the content type is {:?}; send the body with \"content-type: application/json\"",
            essence.chars().take(60).collect::<String>()
        ),
    ))
}

async fn bytes(request: Request, longest: usize) -> Result<Vec<u8>, Refusal> {
    match tokio::time::timeout(ARRIVAL, gather(request, longest)).await {
        Ok(gathered) => gathered,
        Err(_) => Err(Refusal::new(
            ErrorCode::TooSlow,
            format!("the body was not complete after {} s", ARRIVAL.as_secs()),
        )),
    }
}

/// The body, if it is short enough. One that is not is read on for a while and thrown away: were the connection closed
/// while its sender still sends, the sender would hear of a broken connection and not of the refusal.
async fn gather(request: Request, longest: usize) -> Result<Vec<u8>, Refusal> {
    let mut body = request.into_body();
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Refusal::new(ErrorCode::BadRequest, format!("the body broke off: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len();
        if seen <= longest {
            kept.extend_from_slice(data);
        } else if seen > longest.saturating_mul(PATIENCE) {
            break;
        }
    }
    if seen <= longest {
        return Ok(kept);
    }
    let message = format!("the body is longer than the {longest} bytes that are taken here");
    Err(Refusal::new(ErrorCode::BodyTooLarge, message))
}

/// The text as `T`. Reads it a second time only to say where it is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text = str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    serde_json::from_str(text).map_err(|error| bad_json::<T>(text, &error))
}

fn not_utf8(bytes: &[u8], offset: usize) -> Refusal {
    let before = bytes.get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let found = bytes.get(offset).copied().unwrap_or_default();
    Refusal::new(
        ErrorCode::NotUtf8,
        format!("the body is not UTF-8: byte 0x{found:02x} at line {line} column {column}"),
    )
}

fn bad_json<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Refusal {
    let path = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text))
        .err()
        .map(|error| error.path().to_string())
        .filter(|path| path != ".")
        .map_or(String::new(), |path| format!(" in {}", path.chars().take(200).collect::<String>()));
    // serde quotes what it found, and a stranger may have sent megabytes of it.
    let found: String = error.to_string().chars().take(400).collect();
    let place = format!("line {} column {}", error.line(), error.column());
    let place = if found.contains(&place) { String::new() } else { format!(" at {place}") };
    Refusal::new(ErrorCode::BadJson, format!("the body is not what it should be{path}: {found}{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_protocol::Report;

    fn refused(text: &[u8]) -> Refusal {
        parse::<Report>(text).unwrap_err()
    }

    #[test]
    fn a_complaint_names_line_column_and_field() {
        let refusal = refused(
            b"{\"protocol\": 1,\n \"node\": \"n\", \"findings\": [{\"check\": \"a\", \"status\": 7}]}",
        );
        assert_eq!(refusal.code, ErrorCode::BadJson);
        for part in ["findings[0].status", "line 2", "column"] {
            assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
        }
        assert!(refused(b"{\"protocol\": 1}").message.contains("`node`"));
    }

    #[test]
    fn bytes_that_are_no_text_are_pointed_at() {
        let refusal = refused(b"{\n\"node\": \"\xff\"}");
        assert_eq!(refusal.code, ErrorCode::NotUtf8);
        assert!(refusal.message.contains("0xff at line 2 column 10"), "{}", refusal.message);
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let deep = format!("{{\"facts\":{{\"mesos_agent\":{}", "[".repeat(1_000_000));
        let refusal = refused(deep.as_bytes());
        assert_eq!(refusal.code, ErrorCode::BadJson);
        assert!(refusal.message.len() < 1000, "{}", refusal.message.len());
    }

    #[test]
    fn a_complaint_about_a_huge_value_is_short() {
        let huge = format!("{{\"protocol\": \"{}\"}}", "x".repeat(1_000_000));
        let refusal = refused(huge.as_bytes());
        assert!(refusal.message.len() < 1000 && refusal.message.contains("line 1"), "{}", refusal.message);
    }
}
