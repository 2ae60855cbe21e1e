//! The kernel half of the filter as a library.
//!
//! Everything here compiles for the kernel and for the host, so host tests
//! and fuzzers run the very code that the kernel runs. Nothing here owns a
//! map: look-ups go through small traits, packets through one bounds-checked
//! accessor.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod access;
pub mod bpf;
pub mod frame;
pub mod inspect;
pub mod judge;
pub mod reply;
pub mod tables;
