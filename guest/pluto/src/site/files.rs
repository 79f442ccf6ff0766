//! Files beneath the root, in the form that a client takes: as they are kept, or opened for it.

use super::answer::Found;
use super::opening::Opening;
use crate::options::Options;
use crate::policy::content::ContentRules;
use crate::policy::hosts::VirtualHosts;
use crate::store::cache::{Cache, CacheFill, CacheLookup};
use crate::store::compression::Compressor;
use crate::store::digests::Digests;
use crate::store::representation::{About, Choice, Content, Reading, Resource, Sidecars};
use pluto_http::encoding::Accepted;
use pluto_http::status::{HttpError, Status};
use pluto_sdk::{Error, File, Kind, Symlinks};
use std::rc::Rc;

/// All files beneath the root, and what is kept of them.
#[derive(Debug)]
pub struct Files {
    sites: Rc<VirtualHosts>,
    symlinks: Symlinks,
    cache: Cache,
    digests: Digests,
    /// With `--compress`.
    compressor: Option<Compressor>,
}

/// A file that a client is to get.
#[derive(Debug)]
pub enum Fetch {
    /// It is kept.
    Ready(Fetched),
    /// It is being opened. Boxed, as what waits for the host: an answer that is known is moved
    /// quickly.
    Opening(Box<PendingOpen>),
    /// It is kept, and files beside it are being opened.
    Sidecars(Box<SidecarLookup>),
}

/// What a client gets of a file.
#[derive(Debug)]
pub enum Fetched {
    /// This.
    Content(Rc<Content>),
    /// Nothing: it has excluded what there is, by `identity;q=0` (RFC 9110 §15.5.7).
    NotAcceptable,
}

impl From<Fetched> for Found {
    fn from(fetched: Fetched) -> Found {
        const NOT_ACCEPTABLE: HttpError =
            HttpError::soft(Status::NotAcceptable, "This file is not there in an accepted encoding.");
        match fetched {
            Fetched::Content(content) => Found::File(content),
            Fetched::NotAcceptable => Found::HttpError(NOT_ACCEPTABLE),
        }
    }
}

impl Fetch {
    /// Whether the file is kept; nothing when the client gets none.
    pub fn is_kept(&self) -> Option<bool> {
        match self {
            Fetch::Ready(Fetched::Content(_)) | Fetch::Sidecars(_) => Some(true),
            Fetch::Ready(Fetched::NotAcceptable) => None,
            Fetch::Opening(_) => Some(false),
        }
    }
}

/// The files beside one that is kept under this path.
#[derive(Debug)]
pub struct SidecarLookup {
    resource: Rc<Resource>,
    path: Vec<u8>,
    sidecars: Sidecars,
}

/// A file that is being opened for a request.
#[derive(Debug)]
pub struct PendingOpen {
    opening: Opening,
    about: About,
    /// Those beside it.
    sidecars: Sidecars,
    /// When it is one to keep.
    fill: Option<CacheFill>,
}

impl PendingOpen {
    /// Waits for the file; to be called once.
    async fn file(&mut self) -> Result<File, Error> {
        let opened = match self.opening.file().await {
            // The host opens regular files only; a guest bears any answer.
            Ok(file) if file.metadata().kind != Kind::Regular => Err(Error::NotRegular),
            opened => opened,
        };
        if opened.is_err()
            && let Some(fill) = self.fill.take()
        {
            fill.forget();
        }
        opened
    }
}

impl Files {
    /// Those of these sites, with nothing kept.
    pub fn new(sites: Rc<VirtualHosts>, options: &Options) -> Files {
        Files {
            sites,
            symlinks: options.symlinks,
            cache: Cache::default(),
            digests: Digests::new(options.symlinks),
            compressor: options.compress.then(|| Compressor::new(options.symlinks)),
        }
    }

    /// How symbolic links are taken.
    pub fn symlinks(&self) -> Symlinks {
        self.symlinks
    }

    /// How many are kept.
    pub fn kept_count(&self) -> usize {
        self.cache.len()
    }

    /// The file of a path, which is asked for at once unless it is kept, and those beside it.
    pub fn fetch(&self, path: Vec<u8>, accepted: &Accepted) -> Fetch {
        self.fetch_kept(&path, accepted).unwrap_or_else(|| self.fetch_anew(path, accepted))
    }

