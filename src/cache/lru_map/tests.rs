use proptest::prelude::*;

use crate::cache::lru_map::segment::SAMPLES;
use crate::cache::lru_map::*;

fn len<K, V: Value>(map: &LruMap<K, V>) -> usize {
    let mut len = 0;
    map.for_each(|_| len += 1);
    let segments = map.segments();
    assert_eq!(len, segments.probation.len() + segments.protected.len());
    len
}

fn segmented(probation: usize, protected: usize, weight: usize) -> LruMap<u32, Arc<u32>> {
    LruMap::with_limits(Limits { probation, protected, weight })
}

fn promote(map: &LruMap<u32, Arc<u32>>, key: u32, weight: usize) -> Vec<u32> {
    map.get_or_insert_with(&key, || Arc::new(key));
    let mut evicted: Vec<u32> =
        map.promote(map.hash(&key), |other| *other == key, weight).iter().map(|value| **value).collect();
    evicted.sort_unstable();
    evicted
}

fn holds(map: &LruMap<u32, Arc<u32>>, key: u32) -> bool {
    let mut found = false;
    map.for_each(|value| found |= **value == key);
    found
}

#[test]
fn the_least_recently_used_goes_first() {
    let map = LruMap::new(2);
    let mut made = Vec::new();
    for key in ["a", "b", "a", "c", "a", "b"] {
        map.get_or_insert_with(&key, || {
            made.push(key);
            Arc::new(())
        });
    }
    assert_eq!(made, ["a", "b", "c", "b"]);
}

#[test]
fn what_is_in_use_stays_and_room_is_made_when_it_is_not() {
    let map = LruMap::new(2);
    let get = |key: &'static str| {
        let value: Arc<()> = map.get_or_insert_with(&key, Arc::default);
        (value, len(&map))
    };
    let in_use: Vec<(Arc<()>, usize)> = ["a", "b", "c"].map(get).into();
    assert_eq!(get("d").1, 4);
    assert!(["a", "b", "c"].iter().zip(&in_use).all(|(key, (value, _))| Arc::ptr_eq(&get(key).0, value)));
    drop(in_use);
    for key in 0..=SAMPLES {
        get(["e", "f", "g", "h", "i", "j", "k", "l", "m"][key]);
    }
    assert_eq!(len(&map), 2);
}

#[test]
fn keys_on_probation_never_push_out_a_protected_one() {
    let map = segmented(10, 100, usize::MAX);
    for key in 0..100 {
        assert!(promote(&map, key, 1).is_empty());
    }
    for key in 1_000..20_000 {
        map.get_or_insert_with(&key, || Arc::new(key));
    }
    assert!((0..100).all(|key| holds(&map, key)));
    assert_eq!(len(&map), 110);
    // Another protected one evicts the least recently used of them.
    map.get_or_insert_with(&0, || unreachable!());
    assert_eq!(promote(&map, 100, 1), [1]);
}

#[test]
fn the_weight_of_what_is_protected_is_bounded_and_a_change_of_weight_counts() {
    let map = segmented(10, 100, 1_000);
    for key in 0..10 {
        assert!(promote(&map, key, 100).is_empty());
    }
    assert_eq!(promote(&map, 10, 250), [0, 1, 2]);
    assert!(promote(&map, 10, 50).is_empty());
    assert!(promote(&map, 11, 200).is_empty());
    assert_eq!(promote(&map, 12, 60), [3]);
    // An entry that exceeds the limit by itself stays alone.
    let last = promote(&map, 13, 5_000);
    assert_eq!((last.len(), len(&map), holds(&map, 13)), (9, 1, true));
    assert_eq!(map.segments().weight, 5_000);
}

#[test]
fn a_key_that_is_evicted_or_never_came_is_not_promoted() {
    let map = segmented(1, 1, 10);
    assert!(map.promote(map.hash(&1), |key| *key == 1, 5).is_empty());
    map.get_or_insert_with(&2, || Arc::new(2));
    assert!(map.promote(map.hash(&1), |key| *key == 1, 5).is_empty());
    assert_eq!((len(&map), map.segments().weight), (1, 0));
}

