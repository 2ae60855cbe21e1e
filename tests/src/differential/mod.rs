//! The fuzzers' inputs through the real program in the kernel, as frames of
//! real connections, beside the same inspectors on the host: what is said
//! about every frame must be the same.
//!
//! On the host the inspectors of `filter_ebpf` run; what the kernel's programs
//! do around them for a client whose segments come in order is written down
//! once more, in the most obvious way.

mod datagrams;
mod queries;
mod stream;

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use filter_agent::image::Reach;
use filter_agent::replay::Judged;
use filter_ebpf::abi::{FlowFlags, Group, Reason, Verdict};
use filter_ebpf::inspect::dns::Bucket;
use filter_ebpf::judge::{NO_CATEGORY, Opinion, Row};
use filter_fuzz::{Random, Target, mutated, quic, seeds};

use crate::frames::{ACK, PSH, SYN, tagged, tcp, udp};
use crate::small_school::{Loaded, School, category, room};

use datagrams::Datagrams;
use queries::Queries;
use stream::Stream;

/// Names in the inputs that the policy denies; everything else is open.
const DENIED: [&str; 3] = ["blocked.example", "h3.school-test.example", "a.b"];
/// The same but for protocols that name no host, which pass in the second.
const ROOMS: [(u16, u32); 2] = [(10, room::OPEN), (50, room::MAIL)];
/// No address of any list.
const SERVER: &str = "93.184.216.34";
/// The sequence number before the client's first byte; soon it wraps.
const ISN: u32 = 0xffff_f000;

/// What is said about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    verdict: Verdict,
    reason: Reason,
    /// On the frame that completes a name.
    host: Option<String>,
}

impl Said {
    const PENDING: Self = Self {
        verdict: Verdict::Pass,
        reason: Reason::HelloPending,
        host: None,
    };

    fn of(opinion: &Opinion, host: Option<String>) -> Self {
        Self {
            verdict: opinion.verdict,
            reason: opinion.reason,
            host,
        }
    }

    fn in_kernel(judged: &Judged) -> Option<Self> {
        Some(Self {
            verdict: judged.verdict?,
            reason: judged.reason,
            host: judged.host.clone(),
        })
    }
}

/// What an inspector found.
struct Found<'a> {
    /// [`FlowFlags`].
    flags: u8,
    name: &'a str,
    /// `Unknown`: it did not fail.
    failed: Reason,
}

/// What a room's group does.
#[derive(Clone, Copy)]
struct Policy {
    group: Group,
    row: Row,
}

impl Policy {
    fn new(group: Group) -> Self {
        Self {
            group,
            row: Row::new(&group, 0),
        }
    }

    fn deny(&self, reason: Reason) -> Opinion {
        self.row.deny(reason, NO_CATEGORY)
    }

    fn unjudged(&self, verdict: u8, reason: Reason) -> Opinion {
        self.row.unjudged(verdict, reason)
    }

    /// The verdict about what was found. No input names an address of a list.
    fn decide(&self, found: &Found<'_>) -> Opinion {
        let failed = found.failed;
        match failed {
            Reason::Unknown | Reason::UnknownProtocol | Reason::Proxy | Reason::Tunnel => {}
            _ => return self.deny(failed),
        }
        if found.flags & FlowFlags::NAMED != 0 && is_denied(found.name) {
            return self.row.deny(Reason::NameDenied, category::GAMES);
        }
        if found.flags & FlowFlags::UNNAMED != 0 {
            return self.unjudged(self.group.unnamed, Reason::Unnamed);
        }
        match failed {
            Reason::Proxy | Reason::Tunnel => self.unjudged(self.group.tunnel, failed),
            Reason::UnknownProtocol => self.unjudged(self.group.undecodable, failed),
            _ => self.row.default(),
        }
    }
}

