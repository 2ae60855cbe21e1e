//! The inspectors beside parsers that were not written here.
//!
//! An input is the byte stream of a client, a DNS message, or a recipe of QUIC
//! packets. It goes through our inspector, whole and cut into random segments,
//! and through the judges. They agree, or
//! the difference has a name in [`Explained`] and a paragraph in
//! `explained.md`, or it is a finding.

pub mod capture;
pub mod dns;
mod http;
mod mutate;
mod ours;
pub mod quic;
mod random;
mod seeds;
mod tls;

pub use mutate::mutated;
pub use ours::{Answer, Judged, judge, judge_segments};
pub use random::Random;
pub use seeds::{files, regressions, seeds};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Against rustls' Acceptor and tls-parser.
    Tls,
    /// Against httparse.
    Http,
    /// Against quinn as a server, and a plain reading of the plaintexts.
    Quic,
    /// Against hickory-proto.
    Dns,
}

impl Target {
    pub const ALL: [Self; 4] = [Self::Tls, Self::Http, Self::Quic, Self::Dns];

    /// The word on the command line and of the regressions' folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Quic => "quic",
            Self::Dns => "dns",
        }
    }

    /// Compares ours and the judges on one input.
    ///
    /// # Errors
    /// The difference, in words, when nothing explains it.
    pub fn compare(self, input: &[u8], random: &mut Random) -> Result<Vec<Explained>, String> {
        match self {
            Self::Tls => tls::compare(input, &stream(input, random)?),
            Self::Http => http::compare(input, &stream(input, random)?),
            Self::Quic => quic::compare(input),
            Self::Dns => dns::compare(input, random),
        }
    }

    /// Compares an answer to a client's stream with what the judges say.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub fn hold_against(self, input: &[u8], answer: &Answer) -> Result<Vec<Explained>, String> {
        match self {
            Self::Tls => tls::compare(input, answer),
            Self::Http => http::compare(input, answer),
            Self::Dns => dns::hold_against(input, answer, dns::judge(input).1),
            Self::Quic => Err("a recipe of packets is no stream".into()),
        }
    }
}

/// The answer to a stream, which must not depend on how it is cut.
fn stream(input: &[u8], random: &mut Random) -> Result<Answer, String> {
    let whole = judge(input, &[]);
    let cuts = random.cuts(input.len());
    let cut = judge(input, &cuts);
    // An answer may come before the bytes that contradict it, or before a long
    // body that is passed over.
    let early = |judged: &Judged| judged.answer.is_done() && judged.consumed < input.len();
    if cut.answer != whole.answer && !early(&cut) && !early(&whole) {
        return Err(format!("whole: {whole:?}, cut at {cuts:?}: {cut:?}"));
    }
    Ok(whole.answer)
}

macro_rules! explained {
    ($($variant:ident = $name:literal;)+) => {
        /// Differences that are meant to be; `explained.md` has the reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Explained { $($variant,)+ }

        impl Explained {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its heading in `explained.md`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

explained! {
    JudgeStricter = "judge-stricter";
    JudgeWaits = "judge-waits";
    WeFailEarlier = "we-fail-earlier";
    WeWaitLonger = "we-wait-longer";
    AddressIgnored = "address-ignored";
    NameRules = "name-rules";
    OtherNameType = "other-name-type";
    TwoNames = "two-names";
    SecondHello = "second-hello";
    IdleRecords = "idle-records";
    LaterHead = "later-head";
    ContentLength = "content-length";
    TargetForm = "target-form";
    EmptyHost = "empty-host";
    OtherProtocol = "other-protocol";
    SaidTwice = "said-twice";
    StrictDatagram = "strict-datagram";
    HelloTooLong = "hello-too-long";
    RefusedHello = "refused-hello";
    FrameBounds = "frame-bounds";
    HelloFollowed = "hello-followed";
    DnsAnswer = "dns-answer";
    DnsQuestions = "dns-questions";
    DnsPointers = "dns-pointers";
    DnsOverlap = "dns-overlap";
}
