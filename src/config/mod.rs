//! The vendor's `client-config.json`: found, read leniently, checked completely.

mod document;
pub(crate) mod endpoint;
mod load;
mod spelling;
