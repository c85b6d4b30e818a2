//! The issuer is gone for long while the load stays.

use std::task::Poll;
use std::time::Duration;

use tokio_test::task;
use tower_idaas::{Error, ErrorKind};

use crate::support::{Mint, Outcome, fed_by, seconds, unavailable};

/// Requests that the issuer gets in each minute of an hour of failures, ten callers a step.
async fn requests_a_minute(failure: Error, step: Duration, minutes: u32) -> Result<Vec<u64>, Error> {
    let mint = Mint::new();
    let (idaas, clock) = fed_by(&mint).map_err(|error| Error::new(ErrorKind::Runtime, error.to_string()))?;
    mint.fail_with(failure);
    let mut counts = Vec::new();
    let steps = 60_000 / step.as_millis();
    for _ in 0..minutes {
        let before = mint.fetches();
        for _ in 0..steps {
            let mut callers: Vec<_> = (0..10).map(|_| task::spawn(idaas.token())).collect();
            for caller in &mut callers {
                // Now, all at once; whether refused already or waiting, the end is the same.
                if let Poll::Ready(token) = caller.poll() {
                    assert!(token.is_err());
                }
            }
            // One that came first waited for the fetch that it started, if any was due.
            assert!(idaas.token().await.is_err());
            clock.advance(step);
        }
        counts.push(mint.fetches() - before);
    }
    Ok(counts)
}

#[tokio::test(start_paused = true)]
async fn a_dead_issuer_under_load_gets_twenty_requests_in_the_first_minute_and_then_four_a_minute() -> Outcome
{
    let counts = requests_a_minute(unavailable(), Duration::from_millis(100), 15).await?;
    assert!(counts[0] <= 20 && counts[0] >= 3, "{counts:?}");
    assert!(counts[1..].iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    let counts = requests_a_minute(unavailable(), seconds(1), 60).await?;
    assert!(counts[0] <= 20, "{counts:?}");
    assert!(counts[1..].iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refusing_issuer_under_load_gets_one_request_in_two_and_a_half_seconds_at_most() -> Outcome {
    let refusal = Error::new(ErrorKind::Rejected, "no, said the test");
    let counts = requests_a_minute(refusal, Duration::from_millis(100), 5).await?;
    assert!(counts.iter().all(|count| (12..=24).contains(count)), "{counts:?}");
    Ok(())
}
