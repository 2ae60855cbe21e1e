//! What can go wrong between the agent and the kernel.

use std::io;
use std::path::PathBuf;

/// Why the kernel did not take something. Unless a variant says otherwise,
/// what was in force before still is.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("the embedded kernel half is broken: {0}; build it again with `cargo xtask build`")]
    Object(String),
    #[error("the kernel refuses program {program}: {reason}")]
    Verifier { program: String, reason: String },
    #[error(
        "{path} is a map of another shape ({found}, expected {expected}); run `filter-agent detach` and start again"
    )]
    Shape {
        path: PathBuf,
        found: String,
        expected: String,
    },
    #[error("interface {interface}: {problem}")]
    Attach { interface: String, problem: String },
    #[error(
        "another filter-agent serves the filter at {0}; stop that one first, or pin elsewhere with --pins"
    )]
    Served(PathBuf),
    #[error("{0}")]
    Contents(String),
    #[error("nothing is loaded: start the agent with `filter-agent run`")]
    NotLoaded,
}

impl KernelError {
    /// Wraps an error of the system with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A result of the kernel half.
pub(super) type Result<T, E = KernelError> = std::result::Result<T, E>;
