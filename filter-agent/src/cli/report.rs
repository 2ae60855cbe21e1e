//! Reporting a host, and the report of incidents for a class teacher.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Common;
use super::incidents;
use super::output::{line, print};
use crate::control::Failure;
use crate::control::api::{IncidentsQuery, ReportHost};
use crate::store::incidents::Incident;
use crate::words::{Message, Said};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The host to report.
    #[arg(conflicts_with_all = ["room", "from", "to", "csv"])]
    host: Option<String>,
    /// Why; it stands in the audit log.
    #[arg(long, value_name = "TEXT", requires = "host")]
    reason: Option<String>,
    /// Only incidents of this room.
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// From this day or moment on.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this day or moment.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Comma-separated values (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    if let Some(host) = args.host {
        let block = client.call(&ReportHost {
            host,
            reason: args.reason,
        })?;
        return print(common, &block, |screen, block| {
            let said = Said::new(Message::Reported)
                .with("target", &block.target)
                .with("id", block.id);
            screen.say(&said)
        });
    }
    let incidents = client.call(&IncidentsQuery {
        room: args.room,
        from: args.from,
        to: args.to,
        open: false,
    })?;
    if args.csv {
        return line(csv(&incidents, &client.timezone()).trim_end());
    }
    print(common, &incidents, |screen, list| {
        incidents::table(screen, list)
    })
}

fn csv(incidents: &[Incident], zone: &TimeZone) -> String {
    let time = |time: Timestamp| {
        let local = zone.to_datetime(time);
        local.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let mut text =
        "number,opened,last,room,lesson,class_teacher,category,tries,hosts,pseudonym,state\r\n"
            .to_owned();
    for incident in incidents {
        let fields = [
            incident.id.to_string(),
            time(incident.opened),
            time(incident.last),
            incident.room.clone(),
            incident.lesson.clone(),
            incident.class_teacher.clone().unwrap_or_default(),
            incident.category.clone(),
            incident.tries.to_string(),
            incident.hosts.join(" "),
            incident.pseudonym.clone(),
            format!("{:?}", incident.state).to_lowercase(),
        ];
        text += &fields.map(|field| quote(&field)).join(",");
        text += "\r\n";
    }
    text
}

fn quote(field: &str) -> String {
    // A field that begins like a formula is one in the eyes of a spreadsheet.
    let field = match field.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@') => format!("'{field}"),
        _ => field.to_owned(),
    };
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_csv_stay_fields() {
        assert_eq!(quote("101"), "101");
        assert_eq!(quote("a,b"), "\"a,b\"");
        assert_eq!(quote("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(quote("=1+1"), "'=1+1");
    }
}
