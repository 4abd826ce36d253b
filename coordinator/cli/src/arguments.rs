//! What can be typed.

use clap::{Args, Parser, Subcommand};
use millwright_decision::Action;
use millwright_protocol::NodeName;
use std::path::PathBuf;

/// Says how the nodes of the build cluster are, and what may be done with them now and why not.
///
/// Exit codes of `may`: 0 allowed, 10 wait, 11 needs people, 12 refused. Of everything: 1 failure, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "millwright", version, arg_required_else_help = true)]
pub struct Arguments {
    /// The coordinator: http://HOST:PORT, or unix:/PATH. By default the Unix socket on this host, else port 8480 of it.
    #[arg(long, global = true, value_name = "URL", env = "MILLWRIGHT_SERVER")]
    pub server: Option<String>,
    /// Print JSON and nothing else.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every node in one line, what needs a human first.
    Nodes,
    /// Everything about one node; or say something about it: accept, forget, dead.
    #[command(args_conflicts_with_subcommands = true)]
    Node {
        /// Its name, spelled any way.
        node: Option<NodeName>,
        #[command(subcommand)]
        say: Option<Say>,
    },
    /// Whether an action is allowed now, and every reason why not.
    May {
        /// drain, return, reboot, rebuild, delete, create or prepull.
        action: Action,
        /// One node, or several to be taken together.
        #[arg(required = true)]
        nodes: Vec<NodeName>,
        /// What a delete does with the volumes: keep or delete.
        #[arg(long, value_parser = ["keep", "delete"])]
        volumes: Option<String>,
    },
    /// Say that you have seen a finding; it is not told again until then. Never changes a verdict.
    Ack {
        /// Its id, as `millwright node` shows it: node/check or node/check/item.
        finding: String,
        /// 2h, 3d, a date (until the end of that day), or a time as in 2026-02-01T12:00:00Z.
        #[arg(long)]
        until: String,
        /// Why; kept in the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// The policy: check a file, draft one, show the one in force.
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
    /// The whole thing on this machine: real findings, four verdicts, a dashboard. Leaves nothing behind.
    Try(Trial),
}

/// What a person can say about a node. Only root on the coordinator's Unix socket is believed.
#[derive(Debug, Subcommand)]
pub enum Say {
    /// A changed identity, or a node missing after a start, is as it should be.
    Accept(About),
    /// The node is gone; forget what was known about it.
    Forget(About),
    /// The node is dead and stands in no count until it is accepted again.
    Dead(About),
}

/// Which node, and why.
#[derive(Debug, Args)]
pub struct About {
    /// Its name, spelled any way.
    pub node: NodeName,
    /// Why; kept in the audit. `dead` takes one.
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Say what a policy file means, or everything that is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Draft a policy from the nodes that report and from Mesos, for a person to complete.
    Import {
        /// The cluster's name.
        #[arg(long, default_value = "build")]
        cluster: String,
        /// The host the coordinator runs on; this one by default.
        #[arg(long)]
        coordinator: Option<String>,
    },
    /// Which policy is in force.
    Show,
}

/// How to try.
#[derive(Debug, Args)]
pub struct Trial {
    /// Print the verdicts once they are well founded, then stop.
    #[arg(long)]
    pub once: bool,
    /// Keep the folder with configuration, state and logs.
    #[arg(long)]
    pub keep: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn what_people_type_is_understood() {
        for line in [
            "millwright nodes --json",
            "millwright node alibuild03",
            "millwright node dead alibuild03 --reason gone",
            "millwright may delete n1 n2 --volumes delete",
            "millwright ack n1/docker --until 2d",
            "millwright policy check policy.toml",
            "millwright try --once --json",
            "millwright --server unix:/run/x nodes",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_usage_ends_with_two_and_the_accepted_form() {
        for (line, part) in [
            ("millwright may explode n1", "the actions are drain"),
            ("millwright may reboot", "<NODES>"),
            ("millwright may reboot a_b!", "write a host name"),
            ("millwright may delete n1 --volumes burn", "keep, delete"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(part), "{line}: {error}");
        }
    }
}
