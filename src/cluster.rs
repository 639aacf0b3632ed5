//! What talks to an API server: the CA that all replicas share, and the caBundles of the webhooks.
//!
//! Invariants: nothing of somebody else's is overwritten; each write is made under the version that was read, or owns one
//! field only; losing the API server loses nothing that is served.

pub mod authority;
pub mod bundle;
pub mod ca;
pub mod keeper;
