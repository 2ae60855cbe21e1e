//! What is kept of an HTTP head between its bytes.

use crate::inspect::Outcome;
use crate::inspect::name::{Gather, LITERAL_STATE};
use crate::inspect::scan::{STATE, clear};

/// Longest first line of an unknown method, in bytes.
pub(crate) const MAX_FIRST_LINE: u32 = 2048;
/// Longest method or header name that is compared.
const WORD: u32 = 24;
/// Where a longer body ends is not known: half of what sequence numbers can
/// tell apart is behind, half before.
const LONG_BODY: u32 = 1 << 30;

/// Headers that are read.
const HOST: &[u8] = b"host";
const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

/// What the next byte is part of.
pub(crate) struct Stage;

impl Stage {
    pub(crate) const START: u32 = 0;
    pub(crate) const METHOD: u32 = 1;
    /// Before the target's first byte.
    pub(crate) const TARGET: u32 = 2;
    pub(crate) const SCHEME: u32 = 3;
    /// The two slashes after a scheme.
    pub(crate) const SLASH: u32 = 4;
    /// The target after all that is of interest.
    pub(crate) const TARGET_REST: u32 = 5;
    /// A host, of the target or of Host.
    pub(crate) const AUTHORITY: u32 = 6;
    pub(crate) const BRACKET: u32 = 7;
    pub(crate) const BRACKET_END: u32 = 8;
    pub(crate) const PORT: u32 = 9;
    pub(crate) const VERSION: u32 = 10;
    /// The rest of a first line that is no request.
    pub(crate) const WEIRD: u32 = 11;
    /// The start of a header line.
    pub(crate) const HEADER: u32 = 12;
    pub(crate) const HEADER_NAME: u32 = 13;
    /// Blanks between a header's name and its colon, where it is not read.
    pub(crate) const HEADER_COLON: u32 = 14;
    /// Blanks before Host's value.
    pub(crate) const HOST_BEFORE: u32 = 15;
    /// Blanks after it.
    pub(crate) const HOST_AFTER: u32 = 16;
    /// The value of Content-Length.
    pub(crate) const LENGTH: u32 = 17;
    /// The rest of a header line of no interest.
    pub(crate) const SKIP: u32 = 18;
    pub(crate) const BODY: u32 = 19;
    /// After the head of CONNECT.
    pub(crate) const TUNNEL: u32 = 20;
    /// The length of a body's chunk (RFC 9112 §7.1), and the rest of its line.
    pub(crate) const CHUNK_SIZE: u32 = 21;
    pub(crate) const CHUNK_REST: u32 = 22;
    /// The line end behind a chunk.
    pub(crate) const CHUNK_END: u32 = 23;
    /// The start of a line behind the last chunk, and its rest.
    pub(crate) const TRAILER: u32 = 24;
    pub(crate) const TRAILER_REST: u32 = 25;
    /// The value of Transfer-Encoding.
    pub(crate) const CODING: u32 = 26;

    /// `State::word_len` in `WEIRD`: not inside a word that may be a version.
    pub(crate) const NO_MATCH: u32 = WORD;
}

/// Bits of [`State::flags`].
pub(crate) struct Flags;

impl Flags {
    pub(crate) const CONNECT: u32 = 1;
    pub(crate) const GET: u32 = 2;
    /// A method of web servers that no other protocol has; OPTIONS is also
    /// RTSP's.
    pub(crate) const KNOWN_METHOD: u32 = 4;
    /// The target begins as one does.
    pub(crate) const TARGET: u32 = 8;
    /// `HTTP/` was seen where a version stands.
    pub(crate) const HTTP: u32 = 16;
    /// HTTP/2 or newer.
    pub(crate) const NEWER: u32 = 32;
    pub(crate) const IN_HEADERS: u32 = 64;
    /// Transfer-Encoding: chunked.
    pub(crate) const CHUNKED: u32 = 128;
    /// Content-Length.
    pub(crate) const LENGTH: u32 = 256;
    /// A Host without a value.
    pub(crate) const EMPTY_HOST: u32 = 512;
    /// This head names a host.
    pub(crate) const NAMED: u32 = 1024;
    /// The body of a head that was judged before goes on.
    pub(crate) const RESUMED: u32 = 2048;
    /// Before HTTP/1.1.
    pub(crate) const OLDER: u32 = 4096;
    /// A line that ends with CRLF, and one that ends with a bare LF.
    pub(crate) const CRLF: u32 = 8192;
    pub(crate) const BARE_LF: u32 = 16_384;
}

