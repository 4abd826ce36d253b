//! Operations, and what people say to them and beside them: routes and objects of the document.

use super::{
    Operation, list, of_json,
    schemas::{class, evidence, flag, maybe, number, of, severity, shape, source, time, words},
    text,
};
use millwright_decision::{
    Action,
    operation::{Executor, Step},
};
use serde_json::{Map, Value, json};

/// The routes.
pub(super) fn routes() -> Vec<Operation> {
    let answer = |name: &str| of_json(of(name));
    let said = || {
        of_json(shape(
            json!({ "operation": of("Operation"), "command": list(text("a word of the command to run now")) }),
        ))
    };
    let by = || text("who, where root speaks for somebody");
    let why = || shape(json!({ "reason": text("why; kept for ever"), "by?": by() }));
    let query = |name: &str, schema: Value, description: &str| json!({ "name": name, "in": "query", "schema": schema, "description": description });
    vec![
        Operation::get("/api/v1/operations", "Operations, the newest first.", answer("Operations")).with(
            json!([
                query("open", json!({ "type": "boolean", "default": false }), "only those that are not over"),
                query("node", json!({ "type": "string" }), "only those of this node"),
                query(
                    "limit",
                    json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 }),
                    "so many"
                ),
            ]),
        ),
        Operation::post(
            "/api/v1/operations",
            "Ask for an operation. Asked for twice by the same person it is the same one. What objects to beginning is a 409: \
             mode_observe, node_protected, operation_running, or objected.",
            wanted(),
            answer("Accepted"),
        ),
        Operation::get(
            "/api/v1/operations/{operation}",
            "One operation: its steps with their evidence, what it waits for, what may be said to it.",
            answer("Operation"),
        ),
        Operation::post(
            "/api/v1/operations/{operation}/approve",
            "Agree, as somebody else than the requester. Takes the role approve. 409: stale_approval, own_approval.",
            shape(
                json!({ "digest": text("of what was looked at"), "reason": text("why; kept for ever"), "by?": by() }),
            ),
            said(),
        ),
        Operation::post(
            "/api/v1/operations/{operation}/cancel",
            "Call it off; past the point of no return only with abandon (409 past_no_return).",
            shape(
                json!({ "reason": text("why; kept for ever"), "abandon?": flag("take the node over as it is"), "by?": by() }),
            ),
            said(),
        ),
        Operation::post(
            "/api/v1/operations/{operation}/retry",
            "Have one that is stuck tried again.",
            why(),
            said(),
        ),
        Operation::post(
            "/api/v1/operations/{operation}/confirm",
            "A person's word about the step it is at: begin it, or say how it ended. `begin` answers the exact command where a person runs it.",
            shape(
                json!({ "what": words(["begin", "printed", "exit", "done", "not_run"]), "reason?": text("how you know; begin and exit go without"),
                "code?": maybe(number("the exit code; absent for a signal")), "said?": text("the end of what the command printed"), "by?": by() }),
            ),
            said(),
        ),
        Operation::get("/api/v1/holds", "Holds that stand.", answer("Holds")),
        Operation::post(
            "/api/v1/holds",
            "Keep a node as it is. An end asks its author; it never lifts by itself.",
            shape(
                json!({ "node": text("which"), "reason": text("why"), "until?": maybe(time("when to look at it again")), "by?": by() }),
            ),
            of_json(shape(json!({ "id": text("names it") }))),
        ),
        Operation::post(
            "/api/v1/holds/{hold}/lift",
            "Lift a hold; another person's takes the role approve.",
            why(),
            answer("Holds"),
        ),
        Operation::get("/api/v1/attestations", "Attestations that hold.", answer("Attestations")),
        Operation::post(
            "/api/v1/attestations",
            "Vouch for one source about one node, for 15 min; never for the Mesos master's view.",
            shape(
                json!({ "node": text("about which"), "source": source(), "reason": text("what was seen"), "by?": by() }),
            ),
            answer("Attestations"),
        ),
        Operation::get("/api/v1/pause", "Whether the off switch is pressed.", answer("Paused")),
        Operation::post(
            "/api/v1/pause",
            "Press the off switch, or release it.",
            shape(json!({ "on?": flag("false releases it"), "reason": text("why"), "by?": by() })),
            answer("Paused"),
        ),
        Operation::get("/api/v1/brake", "The storm brakes that are on.", answer("Brakes")),
        Operation::post(
            "/api/v1/brake",
            "Reset the brake of a class whose cause is understood.",
            shape(json!({ "class": class(), "reason": text("what the cause was"), "by?": by() })),
            answer("Brakes"),
        ),
    ]
}

