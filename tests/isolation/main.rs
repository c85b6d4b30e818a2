//! One party's trouble stays its own: load with a trouble-maker beside the same load without one.
//!
//! `IDAAS_ISOLATION_SECONDS` sets how long each scene lasts (1 s by default); `--nocapture` shows the tables. What is
//! measured on a busy machine is compared with a control by a generous ratio, and measured once more before it fails.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::print_stdout, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "the clock and the variable of the test itself")]

mod burst;
mod issuer;
mod rejections;
mod subjects;

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tower_idaas::{Idaas, SubjectToken};

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

/// Asks again once: a machine that is busy with other tests may spoil a measurement, and not twice.
fn measured(scene: impl Fn() -> Result<(), String>) {
    if let Err(first) = scene()
        && let Err(second) = scene()
    {
        panic!("{first}; and again: {second}");
    }
}

fn exchange(idaas: &Idaas, subject: String) -> impl Future<Output = bool> + Send + 'static {
    let idaas = idaas.clone();
    async move { idaas.exchange(&SubjectToken::access_token(subject)).await.is_ok() }
}

/// Exchanges them all at once; how many have failed.
async fn exchange_all(idaas: &Idaas, subjects: impl IntoIterator<Item = String>) -> usize {
    let calls: JoinSet<bool> = subjects.into_iter().map(|subject| exchange(idaas, subject)).collect();
    calls.join_all().await.into_iter().filter(|served| !served).count()
}

/// What came of the calls of one party.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    served: usize,
    failed: usize,
    p50: Duration,
    p99: Duration,
}

impl Calls {
    /// A call every `step`, as many as are due in `length`: late ones are made up for.
    async fn every<F: Future<Output = bool> + Send + 'static>(
        step: Duration,
        length: Duration,
        call: impl Fn(usize) -> F,
    ) -> Self {
        let (mut calls, mut ticks) = (JoinSet::new(), tokio::time::interval(step));
        let count = length.div_duration_f64(step) as usize;
        for number in 0..count {
            ticks.tick().await;
            let call = call(number);
            calls.spawn(async {
                let begun = Instant::now();
                (call.await, begun.elapsed())
            });
        }
        let results = calls.join_all().await;
        let served = results.iter().filter(|(served, _)| *served).count();
        let mut times: Vec<Duration> = results.into_iter().map(|(_, time)| time).collect();
        times.sort_unstable();
        let percentile =
            |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
        let [p50, p99] = [50, 99].map(|percent| percentile(percent).unwrap_or_default());
        Self { served, failed: count - served, p50, p99 }
    }

    /// None has failed, and the throughput and the latency are those of the control.
    fn compare(&self, control: &Self, slack: Duration) -> Result<(), String> {
        let enough = self.served as f64 >= control.served as f64 * 0.95;
        let in_time = self.p99 <= control.p99 * 2 + slack;
        if self.failed == 0 && enough && in_time {
            return Ok(());
        }
        Err(format!("{self} beside {control} in the control"))
    }
}

impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { served, failed, p50, p99 } = self;
        write!(f, "{served:>4} / {failed}, {p50:>7.1?}, {p99:>7.1?}")
    }
}
