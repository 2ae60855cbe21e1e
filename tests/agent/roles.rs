//! Who may do what, by the Unix groups of whoever opens the socket.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use filter_agent::store::incidents::{Sighting, record};
use filter_agent::store::{Device, Salt, Store};
use filter_tests::agent::Agent;
use filter_tests::lab::Lab;
use filter_tests::process::Finished;
use filter_tests::reach::ROOMS;
use jiff::Timestamp;

use super::POLICY;

/// Users with their number and the group that gives them a role.
const USERS: [(&str, u32, u32); 5] = [
    ("nobody-here", 64001, 64100),
    ("clerk", 64002, 64101),
    ("bekov", 64003, 64102),
    ("asanova", 64004, 64103),
    ("boss", 64005, 64104),
];
const GROUPS: [(&str, u32); 6] = [
    ("t-none", 64100),
    ("t-office", 64101),
    ("t-teachers", 64102),
    ("t-responsible", 64103),
    ("t-admins", 64104),
    ("t-socket", 64199),
];
/// Code::Forbidden.
const FORBIDDEN: Option<i32> = Some(5);

fn policy() -> String {
    let roles = r#"
[roles]
read_only = ["t-office"]
teacher = ["t-teachers"]
responsible = ["t-responsible"]
admin = ["t-admins"]
"#;
    let supervised = "name = \"lab-1\"\nsupervised = true\n\
                      open = [\"Mon-Sun 00:00-24:00\"]\nfollows_calendar = false";
    POLICY.replace("name = \"lab-1\"", supervised) + roles
}

/// Users and groups of the router's own, over the machine's files.
fn users(lab: &Lab) -> Result<()> {
    let passwd = USERS
        .iter()
        .map(|(name, uid, gid)| format!("{name}:x:{uid}:{gid}::/:/bin/false\n"));
    let group = GROUPS
        .iter()
        .map(|(name, gid)| format!("{name}:x:{gid}:\n"));
    for (path, more) in [
        ("/etc/passwd", passwd.collect::<String>()),
        ("/etc/group", group.collect::<String>()),
    ] {
        lab.router.overlay(Path::new(path), &more)?;
    }
    Ok(())
}

/// Runs a command as one of [`USERS`], who may open the socket.
fn as_user(agent: &Agent<'_>, who: usize, arguments: &str) -> Result<Finished> {
    let (_, uid, gid) = USERS.get(who).context("no such user")?;
    let ids = [
        format!("--reuid={uid}"),
        format!("--regid={gid}"),
        "--groups=64199".to_owned(),
    ];
    let starter: Vec<&str> = ["setpriv"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    agent.try_as(&starter, &arguments)
}

/// Every command with the first of [`USERS`] who may run it, in an order in
/// which each can succeed.
const COMMANDS: [(&str, usize); 24] = [
    ("status", 1),
    ("room list", 1),
    ("explain --room lab-1 --host example.org", 1),
    ("grant list", 1),
    ("council list", 1),
    ("lists list", 1),
    ("lease take lab-1", 2),
    ("lease release lab-1", 2),
    ("report odd.example", 2),
    ("incidents list", 2),
    ("incidents show 1", 2),
    ("room close lab-2 --for 10m", 3),
    ("room auto lab-2", 3),
    (
        "grant add --category social --room lab-1 --for 10m --reason lesson",
        3,
    ),
    ("grant revoke LAST", 3),
    ("block bad.example", 3),
    ("unblock bad.example", 3),
    ("council confirm LAST", 3),
    ("incidents identity 1 --reason talk", 3),
    ("incidents close LAST", 3),
    ("audit", 3),
    ("lists update", 3),
    ("apply --dry-run", 4),
    ("apply", 4),
];

/// Open incidents, one for each who may close one.
fn incidents(lab: &Lab) -> Result<()> {
    lab.router.run(|| {
        std::fs::create_dir_all("/var/lib/school-filter")?;
        let now = Timestamp::now();
        let mut store = Store::open(Path::new("/var/lib/school-filter/state.db"), now);
        for lesson in ["1", "2", "3"] {
            let salt = Salt::random()?;
            let seen = Sighting {
                device: Device([7; 16]),
                room: "lab-1",
                lesson,
                class_teacher: None,
                category: "social",
                tries: 5,
                hosts: &[],
                last: now,
            };
            store.write(|connection| record(connection, &salt, &seen))?;
        }
        Ok(())
    })
}

#[test]
fn each_role_may_do_what_it_should_and_nothing_more() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    users(&lab)?;
    incidents(&lab)?;
    let agent = Agent::start_with(&lab, &policy(), &[], &["--socket-group", "t-socket"])?;
    let mut closed = 1;
    for (command, least) in COMMANDS {
        for (who, (name, ..)) in USERS.iter().enumerate() {
            let may = who >= least;
            let number = match command {
                "grant revoke LAST" | "council confirm LAST" if may => {
                    // One of their own to decide about.
                    let made = match command.starts_with("grant") {
                        true => {
                            "grant add --category social --room lab-2 --for 10m --reason x --json"
                                .to_owned()
                        }
                        false => format!("report of-{name}.example --json"),
                    };
                    let made = as_user(&agent, who, &made)?.stdout;
                    let (_, rest) = made.split_once("\"id\": ").context("nothing was made")?;
                    rest.chars().take_while(char::is_ascii_digit).collect()
                }
                "incidents close LAST" if may => {
                    closed += 1;
                    closed.to_string()
                }
                _ => "1".to_owned(),
            };
            let first = match command {
                "lease release lab-1" => Some("lease take lab-1"),
                "unblock bad.example" => Some("block bad.example"),
                _ => None,
            };
            if let Some(first) = first.filter(|_| may) {
                ensure!(as_user(&agent, who, first)?.code == Some(0), "{first}");
            }
            let done = as_user(&agent, who, &command.replace("LAST", &number))?;
            if command == "lease take lab-1" && may {
                // Free again for the next one.
                agent.command(&["lease", "release", "lab-1"])?;
            }
            let expected = if may { Some(0) } else { FORBIDDEN };
            ensure!(
                done.code == expected,
                "{name}: {command}: {:?}, not {expected:?}\n{}{}",
                done.code,
                done.stdout,
                done.stderr
            );
            ensure!(may || done.stderr.contains("needs the role"), "{done:?}");
        }
    }
    // Whoever is in no group of the socket does not even reach it.
    let outside = agent.try_as(
        &[
            "setpriv",
            "--reuid=64005",
            "--regid=64104",
            "--clear-groups",
        ],
        &["status"],
    )?;
    ensure!(
        outside.code == FORBIDDEN && outside.stderr.contains("you may not open"),
        "{outside:?}"
    );
    Ok(())
}

