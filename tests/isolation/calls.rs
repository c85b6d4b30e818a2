//! What came of one party's calls, and whether that is what came of them without the trouble-maker.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tower_idaas::{Idaas, SubjectToken};

pub fn exchange(idaas: &Idaas, subject: String) -> impl Future<Output = bool> + Send + 'static {
    let idaas = idaas.clone();
    async move { idaas.exchange(&SubjectToken::access_token(subject)).await.is_ok() }
}

/// A token of the handle's own, for a scope that is new.
pub fn own_token(idaas: &Idaas, number: usize) -> impl Future<Output = bool> + Send + 'static {
    let (idaas, scope) = (idaas.clone(), format!("api://{number}|read").parse().unwrap());
    async move { idaas.token_for(&scope).await.is_ok() }
}

/// Exchanges them all at once.
pub async fn exchange_all(idaas: &Idaas, subjects: impl IntoIterator<Item = String>) -> Calls {
    let started = Instant::now();
    let calls: JoinSet<(bool, Duration)> =
        subjects.into_iter().map(|subject| timed(exchange(idaas, subject))).collect();
    Calls::of(calls.join_all().await, started.elapsed())
}

pub async fn timed(call: impl Future<Output = bool>) -> (bool, Duration) {
    let begun = Instant::now();
    (call.await, begun.elapsed())
}

/// What came of the calls of one party.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    pub served: usize,
    pub failed: usize,
    /// Until the last one had ended.
    pub took: Duration,
    pub p50: Duration,
    pub p99: Duration,
}

impl Calls {
    pub fn of(results: Vec<(bool, Duration)>, took: Duration) -> Self {
        let served = results.iter().filter(|(served, _)| *served).count();
        let failed = results.len() - served;
        let mut times: Vec<Duration> = results.into_iter().map(|(_, time)| time).collect();
        times.sort_unstable();
        let percentile = |percent: usize| {
            times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied()
        };
        let [p50, p99] = [50, 99].map(|percent| percentile(percent).unwrap_or_default());
        Self { served, failed, took, p50, p99 }
    }

    /// A call every `step`, as many as are due in `length`: late ones are made up for.
    pub async fn every<F: Future<Output = bool> + Send + 'static>(
        step: Duration,
        length: Duration,
        call: impl Fn(usize) -> F,
    ) -> Self {
        let (mut calls, mut ticks) = (JoinSet::new(), tokio::time::interval(step));
        let started = Instant::now();
        for number in 0..length.div_duration_f64(step) as usize {
            ticks.tick().await;
            calls.spawn(timed(call(number)));
        }
        Self::of(calls.join_all().await, started.elapsed())
    }

    /// What came of it beside the same calls without the trouble-maker.
    pub fn beside(&self, control: &Self) -> Beside {
        let throughput = self.served as f64 / control.served as f64;
        let calls = self.served + self.failed;
        Beside { calls, failed: self.failed, throughput, p99: self.p99, control: control.p99 }
    }

    /// None has failed, the throughput is at least 95 % of the control's, and the 99th percentile at most twice that.
    /// `slack` is what a machine that is busy with other tests may add to a time.
    pub fn compare(&self, control: &Self, slack: Duration) -> Result<(), String> {
        let Beside { failed, throughput, .. } = self.beside(control);
        let in_time = self.p99 <= control.p99 * 2 + slack;
        if failed == 0 && throughput >= 0.95 && in_time {
            return Ok(());
        }
        Err(format!("{self} beside {control} in the control"))
    }
}

/// Three cells of a table.
impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { served, failed, .. } = self;
        let [p50, p99] = [self.p50, self.p99].map(|time| time.as_secs_f64() * 1e3);
        write!(f, "{served} / {failed} | {p50:.1} | {p99:.1}")
    }
}

/// The worst that came of one party's calls beside a trouble-maker.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    calls: usize,
    failed: usize,
    /// The share of the control's calls that were served in the same time.
    throughput: f64,
    p99: Duration,
    control: Duration,
}

impl Beside {
    pub const COLUMNS: &str = "failed | throughput, of that without | p99, ms | without";

    /// Of two trouble-makers.
    pub fn and(self, other: Self) -> Self {
        let excess = |beside: &Self| beside.p99.saturating_sub(beside.control);
        let slower = if excess(&self) < excess(&other) { other } else { self };
        Self {
            calls: self.calls + other.calls,
            failed: self.failed + other.failed,
            throughput: self.throughput.min(other.throughput),
            ..slower
        }
    }
}

/// Four cells of a table.
impl std::fmt::Display for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { calls, failed, throughput, .. } = self;
        let [p99, control] = [self.p99, self.control].map(|time| time.as_secs_f64() * 1e3);
        write!(f, "{failed} of {calls} | {throughput:.2} | {p99:.1} | {control:.1}")
    }
}
