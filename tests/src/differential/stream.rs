//! A TCP client whose segments come in order.

use filter_ebpf::abi::{CONTENT_STEP, FlowFlags, Hello, Protocol, Reason, Verdict};
use filter_ebpf::frame::is_tcp_tunnel;
use filter_ebpf::inspect::plain::restarts;
use filter_ebpf::inspect::{CHUNK_ROOM, Chunk, Finding, Progress, http, name, plain, sniff, tls};
use filter_ebpf::judge::Opinion;

use super::{Found, Policy, Said};

/// A connection that was judged.
struct Flow {
    opinion: Opinion,
    protocol: Protocol,
    /// Another hello is in progress.
    pending: bool,
    watch: bool,
    /// Where the stream is looked at next.
    next: usize,
    chunked: bool,
}

/// A hello in progress.
struct Begun {
    hello: Hello,
    /// Its first bytes.
    first: [u8; 3],
}

pub(super) struct Stream {
    policy: Policy,
    begun: Option<Begun>,
    flow: Option<Flow>,
    /// Bytes before the next segment.
    at: usize,
    chunk: Box<[u8; CHUNK_ROOM]>,
}

/// A segment on its way.
struct Segment<'a> {
    bytes: &'a [u8],
    /// Where it begins in the stream.
    at: usize,
    /// The name that it completed.
    host: Option<String>,
}

