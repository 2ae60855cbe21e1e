//! TLS over TCP: records, handshake messages, the ClientHello's extensions
//! (RFC 8446 §5.1, §4.1.2; RFC 6066 §3).
//!
//! The hello is walked by its lengths: an extension that is not wanted costs
//! one step, whatever its size. Only a field that a segment or a record cuts
//! is gathered byte by byte (T01, T10, T11). Inner lengths rule; one that
//! reaches past its frame is a contradiction, and a contradiction is denied
//! (T14).

use core::ops::ControlFlow;

use crate::abi::{FlowFlags, Hello, NAME_MAX, Reason};
use crate::bpf::{Step, less, opaque, repeat};
use crate::inspect::name::{Gather, LITERAL_STATE};
use crate::inspect::scan::{STATE, state_of};
use crate::inspect::{CHUNK, Chunk, Finding, Outcome, Progress};

/// Records without a byte of the hello that may come before or between its
/// parts: servers skip some, none needs any (T12).
const MAX_IDLE_RECORDS: u8 = 8;
/// Largest fragment of a record, with the slack of RFC 5246 §6.2.3.
const MAX_RECORD: u32 = 16384 + 2048;
/// Name bytes taken per step.
const NAME_STEP: u32 = 32;
/// Extensions passed over per step, which as a step of its own would cost a
/// call each.
const PASSED: u32 = 16;

/// Feeds the next bytes of a TCP stream whose first byte [`super::sniff`]
/// took for TLS.
///
/// `Done` comes with the last byte of the extensions, not before: a second
/// server_name could follow. The caller bounds the bytes
/// (`Reason::HelloTooLong`): as long as this says `More`, it keeps nothing
/// but a name of at most 255 bytes.
///
/// A server may ask for another hello (HelloRetryRequest, RFC 8446 §4.1.4),
/// which must name the same host. So as long as one may follow, `Done` is
/// unfinished ([`super::Finding::INSIDE_HEAD`]), and so is every answer to what is fed
/// on, until the client sends what comes behind its last hello.
#[inline(always)]
pub fn feed(hello: &mut Hello, chunk: &Chunk<'_>) -> Progress {
    walk(hello, chunk, 0, 0)
}

/// `FlowFlags` of the hello that is complete, while another may follow it.
#[inline(always)]
pub fn told(hello: &mut Hello) -> Option<u8> {
    let found = state_of::<State>(&mut hello.state).found;
    (found != 0).then_some(found)
}

/// Feeds the next bytes of a stream of handshake messages without a record
/// layer, from `from` on: the CRYPTO frames of QUIC, in order (RFC 9001 §4).
#[inline(always)]
pub fn feed_handshake(hello: &mut Hello, chunk: &Chunk<'_>, from: u32) -> Progress {
    // One record that never ends.
    match walk(hello, chunk, u32::MAX, from) {
        Progress::Done(finding) => Progress::Done(Finding {
            unfinished: 0,
            ..finding
        }),
        progress => progress,
    }
}

#[inline(always)]
fn walk(hello: &mut Hello, chunk: &Chunk<'_>, record_left: u32, from: u32) -> Progress {
    let state = state_of::<State>(&mut hello.state);
    if state.stage == Stage::START {
        state.stage = Stage::MESSAGE;
        state.need = 4;
        state.record_left = record_left;
    }
    state.at_chunk = from;
    repeat(
        // A byte of the hello may cost a whole record header; each step but
        // a handful takes a byte.
        2 * CHUNK as u32,
        &mut Walk {
            state,
            name: &mut hello.name,
            name_len: &mut hello.name_len,
            chunk: *chunk,
        },
    );
    let state = state_of::<State>(&mut hello.state);
    let colon = state.gather.has_colon();
    if state.outcome.is_final() || state.found == 0 {
        return state.outcome.progress(hello, colon);
    }
    match Outcome::done(state.found).progress(hello, colon) {
        Progress::Done(finding) => Progress::Done(Finding {
            unfinished: Finding::INSIDE_HEAD,
            ..finding
        }),
        progress => progress,
    }
}

/// server_name (RFC 6066 §3).
const SERVER_NAME: u32 = 0;
/// RFC 8446 §4.2.10.
const EARLY_DATA: u32 = 42;
/// encrypted_client_hello (RFC 9849 §5), and the encrypted_server_name of its
/// drafts before 2020.
const ECH: u32 = 0xfe0d;
const ESNI: u32 = 0xffce;

