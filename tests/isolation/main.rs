//! One party's trouble stays its own: load with a trouble-maker beside the same load without one.
//!
//! The issuer is a process of its own, so that sockets and memory are those of the process that holds the handle.
//! `IDAAS_ISOLATION_SECONDS` sets how long each scene lasts (1 s by default); more than 2 s adds the larger scenes.
//!
//! ```console
//! $ IDAAS_ISOLATION_SECONDS=10 cargo test --all-features --test isolation -- --nocapture --test-threads=1
//! ```
//!
//! The tables: `served / failed` counts the calls of one party, `p50` and `p99` are their times in milliseconds, `token
//! requests` is what the issuer has counted and `in flight` the most of them at a time, `sockets` and `MiB` are the most
//! open sockets and resident memory of the handle's process. What is measured on a busy machine is compared with a
//! control by a generous ratio, and measured again before it fails.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the clock, the variables and the processes of the test itself"
)]

mod burst;
mod calls;
#[cfg(target_os = "linux")]
mod descriptors;
mod growth;
mod issuer;
mod issuer_process;
#[cfg(target_os = "linux")]
mod memory;
mod process;
mod rejections;
mod runtimes;
mod subjects;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;

/// What the default of `max_token_requests_in_flight` is.
const CAP: usize = 256;

/// One scene at a time: two would measure each other.
fn alone() -> MutexGuard<'static, ()> {
    static STAGE: Mutex<()> = Mutex::new(());
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scene_length() -> Duration {
    let seconds = std::env::var("IDAAS_ISOLATION_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.0))
}

/// Whether the scenes are longer than in CI.
fn is_long() -> bool {
    scene_length() > Duration::from_secs(2)
}

fn run<F: Future>(workers: usize, scene: F) -> F::Output {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap().block_on(scene)
}

/// Measures again: a machine that is busy with other tests may spoil a measurement, and not three in a row.
fn measured(scene: impl Fn() -> Result<(), String>) {
    let mut failures = Vec::new();
    while let Err(failure) = scene() {
        failures.push(failure);
        assert!(failures.len() < 3, "{}", failures.join("; and again: "));
    }
}

/// The head of a table in Markdown.
fn head(columns: &str) {
    println!("\n| {columns} |\n|{}", "---|".repeat(columns.split('|').count()));
}
