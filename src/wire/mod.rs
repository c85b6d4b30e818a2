//! One call of a JSON API: how it is sent, how its response is read, and how the response is redacted.
//!
//! Nothing in here depends on a transport: a call is sent through any function that sends requests.

pub(crate) mod call;
pub(crate) mod json;
#[cfg(feature = "transport")]
pub(crate) mod percent;
pub(crate) mod profile;
pub(crate) mod redact;
pub(crate) mod time;