/// Of [`State::flags`]: the hello announced early data.
const EARLY: u8 = 1;

/// Whether more than the length of such an extension is wanted.
#[inline(always)]
fn is_read(kind: u32) -> bool {
    matches!(kind, SERVER_NAME | EARLY_DATA | ECH | ESNI)
}

/// What the field that is read next is.
struct Stage;

impl Stage {
    const START: u8 = 0;
    /// Type and length of the handshake message.
    const MESSAGE: u8 = 1;
    /// Length of the session id, after version and random.
    const SESSION_ID: u8 = 2;
    const CIPHERS: u8 = 3;
    const COMPRESSION: u8 = 4;
    /// Length of all extensions.
    const EXTENSIONS: u8 = 5;
    /// Type and length of one extension.
    const EXTENSION: u8 = 6;
    /// Length of the list in a server_name extension.
    const NAME_LIST: u8 = 7;
    /// Type and length of an entry in that list.
    const NAME_ENTRY: u8 = 8;
    /// The bytes of a host name: `need` of them are left.
    const NAME: u8 = 9;
    /// Nothing but `skip` is left.
    const FINISH: u8 = 10;
}

/// Lies in `Hello::state`. Offsets count bytes of the handshake message's
/// body.
#[derive(Clone, Copy)]
#[repr(C)]
struct State {
    /// Bytes of a field that is cut.
    field: u64,
    /// Bytes of a record header that is cut.
    header: u64,
    /// Where the next byte lies in the present chunk.
    at_chunk: u32,
    /// Bytes left of the present record: of the hello, or to be skipped.
    record_left: u32,
    record_skip: u32,
    /// Bytes to pass over before the field.
    skip: u32,
    /// Bytes of the field that are missing.
    need: u32,
    at: u32,
    message_end: u32,
    extensions_end: u32,
    extension_end: u32,
    outcome: Outcome,
    gather: Gather,
    header_len: u8,
    stage: u8,
    idle_records: u8,
    /// `FlowFlags::ECH` and [`EARLY`], once seen.
    flags: u8,
    /// 1: the first record header was read.
    begun: u8,
    /// 1: that record's version was none of TLS.
    odd_version: u8,
    /// 1: what came so far is TLS, so what does not fit is a contradiction.
    is_tls: u8,
    /// What a complete hello told, with what comes behind it being read.
    found: u8,
    /// 1: the present hello named a host.
    named: u8,
    reserved: [u8; 3],
}

