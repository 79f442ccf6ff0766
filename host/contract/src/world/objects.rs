//! What the handles of a guest name, for a world that keeps no descriptors.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{self, room};
use crate::rules::ObjectKind;
use crate::types::{Error, Handle};

/// Something that a guest holds.
pub enum Object<C, F, B> {
    /// A client's connection.
    Connection(C),
    /// An open file.
    File(F),
    /// Bytes that the host holds.
    Buffer(B),
}

/// The objects of one guest, within the limits of the contract. Handles are counted from 1 on, so
/// that none is given out twice.
pub struct Objects<C, F, B> {
    /// What each handle names, with the bytes of a buffer.
    all: BTreeMap<Handle, (Object<C, F, B>, u64)>,
    /// The handles of connections.
    connections: BTreeSet<Handle>,
    /// How many handles were given out.
    handed_out: u64,
    /// How many connections, files and buffers there are.
    counts: [usize; 3],
    /// Memory of all buffers, in bytes.
    buffer_bytes: u64,
}

impl<C, F, B> Object<C, F, B> {
    /// Returns what kind of object this is.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Connection(_) => ObjectKind::Connection,
            Self::File(_) => ObjectKind::File,
            Self::Buffer(_) => ObjectKind::Buffer,
        }
    }
}

impl<C, F, B> Default for Objects<C, F, B> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), connections: BTreeSet::new(), handed_out: 0, counts: [0; 3], buffer_bytes: 0 }
    }
}

impl<C, F, B> Objects<C, F, B> {
    /// Checks that there is room for another object of a kind. The error is `Exhausted`.
    pub fn has_room(&self, kind: ObjectKind) -> Result<(), Error> {
        let max = match kind {
            ObjectKind::Connection => limits::clients_max(limits::HANDLES_MAX),
            ObjectKind::File => limits::files_max(limits::HANDLES_MAX),
            ObjectKind::Buffer => limits::HANDLES_MAX,
        };
        room(self.counts[kind as usize], max)
    }

    /// Gives a connection or a file its handle.
    pub fn insert(&mut self, object: Object<C, F, B>) -> Result<Handle, Error> {
        self.insert_sized(object, 0)
    }

    /// Gives a buffer of this many bytes its handle.
    pub fn insert_buffer(&mut self, buffer: B, bytes: u64) -> Result<Handle, Error> {
        let fits = self.buffer_bytes.checked_add(bytes).is_some_and(|all| all <= limits::BUFFERS_BYTES_MAX);
        if !fits {
            return Err(Error::Exhausted);
        }
        self.insert_sized(Object::Buffer(buffer), bytes)
    }

    fn insert_sized(&mut self, object: Object<C, F, B>, bytes: u64) -> Result<Handle, Error> {
        let kind = object.kind();
        self.has_room(kind)?;
        self.counts[kind as usize] += 1;
        self.buffer_bytes += bytes;
        self.handed_out += 1;
        if kind == ObjectKind::Connection {
            self.connections.insert(self.handed_out);
        }
        self.all.insert(self.handed_out, (object, bytes));
        Ok(self.handed_out)
    }

    /// Takes a handle back.
    pub fn remove(&mut self, handle: Handle) -> Result<Object<C, F, B>, Error> {
        let (object, bytes) = self.all.remove(&handle).ok_or(Error::BadHandle)?;
        self.connections.remove(&handle);
        let count = &mut self.counts[object.kind() as usize];
        *count = count.checked_sub(1).expect("as many are taken back as were given out");
        self.buffer_bytes = self.buffer_bytes.checked_sub(bytes).expect("a buffer was counted with its bytes");
        Ok(object)
    }

    /// Returns the connection of a handle.
    pub fn connection(&mut self, handle: Handle) -> Result<&mut C, Error> {
        match self.all.get_mut(&handle) {
            Some((Object::Connection(connection), _)) => Ok(connection),
            _ => Err(Error::BadHandle),
        }
    }

    /// Returns the file of a handle.
    pub fn file(&self, handle: Handle) -> Result<&F, Error> {
        match self.all.get(&handle) {
            Some((Object::File(file), _)) => Ok(file),
            _ => Err(Error::BadHandle),
        }
    }

    /// Returns the buffer of a handle.
    pub fn buffer(&self, handle: Handle) -> Result<&B, Error> {
        match self.all.get(&handle) {
            Some((Object::Buffer(buffer), _)) => Ok(buffer),
            _ => Err(Error::BadHandle),
        }
    }

    /// Returns all connections, in the order of their handles.
    pub fn connections(&self) -> impl Iterator<Item = (Handle, &C)> {
        self.connections.iter().filter_map(|handle| match self.all.get(handle) {
            Some((Object::Connection(connection), _)) => Some((*handle, connection)),
            _ => None,
        })
    }

    /// Returns how many files and buffers there are.
    pub fn files_and_buffers(&self) -> usize {
        self.counts[ObjectKind::File as usize] + self.counts[ObjectKind::Buffer as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type All = Objects<(), (), ()>;

    #[test]
    fn handles_name_one_object_of_one_kind_and_are_never_given_out_twice() {
        let mut objects = All::default();
        let file = objects.insert(Object::File(())).expect("room");
        let buffer = objects.insert_buffer((), 7).expect("room");
        assert_eq!((objects.file(file), objects.buffer(buffer)), (Ok(&()), Ok(&())));
        assert_eq!(objects.file(buffer), Err(Error::BadHandle));
        assert_eq!(objects.connection(file).err(), Some(Error::BadHandle));
        assert!(objects.remove(file).is_ok());
        assert_eq!(objects.remove(file).err(), Some(Error::BadHandle));
        assert!(objects.insert(Object::File(())).is_ok_and(|next| next != file && next != buffer));
    }

    #[test]
    fn each_kind_has_its_limit() {
        let mut objects = All::default();
        let files = std::iter::from_fn(|| objects.insert(Object::File(())).ok()).count();
        let clients = std::iter::from_fn(|| objects.insert(Object::Connection(())).ok()).count();
        assert_eq!(files, limits::HANDLES_MAX / limits::HANDLES_FOR_FILES_SHARE);
        assert_eq!(files + clients, limits::HANDLES_MAX);
        let large = limits::BUFFERS_BYTES_MAX - 1;
        let handle = objects.insert_buffer((), large).expect("room");
        assert_eq!(objects.insert_buffer((), 2), Err(Error::Exhausted));
        assert!(objects.remove(handle).is_ok());
        assert!(objects.insert_buffer((), 2).is_ok());
    }
}
