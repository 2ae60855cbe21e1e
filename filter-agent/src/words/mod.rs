//! Messages for people in English, Russian and Kyrgyz.

mod state;

pub use state::describe;

use filter_ebpf::abi::Reason;

/// A language that every message exists in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    Russian,
    Kyrgyz,
}

impl Language {
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
    pub const fn of<'t>(self, texts: [&'t str; 3]) -> &'t str {
        let [english, russian, kyrgyz] = texts;
        match self {
            Self::English => english,
            Self::Russian => russian,
            Self::Kyrgyz => kyrgyz,
        }
    }
}

macro_rules! words {
    ($($word:ident = $en:literal, $ru:literal, $ky:literal;)+) => {
        /// A message without its details.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word { $(#[doc = $en] $word,)+ }

        impl Word {
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// In English, Russian and Kyrgyz.
            pub const fn texts(self) -> [&'static str; 3] {
                match self { $(Self::$word => [$en, $ru, $ky],)+ }
            }

            pub const fn text(self, language: Language) -> &'static str {
                language.of(self.texts())
            }
        }
    };
}

words! {
    School = "school", "школа", "мектеп";
    Room = "room", "кабинет", "кабинет";
    Lesson = "lesson", "урок", "сабак";
    Bell = "bell", "звонок", "коңгуроо";
    Timetable = "timetable", "расписание", "жадыбал";
    Student = "student", "ученик", "окуучу";
    Teacher = "teacher", "учитель", "мугалим";
    Responsible = "responsible person", "ответственный", "жооптуу адам";
    Permit = "permit", "разрешение", "уруксат";
    Week = "week", "неделя", "жума";
    Open = "open", "открыто", "ачык";
    Closed = "closed", "закрыто", "жабык";
    AlwaysOpen = "always open", "открыто всегда", "дайыма ачык";
    Until = "until", "до", "чейин:";
    OpensNext = "opens", "откроется", "ачылат:";
    PublicHoliday = "public holiday", "праздничный день", "майрам күнү";
    Break = "school break", "каникулы", "каникул";
    OutOfTerm = "between terms", "вне учебных четвертей", "чейректер аралыгы";
    OutOfYear = "outside the academic year", "вне учебного года", "окуу жылынан тышкары";
    NoLessonsToday = "no lessons in this room today", "сегодня в этом кабинете уроков нет", "бүгүн бул кабинетте сабак жок";
    BeforeFirst = "before the first lesson", "до первого урока", "биринчи сабакка чейин";
    BetweenLessons = "between lessons", "между уроками", "сабактардын аралыгы";
    AfterLast = "after the last lesson", "после последнего урока", "акыркы сабактан кийин";
    Forbidden = "This resource is forbidden.", "Этот ресурс запрещён.", "Бул ресурска тыюу салынган.";
    OnlyListed = "Only listed educational resources can be reached here.", "Здесь доступны только разрешённые образовательные ресурсы.", "Бул жерде уруксат берилген билим берүү ресурстары гана жеткиликтүү.";
    RoomClosed = "The Internet is closed in this room now.", "Интернет в этом кабинете сейчас закрыт.", "Азыр бул кабинетте интернет жабык.";
    CannotBeJudged = "The filter cannot see what this connection leads to.", "Фильтр не видит, куда ведёт это соединение.", "Чыпка бул байланыш кайда алып барарын көрө албайт.";
    NameService = "Only the school's name service may be used.", "Можно пользоваться только школьной службой имён.", "Мектептин аталыштар кызматын гана колдонууга болот.";
    Permitted = "This is permitted.", "Это разрешено.", "Буга уруксат берилген.";
    NotOfThisRoom = "This device does not belong to the room's network.", "Это устройство не относится к сети кабинета.", "Бул түзмөк кабинеттин тармагына таандык эмес.";
    FilterFault = "The filter has a fault; tell the responsible person.", "Неисправность фильтра; сообщите ответственному.", "Чыпкада ката бар; жооптуу адамга айтыңыз.";
    AskResponsible = "Ask the responsible person:", "Обратитесь к ответственному:", "Жооптуу адамга кайрылыңыз:";
    NothingFound = "No mistakes found.", "Ошибок не найдено.", "Ката табылган жок.";
}

impl Word {
    /// What a reason means to somebody who is no technician.
    pub const fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::Keepalive
            | Reason::OwnNetwork
            | Reason::Granted
            | Reason::RangeAllowed
            | Reason::NameAllowed
            | Reason::DefaultOpen
            | Reason::Handshake
            | Reason::HelloPending
            | Reason::DnsAnswer
            | Reason::SafeSearch
            | Reason::EchKeys
            | Reason::Canary
            | Reason::Shadow => Self::Permitted,
            Reason::RoomClosed | Reason::Stale => Self::RoomClosed,
            Reason::Blocked | Reason::RangeDenied | Reason::NameDenied | Reason::Locked => {
                Self::Forbidden
            }
            Reason::NotListed => Self::OnlyListed,
            Reason::Resolver | Reason::DnsRate => Self::NameService,
            Reason::UnknownVlan | Reason::SpoofedSource | Reason::TagStack => Self::NotOfThisRoom,
            Reason::Unknown | Reason::Internal => Self::FilterFault,
            _ => Self::CannotBeJudged,
        }
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

    #[test]
    fn every_message_exists_in_every_language() {
        for word in Word::ALL {
            let [english, russian, kyrgyz] = word.texts();
            assert!(english.is_ascii() && !english.is_empty(), "{word:?}");
            for text in [russian, kyrgyz] {
                assert!(
                    text.chars().any(|c| ('\u{400}'..'\u{500}').contains(&c)),
                    "{word:?}"
                );
            }
        }
    }
}
