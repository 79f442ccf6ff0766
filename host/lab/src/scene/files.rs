//! What a recorded run reveals about files: for each path, the answers and the times of the
//! questions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use hashbrown::HashMap;

use pluto_contract::{Digested, Entry, Error, Listing, Metadata, limits};

/// What is known of all files.
#[derive(Debug, Default)]
pub struct Files {
    paths: HashMap<Vec<u8>, Facts>,
    /// What all of it takes of memory.
    bytes: u64,
}

/// What is known of what one path names.
#[derive(Debug, Default)]
struct Facts {
    /// What `open` was answered, without and with links followed.
    opened: [Timeline<Result<Metadata, Error>>; 2],
    /// What `list` was answered, by the name after which it was asked.
    listed: BTreeMap<Vec<u8>, Timeline<Result<Page, Error>>>,
    /// Why `watch` could not be done; none where it could.
    watched: Timeline<Option<Error>>,
    /// By offset and length.
    loaded: HashMap<(u64, u64), Timeline<Result<u64, Error>>>,
    digested: Timeline<Result<Digested, Error>>,
    /// What was read, by offset.
    content: BTreeMap<u64, Timeline<Content>>,
    /// When a change was told.
    changed: Vec<u64>,
}

/// What each different question about a path takes besides its answers: a place in a table, or in
/// a tree.
const QUESTION_BYTES: u64 = 96;

/// A part of a directory, in the order of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Page {
    entries: Rc<[Entry]>,
    /// Whether no entry follows.
    is_last: bool,
}

/// What `read-file` was answered.
type Content = Result<Rc<[u8]>, Error>;

/// What was answered to the same question at different times.
#[derive(Debug)]
pub struct Timeline<T>(Vec<Spell<T>>);

/// The same answer each time, from the first question to the last.
#[derive(Debug)]
struct Spell<T> {
    from: u64,
    to: u64,
    value: T,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Timeline<T> {
    /// Adds an answer to a question that was asked at that time, which is not before the last one.
    /// What it takes of memory.
    pub fn add(&mut self, time: u64, value: T) -> u64 {
        match self.0.last_mut() {
            Some(last) if last.value == value => {
                last.to = time;
                0
            }
            _ => {
                self.0.push(Spell { from: time, to: time, value });
                // A list has up to twice the room that it needs.
                2 * size_of::<Spell<T>>() as u64
            }
        }
    }

    /// The answer at a time: that of the nearest question, but never one from beyond a change that
    /// was told.
    ///
    /// A world that answers at once is asked a little earlier than the recorded one was, so the
    /// nearest is more often right than the one before.
    pub fn at(&self, time: u64, changed: &[u64]) -> Option<&T> {
        let next = self.0.partition_point(|spell| spell.from <= time);
        let (before, after) = (next.checked_sub(1).map(|index| &self.0[index]), self.0.get(next));
        let (Some(before), Some(after)) = (before, after) else { return before.or(after).map(|it| &it.value) };
        let told = |from: u64, to: u64| {
            let index = changed.partition_point(|change| *change <= from);
            changed.get(index).is_some_and(|change| *change <= to)
        };
        let is_before = if told(before.to, time) {
            false
        } else if told(time, after.from) {
            true
        } else {
            time.saturating_sub(before.to) <= after.from - time
        };
        Some(if is_before { &before.value } else { &after.value })
    }
}

impl Files {
    /// `open` was answered.
    pub fn opened(&mut self, time: u64, path: &[u8], follow: bool, result: Result<Metadata, Error>) {
        let taken = self.facts(path).opened[usize::from(follow)].add(time, result);
        self.bytes += taken;
    }

    /// `list` was answered, which was asked for at most so many entries after a name.
    pub fn listed(&mut self, time: u64, listing: &Listing, result: Result<&[Entry], Error>) {
        let content: usize = result.iter().flat_map(|it| it.iter()).map(|it| size_of_val(it) + it.name.len()).sum();
        let entries_max = (listing.entries_max as usize).min(limits::LIST_ENTRIES_MAX);
        let page = |entries: &[Entry]| Page { entries: entries.into(), is_last: entries.len() < entries_max };
        let asked = self.facts(&listing.path).listed.entry(listing.after.to_vec()).or_default();
        let taken = asked.add(time, result.map(page));
        let content = QUESTION_BYTES + (listing.after.len() + content) as u64;
        self.bytes += if taken > 0 { taken + content } else { 0 };
    }

