//! A small school as an image, and frames judged by it in the kernel.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use filter_agent::image::{Image, Input, Names, OWN, Place, Ranges, Reach, Room, SafeSearch, Tags};
use filter_agent::kernel::{Contents, Counters, fresh_secret};
use filter_agent::replay::{Capture, Judged, Options, Replay};
use filter_ebpf::abi::{Access, Group, GroupFlags, Reason, RoomFlags, SafeAddress, Verdict};
use ipnet::IpNet;

/// Categories of the school.
pub mod category {
    pub const GAMES: u8 = 0;
    pub const LOCKED: u8 = 1;
    pub const LEARNING: u8 = 2;
    pub const ECH: u8 = 3;
    pub const COUNT: u8 = 4;
}

/// Rooms of the school by their index; the VLAN stands beside it.
pub mod room {
    /// VLAN 10, everything but games and what is locked, subnets unknown.
    pub const OPEN: u32 = 0;
    /// VLAN 20, only what is for learning.
    pub const STRICT: u32 = 1;
    /// VLAN 30, nothing is looked at by name.
    pub const TEACHERS: u32 = 2;
    /// VLAN 40, by timetable; 10.40.0.0/16 and 2001:db8:40::/48.
    pub const CLASS: u32 = 3;
    /// VLAN 100 around VLAN 7.
    pub const STACKED: u32 = 4;
    /// VLAN 50, as the open room, and plain protocols pass.
    pub const MAIL: u32 = 5;
    /// VLAN 60, as the open room, but only with the school's DNS and without
    /// keys for encrypted names.
    pub const PUPILS: u32 = 6;
    /// Frames that belong to no room are counted here.
    pub const NONE: u32 = 7;
}

/// A host in each category; `www.` of it is in it too.
pub const GAME_HOST: &str = "play.games.example";
pub const LOCKED_HOST: &str = "locked.example";
pub const LEARNING_HOST: &str = "learn.example";
/// The outer name of encrypted ones.
pub const ECH_HOST: &str = "ech.example";

/// Search engines that answer the pupils with a safe address: of both
/// families, of one, and none.
pub const SEARCH_HOSTS: [&str; 3] = [
    "www.search.example",
    "www.four.search.example",
    "www.none.search.example",
];
pub const SAFE_V4: [u8; 4] = [192, 0, 2, 80];
pub const SAFE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0x5a, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The image before it is built: change it, then judge frames by it.
pub struct School {
    pub input: Input,
    pub doors: Vec<Access>,
    secret: filter_ebpf::abi::Secret,
    pub untagged: Option<u32>,
    /// Connections whose start was not seen do not pass.
    pub strict: bool,
    pub subnets: Vec<IpNet>,
    /// UNIX nanoseconds of the first frame; else its own time.
    pub at: Option<u64>,
}

/// What became of some frames.
pub struct Outcome {
    pub frames: Vec<Judged>,
    pub counters: Counters,
    /// What ended the run before the end of the capture.
    pub error: Option<String>,
}

impl School {
    /// The school that the constants describe.
    ///
    /// # Errors
    /// When there are no random numbers, or an entry is refused.
    pub fn new() -> Result<Self> {
        Self::with_secret(fresh_secret()?)
    }

