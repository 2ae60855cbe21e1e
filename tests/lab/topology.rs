//! The lab itself, without a filter: every room reaches every server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::switch::Tags;

/// Untagged, tagged and double-tagged, both families; a large answer, so
/// that full frames with two tags are among it.
#[test]
fn every_room_reaches_every_server() -> Result<()> {
    let lab = Lab::new(&[
        ("untagged", Tags::default()),
        (
            "tagged",
            Tags {
                outer: 20,
                inner: 0,
            },
        ),
        (
            "double-tagged",
            Tags {
                outer: 30,
                inner: 7,
            },
        ),
    ])?;
    for address in SERVERS {
        let server = SocketAddr::new(address, 8000);
        let listener = lab.server.run(|| Ok(TcpListener::bind(server)?))?;
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let peer = stream.peer_addr().unwrap().ip();
                stream.write_all(&vec![b'x'; 200_000]).unwrap();
                stream.write_all(peer.to_string().as_bytes()).unwrap();
            }
        });
        for room in lab.rooms() {
            let answer = room
                .client
                .run(|| {
                    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2))?;
                    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer)?;
                    Ok(answer)
                })
                .with_context(|| format!("from {} to {server}", room.name))?;
            let own = if address.is_ipv4() {
                room.v4().to_string()
            } else {
                room.v6().to_string()
            };
            assert_eq!(
                answer.trim_start_matches('x'),
                own,
                "{} {server}",
                room.name
            );
            assert_eq!(answer.len(), 200_000 + own.len());
        }
    }
    Ok(())
}
