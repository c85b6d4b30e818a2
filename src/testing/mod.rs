//! An IDaaS to test against, in process.

mod clock;
mod environment;

pub use clock::ManualClock;
pub use environment::ManualEnvironment;
