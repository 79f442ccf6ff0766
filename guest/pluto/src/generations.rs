//! A map of bounded size.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash};

/// A map that forgets what was not asked for while so many others were: when the young generation is full it becomes the
/// old one, and the old one is dropped. Nothing is ever looked for among all.
#[derive(Debug)]
pub struct Generations<K, V> {
    young: HashMap<K, V, Hasher>,
    old: HashMap<K, V, Hasher>,
    /// Entries of one generation.
    generation: usize,
}

/// The same in each run: a run depends on its answers alone.
type Hasher = BuildHasherDefault<DefaultHasher>;

/// What is forgotten for something new: to be dropped when nothing is borrowed.
pub type Forgotten<K, V> = (Option<V>, HashMap<K, V, Hasher>);

impl<K: Hash + Eq, V> Generations<K, V> {
    /// An empty map that has room for so many.
    pub fn new(max: usize) -> Generations<K, V> {
        Generations { young: HashMap::default(), old: HashMap::default(), generation: max / 2 }
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
    pub fn get<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (owned, value) = self.old.remove_entry(key)?;
            drop(self.insert(owned, value));
        }
        self.young.get_mut(key)
    }

    /// Returns what is forgotten for it.
    pub fn insert(&mut self, key: K, value: V) -> Forgotten<K, V> {
        let mut forgotten = HashMap::default();
        if self.young.len() >= self.generation {
            forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        let before = self.old.remove(key.borrow());
        (self.young.insert(key, value).or(before), forgotten)
    }

    /// Takes it out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let mut map = Generations::new(1_024);
        for number in 0..10_000_u32 {
            map.insert(number.to_le_bytes().to_vec(), number);
            assert_eq!(map.get(&0_u32.to_le_bytes()[..]), Some(&mut 0), "after {number}");
            assert!(map.len() <= 1_024);
        }
        assert_eq!(map.get(&1_u32.to_le_bytes()[..]), None);
        assert_eq!(map.remove(&9_999_u32.to_le_bytes()[..]), Some(9_999));
        assert_eq!(map.get(&9_999_u32.to_le_bytes()[..]), None);
    }
}
