//! The process that compiles. It limits itself, reads a guest, and writes the result. It is a
//! hidden command of `pluto-host`.

use std::fs;
use std::io::Read;

use anyhow::{Context, Result, bail};
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, getppid, set_dumpable_behavior, set_parent_process_death_signal,
    setrlimit,
};

use super::{ADVICE, Bounds, Product};
use crate::limits;

/// Compiles so many bytes of `input` for the process of this number, which has started this one.
/// From then on this process is good for nothing else. An error says why the guest is refused.
pub fn make(product: Product, input: impl Read, length: u64, parent: i32) -> Result<Vec<u8>> {
    let bounds = Bounds::of(length);
    confine(parent).and_then(|()| limit(bounds)).context("cannot confine the process that compiles")?;
    let mut bytes = Vec::with_capacity(usize::try_from(length)?);
    input.take(length).read_to_end(&mut bytes)?;
    let made = product.make(&bytes)?;
    if made.len() as u64 > bounds.product {
        bail!("its compiled code has {} bytes, and at most {} are allowed: {ADVICE}", made.len(), bounds.product);
    }
    Ok(made)
}

/// Ends with whoever wants the work, keeps nothing that it has open, and leaves no dump of a
/// stranger's bytes behind.
fn confine(parent: i32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        bail!("this command is internal: pluto-host runs it to compile a guest");
    }
    close_what_was_inherited();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set(Resource::Core, 0, 0)
}

/// The system's own bounds. Each has an end that the other process can tell from a crash.
fn limit(bounds: Bounds) -> Result<()> {
    set(Resource::Cpu, bounds.seconds, bounds.seconds + 1)?;
    // It writes no file.
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Data, bounds.memory, bounds.memory)?;
    let addresses = bounds.memory + limits::COMPILER_ADDRESSES;
    set(Resource::As, addresses, addresses)
}

/// Sets a limit, unless there is a lower one.
fn set(resource: Resource, current: u64, maximum: u64) -> Result<()> {
    let before = rustix::process::getrlimit(resource);
    let least = |wanted: u64, before: Option<u64>| Some(before.map_or(wanted, |before| before.min(wanted)));
    let limit = Rlimit { current: least(current, before.current), maximum: least(maximum, before.maximum) };
    setrlimit(resource, limit).with_context(|| format!("{resource:?}"))
}

/// Where there is no /proc, so many numbers are tried: programs leave the first ones open.
const DESCRIPTORS_TRIED: i32 = 1_024;

/// Whoever started `pluto-host` may have left it descriptors of which it knows nothing.
#[allow(unsafe_code)]
fn close_what_was_inherited() {
    let numbers: Vec<i32> = match fs::read_dir("/proc/self/fd") {
        // They are closed when the list, which has a descriptor itself, is at its end.
        Ok(names) => names.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => (0..DESCRIPTORS_TRIED).collect(),
    };
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: nothing in this process has opened a descriptor yet but the list above, which is
        // closed already; to close a number that is not open does nothing.
        unsafe { rustix::io::close(number) };
    }
}
