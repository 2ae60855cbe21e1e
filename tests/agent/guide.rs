//! What `help` and the README tell people to type works.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use filter_agent::store::incidents::{Sighting, record};
use filter_agent::store::{Device, Salt, Store};
use filter_agent::words::{Language, commands, guide};
use filter_tests::agent::Agent;
use filter_tests::lab::Lab;
use filter_tests::reach::ROOMS;
use jiff::Timestamp;

const README: &str = include_str!("../../README.md");

/// The policy that the README shows, on the lab's interfaces and at every
/// hour.
fn policy() -> Result<String> {
    let (_, rest) = README.split_once("```toml\n").context("no policy")?;
    let (policy, _) = rest.split_once("```").context("the policy has no end")?;
    let open = "open = [\"Mon-Fri 08:00-13:30\"]";
    let always = "open = [\"Mon-Sun 00:00-24:00\"]\nfollows_calendar = false";
    for word in ["\"eth1\"", "\"eth0\"", open] {
        ensure!(
            policy.contains(word),
            "{word} is not in the README's policy"
        );
    }
    Ok(policy
        .replace("\"eth1\"", "\"lan0\"")
        .replace("\"eth0\"", "\"wan0\"")
        .replace(open, always))
}

/// Lines of the README's shell blocks that begin with the program.
fn in_blocks() -> Vec<String> {
    README
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .flat_map(|(block, _)| block.lines())
        .filter(|line| line.starts_with("filter-agent "))
        .map(without_remark)
        .collect()
}

/// Commands in the table of clauses: code that begins with a subcommand.
fn in_table(agent: &Agent<'_>) -> Result<Vec<String>> {
    let help = agent.command(&["--help"])?;
    let known = |word: &str| {
        help.lines()
            .any(|line| line.trim().starts_with(&format!("{word} ")))
    };
    let (_, rest) = README
        .split_once("## From the regulation to a command")
        .context("no table of clauses")?;
    let (table, _) = rest.split_once("\n## ").context("the table has no end")?;
    let rows = table.lines().filter(|line| line.starts_with("| "));
    Ok(rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|code| code.split(' ').next().is_some_and(known))
        .filter(|code| code.contains(' '))
        .map(|code| format!("filter-agent {code}"))
        .collect())
}

fn without_remark(line: &str) -> String {
    let command = line.split_once(" #").map_or(line, |(command, _)| command);
    command.trim().to_owned()
}

/// Puts real things in place of the words that stand for them.
fn real(agent: &Agent<'_>, command: &str) -> Result<String> {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/node-20.pcap");
    let mut command = command
        .replace("/etc/school-filter/policy.toml", "policy.toml")
        .replace("FILE", "policy.toml")
        .replace("capture.pcap", &capture.display().to_string())
        .replace("HOST", "example.org")
        .replace("TEXT", "text")
        .replace("ID", "2");
    let last = |listed: &str| -> Result<String> {
        let (_, rest) = listed.split_once("\"id\": ").context("nothing is listed")?;
        Ok(rest.chars().take_while(char::is_ascii_digit).collect())
    };
    if command.starts_with("filter-agent council ") && !command.contains(" list") {
        // Each decides about a report of its own.
        let host = format!("r{}.example", command.len());
        let report = agent.command(&["report", &host, "--json"])?;
        command = renumber(&command, &last(&report)?)?;
    } else if command.starts_with("filter-agent grant revoke ") {
        let grants = agent.command(&["grant", "list", "--json"])?;
        command = renumber(&command, &last(&grants)?)?;
    }
    Ok(command)
}

/// The command with another number as its third argument.
fn renumber(command: &str, number: &str) -> Result<String> {
    let mut words: Vec<&str> = command.splitn(5, ' ').collect();
    *words.get_mut(3).context("no number")? = number;
    Ok(words.join(" "))
}

