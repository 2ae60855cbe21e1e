//! A message with its details, on its way from the agent to a reader.

use std::collections::BTreeMap;
use std::fmt;

use filter_ebpf::abi::Reason;
use serde::{Deserialize, Serialize};

use super::{Language, Message, sentence};

/// A detail of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// The same in every language: a name, a number, a time.
    Text(String),
    /// In English, Russian and Kyrgyz.
    Texts([String; 3]),
}

impl Value {
    fn text(&self, language: Language) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Texts([english, russian, kyrgyz]) => language.of([english, russian, kyrgyz]),
        }
    }
}

impl From<[&str; 3]> for Value {
    fn from(texts: [&str; 3]) -> Self {
        Self::Texts(texts.map(str::to_owned))
    }
}

/// Something that is told: in English, and as a key with details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// In English.
    pub text: String,
    /// Of a [`Message`] or of a reason; empty for what exists in English
    /// only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
}

impl Said {
    /// A message whose details come by [`Self::with`].
    pub fn new(message: Message) -> Self {
        Self {
            text: message.texts()[0].to_owned(),
            key: message.key().to_owned(),
            values: BTreeMap::new(),
        }
    }

    /// What a reason means.
    pub fn reason(reason: Reason) -> Self {
        Self {
            text: reason.meaning().to_owned(),
            key: reason.name().to_owned(),
            values: BTreeMap::new(),
        }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(self, place: &str, value: impl ToString) -> Self {
        self.value(place, Value::Text(value.to_string()))
    }

    /// Adds a detail that has a text of its own in every language.
    #[must_use]
    pub fn with_texts(self, place: &str, texts: [&str; 3]) -> Self {
        self.value(place, texts.into())
    }

    fn value(mut self, place: &str, value: Value) -> Self {
        self.values.insert(place.to_owned(), value);
        self.text = self.in_language(Language::English);
        self
    }

    /// As a sentence. What has no key, or one of another version of the
    /// agent, stays English.
    pub fn in_language(&self, language: Language) -> String {
        if let Some(message) = Message::named(&self.key) {
            let fill = |place: &str| self.values.get(place).map(|value| value.text(language));
            return fill_in(message.text(language), fill);
        }
        let reason = Reason::ALL.iter().find(|reason| reason.name() == self.key);
        match reason {
            Some(reason) => sentence(*reason, language).to_owned(),
            None => self.text.clone(),
        }
    }
}

/// Puts details into their places; a place without a detail stays to be seen.
fn fill_in<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((place, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        match value(place) {
            Some(value) => text.push_str(value),
            None => text.push_str(&format!("{{{place}}}")),
        }
        rest = after;
    }
    text + rest
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Message> for Said {
    fn from(message: Message) -> Self {
        Self::new(message)
    }
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        Self {
            text,
            key: String::new(),
            values: BTreeMap::new(),
        }
    }
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_come_into_their_places_in_every_language() {
        let said = Said::new(Message::NoSuchRoom)
            .with("room", "{rooms}")
            .with("rooms", "101, 102");
        assert_eq!(
            said.text,
            "there is no room {rooms}; the policy has 101, 102"
        );
        assert_eq!(
            said.in_language(Language::Russian),
            "нет кабинета {rooms}; в правилах есть: 101, 102"
        );
        let missing = Said::new(Message::NoSuchRoom).with("room", "9");
        assert!(missing.text.contains("{rooms}"), "{missing}");
    }

    #[test]
    fn what_another_version_says_stays_english() {
        let json = r#"{"text":"all is new","key":"of_tomorrow","values":{"a":"b"}}"#;
        let said: Said = serde_json::from_str(json).unwrap();
        assert_eq!(said.in_language(Language::Kyrgyz), "all is new");
        let plain: Said = "plain".into();
        assert_eq!(
            serde_json::to_string(&plain).unwrap(),
            r#"{"text":"plain"}"#
        );
    }

    #[test]
    fn keys_of_messages_and_reasons_differ() {
        for reason in Reason::ALL {
            assert!(Message::named(reason.name()).is_none(), "{}", reason.name());
            let said = Said::reason(*reason);
            assert_ne!(said.in_language(Language::Russian), said.text);
        }
    }
}
