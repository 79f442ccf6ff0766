//! What a path names: a resource, in one representation or several (RFC 9110 §3.2).
//!
//! Beside `app.js` may stand `app.js.br`, `app.js.zst` and `app.js.gz`: the same, encoded. Whether
//! they are there is found out when a client would take one, and known for as long as the file
//! itself is. Where there is none, the server may compress the file itself
//! ([`super::compression`]).

use super::budget::Reservation;
use super::digests::{Digests, Tag};
use super::known_digests::is_settled;
use crate::limits::{
    BODY_KEPT_BYTES_MAX, COMPRESSED_FILE_BYTES_MAX, COMPRESSED_FILE_BYTES_MIN, KEPT_DESCRIPTOR_BYTES, KEPT_ENTRY_BYTES,
};
use crate::policy::content::Description;
use pluto_http::encoding::{Accepted, CODINGS, Coding};
use pluto_http::media::Media;
use pluto_http::response::{Fields, Representation};
use pluto_http::validator::{EntityTag, Modified, Validators};
use pluto_sdk::fs::{Open, open};
use pluto_sdk::{Buffer, File, Kind, Metadata, Part, Pending, Symlinks, now};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use xxhash_rust::xxh3::xxh3_64;

/// What is known about a resource before a file is open.
#[derive(Clone, Debug)]
pub struct About {
    /// What its path says of it.
    description: Description,
    /// A hash of the path.
    pub(super) path: u64,
}

impl About {
    /// The file of this path, of which its site says this.
    pub fn new(path: &[u8], description: Description) -> About {
        About { description, path: xxh3_64(path) }
    }

    /// Whether there may be other representations of it than the file itself: not of what is
    /// compressed by itself, nor of what is encoded already.
    fn is_negotiated(&self) -> bool {
        self.description.coding.is_none() && self.description.media.is_compressible()
    }
}

/// How a file is read that has just been opened.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// What is known of files' contents.
    pub digests: &'a Digests,
    /// Whether it is to be kept: then a small one is loaded into memory of the host.
    pub keep: bool,
    /// Whether that its metadata are the same says nothing.
    pub distrust: bool,
}

/// A representation: a file, as it was when it was opened.
#[derive(Debug)]
pub struct Content {
    /// The file's metadata, unless it had changed so lately that another change might not show in
    /// them.
    state: Option<Metadata>,
    /// It is too long to have been read before it is sent, so that it has no tag yet.
    is_undigested: bool,
    length: u64,
    media: Media,
    coding: Option<Coding>,
    validators: Validators,
    /// What its responses say of it.
    fields: Fields,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// An open file, which takes a descriptor.
    File(File),
    /// All of it in memory of the host, which takes none.
    Buffer(Buffer),
    /// All of it in memory of the server.
    Own(CompressedFile),
}

/// A file that the server has compressed.
#[derive(Debug)]
pub struct CompressedFile {
    bytes: Box<[u8]>,
    tag: EntityTag,
    _reservation: Reservation,
}

impl CompressedFile {
    /// The one coding of which there is a small and quick encoder in pure Rust, and that every
    /// client knows.
    pub const CODING: Coding = Coding::Gzip;

    /// These bytes, with what they take of what there is for all of them.
    pub fn new(bytes: Vec<u8>, tag: EntityTag, reservation: Reservation) -> CompressedFile {
        CompressedFile { bytes: bytes.into(), tag, _reservation: reservation }
    }
}

/// A range of a representation, as a write sends it.
#[derive(Debug)]
pub enum Piece<'a> {
    /// The host takes it from where it is.
    Part(Part),
    /// It is to be copied, for the host is given bytes and keeps none.
    Bytes(&'a [u8]),
}

