//! Several addresses side by side: one that is silent does not take the time of the others.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;
use tower_idaas::BoxFuture;

/// A further attempt begins after this time, or as soon as one has failed. Shorter than RFC 8305 (section 8) has it for
/// people who browse: a call of the store has a quarter of a second, and a store is close by.
const STAGGER: Duration = Duration::from_millis(50);

/// With many attempts they follow each other sooner: the last one begins within this time.
const ALL_BEGUN: Duration = Duration::from_millis(150);

/// The first success. The other attempts are dropped with it.
///
/// # Errors
///
/// The last failure, when all attempts fail; `None` when there is no attempt.
pub(super) async fn first_success<T, E>(attempts: Vec<BoxFuture<'_, Result<T, E>>>) -> Result<T, Option<E>> {
    let pauses = u32::try_from(attempts.len()).unwrap_or(u32::MAX).saturating_sub(1).max(1);
    let stagger = STAGGER.min(ALL_BEGUN / pauses);
    let mut waiting = attempts.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        let started = waiting.next().map(|attempt| running.push(attempt)).is_some();
        let ended = match started {
            true => timeout(stagger, running.next()).await,
            false => Ok(running.next().await),
        };
        match ended {
            Ok(Some(Ok(success))) => return Ok(success),
            Ok(Some(Err(error))) => failure = Some(error),
            Ok(None) => return Err(failure),
            Err(_elapsed) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Attempt = BoxFuture<'static, Result<u8, &'static str>>;

    fn after(millis: u64, result: Result<u8, &'static str>) -> Attempt {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            result
        })
    }

    fn never() -> Attempt {
        Box::pin(std::future::pending())
    }

    /// The result, and the milliseconds that it took by the clock of the runtime, which stands still but for pauses.
    async fn race(attempts: Vec<Attempt>) -> (Result<u8, Option<&'static str>>, u128) {
        let started = tokio::time::Instant::now();
        (first_success(attempts).await, started.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_attempt_does_not_take_the_time_of_the_next_one() {
        assert_eq!(race(vec![never(), never(), after(10, Ok(3))]).await, (Ok(3), 110));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_of_sixteen_attempts_has_a_part_of_a_quarter_of_a_second_too() {
        let silent = (0..15).map(|_| never());
        let (result, took) = race(silent.chain([after(50, Ok(16))]).collect()).await;
        assert_eq!(result, Ok(16));
        assert!(took < 250, "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_attempt_may_still_win() {
        assert_eq!(race(vec![after(60, Ok(1)), after(100, Ok(2))]).await, (Ok(1), 60));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_next_attempt_begins_at_once() {
        assert_eq!(race(vec![after(5, Err("refused")), after(5, Ok(2))]).await, (Ok(2), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_reported_when_all_fail_and_none_without_an_attempt() {
        let (result, took) = race(vec![after(70, Err("late")), after(1, Err("early"))]).await;
        assert_eq!((result, took), (Err(Some("late")), 70));
        assert_eq!(race(vec![]).await.0, Err(None));
    }
}
