//! Real clients against real servers, through the filter, in namespaces.

mod clients;
mod topology;
