//! A connection on which both ends talk all the time, and which remembers
//! when each was last heard.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::lab::{Lab, Room};

/// One way of a [`Stream`].
#[derive(Debug)]
struct Way {
    start: Instant,
    /// Microseconds from `start` until the last bytes came.
    last: AtomicU64,
    bytes: AtomicU64,
}

impl Way {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    fn heard(&self, bytes: usize) {
        let now = self.start.elapsed().as_micros() as u64;
        self.last.store(now, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_micros(self.last.load(Ordering::Relaxed))
    }
}

/// A download with an upload beside it, over plain HTTP, from one room.
#[derive(Debug)]
pub struct Stream {
    down: Arc<Way>,
    up: Arc<Way>,
    end: Arc<AtomicBool>,
}

impl Stream {
    /// Starts the stream from `room` to `server`, asking for the host `name`.
    pub fn start(lab: &Lab, room: &Room, server: SocketAddr, name: &str) -> Result<Self> {
        let listener = lab.server.run(|| Ok(TcpListener::bind(server)?))?;
        let (down, up) = (Way::new(), Way::new());
        let end = Arc::new(AtomicBool::new(false));
        {
            let (up, end) = (Arc::clone(&up), Arc::clone(&end));
            thread::spawn(move || {
                if let Ok((stream, _)) = listener.accept() {
                    talk(stream, b"HTTP/1.1 200 OK\r\n\r\n", &up, &end);
                }
            });
        }
        let stream = room
            .client
            .run(|| Ok(TcpStream::connect_timeout(&server, Duration::from_secs(3))?))
            .with_context(|| format!("{} cannot connect to {server}", room.name))?;
        let head =
            format!("POST / HTTP/1.1\r\nHost: {name}\r\nContent-Length: 1000000000000\r\n\r\n");
        {
            let (down, end) = (Arc::clone(&down), Arc::clone(&end));
            thread::spawn(move || talk(stream, head.as_bytes(), &down, &end));
        }
        Ok(Self { down, up, end })
    }

    /// When the client last heard the server.
    pub fn last_down(&self) -> Instant {
        self.down.last()
    }

    /// When the server last heard the client.
    pub fn last_up(&self) -> Instant {
        self.up.last()
    }

    /// Bytes that came down and up.
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.down.bytes.load(Ordering::Relaxed),
            self.up.bytes.load(Ordering::Relaxed),
        )
    }

    /// Whether both ends were heard within the last `span`.
    pub fn flows(&self, span: Duration) -> bool {
        self.last_down().elapsed() < span && self.last_up().elapsed() < span
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

/// Sends `head`, then a packet every other millisecond, and notes what comes.
fn talk(mut stream: TcpStream, head: &[u8], heard: &Way, end: &Arc<AtomicBool>) {
    let Ok(mut writer) = stream.try_clone() else {
        return;
    };
    // A reader that nobody talks to must see the end too.
    let timeout = Some(Duration::from_millis(200));
    if stream.set_read_timeout(timeout).is_err()
        || writer.set_write_timeout(timeout).is_err()
        || writer.write_all(head).is_err()
    {
        return;
    }
    thread::spawn({
        let end = Arc::clone(end);
        move || {
            while !end.load(Ordering::Relaxed) {
                // A full buffer or a reset: the notes on the other side tell.
                let _ = writer.write(&[b'.'; 1200]);
                thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while !end.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(bytes) => heard.heard(bytes),
            // Nothing came: it may come again. After a reset nothing does.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
