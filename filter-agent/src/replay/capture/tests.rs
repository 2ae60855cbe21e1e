use super::*;

/// Everything that comes out of a file, and the error it ends with.
fn read(bytes: &[u8]) -> (Vec<Record>, Option<CaptureError>) {
    let mut records = Vec::new();
    let mut capture = match Capture::new(bytes) {
        Ok(capture) => capture,
        Err(error) => return (records, Some(error)),
    };
    loop {
        let mut record = Record::default();
        match capture.next(&mut record) {
            Ok(true) => records.push(record),
            Ok(false) => return (records, None),
            Err(error) => return (records, Some(error)),
        }
    }
}

struct Writer {
    bytes: Vec<u8>,
    big: bool,
}

impl Writer {
    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
        self
    }

    fn pcap(big: bool, magic: u32, network: u32) -> Self {
        let mut writer = Self {
            bytes: Vec::new(),
            big,
        };
        writer.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535);
        writer.u32(network);
        writer
    }

    fn record(&mut self, seconds: u32, fraction: u32, original: u32, data: &[u8]) {
        self.u32(seconds).u32(fraction);
        self.u32(data.len() as u32).u32(original);
        self.bytes.extend(data);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let len = padded as u32 + 12;
        self.u32(kind).u32(len);
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len() + padded - body.len(), 0);
        self.u32(len);
    }

    fn body(&self) -> Self {
        Self {
            bytes: Vec::new(),
            big: self.big,
        }
    }

    fn section(&mut self) {
        let mut body = self.body();
        body.u32(0x1a2b_3c4d).u16(1).u16(0);
        body.u32(u32::MAX).u32(u32::MAX);
        self.block(0x0a0d_0d0a, &body.bytes);
    }

    fn interface(&mut self, link_type: u16, resolution: Option<u8>) {
        let mut body = self.body();
        body.u16(link_type).u16(0).u32(0);
        if let Some(resolution) = resolution {
            body.u16(9).u16(1);
            body.bytes.extend([resolution, 0, 0, 0]);
            body.u16(0).u16(0);
        }
        self.block(1, &body.bytes);
    }

    fn enhanced(&mut self, interface: u32, stamp: u64, original: u32, data: &[u8]) {
        let mut body = self.body();
        body.u32(interface)
            .u32((stamp >> 32) as u32)
            .u32(stamp as u32);
        body.u32(data.len() as u32).u32(original);
        body.bytes.extend(data);
        self.block(6, &body.bytes);
    }
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    for big in [false, true] {
        for (magic, fraction) in [(0xa1b2_c3d4, 5), (0xa1b2_3c4d, 5_000)] {
            let mut file = Writer::pcap(big, magic, 113);
            file.record(7, fraction, 9, b"abc");
            file.record(8, 0, 0, b"");
            let (records, error) = read(&file.bytes);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(records.len(), 2);
            assert_eq!(records[0].number, 1);
            assert_eq!(records[0].time, 7_000_005_000);
            assert_eq!(records[0].link_type, 113);
            assert_eq!(records[0].original_len, 9);
            assert_eq!(records[0].data, b"abc");
            assert_eq!((records[1].number, records[1].data.len()), (2, 0));
        }
    }
}

#[test]
fn pcap_with_a_frame_check_sequence_loses_it() {
    let mut file = Writer::pcap(false, 0xa1b2_c3d4, 1 | 1 << 26 | 2 << 28);
    file.record(0, 0, 8, b"frameFCS");
    let (records, _) = read(&file.bytes);
    assert_eq!(records[0].data, b"fram");
    assert_eq!(records[0].link_type, 1);
}

