//! The run itself: clock in, frame in, outcome out.

use std::io::Read;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};
use aya::{TestRun as _, TestRunOptions};
use filter_ebpf::abi::{self, Access, Protocol, Reason, Trace, Verdict};
use filter_ebpf::frame::{Meta, Parsed};
use ipnet::IpNet;

use super::capture::{Capture, CaptureError, Record};
use super::direction::{Direction, Directions};
use super::ethernet;
use super::headers::{address, headers};
use crate::kernel::load::{LAN_EGRESS, LAN_INGRESS};
use crate::kernel::{Contents, Counters, KernelError, Wire, load, object};

/// Actions of the two kinds of programs that let a packet on.
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const TC_ACT_OK: u32 = 0;
/// A verdict that no program gives: the trace was not written.
const UNTOUCHED: u8 = u8::MAX;
/// Shortest frame that the kernel's test run takes.
const ETHERNET_HEADER: usize = 14;
/// Port of resolvers.
const DNS: u16 = 53;
/// Bytes of a frame that the tc program is given: one page less head room
/// and tail (net/bpf/test_run.c). It reads headers only.
const EGRESS_MAX: usize = 3_000;
/// Longest frame that comes out of a test run, with room for a reply.
const OUTPUT: usize = 72 * 1024;
/// How often the doors are computed again, in nanoseconds of the capture.
const DOORS_EVERY: u64 = 3_600_000_000_000;

/// How a capture is judged.
pub struct Options<'a> {
    /// Room of frames without a VLAN tag.
    pub untagged: Option<u32>,
    /// UNIX time in nanoseconds at which the first frame is; else the time at
    /// which it was recorded.
    pub at: Option<u64>,
    /// Judges connections whose start was not seen as the filter on a network
    /// does: nothing of them passes. Captures often lack the start.
    pub strict: bool,
    /// Where clients' addresses lie, as far as the policy says.
    pub subnets: Vec<IpNet>,
    /// The doors of all rooms, on a clock that is UNIX time in nanoseconds.
    pub doors: Box<dyn FnMut(u64) -> Vec<Access> + Send + 'a>,
}

/// Why a capture could not be judged to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("frame {frame}: the kernel does not run it: {source}")]
    Run { frame: u64, source: ProgramError },
}

/// What would have happened to a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Number of the frame in the file, from 1.
    pub packet: u64,
    /// UNIX time in nanoseconds at which it was judged.
    pub time: u64,
    /// `None`: a link type that carries no IP.
    pub verdict: Option<Verdict>,
    pub reason: Reason,
    pub room: Option<u16>,
    pub group: Option<u16>,
    /// Outer and inner VLAN.
    pub vlan: (Option<u16>, Option<u16>),
    pub source: Option<(IpAddr, u16)>,
    pub target: Option<(IpAddr, u16)>,
    pub protocol: &'static str,
    /// On the frame that completes a name.
    pub host: Option<String>,
    pub category: Option<u8>,
    /// Towards the room.
    pub egress: bool,
    /// The frame that is sent back at once.
    pub reply: Option<Vec<u8>>,
    /// Bytes that the recorder cut off; zeros were judged in their place.
    pub cut: u32,
    pub link_type: u32,
}

/// A capture being judged; an iterator that ends behind its first error.
pub struct Replay<'a, R> {
    capture: Capture<R>,
    options: Options<'a>,
    rooms: u32,
    trace: Array<MapData, Wire<Trace>>,
    access: Array<MapData, Wire<Access>>,
    /// The programs, and the maps that nothing else keeps.
    ebpf: Ebpf,
    directions: Directions,
    record: Record,
    frame: Vec<u8>,
    /// Where the kernel writes the frame as the program left it.
    output: Vec<u8>,
    /// First frame's time in the file and as judged.
    start: Option<(u64, u64)>,
    now: u64,
    doors_at: Option<u64>,
    ended: bool,
}

impl<'a, R: Read> Replay<'a, R> {
    /// Loads an image of its own, with private maps, pinned nowhere.
    ///
    /// `secret` is the one that the image's names were hashed with.
    ///
    /// # Errors
    /// When the kernel refuses the image.
    pub fn new(
        capture: Capture<R>,
        contents: Contents<'_>,
        secret: &abi::Secret,
        options: Options<'a>,
    ) -> Result<Self, ReplayError> {
        let rooms = contents.rooms();
        let loopback = nix::net::if_::if_nametoindex("lo")
            .map_err(|error| KernelError::Contents(format!("no loopback interface: {error}")))?;
        // The test run's frames come from loopback.
        let contents = contents.for_replay(loopback, secret, options.untagged, options.strict);
        let mut ebpf = load::load(object(), &contents.config, &contents.maps, None)?;
        Ok(Self {
            capture,
            rooms,
            trace: array(&mut ebpf, "TRACE")?,
            access: array(&mut ebpf, "ACCESS")?,
            ebpf,
            directions: Directions::new(options.subnets.clone()),
            options,
            record: Record::default(),
            frame: Vec::new(),
            output: vec![0; OUTPUT],
            start: None,
            now: 0,
            doors_at: None,
            ended: false,
        })
    }

