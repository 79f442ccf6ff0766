//! Encodes answers as bytes, and decodes them.

use super::wire::{Malformed, Reader, put_bytes, put_halves, put_number, put_signed};
use crate::limits;
use pluto_contract::{
    Accepted, Answer, Digested, Entry, Error, IpAddress, Kind, Loaded, Metadata, Opened, Reply, Signal, SocketAddress,
};

/// Facts about files. A server is told the same facts over and over, so each is written once a
/// block.
#[derive(Default)]
pub struct Facts {
    known: Vec<Metadata>,
}

/// The most facts that are remembered. They are searched one after the other, beginning with the
/// last used.
const FACTS_MAX: usize = 32;

impl Facts {
    fn put(&mut self, out: &mut Vec<u8>, metadata: &Metadata) {
        if let Some(index) = self.known.iter().rposition(|known| known == metadata) {
            put_number(out, (self.known.len() - index) as u64);
            return;
        }
        out.push(0);
        out.push(metadata.kind as u8);
        put_number(out, metadata.size);
        put_signed(out, metadata.modified);
        put_signed(out, metadata.changed);
        put_number(out, metadata.inode);
        self.add(*metadata);
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Result<Metadata, Malformed> {
        let back: usize = reader.small()?;
        if back > 0 {
            let index = self.known.len().checked_sub(back).ok_or(Malformed::Number)?;
            return Ok(self.known[index]);
        }
        let metadata = Metadata {
            kind: case(&KINDS, reader)?,
            size: reader.number()?,
            modified: reader.signed()?,
            changed: reader.signed()?,
            inode: reader.number()?,
        };
        self.add(metadata);
        Ok(metadata)
    }

    fn add(&mut self, metadata: Metadata) {
        if self.known.len() == FACTS_MAX {
            self.known.clear();
        }
        self.known.push(metadata);
    }
}

/// Adds an answer's encoding.
pub fn put_answer(out: &mut Vec<u8>, facts: &mut Facts, answer: &Answer) {
    put_halves(out, answer.id);
    match &answer.reply {
        Reply::Listening(port) => {
            out.push(0);
            put_number(out, (*port).into());
        }
        Reply::Accepted(accepted) => {
            out.push(1);
            put_halves(out, accepted.connection);
            put_peer(out, &accepted.peer);
        }
        Reply::Data(bytes) => {
            out.push(2);
            put_bytes(out, bytes);
        }
        Reply::Written(bytes) => {
            out.push(3);
            put_number(out, *bytes);
        }
        Reply::Done => out.push(4),
        Reply::Opened(opened) => {
            out.push(5);
            put_halves(out, opened.file);
            facts.put(out, &opened.metadata);
        }
        Reply::Loaded(loaded) => {
            out.push(6);
            put_halves(out, loaded.buffer);
            put_number(out, loaded.length);
        }
        Reply::Listed(entries) => {
            out.push(7);
            put_number(out, entries.len() as u64);
            for entry in entries {
                put_bytes(out, &entry.name);
                facts.put(out, &entry.metadata);
            }
        }
        Reply::Changed(name) => {
            out.push(8);
            put_bytes(out, name);
        }
        Reply::Elapsed => out.push(9),
        Reply::Signal(signal) => {
            out.extend([10, signal_number(*signal)]);
            if let Signal::LogLost(lines) = signal {
                put_number(out, *lines);
            }
        }
        Reply::Failed(error) => out.extend([11, *error as u8]),
        Reply::Digested(Digested { digest: (high, low), size, modified, changed }) => {
            out.push(12);
            out.extend(high.to_le_bytes());
            out.extend(low.to_le_bytes());
            put_number(out, *size);
            put_signed(out, *modified);
            put_signed(out, *changed);
        }
        Reply::Gathered(posts) => {
            out.push(13);
            put_number(out, posts.len() as u64);
            posts.iter().for_each(|post| put_bytes(out, post));
        }
    }
}

fn put_peer(out: &mut Vec<u8>, peer: &SocketAddress) {
    match peer.address {
        IpAddress::Ipv4((a, b, c, d)) => out.extend([4, a, b, c, d]),
        IpAddress::Ipv6(groups) => {
            out.push(6);
            out.extend(core::net::Ipv6Addr::from(<[u16; 8]>::from(groups)).octets());
        }
    }
    put_number(out, peer.port.into());
}

/// The least bytes of an answer in a trace: an id of two numbers, and the case.
pub const ANSWER_BYTES_MIN: usize = 3;

/// The memory that the lists of one turn may still take. List elements take up to 60 times their
/// bytes in a trace, so they are counted as a live world counts them. A live world never gives
/// more.
pub struct MemoryBudget(usize);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(pluto_contract::limits::ANSWER_BYTES_QUEUED_MAX)
    }
}

