//! QUIC beside quinn: whether what the filter lets through tells a server a
//! name that the filter did not hear.

mod model;
mod mutate;
mod recipe;
mod server;

use filter_ebpf::abi::{Hello, Reason};
use filter_ebpf::inspect::quic::{Outcome, QuicHello, Scratch, inspect, walk, zeroed};
use filter_ebpf::inspect::{CHUNK, CHUNK_ROOM, Progress};

use crate::Explained;
use crate::ours::{Answer, told};
use model::Stream;
use recipe::{Flags, Packet};
use server::Server;

pub(crate) use mutate::{mutated, of_hello, raw};

/// What our inspector says about a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub outcome: Outcome,
    /// With a hello that became complete, what it asks for.
    pub answer: Option<Answer>,
}

impl Judged {
    /// Whether the filter lets it through, names being no hindrance.
    fn passes(&self, before: bool) -> bool {
        match self.outcome {
            Outcome::Pending => true,
            Outcome::Complete => matches!(self.answer, Some(Answer::Name(_) | Answer::Unnamed)),
            Outcome::Settled | Outcome::Other => before,
            Outcome::Hold | Outcome::Failed(_) => false,
        }
    }
}

/// One client's connection as the kernel keeps it.
pub struct Ours {
    scratch: Box<Scratch>,
    hello: Box<QuicHello>,
}

impl Default for Ours {
    fn default() -> Self {
        let mut scratch: Box<Scratch> = Box::new(zeroed());
        // What an earlier datagram left must not matter.
        scratch.datagram.bytes = [0xa5; CHUNK_ROOM];
        Self {
            scratch,
            hello: Box::new(zeroed()),
        }
    }
}

impl Ours {
    /// Forgets the connection.
    fn restart(&mut self) {
        *self.hello = zeroed();
    }

    /// Reads a datagram.
    pub fn datagram(&mut self, datagram: &[u8]) -> Judged {
        let len = datagram.len().min(CHUNK);
        let bytes = &mut self.scratch.datagram.bytes;
        bytes[..len].copy_from_slice(&datagram[..len]);
        self.scratch.start(len as u32);
        let outcome = inspect(&mut self.scratch, &mut self.hello);
        let answer = (outcome == Outcome::Complete).then(|| self.answer());
        Judged { outcome, answer }
    }

    /// What the hello that is complete asks for.
    pub fn answer(&self) -> Answer {
        let mut hello: Hello = Hello::EMPTY;
        match walk(&self.hello, &mut hello) {
            Progress::Done(finding) => told(&hello, finding.flags),
            Progress::Failed(reason) => Answer::Failed(reason),
            Progress::More => Answer::More,
        }
    }

    /// The hello that is complete, in a TLS record.
    fn record(&self) -> Vec<u8> {
        let (begin, end) = (self.hello.begin as usize, self.hello.total as usize);
        let hello = self.hello.buffer.bytes.get(begin..end).unwrap_or_default();
        let mut record = vec![22, 3, 1];
        record.extend((hello.len() as u16).to_be_bytes());
        record.extend_from_slice(hello);
        record
    }
}

/// The datagrams that an input stands for.
#[must_use]
pub fn datagrams(input: &[u8]) -> Vec<Vec<u8>> {
    recipe::datagrams(&recipe::read(input))
}

thread_local! {
    static OURS: std::cell::RefCell<Ours> = std::cell::RefCell::default();
}

pub(crate) fn compare(input: &[u8]) -> Result<Vec<Explained>, String> {
    OURS.with_borrow_mut(|ours| compare_with(ours, input))
}

fn compare_with(ours: &mut Ours, input: &[u8]) -> Result<Vec<Explained>, String> {
    let packets = recipe::read(input);
    let datagrams = recipe::datagrams(&packets);
    let mut explained = Vec::new();
    let mut names: Vec<Option<String>> = Vec::new();
    let mut said = Vec::new();
    let mut dropped = false;
    ours.restart();
    let mut server = Server::new().ok_or("quinn does not start")?;
    for datagram in &datagrams {
        let judged = ours.datagram(datagram);
        if let Some(answer) = &judged.answer {
            let hello = crate::tls::compare(&ours.record(), answer)
                .map_err(|difference| format!("the gathered hello: {difference}"))?;
            explained.extend(hello);
            match answer {
                Answer::Name(name) => names.push(Some(name.clone())),
                Answer::Unnamed => names.push(None),
                Answer::Failed(_) | Answer::More => {}
            }
        }
        if judged.passes(!names.is_empty()) {
            server.datagram(datagram);
        } else {
            dropped = true;
        }
        let stop = matches!(judged.outcome, Outcome::Failed(_))
            || matches!(judged.answer, Some(Answer::Failed(_) | Answer::More));
        said.push(judged);
        if stop {
            break;
        }
        if let Some(other) = server.heard().iter().find(|heard| {
            // A server that knows no name may have been told an address.
            heard.is_some() && !names.contains(heard)
        }) {
            return Err(format!("quinn hears {other:?}, ours: {said:?}"));
        }
    }
    explained.extend(against_model(ours, &packets, &said)?);
    // What is wrong with a hello that is there was compared on its own.
    let heard_nothing = said.iter().all(|judged| judged.answer.is_none());
    if heard_nothing && dropped {
        let mut server = Server::new().ok_or("quinn does not start")?;
        for datagram in &datagrams {
            server.datagram(datagram);
        }
        if let Some(heard) = server.heard().into_iter().flatten().next() {
            let reason = strictness(&packets, &said)
                .ok_or_else(|| format!("quinn alone hears {heard}, ours: {said:?}"))?;
            explained.push(reason);
        }
    }
    Ok(explained)
}

