//! Every difference a fuzzer found, again; and that the document of the
//! explained ones is complete.

use std::path::Path;

use filter_fuzz::{Explained, Random, Target, files, judge, regressions};

#[test]
fn every_difference_found_is_settled() {
    for target in Target::ALL {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/libfuzzer/corpus");
        let corpus = files(&Path::new(corpus).join(target.name()), "bin").unwrap();
        assert!(corpus.len() >= 8, "{} of {}", corpus.len(), target.name());
        let found = files(&regressions(target), "bin").unwrap();
        for path in corpus.into_iter().chain(found) {
            let input = std::fs::read(&path).unwrap();
            // Many ways of cutting it.
            for index in 0..200 {
                let compared = target.compare(&input, &mut Random::new(1, index));
                assert!(compared.is_ok(), "{}: {compared:?}", path.display());
            }
        }
    }
}

/// Nothing a hello can be mutated into may cost the inspector its bounds:
/// a bounded run of the fuzzer itself.
#[test]
fn ten_thousand_mutated_inputs_without_an_unexplained_difference() {
    for target in Target::ALL {
        let seeds = filter_fuzz::seeds(target).unwrap();
        assert!(seeds.len() >= 8, "{} seeds", seeds.len());
        for index in 0..10_000 {
            let mut random = Random::new(2, index);
            let input = filter_fuzz::mutated(target, &seeds, &mut random);
            let compared = target.compare(&input, &mut random);
            assert!(compared.is_ok(), "input {index}: {compared:?}");
        }
    }
}

#[test]
fn the_judges_notice_a_wrong_answer() {
    use filter_fuzz::Answer;
    let head = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert_eq!(judge(head, &[]).answer, Answer::Name("a.example".into()));
    for wrong in [
        Answer::Name("b.example".into()),
        Answer::Unnamed,
        Answer::More,
    ] {
        assert!(
            Target::Http.hold_against(head, &wrong).is_err(),
            "{wrong:?}"
        );
    }
    let query = &filter_fuzz::seeds(Target::Dns).unwrap()[0];
    for wrong in [
        Answer::Name("b.example".into()),
        Answer::Unnamed,
        Answer::More,
        Answer::Failed(filter_ebpf::abi::Reason::Malformed),
    ] {
        assert!(
            Target::Dns.hold_against(query, &wrong).is_err(),
            "{wrong:?}"
        );
    }
    let hello = &filter_fuzz::seeds(Target::Tls).unwrap()[0];
    for wrong in [
        Answer::Name("b.example".into()),
        Answer::Unnamed,
        Answer::More,
    ] {
        assert!(
            Target::Tls.hold_against(hello, &wrong).is_err(),
            "{wrong:?}"
        );
    }
}

#[test]
fn every_explanation_is_written_down() {
    let text = include_str!("../explained.md");
    for explained in Explained::ALL {
        let heading = format!("## {}\n", explained.name());
        assert!(text.contains(&heading), "{heading}");
    }
    assert_eq!(text.matches("\n## ").count(), Explained::ALL.len());
}
