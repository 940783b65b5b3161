//! Telling people and ticket systems: one outbox in front of all channels.
//!
//! Whoever has something to say posts a [`Notice`]; it is durable then. The outbox hands it to its
//! channel, at least once, in order for each incident, channel and recipient; what cannot be
//! delivered goes to the next contact.
