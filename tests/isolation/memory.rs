//! What refused subject tokens leave behind.

use tower_idaas::SubjectToken;

use crate::calls::exchange_all;
use crate::issuer::{Counts, Issuer, Latency, REFUSAL};
use crate::process::{is_apart, resident, run_apart};
use crate::{CAP, alone, head, is_long, run};

/// How many come at a time: what is in flight is held as well.
const AT_A_TIME: usize = 50;
/// In MiB.
const MOST: f64 = 32.0;

#[test]
fn refused_subject_tokens_of_64_kib_or_the_longest_that_are_sent_leave_less_than_32_mib() {
    let _alone = alone();
    run_apart("memory::refused", None);
}

#[test]
#[ignore = "the scene of the test above, in a process of its own"]
fn refused() {
    if !is_apart() {
        return;
    }
    // In CI more than there are slots for exchanges that never had a token; if those kept the tokens, they held 40 MiB.
    let tokens = if is_long() { 10_000 } else { 1_500 };
    head("refused subject tokens | of | served / failed | p50 | p99 | token requests | in flight | MiB more");
    // A longer one is refused before it is sent; the other is one that the issuer refuses.
    for length in [64 * 1024, SubjectToken::MAX_LENGTH] {
        let issuer = Issuer::start(Latency::constant(0), REFUSAL);
        let (idaas, more, calls) = run(2, async {
            let idaas = issuer.handle();
            // What the first requests allocate once is no token's.
            exchange_all(&idaas, (0..AT_A_TIME).map(|number| format!("good-{number}"))).await;
            let before = resident().unwrap();
            let mut served = 0;
            let mut last = None;
            for first in (0..tokens).step_by(AT_A_TIME) {
                let subject = |number: usize| {
                    let name = format!("bad-{number}-");
                    format!("{name}{}", "x".repeat(length - name.len()))
                };
                let calls = exchange_all(&idaas, (first..first + AT_A_TIME).map(subject)).await;
                served += calls.served;
                last = Some(calls);
            }
            (idaas, resident().unwrap() - before, (served, last.unwrap()))
        });
        let Counts { requests, in_flight, .. } = issuer.counts();
        let (served, last) = calls;
        println!(
            "| {tokens} | {} KiB | {served} / {} | {:.1} | {:.1} | {requests} | {in_flight} | {more:.1} |",
            length / 1024,
            tokens - served,
            last.p50.as_secs_f64() * 1e3,
            last.p99.as_secs_f64() * 1e3
        );
        let sent = if length > SubjectToken::MAX_LENGTH { 0 } else { tokens };
        assert_eq!((served, requests), (0, (AT_A_TIME + sent) as u64));
        assert!(in_flight <= CAP && more < MOST, "{in_flight} in flight, {more:.1} MiB more");
        drop(idaas);
    }
}
