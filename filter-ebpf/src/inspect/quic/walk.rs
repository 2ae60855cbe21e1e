//! From the gathered ClientHello to the name.

use super::QuicHello;
use crate::{
    abi::{Hello, Protocol, Reason},
    inspect::{Progress, clear, tls},
};

/// Reads the complete ClientHello in `gathered` into `hello`, whose old
/// content is forgotten.
#[inline(always)]
pub fn walk(gathered: &QuicHello, hello: &mut Hello) -> Progress {
    clear(&mut hello.state);
    hello.protocol = Protocol::Quic as u8;
    hello.name_len = 0;
    let chunk = gathered.buffer.chunk(gathered.total);
    match tls::feed_handshake(hello, &chunk, gathered.begin) {
        // All of it is there: what wants more contradicts its own length.
        Progress::More => Progress::Failed(Reason::Malformed),
        progress => progress,
    }
}
