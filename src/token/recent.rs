//! A bounded map that forgets what was not used for the longest time.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A map of at most `capacity` entries.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    capacity: usize,
    entries: HashMap<K, (V, u64)>,
    /// By the turn of the last use; the first is the one to go.
    turns: BTreeMap<u64, K>,
    turn: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// A capacity of zero counts as one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: HashMap::new(), turns: BTreeMap::new(), turn: 0 }
    }

    /// The value under this key, made if it is not there, and now the most recently used.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &V {
        let full = !self.entries.contains_key(&key) && self.entries.len() >= self.capacity;
        if full && let Some((_, oldest)) = self.turns.pop_first() {
            self.entries.remove(&oldest);
        }
        self.turn += 1;
        let turn = self.turn;
        let (value, last) = self.entries.entry(key.clone()).or_insert_with(|| (make(), turn));
        self.turns.remove(last);
        *last = turn;
        self.turns.insert(turn, key);
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = Recent::new(2);
        let mut made = Vec::new();
        for key in ["a", "b", "a", "c", "a", "b"] {
            recent.get_or_insert_with(key, || made.push(key));
        }
        assert_eq!(made, ["a", "b", "c", "b"]);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_capacity_and_agrees_with_a_plain_list(
            capacity in 1usize..6, keys in prop::collection::vec(0u8..10, 0..60),
        ) {
            let mut recent = Recent::new(capacity);
            let mut list: Vec<u8> = Vec::new();
            for key in keys {
                let mut made = false;
                recent.get_or_insert_with(key, || made = true);
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
