//! The lab's clients and servers themselves, without a filter: what is refused
//! later must not be refused here.

use anyhow::Result;
use filter_tests::clients::{Client, Seen, visit};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach::ROOMS;
use filter_tests::servers::Servers;

#[test]
fn every_client_reaches_a_server_over_both_families() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &["wiki.example.org"])?;
    let room = lab.room("double-tagged")?;
    for client in Client::ALL {
        for address in [SERVERS[0], SERVERS[1]] {
            let visit = visit(
                client,
                &room.client,
                servers.authority(),
                "wiki.example.org",
                address,
            )?;
            assert_eq!(
                visit.seen,
                Seen::Answer,
                "{} {address}: {visit:?}",
                client.name()
            );
        }
    }
    Ok(())
}
