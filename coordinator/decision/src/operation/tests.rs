//! Stories of single operations.
