//! Docker's `/info`: which engine, where it keeps things, how full its thin pool is.

use super::size::read_size;
use crate::json;
use millwright_protocol::lenient::{self, Text};
use serde::Deserialize;

/// What `/info` says, for API 1.18 and later.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    /// The engine's version; empty before API 1.22.
    pub version: String,
    /// Storage driver such as `overlay2` or `devicemapper`.
    pub driver: String,
    /// Where images and containers are kept.
    pub root_dir: String,
    /// Containers, running or not.
    pub containers: Option<u64>,
    /// Images.
    pub images: Option<u64>,
    /// Devicemapper's pool; none for other drivers.
    pub pool: Option<ThinPool>,
}

/// How full devicemapper's pool is: writes fail when either half is full.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ThinPool {
    /// Space for data.
    pub data: Option<Fill>,
    /// Space for metadata.
    pub metadata: Option<Fill>,
    /// Whether it lies in files on a file system, which is no place for production.
    pub is_loopback: bool,
}

/// Used and total, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Bytes in use.
    pub used: u64,
    /// Bytes there are.
    pub total: u64,
}

impl Fill {
    /// How much is used, in percent, rounded up.
    pub fn percent(self) -> u64 {
        let percent = (u128::from(self.used) * 100).div_ceil(u128::from(self.total.max(1)));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default, rename = "ServerVersion")]
    version: Text,
    #[serde(default, rename = "Driver")]
    driver: Option<Text>,
    #[serde(default, rename = "DriverStatus")]
    driver_status: serde_json::Value,
    #[serde(default, rename = "DockerRootDir")]
    root_dir: Text,
    #[serde(default, rename = "Containers", deserialize_with = "lenient::count")]
    containers: Option<u64>,
    #[serde(default, rename = "Images", deserialize_with = "lenient::count")]
    images: Option<u64>,
}

/// Reads `/info`.
///
/// # Errors
/// Not a JSON object, or one that names neither storage driver nor containers.
pub fn read_info(body: &[u8]) -> Result<Info, String> {
    let raw: Raw = json::object(body).map_err(|error| format!("read Docker's info: {error}"))?;
    if raw.driver.is_none() && raw.containers.is_none() {
        return Err("read Docker's info: it names neither a storage driver nor containers".to_owned());
    }
    let driver = raw.driver.map(|driver| driver.0).unwrap_or_default();
    let pool = (driver == "devicemapper").then(|| read_pool(&raw.driver_status));
    Ok(Info {
        version: raw.version.0,
        driver,
        root_dir: raw.root_dir.0,
        containers: raw.containers,
        images: raw.images,
        pool,
    })
}

/// The driver's status is a list of pairs meant for people; what is not a pair of texts is passed over.
fn read_pool(status: &serde_json::Value) -> ThinPool {
    let find = |label: &str| {
        status.as_array()?.iter().find_map(|pair| match pair.as_array()?.as_slice() {
            [name, value] if name.as_str()? == label => value.as_str(),
            _ => None,
        })
    };
    let fill = |kind: &str| {
        let used = read_size(find(&format!("{kind} Space Used"))?)?;
        let total = read_size(find(&format!("{kind} Space Total"))?)?;
        (total > 0).then_some(Fill { used, total })
    };
    let is_loopback = find("Data loop file").is_some()
        || find("Data file").is_some_and(|file| file.starts_with("/dev/loop"));
    ThinPool { data: fill("Data"), metadata: fill("Metadata"), is_loopback }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_pool_is_read_from_text_meant_for_people() {
        let body = br#"{"Driver":"devicemapper","ServerVersion":"1.13.1","Containers":"4","DriverStatus":[
            ["Pool Name","x"],[""],["Data file","/dev/loop0"],["Data Space Used","17.3 GB"],["Data Space Total","20GB"],
            ["Metadata Space Used","20.97 MB"],["Metadata Space Total","2.147 GB"],["Odd",7]]}"#;
        let info = read_info(body).unwrap();
        let pool = info.pool.unwrap();
        assert_eq!(pool.data.unwrap().percent(), 87);
        assert_eq!(pool.metadata.unwrap().percent(), 1);
        assert!(pool.is_loopback);
        assert_eq!(info.containers, Some(4));
    }

    #[test]
    fn old_engines_and_other_drivers_have_no_pool() {
        let body = br#"{"Containers":11,"Debug":0,"Driver":"btrfs","DriverStatus":[[""]],"MemoryLimit":1}"#;
        let info = read_info(body).unwrap();
        assert_eq!((info.driver.as_str(), info.pool, info.version.as_str()), ("btrfs", None, ""));
        assert_eq!(read_info(br#"{"Driver":"overlay2","DriverStatus":null}"#).unwrap().pool, None);
    }

    #[test]
    fn warnings_that_are_null_absent_or_a_list_are_no_fault_of_docker() {
        for warnings in ["", r#","Warnings":null"#, r#","Warnings":[]"#, r#","Warnings":["no swap limit"]"#] {
            let body = format!(r#"{{"Driver":"overlay2","Containers":4{warnings}}}"#);
            assert_eq!(read_info(body.as_bytes()).unwrap().containers, Some(4), "{body}");
        }
    }

    #[test]
    fn a_pool_without_figures_is_not_an_empty_pool() {
        let pool = read_info(br#"{"Driver":"devicemapper","DriverStatus":[["Data Space Total","x"]]}"#)
            .unwrap()
            .pool;
        assert_eq!(pool.unwrap().data, None);
    }

    #[test]
    fn what_is_no_info_is_refused() {
        for body in ["", "[]", "{}", "OK", r#"{"Driver":{}}"#, "{\"Driver\":\"\u{0}"] {
            assert!(read_info(body.as_bytes()).is_err(), "{body}");
        }
    }
}
