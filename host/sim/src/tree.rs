//! Files in memory: a map from paths to nodes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use pluto_contract::{Digested, Entry, Error, Kind, Listing, Metadata, Open, Range};

use crate::content::Content;
use crate::files::{Change, Files};

/// Symbolic links in one path, as Linux has it.
pub const SYMLINKS_MAX: usize = 40;

/// The files beneath a root, in memory.
///
/// A guest that has a file open keeps it when it is removed or replaced.
pub struct Tree {
    /// By their normalised paths; the root is the empty one. Every node's directory is here.
    nodes: BTreeMap<Vec<u8>, Node>,
    /// How many nodes there ever were.
    inodes: u64,
    /// What has changed and was not yet told.
    changes: VecDeque<Change>,
}

/// What a node of a [`Tree`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file with these bytes.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic link. The target is relative to the link's directory; one that begins with `/`
    /// leads out of the root.
    Symlink(Vec<u8>),
    /// Something else, such as a pipe.
    Special,
}

/// An open file of a [`Tree`].
pub struct OpenFile {
    /// Shared with the node, so that a guest sees what is overwritten in place.
    bytes: Bytes,
    /// As it was when the file was opened.
    metadata: Metadata,
}

type Bytes = Rc<RefCell<Rc<[u8]>>>;

struct Node {
    data: Data,
    metadata: Metadata,
    /// The guest may not open or list it, or go through it.
    is_denied: bool,
}

enum Data {
    File(Bytes),
    Directory,
    Symlink(Vec<u8>),
    Special,
}

impl Tree {
    /// Returns an empty root, made at `now`: nanoseconds since the Unix epoch.
    pub fn new(now: u64) -> Self {
        let mut tree = Self { nodes: BTreeMap::new(), inodes: 0, changes: VecDeque::new() };
        tree.insert(&[], NodeKind::Directory, now);
        tree
    }

    /// Puts a node in place of what has its path, and the directories above it. A directory that
    /// is there stays.
    pub fn put(&mut self, path: &[u8], kind: NodeKind, now: u64) {
        let path = normal(path);
        self.insert(&path, kind, now);
        self.changed(path);
    }

    fn insert(&mut self, path: &[u8], kind: NodeKind, now: u64) {
        if !path.is_empty() && !self.nodes.contains_key(parent(path)) {
            self.insert(parent(path), NodeKind::Directory, now);
        }
        let is_directory = |node: &Node| matches!(node.data, Data::Directory);
        if kind == NodeKind::Directory && self.nodes.get(path).is_some_and(is_directory) {
            return;
        }
        self.nodes.retain(|other, _| path.is_empty() || !is_beneath(other, path));
        self.inodes += 1;
        self.nodes.insert(path.to_vec(), Node::new(kind, self.inodes, now));
    }

    /// Changes the content of a file in place, also for a guest that has it open.
    ///
    /// Panics when there is no file of this path.
    pub fn overwrite(&mut self, path: &[u8], bytes: Vec<u8>, now: u64) {
        let node = self.node(path);
        let Data::File(content) = &node.data else { panic!("only a file has content") };
        node.metadata =
            Metadata { size: bytes.len() as u64, modified: now as i64, changed: now as i64, ..node.metadata };
        content.replace(bytes.into());
        self.changed(normal(path));
    }

    /// Removes a file, or a directory with everything beneath it.
    pub fn remove(&mut self, path: &[u8]) {
        let path = normal(path);
        assert!(!path.is_empty(), "the root stays");
        self.changed(path.clone());
        let removed = self.nodes.extract_if(.., |other, _| *other == path || is_beneath(other, &path));
        self.changes.extend(removed.map(|(path, _)| Change { path, gone: true }));
    }

    /// Takes the guest's permission for a path away. Panics when there is nothing of this path.
    pub fn deny(&mut self, path: &[u8]) {
        self.node(path).is_denied = true;
    }

    /// Sets when the content of a file was last changed: nanoseconds since the Unix epoch. Panics
    /// when there is nothing of this path.
    pub fn set_modified(&mut self, path: &[u8], modified: i64) {
        self.node(path).metadata.modified = modified;
        self.changed(normal(path));
    }

    fn changed(&mut self, path: Vec<u8>) {
        self.changes.push_back(Change { path, gone: false });
    }

    fn node(&mut self, path: &[u8]) -> &mut Node {
        let path = normal(path);
        self.nodes.get_mut(&path).unwrap_or_else(|| panic!("{}: no such file", String::from_utf8_lossy(&path)))
    }

