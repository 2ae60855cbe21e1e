use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use crate::abi::NAME_MAX;
use crate::inspect::name::Gather;

/// What names are made of, and what they are not.
const BYTES: &[u8] = b"aazzAZ09--..:_/;@[`{^ \0\x7f\x80\xae\xe1\xff";

/// What a later name may have behind the first one.
const ENDS: &[&[u8]] = &[b"", b".", b"..", b"a", b".a"];

/// A name as it is judged, byte by byte; `None` where no host is called so.
fn model(name: &[u8]) -> Option<String> {
    let text = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    let name = text.strip_suffix('.').unwrap_or(&text);
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte);
    let labels = name.split('.').all(|label| !label.is_empty());
    let whole = labels && text.len() <= NAME_MAX && name.len() < NAME_MAX;
    (whole && text.bytes().all(fine)).then(|| name.into())
}

/// The same by words of these sizes; behind them lies what means nothing.
fn gathered(names: &[&[u8]], sizes: &[usize]) -> Option<String> {
    let mut gather = Gather::default();
    let (mut name, mut len) = ([0xa5; NAME_MAX], 0);
    let mut sizes = sizes.iter().copied().cycle();
    for mut rest in names.iter().copied() {
        gather.begin();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(sizes.next()?.min(rest.len()));
            rest = behind;
            let mut word = [0x61; 8];
            word[..piece.len()].copy_from_slice(piece);
            let word = u64::from_le_bytes(word);
            if gather.push(&mut name, len, word, piece.len() as u32) == 0 {
                return None;
            }
        }
        if !gather.end(&mut name, &mut len) {
            return None;
        }
    }
    String::from_utf8(name[..usize::from(len)].to_vec()).ok()
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..=8usize, 1..20)
}

/// Mostly names, some with a byte that none has.
fn name(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let label = prop::collection::vec(prop::sample::select(&b"abyzAZ059-_"[..]), 1..12);
    let labels = prop::collection::vec(label, 1..longest / 8).prop_map(|labels| labels.join(&b'.'));
    let odd = (any::<prop::sample::Index>(), prop::sample::select(BYTES));
    (labels, prop::option::of(odd)).prop_map(|(mut name, odd)| {
        if let Some((at, byte)) = odd {
            name.insert(at.index(name.len() + 1), byte);
        }
        name
    })
}

proptest! {
    #[test]
    fn t16_words_of_any_size_give_what_bytes_give(
        name in prop_oneof![
            name(330),
            name(40),
            prop::collection::vec(prop::sample::select(BYTES), 0..12),
        ],
        sizes in sizes(),
    ) {
        prop_assert_eq!(gathered(&[&name], &sizes), model(&name));
    }

    #[test]
    fn t17_a_later_name_is_the_first_or_none(
        first in name(280),
        change in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(BYTES))),
        end in prop::sample::select(ENDS),
        cut in prop::option::of(any::<prop::sample::Index>()),
        sizes in sizes(),
    ) {
        let mut later = first.to_ascii_uppercase();
        later.extend(end);
        if let Some((at, byte)) = change {
            let at = at.index(later.len());
            later[at] = byte;
        }
        if let Some(cut) = cut {
            later.truncate(cut.index(later.len() + 1));
        }
        let expected = model(&first).filter(|first| model(&later).as_ref() == Some(first));
        prop_assert_eq!(gathered(&[&first, &later], &sizes), expected);
    }
}