/// The objects.
pub(super) fn schemas() -> Map<String, Value> {
    let all = json!({
        "OperationSummary": shape(summary()),
        "Operation": operation(),
        "Operations": shape(json!({ "operations": list(of("OperationSummary")) })),
        "Accepted": shape(json!({ "id": maybe(text("the operation; null for a rehearsal")),
            "is_known": flag("you had asked for the same before: it is that one"), "is_dry_run": flag("nothing was started"),
            "plan": list(step()), "sentence": text("in words") })),
        "Holds": shape(json!({ "holds": list(hold()) })),
        "Attestations": shape(json!({ "attestations": list(shape(json!({ "node": text("about which"), "source": source(),
            "by": text("who"), "until": time("until when") }))) })),
        "Pause": shape(json!({ "since": time("since when"), "by": text("who"), "reason": text("why") })),
        "Paused": shape(json!({ "paused": maybe(of("Pause")) })),
        "Brake": shape(json!({ "class": class(), "since": time("since when"), "why": text("what tripped it") })),
        "Brakes": shape(json!({ "brakes": list(of("Brake")) })),
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

fn action() -> Value {
    words(Action::ALL.iter().map(|action| action.as_str()))
}

fn executor() -> Value {
    words(Executor::ALL.map(Executor::as_str))
}

fn step() -> Value {
    words(Step::ALL.iter().map(|step| step.as_str()))
}

fn wanted() -> Value {
    shape(json!({
        "action": action(), "nodes": list(text("the node; one only")), "reason": text("why; colleagues read it"),
        "dry_run?": flag("only say whether it would begin"), "volumes?": words(["keep", "delete"]),
        "let_go?": list(text("a task that may end, by its id")), "image?": maybe(text("of a rebuild or create")),
        "confirm?": list(text("the code of an objection that the requester says yes to")),
        "typed?": maybe(text("the node's name once more, for a delete")), "executor?": executor(),
        "by?": text("who, where root speaks for somebody"),
    }))
}

fn hold() -> Value {
    shape(json!({
        "id": text("names it"), "node": text("as policy spells it"), "by": text("whose it is"), "reason": text("why"),
        "since": time("since when"), "until": maybe(time("when it asks to be renewed or lifted")),
        "operation": maybe(text("the drain it belongs to")), "is_local": flag("set on the node, where alone it can be lifted"),
    }))
}

fn summary() -> Value {
    let objection = shape(
        json!({ "code": text("from a closed list; each has a page in the manual"), "severity": severity(),
        "sentence": text("what objects"), "unblocked_by": text("what would clear it") }),
    );
    let waiting = shape(json!({
        "sentence": text("in words"), "owner": text("who or what ends the wait"), "since": time("since when"),
        "expected_at": maybe(time("when it is expected to end")), "needs_people": flag("nothing but a person ends it"),
        "reasons": list(objection),
    }));
    json!({
        "id": text("names it for ever, such as op-17"), "action": action(), "node": text("as policy spells it"),
        "key": text("the canonical name"), "by": text("who asked"), "reason": text("why"), "requested_at": time("when"),
        "state": words(["running", "undoing", "stuck", "parked", "succeeded", "cancelled", "abandoned"]),
        "step": maybe(step()), "waiting": maybe(waiting), "steps_done": number("steps that are done"), "steps_all": number("steps in all"),
        "changed_at": time("when anything last happened"), "ended": maybe(text("how it ended")),
        "broken": maybe(text("why it stands still: its record is damaged")),
    })
}

fn operation() -> Value {
    let mut fields = summary();
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), operation_only()) {
        fields.extend(more);
    }
    shape(fields)
}

/// What [`crate::view::OperationView`] adds to the summary.
fn operation_only() -> Value {
    let one_step = shape(json!({
        "step": step(), "doing": text("what is going on while it lasts"),
        "state": words(["pending", "begun", "prepared", "committed", "done", "not_done", "unknown", "undoing", "undone"]),
        "is_current": flag("the operation is at it"), "is_irreversible": flag("no way back once it has begun"),
        "was_so": flag("it was so before anything was done"), "attempt": number("how often it was begun"),
        "began_at": maybe(time("when it last began")), "changed_at": maybe(time("when its state last changed")),
        "why": maybe(text("why it is not done, or what would tell")), "by": maybe(text("who ran it, or said how it ended")),
        "command": list(text("a word of the command that was run")), "evidence": list(evidence()),
    }));
    json!({
        "class": class(), "executor": executor(), "volumes": words(["keep", "delete"]), "image": maybe(text("the one that was named")),
        "is_silent": flag("it rests on the node being silent for good"), "let_go": list(text("a task that may end")),
        "digest": text("what an approval binds, as things are now"),
        "is_past_no_return": flag("something irreversible has happened or may have"),
        "permit": maybe(shape(json!({ "step": step(), "at": time("when it was given"), "expires_at": time("the step must not begin after this") }))),
        "steps": list(one_step),
        "grants": list(shape(json!({ "code": text("the objection"), "task": maybe(text("the task it is about")), "by": text("who"),
            "at": time("when"), "counts": flag("a yes to what is not planned any more does not") }))),
        "may": list(words(["approve", "cancel", "abandon", "retry", "begin", "done", "not_run"])),
        "command": list(text("a word of the command that would be run now")),
        "story": list(shape(json!({ "at": time("when"), "what": text("a word"), "sentence": text("in words") }))),
    })
}
