//! What all servers of this crate have in common: they listen, meet a script, and keep a log of requests.

pub(crate) mod behaviour;
pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod controls;
pub(crate) mod endpoint;
pub(crate) mod listener;
pub(crate) mod proxy;
mod request_log;
pub(crate) mod requests;
pub(crate) mod response;
mod script;
