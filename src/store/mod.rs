//! What Poolkeeper remembers: documents with etags, leases with fencing numbers, append logs and
//! queue messages, on Azure Blob and Queue Storage through the official SDK.
//!
//! There is one implementation. In the cloud it talks to Azure, locally to the simulated estate,
//! and the suite also runs it against Azurite. Nothing above this room sees an SDK type.
//!
//! Every operation may be repeated: the SDK's own retries are off, and `retry` knows which
//! answers are final. A conditional write whose acknowledgement was lost is recognised by reading
//! back what is there, so a caller never hears "somebody else did it" about its own write.

mod client;
mod documents;
mod error;
mod lease;
mod log;
mod queue;
mod retry;

pub use client::Store;
pub use documents::{Created, Etag, Page, Stored};
pub use error::Error;
pub use lease::{Fenced, Lease};
pub use log::LogTail;
