//! The objects of the document: what the API's answers look like. A test compares them with real answers, so that no
//! field goes without a word.

use super::{ErrorCode, list, text};
use crate::view::NodeState;
use millwright_decision::{Action, Class, Mode, Protection, Source};
use serde_json::{Map, Value, json};

/// Every object that an answer refers to.
pub(super) fn all() -> Value {
    let mut all = json!({
        "Error": error(),
        "Verdict": verdict(),
        "Fleet": fleet(),
        "NodeSummary": shape(summary()),
        "Node": node(),
        "Policy": explained_policy(),
        "Transition": transition(),
        "VerdictChange": verdict_change(),
        "Acknowledgement": acknowledgement(),
        "AuditEntry": shape(json!({ "at": time("when"), "by": text("who"), "what": text("a word such as accept, forget, dead, acknowledge"),
            "about": text("a node, a finding, a class"), "reason": text("why") })),
        "Me": shape(json!({ "name": maybe(text("absent for nobody in particular")),
            "how": json!({ "enum": ["root", "token", "session", "proxy", "nobody"] }),
            "rights": list(text("such as view or operate:agent")), "token": maybe(of("Token")) })),
        "Token": shape(json!({ "id": text("names it"), "person": text("whose it is"), "label": text("what it is for"),
            "rights": list(text("such as view or operate:agent")), "state": json!({ "enum": ["good", "expired", "revoked"] }),
            "made_at": time("since when"), "made_by": text("who made it"), "expires_at": time("good until then"),
            "revoked_at": maybe(time("when it was withdrawn")), "revoked_by": maybe(text("by whom")),
            "used_at": maybe(time("its last use, to within an hour")), "used_from": maybe(text("from where")) })),
        "Health": shape(json!({ "status": text("alive or ready"), "version": text("of the coordinator"),
            "cluster": text("the UUID of this cluster's store, which agents may pin as coordinator.cluster"),
            "generation": json!({ "type": "integer", "minimum": 1, "description": "how often a person has put a copy of the store in its place" }) })),
    });
    if let Some(all) = all.as_object_mut() {
        all.extend(super::people::schemas());
    }
    all
}

/// A reference to one of them.
pub(super) fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with these fields; one whose name ends in `?` can be absent, all others are always there.
pub(super) fn shape(fields: Value) -> Value {
    let Value::Object(fields) = fields else { return fields };
    let required: Vec<&str> = fields.keys().map(String::as_str).filter(|name| !name.ends_with('?')).collect();
    let required = json!(required);
    let properties: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema)).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The same, or null.
pub(super) fn maybe(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

pub(super) fn number(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

fn fraction(description: &str) -> Value {
    json!({ "type": "number", "description": description })
}

pub(super) fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() })
}

fn policy() -> Value {
    json!({ "version": text("a digest of the file"), "unreadable": maybe(text("that the file cannot be read and why")),
        "unreadable_since": maybe(time("when that was first seen")),
        "listed": number("nodes it lists") })
}

fn explained_policy() -> Value {
    let mut fields = policy();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("explanation".to_owned(), text("what it means, in sentences for people"));
    }
    shape(fields)
}

