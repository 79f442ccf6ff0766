//! A map of bounded size.

use pluto_sdk::now;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A map that forgets what was not asked for while so many others were: when the young generation
/// is full it becomes the old one, and the old one is dropped. Making room never searches the map.
#[derive(Debug)]
pub struct TwoGenerationMap<K, V> {
    young: HashMap<K, V, Seed>,
    old: HashMap<K, V, Seed>,
    /// What the young generation weighs.
    weight: usize,
    /// What one generation may weigh.
    weight_max: usize,
    weigh: fn(&V) -> usize,
}

/// Where hashes begin. A client that does not know it cannot choose keys that collide. It is the
/// time at which the map was made, for a guest has no randomness, and a run must depend on its
/// answers alone. XXH3 is no cryptographic hash; who finds out the seed all the same makes a
/// lookup compare at most as many keys as the map holds.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl Default for Seed {
    fn default() -> Seed {
        Seed(now())
    }
}

impl BuildHasher for Seed {
    type Hasher = Xxh3;

    fn build_hasher(&self) -> Xxh3 {
        Xxh3(self.0)
    }
}

/// XXH3 of each piece of a key, with that of the piece before for a seed.
#[derive(Debug)]
pub struct Xxh3(u64);

impl Hasher for Xxh3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, number: usize) {
        // The length of a piece, which is hashed with it.
        self.0 = self.0.wrapping_add(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What is forgotten for something new. `get` drops it at once, so that dropping a value must not
/// come back to the map.
pub type Forgotten<K, V> = (Option<V>, HashMap<K, V, Seed>);

impl<K: Hash + Eq, V> TwoGenerationMap<K, V> {
    /// An empty map that has room for so many.
    pub fn new(max: usize) -> TwoGenerationMap<K, V> {
        TwoGenerationMap::weighing(max, |_| 1)
    }

    /// An empty map that has room for values of this weight all together. A value's weight must
    /// not change while it is in the map. One that weighs more than half of all is kept all the
    /// same, in a generation of its own.
    pub fn weighing(max: usize, weigh: fn(&V) -> usize) -> TwoGenerationMap<K, V> {
        TwoGenerationMap { young: HashMap::default(), old: HashMap::default(), weight: 0, weight_max: max / 2, weigh }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was put there, if it is not forgotten.
    pub fn get<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (owned, value) = self.old.remove_entry(key)?;
        drop(self.insert(owned, value.clone()));
        Some(value)
    }

    /// Returns what is forgotten for it.
    pub fn insert(&mut self, key: K, value: V) -> Forgotten<K, V> {
        let mut forgotten = HashMap::default();
        let weight = (self.weigh)(&value);
        if self.weight + weight > self.weight_max {
            forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.weight = 0;
        }
        let before = self.remove(key.borrow());
        self.weight += weight;
        self.young.insert(key, value);
        (before, forgotten)
    }

    /// Takes it out, if it is this one. Unlike `get` it moves nothing.
    pub fn remove_if<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, is_this: impl Fn(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let is_there = self.young.get(key).or_else(|| self.old.get(key)).is_some_and(is_this);
        if is_there { self.remove(key) } else { None }
    }

    /// Takes it out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let Some(value) = self.young.remove(key) else { return self.old.remove(key) };
        self.weight -= (self.weigh)(&value);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let mut map = TwoGenerationMap::new(1_024);
        for number in 0..10_000_u32 {
            map.insert(number.to_le_bytes().to_vec(), number);
            assert_eq!(map.get(&0_u32.to_le_bytes()[..]), Some(0), "after {number}");
            assert!(map.len() <= 1_024);
        }
        assert_eq!(map.get(&1_u32.to_le_bytes()[..]), None);
        assert_eq!(map.remove(&9_999_u32.to_le_bytes()[..]), Some(9_999));
        assert_eq!(map.get(&9_999_u32.to_le_bytes()[..]), None);
    }

    #[test]
    fn what_is_heavy_leaves_room_for_fewer() {
        let mut map: TwoGenerationMap<Vec<u8>, usize> = TwoGenerationMap::weighing(1_000, |weight| *weight);
        let weight = |map: &TwoGenerationMap<Vec<u8>, usize>| map.young.values().chain(map.old.values()).sum::<usize>();
        for number in 0..10_000_u32 {
            map.insert((number % 300).to_le_bytes().to_vec(), number as usize % 100);
            assert!(weight(&map) <= 1_000, "after {number}");
            assert_eq!(map.weight, map.young.values().sum::<usize>());
            if number % 3 == 0 {
                map.remove(&(number % 200).to_le_bytes()[..]);
            }
        }
        map.insert(b"a".to_vec(), 10_000);
        map.insert(b"b".to_vec(), 1);
        assert_eq!((map.get(&b"a"[..]), map.len()), (Some(10_000), 2));
    }
}
