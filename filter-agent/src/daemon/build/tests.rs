use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::explain::View;

const POLICY: &str = r#"
school = "Lists"
timezone = "Asia/Bishkek"

[network]
lan = ["lo"]

[[category]]
name = "first"
LIST

[[group]]
name = "pupils"
default = "open"
deny = ["first"]

[[room]]
name = "101"
group = "pupils"
untagged = true
"#;

/// Builds a policy of one category; `list` is its list's text, `says` the
/// lines of the category. Returns whether each host is in the category, and
/// the first list's line.
fn listed(list: &str, says: &str, hosts: &[&str]) -> (Vec<bool>, List) {
    with_view(list, says, |view| {
        hosts
            .iter()
            .map(|host| !view.host(host).is_empty())
            .collect()
    })
}

fn with_view<T>(list: &str, says: &str, ask: impl FnOnce(View<'_>) -> T) -> (T, List) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("build-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("list.txt"), list).unwrap();
    let text = POLICY.replace("LIST", says);
    let policy = Policy::parse(&text, &folder.join("policy.toml")).unwrap();
    let secret = crate::kernel::fresh_secret().unwrap();
    let copies = copies(&folder).unwrap();
    let place = Place {
        generation: 1,
        links: vec![1],
        secret: &secret,
        copies: &copies,
    };
    let mut built = build(&policy, place, Timestamp::now(), false).unwrap();
    assert_ne!(built.image.groups[0].flags & abi::GroupFlags::BY_NAME, 0);
    std::fs::remove_dir_all(&folder).unwrap();
    let found = ask(View::new(&built.image, &secret));
    (found, built.lists.remove(0))
}

const HOSTS: [&str; 2] = ["play.example", "www.play.example"];

#[test]
fn a_bare_name_means_what_its_format_says_unless_the_policy_does() {
    let hosts = "0.0.0.0 play.example\n0.0.0.0 other.example\n";
    let list = r#"lists = ["list.txt"]"#;
    let ask = |text, says| listed(text, says, &HOSTS).0;
    assert_eq!(ask(hosts, list), [true, false]);
    assert_eq!(ask("play.example\nother.example\n", list), [true, true]);
    let category = "names = \"subtree\"\nlists = [\"list.txt\"]";
    assert_eq!(ask(hosts, category), [true, true]);
    let here = r#"lists = [{ from = "list.txt", names = "host" }]"#;
    assert_eq!(ask("play.example\nother.example\n", here), [true, false]);
}

const LIST: &str = "@@||good.example^\n||bad.example^\n||good.example^\n\
                    @@||fine.bad.example^\n|good.example^\n||deep.fine.bad.example^\n\
                    @@||nowhere.example^\n203.0.113.0/24\n";

#[test]
fn an_exception_takes_out_what_its_own_list_names_and_no_more() {
    let says = "hosts = [\"kept.example\"]\nlists = [\"list.txt\"]";
    let hosts = [
        "good.example",
        "bad.example",
        "fine.bad.example",
        "www.fine.bad.example",
        "deep.fine.bad.example",
    ];
    let (found, line) = listed(LIST, says, &hosts);
    assert_eq!(found, [false, true, false, false, true]);
    // The one that nothing stands above is told.
    assert_eq!((line.hosts, line.ignored), (2, 1));
    // What stands in the policy itself is not the list's to take out.
    let says = "hosts = [\"good.example\"]\nlists = [\"list.txt\"]";
    assert!(listed(LIST, says, &hosts).0[0]);
}

#[test]
fn the_policy_excepts_from_all_lists() {
    let hosts = [
        "bad.example",
        "deep.fine.bad.example",
        "own.fine.bad.example",
        "x.own.fine.bad.example",
    ];
    let says = "lists = [\"list.txt\", \"list.txt\"]\nexcept = [\"fine.bad.example\"]\n\
                hosts = [\"own.fine.bad.example\"]";
    let (found, line) = listed(LIST, says, &hosts);
    assert_eq!(found, [true, false, true, true]);
    assert_eq!(line.hosts, 1);
    let exactly = "lists = [\"list.txt\"]\nexcept = [\"=bad.example\"]";
    let (found, _) = listed(LIST, exactly, &["bad.example", "www.bad.example"]);
    assert_eq!(found, [false, true]);
}

#[test]
fn an_exception_takes_addresses_out_of_its_own_list_and_no_other() {
    let list = "@@||203.0.113.8^\n||203.0.113.0/24^\n||203.0.113.8^\n||2001:db8::/32^\n\
                @@||2001:db8:1::/48^\n@@||198.51.100.1^\n||bad.example^\n";
    let policy = "lists = [\"list.txt\", { from = \"list.txt\", member = \"x\" }]";
    let addresses = [
        "203.0.113.7",
        "203.0.113.8",
        "203.0.113.9",
        "2001:db8:0:ffff::1",
        "2001:db8:1::1",
        "2001:db8:2::1",
    ];
    let ask = |says: &str| {
        with_view(list, says, |view| {
            addresses.map(|address| view.address(address.parse().unwrap()) != 0)
        })
    };
    let (found, line) = ask(policy);
    assert_eq!(found, [true, false, true, true, false, true]);
    // One range is gone, one exception met nothing.
    assert_eq!((line.ranges, line.ignored), (2, 1));
    // What stands in the policy itself is not the list's to take out.
    let own = "lists = [\"list.txt\"]\nranges = [\"203.0.113.8\"]";
    assert!(ask(own).0[1]);
}

#[test]
fn the_policy_excepts_ranges_too() {
    let policy = "lists = [\"list.txt\"]\nexcept_ranges = [\"203.0.113.8/30\"]\n\
                  ranges = [\"203.0.113.9\"]";
    let addresses = ["203.0.113.7", "203.0.113.8", "203.0.113.9", "203.0.113.12"];
    let found = with_view(LIST, policy, |view| {
        addresses.map(|address| view.address(address.parse().unwrap()) != 0)
    });
    assert_eq!(found.0, [true, false, true, true]);
}
