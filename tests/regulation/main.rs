//! The school's regulation, clause by clause, on the policy of the example
//! school: what the software shows of each without a network. What needs
//! packets is tested under `kernel` and `lab`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed case shall panic, in its helpers too"
)]

mod clause_2_01_timetable;
mod clause_2_04_academic_year;
mod clause_2_05_persons_and_rooms;
mod clause_2_06_matrix;
mod clause_2_07_incidents;
mod clause_2_08_leases;
mod clause_2_09_supervision;
mod clause_2_10_teachers;
mod clause_2_11_listed_only;
mod clause_2_12_what_cannot_be_judged;
mod clause_2_13_audit;
mod clause_2_14_personal_data;
mod clause_3_1_payments;
mod clause_3_2_grants;
mod clause_3_3_locked;
mod clause_3_4_reports;
mod school;
mod table;
