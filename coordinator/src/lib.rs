//! The coordinator: knows the fleet, decides, answers.
