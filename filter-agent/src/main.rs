//! The agent and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    filter_agent::cli::main()
}