impl Content {
    /// That of a file which has just been opened.
    pub async fn new(file: File, about: &About, coding: Option<Coding>, reading: Reading<'_>) -> Content {
        let Reading { digests, keep, distrust } = reading;
        if distrust {
            digests.forget(about.path, &file);
        }
        let length = file.len();
        let state = Some(*file.metadata()).filter(|metadata| is_settled(metadata.changed));
        let tag = digests.tag(about.path, &file, coding).await;
        let modified = Modified::new(file.metadata().modified, file.metadata().changed, now());
        let is_undigested = matches!(tag, Tag::TooLong);
        let tag = if let Tag::Known(tag) = tag { Some(tag) } else { None };
        let validators = Validators { tag, modified };
        let small = keep && (1..=BODY_KEPT_BYTES_MAX).contains(&length);
        let buffer = if small { file.load(0, length).await.ok() } else { None };
        let body = match buffer.filter(|buffer| buffer.len() == length) {
            Some(buffer) => Body::Buffer(buffer),
            // One that was being written is not sent from memory: the host finds out that it is
            // too short.
            None => Body::File(file),
        };
        Content { state, is_undigested, ..Content::with_body(length, about, coding, validators, body) }
    }

    /// That of a file which the server has compressed: it was changed when the file was.
    pub fn compressed(plain: &Content, about: &About, compressed: CompressedFile) -> Content {
        let validators = Validators { tag: Some(compressed.tag.clone()), modified: plain.validators.modified };
        let length = compressed.bytes.len() as u64;
        Content::with_body(length, about, Some(CompressedFile::CODING), validators, Body::Own(compressed))
    }

    fn with_body(length: u64, about: &About, coding: Option<Coding>, validators: Validators, body: Body) -> Content {
        let fields = Fields::new(&Representation {
            length,
            media: &about.description.media,
            coding,
            validators: &validators,
            cache_control: about.description.cache_control,
            negotiated: about.is_negotiated(),
        });
        let media = about.description.media.clone();
        Content { state: None, is_undigested: false, length, media, coding, validators, fields, body }
    }

    /// Whether the file that has just been opened is still this one, and this is complete: it has
    /// a tag, and is in memory if it is small.
    fn is_of(&self, file: &File) -> bool {
        let is_read = matches!(self.body, Body::Buffer(_)) || self.length > BODY_KEPT_BYTES_MAX || self.length == 0;
        is_read && self.state.as_ref() == Some(file.metadata()) && self.validators.tag.is_some()
    }

    /// What is held of it by the host, as it counts among all that is kept.
    fn weight(&self) -> usize {
        match &self.body {
            Body::File(_) => KEPT_DESCRIPTOR_BYTES,
            Body::Buffer(buffer) => buffer.len() as usize,
            // Counted elsewhere.
            Body::Own(_) => 0,
        }
    }

    /// Whether it is neither too short nor too long to be compressed by the server, and its
    /// content known by its tag.
    fn is_worth_compressing(&self) -> bool {
        (COMPRESSED_FILE_BYTES_MIN..=COMPRESSED_FILE_BYTES_MAX).contains(&self.length) && self.validators.tag.is_some()
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What it is.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// What it is encoded in.
    pub fn coding(&self) -> Option<Coding> {
        self.coding
    }

    /// What tells it from others.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }

    /// What its responses say of it.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether its bytes are the server's own, and copied for each write.
    pub fn is_own(&self) -> bool {
        matches!(self.body, Body::Own(_))
    }

    /// Whether it keeps a file open.
    pub fn is_open(&self) -> bool {
        matches!(self.body, Body::File(_))
    }

    /// A range of it.
    pub fn piece(&self, offset: u64, length: u64) -> Piece<'_> {
        match &self.body {
            Body::Buffer(buffer) => Piece::Part(buffer.part(offset, length)),
            Body::File(file) => Piece::Part(file.part(offset, length)),
            // It is in memory: its bounds fit.
            Body::Own(own) => {
                Piece::Bytes(own.bytes.get(offset as usize..(offset + length) as usize).unwrap_or_default())
            }
        }
    }
}