impl Stream {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            begun: None,
            flow: None,
            at: 0,
            // What lies behind a piece must not matter.
            chunk: Box::new([0xa5; CHUNK_ROOM]),
        }
    }

    pub(super) fn segment(&mut self, bytes: &[u8]) -> Said {
        let mut segment = Segment {
            bytes,
            at: self.at,
            host: None,
        };
        self.at += bytes.len();
        // Again where the segment goes on behind a body.
        loop {
            if let Some(said) = self.look(&mut segment) {
                return said;
            }
        }
    }

    /// `None`: what lies behind a body in the segment is still to be judged.
    fn look(&mut self, segment: &mut Segment<'_>) -> Option<Said> {
        let mut skip = 0;
        let mut chunked = false;
        let again = self.flow.is_some();
        if let Some(flow) = &mut self.flow {
            if flow.opinion.verdict != Verdict::Pass {
                return Some(Said::of(&flow.opinion, None));
            }
            if !flow.pending {
                let Some(ahead) = flow.watch.then(|| flow.ahead(segment)).flatten() else {
                    return Some(Said::of(&flow.opinion, segment.host.take()));
                };
                skip = ahead;
                chunked = flow.chunked;
                flow.pending = true;
            }
        }
        self.inspect(segment, skip, again, chunked)
    }

    /// Feeds a segment from `skip` on, to another hello of a flow or to the
    /// first.
    fn inspect(
        &mut self,
        segment: &mut Segment<'_>,
        skip: usize,
        again: bool,
        chunked: bool,
    ) -> Option<Said> {
        let begun = self.begun.get_or_insert_with(|| {
            let mut hello = Hello::EMPTY;
            if chunked {
                http::resume(&mut hello);
            }
            Begun {
                hello,
                first: [0; 3],
            }
        });
        let hello = &mut begun.hello;
        let mut repeated = false;
        let mut at = skip;
        for piece in segment.bytes[skip..].chunks(CONTENT_STEP) {
            for (to, from) in begun
                .first
                .iter_mut()
                .skip(hello.consumed as usize)
                .zip(piece)
            {
                *to = *from;
            }
            if hello.consumed == 0 && hello.protocol == Protocol::Other as u8 {
                hello.protocol = sniff(piece[0]).unwrap_or(Protocol::Other) as u8;
            }
            self.chunk[..piece.len()].copy_from_slice(piece);
            let chunk = Chunk::new(&self.chunk, piece.len() as u32);
            let protocol = Protocol::from_u8(hello.protocol);
            let progress = match protocol {
                Protocol::Tls => {
                    repeated = again && tls::told(hello).is_some();
                    tls::feed(hello, &chunk)
                }
                Protocol::Http | Protocol::Tcp => plain::feed(hello, &chunk),
                _ => Progress::Failed(Reason::UnknownProtocol),
            };
            hello.consumed += piece.len() as u32;
            at += piece.len();
            let known = protocol != Protocol::Other;
            let body = known.then(|| http_body(hello)).flatten();
            let end = body.map(|(len, chunked)| (at + len, chunked));
            let last = at >= segment.bytes.len();
            let (flags, failed, inside) = match progress {
                Progress::More if last => {
                    return Some(Said {
                        host: segment.host.take(),
                        ..Said::PENDING
                    });
                }
                Progress::Done(finding) if last || finding.unfinished == 0 => {
                    let inside = finding.unfinished == Finding::INSIDE_HEAD;
                    (finding.flags, Reason::Unknown, inside)
                }
                Progress::More | Progress::Done(_) => continue,
                Progress::Failed(reason) if known => (0, reason, false),
                // OpenVPN over TCP is told by three bytes.
                Progress::Failed(_) if hello.consumed < 3 && begun.first[0] == 0 => {
                    return Some(Said {
                        host: segment.host.take(),
                        ..Said::PENDING
                    });
                }
                Progress::Failed(_) if is_tcp_tunnel(begun.first, hello.consumed) => {
                    (0, Reason::Tunnel, false)
                }
                Progress::Failed(reason) => (0, reason, false),
            };
            return self.conclude(segment, end, flags, failed, inside, repeated);
        }
        None
    }

    /// What follows from a hello's end, or from the end of the segment in an
    /// HTTP head behind one that is complete (`inside`).
    fn conclude(
        &mut self,
        segment: &mut Segment<'_>,
        body: Option<(usize, bool)>,
        flags: u8,
        failed: Reason,
        inside: bool,
        repeated: bool,
    ) -> Option<Said> {
        let next = segment.at + body.map_or(segment.bytes.len(), |(end, _)| end);
        let chunked = body.is_some_and(|(_, chunked)| chunked);
        let nothing = failed == Reason::UnknownProtocol || failed == Reason::Unknown && flags == 0;
        if nothing && let Some(flow) = &mut self.flow {
            flow.pending = false;
            flow.next = next;
            flow.chunked = chunked;
            if failed != Reason::Unknown && flow.protocol == Protocol::Http {
                flow.protocol = Protocol::Tcp;
            }
            self.begun = None;
        } else {
            let hello = &mut self.begun.as_mut()?.hello;
            let bytes = &hello.name[..usize::from(hello.name_len)];
            let host = String::from_utf8_lossy(bytes).into_owned();
            let opinion = self.policy.decide(&Found {
                flags,
                name: &host,
                failed,
            });
            let passes = opinion.verdict == Verdict::Pass;
            if flags & FlowFlags::NAMED != 0 {
                segment.host = Some(host);
                // It reads the name, and its memory is the hello's.
                name::literal(hello);
            }
            if repeated && passes {
                segment.host = None;
            }
            let protocol = Protocol::from_u8(hello.protocol);
            let undecodable = failed == Reason::UnknownProtocol;
            self.flow = Some(Flow {
                opinion,
                protocol: if undecodable { Protocol::Tcp } else { protocol },
                pending: inside && passes,
                watch: undecodable || matches!(protocol, Protocol::Http | Protocol::Tcp),
                next,
                chunked,
            });
            if inside && passes {
                return Some(Said::of(&opinion, segment.host.take()));
            }
            self.begun = None;
        }
        let flow = self.flow.as_ref()?;
        let more = body.is_some_and(|(end, _)| end < segment.bytes.len());
        if more && flow.opinion.verdict == Verdict::Pass {
            return None;
        }
        Some(Said::of(&flow.opinion, segment.host.take()))
    }
}

impl Flow {
    /// From which byte on the segment is looked at.
    fn ahead(&mut self, segment: &Segment<'_>) -> Option<usize> {
        let end = segment.at + segment.bytes.len();
        let known = end <= self.next;
        let skip = self.next.saturating_sub(segment.at);
        if self.protocol == Protocol::Http {
            return (!known).then_some(skip);
        }
        let begins = |at: usize| {
            let first = segment.bytes.get(at).copied();
            first.is_some_and(|first| restarts(first, self.protocol))
        };
        if begins(0) {
            return Some(0);
        }
        if known {
            return None;
        }
        if begins(skip) {
            return Some(skip);
        }
        self.next = end;
        None
    }
}

/// Within a body: how much of it is to come, and whether another chunk may.
fn http_body(hello: &mut Hello) -> Option<(usize, bool)> {
    if hello.protocol != Protocol::Http as u8 {
        return None;
    }
    http::ahead(hello).map(|(len, chunked)| (len as usize, chunked))
}
