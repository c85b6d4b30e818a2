//! One call of a JSON API: how it is sent, how its response is read, and what of that may be shown.
//!
//! Nothing in here knows a transport: a call is sent through whatever sends requests.

pub(crate) mod call;
mod json;
#[cfg(feature = "transport")]
pub(crate) mod percent;
pub(crate) mod profile;
pub(crate) mod redact;
pub(crate) mod time;
