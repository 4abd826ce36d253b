//! A person says that a store which was put in its place by hand, without `restore`, is the one in force. (S9)

use super::{
    Incarnation, OpenError,
    moving::{refuse_if_moved, said},
    restore::{Desk, Found, RestoreError, put_in_force},
    schema,
};
use jiff::Timestamp;
use std::fs;

/// Raises the generation of the store of a coordinator that does not run, over every one that is known here. As after a
/// restore, what was withdrawn since stays withdrawn.
///
/// # Errors
/// There is no store, it cannot be written, or it has gone to another host. Then nothing has changed.
pub fn raise_generation(desk: Desk<'_>, reason: &str, now: Timestamp) -> Result<Incarnation, RestoreError> {
    if !fs::metadata(desk.store).is_ok_and(|file| file.len() > 0) {
        return Err(RestoreError::Nothing(desk.store.to_owned()));
    }
    refuse_if_moved(desk.store, false)?;
    let found = Found::in_copy(desk.store)?;
    let connection = schema::open(desk.store)?;
    let about = desk.store.display().to_string();
    let entry = said(desk.by, "raise_generation", &about, reason, now);
    put_in_force(&connection, desk, (&found, &Found::default()), &entry)
        .map_err(|source| OpenError::unreadable(desk.store, source).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, backup, testing::Place};

    fn raised(place: &Place) -> Result<u64, RestoreError> {
        let now = "2026-01-31T10:00:00Z".parse().unwrap();
        raise_generation(place.desk(), "put back by hand", now).map(|incarnation| incarnation.generation)
    }

    #[test]
    fn a_store_that_was_put_back_by_hand_gets_a_generation_that_no_copy_has_had() {
        let place = Place::on("mw");
        let first = place.open().incarnation();
        backup::copy(&place.path("store"), &place.path("by-hand")).unwrap();
        assert_eq!((raised(&place).unwrap(), raised(&place).unwrap()), (2, 3));
        let at = "2026-01-31T11:00:00Z".parse().unwrap();
        backup::copy_into(&place.path("backups"), &place.path("store"), at).unwrap();
        fs::copy(place.path("by-hand"), place.path("store")).unwrap();
        assert_eq!(place.open().incarnation(), first, "it says nothing of what was given meanwhile");
        assert_eq!(raised(&place).unwrap(), 4);
        assert_eq!(place.open().incarnation(), Incarnation { generation: 4, ..first });
        let entry = place.open().audit(1).unwrap().remove(0);
        assert_eq!((entry.what.as_str(), entry.reason.as_str()), ("raise_generation", "put back by hand"));
    }

    #[test]
    fn where_there_is_no_store_or_it_has_gone_elsewhere_nothing_is_raised() {
        let place = Place::on("mw");
        assert!(matches!(raised(&place), Err(RestoreError::Nothing(_))));
        assert!(!place.path("store").exists());
        drop(place.open());
        let now = "2026-01-31T09:00:00Z".parse().unwrap();
        crate::store::moving::send(&place.path("store"), "new", &"new".parse().unwrap(), "root", now)
            .unwrap();
        assert!(raised(&place).unwrap_err().to_string().contains("was moved to new"));
        assert!(Store::check(&place.path("store"), false).is_err());
    }
}
