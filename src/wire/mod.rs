//! One call of a JSON API: how its responses are read, and what of them may be shown.

pub(crate) mod echo;
pub(crate) mod loopback;
#[cfg(feature = "transport")]
pub(crate) mod percent;
pub(crate) mod redact;
pub(crate) mod response;
