//! Before the filter goes up: can it see what it is to judge?

mod ethtool;
mod interface;
pub(super) mod netlink;
mod system;

use std::path::Path;

use serde::Serialize;

use super::attach::{Mode, Side};
pub use interface::InterfaceReport;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Was in the way and has been changed.
    Changed,
    /// The filter would be blind or could not be attached.
    Fatal,
}

/// Something that preflight saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub text: String,
    /// The command that puts it right.
    pub fix: Option<String>,
}

impl Finding {
    fn note(text: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            text: text.into(),
            fix: None,
        }
    }

    fn changed(text: impl Into<String>) -> Self {
        Self {
            level: Level::Changed,
            ..Self::note(text)
        }
    }

    fn fatal(text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Fatal,
            text: text.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub kernel: String,
    pub system: Vec<Finding>,
    pub interfaces: Vec<InterfaceReport>,
}

impl Report {
    /// All findings, each with the interface it is about.
    pub fn findings(&self) -> impl Iterator<Item = (Option<&str>, &Finding)> {
        let system = self.system.iter().map(|finding| (None, finding));
        let interfaces = self.interfaces.iter().flat_map(|interface| {
            interface
                .findings
                .iter()
                .map(|finding| (Some(interface.name.as_str()), finding))
        });
        system.chain(interfaces)
    }

    /// Why the filter must not start, with the fixes; `None` when it may.
    pub fn refusal(&self) -> Option<String> {
        let lines: Vec<String> = self
            .findings()
            .filter(|(_, finding)| finding.level == Level::Fatal)
            .map(|(interface, finding)| {
                let place = interface.map_or(String::new(), |name| format!("{name}: "));
                let fix = finding
                    .fix
                    .as_ref()
                    .map_or(String::new(), |fix| format!("; fix: {fix}"));
                format!("{place}{}{fix}", finding.text)
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// Looks at the system and at each interface, mounts a bpf filesystem for
/// `root` where none is, and switches off the offloads that hide frames.
pub fn check<'a>(
    root: &Path,
    interfaces: impl IntoIterator<Item = (&'a str, Side)>,
    mode: Mode,
) -> Report {
    let mut report = Report {
        kernel: system::kernel(),
        system: system::check(root),
        interfaces: Vec::new(),
    };
    for (name, side) in interfaces {
        report
            .interfaces
            .push(interface::check(name, side, mode, root));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_exist_is_a_refusal_that_names_the_fix() {
        let report = check(
            Path::new("/sys/fs/bpf/preflight-test"),
            [("nosuch0", Side::Lan)],
            Mode::Native,
        );
        let refusal = report.refusal().unwrap();
        assert!(refusal.contains("nosuch0"), "{refusal}");
        assert!(refusal.contains("ip link"), "{refusal}");
    }

    #[test]
    fn loopback_cannot_run_native_programs_and_notes_do_not_refuse() {
        let mut report = Report::default();
        report.system.push(Finding::note("fine"));
        assert_eq!(report.refusal(), None);
        let report = check(
            Path::new("/sys/fs/bpf/preflight-test"),
            [("lo", Side::Lan)],
            Mode::Native,
        );
        assert!(report.refusal().unwrap().contains("lo: "));
    }
}
