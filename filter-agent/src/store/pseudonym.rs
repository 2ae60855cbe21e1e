//! A device's name in incidents: a keyed hash whose salt belongs to one
//! lesson. Without the salt neither the pseudonym nor the sealed address
//! leads back to the device, and the salt is destroyed after the retention
//! time (regulation 2.14–2.17).

use std::net::{IpAddr, Ipv6Addr};

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::Sha256;

use super::{Result, StoreError, column};

/// A device as the network sees it: its address, IPv4 mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device(pub [u8; 16]);

impl Device {
    /// The address in its own family.
    pub fn address(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self.0)).to_canonical()
    }
}

/// Eight letters and digits that stand for a device during one lesson.
pub type Pseudonym = String;

/// The key of one lesson.
#[derive(Clone, Debug)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A new salt from the kernel's random source.
    ///
    /// # Errors
    /// Refused when the kernel gives no random bytes.
    pub fn random() -> Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)
            .map_err(|error| StoreError::Refused(format!("no random bytes: {error}").into()))?;
        Ok(Self(salt))
    }

    /// The salt of a lesson, if it is still there.
    pub fn of(connection: &Connection, lesson: &str) -> Result<Option<Self>> {
        let salt: Option<Vec<u8>> = connection
            .prepare_cached("SELECT salt FROM salts WHERE lesson = ?1")?
            .query_row([lesson], |row| row.get(0))
            .optional()?;
        Ok(salt.and_then(|salt| salt.try_into().ok()).map(Self))
    }

    /// Keeps the salt for a lesson that has none yet.
    pub fn keep(&self, connection: &Connection, lesson: &str, now: Timestamp) -> Result<()> {
        connection
            .prepare_cached("INSERT OR IGNORE INTO salts (lesson, salt, made) VALUES (?1, ?2, ?3)")?
            .execute(params![lesson, self.0.as_slice(), column(now)])?;
        Ok(())
    }

    /// The device's name in this lesson.
    pub fn pseudonym(&self, device: Device) -> Pseudonym {
        // Without the letters that are mistaken for others when read aloud.
        const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        self.digest(b"pseudonym", &device.0)
            .iter()
            .take(8)
            .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
            .collect()
    }

    /// The address, readable only with this salt.
    pub fn seal(&self, device: Device, pseudonym: &str) -> [u8; 16] {
        let pad = self.digest(b"address", pseudonym.as_bytes());
        let mut sealed = device.0;
        for (byte, pad) in sealed.iter_mut().zip(pad) {
            *byte ^= pad;
        }
        sealed
    }

    /// The device behind a sealed address; `None` when it does not fit the
    /// pseudonym.
    pub fn open(&self, sealed: [u8; 16], pseudonym: &str) -> Option<Device> {
        let device = Device(self.seal(Device(sealed), pseudonym));
        (self.pseudonym(device) == pseudonym).then_some(device)
    }

    fn digest(&self, purpose: &[u8], text: &[u8]) -> [u8; 32] {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return [0; 32];
        };
        mac.update(purpose);
        mac.update(&[0]);
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}