    /// Goes on with another capture: image, flows and counters stay.
    pub fn go_on(&mut self, capture: Capture<R>) {
        self.capture = capture;
        self.start = None;
        self.ended = false;
    }

    /// What the program counted so far.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn counters(&self) -> Result<Counters, KernelError> {
        let map = |name: &str| {
            self.ebpf
                .map(name)
                .and_then(load::data)
                .map(|data| data.fd().as_fd())
                .ok_or_else(|| KernelError::Object(format!("map {name} is missing")))
        };
        Counters::read(map("COUNTERS")?, map("CATEGORY_COUNTERS")?)
    }

    fn judge(&mut self) -> Result<Judged, ReplayError> {
        self.set_clock()?;
        let understood = ethernet::write(&self.record, &mut self.frame);
        let (parsed, meta) = headers(&self.frame);
        let direction = match parsed {
            Parsed::Ip => self.directions.of(&meta),
            Parsed::Keepalive | Parsed::Bad(_) => Direction::Ingress,
        };
        let mut judged = self.describe(&parsed, &meta, direction);
        if !understood {
            return Ok(judged);
        }
        if self.frame.len() < ETHERNET_HEADER {
            // No network card hands over such a frame.
            judged.verdict = Some(Verdict::Drop);
            judged.reason = Reason::Truncated;
            return Ok(judged);
        }
        let (passed, reply) = self.run(direction)?;
        judged.reply = reply;
        let Wire(trace) = self.trace.get(&0, 0).map_err(broken)?;
        self.read_trace(&mut judged, &trace.event, passed);
        Ok(judged)
    }

    /// Runs the frame: whether it would go on, and what is sent back.
    fn run(&mut self, direction: Direction) -> Result<(bool, Option<Vec<u8>>), ReplayError> {
        // SAFETY: integers, for which zero is a value.
        let mut trace: Trace = unsafe { std::mem::zeroed() };
        trace.now = self.now;
        trace.event.verdict = UNTOUCHED;
        self.trace.set(0, Wire(trace), 0).map_err(broken)?;
        let result = match direction {
            Direction::Ingress => {
                let program: &Xdp = program(&self.ebpf, LAN_INGRESS)?;
                let options = TestRunOptions {
                    data_out: Some(&mut self.output),
                    ..input(&self.frame)
                };
                program.test_run(options).map(|result| {
                    let reply = self.output.get(..result.data_size_out as usize);
                    let sent = (result.return_value == XDP_TX).then_some(reply).flatten();
                    (result.return_value == XDP_PASS, sent.map(<[u8]>::to_vec))
                })
            }
            Direction::Egress => {
                shorten(&mut self.frame);
                let program: &SchedClassifier = program(&self.ebpf, LAN_EGRESS)?;
                program
                    .test_run(input(&self.frame))
                    .map(|result| (result.return_value == TC_ACT_OK, None))
            }
        };
        result.map_err(|source| ReplayError::Run {
            frame: self.record.number,
            source,
        })
    }

    fn set_clock(&mut self) -> Result<(), ReplayError> {
        let recorded = self.record.time;
        let (first, begin) = *self
            .start
            .get_or_insert((recorded, self.options.at.unwrap_or(recorded)));
        let time = begin.saturating_add(recorded.saturating_sub(first));
        // Frames of several interfaces may lie out of order; clocks do not.
        self.now = self.now.max(time);
        if self.doors_at.is_none_or(|at| self.now - at >= DOORS_EVERY) {
            self.doors_at = Some(self.now);
            for (room, door) in (self.options.doors)(self.now).iter().enumerate() {
                self.access
                    .set(room as u32, Wire(*door), 0)
                    .map_err(broken)?;
            }
        }
        Ok(())
    }

    /// Everything that is known without the kernel.
    fn describe(&self, parsed: &Parsed, meta: &Meta, direction: Direction) -> Judged {
        let ip = *parsed == Parsed::Ip || meta.key.protocol != 0;
        let vlan = |tag: u32| Some((tag & 0xfff) as u16).filter(|vlan| *vlan != 0);
        Judged {
            packet: self.record.number,
            time: self.now,
            verdict: None,
            reason: Reason::Unknown,
            room: None,
            group: None,
            vlan: (vlan(meta.key.link >> 12), vlan(meta.key.link)),
            source: ip.then(|| (address(&meta.key.client), meta.key.client_port)),
            target: ip.then(|| (address(&meta.key.server), meta.key.server_port)),
            protocol: protocol_name(meta, &self.frame, direction),
            host: None,
            category: None,
            egress: direction == Direction::Egress,
            reply: None,
            cut: self
                .record
                .original_len
                .saturating_sub(self.record.data.len() as u32),
            link_type: self.record.link_type,
        }
    }

    fn read_trace(&self, judged: &mut Judged, event: &abi::Event, passed: bool) {
        if event.verdict == UNTOUCHED {
            judged.verdict = Some(if passed { Verdict::Pass } else { Verdict::Drop });
            return;
        }
        judged.verdict = Some(Verdict::from_u8(event.verdict));
        judged.reason = Reason::from_u8(event.reason);
        if u32::from(event.room) < self.rooms {
            judged.room = Some(event.room);
            judged.group = Some(event.group);
        }
        // Without a reason nothing decided, so no category did.
        judged.category = Some(event.category)
            .filter(|category| *category != u8::MAX && judged.reason != Reason::Unknown);
        let protocol = Protocol::from_u8(event.protocol);
        if protocol != Protocol::Other {
            judged.protocol = protocol.name();
        }
        let name = &event.name[..usize::from(event.name_len).min(event.name.len())];
        if !name.is_empty() {
            judged.host = Some(String::from_utf8_lossy(name).into_owned());
        }
    }
}

