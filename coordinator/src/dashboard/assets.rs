//! Style sheet, script and icon: compiled in, sent once, asked for again by their tag only.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A file that pages refer to.
pub struct Asset {
    content_type: &'static str,
    text: &'static str,
}

/// How pages look.
pub const STYLE: Asset =
    Asset { content_type: "text/css; charset=utf-8", text: include_str!("assets/style.css") };
/// How pages stay fresh.
pub const LIVE: Asset =
    Asset { content_type: "text/javascript; charset=utf-8", text: include_str!("assets/live.js") };
/// The icon of a browser's tab.
pub const ICON: Asset = Asset { content_type: "image/svg+xml", text: include_str!("assets/icon.svg") };

impl Asset {
    /// The asset, or "not modified" to who has it.
    pub fn answer(&self, asked: &HeaderMap) -> Response {
        let tag = format!("\"{:016x}\"", digest(self.text.as_bytes()));
        let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let is_known = known
            .is_some_and(|tags| tags.split(',').any(|given| given.trim().trim_start_matches("W/") == tag));
        let mut answer =
            if is_known { StatusCode::NOT_MODIFIED.into_response() } else { self.text.into_response() };
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        answer
    }
}

/// FNV-1a: tells versions of our own files apart, and guards nothing.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_asset_is_told_so() {
        let first = STYLE.answer(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers().get(header::ETAG).unwrap().clone();
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, tag.clone());
        assert_eq!(STYLE.answer(&asked).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(LIVE.answer(&asked).status(), StatusCode::OK, "another asset has another tag");
    }
}
