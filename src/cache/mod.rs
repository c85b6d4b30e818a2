//! The cache engine: one value of any kind, read without a lock and refreshed by one fetch at a time. Nothing in it
//! knows tokens or HTTP.

pub(crate) mod backoff;
pub(crate) mod circuit_breaker;
pub(crate) mod control;
pub(crate) mod entry;
pub(crate) mod flight;
pub(crate) mod landing;
pub(crate) mod loader;
pub(crate) mod lru_map;
#[cfg(all(test, shuttle))]
mod model;
pub(crate) mod pilot;
pub(crate) mod slot;
pub(crate) mod sync;
pub(crate) mod wait;
pub(crate) mod window;
