//! Labels and other words that need no details.

use super::Language;

macro_rules! words {
    ($($word:ident = $en:literal, $ru:literal, $ky:literal;)+) => {
        /// A word or sentence without details.
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
    // Columns and names of lines.
    School = "school", "школа", "мектеп";
    Policy = "policy", "правила", "эрежелер";
    Interfaces = "interfaces", "интерфейсы", "интерфейстер";
    Rooms = "rooms", "кабинеты", "кабинеттер";
    Timetable = "timetable", "расписание", "жадыбал";
    InForce = "in force", "действует", "күчүндө";
    ToLookAfter = "to look after", "требует внимания", "көңүл буруңуз";
    Packets = "packets", "пакеты", "пакеттер";
    Agent = "agent", "агент", "агент";
    Room = "room", "кабинет", "кабинет";
    Group = "group", "группа", "топ";
    Door = "door", "доступ", "кирүү";
    Until = "until", "до", "чейин";
    Why = "why", "почему", "эмне үчүн";
    Lesson = "lesson", "урок", "сабак";
    Teacher = "teacher", "учитель", "мугалим";
    Passed = "passed", "пропущено", "өткөрүлдү";
    Refused = "refused", "отказано", "четке кагылды";
    Number = "no.", "№", "№";
    What = "what", "что", "эмне";
    ForWhom = "for", "кому", "кимге";
    By = "by", "кто", "ким";
    Reason = "reason", "причина", "себеби";
    Target = "target", "адрес", "дарек";
    State = "state", "состояние", "абалы";
    Since = "since", "с", "качантан";
    When = "when", "когда", "качан";
    Who = "who", "кто", "ким";
    Did = "did", "действие", "аракети";
    To = "to", "над чем", "эмнеге";
    Device = "device", "устройство", "түзмөк";
    Category = "category", "категория", "категория";
    Tries = "tries", "попыток", "аракет саны";
    ClassTeacher = "class teacher", "классный руководитель", "класс жетекчи";
    Incident = "incident", "инцидент", "окуя";
    First = "first", "первая попытка", "биринчи аракет";
    Last = "last", "последняя попытка", "акыркы аракет";
    Names = "names", "имена", "аталыштар";
    ClosedBy = "closed", "закрыт", "жабылды";
    Note = "note", "примечание", "эскертүү";
    Verdict = "verdict", "решение", "чечим";
    For = "for", "для", "кайсы дарек";
    In = "in", "где", "кайда";
    At = "at", "время", "убакыт";
    HeldBy = "held by", "ответственный учитель", "жооптуу мугалим";
    Rule = "rule", "правило", "эреже";
    List = "list", "список", "тизме";
    Decision = "decision", "основание", "негизи";
    Updated = "updated", "обновлён", "жаңыланды";
    Hosts = "hosts", "имён", "аталыш";
    Ranges = "ranges", "диапазонов", "диапазон";
    Ignored = "ignored", "пропущено строк", "эске алынбаган сап";
    Problem = "problem", "неполадка", "көйгөй";
    Packet = "packet", "пакет", "пакет";
    Protocol = "protocol", "протокол", "протокол";
    Source = "from", "откуда", "кайдан";
    Destination = "towards", "куда", "кайда карай";
    Host = "host", "имя", "аталыш";

    // Doors and states.
    Open = "open", "открыто", "ачык";
    Closed = "closed", "закрыто", "жабык";
    AlwaysOpen = "always open", "открыто всегда", "дайыма ачык";
    StateOpen = "open", "открыт", "ачык";
    StateClosed = "closed", "закрыт", "жабылган";
    NotYet = "not yet", "ещё нет", "азырынча жок";
    OpensNext = "opens", "откроется", "ачылат:";
    PublicHoliday = "public holiday", "праздничный день", "майрам күнү";
    Break = "school break", "каникулы", "каникул";
    OutOfTerm = "between terms", "вне учебных четвертей", "чейректер аралыгы";
    OutOfYear = "outside the academic year", "вне учебного года", "окуу жылынан тышкары";
    BlockedByHand = "blocked by hand", "заблокировано вручную", "кол менен бөгөттөлгөн";
    WaitsForCouncil = "waits for the council", "ждёт решения совета", "кеңештин чечимин күтүүдө";
    Confirmed = "confirmed", "подтверждено", "ырасталды";
    Lifted = "lifted", "снято", "алынып салынды";
    Pass = "pass", "разрешено", "уруксат";
    Reject = "reject", "запрещено", "тыюу салынган";
    Drop = "drop", "запрещено без ответа", "жоопсуз тыюу салынган";
    NoName = "(no name)", "(без имени)", "(аталышсыз)";

    // Empty tables, and what needs no details.
    NoRooms = "The policy has no rooms.", "В правилах нет кабинетов.", "Эрежелерде кабинет жок.";
    NoGrants = "No grants are in force.", "Действующих разрешений нет.", "Күчүндө турган уруксат жок.";
    NoIncidents = "No incidents.", "Инцидентов нет.", "Окуя жок.";
    NothingWaits = "Nothing waits for a decision.", "Ничто не ждёт решения.", "Чечим күткөн эч нерсе жок.";
    NothingWasChanged = "Nothing was changed.", "Ничего не менялось.", "Эч нерсе өзгөртүлгөн жок.";
    NoLists = "The policy in force has no lists.", "В действующих правилах нет списков.", "Күчүндөгү эрежелерде тизме жок.";
    NothingChanges = "Nothing changes.", "Ничего не изменится.", "Эч нерсе өзгөрбөйт.";
    DryRun = "Nothing was changed: this was a dry run.", "Ничего не изменено: это была проверка.", "Эч нерсе өзгөргөн жок: бул текшерүү эле.";
    BesideTheOne = "Judged beside the one in force; see: filter-agent status", "Проверяется рядом с действующими правилами; смотрите: filter-agent status", "Күчүндөгү эрежелердин жанында сыналууда; караңыз: filter-agent status";
    NothingFound = "No mistakes found.", "Ошибок не найдено.", "Ката табылган жок.";
    FetchedLater = "fetched by `lists update`", "загрузит `lists update`", "`lists update` жүктөйт";
    OffWithoutAgent = "No agent ran. The filter is off: nothing is filtered now.", "Агент не работал. Фильтр снят: сейчас ничего не фильтруется.", "Агент иштеген жок. Чыпка алынды: азыр эч нерсе чыпкаланбайт.";
    Error = "error", "ошибка", "ката";

    // The page of a blocked site.
    PageClosed = "Page blocked", "Страница закрыта", "Барак жабык";
}

impl Word {
    /// The word for a verdict's name.
    pub fn of_verdict(name: &str, language: Language) -> &str {
        match name {
            "pass" => Self::Pass.text(language),
            "reject" => Self::Reject.text(language),
            "drop" => Self::Drop.text(language),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_exists_in_every_language() {
        for word in Word::ALL {
            let [english, russian, kyrgyz] = word.texts();
            assert!(english.is_ascii() && !english.is_empty(), "{word:?}");
            for text in [russian, kyrgyz] {
                assert!(
                    text == "№" || text.chars().any(|c| ('\u{400}'..'\u{500}').contains(&c)),
                    "{word:?}"
                );
            }
            for text in word.texts() {
                assert!(
                    !text.contains(['{', '}']),
                    "{word:?} has a place for details"
                );
            }
        }
    }
}