    /// `watch` was answered with an error at once, or with nothing.
    pub fn watched(&mut self, time: u64, path: &[u8], error: Option<Error>) {
        let taken = self.facts(path).watched.add(time, error);
        self.bytes += taken;
    }

    /// `load` was answered with the length of the buffer.
    pub fn loaded(&mut self, time: u64, path: &[u8], range: (u64, u64), result: Result<u64, Error>) {
        let taken = self.facts(path).loaded.entry(range).or_default().add(time, result);
        self.bytes += if taken > 0 { taken + QUESTION_BYTES } else { 0 };
    }

    /// `digest` was answered.
    pub fn digested(&mut self, time: u64, path: &[u8], result: Result<Digested, Error>) {
        let taken = self.facts(path).digested.add(time, result);
        self.bytes += taken;
    }

    /// `read-file` was answered.
    pub fn content(&mut self, time: u64, path: &[u8], offset: u64, result: Result<&[u8], Error>) {
        let content = result.map_or(0, <[u8]>::len) as u64;
        let taken = self.facts(path).content.entry(offset).or_default().add(time, result.map(Into::into));
        self.bytes += if taken > 0 { taken + QUESTION_BYTES + content } else { 0 };
    }

    /// A change was told.
    pub fn changed(&mut self, time: u64, path: &[u8]) {
        self.facts(path).changed.push(time);
        self.bytes += 2 * size_of::<u64>() as u64;
    }

    /// What `open` is answered; none when nothing is known.
    pub fn open(&self, time: u64, path: &[u8], follow: bool) -> Option<Result<Metadata, Error>> {
        let facts = self.paths.get(path)?;
        let at = |follow: bool| facts.opened[usize::from(follow)].at(time, &facts.changed).copied();
        at(follow).or_else(|| at(!follow))
    }

    /// What `list` is answered; none when nothing is known. Pages of another size are put together
    /// from those that are known, as far as these reach.
    pub fn list(&self, time: u64, listing: &Listing, entries_max: usize) -> Option<Result<Cow<'_, [Entry]>, Error>> {
        let facts = self.paths.get(&listing.path[..])?;
        let page = |after: &[u8]| {
            let before = facts.listed.range::<[u8], _>((Bound::Unbounded, Bound::Included(after)));
            before.rev().find_map(|(_, listed)| listed.at(time, &facts.changed))
        };
        let known = match page(&listing.after)? {
            Ok(known) => known,
            Err(error) => return Some(Err(*error)),
        };
        if listing.after.is_empty() && known.is_last && known.entries.len() <= entries_max {
            return Some(Ok(Cow::Borrowed(&known.entries)));
        }
        let (mut entries, mut after, mut known) = (Vec::new(), listing.after.to_vec(), known);
        loop {
            let begin = known.entries.partition_point(|entry| entry.name <= after);
            let rest = &known.entries[begin..];
            entries.extend_from_slice(&rest[..rest.len().min(entries_max - entries.len())]);
            if entries.len() == entries_max || known.is_last {
                return Some(Ok(Cow::Owned(entries)));
            }
            // Beyond the last page that is known, nothing is.
            after = rest.last()?.name.clone();
            known = page(&after)?.as_ref().ok()?;
        }
    }

    /// Why `watch` cannot be done, if it cannot; none when nothing is known.
    pub fn watch(&self, time: u64, path: &[u8]) -> Option<Option<Error>> {
        if let Some(watched) = self.paths.get(path).and_then(|facts| facts.watched.at(time, &facts.changed)) {
            return Some(*watched);
        }
        // What can be opened or listed can be watched.
        let all = Listing { entries_max: 1, ..Listing::all(path) };
        let listed = self.list(time, &all, 1).map(|listed| listed.map(drop));
        match (self.open(time, path, true), listed) {
            (Some(Ok(_) | Err(Error::IsDirectory | Error::NotRegular)), _) | (_, Some(Ok(()))) => Some(None),
            (Some(Err(error)), _) => Some(Some(error)),
            (None, Some(Err(error))) => Some(Some(error)),
            // There is always a root.
            (None, None) => path.is_empty().then_some(None),
        }
    }

