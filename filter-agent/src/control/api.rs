//! Requests and replies. Times are RFC 3339; spans are like `45m`.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Command, Method, Role};
use crate::store::audit::Entry;
use crate::store::blocks::Block;
use crate::store::generations::Generation;
use crate::store::grants::{Grant, Scope, Subject};
use crate::store::incidents::Incident;
use crate::store::leases::Lease;
use crate::store::modes::Held;
use crate::words::Said;

/// Path of the event stream: lines of [`EventLine`].
pub const EVENTS: &str = "/v1/events";
/// Header of every answer: the school's time zone (IANA), by whose clock
/// people are told times.
pub const TIMEZONE: &str = "school-timezone";

macro_rules! commands {
    ($($request:ty: $method:ident $path:literal $role:ident -> $reply:ty;)+) => {$(
        impl Command for $request {
            const METHOD: Method = Method::$method;
            const PATH: &'static str = $path;
            const ROLE: Role = Role::$role;
            type Reply = $reply;
        }
    )+};
}

commands! {
    StatusQuery: Get "/v1/status" ReadOnly -> Status;
    RoomsQuery: Get "/v1/rooms" ReadOnly -> Vec<Room>;
    SetRoom: Post "/v1/room" Responsible -> Room;
    TakeLease: Post "/v1/lease/take" Teacher -> Lease;
    ReleaseLease: Post "/v1/lease/release" Teacher -> Lease;
    GrantsQuery: Get "/v1/grants" ReadOnly -> Vec<Grant>;
    AddGrant: Post "/v1/grant/add" Responsible -> Grant;
    RevokeGrant: Post "/v1/grant/revoke" Responsible -> Grant;
    BlocksQuery: Get "/v1/blocks" ReadOnly -> Vec<Block>;
    AddBlock: Post "/v1/block" Responsible -> Block;
    LiftBlock: Post "/v1/unblock" Responsible -> Block;
    ReportHost: Post "/v1/report" Teacher -> Block;
    CouncilDecision: Post "/v1/council" Responsible -> Block;
    Explain: Get "/v1/explain" ReadOnly -> Explanation;
    ApplyPolicy: Post "/v1/policy" Admin -> Applied;
    GenerationsQuery: Get "/v1/policy/history" ReadOnly -> Vec<Generation>;
    IncidentsQuery: Get "/v1/incidents" Teacher -> Vec<Incident>;
    IncidentQuery: Get "/v1/incident" Teacher -> Incident;
    CloseIncident: Post "/v1/incident/close" Responsible -> Incident;
    OpenIdentity: Post "/v1/incident/identity" Responsible -> Identity;
    AuditQuery: Get "/v1/audit" Responsible -> Audit;
    ListsQuery: Get "/v1/lists" ReadOnly -> Vec<List>;
    UpdateLists: Post "/v1/lists/update" Responsible -> Vec<List>;
    Detach: Post "/v1/detach" Admin -> Detached;
}

/// How is the filter?
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatusQuery {}

/// The state of the filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    pub school: Option<String>,
    /// When this agent started.
    pub started: Timestamp,
    /// Number of the image in force.
    pub generation: u32,
    /// File of the policy in force.
    pub policy: String,
    pub applied: Timestamp,
    pub applied_by: String,
    /// Milliseconds from reading the policy to its being in force.
    pub load_ms: u64,
    pub interfaces: Vec<Interface>,
    pub rooms: usize,
    pub rooms_open: usize,
    /// Until when the kernel knows the timetable without the agent.
    pub known_until: Option<Timestamp>,
    pub leases: usize,
    pub grants: usize,
    pub blocks: usize,
    /// Reports that wait for the council.
    pub reports: usize,
    pub incidents_open: usize,
    /// Packets since the agent started, by verdict.
    pub passed: u64,
    pub refused: u64,
    pub events_lost: u64,
    /// What is wrong and should be looked after, in plain words.
    pub warnings: Vec<Said>,
    pub shadow: Option<Shadow>,
}

/// An interface of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    /// `lan` or `wan`.
    pub side: String,
    /// How the filter hangs there: `native` or `generic`; `none` when it does
    /// not.
    pub mode: String,
}

/// A policy that is judged but not enforced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    pub policy: String,
    pub until: Timestamp,
    /// Flows that were compared.
    pub compared: u64,
    /// Flows that it would have judged otherwise.
    pub different: u64,
    /// Of them, those that pass and would be refused.
    #[serde(default)]
    pub would_refuse: u64,
    /// Of them, those that are refused and would pass.
    #[serde(default)]
    pub would_pass: u64,
    /// Flows whose first packet does not tell what it would do.
    #[serde(default)]
    pub undecided: u64,
    /// Packets of which the kernel could not tell.
    #[serde(default)]
    pub lost: u64,
    /// Differences by room and cause, the most frequent first.
    #[serde(default)]
    pub rooms: Vec<ShadowRoom>,
    /// The most frequent differences first, at most twenty.
    pub examples: Vec<Difference>,
}

/// What a shadow policy judges otherwise in a room for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowRoom {
    pub room: String,
    /// Why the one that refuses does so.
    pub reason: String,
    pub category: Option<String>,
    pub would_refuse: u64,
    pub would_pass: u64,
}

/// Something that a shadow policy judges otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub room: String,
    pub host: String,
    pub now: String,
    pub then: String,
    /// Why the one that refuses does so.
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub category: Option<String>,
    pub flows: u64,
}

/// Which rooms are open?
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RoomsQuery {}

