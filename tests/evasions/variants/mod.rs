//! More ways of each trick, and what ordinary stacks do that looks like one.

mod datagrams;
mod hellos;
mod ordinary;
mod packets;
mod queries;
mod requests;
mod segments;