fn is_denied(name: &str) -> bool {
    DENIED.iter().any(|denied| {
        name.strip_suffix(denied)
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

/// What follows a client on the host.
enum Client<'a> {
    Stream(Box<Stream>),
    Datagrams(Box<Datagrams>),
    Queries(Box<Queries<'a>>),
}

/// One input as a client sends it.
struct Sent {
    target: Target,
    /// Index in [`ROOMS`].
    room: usize,
    /// DNS: over TCP.
    tcp: bool,
    payloads: Vec<Vec<u8>>,
}

impl Sent {
    fn new(target: Target, input: &[u8], random: &mut Random) -> Self {
        let room = random.below(ROOMS.len());
        let tcp = match target {
            Target::Tls | Target::Http => true,
            Target::Quic => false,
            Target::Dns => random.below(2) == 0,
        };
        let payloads = match target {
            Target::Tls | Target::Http => cut(input, random),
            Target::Quic => quic::datagrams(input),
            Target::Dns if tcp => {
                let mut framed = Vec::new();
                for _ in 0..2 {
                    framed.extend((input.len() as u16).to_be_bytes());
                    framed.extend_from_slice(input);
                }
                cut(&framed, random)
            }
            Target::Dns => vec![input.to_vec()],
        };
        Self {
            target,
            room,
            tcp,
            payloads,
        }
    }

    /// Frames before the first payload's.
    fn before(&self) -> usize {
        if self.tcp { 2 } else { 0 }
    }

    /// Appends the frames of a connection of its own.
    fn write(&self, number: u32, frames: &mut Vec<Vec<u8>>) {
        let (vlan, _) = ROOMS[self.room];
        let port = match self.target {
            Target::Tls | Target::Quic => 443,
            Target::Http => 80,
            Target::Dns => 53,
        };
        let client = format!("{}:40000", Ipv4Addr::from(0x0a00_0000 | number & 0xff_ffff));
        let server = format!("{SERVER}:{port}");
        if !self.tcp {
            for payload in &self.payloads {
                frames.push(tagged(vlan, &udp(&client, &server, payload)));
            }
            return;
        }
        let first = ISN.wrapping_add(1);
        let syn = tcp(&client, &server, SYN, ISN, 0, b"");
        let syn_ack = tcp(&server, &client, SYN | ACK, 7_000, first, b"");
        frames.extend([tagged(vlan, &syn), tagged(vlan, &syn_ack)]);
        let mut at = first;
        for payload in &self.payloads {
            let segment = tcp(&client, &server, ACK | PSH, at, 7_001, payload);
            frames.push(tagged(vlan, &segment));
            at = at.wrapping_add(payload.len() as u32);
        }
    }
}

/// Segments of a stream: up to five, or one in eight times tiny ones.
fn cut(stream: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let cuts = random.cuts(stream.len());
    let size = if random.below(8) == 0 {
        stream.len() / 40 + 1 + random.below(20)
    } else {
        stream.len()
    };
    let mut pieces = Vec::new();
    let mut at = 0;
    for end in cuts.into_iter().chain([stream.len()]) {
        pieces.extend(stream[at..end].chunks(size.max(1)).map(<[u8]>::to_vec));
        at = end;
    }
    pieces
}

/// What clients send: mutated inputs, half of them on a connection that
/// carried a true one before, or plain text.
pub struct Inputs {
    target: Target,
    seeds: Vec<Vec<u8>>,
    before: Vec<Vec<u8>>,
    seed: u64,
}

impl Inputs {
    /// A run with the same `seed` has the same inputs.
    ///
    /// # Errors
    /// When captures or regressions cannot be read.
    pub fn new(target: Target, seed: u64) -> Result<Self> {
        let before = match target {
            Target::Tls => [seeds(target)?, seeds(Target::Http)?].concat(),
            Target::Http | Target::Quic => seeds(target)?,
            // Each message is judged by itself.
            Target::Dns => vec![Vec::new()],
        };
        Ok(Self {
            target,
            seeds: seeds(target)?,
            before,
            seed,
        })
    }

    /// An input, and the numbers that cut it.
    pub fn input(&self, index: u64) -> (Vec<u8>, Random) {
        let mut random = Random::new(self.seed, index);
        let mut input = Vec::new();
        if random.below(2) == 0 {
            let place = random.below(self.before.len());
            input.clone_from(&self.before[place]);
        }
        input.extend(mutated(self.target, &self.seeds, &mut random));
        (input, random)
    }
}

/// How many were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub inputs: u64,
    /// Frames with a payload.
    pub frames: u64,
    /// Frames that were refused, and those that completed a name.
    pub refused: u64,
    pub named: u64,
}

/// A school in the kernel and its like on the host.
pub struct Differential {
    school: Loaded,
    policies: [Policy; 2],
    buckets: [Bucket; 2],
    /// Connections so far.
    number: u32,
    pub compared: Compared,
}

impl Differential {
    /// Loads the program.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn new() -> Result<Self> {
        let mut school = School::new()?;
        school.strict = true;
        school.subnets = vec!["10.0.0.0/8".parse()?];
        for name in DENIED {
            school
                .input
                .names
                .add(name, category::GAMES, Reach::Subtree)?;
        }
        let policies = ROOMS.map(|(_, room)| {
            let group = school.input.rooms[room as usize].group;
            Policy::new(school.input.groups[usize::from(group)])
        });
        Ok(Self {
            school: school.load()?,
            policies,
            buckets: [Bucket::default(); 2],
            number: 0,
            compared: Compared::default(),
        })
    }

    /// Compares what kernel and host say about inputs, each cut by the numbers
    /// beside it; the differences with their inputs' places.
    ///
    /// # Errors
    /// When the kernel does not run a frame.
    pub fn compare(
        &mut self,
        target: Target,
        inputs: &[(Vec<u8>, Random)],
    ) -> Result<Vec<(usize, String)>> {
        let mut all = Vec::with_capacity(inputs.len());
        let mut frames = Vec::new();
        for (input, random) in inputs {
            let sent = Sent::new(target, input, &mut random.clone());
            sent.write(self.number, &mut frames);
            self.number = self.number.wrapping_add(1);
            all.push(sent);
        }
        let judged = self.school.judge(&frames)?.frames;
        let mut rest = judged.as_slice();
        let mut differences = Vec::new();
        for (place, sent) in all.iter().enumerate() {
            let (frames, behind) = rest.split_at(sent.before() + sent.payloads.len());
            rest = behind;
            let handshake = &frames[..sent.before()];
            ensure!(
                handshake.iter().all(|f| f.verdict == Some(Verdict::Pass)),
                "a handshake does not pass: {handshake:?}"
            );
            if let Err(difference) = self.follow(sent, &frames[sent.before()..]) {
                differences.push((place, difference));
            }
        }
        Ok(differences)
    }

    /// Holds what the kernel said about the payloads against the host.
    fn follow(&mut self, sent: &Sent, frames: &[Judged]) -> Result<(), String> {
        self.compared.inputs += 1;
        let policy = self.policies[sent.room];
        let mut client = match sent.target {
            Target::Tls | Target::Http => Client::Stream(Box::new(Stream::new(policy))),
            Target::Quic => Client::Datagrams(Box::new(Datagrams::new(policy))),
            Target::Dns => {
                let bucket = &mut self.buckets[sent.room];
                Client::Queries(Box::new(Queries::new(policy, bucket)))
            }
        };
        for (i, (payload, frame)) in sent.payloads.iter().zip(frames).enumerate() {
            let host = match &mut client {
                Client::Stream(stream) => stream.segment(payload),
                Client::Datagrams(datagrams) => datagrams.datagram(payload),
                Client::Queries(queries) if sent.tcp => queries.segment(payload, frame.time),
                Client::Queries(queries) => queries.datagram(payload, frame.time),
            };
            let kernel = Said::in_kernel(frame);
            if kernel.as_ref() != Some(&host) {
                let lens: Vec<_> = sent.payloads.iter().map(Vec::len).collect();
                return Err(format!(
                    "frame {i} of {lens:?} bytes in VLAN {}: host {host:?}, kernel {kernel:?}",
                    ROOMS[sent.room].0
                ));
            }
            self.compared.frames += 1;
            self.compared.refused += u64::from(host.verdict != Verdict::Pass);
            self.compared.named += u64::from(host.host.is_some());
        }
        Ok(())
    }
}