impl MemoryBudget {
    /// Takes memory for an element of a list, with the bytes of the element.
    pub(super) fn take<T>(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.0 = self.0.checked_sub(size_of::<T>() + bytes.len()).ok_or(Malformed::Held)?;
        Ok(())
    }
}

/// Reads an answer.
pub fn read_answer(reader: &mut Reader<'_>, facts: &mut Facts, budget: &mut MemoryBudget) -> Result<Answer, Malformed> {
    let id = reader.halves()?;
    let reply = match reader.byte()? {
        0 => Reply::Listening(reader.small()?),
        1 => Reply::Accepted(Accepted { connection: reader.halves()?, peer: read_peer(reader)? }),
        2 => Reply::Data(reader.bytes()?.to_vec()),
        3 => Reply::Written(reader.number()?),
        4 => Reply::Done,
        5 => Reply::Opened(Opened { file: reader.halves()?, metadata: facts.read(reader)? }),
        6 => Reply::Loaded(Loaded { buffer: reader.halves()?, length: reader.number()? }),
        7 => {
            // An entry takes at least a name's length and the number of a known fact.
            let length = reader.length(2, pluto_contract::limits::LIST_ENTRIES_MAX)?;
            let mut entries = Vec::with_capacity(length);
            for _ in 0..length {
                let name = reader.bytes()?;
                budget.take::<Entry>(name)?;
                entries.push(Entry { name: name.to_vec(), metadata: facts.read(reader)? });
            }
            Reply::Listed(entries)
        }
        8 => Reply::Changed(reader.bytes()?.to_vec()),
        9 => Reply::Elapsed,
        10 => Reply::Signal(match case(&SIGNALS, reader)? {
            Signal::LogLost(_) => Signal::LogLost(reader.number()?),
            signal => signal,
        }),
        11 => Reply::Failed(case(&ERRORS, reader)?),
        12 => Reply::Digested(Digested {
            digest: (word(reader)?, word(reader)?),
            size: reader.number()?,
            modified: reader.signed()?,
            changed: reader.signed()?,
        }),
        13 => {
            let length = reader.length(1, limits::SHARDS_MAX)?;
            let mut posts = Vec::with_capacity(length);
            for _ in 0..length {
                let post = reader.bytes()?;
                budget.take::<Vec<u8>>(post)?;
                posts.push(post.to_vec());
            }
            Reply::Gathered(posts)
        }
        _ => return Err(Malformed::Case),
    };
    Ok(Answer { id, reply })
}

fn word(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    Ok(u64::from_le_bytes(reader.take(8)?.try_into().map_err(|_| Malformed::Short)?))
}

fn read_peer(reader: &mut Reader<'_>) -> Result<SocketAddress, Malformed> {
    let version = reader.byte()?;
    let address = match version {
        4 => {
            let octets: [u8; 4] = reader.take(4)?.try_into().map_err(|_| Malformed::Short)?;
            IpAddress::Ipv4(octets.into())
        }
        6 => {
            let octets: [u8; 16] = reader.take(16)?.try_into().map_err(|_| Malformed::Short)?;
            IpAddress::Ipv6(core::net::Ipv6Addr::from(octets).segments().into())
        }
        _ => return Err(Malformed::Case),
    };
    Ok(SocketAddress { address, port: reader.small()? })
}

fn case<T: Copy>(cases: &[T], reader: &mut Reader<'_>) -> Result<T, Malformed> {
    cases.get(usize::from(reader.byte()?)).copied().ok_or(Malformed::Case)
}

pub(super) const KINDS: [Kind; 4] = [Kind::Regular, Kind::Directory, Kind::Symlink, Kind::Other];

/// What the last of them holds stands behind its number.
pub(super) const SIGNALS: [Signal; 4] = [Signal::Stop, Signal::Reload, Signal::Pause, Signal::LogLost(0)];

