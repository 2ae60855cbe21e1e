use filter_ebpf::abi::MAX_CATEGORIES;
use proptest::prelude::*;

use super::{image, secret};
use crate::explain::View;
use crate::image::{Exempted, ImageError, Listing, MAX_EXCEPTIONS, Names, Ranges, Reach};

/// What stands in one list of a category.
#[derive(Clone, Debug, Default)]
struct List {
    names: Vec<(String, Reach)>,
    exceptions: Vec<(String, Reach)>,
}

#[derive(Clone, Debug, Default)]
struct Category {
    lists: Vec<List>,
    everywhere: Vec<(String, Reach)>,
}

fn build(categories: &[Category]) -> (Names, Vec<Vec<Exempted>>) {
    let mut names = Names::new(&secret());
    let mut done = Vec::new();
    for (number, category) in (0u8..).zip(categories) {
        let listings: Vec<_> = category
            .lists
            .iter()
            .map(|list| {
                let from = names.mark();
                for (name, reach) in &list.names {
                    names.add(name, number, *reach).unwrap();
                }
                Listing {
                    from,
                    exceptions: list.exceptions.clone(),
                }
            })
            .collect();
        done.push(
            names
                .except(number, &listings, &category.everywhere)
                .unwrap(),
        );
    }
    (names, done)
}

/// Labels of the most specific entry that puts `host` into each category,
/// as the tables have it.
fn ask(categories: &[Category], hosts: &[String]) -> Vec<Vec<Option<usize>>> {
    let image = image(build(categories).0, Ranges::default());
    let secret = secret();
    let view = View::new(&image, &secret);
    let depth = |host: &String| {
        let matches = view.host(host);
        let in_category = |category: usize| {
            let mut matches = matches.iter();
            let first = matches.find(|found| found.mask >> category & 1 == 1)?;
            Some(first.name.split('.').count())
        };
        (0..categories.len()).map(in_category).collect()
    };
    hosts.iter().map(depth).collect()
}

fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    let starts = host.match_indices('.').map(|(dot, _)| dot + 1);
    [0].into_iter().chain(starts).map(|at| &host[at..])
}

fn has(entries: &[(String, Reach)], name: &str, host: &str) -> bool {
    entries
        .iter()
        .any(|(entry, reach)| entry == name && (*reach == Reach::Subtree || name == host))
}

/// The same, list by list and name by name: of each list the most specific
/// entry speaks, and one list is enough.
fn model(category: &Category, host: &str) -> Option<usize> {
    let excepts = |list: &List, name: &str| {
        has(&list.exceptions, name, host) || has(&category.everywhere, name, host)
    };
    let holds = |list: &List| {
        suffixes(host).find_map(|name| {
            if excepts(list, name) {
                Some(false)
            } else {
                has(&list.names, name, host).then_some(true)
            }
        })
    };
    if !category.lists.iter().any(|list| holds(list) == Some(true)) {
        return None;
    }
    // As specific as the most specific name of any of its lists that was not
    // taken out; an exception of the host alone takes out no subtree.
    let names = |name: &&str| {
        category.lists.iter().any(|list| {
            let taken_out = |reach: Reach| {
                let mut all = list.exceptions.iter().chain(&category.everywhere);
                all.any(|(entry, of)| {
                    entry == name && (*of == Reach::Subtree || reach == Reach::Exact)
                })
            };
            let mut own = list.names.iter().filter(|(entry, _)| entry == name);
            own.any(|(_, reach)| (*reach == Reach::Subtree || *name == host) && !taken_out(*reach))
        })
    };
    suffixes(host)
        .find(names)
        .map(|name| name.split('.').count())
}

fn entries(max: usize) -> impl Strategy<Value = Vec<(String, Reach)>> {
    let name = prop::collection::vec("[ab]", 1..=5).prop_map(|labels| labels.join("."));
    let reach = prop_oneof![3 => Just(Reach::Subtree), 1 => Just(Reach::Exact)];
    prop::collection::vec((name, reach), 0..max)
}

fn category() -> impl Strategy<Value = Category> {
    let list = (entries(12), entries(6)).prop_map(|(names, exceptions)| List { names, exceptions });
    (prop::collection::vec(list, 0..4), entries(2))
        .prop_map(|(lists, everywhere)| Category { lists, everywhere })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every name of up to six labels over two letters.
    #[test]
    fn equals_the_model(categories in prop::collection::vec(category(), 1..4)) {
        let hosts: Vec<String> = (1..=6u32)
            .flat_map(|labels| (0..1u32 << labels).map(move |bits| (labels, bits)))
            .map(|(labels, bits)| {
                let label = |at| if bits >> at & 1 == 0 { "a" } else { "b" };
                (0..labels).map(label).collect::<Vec<_>>().join(".")
            })
            .collect();
        let found = ask(&categories, &hosts);
        for (host, found) in hosts.iter().zip(found) {
            let want: Vec<_> = categories
                .iter()
                .map(|category| model(category, host))
                .collect();
            prop_assert_eq!(found, want, "{}", host);
        }
    }
}

