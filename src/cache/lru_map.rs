//! A bounded map that forgets what was not used for the longest time.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// So many of the oldest entries are looked at for some that can go.
const LOOKS: usize = 8;

/// A map of `capacity` entries, and of more only while so many are in use.
#[derive(Debug)]
pub(crate) struct LruMap<K, V> {
    capacity: usize,
    entries: HashMap<K, (V, u64)>,
    /// By the turn of the last use; the first is the one to go.
    turns: BTreeMap<u64, K>,
    turn: u64,
}

impl<K: Clone + Eq + Hash, T> LruMap<K, Arc<T>> {
    /// A capacity of zero counts as one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: HashMap::new(), turns: BTreeMap::new(), turn: 0 }
    }

    /// The value under this key, made if it is not there, and now the most recently used.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> Arc<T>) -> &Arc<T> {
        if !self.entries.contains_key(&key) {
            self.make_room();
        }
        self.turn += 1;
        let turn = self.turn;
        let (value, last) = self.entries.entry(key.clone()).or_insert_with(|| (make(), turn));
        self.turns.remove(last);
        *last = turn;
        self.turns.insert(turn, key);
        value
    }

    /// An entry that somebody holds on to is not forgotten: there would be two of it.
    fn make_room(&mut self) {
        for _ in 0..LOOKS {
            if self.entries.len() < self.capacity {
                return;
            }
            let Some((_, oldest)) = self.turns.pop_first() else { return };
            match self.entries.get_mut(&oldest) {
                Some((value, last)) if Arc::strong_count(value) > 1 => {
                    self.turn += 1;
                    *last = self.turn;
                    self.turns.insert(self.turn, oldest);
                }
                _ => drop(self.entries.remove(&oldest)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = LruMap::new(2);
        let mut made = Vec::new();
        for key in ["a", "b", "a", "c", "a", "b"] {
            recent.get_or_insert_with(key, || {
                made.push(key);
                Arc::new(())
            });
        }
        assert_eq!(made, ["a", "b", "c", "b"]);
    }

    #[test]
    fn what_is_in_use_stays_and_room_is_made_when_it_is_not() {
        let mut recent = LruMap::new(2);
        let mut get = |key: &'static str| {
            let value = Arc::clone(recent.get_or_insert_with(key, Arc::default));
            (value, recent.entries.len())
        };
        let in_use: Vec<(Arc<()>, usize)> = ["a", "b", "c"].map(&mut get).into();
        assert_eq!(get("d").1, 4);
        assert!(["a", "b", "c"].iter().zip(&in_use).all(|(key, (value, _))| Arc::ptr_eq(&get(key).0, value)));
        drop(in_use);
        assert_eq!(get("e").1, 2);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_capacity_and_agrees_with_a_plain_list(
            capacity in 1usize..6, keys in prop::collection::vec(0u8..10, 0..60),
        ) {
            let mut recent = LruMap::new(capacity);
            let mut list: Vec<u8> = Vec::new();
            for key in keys {
                let mut made = false;
                recent.get_or_insert_with(key, || {
                    made = true;
                    Arc::new(())
                });
                let before = list.len();
                list.retain(|other| *other != key);
                prop_assert_eq!(made, list.len() == before);
                list.push(key);
                if list.len() > capacity {
                    list.remove(0);
                }
                prop_assert_eq!(recent.entries.len(), list.len());
                prop_assert_eq!(recent.turns.len(), list.len());
            }
        }
    }
}
