//! The attack table: each case by its id, blocked and allowed side by side,
//! judged by the real programs in the kernel.

mod dns;
mod hello;
mod http;
mod stream;
mod tcp;
mod tls;
