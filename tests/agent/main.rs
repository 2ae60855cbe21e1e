//! The agent itself, as people use it: commands, curl, Prometheus' checker,
//! and a kill that nobody meant.

mod apply;
mod bounds;
mod control;
mod ends;
mod guide;
mod interfaces;
mod life;
mod names;
mod notify;
mod odd;
mod replay;
mod roles;
mod store;
mod units;
mod watch;

/// A room with and one without a teacher's lease.
const POLICY: &str = r#"
school = "Agent test"
timezone = "Asia/Bishkek"

[network]
lan = ["lan0"]
wan = ["wan0"]

[[category]]
name = "social"
hosts = ["example.net"]

[[category]]
name = "dangerous"
locked = true
hosts = ["bad.example.com"]

[[group]]
name = "pupils"
default = "open"
deny = ["social", "dangerous"]

[[room]]
name = "lab-1"
vlan = 20
group = "pupils"

[[room]]
name = "lab-2"
vlan = 12
group = "pupils"
"#;