#[test]
fn pcapng_with_interfaces_of_their_own_kind_and_clock() {
    for big in [false, true] {
        let mut file = Writer {
            bytes: Vec::new(),
            big,
        };
        file.section();
        file.interface(1, None);
        file.interface(101, Some(9));
        file.interface(276, Some(0x80 | 10));
        file.block(0x0bad, b"skip me");
        file.enhanced(0, 3_000_001, 3, b"one");
        file.enhanced(1, 3_000_000_001, 300, b"three");
        file.enhanced(2, 3 << 10, 2, b"ab");
        let mut old = file.body();
        old.u16(1).u16(0).u32(0).u32(42).u32(1).u32(1);
        old.bytes.push(b'x');
        file.block(2, &old.bytes);
        let mut simple = file.body();
        simple.u32(4);
        simple.bytes.extend(b"wxyz");
        file.block(3, &simple.bytes);
        // A second section starts its interfaces anew.
        file.section();
        file.interface(228, None);
        file.enhanced(0, 1, 1, b"v");
        let (records, error) = read(&file.bytes);
        assert!(error.is_none(), "{error:?}");
        let seen: Vec<_> = records
            .iter()
            .map(|r| {
                (
                    r.number,
                    r.time,
                    r.link_type,
                    r.original_len,
                    r.data.as_slice(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (1, 3_000_001_000, 1, 3, b"one".as_slice()),
                (2, 3_000_000_001, 101, 300, b"three"),
                (3, 3_000_000_000, 276, 2, b"ab"),
                (4, 42, 101, 1, b"x"),
                (5, 0, 1, 4, b"wxyz"),
                (6, 1_000, 228, 1, b"v"),
            ]
        );
    }
}

#[test]
fn a_file_cut_at_any_byte_gives_the_frames_before_the_cut() {
    let mut pcap = Writer::pcap(false, 0xa1b2_c3d4, 1);
    pcap.record(1, 0, 4, b"1234");
    let first = pcap.bytes.len();
    pcap.record(2, 0, 4, b"5678");
    for cut in 0..pcap.bytes.len() {
        let (records, error) = read(&pcap.bytes[..cut]);
        let whole = cut == first || cut == 24;
        assert_eq!(error.is_none(), whole, "cut at {cut}: {error:?}");
        assert_eq!(records.len(), usize::from(cut >= first));
        if cut > first {
            let message = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(message.contains(&format!("byte {first}")), "{message}");
        }
    }
    let mut ng = Writer {
        bytes: Vec::new(),
        big: true,
    };
    ng.section();
    ng.interface(1, None);
    let head = ng.bytes.len();
    ng.enhanced(0, 0, 3, b"abc");
    for cut in head + 1..ng.bytes.len() {
        let (records, error) = read(&ng.bytes[..cut]);
        assert!(records.is_empty());
        assert!(matches!(error, Some(CaptureError::Cut { offset, .. }) if offset == head as u64));
    }
}

#[test]
fn lies_are_told_with_their_place() {
    let mut file = Writer::pcap(false, 0xa1b2_c3d4, 1);
    file.record(1, 0, 2, b"ok");
    let place = file.bytes.len();
    file.u32(0).u32(0).u32(0x7fff_ffff).u32(0);
    let (records, error) = read(&file.bytes);
    assert_eq!(records.len(), 1);
    assert!(matches!(error, Some(CaptureError::Corrupt { offset, .. }) if offset == place as u64));

    let mut file = Writer {
        bytes: Vec::new(),
        big: false,
    };
    file.section();
    let place = file.bytes.len();
    file.enhanced(0, 0, 1, b"x");
    let (_, error) = read(&file.bytes);
    let message = error.map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains(&format!("byte {place}")), "{message}");
    assert!(message.contains("interface 0"), "{message}");

    for (start, word) in [
        (b"".as_slice(), "empty"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"GET / HTTP/1.1", "47"),
        (b"\x0a\x0d", "0d"),
    ] {
        let message = read(start).1.map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn noise_never_panics_and_always_ends() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut ng = Writer {
        bytes: Vec::new(),
        big: false,
    };
    ng.section();
    ng.interface(1, Some(6));
    for i in 0..8 {
        ng.enhanced(0, i, 5, b"hello");
    }
    let mut pcap = Writer::pcap(true, 0xa1b2_3c4d, 1);
    for i in 0..8 {
        pcap.record(i, 0, 5, b"hello");
    }
    for _ in 0..20_000 {
        for original in [&ng.bytes, &pcap.bytes] {
            let mut bytes = original.clone();
            for _ in 0..3 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let at = seed as usize % bytes.len();
                bytes[at] = (seed >> 32) as u8;
            }
            let (records, _) = read(&bytes);
            assert!(records.len() <= 64);
        }
    }
}
