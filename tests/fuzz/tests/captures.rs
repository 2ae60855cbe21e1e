//! Hellos of real clients: the name, on the frame that completes it.

use filter_fuzz::capture;
use filter_fuzz::{Answer, judge};

/// A row of `expected.tsv`.
struct Row<'a> {
    file: &'a str,
    port: u16,
    host: &'a str,
    frame: usize,
}

fn rows(table: &str) -> anyhow::Result<Vec<Row<'_>>> {
    let mut rows = Vec::new();
    for line in table.lines() {
        let row: Vec<_> = line.split('\t').collect();
        if let [file, "tls", _, port, _, _, _, host, frame, _] = row[..] {
            let (port, frame) = (port.parse()?, frame.parse()?);
            rows.push(Row {
                file,
                port,
                host,
                frame,
            });
        }
    }
    Ok(rows)
}

#[test]
fn t01_every_client_is_named_on_the_frame_that_completes_its_hello() {
    let table = std::fs::read_to_string(capture::folder().join("expected.tsv")).unwrap();
    let rows = rows(&table).unwrap();
    assert!(rows.len() >= 17, "{} rows", rows.len());
    for row in rows {
        let clients = capture::clients(&capture::folder().join(row.file)).unwrap();
        let segments = &clients[&row.port];
        let mut stream = Vec::new();
        let mut cuts = Vec::new();
        let mut named_in = None;
        for segment in segments {
            let next = segments[0].sequence.wrapping_add(stream.len() as u32);
            assert_eq!(segment.sequence, next, "{}: in order", row.file);
            stream.extend_from_slice(&segment.payload);
            let judged = judge(&stream, &cuts);
            cuts.push(stream.len());
            if judged.answer != Answer::More {
                assert_eq!(judged.answer, Answer::Name(row.host.into()), "{}", row.file);
                named_in = Some(segment.frame);
                break;
            }
        }
        assert_eq!(named_in, Some(row.frame), "{}", row.file);
    }
}

#[test]
fn t02_every_client_in_segments_of_one_byte_and_every_cut() {
    let table = std::fs::read_to_string(capture::folder().join("expected.tsv")).unwrap();
    for row in rows(&table).unwrap() {
        let clients = capture::clients(&capture::folder().join(row.file)).unwrap();
        let hello = clients[&row.port]
            .iter()
            .take_while(|s| s.frame <= row.frame);
        let stream: Vec<u8> = hello.flat_map(|s| s.payload.clone()).collect();
        let whole = judge(&stream, &[]);
        assert_eq!(whole.answer, Answer::Name(row.host.into()), "{}", row.file);
        let bytes: Vec<usize> = (1..stream.len()).collect();
        assert_eq!(judge(&stream, &bytes).answer, whole.answer, "{}", row.file);
        for cut in 1..stream.len() {
            assert_eq!(
                judge(&stream, &[cut]).answer,
                whole.answer,
                "{} cut at {cut}",
                row.file
            );
        }
    }
}