fn by_name(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

pub(super) fn class() -> Value {
    words(Class::ALL.iter().map(|class| class.as_str()))
}

pub(super) fn source() -> Value {
    words(Source::ALL.iter().map(|source| source.as_str()))
}

fn status() -> Value {
    words(["ok", "warn", "unknown", "crit"])
}

pub(super) fn severity() -> Value {
    words(["allowed", "wait", "needs_people", "refused"])
}

fn task_class() -> Value {
    words(["protected", "checker", "service", "pinned", "disposable"])
}

pub(super) fn evidence() -> Value {
    shape(
        json!({ "fact": text("what was looked at"), "value": text("what was seen"), "source": text("who said so"),
        "age_seconds": number("how old it was") }),
    )
}

fn error() -> Value {
    shape(json!({
        "code": words(ErrorCode::ALL.iter().map(|code| code.as_str())),
        "message": text("what was tried, what was found, what to do next"),
        "request_id": text("names the request in the coordinator's log"),
    }))
}

fn verdict() -> Value {
    let reason = shape(json!({
        "code": text("from a closed list; each has a page in the manual"), "rule": maybe(text("the runbook's rule")),
        "node": maybe(text("the node it is about")), "severity": severity(), "sentence": text("what objects"),
        "evidence": list(evidence()), "owner": text("who can clear it"), "since": maybe(time("since when it objects")),
        "unblocked_by": text("what would clear it"), "expected_at": maybe(time("when that is expected")),
    }));
    let note = shape(
        json!({ "code": text("which"), "node": maybe(text("about which node")), "sentence": text("worth knowing") }),
    );
    let lost = shape(json!({
        "node": text("where it runs"), "id": text("Mesos' id"), "name": text("its name"), "framework": text("its framework"),
        "class": task_class(), "runtime_seconds": maybe(number("how long it has run")),
        "kill_cost_seconds": maybe(number("work that would have to be done again")),
    }));
    let capacity = shape(
        json!({ "listed": number("nodes that count"), "in_service": number("nodes that would still be in service") }),
    );
    shape(json!({
        "action": words(Action::ALL.iter().map(|action| action.as_str())),
        "nodes": list(text("as policy spells it")),
        "verdict": severity(),
        "may_start": severity(),
        "asked_at": time("to the second"),
        "oldest_fact_seconds": number("the age of the oldest fact it rests on"),
        "reasons": list(reason),
        "waits": list(text("codes that do not forbid beginning")),
        "notes": list(note),
        "not_configured": list(source()),
        "cost": shape(json!({ "tasks_lost": list(lost), "images_to_pull_bytes": number("what has to be pulled again"),
            "capacity_left": by_name(capacity) })),
    }))
}

fn fleet() -> Value {
    let attention = shape(json!({
        "node": maybe(text("where; null for the fleet as a whole")), "key": maybe(text("its canonical name")), "status": status(),
        "finding": maybe(text("node/check[/item]")), "operation": maybe(text("the operation that waits for somebody, such as op-17")),
        "sentence": text("in words"), "since": maybe(time("since when")),
        "next": maybe(text("what to do next")),
    }));
    let one_class = shape(json!({
        "class": class(), "mode": words(Mode::ALL.iter().map(|mode| mode.as_str())), "listed": number("nodes that count"),
        "in_service": number("listed nodes that are not out"), "out": number("not proven healthy, or taken by an operation"),
        "may_be_out": number("how many may be"), "draining": number("draining and still building"),
        "nodes": list(of("NodeSummary")),
    }));
    shape(json!({
        "cluster": text("its name"),
        "asked_at": time("when this was looked at"),
        "started_at": time("when the coordinator started"),
        "warming_up": maybe(shape(json!({ "since": time("the start"), "rounds": number("full rounds of reports, of two"),
            "missing": list(text("healthy before and not heard of")) }))),
        "paused": maybe(of("Pause")),
        "brakes": list(of("Brake")),
        "sources": list(shape(json!({ "source": source(), "state": words(["fresh", "unknown"]), "last_answer": maybe(time("when")),
            "unknown_since": maybe(time("since when it does not answer")), "sentence": text("in words"),
            "details": list(text("more of what it says")) }))),
        "policy": shape(policy()),
        "not_configured": list(source()),
        "outside_blamed": list(text("a check that many nodes fail at once")),
        "leader_changed_at": maybe(time("when Mesos last changed its leader, for ten minutes")),
        "own_troubles": list(shape(json!({ "what": text("a word"), "sentence": text("in words"), "since": time("since when") }))),
        "attention": list(attention),
        "classes": list(one_class),
        "unlisted": list(of("NodeSummary")),
    }))
}

fn summary() -> Value {
    use NodeState::*;
    let states = [
        Unlisted,
        Physical,
        KnownDead,
        Quarantined,
        NeverHeard,
        Silent,
        Stale,
        Sick,
        Unknown,
        Verifying,
        Out,
        Draining,
        Healthy,
    ];
    let disk = shape(
        json!({ "mount": text("where"), "used_percent": number("how full"), "free_bytes": number("free"),
        "hours_to_full": maybe(fraction("null while it is not filling")) }),
    );
    json!({
        "name": text("as policy spells it"),
        "key": text("the canonical name"),
        "class": maybe(class()),
        "zone": maybe(text("its availability zone")),
        "protections": list(words(Protection::ALL.iter().map(|protection| protection.as_str()))),
        "state": words(states.map(NodeState::as_str)),
        "since": maybe(time("since when that word holds")),
        "sentence": text("what people should know"),
        "finding": maybe(text("the finding the sentence is from")),
        "worst": maybe(status()),
        "findings": shape(json!({ "ok": number("as they should be"), "warn": number("worth a look"),
            "unknown": number("could not tell"), "crit": number("broken") })),
        "tasks": maybe(by_name(number("living tasks of that class"))),
        "disk": maybe(disk),
        "report_age_seconds": maybe(number("the age of its last report")),
        "identity_changed_at": maybe(time("since when it is not the machine on record")),
        "mesos": maybe(text("active, inactive, unreachable, not listed")),
    })
}

fn node() -> Value {
    let mut fields = summary();
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), node_only()) {
        fields.extend(more);
    }
    shape(fields)
}