/// The representations of what a path names, as far as they are known.
#[derive(Debug)]
pub struct Resource {
    about: About,
    /// The second in which the file was last changed, as it says.
    modified_second: i64,
    plain: Rc<Content>,
    encoded: RefCell<[Encoded; CODINGS]>,
    /// What the server may compress itself; nothing when it does not, or not this.
    compressible: Option<Box<Compressible>>,
}

/// A file that is compressed when a client takes it so and nothing is beside it.
#[derive(Debug)]
struct Compressible {
    path: Vec<u8>,
    state: RefCell<CompressionState>,
}

/// What has become of compressing a file.
#[derive(Debug, Default)]
pub enum CompressionState {
    /// It was not tried, or had to wait.
    #[default]
    Untried,
    /// It is done, and kept elsewhere.
    Done(Weak<Content>),
    /// It is not worth it, or the file is not what it was.
    GivenUp,
}

/// What is known of one of the encoded representations.
#[derive(Clone, Debug, Default)]
enum Encoded {
    #[default]
    Unknown,
    Absent,
    There(Rc<Content>),
}

impl Encoded {
    fn content(&self) -> Option<&Rc<Content>> {
        if let Encoded::There(content) = self { Some(content) } else { None }
    }
}

/// Which representation a client gets.
#[derive(Debug)]
pub enum Choice {
    /// This one.
    Content(Rc<Content>),
    /// That depends on files that were not looked for, or on what could be compressed.
    Unknown,
    /// There is none that it takes (RFC 9110 §12.5.3).
    None,
}

impl Resource {
    /// With the file itself, and nothing known of others.
    pub async fn new(file: File, about: About, reading: Reading<'_>) -> Resource {
        let modified_second = seconds(file.metadata().modified);
        let plain = Rc::new(Content::new(file, &about, about.description.coding, reading).await);
        Resource { about, modified_second, plain, encoded: RefCell::default(), compressible: None }
    }

    /// What is known of it by its path.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The file itself.
    pub fn plain(&self) -> &Content {
        &self.plain
    }

    /// Has those of its files read, beginning with that of this path, that are too long to have
    /// been read before they are sent.
    pub fn digest_long_files(&self, path: &[u8], digests: &Digests) {
        if self.plain.is_undigested {
            digests.read_long_file(path.to_vec(), self.about.path);
        }
        for content in self.encoded.borrow().iter().filter_map(Encoded::content).filter(|it| it.is_undigested) {
            let suffix = content.coding.map_or(&b""[..], Coding::suffix);
            digests.read_long_file([path, suffix].concat(), self.about.path);
        }
    }

    /// The path of the file, when the server may compress it.
    pub fn compressible_path(&self) -> Option<&[u8]> {
        self.compressible.as_ref().map(|compressible| &compressible.path[..])
    }

    /// What has become of compressing it.
    pub fn set_compression(&self, state: CompressionState) {
        if let Some(compressible) = &self.compressible {
            compressible.state.replace(state);
        }
    }

    /// Whether its file is still the one that has just been opened. That says nothing of those
    /// beside it.
    pub fn is_of(&self, file: &File) -> bool {
        self.plain.is_of(file)
    }

    /// What it counts among all that is kept.
    pub fn weight(&self) -> usize {
        let encoded = self.encoded.borrow();
        let there = encoded.iter().filter_map(Encoded::content);
        there.map(|content| content.weight() + KEPT_ENTRY_BYTES).sum::<usize>() + self.plain.weight() + KEPT_ENTRY_BYTES
    }

    /// May be compressed by the server, which reads the file of this path again for it.
    pub fn compressible(mut self, path: Vec<u8>) -> Resource {
        if self.about.is_negotiated() && self.plain.is_worth_compressing() {
            self.compressible = Some(Box::new(Compressible { path, state: RefCell::default() }));
        }
        self
    }

    /// The representation for a client that accepts these codings: the one that it likes best of
    /// those that there are.
    pub fn choose(&self, accepted: &Accepted) -> Choice {
        self.choose_from(accepted, true)
    }

