//! 3.1: use is for education; no paid services.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School};

#[test]
fn pupils_and_guests_reach_no_payment_service() {
    let school = School::at(LESSON);
    for host in ["paypal.com", "www.paypal.com", "mbank.kg"] {
        assert_eq!(
            school.says("101", host),
            (Verdict::Reject, Reason::NameDenied),
            "{host}"
        );
    }
    let friday = School::at("2026-09-11T17:00");
    assert_eq!(
        friday.says("assembly hall", "paypal.com"),
        (Verdict::Reject, Reason::NameDenied)
    );
}