/// What [`crate::view::NodeDetail`] adds to the summary.
fn node_only() -> Value {
    let identity = shape(
        json!({ "machine_id": text("changes with a rebuild"), "server_uuid": maybe(text("the server's")),
        "agent_version": text("of its agent"), "recorded_at": time("recorded or last accepted"),
        "changed": maybe(text("what is different, until a person accepts it")) }),
    );
    let boot = shape(
        json!({ "boot_id": text("changes at each boot"), "first_heard_at": time("by the coordinator's clock"),
        "uptime_seconds": number("when the last report was made"), "verified_at": maybe(time("two clean reports a minute apart")),
        "healthy_since": maybe(time("every gating finding ok or warn")) }),
    );
    let check = shape(json!({ "step": text("a word"), "title": text("for people"),
        "state": words(["done", "warn", "failed", "unknown", "not_configured"]), "sentence": text("what was seen"),
        "evidence": list(evidence()) }));
    let diagnosis = shape(json!({ "layer": maybe(text("the first that is not as it should be")),
        "state": maybe(words(["warn", "failed", "unknown"])), "sentence": text("what is the matter"),
        "next": list(text("what to do, in order")), "untold": list(text("layers about which nothing is known meanwhile")),
        "also": list(text("what else is not as it should be, worst first")) }));
    json!({
        "asked_at": time("when this was looked at"),
        "reported_at": maybe(time("when the last report arrived")),
        "is_stale": flag("everything below is from before"),
        "identity": maybe(identity),
        "boot": maybe(boot),
        "known_dead": maybe(text("a person said so: why")),
        "checklist": list(check),
        "diagnosis": diagnosis,
        "all_findings": list(finding()),
        "volumes": list(volume()),
        "containers": maybe(containers()),
        "living_tasks": living_tasks(),
        "mesos_agent": maybe(shape(json!({ "url": text("where it was asked"), "agent_id": maybe(text("its id")),
            "version": text("of Mesos"), "hostname": text("as announced"), "registered": maybe(flag("with a master")),
            "attributes": by_name(text("as announced")) }))),
        "mesos_listing": maybe(shape(json!({ "at": time("when it was read"), "listing": text("active, inactive, unreachable, not listed"),
            "deactivated": flag("its offers are stopped"), "agent_id": maybe(text("under which it is listed")),
            "attributes": by_name(text("as the master knows them")) }))),
        "images": list(image()),
        "puppet": maybe(shape(json!({ "last_run_at?": time("the last completed run"), "clean?": flag("no failures"),
            "clean_streak": number("clean runs since boot"), "failed_streak": number("failing runs in a row"),
            "disabled?": text("why"), "environment?": text("of the last run"), "version?": text("of Puppet") }))),
        "machine": maybe(machine()),
        "mesos_master": maybe(shape(json!({ "elected?": flag("it leads"), "leader?": text("who does"),
            "registrar_recovered?": flag("it has its registry"), "agents_active?": number("agents it knows"),
            "uptime_seconds?": number("since its start"), "age_seconds": number("how old that is") }))),
        "outside": list(shape(json!({ "source": source(), "status": words(["ok", "warn", "crit", "unknown"]),
            "sentence": text("in words"), "at": time("it was asked") }))),
        "zookeeper": maybe(shape(json!({ "mode?": text("leader, follower, standalone"), "synced_followers?": number("a leader's"),
            "epoch?": number("of the ensemble"), "version": text("of ZooKeeper"), "age_seconds": number("how old that is") }))),
        "cannot_see": list(shape(json!({ "what": text("a word"), "not_configured": flag("the site has no such thing"),
            "sentence": text("why") }))),
        "history": list(of("Transition")),
        "verdict_history": list(of("VerdictChange")),
    })
}

fn finding() -> Value {
    shape(json!({
        "id": text("node/check[/item]"), "check": text("the check"), "item": maybe(text("which one")), "status": status(),
        "gating": flag("whether it keeps the node out"), "sentence": text("what was found"), "evidence": list(evidence()),
        "since": time("by the coordinator's clock"), "age_seconds": number("how old the look is"),
        "next": maybe(text("what to do next")), "acknowledged": maybe(of("Acknowledgement")),
    }))
}

