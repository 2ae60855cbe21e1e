//! The user half of the filter.

pub mod image;