#[test]
fn the_audit_log_tells_who_when_what_why_and_from_what_to_what() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    users(&lab)?;
    let agent = Agent::start_with(&lab, &policy(), &[], &["--socket-group", "t-socket"])?;
    let before = Timestamp::now();
    for (who, command) in [
        (3, "room close lab-2 --for 10m --reason exam"),
        (3, "room open lab-2 --for 5m --reason olympiad"),
        (2, "lease take lab-1"),
    ] {
        let done = as_user(&agent, who, command)?;
        ensure!(done.code == Some(0), "{done:?}");
    }
    // What is refused has changed nothing and leaves no entry.
    let refused = as_user(&agent, 2, "room close lab-1")?;
    ensure!(refused.code == FORBIDDEN, "{refused:?}");
    let log: serde_json::Value = serde_json::from_str(&agent.command(&["audit", "--json"])?)?;
    let entries = log["entries"].as_array().context("no entries")?;
    let find = |action: &str| entries.iter().find(|entry| entry["action"] == action);
    let open = find("room.open").context("opening is not in the log")?;
    ensure!(
        open["who"] == "asanova" && open["uid"] == 64004 && open["why"] == "olympiad",
        "{open}"
    );
    ensure!(
        open["before"]["mode"] == "closed" && open["before"]["reason"] == "exam",
        "{open}"
    );
    ensure!(open["after"]["mode"] == "open", "{open}");
    let at: Timestamp = open["at"].as_str().context("no time")?.parse()?;
    ensure!(
        at.as_millisecond() >= before.as_millisecond() && at <= Timestamp::now(),
        "{at}"
    );
    let lease = find("lease.take").context("the lease is not in the log")?;
    ensure!(
        lease["who"] == "bekov" && lease["target"] == "lab-1",
        "{lease}"
    );
    ensure!(
        entries
            .iter()
            .filter(|entry| entry["action"] == "room.close")
            .count()
            == 1,
        "a refused change is in the log: {log}"
    );
    let own = agent.command(&["audit", "--who", "bekov", "--json"])?;
    ensure!(
        own.contains("lease.take") && !own.contains("room.open"),
        "{own}"
    );
    Ok(())
}
