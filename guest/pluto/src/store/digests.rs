//! Entity tags of files: the digest of the content, which the host computes and the server
//! remembers.
//!
//! A file's times and length are no content: containers and Nix set every file's time to the same
//! second, and a file that is restored or copied brings its old one. So the tag is made of the
//! content, and the times serve only to tell whether a digest that is remembered still holds.
//! Among them is the time that the system itself sets with every change and that nobody can set
//! back.

use super::known_digests::{Identity, KnownDigests, is_settled};
use super::long_files::LongFiles;
use pluto_http::encoding::Coding;
use pluto_http::validator::EntityTag;
use pluto_sdk::{Error, File, Symlinks};
use std::rc::Rc;
use xxhash_rust::xxh3::xxh3_64;

/// The digests of files, and who finds them out.
#[derive(Debug)]
pub struct Digests {
    known: Rc<KnownDigests>,
    long_files: LongFiles,
    symlinks: Symlinks,
}

/// What is known of an open file's content.
#[derive(Debug)]
pub enum Tag {
    /// Its entity tag.
    Known(EntityTag),
    /// Nothing, for it is too long to be read before it is sent.
    TooLong,
    /// Nothing could be promised, for it is being written.
    Changing,
}

impl Digests {
    /// With none known; files are opened as the site opens them.
    pub fn new(symlinks: Symlinks) -> Digests {
        let known = Rc::<KnownDigests>::default();
        Digests { long_files: LongFiles::new(Rc::clone(&known)), known, symlinks }
    }

    /// Has a file read in the background that is too long to be read before it is sent.
    pub fn read_long_file(&self, path: Vec<u8>, hash: u64) {
        self.long_files.read(path, hash, self.symlinks);
    }

    /// Has the file of this path read for its next tag, whatever its metadata say.
    pub fn forget(&self, path: u64, file: &File) {
        self.known.remove(&Identity::of(path, file));
    }

    /// The tag of an open file whose path has this hash.
    pub async fn tag(&self, path: u64, file: &File, coding: Option<Coding>) -> Tag {
        let metadata = *file.metadata();
        let identity = Identity::of(path, file);
        if let Some(digest) = self.known.get(&identity) {
            return Tag::Known(of_content(digest, coding));
        }
        match file.digest().await {
            Ok(digested) if digested.is_of(&metadata) => {
                let digest = digested.number();
                if is_settled(metadata.changed) {
                    self.known.insert(identity, digest);
                }
                Tag::Known(of_content(digest, coding))
            }
            Err(Error::TooLarge) => Tag::TooLong,
            // It has changed since it was opened; or it cannot be read, which sending it will
            // show.
            Ok(_) | Err(_) => Tag::Changing,
        }
    }
}

/// RFC 9110 §8.8.3.3: an encoded representation has a tag of its own, also where its bytes happen
/// to be the same.
pub fn of_content(digest: u128, coding: Option<Coding>) -> EntityTag {
    let coding = coding.map_or(String::new(), |coding| format!("-{}", coding.name()));
    EntityTag::strong(&format!("{digest:032x}{coding}"))
}

/// The tag of what the server has compressed itself: another version of the server may make other
/// bytes of the same content, so that the tag has a digest of both.
pub fn of_compressed(digest: u128, coding: Coding, bytes: &[u8]) -> EntityTag {
    EntityTag::strong(&format!("{digest:032x}-{}-{:016x}", coding.name(), xxh3_64(bytes)))
}
