//! The request hash: one hash of all requests that a guest sends between two turns, in order.
//!
//! A recorder hashes each request of a busy server, so nothing is encoded or copied: a request is
//! a few numbers in fixed places, and bytes are hashed where they lie. Each hash takes the one
//! before it as its seed.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Sent;
use pluto_contract::{Part, Range, Request, Submission};

/// Hashes requests.
#[derive(Default)]
pub struct RequestHasher {
    sent: Sent,
}

/// The least bytes that a request takes to be kept.
const REQUEST_BYTES: usize = size_of::<Submission>();

impl RequestHasher {
    /// Adds a request. Returns how many bytes the request takes to be kept.
    pub fn add(&mut self, submission: &Submission) -> usize {
        self.sent.count += 1;
        let id = submission.id;
        let bytes = match &submission.request {
            // A `listen` of a time without `shared` was always that.
            Request::Listen(it) => {
                self.numbers([if it.shared { 0 } else { 18 }, id, it.port.into(), it.connections_max.into()])
            }
            Request::Read(it) => self.numbers([1, id, it.connection, it.bytes_max.into()]),
            Request::Write(it) => {
                self.numbers([if it.ends { 17 } else { 2 }, id, it.connection, it.parts.len() as u64]);
                it.parts.iter().map(|part| self.part(part)).sum()
            }
            Request::Shutdown(handle) => self.numbers([3, id, *handle, 0]),
            Request::Close(handle) => self.numbers([4, id, *handle, 0]),
            Request::Open(it) => self.bytes(if it.follow_symlinks { 16 } else { 5 }, id, &it.path),
            Request::ReadFile(range) => self.numbers([6, id, 0, 0]) + self.range(0, range),
            Request::Load(range) => self.numbers([7, id, 0, 0]) + self.range(0, range),
            // A `list` of a time without `after` asked for all entries.
            Request::List(it) if it.after.is_empty() && it.entries_max == u32::MAX => self.bytes(8, id, &it.path),
            Request::List(it) => self.bytes(19, id, &it.path) + self.bytes(20, it.entries_max.into(), &it.after),
            Request::Watch(path) => self.bytes(9, id, path),
            Request::Sleep(nanoseconds) => self.numbers([10, id, *nanoseconds, 0]),
            Request::Signals => self.numbers([11, id, 0, 0]),
            Request::Cancel(target) => self.numbers([12, id, *target, 0]),
            Request::Digest(handle) => self.numbers([13, id, *handle, 0]),
            Request::Post(bytes) => self.bytes(14, id, bytes),
            Request::Gather => self.numbers([15, id, 0, 0]),
        };
        REQUEST_BYTES + bytes
    }

