//! Every room against every server, without a filter.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::{Lab, Room, SERVERS};
use crate::switch::Tags;

/// One room of each kind of tagging.
pub const ROOMS: [(&str, Tags); 3] = [
    ("untagged", Tags { outer: 0, inner: 0 }),
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
];

/// Long enough that full frames with two tags are among it.
const LENGTH: usize = 200_000;

/// Fetches a long answer from every server in every room, over both families;
/// the server must see the client's own address.
pub fn everywhere(lab: &Lab) -> Result<()> {
    for address in SERVERS {
        let server = SocketAddr::new(address, 8000);
        let listener = lab.server.run(|| Ok(TcpListener::bind(server)?))?;
        thread::spawn(move || serve(&listener));
        for room in lab.rooms() {
            let answer =
                fetch(room, server).with_context(|| format!("from {} to {server}", room.name))?;
            let own = if address.is_ipv4() {
                room.v4().to_string()
            } else {
                room.v6().to_string()
            };
            ensure!(
                answer.len() == LENGTH + own.len() && answer.ends_with(&own),
                "{} to {server}: {} bytes, not {LENGTH} and {own}",
                room.name,
                answer.len()
            );
        }
    }
    Ok(())
}

fn serve(listener: &TcpListener) {
    for mut stream in listener.incoming().flatten() {
        if let Ok(peer) = stream.peer_addr() {
            // A client that went away finds its answer too short.
            let _ = stream.write_all(&vec![b'x'; LENGTH]);
            let _ = stream.write_all(peer.ip().to_string().as_bytes());
        }
    }
}

fn fetch(room: &Room, server: SocketAddr) -> Result<String> {
    room.client.run(|| {
        let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })
}
