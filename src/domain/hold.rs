use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ChangeId;

/// Why a change is held back. People, reports and tests all read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum Hold {
    /// Somebody turned the kill switch on.
    KillSwitch { by: String, reason: String },
    /// The resource is not in the estate.
    OutsideEstate,
    /// A developer's credential acts on a subscription that was not named on the command line.
    SubscriptionNotNamed { subscription: String },
    /// Another change of the same resource is open.
    Owned { by: ChangeId },
    /// Another process has been changing the resource all the time.
    Busy,
    /// The run would touch too many things.
    BlastRadius { touches: u64, most: u64 },
    /// The run would touch too large a part of what is in the same place.
    Share {
        touches: u64,
        of: u64,
        most_percent: u64,
    },
    /// Changes of this kind are made at other times.
    OutsideWindow,
    /// The resource was changed a short while ago.
    CoolingDown { until: DateTime<Utc> },
    /// Enough changes of this kind were made within the hour.
    RateLimited { most_per_hour: u32 },
    /// The approval is not one of this change as it stands: one of them was edited.
    Edited,
    /// Who approved is who proposed.
    OwnProposal { by: String },
    /// Who approved may not.
    NotAnApprover { by: String },
    /// The approval came too late, or is too old.
    ApprovalExpired { at: DateTime<Utc> },
    /// The resource is not any more what it was when the change was proposed.
    MovedOn { expected: String, found: String },
    /// The resource must never be changed in this way.
    Protected { why: String },
    /// The process lost the right to change the resource.
    LeaseLost,
}

impl Hold {
    /// Whether it passes, so that the same change may be made at another time, or when somebody
    /// else approves it.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::KillSwitch { .. }
            | Self::SubscriptionNotNamed { .. }
            | Self::Owned { .. }
            | Self::Busy
            | Self::OutsideWindow
            | Self::CoolingDown { .. }
            | Self::RateLimited { .. }
            | Self::OwnProposal { .. }
            | Self::NotAnApprover { .. }
            | Self::LeaseLost => true,
            Self::OutsideEstate
            | Self::BlastRadius { .. }
            | Self::Share { .. }
            | Self::Edited
            | Self::ApprovalExpired { .. }
            | Self::MovedOn { .. }
            | Self::Protected { .. } => false,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillSwitch { by, reason } => {
                write!(f, "the kill switch is on, turned by {by}: {reason}")
            }
            Self::OutsideEstate => f.write_str("the resource is not in the estate"),
            Self::SubscriptionNotNamed { subscription } => write!(
                f,
                "a developer's credential acts only on a subscription that is named: --subscription {subscription}"
            ),
            Self::Owned { by } => write!(f, "change {by} of the same resource is open"),
            Self::Busy => f.write_str("the resource is being changed by another process"),
            Self::BlastRadius { touches, most } => write!(
                f,
                "the run would touch {touches} things, and most_per_run is {most}"
            ),
            Self::Share {
                touches,
                of,
                most_percent,
            } => write!(
                f,
                "the run would touch {touches} of {of}, and most_share_percent is {most_percent}"
            ),
            Self::OutsideWindow => f.write_str("no window for changes of this kind is open"),
            Self::CoolingDown { until } => write!(
                f,
                "the resource was changed a short while ago: it is left alone until {}",
                until.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            Self::RateLimited { most_per_hour } => write!(
                f,
                "{most_per_hour} changes of this kind were made within the hour"
            ),
            Self::Edited => f.write_str("what was approved is not the change as it stands"),
            Self::OwnProposal { by } => write!(f, "{by} proposed it and cannot approve it"),
            Self::NotAnApprover { by } => write!(f, "{by} may not approve changes of this kind"),
            Self::ApprovalExpired { at } => {
                write!(
                    f,
                    "approvals were good until {}",
                    at.format("%Y-%m-%d %H:%M UTC")
                )
            }
            Self::MovedOn { expected, found } => {
                write!(
                    f,
                    "it was to be {expected} before the change, and is {found}"
                )
            }
            Self::Protected { why } => f.write_str(why),
            Self::LeaseLost => {
                f.write_str("this process was paused and lost the right to change the resource")
            }
        }
    }
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Outcome {
    /// A dry run: it would have been proposed or made.
    Planned,
    /// The mode is observe: it is recorded, and nothing else.
    Observed,
    AwaitingApproval {
        until: DateTime<Utc>,
        /// Why it waits where changes of its kind are made by themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Nobody decided about it in time.
    Expired {
        at: DateTime<Utc>,
    },
    Rejected {
        by: String,
        reason: String,
    },
    Held {
        hold: Hold,
    },
    /// Made, read back, and found as wanted.
    Verified {
        seen: String,
    },
    /// Made, and not found as wanted when it was read back.
    NotVerified {
        wanted: String,
        seen: String,
    },
    /// Not made, as far as can be told.
    Failed {
        why: String,
    },
}

impl Outcome {
    /// Every name that [`Outcome::name`] gives.
    pub const NAMES: [&str; 9] = [
        "planned",
        "observed",
        "awaiting_approval",
        "expired",
        "rejected",
        "held",
        "verified",
        "not_verified",
        "failed",
    ];

    /// Whether nothing more can become of the change.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::AwaitingApproval { .. })
    }

    /// Its name, to filter by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Observed => "observed",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Expired { .. } => "expired",
            Self::Rejected { .. } => "rejected",
            Self::Held { .. } => "held",
            Self::Verified { .. } => "verified",
            Self::NotVerified { .. } => "not_verified",
            Self::Failed { .. } => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("planned only: this was a dry run"),
            Self::Observed => f.write_str("observed only: the mode is observe"),
            Self::AwaitingApproval { until, why } => {
                let until = until.format("%Y-%m-%d %H:%M UTC");
                write!(f, "waits for an approval until {until}")?;
                match why {
                    Some(why) => write!(f, ": {why}"),
                    None => Ok(()),
                }
            }
            Self::Expired { at } => write!(
                f,
                "nobody decided about it until {}",
                at.format("%Y-%m-%d %H:%M UTC")
            ),
            Self::Rejected { by, reason } => write!(f, "rejected by {by}: {reason}"),
            Self::Held { hold } => write!(f, "held: {hold}"),
            Self::Verified { seen } => write!(f, "verified: {seen}"),
            Self::NotVerified { wanted, seen } => {
                write!(f, "not verified: wanted {wanted}, seen {seen}")
            }
            Self::Failed { why } => write!(f, "failed: {why}"),
        }
    }
}
