//! Thousands of callers at once, none of whose tokens is cached.

use std::time::{Duration, Instant};

use crate::issuer::{BAD, Issuer};
use crate::{CAP, alone, exchange_all, is_long, measured, run};

const LATENCY: Duration = Duration::from_millis(300);

#[test]
fn a_cold_burst_runs_at_the_speed_that_the_issuer_and_the_limit_allow_and_none_fails() {
    let _alone = alone();
    println!("cold callers, issuer 300 ms | workers | took | bound | failed | peak in flight");
    for (callers, workers) in [(1_000, 1), (1_000, 2), (3_000, 1), (3_000, 2)] {
        if callers == 1_000 || is_long() {
            measured(|| scene(callers, workers));
        }
    }
}

fn scene(callers: u32, workers: usize) -> Result<(), String> {
    let issuer = Issuer::start(LATENCY, BAD[0]);
    let (took, failed) = run(workers, async {
        let idaas = issuer.handle();
        let started = Instant::now();
        let failed = exchange_all(&idaas, (0..callers).map(|number| format!("user-{number}"))).await;
        (started.elapsed(), failed)
    });
    // Seven places in eight are for exchanges.
    let share = LATENCY.mul_f64(f64::from(callers) / (CAP as f64 * 7.0 / 8.0));
    let bound = share.mul_f64(1.2) + Duration::from_secs(1);
    println!("{callers} | {workers} | {took:.2?} | {bound:.2?} | {failed} | {}", issuer.peak());
    assert_eq!((failed, issuer.requests()), (0, u64::from(callers)));
    assert!(issuer.peak() <= CAP, "{}", issuer.peak());
    // A machine that is busy with other tests may take longer; what grows with the callers would take far longer.
    if took < bound * 2 { Ok(()) } else { Err(format!("{callers} on {workers}: {took:?} of {bound:?}")) }
}
