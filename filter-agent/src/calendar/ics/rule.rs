//! When an event comes again (RFC 5545 section 3.3.10), in whole days.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::compact;

/// A rule of repetition.
#[derive(Clone)]
pub(super) struct Rule {
    every: Every,
    interval: i32,
    count: Option<usize>,
    until: Option<Date>,
    months: Vec<i8>,
    /// Below 0 from the month's end.
    month_days: Vec<i8>,
    /// With the how-many-th of its month; 0 is each.
    weekdays: Vec<(i8, Weekday)>,
    week_start: Weekday,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Every {
    Day,
    Week,
    Month,
    Year,
}

impl Rule {
    /// An error is the part that is not understood.
    pub(super) fn parse(value: &str) -> Result<Self, &str> {
        let mut rule = Self {
            every: Every::Day,
            interval: 1,
            count: None,
            until: None,
            months: Vec::new(),
            month_days: Vec::new(),
            weekdays: Vec::new(),
            week_start: Weekday::Monday,
        };
        let mut every = None;
        for part in value.split(';').filter(|part| !part.is_empty()) {
            let read = part.split_once('=').and_then(|(key, value)| {
                match key {
                    "FREQ" => every = Some(frequency(value)?),
                    "INTERVAL" => rule.interval = value.parse().ok().filter(|n| *n > 0)?,
                    "COUNT" => rule.count = Some(value.parse().ok()?),
                    "UNTIL" => rule.until = Some(compact(value)?),
                    "BYMONTH" => rule.months = numbers(value, 12)?,
                    "BYMONTHDAY" => rule.month_days = numbers(value, 31)?,
                    "BYDAY" => rule.weekdays = weekdays(value)?,
                    "WKST" => rule.week_start = weekday(value)?,
                    _ => return None,
                }
                Some(())
            });
            read.ok_or(part)?;
        }
        rule.every = every.ok_or(value)?;
        let counted = rule.weekdays.iter().any(|(nth, _)| *nth != 0);
        // "The twentieth Monday of the year" is no school's holiday.
        let of_month =
            rule.every == Every::Month || rule.every == Every::Year && !rule.months.is_empty();
        if counted && !of_month {
            return Err("BYDAY");
        }
        Ok(rule)
    }

    /// The days from `first` on; `first` itself always is one of them.
    pub(super) fn dates(&self, first: Date, last_year: i16, most: usize) -> Vec<Date> {
        let rule = self.completed(first);
        let most = rule.count.unwrap_or(most).min(most);
        let days = first.series(1.day()).take_while(|date| {
            date.year() < last_year && rule.until.is_none_or(|until| *date <= until)
        });
        let found = days.filter(|date| *date == first || rule.matches(first, *date));
        found.take(most).collect()
    }

    /// What the rule leaves open is as on the first day.
    fn completed(&self, first: Date) -> Self {
        let mut rule = self.clone();
        let by_days = !rule.weekdays.is_empty() || !rule.month_days.is_empty();
        match rule.every {
            Every::Week if rule.weekdays.is_empty() => rule.weekdays.push((0, first.weekday())),
            Every::Month | Every::Year if !by_days => rule.month_days.push(first.day()),
            _ => {}
        }
        if rule.every == Every::Year && !by_days && rule.months.is_empty() {
            rule.months.push(first.month());
        }
        rule
    }

    /// Whether a day is one of a completed rule's; what is empty admits all.
    fn matches(&self, first: Date, date: Date) -> bool {
        let years = i32::from(date.year()) - i32::from(first.year());
        let apart = match self.every {
            Every::Day => days_between(first, date),
            Every::Week => days_between(self.week_of(first), self.week_of(date)) / 7,
            Every::Month => years * 12 + i32::from(date.month()) - i32::from(first.month()),
            Every::Year => years,
        };
        let from_end = date.day() - date.days_in_month() - 1;
        let is_nth = |nth: i8| match nth {
            0 => true,
            nth if nth > 0 => (date.day() - 1) / 7 + 1 == nth,
            nth => (-from_end - 1) / 7 + 1 == -nth,
        };
        apart % self.interval == 0
            && admits(&self.months, |month| *month == date.month())
            && admits(&self.month_days, |day| [date.day(), from_end].contains(day))
            && admits(&self.weekdays, |(nth, weekday)| {
                *weekday == date.weekday() && is_nth(*nth)
            })
    }