impl<R: Read> Iterator for Replay<'_, R> {
    type Item = Result<Judged, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let result = match self.capture.next(&mut self.record) {
            Ok(true) => self.judge(),
            Ok(false) => {
                self.ended = true;
                return None;
            }
            Err(error) => Err(error.into()),
        };
        self.ended = result.is_err();
        Some(result)
    }
}

fn input(frame: &[u8]) -> TestRunOptions<'_> {
    TestRunOptions {
        data_in: Some(frame),
        ..TestRunOptions::new()
    }
}

/// Cuts a frame to what the tc program is given; it reads headers only, and
/// the kernel takes no more than a page there. The lengths inside the IP
/// header shrink with it.
fn shorten(frame: &mut Vec<u8>) {
    if frame.len() <= EGRESS_MAX {
        return;
    }
    frame.truncate(EGRESS_MAX);
    let (_, meta) = headers(frame);
    let l3 = meta.l3 as usize;
    let ipv6 = frame.get(l3).is_some_and(|byte| byte >> 4 == 6);
    let (at, len) = if ipv6 {
        (l3 + 4, EGRESS_MAX.saturating_sub(l3 + 40))
    } else {
        (l3 + 2, EGRESS_MAX.saturating_sub(l3))
    };
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&(len as u16).to_be_bytes());
    }
}

/// What the headers tell; the program says more of what it looks into.
fn protocol_name(meta: &Meta, frame: &[u8], direction: Direction) -> &'static str {
    match meta.key.protocol {
        6 => Protocol::Tcp.name(),
        // An answer, which no program reads.
        17 if direction == Direction::Egress && meta.key.client_port == DNS => Protocol::Dns.name(),
        17 => Protocol::Udp.name(),
        1 | 58 => Protocol::Icmp.name(),
        0 if is_arp(frame) => "arp",
        _ => Protocol::Other.name(),
    }
}

/// Behind tags too.
fn is_arp(frame: &[u8]) -> bool {
    let mut types = frame.get(12..).unwrap_or_default().chunks(4);
    let tag = |kind: &[u8]| matches!(kind, [0x81 | 0x91, 0x00, ..] | [0x88, 0xa8, ..]);
    types
        .find(|kind| !tag(kind))
        .is_some_and(|kind| kind.starts_with(&[0x08, 0x06]))
}

fn program<'a, P>(ebpf: &'a Ebpf, name: &str) -> Result<&'a P, KernelError>
where
    &'a P: TryFrom<&'a Program, Error = ProgramError>,
{
    ebpf.program(name)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| KernelError::Object(format!("program {name} is missing")))
}

fn array<V: abi::Pod>(ebpf: &mut Ebpf, name: &str) -> Result<Array<MapData, Wire<V>>, KernelError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| KernelError::Object(format!("map {name} is missing")))?;
    Array::try_from(map).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> KernelError {
    KernelError::Contents(format!("the trace cannot be read or written: {error}"))
}
