//! A first policy for a site that has none: from the nodes that report and from Mesos.

use millwright_decision::Class;
use std::{collections::BTreeMap, fmt::Write};

/// A node somebody has seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenNode {
    /// Its name as it spells itself.
    pub name: String,
    /// What it looks like: runs a Mesos master, has a data volume, is known to Mesos only.
    pub class: Class,
}

/// Writes the draft. It is complete enough to pass the check once a person has said what is protected.
pub fn draft(cluster: &str, coordinator: &str, seen: &[SeenNode]) -> String {
    let mut text = String::new();
    write_draft(&mut text, cluster, coordinator, seen).map_or_else(|_| String::new(), |()| text)
}

fn write_draft(text: &mut String, cluster: &str, coordinator: &str, seen: &[SeenNode]) -> std::fmt::Result {
    writeln!(
        text,
        "# A draft from what reports and from what Mesos lists. Read every line before you install it, then:"
    )?;
    writeln!(text, "#     millwright policy check policy.toml")?;
    writeln!(text, "# It is refused until somebody has decided what must never be touched.\n")?;
    writeln!(text, "[cluster]\nname = {cluster:?}\ncoordinator = {coordinator:?}")?;
    writeln!(
        text,
        "zones = []             # R2: your availability zones, then `zone` per group of nodes below"
    )?;
    writeln!(text, "# project = \"…\"         # R20: the OpenStack project\n")?;
    writeln!(text, "[protections]\n# NODE = [\"never_rebuild\", \"never_delete\"]")?;
    let mut by_class: BTreeMap<Class, Vec<&str>> = BTreeMap::new();
    for node in seen {
        by_class.entry(node.class).or_default().push(&node.name);
    }
    for class in by_class.keys().filter(|class| **class != Class::Physical) {
        writeln!(text, "\n[classes.{class}]\nmode = \"observe\"")?;
        writeln!(text, "sources = {{ agent = \"required\", mesos_master = \"required\" }}")?;
    }
    for (class, mut names) in by_class {
        names.sort_unstable();
        names.dedup();
        writeln!(text, "\n[[nodes]]\nclass = {:?}\nnames = [", class.as_str())?;
        for name in names {
            writeln!(text, "  {name:?},")?;
        }
        writeln!(text, "]")?;
    }
    Ok(())
}
