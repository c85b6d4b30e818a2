//! Slots by key: made at first use, and bounded in number.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use crate::cache::entry::CacheEntry;
use crate::cache::lru_map::{Limits, LruMap, Value};
use crate::cache::slot::Slot;
use crate::token::{RetainedSubject, SubjectGuard, SubjectToken};

/// Slots that have had a value. The least recently used one beyond this number is dropped.
const SLOTS: usize = 1_000;

/// Per this many of them, there is one for a subject for whom nothing was ever obtained.
const SUBJECTS_PER_PROBATION: usize = 8;

/// The slots of one kind of key. Keys whose slots never had a value evict none that has had one.
#[derive(Debug)]
pub(super) struct KeyedSlots<K, V>(Arc<LruMap<K, KeyedSlot<V>>>);

/// A slot, and for a user's the place where its loader finds the subject token.
#[derive(Debug)]
pub(super) struct KeyedSlot<V> {
    pub(super) slot: Arc<Slot<V>>,
    pub(super) subject: Option<RetainedSubject>,
}

/// A key's place in its map, for the loader of its slot.
#[derive(Debug)]
pub(super) struct MapKey<K, V> {
    slots: Weak<LruMap<K, KeyedSlot<V>>>,
    pub(super) key: K,
}

impl<V> KeyedSlot<V> {
    /// Retains the subject token for as long as a request waits; a cached or failed slot needs none.
    pub(super) fn retain(&self, subject: Option<&SubjectToken>) -> Option<SubjectGuard> {
        Some(self.subject.as_ref()?.retain(subject?))
    }
}

impl<V> Clone for KeyedSlot<V> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), subject: self.subject.clone() }
    }
}

impl<V> Value for KeyedSlot<V> {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.slot) > 1
    }
}

impl<K: Clone + Eq + Hash, V> KeyedSlots<K, V> {
    /// A map whose keys are the program's.
    pub(super) fn new() -> Self {
        Self::with_probation(SLOTS)
    }

    /// A map whose keys are those of subjects, who may be anyone.
    pub(super) fn of_subjects() -> Self {
        Self::with_probation(SLOTS / SUBJECTS_PER_PROBATION)
    }

    fn with_probation(probation: usize) -> Self {
        Self(Arc::new(LruMap::with_limits(Limits { probation, protected: SLOTS, weight: usize::MAX })))
    }

    /// The slot under this key, made if it is missing.
    pub(super) fn slot(&self, key: &K, make: impl FnOnce(MapKey<K, V>) -> KeyedSlot<V>) -> KeyedSlot<V> {
        let make = || {
            let slots = Arc::downgrade(&self.0);
            (key.clone(), make(MapKey { slots, key: key.clone() }))
        };
        self.0.get_or_insert(self.0.hash(key), |other| other == key, make).0
    }
}

impl<K: Clone + Eq + Hash, V: Debug + Send + Sync + 'static> KeyedSlots<K, V> {
    /// The live value under a key, if the cache has one.
    pub(super) fn peek(&self, key: &K) -> Option<Arc<CacheEntry<V>>> {
        self.0.peek(self.0.hash(key), |other| other == key)?.slot.peek()
    }
}

impl<K: Clone + Eq + Hash, V> MapKey<K, V> {
    /// The slot of this key has loaded a value.
    pub(super) fn loaded(&self) {
        if let Some(slots) = self.slots.upgrade() {
            slots.promote(slots.hash(&self.key), |other| *other == self.key, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::time::Duration;

    use super::*;
    use crate::cache::admission::Party;
    use crate::cache::loader::{Loaded, Loader};
    use crate::cache::recheck::Recheck;
    use crate::cache::slot::Settings;
    use crate::cache::window::RefreshAhead;
    use crate::clock::{Clock, ManualClock};
    use crate::error::{BoxFuture, Error, ErrorKind};
    use crate::telemetry::Telemetry;

    /// Loads something for subjects whose token begins with `good`.
    #[derive(Debug)]
    struct Obtain {
        key: MapKey<usize, ()>,
        subject: RetainedSubject,
        clock: Clock,
    }

    impl Loader<()> for Obtain {
        fn load(&self) -> BoxFuture<'_, Result<Loaded<()>, Error>> {
            Box::pin(async {
                if !self.subject.get()?.expose_token().starts_with("good") {
                    return Err(Error::new(ErrorKind::Refused, "no, said the test"));
                }
                self.key.loaded();
                Ok(Loaded {
                    value: (),
                    recheck: Arc::new(Recheck::new()),
                    sent: self.clock.now(),
                    life: Duration::from_secs(3600),
                    refresh_ahead: RefreshAhead::TwoThirds,
                    from_issuer: true,
                    request_id: None,
                })
            })
        }

        fn label(&self) -> &'static str {
            "of the test"
        }

        fn guard(&self) -> Option<Box<dyn Any + Send + Sync>> {
            self.subject.guard().map(|guard| Box::new(guard) as _)
        }
    }

    fn slot(slots: &KeyedSlots<usize, ()>, key: usize) -> KeyedSlot<()> {
        slots.slot(&key, |key| {
            let (subject, clock) = (RetainedSubject::default(), Clock::Manual(ManualClock::new()));
            let settings = Settings {
                clock: clock.clone(),
                wait: Duration::from_secs(10),
                attempt_timeout: Duration::from_secs(10),
                admission: Arc::default(),
                party: Party::Other,
                runtimes: Arc::default(),
                telemetry: Telemetry::new("app", "test"),
            };
            let loader = Obtain { key, subject: subject.clone(), clock };
            KeyedSlot { slot: Arc::new(Slot::new(Arc::new(loader), settings)), subject: Some(subject) }
        })
    }

    async fn obtain(slots: &KeyedSlots<usize, ()>, key: usize, token: &str) -> Result<(), Error> {
        let subject = SubjectToken::access_token(token.to_owned());
        let found = slot(slots, key);
        let _guard = found.retain(Some(&subject));
        found.slot.acquire().await.map(|_| ())
    }

    #[tokio::test]
    async fn subjects_for_whom_nothing_is_obtained_evict_none_for_whom_something_was() {
        let slots = KeyedSlots::of_subjects();
        obtain(&slots, 0, "good").await.unwrap();
        let good = Arc::downgrade(&slot(&slots, 0).slot);
        for bogus in 1..=2 * SLOTS {
            obtain(&slots, bogus, "bogus").await.unwrap_err();
        }
        assert!(Weak::ptr_eq(&good, &Arc::downgrade(&slot(&slots, 0).slot)));
        let mut count = 0;
        slots.0.for_each(|_| count += 1);
        assert!(count <= SLOTS / SUBJECTS_PER_PROBATION + 1, "{count}");
    }

    #[tokio::test]
    async fn a_subject_token_is_held_only_while_it_is_needed() {
        let slots = KeyedSlots::of_subjects();
        for (key, token) in ["good", "bogus"].into_iter().enumerate() {
            let _ = obtain(&slots, key, token).await;
            let found = slot(&slots, key);
            for _ in 0..1_000 {
                if found.subject.as_ref().unwrap().get().is_err() {
                    break;
                }
                tokio::task::yield_now().await; // the refresh drops its hold after its waiters have the result
            }
            assert!(found.subject.unwrap().get().is_err(), "{token}");
        }
    }
}
