use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cache::recheck::Recheck;
use crate::cache::slot::*;
use crate::cache::window::RefreshAhead;
use crate::clock::ManualClock;
use crate::error::BoxFuture;
use crate::telemetry::Telemetry;

/// Loads the numbers 1, 2, 3 …, while it does not fail.
#[derive(Debug)]
struct Numbers {
    clock: ManualClock,
    fetches: AtomicU64,
    fails: AtomicBool,
}

impl Loader<u64> for Numbers {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<u64>, Error>> {
        Box::pin(async move {
            let value = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            if self.fails.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "busy"));
            }
            Ok(Loaded {
                value,
                recheck: Arc::new(Recheck::new()),
                sent: self.clock.now(),
                life: Duration::from_secs(1200),
                refresh_ahead: RefreshAhead::TwoThirds,
                from_issuer: true,
                request_id: None,
            })
        })
    }

    fn label(&self) -> &str {
        "test"
    }
}

/// The value that is served now, once a refresh that it begins has ended.
async fn served(slot: &Arc<Slot<u64>>) -> Arc<CacheEntry<u64>> {
    let entry = Arc::clone(slot).acquire().await.unwrap();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    entry
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_a_rejection_requests_is_begun_again_after_it_failed() {
    let clock = ManualClock::new();
    let numbers = Numbers { clock: clock.clone(), fetches: AtomicU64::new(0), fails: AtomicBool::new(false) };
    let numbers = Arc::new(numbers);
    let settings = Settings {
        clock: Clock::Manual(clock.clone()),
        wait: Duration::from_secs(20),
        attempt_timeout: Duration::from_secs(20),
        admission: Arc::default(),
        party: Party::Own,
        runtimes: Arc::default(),
        telemetry: Telemetry::new("app", "test"),
    };
    let slot = Arc::new(Slot::new(Arc::clone(&numbers) as _, settings));
    let [one, another] = [7, 8];
    assert!(served(&slot).await.recheck().reject(one));
    let second = served(&slot).await;
    second.recheck().accept(one);
    clock.advance(Duration::from_secs(2));

    numbers.fails.store(true, Ordering::SeqCst);
    assert!(!second.recheck().reject(another), "another consumer accepts it");
    assert_eq!((served(&slot).await.value, numbers.fetches.load(Ordering::SeqCst)), (2, 3));
    numbers.fails.store(false, Ordering::SeqCst);
    assert_eq!((served(&slot).await.value, numbers.fetches.load(Ordering::SeqCst)), (2, 3), "a pause");
    clock.advance(Duration::from_secs(2));
    assert_eq!((served(&slot).await.value, numbers.fetches.load(Ordering::SeqCst)), (2, 4));
    assert_eq!(served(&slot).await.value, 4);
}