/// A room and its door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Room {
    pub name: String,
    pub title: Option<String>,
    /// VLAN, or `untagged`.
    pub tag: String,
    pub group: String,
    pub open: bool,
    /// Why it is open or closed, in words.
    pub because: Said,
    /// When that may change.
    pub until: Option<Timestamp>,
    pub lesson: Option<String>,
    /// The teacher who holds it.
    pub holder: Option<String>,
    pub held: Option<Held>,
    pub passed: u64,
    pub refused: u64,
}

/// How a room is to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomMode {
    Open,
    Closed,
    /// By its timetable.
    Auto,
}

/// Opens or closes a room by hand, or gives it back to its timetable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRoom {
    pub room: String,
    pub mode: RoomMode,
    /// For how long; for good when it is not said.
    #[serde(rename = "for")]
    pub span: Option<SignedDuration>,
    pub reason: Option<String>,
}

/// Takes a supervised room until the bell.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeLease {
    pub room: String,
}

/// Gives a room back before the bell.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseLease {
    pub room: String,
}

/// Which incidents were there? The newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IncidentsQuery {
    pub room: Option<String>,
    /// RFC 3339, or a day or moment by the school's clock.
    pub from: Option<String>,
    /// Likewise; those before it.
    pub to: Option<String>,
    /// Only those that nobody closed.
    #[serde(default)]
    pub open: bool,
}

/// Who changed what? The newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditQuery {
    /// RFC 3339, or a day or moment by the school's clock.
    pub since: Option<String>,
    /// A login name.
    pub who: Option<String>,
    /// An action or the part before its dot.
    pub action: Option<String>,
    /// At most so many; 100 when it is not said, 10,000 at the most.
    pub limit: Option<u32>,
}

/// Which grants are in force?
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GrantsQuery {
    /// Those that ended within the last 30 days too.
    #[serde(default)]
    pub all: bool,
}

/// Permits a category or a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddGrant {
    pub what: Subject,
    pub scope: Scope,
    pub reason: String,
    #[serde(rename = "for")]
    pub span: SignedDuration,
}

/// Ends a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeGrant {
    pub id: i64,
    pub reason: Option<String>,
}

/// What is blocked by hand or by a report?
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BlocksQuery {
    /// Only reports that wait for the council.
    #[serde(default)]
    pub queued: bool,
}

/// Blocks a host (with everything below it) or a range, everywhere, at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBlock {
    pub target: String,
    pub reason: Option<String>,
}

/// Lifts a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftBlock {
    pub target: String,
    pub reason: Option<String>,
}

/// Reports a host: blocked at once everywhere, and queued for the council.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportHost {
    pub host: String,
    pub reason: Option<String>,
}

/// The council decides about a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CouncilDecision {
    pub id: i64,
    /// The block stays; else it is lifted.
    pub keep: bool,
    /// Number, date and body.
    pub decision: Option<String>,
}

/// What would happen, and why?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    pub room: String,
    pub host: Option<String>,
    pub addr: Option<IpAddr>,
    /// Any moment; now when it is not said. RFC 3339, or local time of the
    /// school without an offset.
    pub at: Option<String>,
}

/// Why something happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub at: Timestamp,
    pub room: String,
    pub group: String,
    /// What was asked for.
    pub target: String,
    pub verdict: String,
    /// The word that metrics and events use.
    pub reason: String,
    /// The same in a sentence.
    pub because: Said,
    pub lesson: Option<String>,
    pub holder: Option<String>,
    pub category: Option<String>,
    /// Where the rule stands: `policy.toml:42`.
    pub rule: Option<String>,
    /// The list's entry and where it stands.
    pub list: Option<String>,
    pub line: Option<usize>,
    pub entry: Option<String>,
    /// Who decided it, when, under which number.
    pub decision: Option<Said>,
    /// When this answer may change.
    pub until: Option<Timestamp>,
}

/// Puts a policy in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyPolicy {
    /// Absolute path of the file; the one in force when it is not said.
    pub file: Option<String>,
    /// Only tells what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Judges by it for so long without enforcing it.
    pub shadow: Option<SignedDuration>,
}

/// What an apply did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// `false` for a dry run or a shadow.
    pub in_force: bool,
    pub generation: u32,
    /// A line a change.
    pub changes: Vec<String>,
    pub warnings: Vec<String>,
    pub load_ms: u64,
}

/// Which policies were in force?
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GenerationsQuery {}

/// One incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentQuery {
    pub id: i64,
}

/// Somebody looked after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseIncident {
    pub id: i64,
    pub note: Option<String>,
}

/// Opens the identity behind a pseudonym; audited.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdentity {
    pub id: i64,
    pub reason: String,
}

/// The device behind a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pseudonym: String,
    pub address: IpAddr,
}

/// The audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    pub entries: Vec<Entry>,
    /// Number of the first entry that was tampered with.
    pub broken_at: Option<i64>,
}

/// How old are the lists?
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListsQuery {}

/// Fetches the lists now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpdateLists {
    /// Take a new copy even if it shrank too much.
    #[serde(default)]
    pub force: bool,
}

/// A list of the policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List {
    pub category: String,
    /// File or address as the policy names it.
    pub source: String,
    /// When the copy in use was fetched or written.
    pub updated: Option<Timestamp>,
    pub hosts: u64,
    pub ranges: u64,
    /// Lines that say something the filter cannot do.
    pub ignored: u64,
    pub problem: Option<String>,
}

/// Takes the filter off every interface, and ends the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detach {
    pub reason: String,
}

/// The filter is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    pub interfaces: Vec<String>,
}

/// A line of the event stream. The device is a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    pub time: Timestamp,
    pub room: String,
    pub group: String,
    pub verdict: String,
    pub reason: String,
    pub category: Option<String>,
    pub proto: String,
    pub host: Option<String>,
    pub device: String,
    pub port: u16,
}