/// Lies in `Hello::state`, before what [`super::name::literal`] needs.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct State {
    /// The method or a header's name in lower case, eight bytes a word.
    word: [u64; 3],
    pub(crate) word_len: u32,
    pub(crate) stage: u32,
    /// Where the next byte lies in the present chunk.
    pub(crate) at_chunk: u32,
    /// 1: the byte before was CR.
    pub(crate) cr: u32,
    /// Bytes of the request line so far.
    pub(crate) line: u32,
    pub(crate) flags: u32,
    /// Bytes of body that are left.
    pub(crate) body: u32,
    /// The present Content-Length and its digits.
    length: u32,
    digits: u32,
    /// 0 before a head is complete, [`State::UNNAMED`] or [`State::NAMED`]
    /// after.
    pub(crate) heads: u32,
    pub(crate) outcome: Outcome,
    pub(crate) gather: Gather,
}

// A head may be fed on after its name was read as an address.
const _: () = assert!(size_of::<State>() + LITERAL_STATE <= STATE);

impl State {
    #[inline(always)]
    pub(crate) fn has(&self, any: u32) -> bool {
        self.flags & any != 0
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, flag: u32) {
        self.flags |= flag;
    }

    #[inline(always)]
    pub(crate) fn begin_head(&mut self) {
        self.flags = 0;
        self.line = 1;
        self.body = 0;
        self.begin_word();
    }

