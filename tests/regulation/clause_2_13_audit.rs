//! 2.13: who may change what is named, and every change is written down.

use filter_agent::control::api::*;
use filter_agent::control::{Command, Role};
use filter_agent::store::{Store, audit, blocks};

use crate::school::{LESSON, at, policy, who};

#[test]
fn roles_are_unix_groups_of_the_policy() {
    let roles = policy().roles;
    assert_eq!(roles.responsible, ["school-responsible"]);
    assert_eq!(roles.teacher, ["school-teachers"]);
}

/// With real users on the socket: `tests/agent/roles.rs`.
#[test]
fn opening_and_closing_is_for_the_appointed_employee() {
    fn least<C: Command>() -> Role {
        C::ROLE
    }
    let looks = [
        least::<StatusQuery>(),
        least::<RoomsQuery>(),
        least::<Explain>(),
    ];
    assert_eq!(looks, [Role::ReadOnly; 3]);
    let teaches = [
        least::<TakeLease>(),
        least::<ReleaseLease>(),
        least::<ReportHost>(),
    ];
    assert_eq!(teaches, [Role::Teacher; 3]);
    let opens_and_closes = [
        least::<SetRoom>(),
        least::<AddGrant>(),
        least::<RevokeGrant>(),
        least::<AddBlock>(),
        least::<LiftBlock>(),
        least::<CouncilDecision>(),
        least::<OpenIdentity>(),
        least::<AuditQuery>(),
    ];
    assert_eq!(opens_and_closes, [Role::Responsible; 8]);
    assert_eq!(
        [least::<ApplyPolicy>(), least::<Detach>()],
        [Role::Admin; 2]
    );
    // Each role may do what the ones before it may.
    assert!(Role::ReadOnly < Role::Teacher && Role::Teacher < Role::Responsible);
    assert!(Role::Responsible < Role::Admin);
}

#[test]
fn a_change_is_logged_with_who_when_what_and_why() {
    let now = at(&policy(), LESSON);
    let person = who(1002, "asanova");
    let mut store = Store::in_memory().unwrap();
    let block = |c: &_| {
        blocks::add(
            c,
            "bad.example",
            blocks::Kind::Block,
            &person,
            Some("seen in class"),
            now,
        )
    };
    store.change(&person, now, block).unwrap();
    let log = store
        .read(|c| audit::list(c, &audit::Filter::default()))
        .unwrap();
    let entry = log.first().unwrap();
    assert_eq!(
        (entry.who.as_str(), entry.at, entry.action.as_str()),
        ("asanova", now, "block.add")
    );
    assert_eq!(
        (entry.target.as_str(), entry.why.as_deref()),
        ("bad.example", Some("seen in class"))
    );
    assert!(entry.after.is_some());
    assert_eq!(store.read(audit::verify).unwrap(), None);
}
