//! The status as a page for people. Plain HTML: it works without scripts, on a phone, and in a text browser.

use super::view::{self, StatusView};
use crate::config::units::spoken;
use millwright_protocol::{Finding, Status};
use std::{fmt::Write, time::Duration};

const STYLE: &str = "\
:root{color-scheme:light dark;--ok:#1a7f37;--warn:#9a6700;--unknown:#6e3fb0;--crit:#c5221f}\
@media(prefers-color-scheme:dark){:root{--ok:#57ab5a;--warn:#d4a72c;--unknown:#b794f4;--crit:#ff7b72}}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}\
h1{margin:0}h2{margin:1.5rem 0 .5rem}ul{list-style:none;padding:0;margin:0}\
li{border-left:.35rem solid;padding:.25rem .75rem;margin:.5rem 0}\
.ok{border-color:var(--ok)}.warn{border-color:var(--warn)}.unknown{border-color:var(--unknown)}.crit{border-color:var(--crit)}\
b.ok{color:var(--ok)}b.warn{color:var(--warn)}b.unknown{color:var(--unknown)}b.crit{color:var(--crit)}\
p{margin:.15rem 0}small{opacity:.8}code{overflow-wrap:anywhere}";

/// Renders the page.
pub fn render(view: &StatusView) -> String {
    let mut page = String::with_capacity(8192);
    let node = escaped(&view.node);
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{} {node}</title><style>{STYLE}</style></head><body><header><h1>{node}</h1>\
         <p>class {}, {}, up {}, agent {}</p>",
        view.worst.as_str(),
        view.class,
        view::tally(&view.findings),
        spoken(Duration::from_secs(view.uptime_seconds)),
        escaped(&view.agent_version),
    );
    let protections = view.protections.words();
    if !protections.is_empty() {
        let _ = write!(page, "<p>protected: {}</p>", protections.join(", "));
    }
    let _ = write!(page, "<p>{}</p>", escaped(&view.coordinator.sentence()));
    for hold in &view.local_holds {
        let _ = write!(page, "<p><b>{}</b></p>", escaped(&view::hold(hold)));
    }
    page.push_str("</header><main>");
    let (bad, well): (Vec<&Finding>, Vec<&Finding>) =
        view.findings.iter().partition(|finding| finding.status != Status::Ok);
    section(&mut page, "Needs a look", &bad, view);
    if bad.is_empty() {
        page.push_str("<h2>All is well</h2>");
    }
    let images = view::images(&view.facts);
    if !images.is_empty() {
        page.push_str("<h2>Images</h2><ul>");
        for image in images {
            let _ = write!(page, "<li>{}</li>", escaped(&image));
        }
        page.push_str("</ul>");
    }
    orders(&mut page, view);
    section(&mut page, "Fine", &well, view);
    let _ = write!(
        page,
        "</main><footer><p><small>As of {}. For programs: <a href=\"/status\">/status</a>, \
         <a href=\"/metrics\">/metrics</a>. In a terminal: <code>millwright-agent status</code>.</small></p></footer></body></html>",
        view.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
    );
    page
}

fn orders(page: &mut String, view: &StatusView) {
    let Some(orders) = view.orders.as_ref() else { return };
    let off = if orders.enabled { "" } else { ": off (orders.enabled in agent.toml)" };
    if orders.last.is_empty() && orders.enabled {
        return;
    }
    let _ = write!(page, "<h2>Orders{off}</h2><ul>");
    for order in &orders.last {
        let at = order.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let _ = write!(page, "<li>{} <small>{at}</small></li>", escaped(&order.sentence()));
    }
    page.push_str("</ul>");
}

fn section(page: &mut String, title: &str, findings: &[&Finding], view: &StatusView) {
    if findings.is_empty() {
        return;
    }
    let _ = write!(page, "<h2>{title}</h2><ul>");
    for finding in findings {
        let word = finding.status.as_str();
        let gating = if finding.gating && finding.status != Status::Ok { ", keeps the node out" } else { "" };
        let _ = write!(
            page,
            "<li class={word}><p><b class={word}>{word}</b> {}</p><p><small>{} {}{gating}</small></p>",
            escaped(&finding.sentence),
            escaped(&finding.key()),
            escaped(&view::since(finding, view.at)),
        );
        if let Some(next) = &finding.next {
            let _ = write!(page, "<p>→ {}</p>", with_commands(next));
        }
        page.push_str("</li>");
    }
    page.push_str("</ul>");
}

/// What stands between backticks is a command.
fn with_commands(text: &str) -> String {
    let mut parts = text.split('`').map(escaped);
    let mut html = parts.next().unwrap_or_default();
    while let Some(command) = parts.next() {
        html.push_str(&format!("<code>{command}</code>{}", parts.next().unwrap_or_default()));
    }
    html
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::view::tests::{example, ordered};

    #[test]
    fn the_page_says_the_worst_first_with_what_to_do() {
        let page = render(&example());
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing in {page}"));
        assert!(place("/build is not mounted") < place("/data is slow"));
        assert!(place("/data is slow") < place("/build is 60 % full"));
        assert!(place("→ mount /build") < place("Fine"));
        assert!(page.contains("protected: never_rebuild"));
    }

    #[test]
    fn holds_and_the_last_orders_are_on_the_page_and_that_orders_are_off() {
        let page = render(&ordered());
        for words in [
            "ann holds this node as it is, until it is lifted: the &lt;disk&gt; (hold 5f0c)",
            "Orders: off (orders.enabled in agent.toml)",
            "reboot op-1.2.1: refused (veto: &lt;ann&gt; holds this node), not told yet",
        ] {
            assert!(page.contains(words), "{words} is missing in {page}");
        }
        assert!(!render(&example()).contains("Orders"));
    }

    #[test]
    fn commands_are_set_apart() {
        assert_eq!(with_commands("try `ls <x>` first"), "try <code>ls &lt;x&gt;</code> first");
        assert_eq!(with_commands("try `ls"), "try <code>ls</code>");
    }

    #[test]
    fn nothing_found_outside_becomes_markup() {
        let page = render(&example());
        assert!(!page.contains("<b>&") && !page.contains("<i>"), "{page}");
        assert!(page.contains("fine &lt;b&gt;&amp;&quot;&#39;"), "{page}");
    }
}
