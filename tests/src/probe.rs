//! Single datagrams, counted at both ends.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::lab::{Lab, Room};

/// Sends datagrams from a room to one server until it is ended.
#[derive(Debug)]
pub struct Probe {
    end: Arc<AtomicBool>,
    arrived: Arc<AtomicU64>,
    sender: Option<JoinHandle<u64>>,
}

impl Probe {
    /// Sends one datagram every `gap`; ends after `most` datagrams at the
    /// latest.
    pub fn start(
        lab: &Lab,
        room: &Room,
        server: SocketAddr,
        gap: Duration,
        most: u64,
    ) -> Result<Self> {
        let receiver = lab.server.run(|| Ok(UdpSocket::bind(server)?))?;
        receiver.set_read_timeout(Some(Duration::from_millis(100)))?;
        let any = if server.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let sender = room.client.run(|| Ok(UdpSocket::bind(any)?))?;
        let end = Arc::new(AtomicBool::new(false));
        let arrived = Arc::new(AtomicU64::new(0));
        {
            let (end, arrived) = (Arc::clone(&end), Arc::clone(&arrived));
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while !end.load(Ordering::Relaxed) {
                    if receiver.recv(&mut buffer).is_ok() {
                        arrived.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let sender = {
            let end = Arc::clone(&end);
            thread::spawn(move || {
                let mut sent = 0;
                while sent < most && !end.load(Ordering::Relaxed) {
                    // An ICMP error that came before is told here; it is sent then.
                    if sender.send_to(b"probe", server).is_ok() {
                        sent += 1;
                    }
                    thread::sleep(gap);
                }
                sent
            })
        };
        Ok(Self {
            end,
            arrived,
            sender: Some(sender),
        })
    }

    /// Datagrams that the server got.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Waits until all datagrams are sent; returns how many.
    pub fn wait(&mut self) -> Result<u64> {
        let sender = self.sender.take().ok_or_else(|| anyhow!("waited twice"))?;
        let sent = sender.join().map_err(|_| anyhow!("the sender panicked"))?;
        // The last one is on its way.
        thread::sleep(Duration::from_millis(50));
        Ok(sent)
    }

    /// Stops sending; returns how many datagrams were sent.
    pub fn finish(&mut self) -> Result<u64> {
        self.end.store(true, Ordering::Relaxed);
        self.wait()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}
