//! The example school: its policy, compiled with its lists.

use std::path::Path;

use filter_agent::calendar::access::{Clock, of_room};
use filter_agent::explain::{Overrides, Question, View};
use filter_agent::image::{Image, Input, Names, Ranges};
use filter_agent::lists::{Source, import};
use filter_agent::policy::{Gather, ListFrom, Policy};
use filter_agent::store::Who;
use filter_ebpf::abi::{Access, Reason, Secret, Verdict};
use jiff::Timestamp;

/// A lesson of room 101: Monday, lesson 1 of the first shift.
pub(crate) const LESSON: &str = "2026-09-07T08:10";

pub(crate) fn policy() -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    Policy::load(&folder.join("../docs/examples/school-12-rooms.toml")).unwrap()
}

/// A moment by the school's clock.
pub(crate) fn at(policy: &Policy, local: &str) -> Timestamp {
    policy
        .timezone
        .to_timestamp(local.parse().unwrap())
        .unwrap()
}

pub(crate) fn who(uid: u32, name: &str) -> Who {
    Who {
        uid,
        name: name.to_owned(),
    }
}

pub(crate) struct School {
    pub(crate) policy: Policy,
    image: Image,
    secret: Secret,
    now: Timestamp,
}

impl School {
    /// The image as it is at a moment.
    pub(crate) fn at(local: &str) -> Self {
        let policy = policy();
        let now = at(&policy, local);
        let secret = filter_agent::kernel::fresh_secret().unwrap();
        let (mut names, mut ranges) = (Names::new(&secret), Ranges::default());
        policy.inline_ranges(&mut ranges).unwrap();
        for (category, this) in (0u8..).zip(&policy.categories) {
            let mut gather = Gather::new(&policy, category, &mut names, &mut ranges).unwrap();
            for list in &this.lists {
                let ListFrom::File(path) = &list.from else {
                    panic!("the example fetches nothing");
                };
                let path = policy.folder().join(path);
                gather.next_list();
                import(&Source::File(&path), &list.options(&policy), &mut gather).unwrap();
            }
            gather.finish().unwrap();
        }
        let image = Image::build(Input {
            generation: 1,
            links: vec![1],
            unknown_vlan: policy.network.unknown_vlan,
            when_stale: policy.network.when_stale,
            trace: false,
            hello_cap: policy.network.hello_cap,
            quic_budget: policy.network.quic_budget,
            groups: policy.image_groups(now),
            rooms: policy.image_rooms(now),
            categories: policy.categories.len() as u8,
            names,
            ranges,
            safe_search: policy.image_safe_search(),
        });
        Self {
            policy,
            image: image.unwrap(),
            secret,
            now,
        }
    }

    /// The door of a room as the timetable has it, without a lease.
    pub(crate) fn door(&self, room: &str) -> Access {
        let room = self.policy.room(room).unwrap();
        let group = usize::from(self.image.rooms[room].group);
        let mut access = Access::UNKNOWN;
        of_room(&self.policy, room, group, self.clock()).write(&mut access);
        access
    }

    /// Likewise, and a teacher holds it until the bell.
    pub(crate) fn held(&self, room: &str) -> Access {
        let mut access = self.door(room);
        access.lease_until = access.spans[0].end;
        access
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock {
            wall: self.now,
            monotonic: 1 << 40,
        }
    }

    /// What the kernel would say to a client hello.
    pub(crate) fn ask(&self, room: &str, access: &Access, host: Option<&str>) -> (Verdict, Reason) {
        self.ask_at(room, access, self.clock().monotonic, host)
    }

    /// The same at another moment of the kernel's clock.
    pub(crate) fn ask_at(
        &self,
        room: &str,
        access: &Access,
        now: u64,
        host: Option<&str>,
    ) -> (Verdict, Reason) {
        self.ask_with(room, access, now, host, Overrides::default())
    }

    /// The same with what was blocked or granted just now.
    pub(crate) fn ask_with(
        &self,
        room: &str,
        access: &Access,
        now: u64,
        host: Option<&str>,
        overrides: Overrides,
    ) -> (Verdict, Reason) {
        let view = View::new(&self.image, &self.secret);
        let question = Question {
            room: self.policy.room(room).unwrap() as u16,
            access,
            now,
            host,
            address: Some("198.51.100.7".parse().unwrap()),
            overrides,
        };
        let answer = view.ask(&question).unwrap();
        (answer.verdict, answer.reason)
    }

    /// The verdict and the reason in a room that its teacher holds.
    pub(crate) fn says(&self, room: &str, host: &str) -> (Verdict, Reason) {
        self.ask(room, &self.held(room), Some(host))
    }
}