    /// As [`Resource::choose`], when nothing can be compressed now.
    pub fn choose_uncompressed(&self, accepted: &Accepted) -> Choice {
        self.choose_from(accepted, false)
    }

    fn choose_from(&self, accepted: &Accepted, compress: bool) -> Choice {
        // What is there in one form is sent in it, whatever it is encoded in.
        if *accepted == Accepted::default() || self.about.description.coding.is_some() {
            return Choice::Content(Rc::clone(&self.plain));
        }
        let encoded = self.encoded.borrow();
        for coding in accepted.in_order() {
            let Some(coding) = coding else { return Choice::Content(Rc::clone(&self.plain)) };
            match &encoded[coding.index()] {
                Encoded::There(content) => return Choice::Content(Rc::clone(content)),
                Encoded::Unknown if self.about.is_negotiated() => return Choice::Unknown,
                Encoded::Unknown | Encoded::Absent if coding == CompressedFile::CODING && compress => {
                    let Some(compressible) = &self.compressible else { continue };
                    match &*compressible.state.borrow() {
                        CompressionState::Done(content) => {
                            return content.upgrade().map_or(Choice::Unknown, Choice::Content);
                        }
                        CompressionState::Untried => return Choice::Unknown,
                        CompressionState::GivenUp => (),
                    }
                }
                Encoded::Unknown | Encoded::Absent => (),
            }
        }
        Choice::None
    }

    /// Asks for the files beside it, as far as a client takes them and nothing is known of them.
    pub fn open_encoded(&self, path: &[u8], accepted: &Accepted, links: Symlinks) -> Sidecars {
        Sidecars::open(path, &self.about, links, |coding| accepted.takes(coding) && !self.knows(coding))
    }

    /// Whether it is known if there is a file beside it.
    pub fn knows(&self, coding: Coding) -> bool {
        !matches!(self.encoded.borrow()[coding.index()], Encoded::Unknown)
    }

    /// Whether the file itself was changed in a later second than one beside it. What encodes
    /// files gives the new one the time of the old one, and mostly in whole seconds.
    fn is_newer_than(&self, beside: &File) -> bool {
        self.modified_second > seconds(beside.metadata().modified)
    }

    /// Learns what there is beside it, and keeps what it knew of what is still the same.
    pub async fn learn(&self, sidecars: Sidecars, reading: Reading<'_>) {
        for (coding, opening) in Coding::ALL.into_iter().zip(sidecars.0) {
            let Some(opening) = opening else { continue };
            let is_known =
                |file: &File| self.encoded.borrow()[coding.index()].content().is_some_and(|it| it.is_of(file));
            let found = match opening.await {
                Ok(file) if is_known(&file) => continue,
                // One older than the file that it encodes is out of date.
                Ok(file) if file.metadata().kind == Kind::Regular && !self.is_newer_than(&file) => {
                    Encoded::There(Rc::new(Content::new(file, &self.about, Some(coding), reading).await))
                }
                Ok(_) | Err(_) => Encoded::Absent,
            };
            let before = std::mem::replace(&mut self.encoded.borrow_mut()[coding.index()], found);
            drop(before);
        }
    }
}

/// A time in nanoseconds, in whole seconds.
fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000_000)
}

/// The files beside another that are being opened.
#[derive(Debug, Default)]
pub struct Sidecars([Option<Pending<Open>>; CODINGS]);

impl Sidecars {
    /// Asks for those that are wanted. None for what is compressed by itself.
    pub fn open(path: &[u8], about: &About, links: Symlinks, wanted: impl Fn(Coding) -> bool) -> Sidecars {
        if !about.is_negotiated() {
            return Sidecars::default();
        }
        let open = |coding: Coding| open([path, coding.suffix()].concat(), links);
        Sidecars(Coding::ALL.map(|coding| wanted(coding).then(|| open(coding))))
    }
}
