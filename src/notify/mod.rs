//! Telling people and ticket systems: one outbox in front of all channels.
//!
//! Whoever has something to say posts a [`Notice`](crate::domain::Notice); it is durable then. The
//! outbox hands it to its channel, at least once, in order for each incident, channel and recipient;
//! what cannot be delivered goes to the next contact.

mod channels;
mod http;
mod outbox;
mod pause;
mod reach;
mod route;
mod trial;
mod words;

pub use channels::Ticket;
pub(crate) use http::client;
pub use outbox::{
    Attempt, Delivered, Drained, Outcome, Told, ToldState, Waiting, deliver, drain, forget, kept,
    last_posted, pending, post, told,
};
pub use trial::{Answered, Trial, trial};
