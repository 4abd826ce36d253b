//! What somebody may do: roles, for every node or for those of one class.

use millwright_decision::Class;
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What somebody may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    View,
    /// Say words about nodes and findings; start operations and call them off.
    Operate,
    /// Approve what somebody else has started.
    Approve,
    /// Give tokens to others and take them away.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::View, Self::Operate, Self::Approve, Self::Admin];

    /// The word in configuration, API and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One role, for every node or for those of a class. Written `operate` or `operate:agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// What.
    pub role: Role,
    /// On what; `None` for everything, nodes that no policy lists included.
    pub class: Option<Class>,
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            None => self.role.fmt(formatter),
            Some(class) => write!(formatter, "{}:{class}", self.role),
        }
    }
}

/// A text that grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no right; write a role (view, operate, approve, admin), or a role for one class such as \"operate:agent\" \
     (master, agent, agent-no-volume, dedicated, physical)"
)]
pub struct WrongGrant(pub String);

impl FromStr for Grant {
    type Err = WrongGrant;

    fn from_str(text: &str) -> Result<Self, WrongGrant> {
        let wrong = || WrongGrant(text.chars().take(60).collect());
        let (role, class) = match text.split_once(':') {
            None => (text, None),
            Some((role, class)) => (role, Some(class)),
        };
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or_else(wrong)?;
        let class = match class {
            None => None,
            Some(word) => Some(*Class::ALL.iter().find(|known| known.as_str() == word).ok_or_else(wrong)?),
        };
        Ok(Self { role, class })
    }
}

/// Everything somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(BTreeSet<Grant>);

impl Rights {
    /// One role for everything.
    pub fn everywhere(role: Role) -> Self {
        Self(BTreeSet::from([Grant { role, class: None }]))
    }

    /// Whether somebody may do something with nodes of a class; `None` asks about everything.
    pub fn may(&self, role: Role, class: Option<Class>) -> bool {
        self.0.iter().any(|grant| grant.role >= role && (grant.class.is_none() || grant.class == class))
    }

    /// Whether somebody may look: whoever may do anything may.
    pub fn may_look(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether all of `other` is in this.
    pub fn include(&self, other: &Self) -> bool {
        other.0.iter().all(|grant| self.may(grant.role, grant.class))
    }

    /// As words, such as `operate:agent`.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(Grant::to_string).collect()
    }

    /// From words.
    ///
    /// # Errors
    /// The first word that is none.
    pub fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, WrongGrant> {
        words.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(other.0.iter().copied());
    }
}

impl FromIterator<Grant> for Rights {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.may_look() {
            true => formatter.write_str(&self.words().join(", ")),
            false => formatter.write_str("nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(words: &str) -> Rights {
        Rights::of_words(words.split_whitespace()).unwrap()
    }

    #[test]
    fn a_role_includes_those_before_it_and_none_after_it() {
        for (place, held) in Role::ALL.into_iter().enumerate() {
            for (other, asked) in Role::ALL.into_iter().enumerate() {
                assert_eq!(Rights::everywhere(held).may(asked, None), other <= place, "{held} and {asked}");
            }
        }
        assert!(!Rights::default().may(Role::View, None) && !Rights::default().may_look());
    }

    #[test]
    fn a_role_for_a_class_reaches_no_other_class_and_not_everything() {
        let of_agents = rights("approve:agent view");
        assert!(of_agents.may(Role::Operate, Some(Class::Agent)));
        assert!(!of_agents.may(Role::Operate, Some(Class::Master)));
        assert!(!of_agents.may(Role::Operate, None), "a node of no class takes the role for everything");
        assert!(of_agents.may(Role::View, Some(Class::Master)));
    }

    #[test]
    fn nobody_hands_on_more_than_they_have() {
        assert!(rights("operate").include(&rights("operate:agent view")));
        assert!(rights("admin").include(&rights("approve operate:master")));
        for (held, more) in [("operate:agent", "operate"), ("operate", "approve:agent"), ("view", "admin")] {
            assert!(!rights(held).include(&rights(more)), "{held} and {more}");
        }
    }

    #[test]
    fn rights_are_read_as_they_are_written_and_other_words_are_refused() {
        let words = "view operate:agent-no-volume admin:master";
        assert_eq!(rights(&rights(words).words().join(" ")), rights(words));
        for wrong in ["root", "operate:", "operate:everything", "Operate", "", ":agent"] {
            assert!(wrong.parse::<Grant>().unwrap_err().to_string().contains("operate:agent"), "{wrong:?}");
        }
    }
}