    /// Takes the count and the hash of the requests since the last call.
    pub fn take(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    fn part(&mut self, part: &Part) -> usize {
        size_of::<Part>()
            + match part {
                Part::Bytes(bytes) => self.bytes(0, 0, bytes),
                Part::Buffer(range) => self.range(1, range),
                Part::File(range) => self.range(2, range),
            }
    }

    fn range(&mut self, case: u64, range: &Range) -> usize {
        self.numbers([case, range.handle, range.offset, range.length])
    }

    /// Adds bytes by their length and their hash, behind the case that says what they are. Returns
    /// their number.
    fn bytes(&mut self, case: u64, id: u64, bytes: &[u8]) -> usize {
        self.numbers([case, id, bytes.len() as u64, xxh3_64(bytes)]);
        bytes.len()
    }

    /// Adds numbers. Returns 0, because numbers take no further bytes.
    fn numbers(&mut self, numbers: [u64; 4]) -> usize {
        let mut bytes = [0; 32];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        self.sent.hash = xxh3_64_with_seed(&bytes, self.sent.hash);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pluto_contract::{Listen, Listing, Open, Read, Write};

    fn hash_of(requests: &[(u64, Request)]) -> Sent {
        let mut hasher = RequestHasher::default();
        for (id, request) in requests.iter().cloned() {
            hasher.add(&Submission { id, request });
        }
        hasher.take()
    }

    /// Requests that differ in one thing each.
    fn different() -> Vec<Request> {
        let range = |handle, offset, length| Range { handle, offset, length };
        let write = |parts: &[Part]| Request::Write(Write { connection: 1, parts: parts.to_vec(), ends: false });
        let bytes = |bytes: &[u8]| Part::Bytes(bytes.to_vec());
        let open = |path: &[u8], follow_symlinks| Request::Open(Open { path: path.to_vec(), follow_symlinks });
        let mut all = vec![
            Request::Listen(Listen { port: 1, connections_max: 1, shared: true }),
            Request::Listen(Listen { port: 2, connections_max: 1, shared: true }),
            Request::Listen(Listen { port: 1, connections_max: 2, shared: true }),
            Request::Listen(Listen { port: 1, connections_max: 2, shared: false }),
            Request::Read(Read { connection: 1, bytes_max: 1 }),
            Request::Read(Read { connection: 2, bytes_max: 1 }),
            Request::Read(Read { connection: 1, bytes_max: 2 }),
            Request::Write(Write { connection: 2, parts: Vec::new(), ends: false }),
            Request::Write(Write { connection: 2, parts: Vec::new(), ends: true }),
            write(&[]),
            write(&[bytes(b"")]),
            write(&[bytes(b"ab")]),
            write(&[bytes(b"a"), bytes(b"b")]),
            write(&[bytes(b""), bytes(b"ab")]),
            write(&[Part::Buffer(range(1, 2, 3))]),
            write(&[Part::File(range(1, 2, 3))]),
            write(&[Part::File(range(2, 2, 3))]),
            write(&[Part::File(range(1, 3, 3))]),
            write(&[Part::File(range(1, 2, 4))]),
            open(b"a", true),
            open(b"a", false),
            open(b"a\0", false),
            open(b"", false),
            Request::Signals,
            Request::Gather,
        ];
        for number in [1, 2, u64::MAX] {
            all.extend([Request::Shutdown(number), Request::Close(number), Request::Sleep(number)]);
            all.extend([Request::Cancel(number), Request::Digest(number)]);
            all.extend([Request::ReadFile(range(number, 1, 9)), Request::Load(range(1, number, 9))]);
            let path = number.to_le_bytes().to_vec();
            for (after, entries_max) in [(&b""[..], u32::MAX), (b"", 1), (b"x", u32::MAX)] {
                let after = after.into();
                all.push(Request::List(Listing { path: path.clone().into(), after, entries_max }));
            }
            all.extend([Request::Watch(path.clone()), Request::Post(path)]);
        }
        all
    }

    #[test]
    fn what_differs_in_anything_has_another_sum() {
        let mut seen = std::collections::HashSet::new();
        for request in different() {
            for id in [1, 2, 1 << 32] {
                assert!(seen.insert(hash_of(&[(id, request.clone())]).hash), "{id} {request:?}");
                assert_eq!(hash_of(&[(id, request.clone())]), hash_of(&[(id, request.clone())]));
            }
        }
    }

    #[test]
    fn the_order_counts_and_a_sum_begins_anew() {
        let [a, b] = [(1, Request::Signals), (2, Request::Gather)];
        assert_ne!(hash_of(&[a.clone(), b.clone()]).hash, hash_of(&[b, a.clone()]).hash);
        assert_eq!(hash_of(&[]), Sent::default());
        assert_eq!(hash_of(&[a.clone(), a.clone(), a.clone()]).count, 3);
        let mut twice = RequestHasher::default();
        for _ in 0..2 {
            twice.add(&Submission { id: a.0, request: a.1.clone() });
            assert_eq!(twice.take(), hash_of(std::slice::from_ref(&a)));
        }
        assert_eq!(twice.take(), Sent::default());
    }
}
