//! Which servers of the cloud are which nodes, by their exact names.

use super::openstack::{OpenStackSeen, Server};
use crate::fleet::Fleet;
use jiff::Timestamp;
use millwright_decision::fleet::{CloudServer, CloudView};
use millwright_protocol::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// The last answer.
#[derive(Debug, Default)]
pub(in crate::fleet) struct CloudSeen {
    /// When it was asked.
    pub at: Option<Timestamp>,
    /// Servers of every node. More than one is a doubtful name.
    pub servers: BTreeMap<NodeName, Vec<Server>>,
    /// What volumes are called, with their sizes in GiB, by Cinder's ids.
    pub volumes: BTreeMap<String, (String, u64)>,
    /// Projects that did not answer: a node of theirs may well have a server.
    pub unseen: BTreeSet<String>,
    /// Servers whose names Nova could not say.
    pub nameless: usize,
}

impl Fleet {
    /// Takes in an answer; the sentence that tells of it.
    pub(super) fn take_openstack(&mut self, seen: OpenStackSeen, at: Timestamp) -> String {
        let mut cloud = CloudSeen { at: Some(at), ..CloudSeen::default() };
        let (all, volumes) = (seen.servers.len(), seen.volumes.len());
        for server in seen.servers {
            match server.name.as_deref().map(str::parse) {
                Some(Ok(node)) => cloud.servers.entry(node).or_default().push(server),
                Some(Err(_)) => {}
                None => cloud.nameless += 1,
            }
        }
        cloud.volumes =
            seen.volumes.into_iter().map(|volume| (volume.id, (volume.name, volume.size_gib))).collect();
        let mut sentence = format!("OpenStack answers: {all} servers, {volumes} volumes");
        for (project, why) in seen.unseen {
            sentence.push_str(&format!("; nothing is known of {project}: {why}"));
            cloud.unseen.insert(project);
        }
        for (name, node) in &mut self.snapshot.nodes {
            let servers = cloud.servers.get(name).map_or(&[][..], Vec::as_slice);
            node.cloud = (!servers.is_empty()).then(|| Box::new(view(servers, at)));
        }
        self.outside.cloud = cloud;
        sentence
    }
}

fn view(servers: &[Server], at: Timestamp) -> CloudView {
    let server = |server: &Server| CloudServer {
        id: server.id.clone(),
        locked: server.locked.then(|| server.locked_reason.clone().unwrap_or_default()),
        volumes: server.volumes.iter().map(|attached| attached.volume.clone()).collect(),
    };
    CloudView { at, servers: servers.iter().map(server).collect() }
}
