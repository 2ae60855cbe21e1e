//! Which language somebody reads.

/// A language that every message exists in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    Russian,
    Kyrgyz,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::English, Self::Russian, Self::Kyrgyz];

    /// The language of the environment: LC_ALL, else LC_MESSAGES, else LANG
    /// (POSIX, XBD 8.2: an empty value counts as none).
    pub fn of_environment() -> Self {
        Self::of_locales(["LC_ALL", "LC_MESSAGES", "LANG"].map(|name| std::env::var(name).ok()))
    }

    /// The language of the first locale that is set; English for any other
    /// than ours.
    pub fn of_locales(locales: [Option<String>; 3]) -> Self {
        let first = locales
            .into_iter()
            .flatten()
            .find(|locale| !locale.is_empty());
        let locale = first.unwrap_or_default();
        match locale.split(['_', '.', '@']).next() {
            Some("ru") => Self::Russian,
            Some("ky") => Self::Kyrgyz,
            _ => Self::English,
        }
    }

    /// The one of three texts that is in this language.
    pub const fn of(self, texts: [&str; 3]) -> &str {
        let [english, russian, kyrgyz] = texts;
        match self {
            Self::English => english,
            Self::Russian => russian,
            Self::Kyrgyz => kyrgyz,
        }
    }

    /// The language's code in HTML and in locales (ISO 639-1).
    pub const fn code(self) -> &'static str {
        self.of(["en", "ru", "ky"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_that_is_set_rules() {
        let of = |all: &str, messages: &str, lang: &str| {
            Language::of_locales([all, messages, lang].map(|l| (l != "-").then(|| l.to_string())))
        };
        assert_eq!(of("ky_KG.UTF-8", "ru_RU", "en_US"), Language::Kyrgyz);
        assert_eq!(of("", "ru_RU.UTF-8", "ky_KG"), Language::Russian);
        assert_eq!(of("-", "-", "ky"), Language::Kyrgyz);
        assert_eq!(of("C", "ru_RU", "ru_RU"), Language::English);
        assert_eq!(of("-", "-", "-"), Language::English);
        assert_eq!(of("-", "-", "run"), Language::English);
    }
}
