use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::admission::{Admission, AdmissionRequest};
use crate::cache::heartbeat::Heartbeat;
use crate::cache::recheck::Recheck;
use crate::cache::slot::*;
use crate::cache::window::RefreshAhead;
use crate::clock::ManualClock;
use crate::error::{BoxFuture, ErrorKind};
use crate::telemetry::Telemetry;

/// Loads the numbers 1, 2, 3 …, while it does not fail.
#[derive(Debug)]
struct Numbers {
    clock: ManualClock,
    fetches: AtomicU64,
    failure: Mutex<Option<ErrorKind>>,
}

impl Numbers {
    fn fail(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.failure.lock().unwrap() = kind.into();
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Loader<u64> for Numbers {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<u64>, Error>> {
        Box::pin(async move {
            let value = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(kind) = *self.failure.lock().unwrap() {
                return Err(Error::new(kind, "busy"));
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

fn slot() -> (Arc<Slot<u64>>, Arc<Numbers>, ManualClock) {
    slot_of(Arc::default(), Duration::from_secs(20))
}

fn slot_of(
    admission: Arc<Admission>,
    attempt_timeout: Duration,
) -> (Arc<Slot<u64>>, Arc<Numbers>, ManualClock) {
    let clock = ManualClock::new();
    let numbers =
        Arc::new(Numbers { clock: clock.clone(), fetches: AtomicU64::new(0), failure: Mutex::default() });
    let settings = Settings {
        clock: Clock::Manual(clock.clone()),
        wait: Duration::from_secs(20),
        attempt_timeout,
        admission,
        party: Party::Own,
        runtimes: Arc::default(),
        telemetry: Telemetry::new("app", "test"),
    };
    (Arc::new(Slot::new(Arc::clone(&numbers) as _, settings)), numbers, clock)
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
    let (slot, numbers, clock) = slot();
    let [one, another] = [7, 8];
    assert!(served(&slot).await.recheck().reject(one));
    let second = served(&slot).await;
    second.recheck().accept(one);
    clock.advance(Duration::from_secs(2));

    numbers.fail(ErrorKind::Unavailable);
    assert!(!second.recheck().reject(another), "another consumer accepts it");
    assert_eq!((served(&slot).await.value, numbers.fetches()), (2, 3));
    numbers.fail(None);
    assert_eq!((served(&slot).await.value, numbers.fetches()), (2, 3), "a pause");
    clock.advance(Duration::from_secs(2));
    assert_eq!((served(&slot).await.value, numbers.fetches()), (2, 4));
    assert_eq!(served(&slot).await.value, 4);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_overloaded_is_left_alone_for_a_pause_like_one_that_is_down() {
    for kind in [ErrorKind::Overloaded, ErrorKind::Unavailable] {
        let (slot, numbers, _) = slot();
        numbers.fail(kind);
        let refused = async || Arc::clone(&slot).acquire().await.unwrap_err().kind();
        assert_eq!(refused().await, kind);
        let fetches = numbers.fetches();
        assert_eq!((refused().await, numbers.fetches()), (kind, fetches), "remembered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_ahead_that_met_an_overloaded_source_is_begun_again_after_a_pause() {
    let (slot, numbers, clock) = slot();
    assert_eq!(served(&slot).await.value, 1);
    clock.advance(Duration::from_secs(1_000));
    numbers.fail(ErrorKind::Overloaded);
    assert_eq!((served(&slot).await.value, numbers.fetches()), (1, 2));
    numbers.fail(None);
    assert_eq!((served(&slot).await.value, numbers.fetches()), (1, 2), "a pause");
    clock.advance(Duration::from_secs(2));
    assert_eq!((served(&slot).await.value, numbers.fetches()), (1, 3));
    assert_eq!(served(&slot).await.value, 3);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_waits_for_its_turn_in_vain_is_no_failure_of_the_slot() {
    let admission: Arc<Admission> = Arc::new(Admission::new(2));
    let (slot, numbers, _) = slot_of(Arc::clone(&admission), Duration::from_secs(5));
    // Requests that hang, on a runtime that is driven.
    let heartbeat = Heartbeat::default();
    heartbeat.set_polled(true);
    let (clock, telemetry) = (&slot.settings.clock, &slot.settings.telemetry);
    let request = || AdmissionRequest { priority: Priority::Own, label: "other", heartbeat: &heartbeat };
    let mut hanging = Vec::new();
    for _ in 0..2 {
        hanging.push(admission.acquire(request(), clock, telemetry).await.unwrap());
    }
    for _ in 0..3 {
        let error = Arc::clone(&slot).acquire().await.unwrap_err();
        assert_eq!((error.kind(), numbers.fetches()), (ErrorKind::Overloaded, 0), "{error}");
    }
    hanging.clear();
    assert_eq!(served(&slot).await.value, 1, "there is no pause");
}
