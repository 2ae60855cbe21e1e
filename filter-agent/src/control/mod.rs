//! The agent's socket: HTTP and JSON over a Unix socket, for the command line
//! and for curl.
//!
//! A [`Command`] is a request with its path, its role and its reply; client
//! and server share it. What changes something is a POST with a JSON body,
//! what asks is a GET with a query.

pub mod api;
pub mod client;
mod failure;
mod peer;
pub mod server;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use failure::{Code, Failure};
pub use peer::{Credentials, Peer};

/// Bytes of a request's body; a policy is the largest.
pub const MAX_BODY: usize = 4 << 20;

/// Where the agent listens unless the policy says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/school-filter/control.sock";

/// What a person may do. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look: status, rooms, explain.
    ReadOnly,
    /// Hold rooms, report hosts.
    Teacher,
    /// Open and close rooms, block, grant, look after incidents.
    Responsible,
    /// Apply policies, take the filter off.
    Admin,
}

impl Role {
    /// For messages, in English, Russian and Kyrgyz.
    pub const fn names(self) -> [&'static str; 3] {
        match self {
            Self::ReadOnly => [
                "read-only",
                "наблюдатель (read-only)",
                "байкоочу (read-only)",
            ],
            Self::Teacher => ["teacher", "учитель (teacher)", "мугалим (teacher)"],
            Self::Responsible => [
                "responsible",
                "ответственный (responsible)",
                "жооптуу адам (responsible)",
            ],
            Self::Admin => ["admin", "администратор (admin)", "администратор (admin)"],
        }
    }

    /// The word in messages and in the policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Teacher => "teacher",
            Self::Responsible => "responsible",
            Self::Admin => "admin",
        }
    }
}

/// How a command travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks; its fields are the query.
    Get,
    /// Changes; its fields are the JSON body.
    Post,
}

/// A request, with everything that client and server must agree on.
pub trait Command: Serialize + DeserializeOwned + Send + 'static {
    const METHOD: Method;
    const PATH: &'static str;
    /// Who may at least.
    const ROLE: Role;
    type Reply: Serialize + DeserializeOwned + Send;
}
