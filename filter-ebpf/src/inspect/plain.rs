//! Protocols that are not encrypted: HTTP, and requests to SOCKS proxies
//! (SOCKS 4 and 4A, RFC 1928, RFC 1929); and what makes a connection that was
//! plain worth another look.

use core::ops::ControlFlow;

use crate::abi::{FlowFlags, Hello, NAME_MAX, Protocol, Reason};
use crate::bpf::{Step, repeat};
use crate::inspect::name::Gather;
use crate::inspect::scan::state_of;
use crate::inspect::{CHUNK, Chunk, Finding, Outcome, Progress, http, sniff};

/// Feeds the next bytes of a TCP stream that [`super::sniff`] took for HTTP
/// or SOCKS, as `Hello::protocol` says.
#[inline(always)]
pub fn feed(hello: &mut Hello, chunk: &Chunk<'_>) -> Progress {
    if hello.protocol == Protocol::Http as u8 {
        http::feed(hello, chunk)
    } else {
        feed_socks(hello, chunk)
    }
}

/// Feeds the next bytes of what a client says to a SOCKS proxy. An address is
/// written down as a name ([`super::name::literal`] reads it).
#[inline(always)]
pub fn feed_socks(hello: &mut Hello, chunk: &Chunk<'_>) -> Progress {
    let state = state_of::<State>(&mut hello.state);
    state.at_chunk = 0;
    repeat(
        2 * CHUNK as u32,
        &mut Walk {
            state,
            name: &mut hello.name,
            name_len: &mut hello.name_len,
            chunk: *chunk,
        },
    );
    let state = state_of::<State>(&mut hello.state);
    let outcome = state.outcome;
    // What is said before the proxy answers would be looked at by nobody.
    let early = state.at_chunk < chunk.len();
    let colon = state.gather.has_colon();
    match outcome.progress(hello, colon) {
        Progress::Done(_) if early => Progress::Failed(Reason::Malformed),
        Progress::Done(finding) => Progress::Done(Finding {
            unfinished: Finding::AT_HEAD,
            ..finding
        }),
        progress => progress,
    }
}

/// Whether a later payload of a connection that was judged as `was` may begin
/// a TLS hello (STARTTLS, a proxy's tunnel; T20) or another HTTP request
/// (keep-alive): it is to be inspected again from its first byte on, with a
/// state that is all zero.
///
/// One byte must be enough (T02), so this is often wrong about a body; the
/// inspector then says `UnknownProtocol`, and what was judged still holds.
#[inline(always)]
pub fn restarts(first: u8, was: Protocol) -> bool {
    match sniff(first) {
        Some(Protocol::Tls) => first == 22,
        Some(Protocol::Http) => was as u8 == Protocol::Http as u8,
        _ => false,
    }
}

/// What the next byte is part of.
struct Stage;

impl Stage {
    const VERSION: u32 = 0;
    /// SOCKS 4: command, port, address.
    const V4_COMMAND: u32 = 1;
    const V4_ADDRESS: u32 = 2;
    const V4_USER: u32 = 3;
    /// SOCKS 4A: the name, up to a zero.
    const V4_NAME: u32 = 4;
    /// SOCKS 5: how many methods, and they.
    const METHODS: u32 = 5;
    /// The first byte of a request, or of user and password before it.
    const REQUEST: u32 = 6;
    const USER: u32 = 7;
    const PASSWORD: u32 = 8;
    const COMMAND: u32 = 9;
    const RESERVED: u32 = 10;
    const KIND: u32 = 11;
    const ADDRESS4: u32 = 12;
    const ADDRESS6: u32 = 13;
    const NAME_LENGTH: u32 = 14;
    /// The name's bytes; `left` of them to come.
    const NAME: u32 = 15;
    /// The port; then all is said.
    const PORT: u32 = 16;
}

/// Lies in `Hello::state`.
#[derive(Clone, Copy)]
#[repr(C)]
struct State {
    /// Bytes of an address so far.
    word: u64,
    stage: u32,
    at_chunk: u32,
    /// Bytes to pass over before the stage.
    skip: u32,
    /// Bytes of a field that are missing.
    left: u32,
    outcome: Outcome,
    gather: Gather,
}

struct Walk<'a> {
    state: &'a mut State,
    name: &'a mut [u8; NAME_MAX],
    name_len: &'a mut u8,
    chunk: Chunk<'a>,
}

impl Step for Walk<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let at = self.state.at_chunk;
        if self.state.outcome.is_final() || at >= self.chunk.len() {
            return ControlFlow::Break(());
        }
        self.state.at_chunk = at.wrapping_add(1);
        if self.state.skip != 0 {
            self.state.skip = self.state.skip.wrapping_sub(1);
        } else {
            self.byte(self.chunk.byte(at) as u8);
        }
        ControlFlow::Continue(())
    }
}

