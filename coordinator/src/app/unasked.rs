//! What the policy expects of systems that coordinator.toml does not name: everything that needs them would wait for ever.

use crate::config::Config;
use millwright_decision::{Class, Policy, Source, operation::Executor};
use millwright_protocol::NodeName;

/// A sentence for each, with both ways out.
pub(super) fn unasked(config: &Config, policy: &Policy) -> Vec<String> {
    let mut wrong = sources(config, policy);
    wrong.extend(owners(config, policy));
    if policy.executors.roger_masks && config.roger.is_none() {
        wrong.push(
            "the policy has alarms masked by Roger, and [roger] in coordinator.toml has no url: no delete would come past \
             mask_alarms; say where it is, or write `alarms = \"executor\"` in [executors] of the policy"
                .to_owned(),
        );
    }
    if policy.executors.by == Executor::OpenStack && config.openstack.is_none() {
        wrong.push(
            "the policy has the cloud asked by the coordinator, and [openstack] in coordinator.toml has no auth_url: no reset, \
             rebuild, delete or create would begin; say where it is, or write `by = \"by_hand\"` in [executors] of the policy"
                .to_owned(),
        );
    }
    wrong
}

/// Sources that the policy requires and that nobody would ever ask.
fn sources(config: &Config, policy: &Policy) -> Vec<String> {
    let is_required = |source: Source| {
        policy
            .classes
            .iter()
            .any(|(class, rules)| *class != Class::Physical && rules.required.contains(&source))
    };
    let mut wrong = Vec::new();
    for source in Source::ALL.iter().copied().filter(|source| is_required(*source)) {
        let (is_asked, key) = match source {
            Source::Agent => (true, ""),
            Source::ZooKeeper => {
                wrong.extend(without_ensemble(config, policy));
                continue;
            }
            Source::MesosMaster => (!config.mesos.masters.is_empty(), "masters"),
            Source::Jenkins => (config.jenkins.is_some(), "url"),
            Source::OpenStack => (config.openstack.is_some(), "auth_url"),
            Source::Marathon => (config.marathon.is_some(), "servers"),
            Source::Aurora => (config.aurora.is_some(), "servers"),
            Source::MesosDns => (config.mesos_dns.is_some(), "servers"),
            Source::Foreman => (config.foreman.is_some(), "url"),
            Source::PuppetDb => (config.puppetdb.is_some(), "url"),
            Source::Roger => (config.roger.is_some(), "url"),
        };
        if !is_asked {
            let section = if source == Source::MesosMaster { "mesos" } else { source.as_str() };
            wrong.push(format!(
                "the policy requires {source}, and [{section}] in coordinator.toml has no {key}: every verdict would wait for \
                 it; say where it is, or write `{source} = \"none\"` in the policy"
            ));
        }
    }
    wrong
}

/// Nodes whose members the policy asks for, and that have none in any ensemble.
fn without_ensemble(config: &Config, policy: &Policy) -> Vec<String> {
    let is_asked = |class: &Class| {
        policy.classes.get(class).is_some_and(|rules| rules.required.contains(&Source::ZooKeeper))
    };
    let has_member =
        |name: &NodeName| config.zookeeper.ensembles.iter().any(|(_, members)| members.contains_key(name));
    let asked = policy.nodes.iter().filter(|(_, listed)| is_asked(&listed.class));
    asked
        .filter(|(name, _)| !has_member(name))
        .map(|(_, listed)| {
            format!(
                "the policy requires zookeeper of {}, and zookeeper.ensembles in coordinator.toml names no member there; \
                 add it, or write `zookeeper = \"none\"` for its class in the policy",
                listed.display
            )
        })
        .collect()
}

/// Owners of tasks, where nobody says how they are asked.
fn owners(config: &Config, policy: &Policy) -> Option<String> {
    if config.owners.is_some() {
        return None;
    }
    let rule = policy.tasks.rules.iter().find(|rule| rule.owner.is_some())?;
    Some(format!(
        "the task rule {:?} of the policy names {} as the owner, and [owners] in coordinator.toml has no url: nobody could say \
         yes, and only `--let-go` would end or move such a task; say where owners are asked, or take `owner` out of the rule",
        rule.name,
        rule.owner.as_deref().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy;
    use std::path::Path;

    const SMALL: &str = "protections = \"none\"\n[cluster]\nname = \"try\"\ncoordinator = \"try\"\n[[nodes]]\nclass = \
                         \"agent\"\nnames = [\"n01\"]\n";

    fn said(policy_text: &str, config_text: &str) -> Vec<String> {
        let policy = policy::parse(&format!("{SMALL}{policy_text}"), Path::new("policy.toml")).unwrap();
        let config = Config::parse(config_text, Path::new("coordinator.toml")).unwrap();
        unasked(&config, &policy)
    }

    #[test]
    fn every_source_that_is_required_and_not_configured_is_named_with_its_section() {
        for source in Source::ALL.iter().filter(|source| **source != Source::Agent) {
            let wrong = said(&format!("[classes.agent.sources]\n{source} = \"required\"\n"), "");
            assert_eq!(wrong.len(), 1, "{source}: {wrong:?}");
            let section = if *source == Source::MesosMaster { "[mesos]" } else { &format!("[{source}]") };
            let is_named = wrong[0].contains(section) || *source == Source::ZooKeeper;
            assert!(is_named && wrong[0].contains(&format!("{source} = \"none\"")), "{wrong:?}");
        }
    }

    #[test]
    fn a_site_that_says_where_its_registers_are_may_require_them() {
        for source in ["foreman", "puppetdb", "roger"] {
            let config = format!("[{source}]\nurl = \"https://r.example.org\"\ndomain = \"example.org\"\n");
            let wrong = said(&format!("[classes.agent.sources]\n{source} = \"required\"\n"), &config);
            assert_eq!(wrong, Vec::<String>::new());
        }
    }

    #[test]
    fn owners_roger_and_the_cloud_are_missed_where_the_policy_counts_on_them() {
        let owner =
            "[[tasks]]\nname = \"a build\"\nid = \"^b\"\nclass = \"disposable\"\nowner = \"releases\"\n";
        for (policy, config, part) in [
            (
                owner,
                "[owners]\nurl = \"https://ci.example.org/may-i\"\n",
                "names releases as the owner, and [owners]",
            ),
            (
                "[executors]\nalarms = \"roger\"\n",
                "[roger]\nurl = \"https://r.example.org\"\ndomain = \"example.org\"\n",
                "masked by Roger, and [roger]",
            ),
        ] {
            let wrong = said(policy, "");
            assert!(wrong.len() == 1 && wrong[0].contains(part), "{wrong:?}");
            assert_eq!(said(policy, config), Vec::<String>::new());
        }
        let wrong = said("[executors]\nby = \"openstack\"\n", "");
        assert!(wrong.len() == 1 && wrong[0].contains("[openstack] in coordinator.toml"), "{wrong:?}");
    }
}
