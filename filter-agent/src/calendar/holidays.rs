//! Public holidays that come by the date.

use jiff::civil::Date;

use super::Public;

/// A holiday of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    pub month: i8,
    pub day: i8,
    /// In English, Russian and Kyrgyz.
    pub names: [&'static str; 3],
}

macro_rules! fixed {
    ($($month:literal $day:literal $en:literal $ru:literal $ky:literal;)+) => {
        &[$(Fixed { month: $month, day: $day, names: [$en, $ru, $ky] }),+]
    };
}

/// Holidays of the Kyrgyz Republic with a fixed date. The moving ones, Orozo
/// Ait and Kurman Ait, are announced each year and stand in the policy.
const KYRGYZSTAN: &[Fixed] = fixed! {
    1 1 "New Year" "Новый год" "Жаңы жыл";
    1 2 "New Year" "Новый год" "Жаңы жыл";
    1 7 "Orthodox Christmas" "Рождество Христово" "Рождество майрамы";
    2 23 "Defender of the Fatherland Day" "День защитника Отечества" "Ата мекенди коргоочулардын күнү";
    3 8 "International Women's Day" "Международный женский день" "Эл аралык аялдар күнү";
    3 21 "Nooruz" "Нооруз" "Нооруз";
    4 7 "Day of the People's April Revolution" "День народной Апрельской революции" "Элдик Апрель революциясы күнү";
    5 1 "Labour Day" "Праздник труда" "Эмгек майрамы";
    5 5 "Constitution Day" "День Конституции" "Конституция күнү";
    5 9 "Victory Day" "День Победы" "Жеңиш күнү";
    8 31 "Independence Day" "День независимости" "Эгемендүүлүк күнү";
    11 7 "Days of History and Commemoration of Ancestors" "Дни истории и памяти предков" "Тарых жана ата-бабаларды эскерүү күндөрү";
    11 8 "Days of History and Commemoration of Ancestors" "Дни истории и памяти предков" "Тарых жана ата-бабаларды эскерүү күндөрү";
};

impl Public {
    /// The holiday on this day, if it is one.
    pub fn on(self, date: Date) -> Option<&'static Fixed> {
        match self {
            Self::None => None,
            Self::Kyrgyzstan => KYRGYZSTAN
                .iter()
                .find(|fixed| fixed.month == date.month() && fixed.day == date.day()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_holidays_of_the_regulation_and_no_others() {
        let mut found = Vec::new();
        let mut day = date(2028, 1, 1);
        while day.year() == 2028 {
            if Public::Kyrgyzstan.on(day).is_some() {
                found.push((day.month(), day.day()));
            }
            assert!(Public::None.on(day).is_none());
            day = day.tomorrow().unwrap();
        }
        let want = [
            (1, 1),
            (1, 2),
            (1, 7),
            (2, 23),
            (3, 8),
            (3, 21),
            (4, 7),
            (5, 1),
            (5, 5),
            (5, 9),
            (8, 31),
            (11, 7),
            (11, 8),
        ];
        assert_eq!(found, want);
    }
}
