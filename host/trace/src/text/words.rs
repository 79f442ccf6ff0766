//! Lines and words of a text, each with its place.

use std::iter::Enumerate;
use std::str::{FromStr, Lines as StrLines};

use super::{TextError, strings};

/// The lines of a text, without empty ones and comments.
pub(super) struct Lines<'a> {
    lines: Enumerate<StrLines<'a>>,
    /// The next line.
    ahead: Option<Words<'a>>,
    /// The number of the last line that was looked at.
    line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut lines = Self { lines: text.lines().enumerate(), ahead: None, line: 0 };
        lines.advance();
        lines
    }

    pub(super) fn next(&mut self) -> Option<Words<'a>> {
        let next = self.ahead.take();
        self.advance();
        next
    }

    /// Takes the next line if its first word satisfies `is`.
    pub(super) fn next_if(&mut self, is: impl FnOnce(&str) -> bool) -> Option<Words<'a>> {
        if is(self.ahead.as_ref()?.first()) { self.next() } else { None }
    }

    /// Reads the next line, which must begin with `keyword`, to its end.
    pub(super) fn line<T>(
        &mut self,
        keyword: &str,
        read: impl FnOnce(&mut Words<'a>) -> Result<T, TextError>,
    ) -> Result<T, TextError> {
        let Some(mut words) = self.next() else {
            return Err(TextError {
                line: self.line + 1,
                expected: format!("`{keyword}`"),
                found: "the end of the file".to_owned(),
            });
        };
        words.keyword(keyword)?;
        words.whole(read)
    }

    /// Reads all next lines that begin with `keyword`.
    pub(super) fn each(
        &mut self,
        keyword: &str,
        mut read: impl FnMut(&mut Words<'a>) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        while self.ahead.as_ref().is_some_and(|words| words.first() == keyword) {
            self.line(keyword, &mut read)?;
        }
        Ok(())
    }

    /// Reads all next lines that begin with `keyword`, at most a given number, into a list.
    pub(super) fn lines<T>(
        &mut self,
        keyword: &str,
        most: usize,
        mut read: impl FnMut(&mut Words<'a>) -> Result<T, TextError>,
    ) -> Result<Vec<T>, TextError> {
        let mut all = Vec::new();
        self.each(keyword, |words| {
            if all.len() == most {
                return Err(words.error(&format!("no more than {most} lines of `{keyword}` here")));
            }
            all.push(read(words)?);
            Ok(())
        })?;
        Ok(all)
    }

    fn advance(&mut self) {
        for (index, text) in self.lines.by_ref() {
            self.line = index + 1;
            let words = Words { line: self.line, rest: text };
            if !words.first().is_empty() {
                self.ahead = Some(words);
                return;
            }
        }
    }
}

/// The words that are left of a line.
pub(super) struct Words<'a> {
    line: usize,
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Returns the first word. It is empty at the end of the line or before a comment.
    fn first(&self) -> &'a str {
        let text = self.rest.trim_start();
        match text.as_bytes().first() {
            None | Some(b'#') => "",
            Some(b'"') => &text[..strings::span(text)],
            Some(_) => text.split(char::is_whitespace).next().unwrap_or_default(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.first().is_empty()
    }

    /// Takes the first word, which `read` must accept.
    pub(super) fn take<T>(&mut self, expected: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Result<T, TextError> {
        let word = self.first();
        let value = if word.is_empty() { None } else { read(word) };
        let value = value.ok_or_else(|| self.error(expected))?;
        self.rest = &self.rest.trim_start()[word.len()..];
        Ok(value)
    }

    /// Reads the line to its end.
    pub(super) fn whole<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, TextError>) -> Result<T, TextError> {
        let value = read(self)?;
        if self.is_done() { Ok(value) } else { Err(self.error("the end of the line")) }
    }

    /// Returns the error that the first word is not what was expected.
    pub(super) fn error(&self, expected: &str) -> TextError {
        self.wrong(self.first(), expected)
    }

    /// Returns the error that this word of the line is not what was expected.
    pub(super) fn wrong(&self, word: &str, expected: &str) -> TextError {
        let found = match word.char_indices().nth(FOUND_CHARS) {
            _ if word.is_empty() => "the end of the line".to_owned(),
            Some((end, _)) => format!("`{}...`", &word[..end]),
            None => format!("`{word}`"),
        };
        TextError { line: self.line, expected: expected.to_owned(), found }
    }

    pub(super) fn word(&mut self, expected: &str) -> Result<&'a str, TextError> {
        self.take(expected, Some)
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> Result<(), TextError> {
        self.take(&format!("`{keyword}`"), |word| (word == keyword).then_some(()))
    }

    pub(super) fn number<T: FromStr>(&mut self, expected: &str) -> Result<T, TextError> {
        self.take(expected, |word| word.parse().ok())
    }

    /// Reads a keyword and a number.
    pub(super) fn field<T: FromStr>(&mut self, keyword: &str) -> Result<T, TextError> {
        self.keyword(keyword)?;
        self.number("a number")
    }

    /// Reads an id or a handle.
    pub(super) fn halves(&mut self, expected: &str) -> Result<u64, TextError> {
        self.take(expected, |word| {
            let (high, low) = word.split_once('.')?;
            Some(u64::from(high.parse::<u32>().ok()?) << 32 | u64::from(low.parse::<u32>().ok()?))
        })
    }

    /// Reads a string of bytes.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, TextError> {
        let bytes = strings::unquoted(self.first()).map_err(|expected| self.error(expected))?;
        self.take("a string", |_| Some(bytes))
    }

    /// Reads a string that is text.
    pub(super) fn text(&mut self) -> Result<String, TextError> {
        let word = self.first();
        let bytes = strings::unquoted(word).map_err(|expected| self.error(expected))?;
        self.take("a string in UTF-8", |_| String::from_utf8(bytes).ok())
    }

    /// Reads the name of one of the cases.
    pub(super) fn case<T: Copy>(&mut self, cases: &[T], name: fn(T) -> &'static str) -> Result<T, TextError> {
        let find = |word: &str| cases.iter().copied().find(|case| name(*case) == word);
        if let Some(case) = find(self.first()) {
            return self.take("", |_| Some(case));
        }
        let names: Vec<_> = cases.iter().map(|case| name(*case)).collect();
        Err(self.error(&format!("one of {}", names.join(", "))))
    }
}

/// The most characters that an error shows of an unexpected word.
const FOUND_CHARS: usize = 40;
