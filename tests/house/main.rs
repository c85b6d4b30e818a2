//! The public names, the rooms, the index of guarantees, the documents and their pictures.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its part of what they share")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(clippy::disallowed_methods, reason = "the clock of the test itself")]

mod documents;
mod guarantees;
mod observability;
mod pictures;
mod public_names;
mod rooms;
mod samples;
