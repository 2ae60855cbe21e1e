//! Which line speaks about a host: what `explain` shows.

use anyhow::Result;
use filter_agent::lists::{Match, Name, Options, Question, Scope, Source, find};

use crate::packing::tar_gz_of_folder;

fn ask(data: &[u8], question: Question<'_>) -> Result<Vec<Match>> {
    Ok(find(
        &Source::Bytes { name: "list", data },
        &Options::default(),
        question,
        10,
    )?)
}

fn host(data: &[u8], name: &str) -> Result<Vec<(u64, String, bool)>> {
    let name = Name::parse(name.as_bytes())?;
    let found = ask(data, Question::Name(&name))?;
    Ok(found
        .into_iter()
        .map(|found| (found.line, found.text, found.exception))
        .collect())
}

#[test]
fn lines_that_cover_a_name() -> Result<()> {
    let list = "! list\n||Example.com^\n||sub.example.com^\n|exact.org^\n@@||good.example.com^\n\
                ||xample.com^\n||мектеп.kg^\n"
        .as_bytes();
    let texts = |name: &str| -> Result<Vec<u64>> {
        Ok(host(list, name)?
            .into_iter()
            .map(|(line, ..)| line)
            .collect())
    };
    assert_eq!(texts("example.com")?, [2]);
    assert_eq!(texts("WWW.example.com.")?, [2]);
    assert_eq!(texts("a.sub.example.com")?, [2, 3]);
    assert_eq!(texts("good.example.com")?, [2, 5]);
    assert_eq!(texts("exact.org")?, [4]);
    assert_eq!(texts("www.exact.org")?, [0; 0]);
    assert_eq!(texts("notexample.com")?, [0; 0]);
    assert_eq!(
        host(list, "школа.мектеп.kg")?,
        [(7, "||мектеп.kg^".to_owned(), false)]
    );
    assert_eq!(
        host(list, "good.example.com")?.last().map(|found| found.2),
        Some(true)
    );
    Ok(())
}

#[test]
fn a_line_in_an_archive() -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/lists/squidguard/odd");
    let archive = tar_gz_of_folder(folder.as_ref())?;
    let found = ask(&archive, Question::Address("198.51.100.7".parse()?))?;
    let want = Match {
        file: "odd/adult/domains".to_owned(),
        line: 5,
        text: "198.51.100.0/28".to_owned(),
        entry: "198.51.100.0-198.51.100.15".to_owned(),
        scope: None,
        exception: false,
    };
    assert_eq!(found, [want]);
    let name = Name::parse(b"whole-host.example")?;
    let found = ask(&archive, Question::Name(&name))?;
    assert_eq!(
        found
            .iter()
            .map(|found| (found.line, found.scope))
            .collect::<Vec<_>>(),
        [(3, Some(Scope::Exact))]
    );
    Ok(())
}

#[test]
fn the_number_of_matches_is_bounded_and_text_is_safe_to_print() -> Result<()> {
    let list = "one.example # \u{1b}[2J\u{7}\n".repeat(50);
    let name = Name::parse(b"one.example")?;
    let found = ask(list.as_bytes(), Question::Name(&name))?;
    assert_eq!(found.len(), 10);
    assert!(
        found
            .iter()
            .all(|found| !found.text.contains(char::is_control)),
        "{found:?}"
    );
    Ok(())
}