/// Two incidents as if they had happened, in the store that the agent opens.
fn incidents(lab: &Lab) -> Result<()> {
    lab.router.run(|| {
        std::fs::create_dir_all("/var/lib/school-filter")?;
        let now = Timestamp::now();
        let mut store = Store::open(Path::new("/var/lib/school-filter/state.db"), now);
        ensure!(store.degraded().is_none(), "{:?}", store.degraded());
        for lesson in ["2026-09-07 first, №1", "2026-09-07 first, №2"] {
            let salt = Salt::random()?;
            let seen = Sighting {
                device: Device([7; 16]),
                room: "101",
                lesson,
                class_teacher: Some("A. Asanova"),
                category: "adult",
                tries: 5,
                hosts: &["bad.example".to_owned()],
                last: now,
            };
            store.write(|connection| record(connection, &salt, &seen))?;
        }
        Ok(())
    })
}

#[test]
fn every_command_of_help_and_readme_runs() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    incidents(&lab)?;
    let beside = [
        ("lists/adult.txt", "adult.example\n"),
        ("list.txt", "one.example\n"),
    ];
    let agent = Agent::start_with(&lab, &policy()?, &beside, &[])?;
    let mut lines: Vec<String> = in_blocks();
    ensure!(lines.len() >= 15, "{lines:?}");
    let table = in_table(&agent)?;
    ensure!(table.len() >= 15, "{table:?}");
    lines.extend(table);
    for language in Language::ALL {
        lines.extend(commands(guide(language)).map(str::to_owned));
    }
    // What ends the agent comes last and once.
    let is_detach = |line: &String| line.starts_with("filter-agent detach");
    let detach = lines.iter().find(|line| is_detach(line)).cloned();
    lines.retain(|line| !is_detach(line));
    lines.extend(detach);
    let mut ran = 0;
    for line in &lines {
        // The agent runs already, as this very line starts it.
        if line.starts_with("filter-agent run ") {
            continue;
        }
        let command = real(&agent, line)?;
        let follows = command.contains("--follow");
        let command = match follows {
            true => format!("timeout --preserve-status -s TERM 1 {command} || test $? = 143"),
            false => command,
        };
        // One incident is closed once, whoever reads which guide.
        if command.contains("incidents close") && ran_before(&lines, line) {
            continue;
        }
        let done = agent.shell(&command)?;
        if done.code != Some(0) {
            bail!("{line}\n{command}\n{}{}", done.stdout, done.stderr);
        }
        ran += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("{ran} commands of help and README ran");
    ensure!(ran > 60, "only {ran} commands were found");
    Ok(())
}

/// Whether a line with the same command, but for what is quoted, comes before.
fn ran_before(lines: &[String], line: &String) -> bool {
    let bare = |line: &String| line.split('"').next().unwrap_or("").to_owned();
    let first = lines.iter().find(|other| bare(other) == bare(line));
    first != Some(line)
}

#[test]
fn help_speaks_the_language_of_the_locale() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, super::POLICY)?;
    for (locale, title, closed, missing) in [
        (
            "C",
            "From the regulation",
            "closed by root: exam",
            "no room 9",
        ),
        (
            "ru_RU.UTF-8",
            "От регламента",
            "закрыл(а) root: exam",
            "нет кабинета 9",
        ),
        (
            "ky_KG.UTF-8",
            "Регламенттен",
            "root жапкан: exam",
            "9 кабинети жок",
        ),
    ] {
        let say = |line: &str| agent.shell(&format!("export LC_ALL={locale}; {line}"));
        let help = say("filter-agent help")?;
        ensure!(help.stdout.starts_with(title), "{help:?}");
        let room = say("filter-agent room close lab-1 --for 10m --reason exam")?;
        ensure!(room.stdout.contains(closed), "{room:?}");
        let json = say("filter-agent room list --json")?;
        ensure!(json.stdout.contains("closed by root: exam"), "{json:?}");
        let wrong = say("filter-agent room close 9")?;
        ensure!(
            wrong.code == Some(6) && wrong.stderr.contains(missing),
            "{wrong:?}"
        );
        let wrong = say("filter-agent --json room close 9")?;
        ensure!(wrong.stderr.contains("no room 9"), "{wrong:?}");
    }
    Ok(())
}
