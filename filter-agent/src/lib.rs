//! The user half of the filter.

pub mod image;
pub mod kernel;
pub mod store;
