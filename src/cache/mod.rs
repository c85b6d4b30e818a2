//! The cache engine: one value of any kind, read without a lock and refreshed by one fetch at a time. Nothing in it
//! knows tokens or HTTP.

pub(crate) mod admission;
pub(crate) mod backoff;
pub(crate) mod circuit_breaker;
pub(crate) mod entry;
pub(crate) mod heartbeat;
pub(crate) mod in_flight;
pub(crate) mod limiter;
pub(crate) mod loader;
pub(crate) mod lru_map;
#[cfg(all(test, shuttle))]
mod memory_model;
#[cfg(all(test, shuttle))]
mod model;
pub(crate) mod recheck;
pub(crate) mod refresh;
pub(crate) mod rejections;
pub(crate) mod slot;
pub(crate) mod sync;
pub(crate) mod window;
