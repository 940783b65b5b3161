//! What is to be told, from when it is posted until it is delivered. All of it is in the store:
//!
//! - `outbox/notices/<incident>/<id>.json`: a notice and its place in the order of its incident. It
//!   is never changed; that it is there means that the notice was posted.
//! - `outbox/pending/<incident>/<lane>/<place>-<act and priority>-<id>.json`: a notice that a lane has still to
//!   deliver, and which of its contacts the lane is. A drain lists these and nothing else.
//! - `outbox/lanes/<incident>/<lane>.json`: what one channel was told of one incident for one
//!   recipient, with every attempt, and the ticket. It is changed under its lease alone, so two
//!   processes never send the same at once.
//! - `outbox/circuits/<channel>.json`: how a channel does.
//!
//! A lane is `<channel>`, or `<channel>.<hash of the recipient>`.
//!
//! Why attempts stand in the lane and not in the notice: their order is what they are for, and a lane
//! has one writer. A kill between sending and recording means that the letter is sent once more, with
//! the same key by which the channel knows it.

mod circuit;
mod drain;
mod forget;
mod lane;
mod post;
mod told;
mod work;

pub use drain::{Delivered, Drained, deliver, drain};
pub use forget::{forget, kept, last_posted};
pub use lane::{Attempt, Outcome};
pub use post::post;
pub use told::{Told, ToldState, Waiting, pending, told};

use crate::domain::{Act, Contact, IncidentId, Priority};
use sha2::{Digest as _, Sha256};

const NOTICES: &str = "outbox/notices/";
const PENDING: &str = "outbox/pending/";
const LANES: &str = "outbox/lanes/";

/// The lane of a contact.
fn lane_of(contact: &Contact) -> String {
    if contact.to.is_empty() {
        return contact.channel.clone();
    }
    let hash = format!("{:x}", Sha256::digest(contact.to.trim().to_lowercase()));
    format!("{}.{}", contact.channel, &hash[..12])
}

fn notice_document(incident: &IncidentId, id: &str) -> String {
    format!("{NOTICES}{incident}/{id}.json")
}

fn lane_document(incident: &IncidentId, lane: &str) -> String {
    format!("{LANES}{incident}/{lane}.json")
}

/// Which place in a lane's order a pending document has, and what it is about: all in its name, so
/// that a long queue is judged without reading it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pointer {
    incident: IncidentId,
    lane: String,
    place: u32,
    act: char,
    /// From 0, low, to 3, critical.
    priority: u8,
    notice: String,
}

impl Pointer {
    fn document(&self) -> String {
        let Self {
            incident,
            lane,
            place,
            act,
            priority,
            notice,
        } = self;
        format!("{PENDING}{incident}/{lane}/{place:06}-{act}{priority}-{notice}.json")
    }

    /// `None`: not a name that was given here.
    fn read(name: &str) -> Option<Self> {
        let mut parts = name
            .strip_prefix(PENDING)?
            .strip_suffix(".json")?
            .splitn(3, '/');
        let (incident, lane, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let mut parts = rest.splitn(3, '-');
        let (place, act, notice) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            incident: incident.parse().ok()?,
            lane: lane.to_owned(),
            place: place.parse().ok()?,
            act: act.chars().next()?,
            priority: act.get(1..)?.parse().ok()?,
            notice: notice.to_owned(),
        })
    }

    fn channel(&self) -> &str {
        self.lane.split('.').next().unwrap_or(&self.lane)
    }
}

fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Low => 0,
        Priority::Medium => 1,
        Priority::High => 2,
        Priority::Critical => 3,
    }
}

fn initial(act: Act) -> char {
    match act {
        Act::Trigger => 't',
        Act::Acknowledge => 'a',
        Act::Update => 'u',
        Act::Resolve => 'r',
    }
}

/// Names of notices are parts of paths.
fn fits_id(id: &str) -> bool {
    (1..=120).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && id != "."
        && id != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_all() {
        let pointer = Pointer {
            incident: "inc-0123456789ab-1".parse().expect("an id"),
            lane: "mail.0123456789ab".into(),
            place: 12,
            act: 'u',
            priority: 2,
            notice: "escalated-2.0".into(),
        };
        assert_eq!(Pointer::read(&pointer.document()), Some(pointer.clone()));
        assert_eq!(pointer.channel(), "mail");
        assert_eq!(Pointer::read("outbox/pending/x/y/z.json"), None);
        for (id, fits) in [
            ("opened.0", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a b", false),
        ] {
            assert_eq!(fits_id(id), fits, "{id}");
        }
    }

    #[test]
    fn a_recipient_is_no_part_of_a_path() {
        let contact = |to: &str| Contact {
            channel: "mail".into(),
            to: to.into(),
        };
        assert_eq!(lane_of(&contact("")), "mail");
        let lane = lane_of(&contact("A@example.com "));
        assert_eq!(lane, lane_of(&contact("a@example.com")));
        assert!(!lane.contains('@') && lane.starts_with("mail."), "{lane}");
    }
}
