//! The files beneath the root: a map from paths to nodes.

use super::limits::SYMLINKS_MAX;
use crate::contract::{Entry, Error, Kind, Metadata, checks};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A file's bytes, shared with the guest that has it open.
pub(super) type Bytes = Rc<RefCell<Vec<u8>>>;

pub(super) struct Files {
    /// By their normalised paths; the root is the empty one. Every node's directory is here.
    nodes: BTreeMap<Vec<u8>, Node>,
    /// How many nodes there ever were.
    inodes: u64,
}

pub(super) struct Node {
    pub(super) content: Content,
    pub(super) metadata: Metadata,
    /// The guest may not open or list it, or go through it.
    pub(super) denied: bool,
}

pub(super) enum Content {
    File(Bytes),
    Directory,
    Symlink(Vec<u8>),
    Special,
}

pub(super) fn shared(bytes: Vec<u8>) -> Bytes {
    Rc::new(RefCell::new(bytes))
}

impl Files {
    pub(super) fn new(now: u64) -> Files {
        let mut files = Files { nodes: BTreeMap::new(), inodes: 0 };
        files.put(b"", Content::Directory, now);
        files
    }

    // ---- What a test does.

    /// Puts a node in place of what has its path; a directory that is there stays.
    pub(super) fn put(&mut self, path: &[u8], content: Content, now: u64) {
        let path = normal(path);
        if !path.is_empty() && !self.nodes.contains_key(parent(&path)) {
            self.put(parent(&path), Content::Directory, now);
        }
        let is_directory = |node: &Node| matches!(node.content, Content::Directory);
        if matches!(content, Content::Directory) && self.nodes.get(&path).is_some_and(is_directory) {
            return;
        }
        self.nodes.retain(|other, _| path.is_empty() || !is_beneath(other, &path));
        self.inodes += 1;
        let metadata = metadata(&content, self.inodes, now);
        self.nodes.insert(path, Node { content, metadata, denied: false });
    }

    pub(super) fn overwrite(&mut self, path: &[u8], bytes: Vec<u8>, now: u64) {
        let node = self.node(path);
        let Content::File(content) = &node.content else { panic!("only a file has content") };
        node.metadata =
            Metadata { size: bytes.len() as u64, modified: now as i64, changed: now as i64, ..node.metadata };
        content.replace(bytes);
    }

    pub(super) fn remove(&mut self, path: &[u8]) {
        let path = normal(path);
        assert!(!path.is_empty(), "the root stays");
        self.nodes.retain(|other, _| *other != path && !is_beneath(other, &path));
    }

    /// Panics when there is nothing of this path.
    pub(super) fn node(&mut self, path: &[u8]) -> &mut Node {
        let path = normal(path);
        self.nodes.get_mut(&path).unwrap_or_else(|| panic!("{}: no such file", String::from_utf8_lossy(&path)))
    }

    // ---- What the guest does.

    pub(super) fn open(&self, path: &[u8], follow: bool) -> Result<(Bytes, Metadata), Error> {
        let node = &self.nodes[&self.resolve(path, follow)?];
        match &node.content {
            _ if node.denied => Err(Error::AccessDenied),
            Content::File(bytes) => Ok((Rc::clone(bytes), node.metadata)),
            Content::Directory => Err(Error::IsDirectory),
            Content::Symlink(_) => Err(Error::Symlink),
            Content::Special => Err(Error::NotRegular),
        }
    }

    /// Of the file with that number, if it has not been removed.
    pub(super) fn metadata(&self, inode: u64) -> Option<Metadata> {
        self.nodes.values().map(|node| node.metadata).find(|metadata| metadata.inode == inode)
    }

    pub(super) fn list(&self, path: &[u8]) -> Result<Vec<Entry>, Error> {
        let path = self.resolve(path, true)?;
        let node = &self.nodes[&path];
        if node.denied {
            return Err(Error::AccessDenied);
        }
        if !matches!(node.content, Content::Directory) {
            return Err(Error::NotDirectory);
        }
        let entries = self.nodes.iter().filter(|(other, _)| !other.is_empty() && parent(other) == path);
        let mut entries: Vec<Entry> =
            entries.map(|(path, node)| Entry { name: name(path).to_vec(), metadata: node.metadata }).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The normalised path of a node that is there, once the links on the way are followed. With
    /// `follow` unset a link anywhere on the way is refused.
    pub(super) fn resolve(&self, path: &[u8], follow: bool) -> Result<Vec<u8>, Error> {
        checks::path(path)?;
        if path.first() == Some(&b'/') {
            return Err(Error::NotPermitted);
        }
        // What is left of the path, the next name last.
        let mut names: Vec<Vec<u8>> = path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
        let mut at = Vec::new();
        let mut links = 0;
        while let Some(name) = names.pop() {
            let node = &self.nodes[&at];
            match node.content {
                Content::Directory if node.denied => return Err(Error::AccessDenied),
                Content::Directory => {}
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
            if let Content::Symlink(target) = &next.content {
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

/// A test's path, without empty names.
pub(super) fn normal(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    names.join(&b'/')
}

pub(super) fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(b"", |slash| &path[..slash])
}

pub(super) fn name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..])
}

pub(super) fn is_beneath(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, name].join(&b'/') }
}

fn metadata(content: &Content, inode: u64, now: u64) -> Metadata {
    let (kind, size) = match content {
        Content::File(bytes) => (Kind::Regular, bytes.borrow().len() as u64),
        Content::Directory => (Kind::Directory, 0),
        Content::Symlink(_) => (Kind::Symlink, 0),
        Content::Special => (Kind::Other, 0),
    };
    Metadata { kind, size, modified: now as i64, changed: now as i64, inode }
}
