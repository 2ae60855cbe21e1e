//! The head of a plain HTTP request (RFC 9112): the host it asks for, from
//! the target and from Host.
//!
//! Where servers differ in what they forgive, the head is denied when it
//! names two hosts in anybody's eyes (T21). Bytes that end their first line
//! without being HTTP are of an unknown protocol, not a broken head.

use core::ops::ControlFlow;

use crate::abi::{FlowFlags, Hello, NAME_MAX, Protocol, Reason};
use crate::bpf::{Step, repeat};
use crate::inspect::head::{Flags, MAX_FIRST_LINE, Stage, State, is_token};
use crate::inspect::scan::state_of;
use crate::inspect::{CHUNK, Chunk, Finding, Outcome, Progress};

/// Bytes passed over per step in a line of no interest.
const SKIP_STEP: u32 = 16;

/// Feeds the next bytes of a TCP stream whose first byte [`super::sniff`]
/// took for HTTP.
///
/// Several heads behind one another must name one host. As long as `Done`
/// says so (`Finding::unfinished`), the bytes that follow may be fed on: the
/// name stays, and a head that names another host fails. Behind a body that is
/// long, or whose end is not in the segment ([`ahead`]), the inspection begins
/// anew.
#[inline(always)]
pub fn feed(hello: &mut Hello, chunk: &Chunk<'_>) -> Progress {
    let state = state_of::<State>(&mut hello.state);
    state.at_chunk = 0;
    repeat(
        // Each step takes a byte; at most one byte a line is seen twice.
        2 * CHUNK as u32,
        &mut Walk {
            state,
            name: &mut hello.name,
            name_len: &mut hello.name_len,
            chunk: *chunk,
        },
    );
    let state = state_of::<State>(&mut hello.state);
    let mut outcome = state.outcome;
    let mut unfinished = 0;
    let between = matches!(state.stage, Stage::BODY | Stage::START | Stage::TUNNEL);
    if !outcome.is_final() && (state.heads != 0 || between && state.has(Flags::RESUMED)) {
        outcome = Outcome::done(state.finding());
        unfinished = if !between {
            Finding::INSIDE_HEAD
        } else if state.stage == Stage::BODY && state.body >= CHUNK as u32 {
            // Passed over rather than fed.
            0
        } else {
            Finding::AT_HEAD
        };
    }
    let colon = state.gather.has_colon();
    match outcome.progress(hello, colon) {
        Progress::Done(mut finding) => {
            finding.unfinished = unfinished;
            Progress::Done(finding)
        }
        other => other,
    }
}

/// Makes ready for what comes behind a chunk of a body whose head was judged.
#[inline(always)]
pub fn resume(hello: &mut Hello) {
    hello.protocol = Protocol::Http as u8;
    let state = state_of::<State>(&mut hello.state);
    state.stage = Stage::CHUNK_END;
    state.flags = Flags::RESUMED | Flags::IN_HEADERS | Flags::CHUNKED;
}

/// Within a body: how many bytes of it come behind what was fed, and whether
/// another chunk may follow them.
#[inline(always)]
pub fn ahead(hello: &mut Hello) -> Option<(u32, bool)> {
    let state = state_of::<State>(&mut hello.state);
    if state.stage != Stage::BODY {
        return None;
    }
    Some((state.body, state.has(Flags::CHUNKED)))
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
        let left = self.chunk.len().wrapping_sub(at);
        let stage = self.state.stage;
        if stage == Stage::BODY {
            let taken = if self.state.body < left {
                self.state.body
            } else {
                left
            };
            self.state.body = self.state.body.wrapping_sub(taken);
            self.state.at_chunk = at.wrapping_add(taken);
            if self.state.body == 0 {
                self.state.stage = if self.state.has(Flags::CHUNKED) {
                    Stage::CHUNK_END
                } else {
                    Stage::START
                };
            }
            return ControlFlow::Continue(());
        }
        let mut at = at;
        let skips = stage == Stage::SKIP || stage == Stage::TARGET_REST;
        if skips && self.state.cr == 0 {
            let skipped = self.skip(at, left, stage == Stage::TARGET_REST);
            at = at.wrapping_add(skipped);
            self.state.at_chunk = at;
            self.count(skipped);
            if skipped == SKIP_STEP || skipped == left || self.state.outcome.is_final() {
                return ControlFlow::Continue(());
            }
        }
        self.state.at_chunk = at.wrapping_add(1);
        self.byte(self.chunk.byte(at) as u8);
        ControlFlow::Continue(())
    }
}