fn volume() -> Value {
    shape(json!({
        "mount": text("where"), "mounted": flag("on its own device"), "device?": text("its block device"),
        "file_system?": text("its kind"), "uuid?": text("of the file system"), "serial?": text("of the disk"),
        "read_write": flag("as opposed to read-only"), "size_bytes": number("size"), "free_bytes": number("free"),
        "used_percent": maybe(number("null when it is not mounted")), "inodes_used_percent?": number("in percent"),
        "hours_to_full?": fraction("absent while it is not filling"), "is_root": flag("the root file system"),
        "name": maybe(text("what policy calls it")),
    }))
}

fn containers() -> Value {
    let container = shape(json!({
        "name": text("its name"), "image": text("its image"), "state": text("as Docker says it"),
        "role": words(["infrastructure", "task", "orphan", "other"]), "started_at?": time("when"),
        "restarts": number("how often Docker has restarted it"),
    }));
    shape(
        json!({ "containers": list(container), "version": text("of Docker"), "storage_driver": text("of Docker") }),
    )
}

fn living_tasks() -> Value {
    let resources = shape(
        json!({ "cpus": fraction("processors"), "mem_mib": fraction("memory"), "disk_mib": fraction("disk") }),
    );
    let task = shape(json!({
        "id": text("Mesos' id"), "name": text("its name"), "framework": text("its framework"), "class": task_class(),
        "rule": maybe(text("null for a task no rule knows")),
        "state": maybe(words(["staging", "starting", "running", "killing", "unreachable", "ended", "unknown"])),
        "resources": maybe(resources), "started_at": maybe(time("when")), "runtime_seconds": maybe(number("how long it has run")),
        "kill_cost_seconds": maybe(number("work that would have to be done again")),
        "expected_end": maybe(time("null as long as nobody can tell")),
        "build": maybe(text("what Jenkins runs in it")), "named_by": list(source()),
    }));
    let build = shape(json!({
        "name": text("such as daily-tags #123"), "computer": text("of Jenkins"),
        "task": maybe(text("the task it is at work in")), "started_at": maybe(time("when")),
        "expected_end": maybe(time("when builds of its job usually end")),
    }));
    shape(json!({
        "agent_known": maybe(flag("null when it has no Mesos to ask")),
        "master_known": maybe(flag("null when the site has no such source")),
        "disagree_since": maybe(time("the two views differ")),
        "agent_empty_since": maybe(time("as its own agent sees it")),
        "master_empty_since": maybe(time("as the Mesos master sees it")),
        "jenkins_known": maybe(flag("null when nobody asks Jenkins")),
        "jenkins_empty_since": maybe(time("as Jenkins sees it")),
        "builds": list(build),
        "tasks": list(task),
    }))
}

fn image() -> Value {
    let pull = shape(json!({
        "state": words(["waiting", "pulling", "failed", "no_room", "done", "unknown"]), "done_bytes": number("so far"),
        "total_bytes": number("as far as is known"), "attempts": number("so far"), "error?": text("of the last one"),
        "next_try_at?": time("when"),
    }));
    shape(json!({
        "name": text("as configured"), "present": flag("whether it is there"), "id?": text("Docker's"),
        "size_bytes": number("size"), "verified_at?": time("when it was last found up to date"), "pull?": pull,
    }))
}

fn machine() -> Value {
    shape(json!({
        "cpus": number("processors"), "memory_bytes": number("in all"), "memory_available_bytes": number("available"),
        "load": list(fraction("over 1, 5, 15 min")), "kernel": text("its release"), "os": text("its name"),
        "reboot_required?": text("why"), "clock_offset_seconds": number("ahead of the coordinator's is positive"),
    }))
}

fn transition() -> Value {
    shape(json!({
        "at": time("when it was noticed"), "node": text("empty for the fleet as a whole"), "key": text("the canonical name"),
        "what": text("state, identity, boot, brake, leader, or check[/item]"), "from": maybe(text("null for something new")),
        "to": text("the word now"), "gating": flag("a gating finding"), "sentence": text("in words"),
    }))
}

fn verdict_change() -> Value {
    shape(json!({
        "at": time("when it was noticed"), "node": text("as policy spells it"), "key": text("the canonical name"),
        "action": text("which"), "verdict": severity(), "may_start": severity(),
        "codes": list(text("of its reasons, worst first")), "sentence": text("of the worst; empty when nothing objected"),
    }))
}

fn acknowledgement() -> Value {
    shape(
        json!({ "finding": text("node/check[/item]"), "by": text("who"), "at": time("since when"), "until": time("until when") }),
    )
}
