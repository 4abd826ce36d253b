//! Docker's `/images/NAME/json`: whether an image is there, and how large it is.

use crate::json;
use millwright_protocol::lenient::{self, Text};
use serde::Deserialize;

/// One image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Docker's id of it.
    pub id: String,
    /// Its size on disk in bytes, layers shared with others counted too.
    pub size_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default, rename = "Id")]
    id: Text,
    #[serde(default, rename = "VirtualSize", deserialize_with = "lenient::count")]
    virtual_size: Option<u64>,
    #[serde(default, rename = "Size", deserialize_with = "lenient::count")]
    size: Option<u64>,
}

impl Raw {
    fn into_image(self) -> Result<Image, String> {
        if self.id.0.is_empty() {
            return Err("read an image: it has no id".to_owned());
        }
        let size_bytes = self.size.unwrap_or_default().max(self.virtual_size.unwrap_or_default());
        Ok(Image { id: self.id.0, size_bytes })
    }
}

/// Reads one image.
///
/// # Errors
/// Not a JSON object, or one without an id.
pub fn read_image(body: &[u8]) -> Result<Image, String> {
    json::object::<Raw>(body).map_err(|error| format!("read an image: {error}"))?.into_image()
}

/// Reads the list of all images.
///
/// # Errors
/// Not a JSON list, or as [`read_image`].
pub fn read_images(body: &[u8]) -> Result<Vec<Image>, String> {
    let raw: Vec<Raw> = json::list(body).map_err(|error| format!("read Docker's images: {error}"))?;
    raw.into_iter().map(Raw::into_image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_an_id_and_a_size_on_old_engines_too() {
        let old = read_image(br#"{"Id":"b750fe","Size":0,"VirtualSize":180116135,"Created":1}"#).unwrap();
        assert_eq!((old.id.as_str(), old.size_bytes), ("b750fe", 180_116_135));
        assert_eq!(read_image(br#"{"Id":"sha256:1","Size":7}"#).unwrap().size_bytes, 7);
        assert_eq!(read_images(br#"[{"Id":"1","Size":7}]"#).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for body in ["", "{}", "[]", r#"{"message":"No such image"}"#] {
            assert!(read_image(body.as_bytes()).is_err(), "{body}");
        }
    }
}