impl Walk<'_> {
    /// Bytes of no interest before the line's end or, where they matter, a
    /// blank; at most [`SKIP_STEP`].
    #[inline(always)]
    fn skip(&self, at: u32, left: u32, blanks: bool) -> u32 {
        for i in 0..SKIP_STEP {
            if i >= left {
                return left;
            }
            let byte = self.chunk.byte(at.wrapping_add(i)) as u8;
            if byte == b'\r' || byte == b'\n' || (blanks && is_blank(byte)) {
                return i;
            }
        }
        SKIP_STEP
    }

    /// The byte is seen once more, by another stage.
    #[inline(always)]
    fn again(&mut self, stage: u32) {
        self.state.stage = stage;
        self.state.at_chunk = self.state.at_chunk.wrapping_sub(1);
    }

    /// Takes a byte: line ends first, then what the stage expects.
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        let cr = self.state.cr != 0;
        if cr {
            self.state.cr = 0;
            if byte != b'\n' {
                // Some servers end a line here, others do not.
                return self.bad_line();
            }
        } else if byte == b'\r' {
            self.state.cr = 1;
            return;
        }
        if byte == b'\n' {
            self.state
                .set(if cr { Flags::CRLF } else { Flags::BARE_LF });
        }
        self.count(1);
        if self.state.outcome.is_final() {
            return;
        }
        match self.state.stage {
            Stage::HEADER
            | Stage::HEADER_NAME
            | Stage::HEADER_COLON
            | Stage::LENGTH
            | Stage::CODING => self.header(byte),
            Stage::HOST_BEFORE | Stage::HOST_AFTER | Stage::SKIP | Stage::TUNNEL => {
                self.value(byte);
            }
            Stage::AUTHORITY | Stage::BRACKET | Stage::BRACKET_END | Stage::PORT => {
                self.authority(byte);
            }
            // Some servers read on to the next CRLF: another chunk for them.
            Stage::CHUNK_SIZE..=Stage::TRAILER_REST if byte == b'\n' && !cr => self.bad_line(),
            Stage::CHUNK_SIZE..=Stage::TRAILER_REST => self.chunked(byte),
            Stage::VERSION => self.version(byte),
            Stage::WEIRD => self.not_a_request(byte),
            _ => self.request(byte),
        }
    }

    /// Bounds a first line that may be of any protocol.
    #[inline(always)]
    fn count(&mut self, taken: u32) {
        self.state.line = self.state.line.wrapping_add(taken);
        let known = Flags::KNOWN_METHOD | Flags::IN_HEADERS;
        if self.state.line > MAX_FIRST_LINE && !self.state.has(known) {
            if self.state.has(Flags::TARGET) {
                self.state.outcome = Outcome::failed(Reason::HelloTooLong);
            } else {
                self.bad_line();
            }
        }
    }

    /// Method and target.
    #[inline(always)]
    fn request(&mut self, byte: u8) {
        let state = &mut *self.state;
        match state.stage {
            Stage::START => {
                if byte == b'\n' || is_blank(byte) {
                    // Empty lines before a request are passed over (§2.2),
                    // and by some servers blanks.
                    state.line = 0;
                    return;
                }
                state.begin_head();
                state.stage = Stage::METHOD;
                if !is_token(byte) {
                    return self.bad_line();
                }
                state.push(byte);
            }
            Stage::METHOD => {
                if is_blank(byte) {
                    state.take_method();
                    state.stage = Stage::TARGET;
                } else if is_token(byte) {
                    // None that is known is longer than what is kept.
                    state.push(byte);
                } else {
                    self.bad_line();
                }
            }
            Stage::TARGET => match byte {
                b' ' | b'\t' => {}
                b'\n' => self.bad_line(),
                _ if state.has(Flags::CONNECT) => {
                    state.gather.begin();
                    self.again(Stage::AUTHORITY);
                }
                b'/' | b'*' => {
                    state.set(Flags::TARGET);
                    state.stage = Stage::TARGET_REST;
                }
                _ if byte.is_ascii_alphabetic() => state.stage = Stage::SCHEME,
                _ => self.weird(),
            },
            Stage::SCHEME => match byte {
                b':' => state.stage = Stage::SLASH,
                b'+' | b'-' | b'.' => {}
                _ if byte.is_ascii_alphanumeric() => {}
                _ => self.weird(),
            },
            Stage::SLASH => match byte {
                b'/' if state.has(Flags::TARGET) => {
                    state.gather.begin();
                    state.stage = Stage::AUTHORITY;
                }
                b'/' => state.set(Flags::TARGET),
                _ => self.weird(),
            },
            // TARGET_REST
            _ => match byte {
                b'\n' => self.no_version(),
                b' ' | b'\t' => state.expect_version(),
                _ => {}
            },
        }
    }

    /// `host[:port]`, in the target or in Host.
    #[inline(always)]
    fn authority(&mut self, byte: u8) {
        let state = &mut *self.state;
        let stage = state.stage;
        let is_end = match byte {
            b'\n' | b' ' | b'\t' => true,
            b'/' | b'?' | b'#' => !state.has(Flags::IN_HEADERS | Flags::CONNECT),
            _ => false,
        };
        let fine = match stage {
            Stage::AUTHORITY if is_end || byte == b':' => {
                state.gather.end(self.name, self.name_len)
            }
            Stage::AUTHORITY if byte == b'[' && state.gather.is_empty() => {
                state.stage = Stage::BRACKET;
                return;
            }
            Stage::BRACKET if byte == b']' => {
                state.stage = Stage::BRACKET_END;
                if !state.gather.end(self.name, self.name_len) || !state.gather.has_colon() {
                    self.bad_authority();
                }
                return;
            }
            Stage::BRACKET if is_end => false,
            Stage::AUTHORITY | Stage::BRACKET => {
                if state
                    .gather
                    .push(self.name, *self.name_len, u64::from(byte), 1)
                    == 0
                {
                    self.bad_authority();
                }
                return;
            }
            Stage::PORT if byte.is_ascii_digit() => return,
            _ => is_end || (byte == b':' && stage == Stage::BRACKET_END),
        };
        if !fine {
            return self.bad_authority();
        }
        state.set(Flags::NAMED);
        match byte {
            b':' => state.stage = Stage::PORT,
            b'\n' if state.has(Flags::IN_HEADERS) => state.stage = Stage::HEADER,
            _ if state.has(Flags::IN_HEADERS) => state.stage = Stage::HOST_AFTER,
            b'\n' => self.no_version(),
            b' ' | b'\t' => state.expect_version(),
            _ => state.stage = Stage::TARGET_REST,
        }
    }

    #[inline(always)]
    fn bad_authority(&mut self) {
        if self.state.has(Flags::IN_HEADERS) {
            self.bad_line();
        } else {
            self.state.set(Flags::TARGET);
            self.weird();
        }
    }

    /// The version, or what stands where it should.
    #[inline(always)]
    fn version(&mut self, byte: u8) {
        let state = &mut *self.state;
        let at = state.word_len;
        let fits = match at {
            0 if is_blank(byte) => return,
            0 if byte == b'\n' => return self.no_version(),
            0..5 => byte.to_ascii_lowercase() == state.http_byte(at),
            5 => {
                // HTTP/2 by prior knowledge (RFC 9113 §3.3): it names hosts,
                // in frames that nobody reads here.
                if byte.is_ascii_digit() && byte > b'1' {
                    state.set(Flags::NEWER);
                } else if byte == b'0' {
                    state.set(Flags::OLDER);
                }
                byte.is_ascii_digit()
            }
            6 => byte == b'.',
            7 => {
                if byte == b'0' {
                    state.set(Flags::OLDER);
                }
                byte.is_ascii_digit()
            }
            _ if byte == b'\n' => {
                if state.has(Flags::NEWER) {
                    state.outcome = Outcome::failed(Reason::Malformed);
                }
                state.begin_headers();
                return;
            }
            _ => is_blank(byte),
        };
        if at < 8 {
            state.word_len = at.wrapping_add(1);
        }
        if at >= 4 && fits {
            state.set(Flags::HTTP);
        }
        if !fits {
            self.weird();
        }
    }

    /// From this byte on the first line is no request.
    #[inline(always)]
    fn weird(&mut self) {
        self.state.word_len = Stage::NO_MATCH;
        self.again(Stage::WEIRD);
    }

    /// A first line that is no request: is it HTTP at all?
    #[inline(always)]
    fn not_a_request(&mut self, byte: u8) {
        let state = &mut *self.state;
        let at = state.word_len;
        if byte == b'\n' {
            return self.bad_line();
        }
        state.word_len = if is_blank(byte) {
            0
        } else if at < 5 && byte.to_ascii_lowercase() == state.http_byte(at) {
            at.wrapping_add(1)
        } else {
            Stage::NO_MATCH
        };
        if state.word_len == 5 {
            state.set(Flags::HTTP);
        }
    }

    /// The request line ended after its target: HTTP/0.9, to which servers
    /// still answer, has no more to say.
    #[inline(always)]
    fn no_version(&mut self) {
        let state = &mut *self.state;
        if !state.has(Flags::GET) || state.has(Flags::HTTP) {
            return self.bad_line();
        }
        state.heads = State::UNNAMED;
        state.outcome = Outcome::done(state.finding());
    }

    /// The start of a header line, and the names that matter.
    #[inline(always)]
    fn header(&mut self, byte: u8) {
        let state = &mut *self.state;
        match state.stage {
            Stage::HEADER => match byte {
                b'\n' => self.head_end(),
                // Also a blank, which continues the line before (§5.2) or
                // comes before another name: servers differ, and no client
                // has sent any for long.
                _ if !is_token(byte) => self.bad_line(),
                _ => {
                    state.begin_word();
                    let wanted = matches!(byte | 0x20, b'h' | b'c' | b't');
                    state.stage = if wanted {
                        Stage::HEADER_NAME
                    } else {
                        Stage::SKIP
                    };
                    state.push(byte);
                }
            },
            Stage::HEADER_NAME => match byte {
                b':' => state.take_header(),
                // Some servers take no notice of such a line (§5.1).
                b' ' | b'\t' if state.is_read() => self.bad_line(),
                b' ' | b'\t' => state.stage = Stage::HEADER_COLON,
                _ if !is_token(byte) => self.bad_line(),
                _ if !state.push(byte) => state.stage = Stage::SKIP,
                _ => {}
            },
            Stage::HEADER_COLON => match byte {
                b':' => state.stage = Stage::SKIP,
                b' ' | b'\t' => {}
                _ => self.bad_line(),
            },
            Stage::CODING => {
                if !state.coding_byte(byte) {
                    self.bad_line();
                }
            }
            // LENGTH
            _ => {
                if !state.length_byte(byte) {
                    self.bad_line();
                }
            }
        }
    }

    /// The value of a header.
    #[inline(always)]
    fn value(&mut self, byte: u8) {
        let state = &mut *self.state;
        match state.stage {
            Stage::SKIP if byte == b'\n' => state.stage = Stage::HEADER,
            Stage::SKIP => {}
            // Nobody talks into a tunnel before it is open.
            Stage::TUNNEL => self.bad_line(),
            stage => match byte {
                b' ' | b'\t' => {}
                b'\n' => {
                    if stage == Stage::HOST_BEFORE {
                        state.set(Flags::EMPTY_HOST);
                    }
                    state.stage = Stage::HEADER;
                }
                _ if stage == Stage::HOST_AFTER => self.bad_line(),
                _ => {
                    state.gather.begin();
                    self.again(Stage::AUTHORITY);
                }
            },
        }
    }

    #[inline(always)]
    fn head_end(&mut self) {
        let state = &mut *self.state;
        if !state.end_head() {
            return self.bad_line();
        }
        if state.has(Flags::CHUNKED) {
            state.begin_chunk();
        } else if state.has(Flags::CONNECT) {
            state.stage = Stage::TUNNEL;
        } else if state.body != 0 {
            state.stage = Stage::BODY;
        } else {
            state.stage = Stage::START;
        }
    }

    /// What stands between the chunks of a body, and behind them.
    #[inline(always)]
    fn chunked(&mut self, byte: u8) {
        let state = &mut *self.state;
        let fine = match state.stage {
            Stage::CHUNK_SIZE | Stage::CHUNK_REST => state.chunk_byte(byte),
            Stage::CHUNK_END => {
                state.begin_chunk();
                byte == b'\n'
            }
            stage => {
                state.stage = match (stage, byte) {
                    (Stage::TRAILER, b'\n') => Stage::START,
                    (_, b'\n') => Stage::TRAILER,
                    _ => Stage::TRAILER_REST,
                };
                true
            }
        };
        if !fine {
            self.bad_line();
        }
    }

    /// A line that is not as it should be.
    #[inline(always)]
    fn bad_line(&mut self) {
        let http = Flags::HTTP | Flags::IN_HEADERS;
        let request = self.state.has(Flags::TARGET) && self.state.has(Flags::KNOWN_METHOD);
        let reason = if self.state.has(http) || request || self.state.heads != 0 {
            Reason::Malformed
        } else {
            Reason::UnknownProtocol
        };
        self.state.outcome = Outcome::failed(reason);
    }
}

impl State {
    /// `FlowFlags` of what the heads named.
    #[inline(always)]
    fn finding(&self) -> u8 {
        if self.heads == 0 {
            // The end of a body tells nothing new.
            0
        } else if self.gather.is_named() {
            FlowFlags::NAMED
        } else {
            FlowFlags::UNNAMED
        }
    }
}

#[inline(always)]
fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