#[test]
fn a_peek_makes_no_entry_and_is_no_use() {
    let map = segmented(2, 1, 10);
    let peek = |key: u32| map.peek(map.hash(&key), |other| *other == key).map(|value| *value);
    for key in [1, 2] {
        map.get_or_insert_with(&key, || Arc::new(key));
    }
    assert_eq!([1, 2, 3].map(peek), [Some(1), Some(2), None]);
    assert_eq!(peek(1), Some(1));
    map.get_or_insert_with(&3, || Arc::new(3));
    assert_eq!([1, 2, 3].map(peek), [None, Some(2), Some(3)]);
}

#[test]
fn the_entries_of_a_full_map_are_spread_over_shards_whatever_their_hashes_are() {
    #[derive(Clone, Copy, Default, Debug)]
    struct Low;
    impl BuildHasher for Low {
        type Hasher = LowHasher;
        fn build_hasher(&self) -> LowHasher {
            LowHasher(0)
        }
    }
    struct LowHasher(u64);
    impl std::hash::Hasher for LowHasher {
        fn write(&mut self, _: &[u8]) {}
        fn write_u32(&mut self, number: u32) {
            // All low bits are alike, as an attacker may choose them.
            self.0 = u64::from(number) << 40;
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let map: LruMap<u32, Arc<u32>, Low> =
        LruMap::with_limits(Limits { probation: 8_000, protected: 1, weight: 0 });
    for key in 0..8_000 {
        map.get_or_insert(map.hash(&key), |other| *other == key, || (key, Arc::new(key)));
    }
    let longest = map.shards.get().unwrap().iter().flat_map(|shard| shard.load_full()).map(|s| s.len());
    assert!(longest.max().unwrap() <= 6 * SHARD_LENGTH);
}

#[test]
fn readers_see_each_key_with_its_own_value_while_others_come_and_go() {
    let map = segmented(20, 20, usize::MAX);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let map = &map;
            scope.spawn(move || {
                for step in 0..5_000_u32 {
                    let key = (step * 7 + thread * 13) % 100;
                    let value = map.get_or_insert_with(&key, || Arc::new(key));
                    assert_eq!(*value, key);
                    if step % 3 == 0 {
                        map.promote(map.hash(&key), |other| *other == key, 1);
                    }
                    map.with(map.hash(&key), |other| *other == key, |value| assert_eq!(**value, key));
                }
            });
        }
    });
    for key in 200..260 {
        map.get_or_insert_with(&key, || Arc::new(key));
    }
    assert!(len(&map) <= 40, "{}", len(&map));
}

proptest! {
    #[test]
    fn it_never_holds_more_than_its_capacity_and_agrees_with_a_plain_list(
        capacity in 1usize..6, keys in prop::collection::vec(0u8..10, 0..60),
    ) {
        let map = LruMap::new(capacity);
        let mut list: Vec<u8> = Vec::new();
        for key in keys {
            let mut made = false;
            map.get_or_insert_with(&key, || {
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
            prop_assert_eq!(len(&map), list.len());
        }
    }

    #[test]
    fn segments_and_weights_stay_in_their_limits_and_the_segments_adds_up(
        probation in 1usize..5, protected in 1usize..5, limit in 1usize..50,
        steps in prop::collection::vec((0u32..12, prop::option::of(1usize..20)), 0..80),
    ) {
        let map = segmented(probation, protected, limit);
        for (key, weight) in steps {
            match weight {
                Some(weight) => drop(promote(&map, key, weight)),
                None => drop(map.get_or_insert_with(&key, || Arc::new(key))),
            }
            len(&map);
            let segments = map.segments();
            let sum: usize =
                segments.protected.queue.values().map(|node| node.weight.load(Ordering::Relaxed)).sum();
            prop_assert_eq!(sum, segments.weight);
            prop_assert!(segments.probation.len() <= probation && segments.protected.len() <= protected);
            prop_assert!(sum <= limit || segments.protected.len() == 1);
        }
    }
}
