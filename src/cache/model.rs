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

struct Scene {
    clock: ManualClock,
    source: Arc<Source>,
    slot: Arc<Slot<u64>>,
}

impl Scene {
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
fn check(property: fn()) {
    shuttle::check_random(property, SCHEDULES);
    shuttle::check_pct(property, SCHEDULES, 3);
}

#[test]
fn cold_callers_share_one_fetch_and_its_value() {
    check(|| {
        let scene = Scene::new();
        let callers: Vec<_> = (0..3).map(|_| scene.caller()).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap(), 1);
        }
        assert_eq!(scene.fetches(), 1);
    });
}

#[test]
fn cancelled_callers_neither_restart_nor_starve_the_fetch() {
    check(|| {
        let scene = Scene::new();
        let cancelled: Vec<_> = (0..2).map(|_| spawn(Arc::clone(&scene.slot).acquire())).collect();
        let waiter = scene.caller();
        for caller in cancelled {
            thread::yield_now();
            caller.abort();
        }
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
        assert_eq!(scene.fetches(), 1);
    });
}

#[test]
fn readers_never_see_an_older_value_after_a_newer_one() {
    check(|| {
        let scene = Scene::new();
        scene.get().unwrap();
        scene.clock.advance(ADVISORY);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let slot = Arc::clone(&scene.slot);
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
        assert!(scene.fetches() <= 2, "one refresh, if it has begun");
    });
}

#[test]
fn an_invalidated_value_is_not_served_and_a_refresh_begun_before_is_void() {
    check(|| {
        let scene = Scene::new();
        let first = scene.get().unwrap();
        scene.clock.advance(ADVISORY);
        scene.source.blocked.store(true, Ordering::SeqCst);
        // A refresh is in flight or not yet begun when the value is invalidated; none has completed.
        let refreshing = scene.caller();
        let rejecting = {
            let (slot, source) = (Arc::clone(&scene.slot), Arc::clone(&scene.source));
            thread::spawn(move || {
                let before = source.fetches.load(Ordering::SeqCst);
                first.recheck().invalidate();
                source.blocked.store(false, Ordering::SeqCst);
                let served = block_on(slot.acquire()).unwrap().value;
                assert!(served > before, "{served} was fetches for before the invalidation");
            })
        };
        refreshing.join().unwrap().unwrap();
        rejecting.join().unwrap();
        assert!(scene.fetches() <= 3);
    });
}

#[test]
fn many_invalidations_of_one_value_make_one_fetch() {
    check(|| {
        let scene = Scene::new();
        let first = scene.get().unwrap();
        let rejecting: Vec<_> = (0..3)
            .map(|_| {
                let (slot, first) = (Arc::clone(&scene.slot), Arc::clone(&first));
                thread::spawn(move || {
                    first.recheck().invalidate();
                    block_on(slot.acquire()).unwrap().value
                })
            })
            .collect();
        for caller in rejecting {
            assert_eq!(caller.join().unwrap(), 2);
        }
        assert_eq!(scene.fetches(), 2);
    });
}

#[test]
fn rejections_by_two_consumers_force_one_fetch_and_every_request_ends() {
    check(|| {
        let scene = Scene::new();
        let first = scene.get().unwrap();
        let rejecting: Vec<_> = (7..10)
            .map(|consumer| {
                let (slot, first) = (Arc::clone(&scene.slot), Arc::clone(&first));
                thread::spawn(move || {
                    assert!(first.recheck().reject(consumer), "there is, or will be, another value");
                    let second = block_on(Arc::clone(&slot).acquire()).unwrap();
                    second.recheck().accept(consumer);
                    // A refresh was forced just before, so the value stays.
                    assert!(!second.recheck().reject(consumer + 10));
                    block_on(slot.acquire()).unwrap().value
                })
            })
            .collect();
        for caller in rejecting {
            assert_eq!(caller.join().unwrap(), 2);
        }
        assert_eq!(scene.fetches(), 2);
    });
}

#[test]
fn a_refresh_that_a_rejection_requests_is_never_lost() {
    check(|| {
        let scene = Scene::new();
        let [one, another] = [7, 8];
        assert!(scene.get().unwrap().recheck().reject(one));
        let second = scene.get().unwrap();
        second.recheck().accept(one);
        scene.clock.advance(Duration::from_secs(2));
        let resolving = {
            let slot = Arc::clone(&scene.slot);
            thread::spawn(move || assert!(matches!(slot.resolve(), Resolution::Serve(_))))
        };
        assert!(!second.recheck().reject(another), "another consumer accepts it");
        // The refresh may have begun, in the course of the other request.
        Handle::shut_down();
        resolving.join().unwrap();
        while scene.fetches() < 3 {
            scene.get().unwrap();
            thread::yield_now();
        }
    });
}

#[test]
fn a_refresh_that_a_waiter_gives_up_is_replaced_and_its_result_is_void() {
    check(|| {
        let scene = Scene::new();
        scene.source.blocked.store(true, Ordering::SeqCst);
        let Resolution::Wait(in_flight) = scene.slot.resolve() else { panic!("there is no value") };
        let waiting = scene.caller();
        while scene.fetches() == 0 {
            thread::yield_now();
        }
        scene.slot.abandon(in_flight.id);
        let replacing = scene.caller();
        while scene.fetches() < 2 {
            thread::yield_now();
        }
        scene.source.blocked.store(false, Ordering::SeqCst);
        assert_eq!((waiting.join().unwrap().unwrap(), replacing.join().unwrap().unwrap()), (2, 2));
        assert_eq!(scene.get().unwrap().value, 2);
    });
}

#[test]
fn a_runtime_that_goes_in_the_middle_of_a_refresh_leaves_no_waiter_behind() {
    check(|| {
        let scene = Scene::new();
        let callers: Vec<_> = (0..2).map(|_| scene.caller()).collect();
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
        scene.get().unwrap();
        assert!(scene.fetches() <= 3);
    });
}

#[test]
fn slots_that_ask_one_server_all_end_and_ask_a_dead_issuer_no_more_than_allowed() {
    check(|| {
        let (admission, clock) = (Arc::default(), ManualClock::new());
        let scenes: Vec<_> = (0..4).map(|_| Scene::failing(u64::MAX, &admission, &clock)).collect();
        let callers: Vec<_> = scenes.iter().map(Scene::caller).collect();
        for caller in callers {
            caller.join().unwrap().unwrap_err();
        }
        // One attempt of each before the circuit opens, and two more of the refresh that opens it.
        let fetches: u64 = scenes.iter().map(Scene::fetches).sum();
        assert!(fetches <= 6, "{fetches}");
    });
}

#[test]
fn slots_that_ask_one_server_get_over_a_hiccup_together() {
    check(|| {
        let (admission, clock) = (Arc::default(), ManualClock::new());
        let scenes: Vec<_> = (0..3).map(|_| Scene::failing(1, &admission, &clock)).collect();
        let callers: Vec<_> = scenes.iter().map(Scene::caller).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap(), 2);
        }
    });
}

#[test]
fn slots_that_ask_one_server_all_end_when_the_runtime_goes_in_the_middle_of_trouble() {
    check(|| {
        let (admission, clock) = (Arc::default(), ManualClock::new());
        // One keeps failing, the others recover.
        let [dead, one, other] =
            [u64::MAX, 1, 1].map(|failures| Scene::failing(failures, &admission, &clock));
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
            for scene in [&one, &other, &dead] {
                let _ = scene.get();
            }
        }
        one.get().unwrap();
        other.get().unwrap();
    });
}
