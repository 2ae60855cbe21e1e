//! DNS queries over UDP and TCP (RFC 1035 §4): the name that is asked for.
//!
//! A message may carry several questions if all ask for one name; one that
//! asks for two is judged by neither (RFC 9619 forbids more than one question
//! anyway). Only the question section is walked, so padding and EDNS cost
//! nothing (D01).

mod tunnel;

pub use tunnel::{Bucket, is_long};

use core::ops::ControlFlow;

use crate::abi::{FlowFlags, Hello, NAME_MAX, Protocol, Reason};
use crate::bpf::{Step, opaque, repeat};
use crate::inspect::name::LITERAL_STATE;
use crate::inspect::scan::{STATE, state_of};
use crate::inspect::{CHUNK, Chunk, Finding, Progress};

/// Jumps of one name; each must lead further to the front.
const JUMPS: u32 = 8;
/// Questions of one message.
const QUESTIONS: u32 = 8;
const HEADER: u32 = 12;

/// Types of records (RFC 1035 §3.2.2, RFC 3596, RFC 9460).
pub mod qtype {
    pub const A: u16 = 1;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
}

/// How messages lie in what is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A chunk is a message.
    Datagram,
    /// Two bytes of length before each message (RFC 1035 §4.2.2).
    Stream,
}

/// What the last message asked, beside the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Type of the last question.
    pub kind: u16,
    pub class: u16,
    pub questions: u16,
    /// Bytes of header and questions.
    pub len: u32,
}

/// Feeds a datagram, or the next bytes of a stream.
///
/// `Done` comes with the last question of a message: the name is in `hello`,
/// or it is the root's and there is none (`UNNAMED`). Fed again with the same
/// chunk, it goes on behind that message; `More` says that the chunk is used
/// up, and the next call takes a new one.
#[inline(always)]
pub fn feed(hello: &mut Hello, chunk: &Chunk<'_>, framing: Framing) -> Progress {
    hello.protocol = Protocol::Dns as u8;
    let state = state_of::<State>(&mut hello.state);
    state.outcome = 0;
    if framing == Framing::Datagram && state.stage == Stage::LENGTH {
        if chunk.len() < HEADER {
            return Progress::Failed(Reason::Malformed);
        }
        state.message_len = chunk.len();
        state.begin_message();
    }
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
    match state.outcome {
        Outcome::NAMED => Progress::Done(Finding {
            flags: FlowFlags::NAMED,
            unfinished: 0,
        }),
        Outcome::ROOT => Progress::Done(Finding {
            flags: FlowFlags::UNNAMED,
            unfinished: 0,
        }),
        Outcome::MALFORMED => Progress::Failed(Reason::Malformed),
        _ if framing == Framing::Datagram => {
            if state.stage == Stage::REST {
                return Progress::More;
            }
            Progress::Failed(Reason::Malformed)
        }
        _ => {
            state.at = 0;
            // Jumps cannot reach into a chunk that is gone.
            state.start_known = 0;
            Progress::More
        }
    }
}

/// What the message asked whose end `feed` told by `Done`.
#[inline(always)]
pub fn query(hello: &mut Hello) -> Query {
    let state = state_of::<State>(&mut hello.state);
    Query {
        kind: state.kind as u16,
        class: state.class as u16,
        questions: state.asked as u16,
        len: state.used,
    }
}

struct Stage;

impl Stage {
    /// The length before a message.
    const LENGTH: u32 = 0;
    const HEADER: u32 = 1;
    /// The length of a label, or a pointer.
    const LABEL: u32 = 2;
    const BYTES: u32 = 3;
    /// The second byte of a pointer.
    const POINTER: u32 = 4;
    /// Type and class.
    const FIXED: u32 = 5;
    /// What follows the questions.
    const REST: u32 = 6;
}

struct Outcome;

impl Outcome {
    const NAMED: u32 = 1;
    const ROOT: u32 = 2;
    const MALFORMED: u32 = 3;
}