/// Why nothing came of a connection in which a server without the filter
/// hears a name.
fn strictness(packets: &[Packet], said: &[Judged]) -> Option<Explained> {
    let packets = recipe::packets_of(packets, said.len());
    let stream = Stream::of(packets);
    let same = packets
        .windows(2)
        .all(|two| two[0].context() == two[1].context());
    let whole = packets.iter().all(|packet| {
        packet.flags & (Flags::COALESCED | Flags::RAW | Flags::PATCHED) == 0
            && model::frames(&packet.plain()).is_some()
    });
    let last = said.last()?;
    match last.outcome {
        Outcome::Failed(Reason::HelloTooLong) if stream.too_long => Some(Explained::HelloTooLong),
        Outcome::Failed(Reason::HelloTooLong | Reason::Malformed) if stream.refused => {
            Some(Explained::RefusedHello)
        }
        Outcome::Failed(Reason::QuicRefused) | Outcome::Hold if stream.many => {
            Some(Explained::FrameBounds)
        }
        Outcome::Failed(Reason::Malformed) if stream.is_followed() => {
            Some(Explained::HelloFollowed)
        }
        Outcome::Failed(Reason::Conflict) if stream.conflict || !same => Some(Explained::SaidTwice),
        _ if !whole || !same => Some(Explained::StrictDatagram),
        _ => None,
    }
}

/// Packets of one client that keeps its keys and changes nothing behind
/// them: then the plaintexts alone tell what must be heard, in both versions.
fn against_model(
    ours: &Ours,
    packets: &[Packet],
    said: &[Judged],
) -> Result<Option<Explained>, String> {
    let plain = |packet: &Packet| {
        let odd = Flags::COALESCED | Flags::RAW | Flags::PATCHED | Flags::OTHER_SALT;
        // A number in one byte says less than the client and server must
        // agree on when it lies far from the one before (RFC 9000 §17.1).
        let near = packet.number < 100 || packet.places & 0x30 != 0;
        packet.flags & odd == 0 && packet.places & 0x0c == 0 && near
    };
    let same = packets
        .windows(2)
        .all(|two| two[0].context() == two[1].context());
    if packets.is_empty() || !same || !packets.iter().all(plain) || said.len() < packets.len() {
        return Ok(None);
    }
    let stream = Stream::of(packets);
    if stream.conflict || stream.too_long || stream.many {
        return Ok(None);
    }
    if stream.is_followed() {
        return Ok(Some(Explained::HelloFollowed));
    }
    let complete = said
        .iter()
        .any(|judged| judged.outcome == Outcome::Complete);
    match stream.hello() {
        Some(hello) if !complete => Err(format!(
            "the plaintexts hold a hello of {} bytes, ours: {said:?}",
            hello.len()
        )),
        Some(hello) if ours.record().get(5..) != Some(&hello) => {
            Err("the gathered hello is another than the plaintexts'".into())
        }
        None if complete => Err(format!("the plaintexts hold no hello, ours: {said:?}")),
        _ => Ok(None),
    }
}

/// A hello as a server's own TLS would read it, of a capture's datagrams.
pub(crate) fn hello_of(datagrams: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut ours = Ours::default();
    datagrams.iter().find_map(|datagram| {
        let complete = ours.datagram(datagram).outcome == Outcome::Complete;
        complete.then(|| ours.record().split_off(5))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Target, seeds};

    /// A deaf judge would agree with everything.
    #[test]
    fn quinn_hears_what_real_clients_ask_for() {
        let mut heard = 0;
        for seed in seeds(Target::Quic).unwrap() {
            let mut server = Server::new().unwrap();
            for datagram in datagrams(&seed) {
                server.datagram(&datagram);
            }
            let names = server.heard();
            for name in names.iter().flatten() {
                // The captures' names, and the published packet's.
                assert!(
                    name.ends_with("school-test.example") || name == "example.com",
                    "{name}"
                );
            }
            heard += usize::from(!names.is_empty());
        }
        assert!(heard >= 10, "quinn hears {heard} clients");
    }

    /// What nobody explains is a finding: a client that hides nothing and of
    /// which the filter says that it cannot be read.
    #[test]
    fn a_deaf_filter_is_noticed() {
        let seed = &seeds(Target::Quic).unwrap()[0];
        let packets = recipe::read(seed);
        let deaf = Judged {
            outcome: Outcome::Hold,
            answer: None,
        };
        assert_eq!(strictness(&packets, std::slice::from_ref(&deaf)), None);
        let said = vec![deaf; packets.len()];
        assert!(against_model(&Ours::default(), &packets, &said).is_err());
    }

    /// The published packets of both versions (RFC 9001, RFC 9369).
    #[test]
    fn published_packets_are_seeds() {
        let named = |seed: &Vec<u8>| {
            let mut ours = Ours::default();
            datagrams(seed).iter().any(|datagram| {
                ours.datagram(datagram).answer == Some(Answer::Name("example.com".into()))
            })
        };
        let seeds = seeds(Target::Quic).unwrap();
        assert_eq!(seeds.iter().filter(|seed| named(seed)).count(), 2);
    }
}