    /// Takes a byte of a method or header name; `false` when it is longer
    /// than any that is compared.
    #[inline(always)]
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        let at = self.word_len;
        if at >= WORD {
            return false;
        }
        let byte = u64::from(byte.to_ascii_lowercase());
        match at >> 3 {
            0 => self.word[0] = (self.word[0] << 8) | byte,
            1 => self.word[1] = (self.word[1] << 8) | byte,
            _ => self.word[2] = (self.word[2] << 8) | byte,
        }
        self.word_len = at.wrapping_add(1);
        true
    }

    #[inline(always)]
    pub(crate) fn begin_word(&mut self) {
        clear(&mut self.word);
        self.word_len = 0;
    }

    #[inline(always)]
    fn is_word(&self, word: &[u8]) -> bool {
        let packed = pack(word);
        self.word[0] == packed[0] && self.word[1] == packed[1] && self.word[2] == packed[2]
    }

    #[inline(always)]
    pub(crate) fn take_method(&mut self) {
        if self.is_word(b"get") {
            self.set(Flags::GET | Flags::KNOWN_METHOD);
        } else if self.is_word(b"connect") {
            self.set(Flags::CONNECT | Flags::KNOWN_METHOD);
        } else if self.is_word(b"post")
            || self.is_word(b"head")
            || self.is_word(b"put")
            || self.is_word(b"delete")
            || self.is_word(b"patch")
        {
            self.set(Flags::KNOWN_METHOD);
        }
    }

    #[inline(always)]
    pub(crate) fn take_header(&mut self) {
        if self.is_word(HOST) {
            self.stage = Stage::HOST_BEFORE;
        } else if self.is_word(CONTENT_LENGTH) {
            self.stage = Stage::LENGTH;
            self.digits = 0;
            self.length = 0;
        } else if self.is_word(TRANSFER_ENCODING) {
            self.stage = Stage::CODING;
            self.digits = 0;
            self.begin_word();
        } else {
            self.stage = Stage::SKIP;
        }
    }

    /// Whether the header's name is one that is read.
    #[inline(always)]
    pub(crate) fn is_read(&self) -> bool {
        self.is_word(HOST) || self.is_word(CONTENT_LENGTH) || self.is_word(TRANSFER_ENCODING)
    }

    /// Takes a byte of Transfer-Encoding's value; `false` when it is any but
    /// `chunked`, which servers would read differently.
    #[inline(always)]
    pub(crate) fn coding_byte(&mut self, byte: u8) -> bool {
        match byte {
            b' ' | b'\t' => {
                if self.digits != 0 {
                    self.digits = Self::LENGTH_ENDED;
                }
                true
            }
            b'\n' => {
                let fine = self.is_word(b"chunked") && !self.has(Flags::CHUNKED);
                self.set(Flags::CHUNKED);
                self.stage = Stage::HEADER;
                fine
            }
            _ if self.digits == Self::LENGTH_ENDED => false,
            _ => {
                self.digits = 1;
                self.push(byte)
            }
        }
    }

    /// A chunk's length begins.
    #[inline(always)]
    pub(crate) fn begin_chunk(&mut self) {
        self.stage = Stage::CHUNK_SIZE;
        self.digits = 0;
        self.length = 0;
    }

    /// Takes a byte of the line with a chunk's length; `false` when it is none.
    #[inline(always)]
    pub(crate) fn chunk_byte(&mut self, byte: u8) -> bool {
        let digit = match byte {
            b'\n' if self.digits != 0 => {
                self.body = self.length;
                self.stage = if self.length == 0 {
                    Stage::TRAILER
                } else {
                    Stage::BODY
                };
                return true;
            }
            _ if self.stage == Stage::CHUNK_REST => return byte != b'\n',
            b';' | b' ' | b'\t' if self.digits != 0 => {
                self.stage = Stage::CHUNK_REST;
                return true;
            }
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            b'a'..=b'f' | b'A'..=b'F' => (byte | 0x20).wrapping_sub(b'a' - 10),
            _ => return false,
        };
        self.digits = 1;
        let fine = self.length < LONG_BODY >> 4;
        self.length = (self.length << 4) | u32::from(digit);
        fine
    }

    #[inline(always)]
    pub(crate) fn expect_version(&mut self) {
        self.stage = Stage::VERSION;
        self.word_len = 0;
    }

    /// The byte of `http/` at `at`.
    #[inline(always)]
    pub(crate) fn http_byte(&self, at: u32) -> u8 {
        let text = u64::from_le_bytes(*b"http/\0\0\0");
        (text >> (at.wrapping_mul(8) & 63)) as u8
    }

    #[inline(always)]
    pub(crate) fn begin_headers(&mut self) {
        self.set(Flags::IN_HEADERS);
        self.stage = Stage::HEADER;
    }

    /// Takes a byte of Content-Length's value; `false` when it is none, or
    /// when two differ (RFC 9112 §6.3).
    #[inline(always)]
    pub(crate) fn length_byte(&mut self, byte: u8) -> bool {
        match byte {
            b'0'..=b'9' if self.digits != Self::LENGTH_ENDED => {
                self.digits = 1;
                let digit = u32::from(byte.wrapping_sub(b'0'));
                self.length = if self.length >= LONG_BODY / 10 {
                    LONG_BODY
                } else {
                    self.length.wrapping_mul(10).wrapping_add(digit)
                };
                true
            }
            b' ' | b'\t' => {
                if self.digits != 0 {
                    self.digits = Self::LENGTH_ENDED;
                }
                true
            }
            b'\n' if self.digits != 0 => {
                let same = !self.has(Flags::LENGTH) || self.body == self.length;
                self.set(Flags::LENGTH);
                self.body = self.length;
                self.stage = Stage::HEADER;
                same
            }
            _ => false,
        }
    }

    const LENGTH_ENDED: u32 = 2;
    pub(crate) const UNNAMED: u32 = 1;
    const NAMED: u32 = 2;

    /// A head is complete; `false` when it names a host and the one before
    /// did not, or the other way round, when it has a Host without a value
    /// beside a name, or more than one way to tell where its body ends: two
    /// headers, chunks before HTTP/1.1 (RFC 9112 §6.1), or both kinds of line
    /// ends, of which some servers know one and take what ends with the other
    /// for a part of the line before.
    #[inline(always)]
    pub(crate) fn end_head(&mut self) -> bool {
        let named = self.has(Flags::NAMED);
        let heads = if named { Self::NAMED } else { Self::UNNAMED };
        let empty = self.has(Flags::EMPTY_HOST);
        let chunked = self.has(Flags::CHUNKED);
        let mixed = self.has(Flags::CRLF) && self.has(Flags::BARE_LF);
        let ends_twice = chunked && self.has(Flags::LENGTH | Flags::CONNECT | Flags::OLDER)
            || self.body != 0 && self.has(Flags::CONNECT)
            || mixed && (chunked || self.body != 0);
        let fits = (self.heads == 0 || self.heads == heads) && !(empty && named) && !ends_twice;
        self.heads = heads;
        fits
    }
}

/// A token's byte (RFC 9110 §5.6.2).
#[inline(always)]
pub(crate) fn is_token(byte: u8) -> bool {
    const fn bits(bytes: &[u8]) -> u64 {
        let mut bits = 0;
        let mut i = 0;
        while i < bytes.len() {
            bits |= 1 << (bytes[i] & 63);
            i += 1;
        }
        bits
    }
    const LOW: u64 = bits(b"!#$%&'*+-.") | (0x3ff << b'0');
    const LETTERS: u64 = 0x3ff_ffff << 1;
    const HIGH: u64 = bits(b"^_`|~") | LETTERS | (LETTERS << 32);
    let bits = match byte >> 6 {
        0 => LOW,
        1 => HIGH,
        _ => 0,
    };
    (bits >> (byte & 63)) & 1 != 0
}

/// A word as [`State::push`] gathers it.
const fn pack(word: &[u8]) -> [u64; 3] {
    let mut packed = [0u64; 3];
    let mut i = 0;
    while i < word.len() {
        packed[i / 8] = (packed[i / 8] << 8) | word[i] as u64;
        i += 1;
    }
    packed
}
