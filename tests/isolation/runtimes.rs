//! A runtime that begins a refresh and is not driven any more.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tower_idaas::Idaas;

use crate::calls::exchange;
use crate::issuer::{Counts, Issuer, Latency, REFUSAL};
use crate::{alone, head, measured};

const LATENCY: Latency = Latency::constant(300);
const MOST: Duration = Duration::from_secs(2);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn request_token(idaas: &Idaas, for_a_user: bool) -> bool {
    if for_a_user { exchange(idaas, "user".to_owned()).await } else { idaas.token().await.is_ok() }
}

#[test]
fn a_token_that_another_runtime_began_to_fetch_and_does_not_drive_comes_within_two_seconds() {
    let _alone = alone();
    head("the other runtime | token | served | after, ms | token requests");
    for for_a_user in [false, true] {
        for stands_still in [false, true] {
            measured(|| scene(for_a_user, stands_still));
        }
    }
}

fn scene(for_a_user: bool, stands_still: bool) -> Result<(), String> {
    let issuer = Issuer::start(LATENCY, REFUSAL);
    let idaas = issuer.handle();
    let (first, other) = (runtime(), runtime());
    if stands_still {
        let hasty = async { tokio::time::timeout(LATENCY.mean / 3, request_token(&idaas, for_a_user)).await };
        assert!(first.block_on(hasty).is_err(), "the issuer has not responded yet");
    }
    let sent = Instant::now();
    let served = other.block_on(request_token(&idaas, for_a_user));
    let took = sent.elapsed();
    let Counts { requests, .. } = issuer.counts();
    println!(
        "| {} | {} | {served} | {} | {requests} |",
        if stands_still { "stands still" } else { "asks for nothing" },
        if for_a_user { "exchanged" } else { "own" },
        took.as_millis(),
    );
    assert!(served);
    assert_eq!(requests, 1 + u64::from(stands_still));
    if took < MOST { Ok(()) } else { Err(format!("{took:?}")) }
}