    /// The same school with names hashed under this secret.
    ///
    /// # Errors
    /// When an entry is refused.
    pub fn with_secret(secret: filter_ebpf::abi::Secret) -> Result<Self> {
        let mut names = Names::new(&secret);
        for (name, category) in [
            (GAME_HOST, category::GAMES),
            (LOCKED_HOST, category::LOCKED),
            (LEARNING_HOST, category::LEARNING),
            (ECH_HOST, category::ECH),
        ] {
            names.add(name, category, Reach::Subtree)?;
        }
        let mut ranges = Ranges::default();
        for (range, category) in [
            ("198.51.100.0/24", category::GAMES),
            ("2001:db8:bad::/48", category::GAMES),
            ("203.0.113.0/24", category::LOCKED),
            ("192.0.2.0/24", category::LEARNING),
            ("2001:db8:600d::/48", category::LEARNING),
            ("172.16.0.0/12", OWN),
            ("2001:db8:53::/48", OWN),
        ] {
            let range: IpNet = range.parse()?;
            ranges.add(range.network(), range.broadcast(), category)?;
        }
        let rooms = vec![
            room("open", 0, Tags::Vlan(10)),
            room("strict", 1, Tags::Vlan(20)),
            room("teachers", 2, Tags::Vlan(30)),
            Room {
                flags: RoomFlags::TIMETABLE,
                subnets4: vec![filter_ebpf::abi::Subnet4 {
                    address: 0x0a28_0000,
                    mask: 0xffff_0000,
                }],
                subnets6: vec![filter_ebpf::abi::Subnet6 {
                    upper: 0x2001_0db8_0040_0000,
                    lower: 0,
                    upper_mask: 0xffff_ffff_ffff_0000,
                    lower_mask: 0,
                }],
                ..room("class", 0, Tags::Vlan(40))
            },
            room(
                "stacked",
                0,
                Tags::Stacked {
                    outer: 100,
                    inner: 7,
                },
            ),
            room("mail", 3, Tags::Vlan(50)),
            room("pupils", 4, Tags::Vlan(60)),
        ];
        let doors = vec![Access::UNKNOWN; rooms.len()];
        Ok(Self {
            input: Input {
                generation: 1,
                links: vec![1],
                unknown_vlan: Verdict::Drop,
                when_stale: Verdict::Drop,
                trace: true,
                hello_cap: 32_768,
                quic_budget: 1_000_000,
                groups: groups(),
                rooms,
                categories: category::COUNT,
                names,
                ranges,
                safe_search: SafeSearch {
                    names: (0..)
                        .zip(SEARCH_HOSTS)
                        .map(|(at, host)| (host.to_owned(), at))
                        .collect(),
                    addresses: vec![
                        safe(SafeAddress::V4 | SafeAddress::V6),
                        safe(SafeAddress::V4),
                        safe(0),
                    ],
                },
            },
            doors,
            secret,
            untagged: None,
            strict: false,
            subnets: Vec::new(),
            at: None,
        })
    }

    /// Judges frames one after another, a millisecond apart.
    ///
    /// # Errors
    /// When the kernel refuses the image or a frame.
    pub fn judge(self, frames: &[Vec<u8>]) -> Result<Outcome> {
        self.load()?.judge(frames)
    }

    /// Loads the image, to judge frames in several goes: flows stay, and
    /// loading takes longer than judging.
    ///
    /// # Errors
    /// When the kernel refuses the image.
    pub fn load(self) -> Result<Loaded> {
        let replay = self.start(Capture::new(Cursor::new(pcap(&[])))?)?;
        Ok(Loaded { replay })
    }

    /// Judges a capture.
    ///
    /// # Errors
    /// When it cannot be opened or the kernel refuses the image.
    pub fn replay(self, path: &Path) -> Result<Outcome> {
        outcome(&mut self.start(Capture::open(path)?)?)
    }

    fn start<R: std::io::Read>(self, capture: Capture<R>) -> Result<Replay<'static, R>> {
        let image = Image::build(self.input)?;
        let page = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let contents = Contents::new(&image, &self.doors, page)?;
        let doors = self.doors.clone();
        let options = Options {
            untagged: self.untagged,
            strict: self.strict,
            at: self.at,
            subnets: self.subnets,
            doors: Box::new(move |_| doors.clone()),
        };
        Replay::new(capture, contents, &self.secret, options).context("cannot load the image")
    }
}

/// A school in the kernel.
pub struct Loaded {
    replay: Replay<'static, Cursor<Vec<u8>>>,
}

impl Loaded {
    /// Judges frames one after another, a millisecond apart.
    ///
    /// # Errors
    /// When the kernel refuses a frame.
    pub fn judge(&mut self, frames: &[Vec<u8>]) -> Result<Outcome> {
        self.replay.go_on(Capture::new(Cursor::new(pcap(frames)))?);
        let outcome = outcome(&mut self.replay)?;
        if let Some(error) = &outcome.error {
            anyhow::bail!("{error}");
        }
        ensure!(outcome.frames.len() == frames.len(), "a frame is missing");
        Ok(outcome)
    }
}

fn outcome<R: std::io::Read>(replay: &mut Replay<'_, R>) -> Result<Outcome> {
    let mut frames = Vec::new();
    let mut error = None;
    for judged in &mut *replay {
        match judged {
            Ok(judged) => frames.push(judged),
            Err(stop) => error = Some(stop.to_string()),
        }
    }
    Ok(Outcome {
        frames,
        counters: replay.counters()?,
        error,
    })
}