impl Walk<'_> {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        let state = &mut *self.state;
        match state.stage {
            Stage::VERSION => {
                state.stage = if byte == 4 {
                    Stage::V4_COMMAND
                } else {
                    Stage::METHODS
                };
            }
            Stage::V4_COMMAND => match byte {
                1 => state.then(Stage::V4_ADDRESS, 2, 4),
                // BIND: nobody knows who will connect.
                2 => self.fail(Reason::Proxy),
                _ => self.fail(Reason::UnknownProtocol),
            },
            Stage::V4_ADDRESS => {
                if state.gather_word(byte) {
                    state.stage = Stage::V4_USER;
                }
            }
            Stage::V4_USER | Stage::V4_NAME => self.v4_text(byte),
            Stage::METHODS => match byte {
                0 => self.fail(Reason::UnknownProtocol),
                _ => state.then(Stage::REQUEST, u32::from(byte), 0),
            },
            Stage::REQUEST => match byte {
                1 => state.stage = Stage::USER,
                5 => state.stage = Stage::COMMAND,
                // Another way to log in, perhaps encrypted.
                _ => self.fail(Reason::Proxy),
            },
            Stage::USER => state.then(Stage::PASSWORD, u32::from(byte), 0),
            Stage::PASSWORD => state.then(Stage::REQUEST, u32::from(byte), 0),
            Stage::COMMAND => match byte {
                1 => state.stage = Stage::RESERVED,
                _ => self.fail(Reason::Proxy),
            },
            Stage::RESERVED => state.stage = Stage::KIND,
            Stage::KIND => match byte {
                1 => state.then(Stage::ADDRESS4, 0, 4),
                3 => state.stage = Stage::NAME_LENGTH,
                4 => {
                    state.gather.begin();
                    state.then(Stage::ADDRESS6, 0, 16);
                }
                _ => self.fail(Reason::Malformed),
            },
            Stage::ADDRESS4 => {
                if state.gather_word(byte) {
                    self.write_v4();
                    self.end_name();
                }
            }
            Stage::ADDRESS6 => self.write_v6(byte),
            Stage::NAME_LENGTH => {
                if byte == 0 {
                    return self.fail(Reason::Malformed);
                }
                state.gather.begin();
                state.then(Stage::NAME, 0, u32::from(byte));
            }
            Stage::NAME => {
                self.push(byte);
                self.state.left = self.state.left.wrapping_sub(1);
                if self.state.left == 0 {
                    self.end_name();
                }
            }
            _ => self.state.outcome = Outcome::done(FlowFlags::NAMED),
        }
    }

    /// User and name of SOCKS 4, both ended by a zero.
    #[inline(always)]
    fn v4_text(&mut self, byte: u8) {
        let state = &mut *self.state;
        if byte != 0 {
            if state.stage == Stage::V4_NAME {
                self.push(byte);
            }
            return;
        }
        if state.stage == Stage::V4_USER {
            // 0.0.0.x means that a name follows.
            if state.word >> 8 == 0 && state.word != 0 {
                state.gather.begin();
                state.stage = Stage::V4_NAME;
                return;
            }
            self.write_v4();
        }
        self.end_name();
        if !self.state.outcome.is_final() {
            self.state.outcome = Outcome::done(FlowFlags::NAMED);
        }
    }

    #[inline(never)]
    fn write_v4(&mut self) {
        self.state.gather.begin();
        for shift in [24, 16, 8, 0] {
            let part = (self.state.word >> shift) as u8;
            if part >= 100 {
                self.push(b'0'.wrapping_add(part / 100));
            }
            if part >= 10 {
                self.push(b'0'.wrapping_add(part / 10 % 10));
            }
            self.push(b'0'.wrapping_add(part % 10));
            if shift != 0 {
                self.push(b'.');
            }
        }
    }

    /// Writes a byte of an IPv6 address: two digits, and a colon after each
    /// second byte.
    #[inline(always)]
    fn write_v6(&mut self, byte: u8) {
        self.push(digit(byte >> 4));
        self.push(digit(byte & 15));
        self.state.left = self.state.left.wrapping_sub(1);
        if self.state.left == 0 {
            self.end_name();
        } else if self.state.left & 1 == 0 {
            self.push(b':');
        }
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        if self
            .state
            .gather
            .push(self.name, *self.name_len, u64::from(byte), 1)
            == 0
        {
            self.fail(Reason::Malformed);
        }
    }

    /// The name is complete; the port follows.
    #[inline(always)]
    fn end_name(&mut self) {
        if self.state.gather.end(self.name, self.name_len) {
            self.state.then(Stage::PORT, 1, 0);
        } else {
            self.fail(Reason::Malformed);
        }
    }

    #[inline(always)]
    fn fail(&mut self, reason: Reason) {
        if !self.state.outcome.is_final() {
            self.state.outcome = Outcome::failed(reason);
        }
    }
}

impl State {
    #[inline(always)]
    fn then(&mut self, stage: u32, skip: u32, left: u32) {
        self.stage = stage;
        self.skip = skip;
        self.left = left;
    }

    /// Takes a byte of a number; `true` when it is complete.
    #[inline(always)]
    fn gather_word(&mut self, byte: u8) -> bool {
        self.word = (self.word << 8) | u64::from(byte);
        self.left = self.left.wrapping_sub(1);
        self.left == 0
    }
}

#[inline(always)]
fn digit(value: u8) -> u8 {
    if value < 10 {
        b'0'.wrapping_add(value)
    } else {
        (b'a' - 10).wrapping_add(value)
    }
}