    /// A file that is kept; one that is due is asked for.
    pub fn fetch_kept(&self, path: &[u8], accepted: &Accepted) -> Option<Fetch> {
        let resource = match self.cache.get(path) {
            CacheLookup::Fresh(resource) => resource,
            CacheLookup::Due(fill) => return Some(self.open(path.to_vec(), Some(fill), accepted)),
            CacheLookup::Nothing => return None,
        };
        Some(match resource.choose(accepted) {
            Choice::Content(content) => Fetch::Ready(Fetched::Content(content)),
            Choice::None => Fetch::Ready(Fetched::NotAcceptable),
            Choice::Unknown => {
                let sidecars = resource.open_encoded(path, accepted, self.symlinks);
                Fetch::Sidecars(Box::new(SidecarLookup { resource, path: path.to_vec(), sidecars }))
            }
        })
    }

    /// Asks for a file of which nothing is kept.
    pub fn fetch_anew(&self, path: Vec<u8>, accepted: &Accepted) -> Fetch {
        let fill = self.cache.begin(&path);
        self.open(path, fill, accepted)
    }

    /// What the site of a file says of it.
    fn about(&self, path: &[u8]) -> About {
        let (policy, own_path) = self.sites.of_file(path);
        let description = match policy {
            Some(policy) => policy.config.content.describe(own_path),
            None => ContentRules::default().describe(own_path),
        };
        About::new(path, description)
    }

    fn open(&self, path: Vec<u8>, fill: Option<CacheFill>, accepted: &Accepted) -> Fetch {
        let known = fill.as_ref().and_then(CacheFill::known);
        let about = known.as_ref().map_or_else(|| self.about(&path), |known| known.about().clone());
        let is_wanted = |coding| accepted.takes(coding) || known.as_ref().is_some_and(|known| known.knows(coding));
        let sidecars = Sidecars::open(&path, &about, self.symlinks, is_wanted);
        let opening = Opening::new(path, self.symlinks, &self.cache);
        Fetch::Opening(Box::new(PendingOpen { opening, about, sidecars, fill }))
    }

    /// Waits for a file, in a coding that the client accepts.
    pub async fn wait(&self, fetch: Fetch, accepted: &Accepted) -> Result<Fetched, Error> {
        match fetch {
            Fetch::Ready(fetched) => Ok(fetched),
            Fetch::Opening(mut pending) => {
                let file = pending.file().await?;
                // Boxed, as everything that is rare: a future is as large as the largest that it
                // waits for.
                Ok(Box::pin(self.opened(*pending, file, accepted)).await)
            }
            Fetch::Sidecars(lookup) => Ok(Box::pin(self.opened_beside(*lookup, accepted)).await),
        }
    }

    /// Learns what is beside a file that is kept.
    async fn opened_beside(&self, lookup: SidecarLookup, accepted: &Accepted) -> Fetched {
        let SidecarLookup { resource, path, sidecars } = lookup;
        let reading = Reading { digests: &self.digests, keep: true, distrust: false };
        resource.learn(sidecars, reading).await;
        resource.digest_long_files(&path, &self.digests);
        self.cache.reweigh(&path, &resource);
        self.choose(&resource, accepted).await
    }

    /// Looks at a file that was opened, keeps it when it is to be kept, and waits for what is
    /// beside it.
    async fn opened(&self, pending: PendingOpen, file: File, accepted: &Accepted) -> Fetched {
        let PendingOpen { opening, about, sidecars, fill } = pending;
        let fill = fill.and_then(|fill| fill.confirm(&file));
        let reading = Reading {
            digests: &self.digests,
            keep: fill.is_some(),
            distrust: fill.as_ref().is_some_and(CacheFill::distrusts),
        };
        let resource = match fill.as_ref().and_then(CacheFill::known) {
            Some(known) => known,
            None => {
                let mut resource = Resource::new(file, about, reading).await;
                if self.compressor.is_some() {
                    resource = resource.compressible(opening.path().to_vec());
                }
                Rc::new(resource)
            }
        };
        resource.learn(sidecars, reading).await;
        resource.digest_long_files(opening.path(), &self.digests);
        if let Some(fill) = fill {
            fill.keep(&resource);
        }
        self.choose(&resource, accepted).await
    }

    /// The representation that a client gets, when it is known what is beside the file.
    async fn choose(&self, resource: &Resource, accepted: &Accepted) -> Fetched {
        let mut choice = resource.choose(accepted);
        if matches!(choice, Choice::Unknown)
            && let Some(compressor) = &self.compressor
        {
            // Boxed, as it is rare.
            choice = match Box::pin(compressor.compress(resource)).await {
                Some(content) => Choice::Content(content),
                None => resource.choose_uncompressed(accepted),
            };
        }
        match choice {
            Choice::Content(content) => Fetched::Content(content),
            Choice::Unknown | Choice::None => Fetched::NotAcceptable,
        }
    }
}
