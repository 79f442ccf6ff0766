//! Cutting texts in which a stranger chose a part: each line, and the whole, to a length that a
//! reader can use.

use std::fmt::{self, Display, Write};

use super::escape::escape;
use crate::limits;

/// The text of a thing, with what is too much of each line and of the whole left out. What writes
/// the text is stopped as soon as there is enough of it, so that its whole length is never in
/// memory.
pub fn cut(told: impl Display) -> String {
    cut_to(limits::TOLD_LINE_BYTES_MAX, limits::TOLD_BYTES_MAX, told)
}

/// The same, with lines and a whole of other lengths, in bytes.
pub fn cut_to(line_bytes_max: usize, bytes_max: usize, told: impl Display) -> String {
    let mut cut = Cut { text: String::new(), line: 0, line_bytes_max, bytes_max };
    // An error is that it is full.
    let _ = write!(cut, "{told}");
    cut.text
}

/// A list of names, with this between them; of many names the first ones, and how many there are
/// besides. No name ends a line.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>, between: &str) -> String {
    let mut names = names.into_iter();
    let one_line = |name| {
        let mut out = String::new();
        escape(&mut out, &cut(name), char::is_control);
        out
    };
    let mut lines: Vec<String> = names.by_ref().take(limits::TOLD_NAMES_MAX).map(one_line).collect();
    let left = names.count();
    if left > 0 {
        lines.push(format!("and {left} more"));
    }
    lines.join(between)
}

/// What stands in place of what was left out.
const ELLIPSIS: &str = "…";

struct Cut {
    text: String,
    /// Bytes of the line so far, also those that were left out.
    line: usize,
    line_bytes_max: usize,
    bytes_max: usize,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let (content, is_end) = piece.strip_suffix('\n').map_or((piece, false), |content| (content, true));
            self.add(content);
            if is_end {
                self.text.push('\n');
                self.line = 0;
            }
            if self.text.len() > self.bytes_max {
                self.text.truncate(floor(&self.text, self.bytes_max));
                self.text.push_str(ELLIPSIS);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

impl Cut {
    /// Adds to the line.
    fn add(&mut self, content: &str) {
        let room = self.line_bytes_max.saturating_sub(self.line);
        let was_within = self.line <= self.line_bytes_max;
        self.line += content.len();
        if content.len() <= room {
            self.text.push_str(content);
        } else if was_within {
            self.text.push_str(&content[..floor(content, room)]);
            self.text.push_str(ELLIPSIS);
        }
    }
}

/// The last place before this one at which a character ends.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_line_and_the_whole_are_cut_between_characters() {
        assert_eq!(cut_to(5, 100, "abcde\nabcdef\n\näöü\nx"), "abcde\nabcde…\n\näö…\nx");
        assert_eq!(cut_to(100, 5, "abcde"), "abcde");
        assert_eq!(cut_to(100, 5, "abcdü"), "abcd…");
        assert_eq!(cut_to(3, 100, format_args!("{}{}\n{}", "ab", "cd", "e")), "abc…\ne");
        assert_eq!(cut_to(3, 100, format_args!("{}{}{}", "abc", "", "d")), "abc…");
    }

    #[test]
    fn what_writes_without_end_is_stopped() {
        struct Endless<'a>(&'a Cell<usize>);
        impl Display for Endless<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    self.0.set(self.0.get() + 1);
                    f.write_str("line\n")?;
                }
            }
        }
        let lines = Cell::new(0);
        assert_eq!(cut_to(10, 50, Endless(&lines)).lines().count(), 11);
        assert_eq!(lines.get(), 11);
    }

    #[test]
    fn of_many_names_the_first_are_listed() {
        assert_eq!(list(["a", "b\nc"], ", "), "a, b\\nc");
        let names = vec!["x"; limits::TOLD_NAMES_MAX + 7];
        assert!(list(names, "\n").ends_with("x\nand 7 more"));
    }
}
