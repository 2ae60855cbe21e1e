//! The user half of the filter.

pub mod calendar;
pub mod cli;
pub mod control;
pub mod daemon;
pub mod explain;
pub mod image;
pub mod kernel;
pub mod lists;
pub mod metrics;
pub mod policy;
pub mod replay;
pub mod store;
pub mod words;
