//! The school that the lab plays: rooms, policy, and what its clients try.

use anyhow::Result;

use crate::agent::{Agent, Counts};
use crate::clients::{Client, Seen, Visit, visit};
use crate::lab::{Lab, SERVERS};
use crate::servers::Servers;
use crate::switch::Tags;

/// On the pupils' list.
pub const WIKI: &str = "wiki.example.org";
/// Denied to everybody.
pub const FEED: &str = "feed.example.net";
/// On no list.
pub const NEWS: &str = "news.example.com";
pub const NAMES: [&str; 3] = [WIKI, FEED, NEWS];

/// The rooms; `cellar` is in no policy, `closed` is shut.
pub const ROOMS: [(&str, Tags); 6] = [
    (
        "lab-1",
        Tags {
            outer: 11,
            inner: 0,
        },
    ),
    (
        "staff",
        Tags {
            outer: 12,
            inner: 0,
        },
    ),
    (
        "annex",
        Tags {
            outer: 30,
            inner: 7,
        },
    ),
    (
        "closed",
        Tags {
            outer: 13,
            inner: 0,
        },
    ),
    ("library", Tags { outer: 0, inner: 0 }),
    (
        "cellar",
        Tags {
            outer: 99,
            inner: 0,
        },
    ),
];

/// Pupils reach what is allow-listed, teachers all that is not denied.
pub const POLICY: &str = r#"
timezone = "Asia/Bishkek"

[network]
lan = ["lan0"]
wan = ["wan0"]

[[category]]
name = "education"
hosts = ["example.org"]

[[category]]
name = "social"
hosts = ["example.net"]

[[category]]
name = "dangerous"
locked = true
ranges = ["203.0.113.0/24", "2001:db8:2::/48"]

[[group]]
name = "pupils"
default = "listed-only"
allow = ["education"]
deny = ["social", "dangerous"]

[[group]]
name = "teachers"
default = "open"
deny = ["social", "dangerous"]

[[room]]
name = "lab-1"
vlan = 11
group = "pupils"
subnets = ["10.20.1.0/24", "fd20:0:0:1::/64"]

[[room]]
name = "staff"
vlan = 12
group = "teachers"

[[room]]
name = "annex"
vlan = [30, 7]
group = "pupils"

[[room]]
name = "library"
untagged = true
group = "pupils"

[[room]]
name = "closed"
vlan = 13
group = "pupils"
"#;

/// What must come of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Answer,
    Page,
    /// Refused at once.
    Refusal,
    Silence,
}

impl Expected {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Page => "403 page",
            Self::Refusal => "refused",
            Self::Silence => "silence",
        }
    }
}

/// A visit and what must come of it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub room: &'static str,
    pub client: Client,
    pub name: &'static str,
    /// Position in [`SERVERS`].
    pub server: usize,
    pub expected: Expected,
    /// The reason in the agent's counters.
    pub reason: &'static str,
}

/// How a case went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub visit: Visit,
    /// Whether the agent counted the case's reason, and what it counted.
    pub counted: bool,
    pub counts: Counts,
}

impl Case {
    /// Makes the visit.
    pub fn run(&self, lab: &Lab, servers: &Servers, agent: &Agent<'_>) -> Result<Outcome> {
        let before = agent.counts()?;
        let visit = visit(
            self.client,
            &lab.room(self.room)?.client,
            servers.authority(),
            self.name,
            SERVERS[self.server],
        )?;
        let counts = agent.counts()?.since(&before);
        let counted = counts.reasons().any(|(_, reason)| reason == self.reason);
        Ok(Outcome {
            visit,
            counted,
            counts,
        })
    }

    /// Whether everything went as it must, the time included: what is refused
    /// is refused at once.
    pub fn holds(&self, outcome: &Outcome) -> bool {
        let seen = matches!(
            (self.expected, outcome.visit.seen),
            (Expected::Answer, Seen::Answer)
                | (Expected::Page, Seen::Page)
                | (Expected::Refusal, Seen::Refused)
                | (Expected::Silence, Seen::Silence)
        );
        // Some are slow to start and do not tell how long that took.
        let in_time = !self.client.tells_time()
            || self.expected != Expected::Refusal
            || outcome.visit.took < self.client.refusal();
        seen && outcome.counted && in_time
    }
}

