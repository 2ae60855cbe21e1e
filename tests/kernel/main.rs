//! The program in this kernel, fed with captures and crafted frames by
//! BPF_PROG_TEST_RUN, and images replaced under load on a veth pair of their
//! own. Needs root.

mod again;
mod captures;
mod clock;
mod frames;
mod fuzz;
mod hooks;
mod replace;
mod upgrade;
