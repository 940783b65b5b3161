use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Class, IncidentId, Priority};

/// What a message does to what the channel shows of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Something is wrong: page somebody, create the ticket.
    Trigger,
    /// Somebody has it.
    Acknowledge,
    /// Something to know; pages nobody where the channel can do so.
    Update,
    /// It is over: close the ticket.
    Resolve,
}

/// What is said, before a channel gives it its shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub incident: IncidentId,
    pub act: Act,
    pub priority: Priority,
    pub class: Class,
    /// Whose data it holds; `None`: nobody's in particular. A channel for some tenants only carries
    /// nothing else than theirs.
    #[serde(default)]
    pub tenant: Option<String>,
    /// One line.
    pub title: String,
    /// Why the recipient is told, and what is known; a few sentences, plain text.
    pub text: String,
    /// Figures and names, as they are shown.
    pub facts: Vec<(String, String)>,
    /// The page of the incident, where a public address is known and the recipient may see it.
    pub link: Option<String>,
    pub at: DateTime<Utc>,
}

/// Where a message goes: a channel of the estate, and who there.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Name of a channel in the estate.
    pub channel: String,
    /// As the channel understands it: a mail address for mail, empty where the channel has one
    /// recipient only.
    #[serde(default)]
    pub to: String,
}

/// One message to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Names the reason to tell: the same reason is told once. Letters, digits, `-` and `.`.
    pub id: String,
    /// For people: `l3 (person-3)`, `ticket`, `tenant tenant-a`.
    pub recipient: String,
    /// The first that works is used.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    pub message: Message,
}
