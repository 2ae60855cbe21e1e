//! Maps and entry points. The logic lies in the library; what is here moves
//! packets and map values to it.

mod conclude;
mod dns;
mod egress;
mod finish;
mod flood;
mod ingress;
mod inspect;
mod judge;
mod lookup;
pub(crate) mod maps;
mod quic;
mod recent;
mod reply;
mod resend;
mod scratch;
mod stream;
mod wan;
