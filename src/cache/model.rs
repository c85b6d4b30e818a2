//! The slot and the admission under a model checker, which chooses each step of each thread in thousands of schedules.
//! A waiter that never wakes is found as a deadlock.
//!
//! `cargo model` runs it, an alias that builds everything anew with `--cfg shuttle`.

use std::sync::Arc;
use std::time::Duration;

use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::thread;

use crate::cache::admission::{Admission, Party};
use crate::cache::entry::CacheEntry;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::recheck::Recheck;
use crate::cache::slot::{Resolution, Settings, Slot};
use crate::cache::sync::Handle;
use crate::cache::window::RefreshAhead;
use crate::clock::Clock;
use crate::clock::ManualClock;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::telemetry::Telemetry;

const SCHEDULES: usize = 2_000;
const LIFE: Duration = Duration::from_secs(1200);
const ADVISORY: Duration = Duration::from_secs(900);

/// Loads the numbers 1, 2, 3 …, after this many failures.
#[derive(Debug)]
struct Source {
    clock: ManualClock,
    fetches: AtomicU64,
    failures: u64,
    blocked: AtomicBool,
}

impl Loader<u64> for Source {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<u64>, Error>> {
        Box::pin(async move {
            let sent = self.clock.now();
            let value = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            yield_now().await;
            while self.blocked.load(Ordering::SeqCst) {
                yield_now().await;
            }
            if value <= self.failures {
                return Err(Error::new(ErrorKind::Unavailable, "busy"));
            }
            let recheck = Arc::new(Recheck::new());
            Ok(Loaded {
                value,
                recheck,
                sent,
                life: LIFE,
                refresh_ahead: RefreshAhead::TwoThirds,
                from_issuer: true,
                request_id: None,
            })
        })
    }

    fn label(&self) -> &str {
        "model"
    }
}

struct Fixture {
    clock: ManualClock,
    source: Arc<Source>,
    slot: Arc<Slot<u64>>,
}

impl Fixture {
    fn new() -> Self {
        Self::failing(0, &Arc::default(), &ManualClock::new())
    }

    fn failing(failures: u64, admission: &Arc<Admission>, clock: &ManualClock) -> Self {
        let source = Arc::new(Source {
            clock: clock.clone(),
            fetches: AtomicU64::new(0),
            failures,
            blocked: AtomicBool::new(false),
        });
        let settings = Settings {
            clock: Clock::Manual(clock.clone()),
            wait: LIFE,
            attempt_timeout: LIFE,
            admission: Arc::clone(admission),
            party: Party::Own,
            runtimes: Arc::default(),
            telemetry: Telemetry::new("app", "model"),
        };
        let slot = Arc::new(Slot::new(Arc::clone(&source) as _, settings));
        Self { clock: clock.clone(), source, slot }
    }

    fn fetches(&self) -> u64 {
        self.source.fetches.load(Ordering::SeqCst)
    }

    fn get(&self) -> Result<Arc<CacheEntry<u64>>, Error> {
        block_on(Arc::clone(&self.slot).acquire())
    }

    fn caller(&self) -> thread::JoinHandle<Result<u64, Error>> {
        let slot = Arc::clone(&self.slot);
        thread::spawn(move || block_on(slot.acquire()).map(|entry| entry.value))
    }
}

/// Steps chosen evenly, and schedules in which one thread gets far ahead of another.
fn check(property: impl Fn() + Copy + Send + Sync + 'static) {
    shuttle::check_random(property, SCHEDULES);
    shuttle::check_pct(property, SCHEDULES, 3);
}

#[test]
fn cold_callers_share_one_fetch_and_its_value() {
    check(|| {
        let fixture = Fixture::new();
        let callers: Vec<_> = (0..3).map(|_| fixture.caller()).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap(), 1);
        }
        assert_eq!(fixture.fetches(), 1);
    });
}

