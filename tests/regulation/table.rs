//! The clauses themselves: each has its module here, its row in the README and
//! its place in the guide that `filter-agent help` prints.

use std::collections::BTreeSet;
use std::path::Path;

use filter_agent::policy::Policy;
use filter_agent::words::{Language, commands, guide};

/// A clause, or the first of several that belong together.
type Clause = (u8, u8);

/// Of the regulation.
const CLAUSES: [Clause; 16] = [
    (2, 1),
    (2, 4),
    (2, 5),
    (2, 6),
    (2, 7),
    (2, 8),
    (2, 9),
    (2, 10),
    (2, 11),
    (2, 12),
    (2, 13),
    (2, 14),
    (3, 1),
    (3, 2),
    (3, 3),
    (3, 4),
];

/// Reads `2.14–2.17`, `2.14-2.17` and `2.14`.
fn clause(text: &str) -> Option<Clause> {
    let first = text.trim().split([' ', '–', '-', ',']).next()?;
    let (chapter, number) = first.split_once('.')?;
    Some((chapter.parse().ok()?, number.parse().ok()?))
}

#[test]
fn every_clause_has_a_module() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regulation");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(rest) = name.strip_prefix("clause_") else {
            continue;
        };
        let module = name.strip_suffix(".rs").unwrap();
        assert!(
            main.contains(&format!("mod {module};")),
            "{module} never runs"
        );
        let mut numbers = rest.split('_').map(|part| part.parse::<u8>());
        let mut next = || numbers.next().unwrap().unwrap();
        found.insert((next(), next()));
    }
    assert_eq!(found, CLAUSES.into());
}

#[test]
fn every_clause_has_a_row_with_a_command_or_a_word_of_the_policy() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme
        .split_once("## From the regulation to a command")
        .unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let mut found = BTreeSet::new();
    for row in table.lines() {
        let mut cells = row.split('|').skip(1);
        if let Some(clause) = cells.next().and_then(clause) {
            assert!(cells.nth(1).unwrap().contains('`'), "{row}");
            assert!(found.insert(clause), "{row} comes twice");
        }
    }
    assert_eq!(found, CLAUSES.into());
}

#[test]
fn the_guide_leads_through_every_clause() {
    let text = guide(Language::English);
    let told: BTreeSet<Clause> = text
        .split('[')
        .filter_map(|rest| rest.split_once(']'))
        .flat_map(|(inside, _)| inside.split(", "))
        .filter_map(clause)
        .collect();
    for clause in CLAUSES {
        assert!(told.contains(&clause), "{clause:?} is not in the guide");
    }
}

/// Rooms and categories that a command names.
fn named(command: &str) -> Vec<(&str, &str)> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut named: Vec<_> = words
        .windows(2)
        .filter_map(|pair| match *pair {
            ["--room", room] => Some(("room", room)),
            ["--category", category] => Some(("category", category)),
            _ => None,
        })
        .collect();
    if let ["filter-agent", "room" | "lease", _, room, ..] = *words {
        named.push(("room", room));
    }
    named
}

#[test]
fn the_guides_commands_name_what_the_example_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/school-12-rooms.toml");
    let policy = Policy::load(&path).unwrap();
    for language in Language::ALL {
        let mut found = 0;
        for command in commands(guide(language)) {
            for (kind, name) in named(command) {
                let known = match kind {
                    "room" => policy.room(name),
                    _ => policy.category(name),
                };
                assert!(
                    known.is_some(),
                    "{command}: the example has no {kind} {name}"
                );
                found += 1;
            }
        }
        assert!(found >= 10, "only {found} rooms and categories");
    }
}
