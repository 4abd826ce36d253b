//! Keeps images on the node: pulled when missing or stale, one at a time, with room checked first. (R16)
//!
//! The machine decides and is pure; the driver asks Docker. Neither is a check: a pull of an hour delays none.

mod driver;
mod machine;
mod name;

pub use driver::{drive, inspect};
pub use machine::{Next, PrePull};
pub use name::ImageName;

use std::{cell::RefCell, rc::Rc};

/// The images as the driver works on them and the check shows them; one thread uses it.
pub type Images = Rc<RefCell<PrePull>>;