/// Lies in `Hello::state`.
#[derive(Clone, Copy)]
#[repr(C)]
struct State {
    stage: u32,
    /// Position in the chunk.
    at: u32,
    /// Bytes of the message, and how many were taken.
    message_len: u32,
    used: u32,
    /// Position of the message's first byte, where the chunk holds it.
    start: u32,
    start_known: u32,
    /// The last bytes, the newest lowest.
    field: u32,
    /// Bytes of the present field or label.
    count: u32,
    label: u32,
    /// Questions to come, and asked.
    questions: u32,
    asked: u32,
    /// Names completed in this message.
    names: u32,
    name_at: u32,
    jumps: u32,
    /// Lowest place a jump came to, and where the name goes on behind it;
    /// 0: no jump.
    floor: u32,
    resume: u32,
    kind: u32,
    class: u32,
    outcome: u32,
}

// A stream goes on behind a name that was read as an address.
const _: () = assert!(size_of::<State>() + LITERAL_STATE <= STATE);

impl State {
    #[inline(always)]
    fn begin_message(&mut self) {
        self.stage = Stage::HEADER;
        self.start = self.at;
        self.start_known = 1;
        put(&mut self.used, 0);
        put(&mut self.field, 0);
        put(&mut self.count, 0);
        put(&mut self.asked, 0);
        put(&mut self.names, 0);
    }

    #[inline(always)]
    fn begin_name(&mut self) {
        self.stage = Stage::LABEL;
        self.floor = self.used;
        put(&mut self.name_at, 0);
        put(&mut self.jumps, 0);
        put(&mut self.resume, 0);
    }
}

/// Volatile, or LLVM makes one call of memset, which BPF has not.
#[inline(always)]
fn put(to: &mut u32, value: u32) {
    // SAFETY: the reference is valid.
    unsafe { core::ptr::write_volatile(to, value) };
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
        if self.state.outcome != 0 {
            return ControlFlow::Break(());
        }
        let Some(byte) = self.chunk.get(self.state.at) else {
            return ControlFlow::Break(());
        };
        if self.state.stage == Stage::REST {
            return self.rest();
        }
        self.state.at = self.state.at.wrapping_add(1);
        if self.state.stage == Stage::LENGTH {
            self.length(byte);
            return ControlFlow::Continue(());
        }
        // Behind a jump, bytes are read a second time.
        if self.state.resume == 0 {
            if self.state.used >= self.state.message_len {
                self.malformed();
                return ControlFlow::Break(());
            }
            self.state.used = self.state.used.wrapping_add(1);
        }
        match self.state.stage {
            Stage::HEADER => self.header(byte),
            Stage::LABEL => self.label(byte),
            Stage::BYTES => self.byte(byte),
            Stage::POINTER => self.pointer(byte),
            _ => self.fixed(byte),
        }
        ControlFlow::Continue(())
    }
}