impl Outcome {
    /// Compares every counter: exactly these and no other may have changed.
    pub fn counted(&self, expected: &[(u32, Verdict, Reason, u64)]) {
        let key = |(room, verdict, reason, packets): &(u32, Verdict, Reason, u64)| {
            format!(
                "room {room}: {} {} {packets}",
                verdict.name(),
                reason.name()
            )
        };
        let mut expected: Vec<String> = expected.iter().map(key).collect();
        let mut found: Vec<String> = self
            .counters
            .iter()
            .map(|(room, verdict, reason, count)| key(&(room, verdict, reason, count.packets)))
            .collect();
        expected.sort();
        found.sort();
        assert!(
            expected == found,
            "counters differ\nexpected: {expected:#?}\nfound: {found:#?}\nframes:\n{}",
            self.table()
        );
    }

    /// Compares each frame's verdict and reason.
    pub fn verdicts(&self, expected: &[(Verdict, Reason)]) {
        let found: Vec<_> = self
            .frames
            .iter()
            .map(|frame| (frame.verdict.unwrap_or(Verdict::Drop), frame.reason))
            .collect();
        assert!(
            found == expected,
            "verdicts differ\nexpected: {expected:?}\nframes:\n{}",
            self.table()
        );
    }

    /// All frames, for messages.
    pub fn table(&self) -> String {
        self.frames
            .iter()
            .map(|frame| format!("{frame:?}\n"))
            .collect()
    }
}

fn safe(families: u32) -> SafeAddress {
    SafeAddress {
        v4: SAFE_V4,
        families,
        v6: SAFE_V6,
    }
}

fn room(name: &str, group: u16, tags: Tags) -> Room {
    Room {
        name: name.to_owned(),
        group,
        places: vec![Place { link: None, tags }],
        ..Room::default()
    }
}

fn groups() -> Vec<Group> {
    let base = Group {
        refuse: Verdict::Reject as u8,
        unnamed: Verdict::Reject as u8,
        encrypted_name: Verdict::Reject as u8,
        undecodable: Verdict::Reject as u8,
        tunnel: Verdict::Reject as u8,
        fragment: Verdict::Reject as u8,
        quic: Verdict::Reject as u8,
        ech_providers: 1 << category::ECH,
        ..Group::default()
    };
    let bit = |category: u8| 1_u64 << category;
    vec![
        Group {
            deny: bit(category::GAMES) | bit(category::LOCKED),
            locked: bit(category::LOCKED),
            flags: GroupFlags::DEFAULT_OPEN | GroupFlags::BY_NAME,
            ..base
        },
        Group {
            allow: bit(category::LEARNING),
            deny: bit(category::LOCKED),
            locked: bit(category::LOCKED),
            flags: GroupFlags::BY_NAME,
            ..base
        },
        Group {
            deny: bit(category::LOCKED),
            locked: bit(category::LOCKED),
            flags: GroupFlags::DEFAULT_OPEN,
            ..base
        },
        Group {
            deny: bit(category::GAMES) | bit(category::LOCKED),
            locked: bit(category::LOCKED),
            flags: GroupFlags::DEFAULT_OPEN | GroupFlags::BY_NAME,
            undecodable: Verdict::Pass as u8,
            encrypted_name: Verdict::Pass as u8,
            ..base
        },
        Group {
            deny: bit(category::GAMES) | bit(category::LOCKED),
            locked: bit(category::LOCKED),
            flags: GroupFlags::DEFAULT_OPEN
                | GroupFlags::BY_NAME
                | GroupFlags::SCHOOL_DNS
                | GroupFlags::STRIP_ECH
                | GroupFlags::SAFE_SEARCH,
            safe_search: 0b111,
            ..base
        },
    ]
}

/// Frames as a capture in memory, from 2026-09-01 on.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend(word.to_le_bytes());
    }
    for (i, frame) in frames.iter().enumerate() {
        let micros = i as u32 * 1000;
        for word in [
            1_788_220_800 + micros / 1_000_000,
            micros % 1_000_000,
            frame.len() as u32,
            frame.len() as u32,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}
