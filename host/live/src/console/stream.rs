//! A descriptor that is written by a thread of its own, so that nobody else waits for whoever
//! reads it.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::loss::{Source, Why};
use super::shared::{Appended, Descriptor, Shared};
use super::writer::Writer;

/// Lines on their way to standard output or standard error.
///
/// Any thread appends whole lines, under a lock that is never held for long. The stream's own
/// thread writes them, by calls that may block. Nobody joins that thread: the process ends
/// whatever the thread waits for.
#[derive(Clone)]
pub struct Stream(Arc<Shared>);

impl Stream {
    /// Starts the thread. `tell` is called when writing begins to fail, and when nobody reads any
    /// more, with the reason.
    pub fn start(
        name: &str,
        descriptor: impl AsFd + Send + 'static,
        tell: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = Writer::new(shared.clone(), Box::new(descriptor), tell);
        thread::Builder::new().name(name.to_owned()).spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// Appends whole lines: see [`Shared::append`].
    pub fn append(&self, source: Source, time: u64, lines: &str) -> Appended {
        self.0.append(source, time, lines)
    }

    /// Lines that are not written yet go to this descriptor.
    pub fn replace(&self, descriptor: Descriptor) {
        self.0.replace(descriptor);
    }

    /// Waits for what is appended to be written: see [`Shared::finish`].
    pub fn finish(&self, until: Instant) -> Option<(u64, Why)> {
        self.0.finish(until)
    }
}
