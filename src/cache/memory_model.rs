//! What readers see of a [`Recheck`] without a lock, under loom: every order of loads and stores that the memory model
//! allows, those that x86 never shows included. Part of `cargo model`.

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use self::recheck::Recheck;
use crate::clock::{Clock, ManualClock, Timestamp};

/// Stands for the module that the copy of `recheck.rs` imports.
mod sync {
    pub(crate) use loom::sync::atomic::AtomicU64;
}

#[allow(dead_code, reason = "what needs no model")]
#[path = "recheck.rs"]
mod recheck;

const LIFE: Duration = Duration::from_secs(60);

/// A value whose recheck is due after half its life, its end, and a clock.
fn fixture() -> (Arc<Recheck>, Timestamp, ManualClock) {
    let clock = ManualClock::new();
    let recheck = Arc::new(Recheck::new());
    recheck.set(clock.now().after(LIFE / 2));
    (recheck, clock.now().after(LIFE), clock)
}

fn is_ahead(recheck: &Recheck, clock: &ManualClock) -> bool {
    recheck.is_ahead(&Clock::Manual(clock.clone()))
}

#[test]
fn a_value_once_seen_as_invalidated_is_served_by_no_reader_again_whatever_a_refresh_does() {
    loom::model(|| {
        let (recheck, end, clock) = fixture();
        let moving = thread::spawn({
            let recheck = Arc::clone(&recheck);
            move || recheck.set(end)
        });
        let reading = thread::spawn({
            let (recheck, clock) = (Arc::clone(&recheck), clock.clone());
            move || {
                let seen = [is_ahead(&recheck, &clock), is_ahead(&recheck, &clock)];
                assert_ne!(seen, [false, true]);
            }
        });
        recheck.invalidate();
        moving.join().unwrap();
        reading.join().unwrap();
        assert!(recheck.is_invalidated() && !is_ahead(&recheck, &clock));
    });
}

#[test]
fn a_reader_that_comes_after_an_invalidation_is_not_served() {
    loom::model(|| {
        let (recheck, end, clock) = fixture();
        let invalidated = Arc::new(AtomicBool::new(false));
        let moving = thread::spawn({
            let recheck = Arc::clone(&recheck);
            move || recheck.set(end)
        });
        let reading = thread::spawn({
            let (recheck, invalidated) = (Arc::clone(&recheck), Arc::clone(&invalidated));
            move || {
                if invalidated.load(Ordering::Acquire) {
                    assert!(!is_ahead(&recheck, &clock));
                }
            }
        });
        recheck.invalidate();
        invalidated.store(true, Ordering::Release);
        moving.join().unwrap();
        reading.join().unwrap();
    });
}

#[test]
fn past_its_end_by_either_clock_a_value_is_served_by_no_reader_whatever_moves_the_recheck() {
    loom::model(|| {
        let (recheck, end, clock) = fixture();
        let [suspended, set_back] = [ManualClock::new(), ManualClock::new()];
        suspended.set_wall_ahead(LIFE * 2);
        set_back.advance(LIFE * 2);
        set_back.set_wall_back(LIFE * 2);
        // A refresh in flight postpones the recheck; a rejection makes it due at once.
        let movers = [end, Timestamp { monotonic: 1, wall: 1 }].map(|due| {
            let recheck = Arc::clone(&recheck);
            thread::spawn(move || assert!(recheck.set(due)))
        });
        let seen = [&suspended, &set_back].map(|clock| is_ahead(&recheck, clock));
        assert_eq!(seen, [false, false]);
        movers.into_iter().for_each(|mover| mover.join().unwrap());
        // Neither is lost: the recheck is due at one of the two times.
        let due = recheck.due();
        assert!([1, end.monotonic].contains(&due.monotonic) && [1, end.wall].contains(&due.wall));
        drop(clock);
    });
}