fn subtrees(names: &[&str]) -> Vec<(String, Reach)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), Reach::Subtree))
        .collect()
}

fn list(names: &[&str], exceptions: &[&str]) -> List {
    List {
        names: subtrees(names),
        exceptions: subtrees(exceptions),
    }
}

#[test]
fn an_exception_cancels_its_own_list_and_category_only() {
    let ads = Category {
        lists: vec![
            list(
                &["tracker.example"],
                &["good.tracker.example", "x.elsewhere.example"],
            ),
            list(&["b.tracker.example"], &["good.b.tracker.example"]),
        ],
        ..Category::default()
    };
    let other = Category {
        lists: vec![list(&["tracker.example"], &[])],
        ..Category::default()
    };
    let hosts = [
        "tracker.example",
        "good.tracker.example",
        "www.good.tracker.example",
        // The first list still holds it.
        "good.b.tracker.example",
    ]
    .map(str::to_owned);
    let categories = [ads, other];
    let found = ask(&categories, &hosts);
    assert_eq!(
        found,
        [
            [Some(2), Some(2)],
            [None, Some(2)],
            [None, Some(2)],
            [Some(3), Some(2)],
        ]
    );
    let (_, done) = build(&categories);
    let unmet = |names, unmet| Exempted { names, unmet };
    assert_eq!(done[0], [unmet(0, 1), unmet(0, 0)]);
    assert_eq!(done[1], [unmet(0, 0)]);
}

#[test]
fn lists_without_exceptions_cost_nothing() {
    let plain = Category {
        lists: vec![list(&["a.example"], &[])],
        ..Category::default()
    };
    let image = image(build(&[plain]).0, Ranges::default());
    assert_eq!(image.config.excepting, u32::MAX);
    assert_eq!(image.config.sets, 2);
    // And one that changes nothing takes no place either.
    let idle = Category {
        lists: vec![list(&["a.example"], &["b.example"])],
        ..Category::default()
    };
    let image = super::image(build(&[idle]).0, Ranges::default());
    assert_eq!(image.config.excepting, u32::MAX);
}

#[test]
fn exceptions_are_bounded() {
    let mut names = Names::new(&secret());
    let exceptions = vec![("a.example".to_owned(), Reach::Exact); MAX_EXCEPTIONS];
    let mut listings = vec![Listing {
        from: names.mark(),
        exceptions,
    }];
    assert!(names.except(0, &listings, &[]).is_ok());
    let one = subtrees(&["b.example"]);
    let error = names.except(0, &listings, &one).unwrap_err();
    assert!(
        matches!(
            error,
            ImageError::TooMany {
                count: 1_048_577,
                ..
            }
        ),
        "{error}"
    );
    listings[0].exceptions.truncate(1);
    listings.resize_with(129, || Listing {
        from: names.mark(),
        exceptions: Vec::new(),
    });
    let error = names.except(0, &listings, &[]).unwrap_err();
    assert!(
        matches!(error, ImageError::TooMany { max: 128, .. }),
        "{error}"
    );
}

/// Exceptions deeper than a packet is asked by are unmet, exact ones are not.
#[test]
fn deep_exceptions() {
    let deep = "a.".repeat(12) + "example";
    let mut one = list(&["example"], &[&deep]);
    let category = |list| Category {
        lists: vec![list],
        ..Category::default()
    };
    let hosts = [deep.clone()];
    assert_eq!(ask(&[category(one.clone())], &hosts), [[Some(1)]]);
    one.exceptions[0].1 = Reach::Exact;
    assert_eq!(ask(&[category(one)], &hosts), [[None]]);
}

/// Every category may have exceptions; sets with exceptions count as two.
#[test]
fn all_categories_at_once() {
    let categories: Vec<_> = (0..MAX_CATEGORIES)
        .map(|number| {
            let good = format!("good{}.example", number / 2);
            Category {
                lists: vec![list(&["example"], &[&good])],
                ..Category::default()
            }
        })
        .collect();
    let found = ask(&categories, &["x.good3.example".to_owned()]);
    for (number, found) in found[0].iter().enumerate() {
        assert_eq!(found.is_none(), number / 2 == 3, "{number}");
    }
}
