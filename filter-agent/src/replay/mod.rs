//! Runs a capture through the real program in the kernel, without any
//! interface, and tells per packet what would have happened.

mod capture;
mod direction;
mod ethernet;
mod headers;
mod output;
mod run;

pub use capture::{Capture, CaptureError, Record};
pub use output::{Line, Printer, Style};
pub use run::{Judged, Options, Replay, ReplayError};
