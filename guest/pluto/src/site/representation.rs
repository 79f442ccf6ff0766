//! What a path names: a resource, in one representation or several (RFC 9110 §3.2).
//!
//! Beside `app.js` may stand `app.js.br`, `app.js.zst` and `app.js.gz`: the same, encoded. Whether they are there is found
//! out when a client would take one, and known for as long as the file itself is.

use super::digests::Digests;
use crate::http::encoding::{Accepted, CODINGS, Coding};
use crate::http::freshness;
use crate::http::media::Media;
use crate::http::response::{Fields, Representation};
use crate::http::validator::Validators;
use crate::limits::BODY_KEPT_BYTES_MAX;
use pluto_sdk::fs::{Open, open};
use pluto_sdk::{Buffer, File, Kind, Part, Pending, Symlinks, now};
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// What is known about a resource before a file is open.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What it is, whatever it is encoded in.
    pub media: Media,
    /// The value of `Cache-Control`.
    cache_control: &'static str,
    /// A hash of the path.
    path: u64,
}

impl About {
    /// The file of this path.
    pub fn new(path: &[u8]) -> About {
        let media = Media::of(path);
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        About { media, cache_control: freshness::cache_control(path, media), path: hasher.finish() }
    }
}

/// A representation: a file, as it was when it was opened.
#[derive(Debug)]
pub struct Content {
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
}

impl Content {
    /// That of a file which has just been opened. With `keep`, a small one is loaded into memory of the host.
    pub async fn new(file: File, about: About, coding: Option<Coding>, digests: &Digests, keep: bool) -> Content {
        let length = file.len();
        let tag = digests.tag(about.path, &file, coding).await;
        // Nothing is said of a time before 1970. RFC 9110 §8.8.2.1: never later than the date of the response, which is
        // not sent before the file is opened.
        let modified = u64::try_from(file.metadata().modified).ok().map(|modified| modified.min(now()) / 1_000_000_000);
        let validators = Validators { tag, modified };
        let fields = Fields::new(&Representation {
            length,
            media: about.media,
            coding,
            validators: &validators,
            cache_control: about.cache_control,
            negotiated: about.media.is_compressible(),
        });
        let small = keep && (1..=BODY_KEPT_BYTES_MAX).contains(&length);
        let buffer = if small { file.load(0, length).await.ok() } else { None };
        let body = match buffer.filter(|buffer| buffer.len() == length) {
            Some(buffer) => Body::Buffer(buffer),
            // One that was being written is not sent from memory: the host finds out that it is too short.
            None => Body::File(file),
        };
        Content { length, media: about.media, coding, validators, fields, body }
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What it is.
    pub fn media(&self) -> Media {
        self.media
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

    /// A range of it.
    pub fn part(&self, offset: u64, length: u64) -> Part {
        match &self.body {
            Body::Buffer(buffer) => buffer.part(offset, length),
            Body::File(file) => file.part(offset, length),
        }
    }
}

/// The representations of what a path names, as far as they are known.
#[derive(Debug)]
pub struct Resource {
    about: About,
    /// When the file was last changed, as it says.
    modified: i64,
    plain: Rc<Content>,
    encoded: RefCell<[Encoded; CODINGS]>,
}

/// What is known of one of the encoded representations.
#[derive(Clone, Debug, Default)]
enum Encoded {
    #[default]
    Unknown,
    Absent,
    There(Rc<Content>),
}

/// Which representation a client gets.
#[derive(Debug)]
pub enum Choice {
    /// This one.
    Content(Rc<Content>),
    /// That depends on files that were not looked for.
    Unknown,
    /// There is none that it takes (RFC 9110 §12.5.3).
    None,
}

impl Resource {
    /// With the file itself, and nothing known of others.
    pub async fn new(file: File, about: About, digests: &Digests, keep: bool) -> Resource {
        let modified = file.metadata().modified;
        let plain = Rc::new(Content::new(file, about, None, digests, keep).await);
        Resource { about, modified, plain, encoded: RefCell::default() }
    }

    /// The representation for a client that accepts these codings: the one that it likes best of those that there are.
    pub fn choose(&self, accepted: &Accepted) -> Choice {
        if *accepted == Accepted::default() {
            return Choice::Content(Rc::clone(&self.plain));
        }
        let encoded = self.encoded.borrow();
        for coding in accepted.in_order() {
            let Some(coding) = coding else { return Choice::Content(Rc::clone(&self.plain)) };
            match &encoded[coding.index()] {
                Encoded::There(content) => return Choice::Content(Rc::clone(content)),
                Encoded::Unknown if self.about.media.is_compressible() => return Choice::Unknown,
                Encoded::Unknown | Encoded::Absent => (),
            }
        }
        Choice::None
    }

    /// Asks for the files beside it, as far as a client takes them and nothing is known of them.
    pub fn open_encoded(&self, path: &[u8], accepted: &Accepted, links: Symlinks) -> Sidecars {
        let encoded = self.encoded.borrow();
        Sidecars::open(path, self.about, accepted, links, |coding| matches!(encoded[coding.index()], Encoded::Unknown))
    }

    /// Learns what there is beside it.
    pub async fn learn(&self, sidecars: Sidecars, digests: &Digests, keep: bool) {
        for (coding, opening) in Coding::ALL.into_iter().zip(sidecars.0) {
            let Some(opening) = opening else { continue };
            let found = match opening.await {
                // One that is older than what it should be the same as is not.
                Ok(file) if file.metadata().kind == Kind::Regular && file.metadata().modified >= self.modified => {
                    Encoded::There(Rc::new(Content::new(file, self.about, Some(coding), digests, keep).await))
                }
                Ok(_) | Err(_) => Encoded::Absent,
            };
            let before = std::mem::replace(&mut self.encoded.borrow_mut()[coding.index()], found);
            drop(before);
        }
    }
}

/// The files beside another that are being opened.
#[derive(Debug, Default)]
pub struct Sidecars([Option<Pending<Open>>; CODINGS]);

impl Sidecars {
    /// Asks for those that a client takes and that are wanted. None for what is compressed by itself.
    pub fn open(
        path: &[u8],
        about: About,
        accepted: &Accepted,
        links: Symlinks,
        wanted: impl Fn(Coding) -> bool,
    ) -> Sidecars {
        if !accepted.any() || !about.media.is_compressible() {
            return Sidecars::default();
        }
        Sidecars(Coding::ALL.map(|coding| {
            (accepted.takes(coding) && wanted(coding)).then(|| open([path, coding.suffix()].concat(), links))
        }))
    }
}
