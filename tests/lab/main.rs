//! Real clients against real servers, through the filter, in namespaces.

mod apply;
mod bell;
mod clients;
mod demo;
mod prometheus;
mod school;
mod topology;
