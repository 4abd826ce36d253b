//! `[people]`: who may look and who may do what, for people whom a proxy vouches for, and how long sessions last.

use crate::people::{Grant, Rights, Role, is_name};
use std::{collections::BTreeMap, time::Duration};

/// Who may come, and as whom.
#[derive(Debug, Clone)]
pub struct People {
    /// Whether somebody on this host may look without saying who they are.
    pub look_without_name: bool,
    /// A browser's session ends when it has not been used for so long.
    pub idle: Duration,
    /// A browser's session ends after so long.
    pub session: Duration,
    /// No token lasts longer.
    pub token: Duration,
    /// Who vouches for people.
    pub proxy: Proxy,
    /// What people may do whom a proxy vouches for.
    pub roles: Roles,
}

/// A reverse proxy that has people sign in and says who they are.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Users of this host, on the Unix socket.
    pub users: Vec<String>,
    /// Names in the certificates of other hosts.
    pub hosts: Vec<String>,
    /// The header with somebody's name.
    pub person_header: String,
    /// The header with their groups.
    pub groups_header: String,
}

/// Who has which rights.
#[derive(Debug, Clone, Default)]
pub struct Roles(BTreeMap<Who, Rights>);

/// Whom an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// Whoever has signed in: `*`.
    Everybody,
    /// Everybody in a group, spelled as the proxy spells it: `group:alice-vm-admin`.
    Group(String),
    /// One person, in lower case, since systems differ there: `jane`.
    Person(String),
}

impl Roles {
    /// What a person in these groups may do.
    pub fn of<'a>(&self, person: &str, groups: impl IntoIterator<Item = &'a str>) -> Rights {
        let mut rights = Rights::default();
        let groups = groups.into_iter().map(|group| Who::Group(group.to_owned()));
        for who in [Who::Everybody, Who::Person(person.to_ascii_lowercase())].into_iter().chain(groups) {
            if let Some(more) = self.0.get(&who) {
                rights.add(more);
            }
        }
        rights
    }

    /// Adds what one entry of a list says: `jane`, or `jane on agent`.
    ///
    /// # Errors
    /// The entry names nobody, or no class.
    pub(super) fn add(&mut self, role: Role, entry: &str) -> Result<(), String> {
        let (who, grant) = match entry.split_once(" on ") {
            None => (entry, role.to_string()),
            Some((who, class)) => (who, format!("{role}:{}", class.trim())),
        };
        let grant: Grant = grant.parse().map_err(|_| {
            format!(
                "{entry:?} names no class of nodes; write one such as \"jane on agent\", or \"jane\" for all"
            )
        })?;
        let who = Who::parse(who.trim()).ok_or_else(|| {
            format!(
                "{entry:?} names nobody; write \"jane\", \"group:alice-vm-admin\", \"jane on agent\", or \"*\" for \
                 whoever has signed in"
            )
        })?;
        self.0.entry(who).or_default().add(&[grant].into_iter().collect());
        Ok(())
    }
}

impl Who {
    fn parse(text: &str) -> Option<Self> {
        let (name, who): (&str, fn(&str) -> Self) = match text.strip_prefix("group:") {
            Some(group) => (group, |name| Self::Group(name.to_owned())),
            None => (text, |name| Self::Person(name.to_ascii_lowercase())),
        };
        match name {
            "*" => (text == "*").then_some(Self::Everybody),
            name => is_name(name).then(|| who(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_may_do_what_they_and_their_groups_and_everybody_may() {
        let mut roles = Roles::default();
        for (role, entry) in [
            (Role::View, "*"),
            (Role::Operate, "Jane on agent"),
            (Role::Approve, "group:vm-admin"),
            (Role::Admin, "root-of-all"),
        ] {
            roles.add(role, entry).unwrap();
        }
        assert_eq!(roles.of("joe", []).words(), ["view"]);
        assert_eq!(roles.of("JANE", ["others"]).words(), ["view", "operate:agent"]);
        assert_eq!(roles.of("jane", ["vm-admin"]).words(), ["view", "operate:agent", "approve"]);
        assert_eq!(roles.of("group:vm-admin", []).words(), ["view"], "nobody is a group by their name");
    }

    #[test]
    fn an_entry_that_names_nobody_or_no_class_is_refused() {
        for wrong in ["", " ", "group:", "group:*", "jane on mars", "jane doe", "jane on ", "j:x"] {
            assert!(Roles::default().add(Role::View, wrong).is_err(), "{wrong:?}");
        }
    }
}
