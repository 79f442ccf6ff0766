//! How much is handed over in one call. The host ends a guest that sends more than
//! `send_bytes_max` (64 MiB) in one call, and a turn with thousands of clients can make more than
//! that.

use crate::contract::{Part, Request, Submission};

/// Bytes of one `send`: a quarter of what the host takes, for it counts more than these.
const SLICE_BYTES_MAX: usize = 16 << 20;

/// What a request or a part takes besides the bytes that it names. The canonical ABI lays them out
/// in 40 and 32.
const ITEM_BYTES: usize = 64;

/// The requests of a turn, in order, in slices that the host takes.
pub(crate) fn slices(requests: &[Submission]) -> impl Iterator<Item = &[Submission]> {
    let mut rest = requests;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|submission| {
            bytes += weight(&submission.request);
            bytes <= SLICE_BYTES_MAX
        });
        // A request that is too large by itself is for the host to refuse.
        let count = fits.count().max(1).min(rest.len());
        let (slice, left) = rest.split_at(count);
        rest = left;
        (!slice.is_empty()).then_some(slice)
    })
}

fn weight(request: &Request) -> usize {
    let part = |part: &Part| match part {
        Part::Bytes(bytes) => ITEM_BYTES + bytes.len(),
        Part::Buffer(_) | Part::File(_) => ITEM_BYTES,
    };
    ITEM_BYTES
        + match request {
            Request::Write(write) => write.parts.iter().map(part).sum(),
            Request::Open(open) => open.path.len(),
            Request::List(it) => it.path.len() + it.after.len(),
            Request::Watch(path) => path.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Write;

    fn write(id: u64, bytes: usize) -> Submission {
        let parts = vec![Part::Bytes(vec![b'x'; bytes])];
        Submission { id, request: Request::Write(Write { connection: 1, parts, ends: false }) }
    }

    fn check(sizes: &[usize], expected: &[usize]) {
        let requests: Vec<Submission> = (0..).zip(sizes).map(|(id, bytes)| write(id, *bytes)).collect();
        let slices: Vec<&[Submission]> = slices(&requests).collect();
        assert_eq!(slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(), expected, "{sizes:?}");
        assert_eq!(slices.concat(), requests, "in order, and none is lost");
    }

    #[test]
    fn a_turn_is_sent_in_slices_that_the_host_takes() {
        const MIB: usize = 1 << 20;
        check(&[], &[]);
        check(&[0], &[1]);
        check(&[100; 50], &[50]);
        check(&[4 * MIB; 9], &[3, 3, 3]);
        check(&[20 * MIB, 1, 1, 15 * MIB, MIB], &[1, 3, 1]);
    }

    #[test]
    fn what_a_request_needs_besides_its_bytes_counts() {
        check(&vec![0; 300_000], &[131_072, 131_072, 37_856]);
    }
}
