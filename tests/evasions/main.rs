//! The attack table: each case by its id, blocked and allowed side by side,
//! judged by the real programs in the kernel.

#![expect(
    clippy::unwrap_used,
    reason = "a failed case shall panic, in its helpers too"
)]

mod answers;
mod dns;
mod flood;
mod hello;
mod http;
mod ip;
mod quic;
mod refusals;
mod stream;
mod tcp;
mod tls;
mod variants;
mod wire;
