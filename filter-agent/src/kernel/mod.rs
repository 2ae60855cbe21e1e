//! Between the agent and the kernel: preflight, load, attach, pin, replace,
//! and reading what the kernel half tells. Knows no schools.

mod access;
mod attach;
mod clock;
mod contents;
mod counters;
mod error;
mod events;
mod fill;
mod filter;
mod generation;
pub(crate) mod load;
mod object;
mod overrides;
mod pins;
pub mod preflight;
mod shared;
mod swap;
mod sys;
mod watch;
mod wire;

pub use access::AccessMap;
pub use attach::{Attached, Hook, HookKind, Interface, Mode, Side};
pub use clock::monotonic_now;
pub use contents::Contents;
pub use counters::Counters;
pub use error::KernelError;
pub use events::Events;
pub use fill::LostEvents;
pub use filter::{Applied, Filter, Retired};
pub use generation::Generation;
pub use object::object;
pub use overrides::Overrides;
pub use pins::{DEFAULT_ROOT, Lock};
pub use shared::{Shared, fresh_secret};
pub use swap::{Prepared, Swapped};
pub use watch::LinkWatch;
pub(crate) use wire::Wire;
