//! A client that asks a resolver.

use filter_ebpf::abi::{CONTENT_STEP, FlowFlags, Hello, NAME_MAX, Reason, Verdict};
use filter_ebpf::inspect::dns::{Bucket, Framing, feed, is_long};
use filter_ebpf::inspect::{CHUNK_ROOM, Chunk, Progress, name};
use filter_ebpf::judge::{NO_CATEGORY, Opinion};

use super::{Found, Policy, Said};

/// Messages of one segment that are judged.
const MESSAGES: u32 = 12;
/// The name that browsers ask for before they use another resolver.
const CANARY: &str = "use-application-dns.net";

pub(super) struct Queries<'a> {
    policy: Policy,
    /// The room's long names.
    bucket: &'a mut Bucket,
    hello: Hello,
    /// What ended the stream.
    dead: Option<Opinion>,
}

impl<'a> Queries<'a> {
    pub(super) fn new(policy: Policy, bucket: &'a mut Bucket) -> Self {
        Self {
            policy,
            bucket,
            hello: Hello::EMPTY,
            dead: None,
        }
    }

    pub(super) fn datagram(&mut self, message: &[u8], now: u64) -> Said {
        self.hello = Hello::EMPTY;
        let chunk = filled(message);
        let chunk = Chunk::new(&chunk, message.len() as u32);
        let progress = feed(&mut self.hello, &chunk, Framing::Datagram);
        self.judge(progress, now)
    }

    /// The last word about the messages that end in the segment.
    pub(super) fn segment(&mut self, bytes: &[u8], now: u64) -> Said {
        if let Some(dead) = &self.dead {
            return Said::of(dead, None);
        }
        let mut said = Said::PENDING;
        let mut messages = 0;
        for piece in bytes.chunks(CONTENT_STEP) {
            let chunk = filled(piece);
            let chunk = Chunk::new(&chunk, piece.len() as u32);
            loop {
                let mut progress = feed(&mut self.hello, &chunk, Framing::Stream);
                if progress == Progress::More {
                    break;
                }
                messages += 1;
                if messages > MESSAGES {
                    progress = Progress::Failed(Reason::DnsRate);
                }
                said = self.judge(progress, now);
                if said.verdict != Verdict::Pass {
                    self.dead = Some(Opinion {
                        verdict: said.verdict,
                        reason: said.reason,
                        category: NO_CATEGORY,
                    });
                    return said;
                }
            }
        }
        said
    }

    fn judge(&mut self, progress: Progress, now: u64) -> Said {
        let (flags, failed) = match progress {
            // The root hides nothing.
            Progress::Done(finding) => (finding.flags & !FlowFlags::UNNAMED, Reason::Unknown),
            Progress::Failed(reason) => (0, reason),
            Progress::More => (0, Reason::Malformed),
        };
        let named = flags & FlowFlags::NAMED != 0;
        let name: [u8; NAME_MAX] = self.hello.name;
        let len = if named { self.hello.name_len } else { 0 };
        let host = String::from_utf8_lossy(&name[..usize::from(len)]).into_owned();
        if named {
            // It reads the name, and its memory is the hello's.
            name::literal(&mut self.hello);
        }
        let found = Found {
            flags,
            name: &host,
            failed,
        };
        let mut opinion = self.policy.decide(&found);
        if failed == Reason::Unknown && opinion.verdict == Verdict::Pass {
            let long = is_long(&name, u32::from(len));
            (opinion.verdict, opinion.reason) = if host == CANARY {
                (Verdict::Reject, Reason::Canary)
            } else if long && !self.bucket.take(now) {
                (Verdict::Reject, Reason::DnsRate)
            } else {
                (Verdict::Pass, Reason::DnsAnswer)
            };
        }
        Said::of(&opinion, named.then_some(host))
    }
}

/// A buffer whose bytes behind the piece are no zeros.
fn filled(piece: &[u8]) -> [u8; CHUNK_ROOM] {
    let mut buffer = [0xa5; CHUNK_ROOM];
    buffer[..piece.len()].copy_from_slice(piece);
    buffer
}
