//! Messages for people in English, Russian and Kyrgyz.
//!
//! A [`Word`] is a label without details. A [`Message`] is a sentence with
//! places for details. What the agent tells travels as [`Said`]: the English
//! text for programs and logs, and the message's key with its details, from
//! which the command line makes the sentence in its reader's language. So
//! JSON is the same in every locale.

mod closest;
mod guide;
mod label;
mod language;
mod message;
mod reason;
mod said;
mod state;

pub use closest::closest;
pub use guide::{commands, guide};
pub use label::Word;
pub use language::Language;
pub use message::Message;
pub use reason::sentence;
pub use said::{Said, Value};
pub use state::{describe, why};
