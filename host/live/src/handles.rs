//! The objects that handles name. A handle is the number of a slot and the count of that slot's
//! uses, so no handle is given out twice.

use std::rc::Rc;

use super::connection::Connection;
use super::held::{Held, Total};
use super::objects::{Buffer, File};
use crate::limits;
use pluto_contract::Error;

/// An object that a guest holds.
pub enum Object {
    /// A client.
    Connection(Connection),
    /// A regular file, open for reading.
    File(Rc<File>),
    /// Bytes that the host holds.
    Buffer(Rc<Buffer>),
}

/// The objects of one guest.
pub struct Handles {
    /// The object of each handle, by the number in the handle's lower half.
    slots: Vec<Slot>,
    /// The slots that can be used again.
    free: Vec<u32>,
    /// The most connections and files that can be held. Each takes a descriptor.
    max: usize,
    /// The number of connected clients.
    connections: usize,
    /// Files that are open: those with a handle, and those that a write still sends from.
    files: Total,
    /// The number of buffers with a handle.
    buffers: usize,
}

struct Slot {
    /// The number of uses of the slot, including the present one.
    uses: u32,
    /// The object that the slot's handle names. None when the slot is free.
    object: Option<Object>,
}

impl Handles {
    /// Creates an empty table with room for this many connections and files.
    pub fn new(max: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), max, connections: 0, files: Total::default(), buffers: 0 }
    }

    /// The number of connected clients.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Returns whether there is room for another client.
    pub fn has_room_for_clients(&self) -> bool {
        self.connections < limits::clients_max(self.max)
    }

    /// Takes the room for another file. The error is `Exhausted` when there is none.
    pub fn room_for_file(&self) -> Result<Held, Error> {
        self.files.hold(1, limits::files_max(self.max) as u64)
    }

    /// Gives an object a handle.
    pub fn insert(&mut self, object: Object) -> Result<u64, Error> {
        let has_room = match object {
            Object::Connection(_) => self.has_room_for_clients(),
            // A file has taken its room before.
            Object::File(_) => true,
            Object::Buffer(_) => self.buffers < limits::HANDLES_MAX,
        };
        if !has_room {
            return Err(Error::Exhausted);
        }
        self.count(&object, 1);
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { uses: 0, object: None });
            u32::try_from(self.slots.len() - 1).expect("few are used up")
        });
        let slot = &mut self.slots[index as usize];
        assert!(slot.object.is_none(), "a handle that is in use is given out again");
        slot.uses = slot.uses.checked_add(1).expect("a slot that is used up is never free");
        slot.object = Some(object);
        Ok(u64::from(slot.uses) << 32 | u64::from(index))
    }

    /// Returns the connection of a handle.
    pub fn connection(&mut self, handle: u64) -> Result<&mut Connection, Error> {
        match self.slot(handle).and_then(|slot| slot.object.as_mut()) {
            Some(Object::Connection(connection)) => Ok(connection),
            _ => Err(Error::BadHandle),
        }
    }

    /// Returns the file of a handle.
    pub fn file(&mut self, handle: u64) -> Result<&Rc<File>, Error> {
        match self.slot(handle).and_then(|slot| slot.object.as_ref()) {
            Some(Object::File(file)) => Ok(file),
            _ => Err(Error::BadHandle),
        }
    }

    /// Returns the buffer of a handle.
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
        self.count(&object, -1);
        Ok(object)
    }

    /// Counts an object of this kind more or less. Files count themselves, because they live
    /// longer than their handles.
    fn count(&mut self, object: &Object, change: isize) {
        let count = match object {
            Object::Connection(_) => &mut self.connections,
            Object::Buffer(_) => &mut self.buffers,
            Object::File(_) => return,
        };
        *count = count.checked_add_signed(change).expect("as many are taken back as were given out");
    }

    fn slot(&mut self, handle: u64) -> Option<&mut Slot> {
        let uses = u32::try_from(handle >> 32).ok()?;
        self.slots.get_mut(index(handle) as usize).filter(|slot| slot.uses == uses)
    }
}

fn index(handle: u64) -> u32 {
    (handle & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::medium::Medium;
    use crate::objects::Closing;

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

    fn file(handles: &Handles) -> Result<Object, Error> {
        let fd = OwnedFd::from(std::io::pipe().expect("a pipe").0);
        Ok(Object::File(Rc::new(File::new(fd, 0, Medium::Memory, handles.room_for_file()?, &Closing::default()))))
    }

    fn client(handles: &mut Handles) -> Result<u64, Error> {
        let fd = OwnedFd::from(std::io::pipe().expect("a pipe").0);
        handles.insert(Object::Connection(Connection::new(fd, Total::default().hold_anyway(1))))
    }

    #[test]
    fn files_and_clients_each_have_a_share() {
        let mut handles = Handles::new(12);
        let files: Vec<Object> = std::iter::from_fn(|| file(&handles).ok()).collect();
        let clients: Vec<u64> = std::iter::from_fn(|| client(&mut handles).ok()).collect();
        assert_eq!((files.len(), clients.len()), (3, 9));
        assert_eq!(file(&handles).err(), Some(Error::Exhausted));
        assert_eq!(client(&mut handles).err(), Some(Error::Exhausted));
        drop(files);
        assert!(file(&handles).is_ok());
        assert_eq!(client(&mut handles).err(), Some(Error::Exhausted), "what files do not take is theirs");
        assert!(handles.remove(clients[0]).is_ok());
        assert!(client(&mut handles).is_ok());
    }

    #[test]
    fn a_file_counts_as_long_as_it_is_sent_from() {
        let mut handles = Handles::new(limits::HANDLES_FOR_FILES_SHARE);
        let object = file(&handles).expect("room");
        let handle = handles.insert(object).expect("room");
        let sending = handles.file(handle).expect("it is there").clone();
        assert!(handles.remove(handle).is_ok());
        assert_eq!(file(&handles).err(), Some(Error::Exhausted));
        drop(sending);
        assert!(file(&handles).is_ok());
    }

    #[test]
    fn buffers_take_no_descriptor_and_have_a_limit_of_their_own() {
        let mut handles = Handles::new(2);
        for _ in 0..limits::HANDLES_MAX {
            assert!(handles.insert(buffer()).is_ok());
        }
        assert_eq!(handles.insert(buffer()).err(), Some(Error::Exhausted));
        assert!(client(&mut handles).is_ok());
    }
}
