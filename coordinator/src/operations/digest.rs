//! What an approval binds (S14): action, machine, volumes, executor, image, overrides, policy.

use millwright_decision::{
    Policy, Volumes,
    operation::{Doer, Plan, Wish},
};
use ring::digest::{SHA256, digest as hash};
use std::fmt::Write;

/// Sixteen hex digits over everything a person agrees to. Facts that change by themselves are judged at the permit.
pub fn digest(wish: &Wish, policy: &Policy) -> String {
    let mut words: Vec<String> = vec![
        wish.action.to_string(),
        wish.node.to_string(),
        wish.machine.as_ref().map_or_else(String::new, |machine| machine.machine_id.clone()),
        wish.machine.as_ref().and_then(|machine| machine.server_uuid.clone()).unwrap_or_default(),
        if wish.volumes == Volumes::Keep { "keep" } else { "delete" }.to_owned(),
        wish.executor.as_str().to_owned(),
        wish.image.clone().unwrap_or_default(),
        wish.is_silent.to_string(),
        policy.version.clone(),
    ];
    words.extend(wish.let_go.iter().cloned());
    let steps = Plan::of(wish.action, wish.is_silent).steps;
    for step in steps.into_iter().filter(|step| step.doer() == Doer::Executor) {
        match policy.command(step, wish) {
            Ok(command) => words.extend(command),
            Err(why) => words.push(why.to_string()),
        }
    }
    let mut text = String::new();
    for word in words {
        // Lengths keep two different lists from reading alike.
        let _ = write!(text, "{}:{word};", word.len());
    }
    let mut hex = String::with_capacity(16);
    for byte in hash(&SHA256, text.as_bytes()).as_ref().iter().take(8) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
