//! From the regulation to a running filter, step by step.

use super::Language;

/// The guide that `filter-agent help` prints.
pub const fn guide(language: Language) -> &'static str {
    language.of([
        include_str!("guide/en.txt"),
        include_str!("guide/ru.txt"),
        include_str!("guide/ky.txt"),
    ])
}

/// The commands of a guide: its indented lines that begin with
/// `filter-agent`, without remarks.
pub fn commands(guide: &str) -> impl Iterator<Item = &str> {
    guide
        .lines()
        .filter(|line| line.starts_with("     filter-agent "))
        .map(|line| {
            line.split_once(" #")
                .map_or(line, |(command, _)| command)
                .trim()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_same_commands_and_clauses() {
        // What people say differs.
        let same = |line: &str| -> String {
            let parts = line.split('"').step_by(2);
            parts.collect::<Vec<_>>().join("\"\"")
        };
        let english: Vec<_> = commands(guide(Language::English)).map(same).collect();
        assert!(english.len() > 30, "{english:?}");
        let clauses = |guide: &str| -> Vec<String> {
            let digits = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
            let ends = guide.split('[').filter_map(|rest| rest.split_once(']'));
            ends.map(|(clause, _)| clause)
                .filter(digits)
                .map(str::to_owned)
                .collect()
        };
        for language in [Language::Russian, Language::Kyrgyz] {
            let here: Vec<_> = commands(guide(language)).map(same).collect();
            assert_eq!(here, english, "{language:?}");
            assert_eq!(
                clauses(guide(language)),
                clauses(guide(Language::English)),
                "{language:?}"
            );
        }
    }
}
