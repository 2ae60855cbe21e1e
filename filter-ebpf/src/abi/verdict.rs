//! What happens to a packet, and why.

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// It goes on.
    Pass = 0,
    /// It vanishes.
    Drop = 1,
    /// It vanishes and the client is told at once.
    Reject = 2,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Pass, Self::Drop, Self::Reject];

    /// Reads a verdict from a map; a number nobody wrote means drop.
    pub const fn from_u8(raw: u8) -> Self {
        match raw {
            0 => Self::Pass,
            2 => Self::Reject,
            _ => Self::Drop,
        }
    }

    /// The word in metrics, events and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)+) => {
        /// Why a verdict was given: shared by kernel, metrics, events and CLI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $meaning] $variant = $number,)+
        }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Reads a reason from a map; `Unknown` for a number nobody wrote.
            pub const fn from_u8(raw: u8) -> Self {
                match raw {
                    $($number => Self::$variant,)+
                    _ => Self::Unknown,
                }
            }

            /// The word in metrics, events and the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One English sentence for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

reasons! {
    Unknown = 0, "unknown", "No reason was recorded.";
    Keepalive = 1, "keepalive", "The frame keeps the LAN alive (ARP, NDP, DHCP, EAPOL, STP, LLDP, multicast).";
    OwnNetwork = 2, "own_network", "The destination is one of the school's own networks.";
    UnknownVlan = 3, "unknown_vlan", "No room has this VLAN.";
    RoomClosed = 4, "room_closed", "The room is closed now.";
    Stale = 5, "stale", "The timetable known to the kernel has run out.";
    Blocked = 6, "blocked", "Blocked just now, by hand.";
    Granted = 7, "granted", "A grant permits it.";
    RangeDenied = 8, "range_denied", "The destination address is in a denied category.";
    RangeAllowed = 9, "range_allowed", "The destination address is in an allowed category.";
    NameDenied = 10, "name_denied", "The host name is in a denied category.";
    NameAllowed = 11, "name_allowed", "The host name is in an allowed category.";
    Locked = 12, "locked", "It is in a locked category, which nothing opens.";
    DefaultOpen = 13, "default_open", "Nothing speaks against it and the group's default is open.";
    NotListed = 14, "not_listed", "The group reaches only what is allow-listed, and this is not.";
    Handshake = 15, "handshake", "A TCP segment without data, before anything could be judged.";
    HelloPending = 16, "hello_pending", "Part of a hello whose name is not complete yet.";
    OutOfOrder = 17, "out_of_order", "Not the next segment of the hello; TCP sends it again in order.";
    Conflict = 18, "conflict", "The same sequence numbers with other content.";
    Unnamed = 19, "unnamed", "The hello names no host.";
    EncryptedName = 20, "encrypted_name", "The hello's name is encrypted (ECH).";
    Malformed = 21, "malformed", "The hello or request contradicts its own lengths.";
    UnknownProtocol = 22, "unknown_protocol", "The first payload is of no protocol that names a host.";
    Fragment = 23, "fragment", "An IP fragment to a filtered destination.";
    Tunnel = 24, "tunnel", "A tunnel or VPN protocol.";
    SpoofedSource = 25, "spoofed_source", "The source address does not belong to the room.";
    QuicRefused = 26, "quic_refused", "QUIC that cannot be judged; browsers fall back to TCP.";
    QuicVersion = 27, "quic_version", "A QUIC version without published keys.";
    QuicBudget = 28, "quic_budget", "Over the budget for QUIC hellos.";
    HelloTooLong = 29, "hello_too_long", "The name did not come within the bytes that are inspected.";
    Sslv2 = 30, "sslv2", "An SSLv2 hello.";
    Ipv6Headers = 31, "ipv6_headers", "An IPv6 header chain that is unknown or too long.";
    TagStack = 32, "tag_stack", "More than two VLAN tags.";
    Midstream = 33, "midstream", "Data of a connection whose start was not seen.";
    BadTcp = 34, "bad_tcp", "TCP that no client sends before its hello is through.";
    Truncated = 35, "truncated", "A header reaches past the end of the frame.";
    NotIp = 36, "not_ip", "A protocol beside IP that is not needed to keep the LAN alive.";
    Resolver = 37, "resolver", "A name service other than the school's.";
    EchKeys = 38, "ech_keys", "HTTPS and SVCB queries are answered empty, so that names stay readable.";
    SafeSearch = 39, "safe_search", "Answered with the provider's safe address.";
    DnsRate = 40, "dns_rate", "More long random names than anyone looks up.";
    Proxy = 41, "proxy", "A proxy request that names no target.";
    Canary = 42, "canary", "The browsers' canary name, answered as their vendors ask.";
    DnsAnswer = 43, "dns_answer", "A DNS query whose name is allowed.";
    Shadow = 44, "shadow", "Only for comparison: another policy would have judged otherwise.";
    Internal = 45, "internal", "A table of the filter is missing or full: nothing passes unjudged.";
    SourceRoute = 46, "source_route", "A source route: the packet goes on to another destination.";
}

impl Reason {
    /// How many numbers a counter table needs per room and verdict.
    pub const COUNT: usize = 48;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_fit_the_counters() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
            assert_eq!(Reason::from_u8(i as u8), *reason);
        }
        assert!(Reason::ALL.len() <= Reason::COUNT);
    }

    #[test]
    fn an_unknown_verdict_never_passes() {
        for raw in 3..=255 {
            assert_eq!(Verdict::from_u8(raw), Verdict::Drop);
        }
    }
}