#[test]
fn cancelled_callers_neither_restart_nor_starve_the_fetch() {
    check(|| {
        let fixture = Fixture::new();
        let cancelled: Vec<_> = (0..2).map(|_| spawn(Arc::clone(&fixture.slot).acquire())).collect();
        let waiter = fixture.caller();
        for caller in cancelled {
            thread::yield_now();
            caller.abort();
        }
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
        assert_eq!(fixture.fetches(), 1);
    });
}

#[test]
fn readers_never_see_an_older_value_after_a_newer_one() {
    check(|| {
        let fixture = Fixture::new();
        fixture.get().unwrap();
        fixture.clock.advance(ADVISORY);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let slot = Arc::clone(&fixture.slot);
                thread::spawn(move || {
                    let mut last = 0;
                    for _ in 0..4 {
                        let value = block_on(Arc::clone(&slot).acquire()).unwrap().value;
                        assert!(value >= last, "{value} after {last}");
                        last = value;
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.join().unwrap();
        }
        assert!(fixture.fetches() <= 2, "one refresh, if it has begun");
    });
}

#[test]
fn an_invalidated_value_is_not_served_and_a_refresh_begun_before_is_void() {
    check(|| {
        let fixture = Fixture::new();
        let first = fixture.get().unwrap();
        fixture.clock.advance(ADVISORY);
        fixture.source.blocked.store(true, Ordering::SeqCst);
        // A refresh is in flight or not yet begun when the value is invalidated; none has completed.
        let refreshing = fixture.caller();
        let rejecting = {
            let (slot, source) = (Arc::clone(&fixture.slot), Arc::clone(&fixture.source));
            thread::spawn(move || {
                let before = source.fetches.load(Ordering::SeqCst);
                first.recheck().invalidate();
                source.blocked.store(false, Ordering::SeqCst);
                let served = block_on(slot.acquire()).unwrap().value;
                assert!(served > before, "{served} was fetched before the invalidation");
            })
        };
        refreshing.join().unwrap().unwrap();
        rejecting.join().unwrap();
        assert!(fixture.fetches() <= 3);
    });
}

/// Three consumers do this with the first value at once. Then each gets the second one, by one fetch for all.
fn check_replacement(replace: fn(first: &CacheEntry<u64>, slot: &Arc<Slot<u64>>, consumer: u64)) {
    check(move || {
        let fixture = Fixture::new();
        let first = fixture.get().unwrap();
        let consumers: Vec<_> = (7..10)
            .map(|consumer| {
                let (slot, first) = (Arc::clone(&fixture.slot), Arc::clone(&first));
                thread::spawn(move || {
                    replace(&first, &slot, consumer);
                    block_on(slot.acquire()).unwrap().value
                })
            })
            .collect();
        for consumer in consumers {
            assert_eq!(consumer.join().unwrap(), 2);
        }
        assert_eq!(fixture.fetches(), 2);
    });
}

#[test]
fn many_invalidations_of_one_value_make_one_fetch() {
    check_replacement(|first, _, _| first.recheck().invalidate());
}

#[test]
fn rejections_by_many_consumers_force_one_fetch_and_every_request_ends() {
    check_replacement(|first, slot, consumer| {
        assert!(first.recheck().reject(consumer), "there is, or will be, another value");
        let second = block_on(Arc::clone(slot).acquire()).unwrap();
        second.recheck().accept(consumer);
        // A refresh was forced just before, so the value stays.
        assert!(!second.recheck().reject(consumer + 10));
    });
}

#[test]
fn a_refresh_that_a_rejection_requests_is_never_lost() {
    check(|| {
        let fixture = Fixture::new();
        let [one, another] = [7, 8];
        assert!(fixture.get().unwrap().recheck().reject(one));
        let second = fixture.get().unwrap();
        second.recheck().accept(one);
        fixture.clock.advance(Duration::from_secs(2));
        let resolving = {
            let slot = Arc::clone(&fixture.slot);
            thread::spawn(move || assert!(matches!(slot.resolve(), Resolution::Serve(_))))
        };
        // One consumer accepts the value, so that it is served until the refresh has ended.
        second.recheck().reject(another);
        // The refresh may have begun, in the course of the other request.
        Handle::shut_down();
        resolving.join().unwrap();
        while fixture.fetches() < 3 {
            fixture.get().unwrap();
            thread::yield_now();
        }
    });
}

#[test]
fn a_refresh_that_a_waiter_gives_up_is_replaced_and_its_result_is_void() {
    check(|| {
        let fixture = Fixture::new();
        fixture.source.blocked.store(true, Ordering::SeqCst);
        let Resolution::Wait(in_flight) = fixture.slot.resolve() else { panic!("there is no value") };
        let waiting = fixture.caller();
        while fixture.fetches() == 0 {
            thread::yield_now();
        }
        fixture.slot.abandon(in_flight.id);
        let replacing = fixture.caller();
        while fixture.fetches() < 2 {
            thread::yield_now();
        }
        fixture.source.blocked.store(false, Ordering::SeqCst);
        assert_eq!((waiting.join().unwrap().unwrap(), replacing.join().unwrap().unwrap()), (2, 2));
        assert_eq!(fixture.get().unwrap().value, 2);
    });
}

#[test]
fn a_runtime_that_is_shut_down_in_the_middle_of_a_refresh_leaves_no_waiter_behind() {
    check(|| {
        let fixture = Fixture::new();
        let callers: Vec<_> = (0..2).map(|_| fixture.caller()).collect();
        let closing = thread::spawn(|| {
            for _ in 0..thread_rng().gen_range(0..4) {
                thread::yield_now();
            }
            Handle::shut_down();
        });
        for caller in callers {
            // A caller whose refresh is dropped before it began gets an error; none waits for ever.
            let _ = caller.join().unwrap();
        }
        closing.join().unwrap();
        fixture.get().unwrap();
        assert!(fixture.fetches() <= 3);
    });
}

#[test]
fn refreshes_from_one_server_all_end_and_send_a_dead_one_no_more_requests_than_allowed() {
    check(|| {
        let (admission, clock) = (Arc::default(), ManualClock::new());
        let fixtures: Vec<_> = (0..4).map(|_| Fixture::failing(u64::MAX, &admission, &clock)).collect();
        let callers: Vec<_> = fixtures.iter().map(Fixture::caller).collect();
        for caller in callers {
            caller.join().unwrap().unwrap_err();
        }
        // One attempt of each before the circuit opens, and two more of the refresh that opens it.
        let fetches: u64 = fixtures.iter().map(Fixture::fetches).sum();
        assert!(fetches <= 6, "{fetches}");
    });
}

#[test]
fn refreshes_from_one_server_recover_together_after_one_failure_of_each() {
    check(|| {
        let (admission, clock) = (Arc::default(), ManualClock::new());
        let fixtures: Vec<_> = (0..3).map(|_| Fixture::failing(1, &admission, &clock)).collect();
        let callers: Vec<_> = fixtures.iter().map(Fixture::caller).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap(), 2);
        }
    });
}

#[test]
fn refreshes_from_one_server_all_end_when_the_runtime_is_shut_down_among_failures() {
    check(|| {
        let (admission, clock) = (Arc::default(), ManualClock::new());
        // One keeps failing, the others recover.
        let [dead, one, other] =
            [u64::MAX, 1, 1].map(|failures| Fixture::failing(failures, &admission, &clock));
        let callers = [dead.caller(), one.caller(), other.caller()];
        let cancelled = spawn(Arc::clone(&dead.slot).acquire());
        let closing = thread::spawn(|| {
            for _ in 0..thread_rng().gen_range(0..12) {
                thread::yield_now();
            }
            Handle::shut_down();
        });
        cancelled.abort();
        for caller in callers {
            // With a value or an error; none waits for ever.
            let _ = caller.join().unwrap();
        }
        closing.join().unwrap();
        // A later caller does not wait for refreshes that are gone either. Each may meet a failure once.
        for _ in 0..4 {
            clock.advance(Duration::from_secs(60));
            for fixture in [&one, &other, &dead] {
                let _ = fixture.get();
            }
        }
        one.get().unwrap();
        other.get().unwrap();
    });
}