// What comes behind a hello is read on when its name was read as an address.
const _: () = assert!(size_of::<State>() + LITERAL_STATE <= STATE);

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
        let left = self.chunk.len().wrapping_sub(at);
        if self.state.outcome.is_final() || at >= self.chunk.len() {
            return ControlFlow::Break(());
        }
        if self.state.record_skip != 0 {
            let taken = min(self.state.record_skip, left);
            self.state.record_skip = self.state.record_skip.wrapping_sub(taken);
            self.state.at_chunk = at.wrapping_add(taken);
            return ControlFlow::Continue(());
        }
        if self.state.record_left == 0 {
            self.record_header(at, left);
        }
        let at = self.state.at_chunk;
        let left = self.chunk.len().wrapping_sub(at);
        if self.state.record_left != 0 && left != 0 && !self.state.outcome.is_final() {
            self.handshake(at, min(self.state.record_left, left));
        }
        if self.state.at_chunk >= self.chunk.len() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl Walk<'_> {
    /// Reads a record header, at once when all of it is there.
    #[inline(always)]
    fn record_header(&mut self, at: u32, left: u32) {
        let state = &mut *self.state;
        if state.header_len == 0 && left >= 5 {
            state.header = (self.chunk.be32(at) << 8) | self.chunk.byte(at.wrapping_add(4));
            state.at_chunk = at.wrapping_add(5);
        } else {
            state.header = (state.header << 8) | self.chunk.byte(at);
            state.at_chunk = at.wrapping_add(1);
            state.header_len = state.header_len.wrapping_add(1);
            if state.header_len < 5 {
                return;
            }
        }
        let kind = (state.header >> 32) as u8;
        let version = (state.header >> 16) as u16;
        let length = u32::from(state.header as u16);
        let message = (state.header >> 16) as u8;
        let first = state.begun == 0;
        state.header = 0;
        state.header_len = 0;
        state.begun = 1;
        if first {
            state.odd_version = u8::from(version >> 8 != 3);
            if kind >= 128 {
                // An SSLv2 header: 15 bits of length, message, version
                // (RFC 6101 appendix E.1). `length` then is the version.
                let sslv2 = message == 1 && (length == 2 || length >> 8 == 3);
                state.outcome = Outcome::failed(if sslv2 {
                    Reason::Sslv2
                } else {
                    Reason::UnknownProtocol
                });
                return;
            }
        }
        // Versions are ignored, as servers ignore them (T13).
        match kind {
            22 => state.record_left = length,
            // ChangeCipherSpec, alert, heartbeat.
            20 | 21 | 24 => state.record_skip = length,
            // Early data, which a server that asks for another hello passes
            // over; without it the last hello is through.
            23 if state.flags & EARLY != 0 && state.found != 0 => state.record_skip = length,
            _ => return self.contradiction(),
        }
        if length > MAX_RECORD {
            return self.contradiction();
        }
        let state = &mut *self.state;
        if kind != 22 && kind != 23 || length == 0 {
            state.idle_records = state.idle_records.wrapping_add(1);
            state.is_tls |= 1 ^ state.odd_version;
        }
        if state.idle_records > MAX_IDLE_RECORDS {
            state.found = 0;
            self.contradiction();
        }
    }

    /// Takes up to `avail` bytes of the handshake stream: first what is to
    /// be skipped, then the field.
    #[inline(always)]
    fn handshake(&mut self, at: u32, avail: u32) {
        let mut taken = 0;
        if self.state.stage == Stage::MESSAGE && self.state.need == 4 && self.state.skip == 0 {
            taken = self.opening(at, avail);
        }
        let (at, avail) = (at.wrapping_add(taken), avail.wrapping_sub(taken));
        if self.state.stage == Stage::EXTENSION && self.state.need == 4 {
            taken = self.pass_extensions(at, avail);
        } else {
            taken = 0;
        }
        self.field_by_field(at.wrapping_add(taken), avail.wrapping_sub(taken));
    }

    /// Takes all that comes before the extensions at once, if it is there and
    /// its lengths fit; says how many bytes that were. What does not fit is
    /// told apart field by field.
    #[inline(always)]
    fn opening(&mut self, at: u32, avail: u32) -> u32 {
        let head = self.chunk.be32(at) as u32;
        let end = head & 0xff_ffff;
        // Behind the message's head version and random, then a session id,
        // ciphers and compression methods by their lengths (RFC 8446 §4.1.2).
        let ciphers = 4 + 34 + 1 + self.byte(at, 4 + 34);
        let compression = ciphers.wrapping_add(2 + self.short(at, ciphers));
        let extensions = compression.wrapping_add(1 + self.byte(at, compression));
        let body = extensions.wrapping_sub(2);
        let extensions_end = body.wrapping_add(self.short(at, extensions));
        // Where a length lies past `avail` it is any number, and all that
        // follow from it lie behind it.
        let fits = body.wrapping_add(4) <= avail
            && body.wrapping_add(4) <= extensions_end
            && extensions_end <= end;
        if head >> 24 != 1 || !fits {
            return 0;
        }
        let state = &mut *self.state;
        state.is_tls = 1;
        state.named = 0;
        state.message_end = end;
        state.extensions_end = extensions_end;
        state.stage = Stage::EXTENSION;
        let taken = body.wrapping_add(4);
        self.advance(at.wrapping_add(taken), taken);
        self.state.at = body;
        taken
    }

    #[inline(always)]
    fn byte(&self, at: u32, offset: u32) -> u32 {
        self.chunk.byte(at.wrapping_add(offset)) as u32
    }

    #[inline(always)]
    fn short(&self, at: u32, offset: u32) -> u32 {
        self.chunk.be32(at.wrapping_add(offset)) as u32 >> 16
    }

    /// Passes over extensions of which only the length is wanted, and that are
    /// not the last; says how many of the bytes here that took.
    #[inline(always)]
    fn pass_extensions(&mut self, at: u32, avail: u32) -> u32 {
        let rest = self.state.extensions_end.wrapping_sub(self.state.at);
        let mut next = self.state.skip;
        let mut passed = 0;
        while passed < PASSED {
            let behind = next.wrapping_add(4);
            if behind > avail {
                break;
            }
            let head = self.chunk.be32(at.wrapping_add(next)) as u32;
            let (kind, behind) = (head >> 16, behind.wrapping_add(head & 0xffff));
            if is_read(kind) || behind.wrapping_add(4) > rest {
                break;
            }
            next = behind;
            passed += 1;
        }
        let taken = min(next, avail);
        self.state.skip = next.wrapping_sub(taken);
        self.advance(at.wrapping_add(taken), taken);
        taken
    }

    #[inline(always)]
    fn field_by_field(&mut self, at: u32, avail: u32) {
        let state = &mut *self.state;
        let skipped = min(state.skip, avail);
        state.skip = state.skip.wrapping_sub(skipped);
        let at = at.wrapping_add(skipped);
        let avail = avail.wrapping_sub(skipped);
        let need = state.need;
        if state.stage == Stage::FINISH || avail == 0 {
            self.advance(at, skipped);
            if self.state.skip == 0 && self.state.stage == Stage::FINISH {
                self.finish();
            }
            return;
        }
        if state.stage == Stage::NAME {
            let taken = min(min(need, avail), NAME_STEP);
            self.advance(at.wrapping_add(taken), skipped.wrapping_add(taken));
            self.name_bytes(at, taken);
            return;
        }
        let taken = if need <= avail { need } else { 1 };
        let bits = (taken.wrapping_mul(8)) & 63;
        let bytes = self.chunk.be32(at) >> (32u32.wrapping_sub(bits) & 31);
        state.field = (state.field << bits) | bytes;
        state.need = need.wrapping_sub(taken);
        self.advance(at.wrapping_add(taken), skipped.wrapping_add(taken));
        if self.state.need == 0 {
            let value = self.state.field as u32;
            self.state.field = 0;
            self.field(value);
        }
    }

    #[inline(always)]
    fn advance(&mut self, at: u32, taken: u32) {
        self.state.at_chunk = at;
        self.state.at = self.state.at.wrapping_add(taken);
        self.state.record_left = self.state.record_left.wrapping_sub(taken);
    }

    /// A field is complete.
    #[inline(always)]
    fn field(&mut self, value: u32) {
        let state = &mut *self.state;
        match state.stage {
            Stage::MESSAGE => {
                if value >> 24 != 1 {
                    // Another handshake message of TLS, by type and length.
                    if value >> 24 < 26 && value & 0xff_0000 == 0 {
                        state.is_tls |= 1 ^ state.odd_version;
                    }
                    return self.contradiction();
                }
                state.is_tls = 1;
                state.named = 0;
                state.at = 0;
                state.message_end = value & 0xff_ffff;
                self.then(Stage::SESSION_ID, 2 + 32, 1, value & 0xff_ffff);
            }
            Stage::SESSION_ID => {
                let end = state.message_end;
                self.then(Stage::CIPHERS, value, 2, end);
            }
            Stage::CIPHERS => {
                let end = state.message_end;
                self.then(Stage::COMPRESSION, value, 1, end);
            }
            Stage::COMPRESSION => {
                let end = state.message_end;
                if state.at.wrapping_add(value) == end {
                    self.finish_after(value);
                } else {
                    self.then(Stage::EXTENSIONS, value, 2, end);
                }
            }
            Stage::EXTENSIONS => {
                state.extensions_end = state.at.wrapping_add(value);
                if state.extensions_end > state.message_end {
                    return self.contradiction();
                }
                self.next_extension(0);
            }
            Stage::EXTENSION => self.extension(value >> 16, value & 0xffff),
            Stage::NAME_LIST => {
                if value == 0 || state.at.wrapping_add(value) != state.extension_end {
                    return self.contradiction();
                }
                self.next_name(0);
            }
            _ => self.name_entry(value >> 16, value & 0xffff),
        }
    }

    #[inline(always)]
    fn extension(&mut self, kind: u32, length: u32) {
        let state = &mut *self.state;
        state.extension_end = state.at.wrapping_add(length);
        if state.extension_end > state.extensions_end {
            return self.contradiction();
        }
        match kind {
            SERVER_NAME => {
                let end = state.extension_end;
                return self.then(Stage::NAME_LIST, 0, 2, end);
            }
            ECH | ESNI => state.flags |= FlowFlags::ECH,
            EARLY_DATA => state.flags |= EARLY,
            _ => {}
        }
        self.next_extension(length);
    }

    #[inline(always)]
    fn name_entry(&mut self, kind: u32, length: u32) {
        let state = &mut *self.state;
        if state.at.wrapping_add(length) > state.extension_end {
            return self.contradiction();
        }
        if kind != 0 {
            // No other name_type was ever defined; all are written alike.
            return self.next_name(length);
        }
        if length == 0 || length > NAME_MAX as u32 {
            return self.contradiction();
        }
        state.gather.begin();
        state.stage = Stage::NAME;
        state.need = length;
    }

    #[inline(always)]
    fn name_bytes(&mut self, at: u32, taken: u32) {
        // A copy, which stays in registers.
        let mut gather = self.state.gather;
        let len = *self.name_len;
        let mut fine = 1;
        let mut left = taken;
        let mut at = at;
        let mut words = 0;
        while words < NAME_STEP / 8 && left != 0 {
            let count = left ^ (left ^ 8) & less(8, left).wrapping_neg();
            fine &= gather.push(self.name, len, self.chunk.word(at), count);
            at = at.wrapping_add(count);
            left = left.wrapping_sub(count);
            words += 1;
        }
        self.state.gather = gather;
        let mut fine = opaque(u64::from(fine)) != 0;
        self.state.need = self.state.need.wrapping_sub(taken);
        if self.state.need == 0 && fine {
            fine = self.state.gather.end(self.name, self.name_len);
            self.state.named = 1;
            self.next_name(0);
        }
        if !fine {
            self.state.found = 0;
            self.contradiction();
        }
    }

    /// After `skip` bytes the next entry of the name list, or its end.
    #[inline(always)]
    fn next_name(&mut self, skip: u32) {
        let end = self.state.extension_end;
        if self.state.at.wrapping_add(skip) == end {
            self.next_extension(skip);
        } else {
            self.then(Stage::NAME_ENTRY, skip, 3, end);
        }
    }

    /// After `skip` bytes the next extension, or their end.
    #[inline(always)]
    fn next_extension(&mut self, skip: u32) {
        let end = self.state.extensions_end;
        if self.state.at.wrapping_add(skip) == end {
            self.finish_after(skip);
        } else {
            self.then(Stage::EXTENSION, skip, 4, end);
        }
    }

    /// After `skip` bytes a field of `need` bytes, all before `end`.
    #[inline(always)]
    fn then(&mut self, stage: u8, skip: u32, need: u32, end: u32) {
        let state = &mut *self.state;
        state.stage = stage;
        state.skip = skip;
        state.need = need;
        if state.at.wrapping_add(skip).wrapping_add(need) > end {
            self.contradiction();
        }
    }

    #[inline(always)]
    fn finish_after(&mut self, skip: u32) {
        self.state.stage = Stage::FINISH;
        self.state.skip = skip;
        if skip == 0 {
            self.finish();
        }
    }

    /// A hello is complete; its message may go on.
    #[inline(always)]
    fn finish(&mut self) {
        let state = &mut *self.state;
        let named = if state.gather.is_named() {
            FlowFlags::NAMED
        } else {
            FlowFlags::UNNAMED
        };
        let before = state.found;
        state.found = state.flags & FlowFlags::ECH | named;
        if before == 0 {
            state.stage = Stage::MESSAGE;
            state.skip = state.message_end.wrapping_sub(state.at);
            state.need = 4;
            return;
        }
        // No server asks twice; the second hello must name what the first
        // one named.
        if before & FlowFlags::NAMED != 0 && state.named == 0 {
            state.found = 0;
        }
        self.contradiction();
    }

    /// Lengths that contradict each other, or bytes that no server takes for
    /// TLS. The difference matters: any stream of an unknown protocol may
    /// have a segment that begins with 22 (`plain::restarts`). Behind a
    /// complete hello it is what follows a client's last one: the end of the
    /// search.
    #[inline(always)]
    fn contradiction(&mut self) {
        let state = &mut *self.state;
        state.outcome = if state.found != 0 {
            Outcome::done(state.found)
        } else if state.is_tls != 0 {
            Outcome::failed(Reason::Malformed)
        } else {
            Outcome::failed(Reason::UnknownProtocol)
        };
    }
}

#[inline(always)]
fn min(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}