    /// The normalised path of a node that is there, once the links on the way are followed. With
    /// `follow` unset a link anywhere on the way is refused.
    fn resolve(&self, path: &[u8], follow: bool) -> Result<Vec<u8>, Error> {
        if path.first() == Some(&b'/') {
            return Err(Error::NotPermitted);
        }
        // What is left of the path, the next name last.
        let mut names: Vec<Vec<u8>> = path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
        let mut at = Vec::new();
        let mut links = 0;
        while let Some(name) = names.pop() {
            let node = &self.nodes[&at];
            match node.data {
                Data::Directory if node.is_denied => return Err(Error::AccessDenied),
                Data::Directory => {}
                _ => return Err(Error::NotDirectory),
            }
            match name.as_slice() {
                b"" | b"." => continue,
                b".." if at.is_empty() => return Err(Error::NotPermitted),
                b".." => {
                    at.truncate(parent(&at).len());
                    continue;
                }
                name => at = join(&at, name),
            }
            let next = self.nodes.get(&at).ok_or(Error::NotFound)?;
            if let Data::Symlink(target) = &next.data {
                links += 1;
                if !follow || links > SYMLINKS_MAX {
                    return Err(Error::Symlink);
                }
                if target.first() == Some(&b'/') {
                    return Err(Error::NotPermitted);
                }
                names.extend(target.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
                at.truncate(parent(&at).len());
            }
        }
        Ok(at)
    }
}

impl Files for Tree {
    type File = OpenFile;

    fn open(&mut self, _: u64, open: &Open) -> Result<(OpenFile, Metadata), Error> {
        let node = &self.nodes[&self.resolve(&open.path, open.follow_symlinks)?];
        match &node.data {
            _ if node.is_denied => Err(Error::AccessDenied),
            Data::File(bytes) => Ok((OpenFile { bytes: Rc::clone(bytes), metadata: node.metadata }, node.metadata)),
            Data::Directory => Err(Error::IsDirectory),
            Data::Symlink(_) => Err(Error::Symlink),
            Data::Special => Err(Error::NotRegular),
        }
    }

    fn size(&self, file: &OpenFile) -> u64 {
        file.bytes.borrow().len() as u64
    }

    fn read(&mut self, _: u64, file: &OpenFile, range: Range) -> Result<Vec<u8>, Error> {
        Ok(slice(&file.bytes.borrow(), range).to_vec())
    }

    fn content(&mut self, file: &OpenFile, range: Range) -> Content {
        let bytes = file.bytes.borrow();
        let part = slice(&bytes, range);
        // A whole file is shared and not copied.
        Content::Bytes(if part.len() == bytes.len() { Rc::clone(&bytes) } else { part.into() })
    }

    fn load(&mut self, _: u64, file: &OpenFile, range: Range) -> Result<Content, Error> {
        Ok(self.content(file, range))
    }

    fn digest(&mut self, _: u64, file: &OpenFile) -> Result<Digested, Error> {
        let digest = xxhash_rust::xxh3::xxh3_128(&file.bytes.borrow());
        let mut nodes = self.nodes.values().map(|node| node.metadata);
        let after = nodes.find(|metadata| metadata.inode == file.metadata.inode);
        Ok(Digested::new(digest, &after.unwrap_or(file.metadata)))
    }

    fn list(&mut self, _: u64, listing: &Listing, entries_max: usize) -> Result<Cow<'_, [Entry]>, Error> {
        let path = self.resolve(&listing.path, true)?;
        let node = &self.nodes[&path];
        if node.is_denied {
            return Err(Error::AccessDenied);
        }
        if !matches!(node.data, Data::Directory) {
            return Err(Error::NotDirectory);
        }
        let entries = self.nodes.iter().filter(|(other, _)| !other.is_empty() && parent(other) == path);
        let mut entries: Vec<Entry> =
            entries.map(|(path, node)| Entry { name: name(path).to_vec(), metadata: node.metadata }).collect();
        entries.retain(|entry| entry.name[..] > listing.after[..]);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.truncate(entries_max);
        Ok(Cow::Owned(entries))
    }

    fn watch(&mut self, _: u64, path: &[u8]) -> Result<Vec<u8>, Error> {
        self.resolve(path, true)
    }

    /// Nothing changes by itself.
    fn next_change(&self) -> Option<u64> {
        None
    }

    fn change(&mut self, _: u64) -> Option<Change> {
        self.changes.pop_front()
    }
}

impl Node {
    fn new(kind: NodeKind, inode: u64, now: u64) -> Self {
        let (kind, size, data) = match kind {
            NodeKind::File(bytes) => {
                (Kind::Regular, bytes.len() as u64, Data::File(Rc::new(RefCell::new(bytes.into()))))
            }
            NodeKind::Directory => (Kind::Directory, 0, Data::Directory),
            NodeKind::Symlink(target) => (Kind::Symlink, 0, Data::Symlink(target)),
            NodeKind::Special => (Kind::Other, 0, Data::Special),
        };
        let metadata = Metadata { kind, size, modified: now as i64, changed: now as i64, inode };
        Self { data, metadata, is_denied: false }
    }
}

/// A path without empty names.
fn normal(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    names.join(&b'/')
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(b"", |slash| &path[..slash])
}

fn name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..])
}

fn is_beneath(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, name].join(&b'/') }
}

/// A range of bytes, or what there is of it.
fn slice(bytes: &[u8], range: Range) -> &[u8] {
    let start = bytes.len().min(usize::try_from(range.offset).unwrap_or(usize::MAX));
    let length = usize::try_from(range.length).unwrap_or(usize::MAX).min(bytes.len() - start);
    &bytes[start..start + length]
}
