//! The protocol's document says what the types say: each example in it is read, and means something.

use crate::{
    ErrorBody, Order, OrderEvent, OrderState, Orders, RefusalCode, Report, ReportAnswer, Status, Verb,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../README.md");

/// The examples marked "```json KIND".
fn examples(kind: &str) -> Vec<&'static str> {
    let fence = format!("```json {kind}\n");
    DOCUMENT.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Reads the one example of a kind; every field in it must be one that the type has.
fn read<T: DeserializeOwned + Serialize>(kind: &str) -> T {
    let [example] = examples(kind)[..] else { panic!("exactly one example of {kind}") };
    let read: T = serde_json::from_str(example).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let given: Value = serde_json::from_str(example).unwrap_or_default();
    let kept = serde_json::to_value(&read).unwrap_or_default();
    lost(&given, &kept, kind);
    read
}

/// Complains about a field of the example that reading it dropped.
fn lost(given: &Value, kept: &Value, place: &str) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (key, value) in given {
                let place = format!("{place}.{key}");
                lost(value, kept.get(key).unwrap_or_else(|| panic!("{place} is no field")), &place);
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            assert_eq!(given.len(), kept.len(), "{place}");
            given.iter().zip(kept).for_each(|(given, kept)| lost(given, kept, place));
        }
        _ => {}
    }
}

#[test]
fn every_example_is_read_into_its_type_and_loses_nothing() {
    let report: Report = read("report");
    assert_eq!(report.findings.first().map(|finding| finding.status), Some(Status::Warn));
    assert_eq!(report.facts.mesos_agent.map(|agent| agent.tasks.len()), Some(1));
    assert!(read::<ReportAnswer>("report-answer").listed);
    assert_eq!(report.local_holds.len(), 1);
    let orders = read::<Orders>("orders").orders;
    let [order] = &orders[..] else { panic!("one order") };
    let order: Order = serde_json::from_value(order.clone()).unwrap();
    lost(&orders[0], &serde_json::to_value(&order).unwrap(), "orders");
    assert!(matches!(order.verb, Verb::Reboot { .. }));
    let event: OrderEvent = read("order-event");
    assert!(matches!(event.state, OrderState::Refused { code: RefusalCode::Veto, .. }));
    assert_eq!(read::<ErrorBody>("error").code, "not_your_node");
}

#[test]
fn every_refusal_of_an_agent_is_explained() {
    for code in RefusalCode::ALL {
        let word = format!("`{}`", code.as_str());
        assert!(DOCUMENT.contains(&word), "{word}");
    }
}

#[test]
fn every_example_has_a_kind_that_is_read() {
    let marked = DOCUMENT.matches("```json").count();
    let read: usize = ["report", "report-answer", "orders", "order-event", "error"]
        .iter()
        .map(|kind| examples(kind).len())
        .sum();
    assert_eq!(marked, read);
}
