//! Programs behind a tail call, by their position in `TAIL`.

/// A program that another one may jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tail {
    Judge = 0,
    Inspect = 1,
    InspectHttp = 2,
    Conclude = 3,
    Reply = 4,
    Resend = 5,
    InspectDns = 6,
    Quic = 7,
    QuicWalk = 8,
    JudgeDns = 9,
    DnsStream = 10,
    ReplyQuic = 11,
    SealQuic = 12,
}

impl Tail {
    /// Every slot with the name of its program in the object.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Judge, "judge"),
        (Self::Inspect, "inspect"),
        (Self::InspectHttp, "inspect_http"),
        (Self::Conclude, "conclude"),
        (Self::Reply, "reply"),
        (Self::Resend, "resend"),
        (Self::InspectDns, "inspect_dns"),
        (Self::Quic, "quic"),
        (Self::QuicWalk, "quic_walk"),
        (Self::JudgeDns, "judge_dns"),
        (Self::DnsStream, "dns_stream"),
        (Self::ReplyQuic, "reply_quic"),
        (Self::SealQuic, "seal_quic"),
    ];
    /// Entries of the map.
    pub const SLOTS: usize = 16;
}
