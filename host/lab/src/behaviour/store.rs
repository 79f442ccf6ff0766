//! A store of bytes and paths that keeps each of them once. A server sends the same heads again
//! and again, and two runs of it do so twice.

use std::rc::Rc;

use hashbrown::HashMap;

/// Names bytes of a [`Store`]. Equal names are equal bytes, and the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u32);

/// Each sequence of bytes once.
#[derive(Default)]
pub struct Store {
    keys: HashMap<Rc<[u8]>, Key>,
    all: Vec<Rc<[u8]>>,
    bytes: u64,
}

/// What each sequence takes besides its bytes: its place in the table, of which up to half is
/// empty, and in the list.
const KEPT_BYTES: u64 = (2 * size_of::<(Rc<[u8]>, Key)>() + size_of::<Rc<[u8]>>() + 2 * size_of::<usize>()) as u64;

impl Store {
    /// The name of these bytes.
    pub fn key(&mut self, bytes: &[u8]) -> Key {
        if let Some(key) = self.keys.get(bytes) {
            return *key;
        }
        let key = Key(u32::try_from(self.all.len()).expect("memory ends before four thousand million pieces"));
        let shared: Rc<[u8]> = bytes.into();
        self.bytes += KEPT_BYTES + bytes.len() as u64;
        self.all.push(shared.clone());
        self.keys.insert(shared, key);
        key
    }

    /// The bytes of that name.
    pub fn get(&self, key: Key) -> &Rc<[u8]> {
        &self.all[key.0 as usize]
    }

    /// How many bytes of memory it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_kept_once() {
        let mut store = Store::default();
        let (a, b, again) = (store.key(b"a"), store.key(b"bb"), store.key(b"a"));
        assert_eq!((a, store.bytes()), (again, 2 * KEPT_BYTES + 3));
        assert_ne!(a, b);
        assert_eq!(&**store.get(b), b"bb");
    }
}
