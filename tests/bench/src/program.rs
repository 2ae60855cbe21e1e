//! `prog.*` rows of the whole program: frames as clients send them.

use anyhow::{Context as _, Result};
use aya::programs::Xdp;

use crate::Effort;
use crate::filter::{LOOPBACK, Lists, Loaded};
use crate::frames::{self, CLOSED_VLAN, Connection, VLAN};
use crate::peers::{Peers, Play, XDP_DROP, XDP_PASS};
use crate::rows::Rows;
use crate::workload::{self, Prefixes};

/// A row: what is played for one sample, and what must come of its last frame.
struct Scene {
    name: String,
    /// What each client sent before, and sends when the sample is taken.
    before: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
    flows: u32,
    times: u32,
    /// Whether each round has clients that were never seen before.
    fresh: bool,
    targets: bool,
    /// `None`: a budget decides.
    last: Option<u32>,
}

impl Scene {
    /// Frames that pass, from clients unseen in each round.
    fn new(name: &str, frames: &[Vec<u8>], flows: u32) -> Self {
        Self {
            name: format!("prog.{name}"),
            before: Vec::new(),
            after: Vec::new(),
            frames: frames.to_vec(),
            flows,
            times: 1,
            fresh: true,
            targets: false,
            last: Some(XDP_PASS),
        }
    }

    /// The same clients again and again.
    fn again(self, times: u32) -> Self {
        Self {
            times,
            fresh: false,
            ..self
        }
    }

    fn dropped(self) -> Self {
        Self {
            last: Some(XDP_DROP),
            ..self
        }
    }

    fn play<'a>(&self, frames: &'a [Vec<u8>], first: u32) -> Play<'a> {
        Play {
            frames,
            flows: self.flows,
            first,
            times: self.times,
            targets: self.targets,
            ifindex: None,
        }
    }
}

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    let connection = frames::chromium()?;
    let mut stage = Stage {
        filter: Loaded::new()?,
        next: 0,
        flows: effort.runs / 50,
    };
    // First: what is kept of their hellos must still be there when they go on.
    eprintln!("prog: connections and floods");
    stage.connections(rows, effort, &connection)?;
    for names in effort.hosts {
        if !effort.wants_any("prog", &["hello", "hello-quic", "dns-query"], *names) {
            continue;
        }
        eprintln!("prog: hellos with {names} hosts");
        stage.hellos(rows, effort, *names, &connection)?;
    }
    for size in effort.ranges {
        stage.drops(rows, effort, *size)?;
    }
    Ok(())
}

/// The filter, and which clients it has not seen.
struct Stage {
    filter: Loaded,
    next: u32,
    /// Clients of a sample.
    flows: u32,
}

impl Stage {
    fn hellos(
        &mut self,
        rows: &mut Rows,
        effort: &Effort,
        count: u32,
        connection: &Connection,
    ) -> Result<()> {
        let secret = self.filter.secret();
        let lists = Lists {
            names: workload::names(count, &secret)?,
            // The budget is for floods.
            quic_budget: 100_000_000,
            ..Lists::none(&secret)
        };
        let program = self.filter.apply(lists, LOOPBACK, None)?;
        let mut peers = Peers::bare()?;
        let scenes = [
            Scene {
                before: vec![connection.syn.clone()],
                // As ever in life: a hello is kept until the second flight,
                // and thousands at one time are a flood.
                after: vec![connection.flight.clone()],
                ..Scene::new(&format!("hello.{count}"), &connection.hello, self.flows)
            },
            Scene::new(
                &format!("hello-quic.{count}"),
                &frames::chromium_quic()?,
                self.flows,
            ),
            Scene::new(
                &format!("dns-query.{count}"),
                &[frames::query()],
                self.flows,
            ),
        ];
        self.rounds(rows, effort, &mut peers, &program, &scenes)
    }

