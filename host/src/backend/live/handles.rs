//! What handles name. A handle is the number of a slot and how often that slot was used, so none is given out twice.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::connection::Connection;
use super::held::{Held, Total};
use crate::contract::Error;
use crate::limits;

/// Something that a guest holds.
pub enum Object {
    /// A client.
    Connection(Connection),
    /// A regular file, open for reading.
    File(Rc<File>),
    /// Bytes that the host holds.
    Buffer(Rc<Buffer>),
}

/// A regular file, open for reading. It lives as long as its handle, or a write that sends from it.
pub struct File {
    /// The file.
    pub fd: OwnedFd,
    /// How many bytes it held when it was opened.
    pub size: u64,
    /// Counts it among the files.
    _held: Held,
}

/// Bytes that the host holds. They live as long as their handle, or a write that sends from them.
pub struct Buffer {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Counts them among the bytes of buffers.
    _held: Held,
}

impl File {
    /// A file, counted among `files`.
    pub fn new(fd: OwnedFd, size: u64, files: &Total, files_max: usize) -> Result<Self, Error> {
        Ok(Self { fd, size, _held: files.hold(1, files_max as u64)? })
    }
}

impl Buffer {
    /// Bytes, counted among `buffer_bytes`.
    pub fn new(bytes: Vec<u8>, buffer_bytes: &Total) -> Result<Self, Error> {
        // An empty one takes some memory as well.
        let amount = (bytes.capacity() + size_of::<Self>()) as u64;
        Ok(Self { bytes, _held: buffer_bytes.hold(amount, limits::BUFFERS_BYTES_MAX)? })
    }
}

/// The objects of one guest.
pub struct Handles {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// How many connections and files can be held, which take a descriptor each.
    max: usize,
    connections: usize,
    files: usize,
    buffers: usize,
}

struct Slot {
    /// How often the slot was used, its present use counted.
    uses: u32,
    object: Option<Object>,
}

impl Handles {
    /// None yet, and room for so many connections and files.
    pub fn new(max: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), max, connections: 0, files: 0, buffers: 0 }
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Whether another connection or file can be held.
    fn has_room(&self) -> bool {
        self.connections + self.files < self.max
    }

    /// Whether another client can be taken. Clients leave a part to the files that they will ask for.
    pub fn has_room_for_clients(&self) -> bool {
        self.connections < clients_max(self.max) && self.has_room()
    }

    /// How many files can be open besides the connections, for both take descriptors.
    pub fn files_max(&self) -> usize {
        self.max - self.connections
    }

    /// Gives an object a handle.
    pub fn insert(&mut self, object: Object) -> Result<u64, Error> {
        let has_room = match object {
            Object::Connection(_) | Object::File(_) => self.has_room(),
            Object::Buffer(_) => self.buffers < limits::HANDLES_MAX,
        };
        if !has_room {
            return Err(Error::Exhausted);
        }
        *self.count(&object) += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { uses: 0, object: None });
            u32::try_from(self.slots.len() - 1).expect("few are used up")
        });
        let slot = &mut self.slots[index as usize];
        slot.uses += 1;
        slot.object = Some(object);
        Ok(u64::from(slot.uses) << 32 | u64::from(index))
    }

    /// The connection of that handle.
    pub fn connection(&mut self, handle: u64) -> Result<&mut Connection, Error> {
        match self.slot(handle).and_then(|slot| slot.object.as_mut()) {
            Some(Object::Connection(connection)) => Ok(connection),
            _ => Err(Error::BadHandle),
        }
    }

    /// The file of that handle.
    pub fn file(&mut self, handle: u64) -> Result<&Rc<File>, Error> {
        match self.slot(handle).and_then(|slot| slot.object.as_ref()) {
            Some(Object::File(file)) => Ok(file),
            _ => Err(Error::BadHandle),
        }
    }

    /// The buffer of that handle.
    pub fn buffer(&mut self, handle: u64) -> Result<&Rc<Buffer>, Error> {
        match self.slot(handle).and_then(|slot| slot.object.as_ref()) {
            Some(Object::Buffer(buffer)) => Ok(buffer),
            _ => Err(Error::BadHandle),
        }
    }

    /// Takes a handle back.
    pub fn remove(&mut self, handle: u64) -> Result<Object, Error> {
        let slot = self.slot(handle).ok_or(Error::BadHandle)?;
        let object = slot.object.take().ok_or(Error::BadHandle)?;
        if slot.uses < u32::MAX {
            self.free.push(index(handle));
        }
        *self.count(&object) -= 1;
        Ok(object)
    }

    /// How many there are of its kind.
    fn count(&mut self, object: &Object) -> &mut usize {
        match object {
            Object::Connection(_) => &mut self.connections,
            Object::File(_) => &mut self.files,
            Object::Buffer(_) => &mut self.buffers,
        }
    }

    fn slot(&mut self, handle: u64) -> Option<&mut Slot> {
        let uses = u32::try_from(handle >> 32).ok()?;
        self.slots.get_mut(index(handle) as usize).filter(|slot| slot.uses == uses)
    }
}

/// How many clients can be connected at once where there are so many handles.
pub fn clients_max(handles_max: usize) -> usize {
    handles_max - handles_max / limits::HANDLES_FOR_FILES_SHARE
}

fn index(handle: u64) -> u32 {
    (handle & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> Object {
        Object::Buffer(Rc::new(Buffer::new(Vec::new(), &Total::default()).expect("room")))
    }

    #[test]
    fn a_handle_is_never_given_out_twice() {
        let mut handles = Handles::new(10);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let handle = handles.insert(buffer()).expect("room");
            assert!(handle != 0 && seen.insert(handle), "{handle:#x} again");
            assert!(handles.remove(handle).is_ok());
            assert_eq!(handles.remove(handle).err(), Some(Error::BadHandle), "closed twice");
        }
        assert_eq!(handles.slots.len(), 1, "slots are used again");
    }

    #[test]
    fn forged_handles_and_those_of_another_kind_are_refused() {
        let mut handles = Handles::new(10);
        let handle = handles.insert(buffer()).expect("room");
        assert!(handles.buffer(handle).is_ok());
        for wrong in [0, 1, handle + 1, handle + (1 << 32), handle - (1 << 32), u64::MAX] {
            assert_eq!(handles.buffer(wrong).err(), Some(Error::BadHandle), "{wrong:#x}");
        }
        assert_eq!(handles.file(handle).err(), Some(Error::BadHandle));
        assert_eq!(handles.connection(handle).err(), Some(Error::BadHandle));
    }

    #[test]
    fn there_is_a_limit() {
        let mut handles = Handles::new(10);
        let fd = || OwnedFd::from(std::io::pipe().expect("a pipe").0);
        let file = || Object::File(Rc::new(File::new(fd(), 0, &Total::default(), 1).expect("room")));
        let held: Vec<u64> = (0..10).map(|_| handles.insert(file()).expect("room")).collect();
        assert!(!handles.has_room_for_clients());
        assert_eq!(handles.insert(file()).err(), Some(Error::Exhausted));
        // Buffers take no descriptor.
        for _ in 0..limits::HANDLES_MAX {
            assert!(handles.insert(buffer()).is_ok());
        }
        assert_eq!(handles.insert(buffer()).err(), Some(Error::Exhausted));
        assert!(handles.remove(held[0]).is_ok());
        assert!(handles.has_room_for_clients() && handles.insert(file()).is_ok());
    }
}
