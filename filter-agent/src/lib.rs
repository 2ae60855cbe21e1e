//! The user half of the filter.

pub mod image;
pub mod store;
