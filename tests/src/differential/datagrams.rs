//! A client of UDP on the port of QUIC.

use filter_ebpf::abi::{FlowFlags, Protocol, Reason, Verdict};
use filter_ebpf::frame::{is_udp_tunnel, opens_udp_tunnel};
use filter_ebpf::inspect::quic::{Kind, Outcome, sniff};
use filter_ebpf::judge::Opinion;
use filter_fuzz::Answer;
use filter_fuzz::quic::Ours;

use super::{Found, Policy, Said};

const PORT: u16 = 443;
/// Fixed header, empty connection IDs, a packet number and a sample (RFC 9000
/// §17.2, RFC 9001 §5.4.2).
const SHORTEST: usize = 21;

struct Flow {
    opinion: Opinion,
    protocol: Protocol,
    /// Another hello is in progress.
    pending: bool,
}

pub(super) struct Datagrams {
    policy: Policy,
    ours: Ours,
    flow: Option<Flow>,
}

impl Datagrams {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            ours: Ours::default(),
            flow: None,
        }
    }

    pub(super) fn datagram(&mut self, bytes: &[u8]) -> Said {
        let len = bytes.len() as u32;
        let first = bytes
            .first_chunk()
            .map_or(0, |four| u32::from_be_bytes(*four));
        let mut fresh = true;
        if let Some(flow) = &self.flow {
            let tunnel = flow.protocol == Protocol::Udp && opens_udp_tunnel(first, len);
            let looks_on = begins(bytes, flow.pending) || tunnel;
            if flow.opinion.verdict != Verdict::Pass || !looks_on {
                return Said::of(&flow.opinion, None);
            }
            fresh = flow.pending;
        }
        if begins(bytes, fresh) {
            return self.quic(bytes);
        }
        if is_udp_tunnel(PORT, first, len) {
            let group = &self.policy.group;
            return Said::of(&self.policy.unjudged(group.tunnel, Reason::Tunnel), None);
        }
        let opinion = self.policy.row.default();
        self.remember(opinion, Protocol::Udp);
        Said::of(&opinion, None)
    }

    fn remember(&mut self, opinion: Opinion, protocol: Protocol) {
        self.flow = Some(Flow {
            opinion,
            protocol,
            pending: false,
        });
    }

    fn quic(&mut self, bytes: &[u8]) -> Said {
        let judged = self.ours.datagram(bytes);
        match judged.outcome {
            Outcome::Complete => self.conclude(),
            Outcome::Settled if self.flow.is_none() => self.conclude(),
            Outcome::Settled => self.as_judged(),
            Outcome::Other if self.flow.is_some() => self.as_judged(),
            Outcome::Pending => {
                if let Some(flow) = &mut self.flow {
                    flow.pending = true;
                }
                Said::PENDING
            }
            Outcome::Other | Outcome::Hold => refused(),
            Outcome::Failed(reason) => {
                let opinion = match reason {
                    Reason::Conflict | Reason::Malformed => self.policy.deny(reason),
                    _ => self.policy.unjudged(self.policy.group.quic, reason),
                };
                // The client may come again in another version.
                if reason != Reason::QuicVersion {
                    self.remember(opinion, Protocol::Quic);
                }
                Said::of(&opinion, None)
            }
        }
    }

    fn conclude(&mut self) -> Said {
        let answer = self.ours.answer();
        let (flags, failed) = match &answer {
            Answer::Name(_) => (FlowFlags::NAMED, Reason::Unknown),
            Answer::Unnamed => (FlowFlags::UNNAMED, Reason::Unknown),
            Answer::Failed(reason) => (0, *reason),
            Answer::More => (0, Reason::Malformed),
        };
        let host = match answer {
            Answer::Name(name) => Some(name),
            _ => None,
        };
        let opinion = self.policy.decide(&Found {
            flags,
            name: host.as_deref().unwrap_or_default(),
            failed,
        });
        self.remember(opinion, Protocol::Quic);
        Said::of(&opinion, host)
    }

    fn as_judged(&self) -> Said {
        match &self.flow {
            Some(flow) if !flow.pending => Said::of(&flow.opinion, None),
            _ => refused(),
        }
    }
}

fn refused() -> Said {
    Said {
        verdict: Verdict::Drop,
        reason: Reason::QuicRefused,
        host: None,
    }
}

/// Whether a datagram is read as QUIC: in a flow that was judged only what may
/// carry a hello or data before it, in a `fresh` one any long header.
fn begins(bytes: &[u8], fresh: bool) -> bool {
    let Some([first, a, b, c, d, id_len, ..]) = bytes.get(..SHORTEST) else {
        return false;
    };
    match sniff(*first, u32::from_be_bytes([*a, *b, *c, *d])) {
        Kind::Initial | Kind::Early => true,
        Kind::Other => fresh,
        // On this port, of any flow.
        Kind::UnknownVersion => first >> 6 == 3 && *id_len <= 20,
        Kind::Short => false,
    }
}