impl Walk<'_> {
    #[inline(always)]
    fn malformed(&mut self) {
        self.state.outcome = Outcome::MALFORMED;
    }

    /// Passes over what follows the questions.
    #[inline(always)]
    fn rest(&mut self) -> ControlFlow<()> {
        let state = &mut *self.state;
        let left = state.message_len.wrapping_sub(state.used);
        let here = self.chunk.len().wrapping_sub(state.at);
        let taken = if left < here { left } else { here };
        state.at = state.at.wrapping_add(taken);
        state.used = state.used.wrapping_add(taken);
        if state.used >= state.message_len && state.at < self.chunk.len() {
            state.stage = Stage::LENGTH;
            state.count = 0;
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(())
    }

    #[inline(always)]
    fn length(&mut self, byte: u8) {
        let state = &mut *self.state;
        if state.used >= state.message_len && state.count >= 2 {
            state.count = 0;
        }
        state.field = state.field << 8 | u32::from(byte);
        state.count = state.count.wrapping_add(1);
        if state.count == 2 {
            state.message_len = state.field & 0xffff;
            if state.message_len < HEADER {
                self.malformed();
                return;
            }
            state.begin_message();
        }
    }

    #[inline(always)]
    fn header(&mut self, byte: u8) {
        let state = &mut *self.state;
        state.field = state.field << 8 | u32::from(byte);
        match state.used {
            // QR: an answer from a client.
            3 if byte & 0x80 != 0 => self.malformed(),
            6 => {
                state.questions = state.field & 0xffff;
                if state.questions > QUESTIONS {
                    self.malformed();
                }
            }
            HEADER => self.next_question(),
            _ => {}
        }
    }

    #[inline(always)]
    fn next_question(&mut self) {
        let state = &mut *self.state;
        if state.questions != 0 {
            state.questions = state.questions.wrapping_sub(1);
            state.begin_name();
            return;
        }
        state.stage = Stage::REST;
        let named = state.names != 0 && *self.name_len != 0;
        state.outcome = if named { Outcome::NAMED } else { Outcome::ROOT };
    }

    /// RFC 1035 §4.1.4.
    #[inline(always)]
    fn label(&mut self, byte: u8) {
        let state = &mut *self.state;
        match byte {
            0 => self.end_name(),
            1..=63 => {
                state.label = u32::from(byte);
                state.stage = Stage::BYTES;
                if state.name_at != 0 {
                    self.push(b'.');
                }
            }
            0xc0.. => {
                state.field = u32::from(byte & 0x3f);
                state.stage = Stage::POINTER;
            }
            _ => self.malformed(),
        }
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        // Neither a dot inside a label nor what no host name has may look
        // like a part of a list's entry, or break a text that shows it.
        let shown = if byte == b'.' || !byte.is_ascii_graphic() && byte != b' ' {
            b'?'
        } else {
            byte.to_ascii_lowercase()
        };
        self.push(shown);
        let state = &mut *self.state;
        state.label = state.label.wrapping_sub(1);
        if state.label == 0 {
            state.stage = Stage::LABEL;
        }
    }

    /// Takes the name's next byte; a further name must be the first again.
    #[inline(always)]
    fn push(&mut self, byte: u8) {
        let at = self.state.name_at;
        // 255 bytes on the wire are 253 here (RFC 1035 §2.3.4).
        if at >= 253 {
            self.malformed();
            return;
        }
        self.state.name_at = at.wrapping_add(1);
        let index = opaque(u64::from(at)) as usize & (NAME_MAX - 1);
        if self.state.names == 0 {
            self.name[index] = byte;
        } else if self.name[index] != byte {
            self.malformed();
        }
    }

    #[inline(always)]
    fn end_name(&mut self) {
        let len = self.state.name_at as u8;
        if self.state.names == 0 {
            *self.name_len = len;
        } else if *self.name_len != len {
            self.malformed();
            return;
        }
        let state = &mut *self.state;
        state.names = state.names.wrapping_add(1);
        if state.resume != 0 {
            state.at = state.resume;
            state.resume = 0;
        }
        state.count = 0;
        state.stage = Stage::FIXED;
    }

    #[inline(always)]
    fn pointer(&mut self, byte: u8) {
        let state = &mut *self.state;
        let target = state.field << 8 | u32::from(byte);
        state.jumps = state.jumps.wrapping_add(1);
        // Only to the front, so that it ends, and never into the header,
        // whose bytes are the client's to choose but no name's.
        let allowed = state.start_known != 0
            && target >= HEADER
            && target < state.floor
            && state.jumps <= JUMPS;
        if !allowed {
            self.malformed();
            return;
        }
        state.floor = target;
        if state.resume == 0 {
            state.resume = state.at;
        }
        state.at = state.start.wrapping_add(target);
        state.stage = Stage::LABEL;
    }

    #[inline(always)]
    fn fixed(&mut self, byte: u8) {
        let state = &mut *self.state;
        state.field = state.field << 8 | u32::from(byte);
        state.count = state.count.wrapping_add(1);
        if state.count < 4 {
            return;
        }
        state.kind = state.field >> 16;
        state.class = state.field & 0xffff;
        state.asked = state.asked.wrapping_add(1);
        self.next_question();
    }
}

#[cfg(test)]
mod tests;