    fn week_of(&self, date: Date) -> Date {
        let back = date.weekday().since(self.week_start);
        date.checked_sub(i64::from(back).days()).unwrap_or(date)
    }
}

fn admits<T>(any_of: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    any_of.is_empty() || any_of.iter().any(fits)
}

fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

fn frequency(value: &str) -> Option<Every> {
    match value {
        "DAILY" => Some(Every::Day),
        "WEEKLY" => Some(Every::Week),
        "MONTHLY" => Some(Every::Month),
        "YEARLY" => Some(Every::Year),
        _ => None,
    }
}

/// Numbers up to `most`, or down from -1.
fn numbers(value: &str, most: i8) -> Option<Vec<i8>> {
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|n: &i8| *n != 0 && n.abs() <= most)
    };
    value.split(',').map(number).collect()
}

/// `MO`, `4TH`, `-1SU`.
fn weekdays(value: &str) -> Option<Vec<(i8, Weekday)>> {
    let one = |text: &str| {
        let at = text.len().checked_sub(2)?;
        let (nth, day) = (text.get(..at)?, text.get(at..)?);
        let nth = if nth.is_empty() {
            0
        } else {
            nth.parse()
                .ok()
                .filter(|n: &i8| (1..=5).contains(&n.abs()))?
        };
        Some((nth, weekday(day)?))
    };
    value.split(',').map(one).collect()
}

fn weekday(text: &str) -> Option<Weekday> {
    match text {
        "MO" => Some(Weekday::Monday),
        "TU" => Some(Weekday::Tuesday),
        "WE" => Some(Weekday::Wednesday),
        "TH" => Some(Weekday::Thursday),
        "FR" => Some(Weekday::Friday),
        "SA" => Some(Weekday::Saturday),
        "SU" => Some(Weekday::Sunday),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn days(rule: &str, first: Date) -> Vec<String> {
        let found = Rule::parse(rule).unwrap().dates(first, 2040, 4);
        found.iter().map(Date::to_string).collect()
    }

    #[test]
    fn days_of_every_kind_of_rule() {
        for (rule, first, want) in [
            (
                "FREQ=DAILY;INTERVAL=10",
                date(2026, 12, 25),
                ["2026-12-25", "2027-01-04", "2027-01-14", "2027-01-24"],
            ),
            (
                "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SA",
                date(2026, 9, 7),
                ["2026-09-07", "2026-09-12", "2026-09-21", "2026-09-26"],
            ),
            (
                "FREQ=MONTHLY;BYMONTHDAY=-1",
                date(2028, 1, 31),
                ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"],
            ),
            (
                "FREQ=MONTHLY;BYDAY=-1FR",
                date(2026, 10, 30),
                ["2026-10-30", "2026-11-27", "2026-12-25", "2027-01-29"],
            ),
            (
                "FREQ=MONTHLY",
                date(2026, 8, 31),
                ["2026-08-31", "2026-10-31", "2026-12-31", "2027-01-31"],
            ),
            (
                "FREQ=YEARLY",
                date(2028, 2, 29),
                ["2028-02-29", "2032-02-29", "2036-02-29", ""],
            ),
            (
                "FREQ=YEARLY;BYMONTH=1;BYDAY=3MO",
                date(2027, 1, 18),
                ["2027-01-18", "2028-01-17", "2029-01-15", "2030-01-21"],
            ),
            (
                "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=8;WKST=SU",
                date(2027, 3, 8),
                ["2027-03-08", "2028-03-08", "2029-03-08", "2030-03-08"],
            ),
            (
                "FREQ=YEARLY;UNTIL=20280401T000000Z",
                date(2027, 3, 8),
                ["2027-03-08", "2028-03-08", "", ""],
            ),
        ] {
            let want: Vec<_> = want.into_iter().filter(|day| !day.is_empty()).collect();
            assert_eq!(days(rule, first), want, "{rule}");
        }
    }

    #[test]
    fn a_part_that_is_not_understood_is_told() {
        for (rule, part) in [
            ("FREQ=HOURLY", "FREQ=HOURLY"),
            ("FREQ=YEARLY;BYDAY=20MO", "BYDAY=20MO"),
            ("FREQ=YEARLY;BYDAY=2MO", "BYDAY"),
            ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS=1"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
            ("COUNT=3", "COUNT=3"),
        ] {
            assert_eq!(Rule::parse(rule).err(), Some(part), "{rule}");
        }
    }
}
