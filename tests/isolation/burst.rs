//! Thousands of callers at once, none of whose tokens is cached.

use std::time::Duration;

use crate::calls::exchange_all;
use crate::issuer::{Counts, Issuer, Latency, REFUSAL};
use crate::process::Peak;
use crate::{CAP, alone, head, is_long, measured, run};

const CONSTANT: Latency = Latency::constant(300);
const VARYING: Latency = Latency::varying(300);

#[test]
fn a_cold_burst_runs_at_the_speed_that_the_issuer_and_the_limit_allow_and_none_fails() {
    let _alone = alone();
    head(
        "cold callers | workers | the issuer takes | all served after, s | at most | served / failed | p50 | p99 \
         | token requests | in flight | sockets | MiB",
    );
    for (callers, workers, latency) in [
        (1_000, 1, CONSTANT),
        (1_000, 2, CONSTANT),
        (1_000, 2, VARYING),
        (3_000, 1, CONSTANT),
        (3_000, 2, CONSTANT),
        (3_000, 1, VARYING),
        (3_000, 2, VARYING),
    ] {
        if callers == 1_000 || is_long() {
            measured(|| scene(callers, workers, latency));
        }
    }
}

fn scene(callers: u32, workers: usize, latency: Latency) -> Result<(), String> {
    let issuer = Issuer::start(latency, REFUSAL);
    let (calls, peak) = Peak::during(|| {
        run(workers, async {
            let idaas = issuer.handle();
            exchange_all(&idaas, (0..callers).map(|number| format!("user-{number}"))).await
        })
    });
    // Seven places in eight are for exchanges.
    let share = latency.mean.mul_f64(f64::from(callers) / (CAP as f64 * 7.0 / 8.0));
    let bound = share.mul_f64(1.2) + Duration::from_secs(1);
    let Counts { requests, in_flight, .. } = issuer.counts();
    let [took, most] = [calls.took, bound].map(|time| time.as_secs_f64());
    println!(
        "| {callers} | {workers} | {latency} | {took:.2} | {most:.2} | {calls} | {requests} | {in_flight} | {peak} |"
    );
    assert_eq!((calls.failed, requests), (0, u64::from(callers)));
    assert!(in_flight <= CAP, "{in_flight}");
    // A machine that is busy with other tests may take longer; what grows with the callers would take far longer.
    if calls.took < bound * 2 {
        Ok(())
    } else {
        Err(format!("{callers} on {workers}: {took:.2} of {most:.2} s"))
    }
}