    /// What `load` of this range was answered, where it was asked.
    pub fn load(&self, time: u64, path: &[u8], range: (u64, u64)) -> Option<Result<u64, Error>> {
        let facts = self.paths.get(path)?;
        facts.loaded.get(&range)?.at(time, &facts.changed).copied()
    }

    /// What `digest` was answered, where it was asked.
    pub fn digest(&self, time: u64, path: &[u8]) -> Option<Result<Digested, Error>> {
        let facts = self.paths.get(path)?;
        facts.digested.at(time, &facts.changed).copied()
    }

    /// A range of a file's content, put together of what was read; none when not all of it was.
    /// Shorter when the file was found to end before.
    pub fn read(&self, time: u64, path: &[u8], offset: u64, length: usize) -> Option<Result<Vec<u8>, Error>> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match self.piece(time, path, offset + bytes.len() as u64)? {
                Ok([]) => break,
                Ok(piece) => bytes.extend(&piece[..piece.len().min(length - bytes.len())]),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(bytes))
    }

    /// What is known takes so many bytes of memory.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the content of any file was read.
    pub fn have_content(&self) -> bool {
        self.paths.values().any(|facts| !facts.content.is_empty())
    }

    /// What is known of the content from that offset on: at least a byte, or none where the file
    /// was found to end.
    fn piece(&self, time: u64, path: &[u8], offset: u64) -> Option<Result<&[u8], Error>> {
        let facts = self.paths.get(path)?;
        match facts.content.get(&offset).and_then(|timeline| timeline.at(time, &facts.changed)) {
            Some(Err(error)) => return Some(Err(*error)),
            Some(Ok(bytes)) => return Some(Ok(bytes)),
            None => {}
        }
        let mut best: Option<&[u8]> = None;
        for (start, timeline) in facts.content.range(..offset) {
            let Some(Ok(bytes)) = timeline.at(time, &facts.changed) else { continue };
            let Ok(skip) = usize::try_from(offset - start) else { continue };
            if let Some(rest) = bytes.get(skip..).filter(|rest| rest.len() > best.map_or(0, <[u8]>::len)) {
                best = Some(rest);
            }
        }
        best.map(Ok)
    }

    fn facts(&mut self, path: &[u8]) -> &mut Facts {
        if !self.paths.contains_key(path) {
            self.paths.insert(path.to_owned(), Facts::default());
            // The table is up to half empty.
            self.bytes += (2 * size_of::<(Vec<u8>, Facts)>() + path.len()) as u64;
        }
        self.paths.get_mut(path).expect("it was just put there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_answer_counts_and_none_from_beyond_a_change() {
        let mut timeline = Timeline::default();
        for (time, value) in [(10, 'a'), (20, 'a'), (100, 'b'), (200, 'c')] {
            timeline.add(time, value);
        }
        let check = |time, changed: &[u64], value| assert_eq!(timeline.at(time, changed), Some(&value), "{time}");
        for (time, value) in [(0, 'a'), (15, 'a'), (20, 'a'), (59, 'a'), (61, 'b'), (100, 'b'), (900, 'c')] {
            check(time, &[], value);
        }
        check(25, &[24], 'b');
        check(99, &[100], 'a');
        check(60, &[25, 99], 'b');
    }

    #[test]
    fn content_is_put_together_of_what_was_read() {
        let mut files = Files::default();
        files.content(1, b"a", 0, Ok(b"hello"));
        files.content(2, b"a", 3, Ok(b"lo, world"));
        files.content(3, b"a", 50, Err(Error::Io));
        let read = |offset, length| files.read(5, b"a", offset, length);
        assert_eq!(read(0, 12), Some(Ok(b"hello, world".to_vec())));
        assert_eq!(read(4, 3), Some(Ok(b"o, ".to_vec())));
        assert_eq!((read(11, 2), read(50, 1)), (None, Some(Err(Error::Io))));
        files.content(4, b"a", 12, Ok(b""));
        let read = |offset, length| files.read(5, b"a", offset, length);
        assert_eq!((read(11, 2), read(12, 9)), (Some(Ok(b"d".to_vec())), Some(Ok(vec![]))));
        assert_eq!((files.read(5, b"b", 0, 1), read(90, 0)), (None, Some(Ok(vec![]))));
    }
}
