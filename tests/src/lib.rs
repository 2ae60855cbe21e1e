#![doc = "Harness of the kernel and lab tests."]

pub mod lab;
pub mod netns;
pub mod reach;
pub mod skip;
pub mod switch;
