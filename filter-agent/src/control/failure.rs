//! Errors as people and programs see them.

use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::words::{Language, Said};

/// What kind of failure; stable, in JSON, as HTTP status and as exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The agent did something it should not.
    Internal,
    /// The request makes no sense.
    BadRequest,
    /// The policy has errors; the one that runs goes on.
    PolicyError,
    /// No agent answers at the socket.
    Unreachable,
    /// The caller's role does not suffice.
    Forbidden,
    /// No such room, grant, incident.
    NotFound,
    /// It contradicts what is so now.
    Refused,
    /// The kernel did not take it; what was in force still is.
    Kernel,
    /// Another apply runs, too many connections, or nobody knows the caller.
    Busy,
}

impl Code {
    const ALL: [Self; 9] = [
        Self::Internal,
        Self::BadRequest,
        Self::PolicyError,
        Self::Unreachable,
        Self::Forbidden,
        Self::NotFound,
        Self::Refused,
        Self::Kernel,
        Self::Busy,
    ];

    /// The command line's exit code; 2 is also what wrong arguments give.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::BadRequest => 2,
            Self::PolicyError => 3,
            Self::Unreachable => 4,
            Self::Forbidden => 5,
            Self::NotFound => 6,
            Self::Refused => 7,
            Self::Kernel => 8,
            Self::Busy => 9,
        }
    }

    /// The HTTP status (RFC 9110 §15).
    pub const fn status(self) -> u16 {
        match self {
            Self::Internal | Self::Kernel => 500,
            Self::BadRequest => 400,
            Self::PolicyError => 422,
            Self::Unreachable => 502,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Refused => 409,
            Self::Busy => 503,
        }
    }

    /// One line for the help of the command line.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Internal => "an error inside the agent",
            Self::BadRequest => "wrong arguments",
            Self::PolicyError => "the policy or a list has errors; nothing was changed",
            Self::Unreachable => "no agent answers at the socket",
            Self::Forbidden => "your role does not permit it",
            Self::NotFound => "no such room, host, grant or incident",
            Self::Refused => "it contradicts what is so now",
            Self::Kernel => "the kernel refused; what was in force still is",
            Self::Busy => "busy with another change, or unable to tell who you are; try again",
        }
    }

    /// Every code, by exit code.
    pub const fn all() -> &'static [Self] {
        &Self::ALL
    }
}

/// An error with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: Code,
    /// In English.
    pub message: String,
    /// The same for readers of other languages; absent where the message
    /// exists in English only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<Said>) -> Self {
        let said = message.into();
        Self {
            code,
            message: said.text.clone(),
            said: (!said.key.is_empty()).then_some(said),
        }
    }

    /// The message in a language.
    pub fn in_language(&self, language: Language) -> String {
        self.said
            .as_ref()
            .map_or_else(|| self.message.clone(), |said| said.in_language(language))
    }

    pub fn bad_request(message: impl Into<Said>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub fn not_found(message: impl Into<Said>) -> Self {
        Self::new(Code::NotFound, message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(said) => Self::new(Code::Refused, said),
            StoreError::Sqlite(_) => Self::new(Code::Internal, error.to_string()),
        }
    }
}
