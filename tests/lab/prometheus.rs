//! Debian's Prometheus reads the agent's metrics.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::{Agent, eventually};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::probe::Probe;
use filter_tests::process::Background;
use filter_tests::school::{POLICY, ROOMS};
use filter_tests::scratch::Scratch;

const CONFIG: &str = "
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: school
    static_configs:
      - targets: ['127.0.0.1:9478']
";

/// Datagrams into a locked range: each is one frame, refused once.
const DATAGRAMS: u64 = 37;

#[test]
fn prometheus_answers_with_the_right_count() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let files = Scratch::new()?;
    let config = files.write("prometheus.yml", CONFIG)?;
    let mut prometheus = Background::start(
        lab.router
            .command("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}/data",
                files.path().display()
            ))
            .arg("--web.listen-address=127.0.0.1:9090"),
        &files.path().join("prometheus.log"),
    )?;
    prometheus.wait_until(Duration::from_secs(20), |log| {
        log.contains("Server is ready to receive web requests")
    })?;
    let mut probe = Probe::start(
        &lab,
        lab.room("lab-1")?,
        SocketAddr::new(SERVERS[2], 9000),
        Duration::from_millis(2),
        DATAGRAMS,
    )?;
    assert_eq!(probe.wait()?, DATAGRAMS);
    assert_eq!(probe.arrived(), 0);

    let query = "query=sum(school_filter_packets_total{room=\"lab-1\",reason=\"locked\"})";
    let mut answer = String::new();
    eventually(Duration::from_secs(15), || {
        answer = lab.router.output(
            "curl",
            &[
                "--silent",
                "--get",
                "http://127.0.0.1:9090/api/v1/query",
                "--data-urlencode",
                query,
            ],
        )?;
        Ok(answer.contains(&format!(",\"{DATAGRAMS}\"]")))
    })
    .with_context(|| format!("Prometheus says {answer}, the agent {}", agent.log()))?;
    Ok(())
}

#[test]
fn promtool_finds_nothing_to_say() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let mut promtool = lab
        .router
        .command("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start promtool (package prometheus)")?;
    if let Some(mut stdin) = promtool.stdin.take() {
        stdin.write_all(agent.metrics()?.as_bytes())?;
    }
    let done = promtool.wait_with_output()?;
    ensure!(
        done.status.success() && done.stdout.is_empty() && done.stderr.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