const fn case(
    room: &'static str,
    client: Client,
    name: &'static str,
    server: usize,
    expected: Expected,
    reason: &'static str,
) -> Case {
    Case {
        room,
        client,
        name,
        server,
        expected,
        reason,
    }
}

/// The main job: every client, blocked and allowed, per room, both families.
pub const CASES: &[Case] = {
    use Client::{
        ChromeHello, Chromium, Curl, CurlHttp, Firefox, Fragments, GoHello, Http3, Http3Chromium,
        Http3Curl, Http3Firefox, Openssl,
    };
    use Expected::{Answer, Page, Refusal, Silence};
    &[
        case("lab-1", Curl, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", Curl, WIKI, 1, Answer, "name_allowed"),
        case("lab-1", Curl, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Curl, FEED, 1, Refusal, "name_denied"),
        case("lab-1", Curl, NEWS, 0, Refusal, "not_listed"),
        case("lab-1", CurlHttp, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", CurlHttp, FEED, 0, Page, "name_denied"),
        case("lab-1", CurlHttp, FEED, 1, Page, "name_denied"),
        case("lab-1", Openssl, WIKI, 1, Answer, "name_allowed"),
        case("lab-1", Openssl, FEED, 0, Refusal, "name_denied"),
        case("lab-1", ChromeHello, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", ChromeHello, FEED, 1, Refusal, "name_denied"),
        case("lab-1", GoHello, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", GoHello, FEED, 1, Refusal, "name_denied"),
        case("lab-1", Fragments, WIKI, 1, Answer, "name_allowed"),
        case("lab-1", Fragments, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Chromium, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", Chromium, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Firefox, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", Firefox, FEED, 1, Refusal, "name_denied"),
        case("lab-1", Http3, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", Http3, WIKI, 1, Answer, "name_allowed"),
        case("lab-1", Http3, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Http3, FEED, 1, Refusal, "name_denied"),
        case("lab-1", Http3, WIKI, 2, Refusal, "locked"),
        case("lab-1", Http3Curl, WIKI, 1, Answer, "name_allowed"),
        case("lab-1", Http3Curl, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Http3Chromium, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", Http3Chromium, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Http3Firefox, WIKI, 0, Answer, "name_allowed"),
        case("lab-1", Http3Firefox, FEED, 0, Refusal, "name_denied"),
        case("lab-1", Curl, WIKI, 2, Refusal, "locked"),
        case("lab-1", Curl, WIKI, 3, Refusal, "locked"),
        case("staff", Curl, NEWS, 0, Answer, "default_open"),
        case("staff", Curl, FEED, 1, Refusal, "name_denied"),
        case("staff", Chromium, NEWS, 1, Answer, "default_open"),
        case("annex", Curl, WIKI, 0, Answer, "name_allowed"),
        case("annex", Openssl, WIKI, 1, Answer, "name_allowed"),
        case("annex", Curl, FEED, 1, Refusal, "name_denied"),
        case("annex", Chromium, FEED, 0, Refusal, "name_denied"),
        case("annex", Http3, WIKI, 1, Answer, "name_allowed"),
        case("annex", Http3, FEED, 1, Refusal, "name_denied"),
        case("library", Curl, WIKI, 1, Answer, "name_allowed"),
        case("library", Curl, FEED, 0, Refusal, "name_denied"),
        case("library", Http3, WIKI, 0, Answer, "name_allowed"),
        case("library", Http3, FEED, 1, Refusal, "name_denied"),
        case("closed", Curl, WIKI, 0, Refusal, "room_closed"),
        case("closed", Curl, WIKI, 1, Refusal, "room_closed"),
        case("closed", Http3, WIKI, 0, Refusal, "room_closed"),
        case("cellar", Curl, WIKI, 0, Silence, "unknown_vlan"),
    ]
};
