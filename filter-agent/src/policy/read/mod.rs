//! From the text of a policy to a checked [`Policy`].

mod calendar;
mod category;
mod check;
mod fields;
mod group;
mod hint;
mod lesson;
mod names;
mod network;
mod room;
mod safe_search;

use std::path::Path;

use toml::de::DeTable;

use super::problem::Problems;
use super::{Policy, PolicyErrors};
use fields::Fields;
use names::{Context, Names};

/// Reads a whole policy; every mistake is found at once.
pub(super) fn policy(text: &str, path: &Path) -> Result<Policy, PolicyErrors> {
    let mut problems = Problems::new(text, path);
    let out = &mut problems;
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let from = text.get(span.start..).unwrap_or("");
        let before = text.get(..span.start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).and_then(|line| line.lines().next());
        out.at(
            &span,
            format!(
                "not TOML: {}{}",
                error.message().replace('\n', ", "),
                hint::syntax(from, line.unwrap_or("")),
            ),
        );
    }
    if !out.is_empty() {
        // What the syntax hides would only bring mistakes that are none.
        problems.finish()?;
        return policy("", path);
    }
    let mut top = Fields::new(document.get_ref(), 0..0);
    let policy = read(&mut top, out);
    top.finish(out);
    problems.finish()?;
    Ok(policy)
}

fn read(top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Policy {
    let school = top.text("school", out).map(|school| school.value);
    let timezone = network::timezone(top, out);
    let mut cx = Context::default();
    names::decisions(top, &mut cx, out);
    let (mut network, own_is_written) = network::network(top, out);
    let settings = network::settings(top, out);
    let roles = network::roles(top, out);
    let persons = network::persons(top, &cx, out);

    cx.categories = Names::of("category", top, out);
    let categories = category::categories(top, &cx, out);
    cx.groups = Names::of("group", top, out);
    let groups = group::groups(top, &cx, &network, &categories, out);
    cx.bells = Names::of("bells", top, out);
    let bells = lesson::bells(top, out);
    cx.timetables = Names::of("timetable", top, out);
    let mut timetables = lesson::timetables(top, &cx, &bells, out);
    cx.rooms = Names::of("room", top, out);
    let rooms = room::rooms(top, &cx, &network, &bells, &mut timetables, out);
    let calendar = calendar::calendar(top, &cx, out);
    let safe_search = safe_search::addresses(top, out);
    if !own_is_written {
        // Not every private address: those of the provider, or of a proxy
        // beside the school, are nobody's own.
        let subnets = rooms.iter().flat_map(|room| &room.room.subnets);
        network.own.extend(subnets.copied());
    }

    let policy = Policy {
        path: out.path().to_path_buf(),
        school,
        timezone,
        network,
        settings,
        roles,
        persons,
        categories,
        groups,
        rooms: rooms.iter().map(|room| room.room.clone()).collect(),
        calendar,
        bells,
        timetables,
        safe_search,
    };
    check::rooms(&rooms, &policy, out);
    policy
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::policy;

    const SCHOOL: &str = r#"
timezone = "Asia/Bishkek"

[network]
lan = ["eth1"]
#
[[category]]
name = "education"

[[group]]
name = "students"
default = "listed-only"
allow = ["education"]

[[room]]
name = "101"
vlan = 101
group = "students"
subnets = ["10.1.1.0/24"]
"#;

    /// No school loses its only name server because it wrote nothing down,
    /// and none gives away addresses that it did not call its own.
    #[test]
    fn what_is_not_written_follows_from_what_is() {
        let read = |extra: &str| policy(&SCHOOL.replace("#\n", extra), Path::new("p")).unwrap();
        let silent = read("");
        assert_eq!(silent.network.own, ["10.1.1.0/24".parse().unwrap()]);
        assert!(!silent.groups[0].school_dns);
        let own = read("own = [\"10.0.0.0/8\"]\n");
        assert_eq!(own.network.own, ["10.0.0.0/8".parse().unwrap()]);
        assert!(read("own = []\n").network.own.is_empty());
        let resolver = read("resolvers = [\"10.1.1.1\"]\n");
        assert!(resolver.groups[0].school_dns);
    }
}