fn signal_number(signal: Signal) -> u8 {
    match signal {
        Signal::Stop => 0,
        Signal::Reload => 1,
        Signal::Pause => 2,
        Signal::LogLost(_) => 3,
    }
}

pub(super) const ERRORS: [Error; 17] = [
    Error::NotPermitted,
    Error::BadHandle,
    Error::Invalid,
    Error::Busy,
    Error::Cancelled,
    Error::TooLarge,
    Error::Exhausted,
    Error::AddressInUse,
    Error::Disconnected,
    Error::NotFound,
    Error::AccessDenied,
    Error::IsDirectory,
    Error::NotDirectory,
    Error::NotRegular,
    Error::Symlink,
    Error::Truncated,
    Error::Io,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(inode: u64) -> Metadata {
        Metadata { kind: Kind::Directory, size: 1 << 40, modified: -5, changed: i64::MAX, inode }
    }

    fn every_reply() -> Vec<Reply> {
        let v4 = SocketAddress { address: IpAddress::Ipv4((127, 0, 0, 1)), port: 65_535 };
        let v6 = SocketAddress { address: IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff)), port: 0 };
        let entry = |inode| Entry { name: vec![0xff; 3], metadata: metadata(inode) };
        let mut replies = vec![
            Reply::Listening(8_000),
            Reply::Accepted(Accepted { connection: 7 << 32 | 3, peer: v4 }),
            Reply::Accepted(Accepted { connection: u64::MAX, peer: v6 }),
            Reply::Data(Vec::new()),
            Reply::Data(b"GET /".to_vec()),
            Reply::Written(u64::MAX),
            Reply::Done,
            Reply::Opened(Opened { file: 1, metadata: metadata(1) }),
            Reply::Opened(Opened { file: 2, metadata: metadata(1) }),
            Reply::Loaded(Loaded { buffer: 9, length: 1_024 }),
            Reply::Digested(Digested { digest: (u64::MAX - 1, 7), size: 3, modified: -1, changed: i64::MIN }),
            Reply::Gathered(Vec::new()),
            Reply::Gathered(vec![b"one".to_vec(), Vec::new()]),
            Reply::Listed((0..100).map(|n| entry(n % 40)).collect()),
            Reply::Changed(b"name".to_vec()),
            Reply::Elapsed,
        ];
        replies.extend(SIGNALS.map(Reply::Signal));
        replies.push(Reply::Signal(Signal::LogLost(u64::MAX)));
        replies.extend(ERRORS.map(Reply::Failed));
        replies
    }

    #[test]
    fn answers_come_back() {
        let (mut bytes, mut facts) = (Vec::new(), Facts::default());
        let answers: Vec<Answer> =
            (0..).zip(every_reply()).map(|(n, reply)| Answer { id: n << 31 | 5, reply }).collect();
        answers.iter().for_each(|answer| put_answer(&mut bytes, &mut facts, answer));
        let (mut reader, mut facts) = (Reader::new(&bytes), Facts::default());
        for answer in &answers {
            assert_eq!(read_answer(&mut reader, &mut facts, &mut MemoryBudget::default()).as_ref(), Ok(answer));
        }
        assert!(reader.is_empty());
    }

    /// The numbers in a trace are the order of the cases in the WIT.
    #[test]
    fn cases_are_numbered_as_in_the_contract() {
        assert!(ERRORS.iter().enumerate().all(|(number, error)| *error as usize == number));
        assert!(SIGNALS.iter().enumerate().all(|(number, signal)| usize::from(signal_number(*signal)) == number));
        assert!(KINDS.iter().enumerate().all(|(number, kind)| *kind as usize == number));
    }

    /// Cuts and flips: reading ends in an error or in another answer, and in no other way.
    #[test]
    fn damaged_answers_are_borne() {
        for reply in every_reply() {
            let mut bytes = Vec::new();
            put_answer(&mut bytes, &mut Facts::default(), &Answer { id: 1, reply });
            for at in 0..bytes.len() {
                let read = |bytes: &[u8]| {
                    let _ = read_answer(&mut Reader::new(bytes), &mut Facts::default(), &mut MemoryBudget::default());
                };
                read(&bytes[..at]);
                for bit in 0..8 {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= 1 << bit;
                    read(&damaged);
                }
            }
        }
    }
}