    fn connections(
        &mut self,
        rows: &mut Rows,
        effort: &Effort,
        connection: &Connection,
    ) -> Result<()> {
        let lists = Lists::none(&self.filter.secret());
        let program = self.filter.apply(lists, LOOPBACK, None)?;
        let mut peers = Peers::bare()?;
        let data = [connection.data.clone()];
        let mut scenes = Vec::new();
        for flows in effort.flows {
            let name = format!("established.{flows}");
            // New clients in each round: the floods push idle connections out,
            // and a hello that is said again is compared, not judged.
            scenes.push(Scene {
                before: connection.start().to_vec(),
                times: effort.runs.div_ceil(*flows),
                ..Scene::new(&name, &data, *flows)
            });
        }
        let many = self.flows * 4;
        let closed = frames::datagram(CLOSED_VLAN, 64);
        let quic = frames::chromium_quic()?;
        scenes.extend([
            Scene::new("new-flow", &[frames::datagram(VLAN, 64)], many),
            Scene::new("closed-room", &[closed], many).dropped(),
            Scene::new("flood.syn", &[frames::syn()], many),
            Scene::new("flood.half-hellos", &connection.hello[..1], many),
            Scene {
                last: None,
                ..Scene::new("flood.initials", &quic[..1], many)
            },
            Scene::new("flood.fragments", &[frames::first_fragment()], many).dropped(),
        ]);
        self.rounds(rows, effort, &mut peers, &program, &scenes)
    }

    fn drops(&mut self, rows: &mut Rows, effort: &Effort, size: u32) -> Result<()> {
        let name = format!("drop-by-range.{size}");
        if !effort.wants(&format!("prog.{name}")) {
            return Ok(());
        }
        eprintln!("prog: {size} ranges");
        let prefixes = Prefixes::random(size);
        let lists = Lists {
            ranges: prefixes.ranges()?,
            ..Lists::none(&self.filter.secret())
        };
        let program = self.filter.apply(lists, LOOPBACK, None)?;
        let mut peers = Peers::aiming(&prefixes)?;
        let scene = Scene {
            targets: true,
            ..Scene::new(&name, &[frames::datagram(VLAN, 18)], self.flows)
                .again(20)
                .dropped()
        };
        self.rounds(rows, effort, &mut peers, &program, &[scene])
    }

    /// Plays all scenes in each round; a row tells nanoseconds per client
    /// above what the player takes.
    fn rounds(
        &mut self,
        rows: &mut Rows,
        effort: &Effort,
        peers: &mut Peers,
        program: &Xdp,
        scenes: &[Scene],
    ) -> Result<()> {
        for _ in 0..effort.rounds {
            for scene in scenes.iter().filter(|scene| effort.wants(&scene.name)) {
                let first = if scene.fresh { self.next } else { 0 };
                self.unmeasured(scene, &scene.before, first, peers, program)?;
                let play = scene.play(&scene.frames, first);
                let empty = peers.play_to_nobody(&play)?;
                let whole = peers
                    .play(program.fd()?, &play, scene.last)
                    .with_context(|| scene.name.clone())?;
                let frames = scene.frames.len() as f64;
                rows.add(&scene.name, "ns", (whole - empty) * frames);
                self.unmeasured(scene, &scene.after, first, peers, program)?;
                if scene.fresh {
                    // 23 bits of numbers are told apart.
                    self.next = (self.next + scene.flows) & 0x3f_ffff;
                }
            }
        }
        Ok(())
    }

    /// Plays what surrounds a sample, once for each client.
    fn unmeasured(
        &self,
        scene: &Scene,
        frames: &[Vec<u8>],
        first: u32,
        peers: &mut Peers,
        program: &Xdp,
    ) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let play = Play {
            times: 1,
            ..scene.play(frames, first)
        };
        peers
            .play(program.fd()?, &play, Some(XDP_PASS))
            .with_context(|| format!("{}: what surrounds it", scene.name))?;
        Ok(())
    }
}
