//! What the coordinator knows, in words: the fleet, a node, a verdict.

mod fleet;
mod node;

use crate::{client::Client, done, page::Output, verdict::Verdict};
use millwright_coordinator::view::{FleetView, NodeDetail};
use millwright_decision::Action;
use millwright_protocol::NodeName;
use serde_json::Value;
use std::process::ExitCode;

const NODES: &str = "/api/v1/nodes";
const VERDICTS: &str = "/api/v1/verdicts";

/// `millwright nodes`.
pub async fn fleet(client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let answer = client.get(NODES, &[]).await?;
    if output.json {
        return done(output, &output.json_page(&answer));
    }
    let view: FleetView = client.read(NODES, &answer)?;
    let mut page = output.page();
    fleet::write(&view, &mut page);
    done(output, &page)
}

/// `millwright node NAME`.
pub async fn node(client: &Client, output: Output, name: &NodeName) -> anyhow::Result<ExitCode> {
    let path = format!("{NODES}/{name}");
    let answer = client.get(&path, &[]).await?;
    if output.json {
        return done(output, &output.json_page(&answer));
    }
    let detail: NodeDetail = client.read(&path, &answer)?;
    let mut page = output.page();
    node::write(&detail, &mut page);
    page.end();
    for verdict in verdicts(client, name).await? {
        client.read::<Verdict>(VERDICTS, &verdict)?.write_short(&mut page);
    }
    done(output, &page)
}

/// `millwright may ACTION NODE…`.
pub async fn may(
    client: &Client,
    output: Output,
    action: Action,
    nodes: &[NodeName],
    volumes: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let mut query = vec![("action", action.as_str())];
    query.extend(nodes.iter().map(|node| ("node", node.as_str())));
    query.extend(volumes.map(|volumes| ("volumes", volumes)));
    let answer = client.get(VERDICTS, &query).await?;
    let verdict: Verdict = client.read(VERDICTS, &answer)?;
    if output.json {
        output.print(&output.json_page(&answer))?;
    } else {
        let mut page = output.page();
        verdict.write(&mut page);
        output.print(&page)?;
    }
    Ok(verdict.verdict.exit_code())
}

/// The four verdicts that a node's page shows, as the API gives them.
pub async fn verdicts(client: &Client, name: &NodeName) -> anyhow::Result<Vec<Value>> {
    let mut verdicts = Vec::new();
    for action in Action::DISRUPTIVE {
        let query = [("action", action.as_str()), ("node", name.as_str())];
        verdicts.push(client.get(VERDICTS, &query).await?);
    }
    Ok(verdicts)
}
