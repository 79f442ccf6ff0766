//! Globs against paths, in time that grows with the path and never with what an attacker makes of
//! it.
//!
//! | in a glob | matches |
//! |---|---|
//! | `*` | any bytes but a slash, also none |
//! | `?` | one character but a slash |
//! | `**` between slashes | any number of folders, also none |
//! | `/**` at the end | the folder itself, and everything beneath it |
//! | `{a,b}` | one of the alternatives |
//! | `[a-z]`, `[!a-z]` | one character of these, or none of these |
//! | `\x` | the character `x` as it is |
//!
//! Each `*`, `**` and `{}` is a capture, counted from 1. A glob is compiled to a small program.
//! What it could match is tried one way after the other, and no operation twice at the same byte,
//! so that a path costs at most its length times that of the program; most paths are told from a
//! glob by their first and last bytes before that.

use crate::limits::{CAPTURES_MAX, GLOB_BYTES_MAX};
use std::ops::Range;

/// A compiled glob.
#[derive(Clone, Debug)]
pub struct Glob {
    /// What every match begins with.
    prefix: Vec<u8>,
    /// What every match ends with.
    suffix: Vec<u8>,
    ops: Vec<Op>,
    captures: usize,
}

/// What the wildcards of a glob stand for in a path: ranges of its bytes.
pub type Captures = Vec<Range<usize>>;

#[derive(Clone, Debug)]
enum Op {
    /// One byte.
    Byte(u8),
    /// Any byte.
    Any,
    /// Any byte but a slash.
    NotSlash,
    /// A byte within a UTF-8 character that has begun.
    Continuation,
    /// A byte in one of the ranges, or in none of them; never a slash.
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
    /// Go on at both places; the first one is tried first.
    Split(usize, usize),
    Jump(usize),
    /// The place in the path is a capture's beginning (even) or end (odd).
    Save(usize),
}

impl Glob {
    /// Compiles a glob. The error says what was expected.
    pub fn new(glob: &str) -> Result<Glob, String> {
        if glob.len() > GLOB_BYTES_MAX {
            return Err(format!("expected a glob of at most {GLOB_BYTES_MAX} bytes, found {}", glob.len()));
        }
        // A glob for files in any folder is often written without the slash that every path begins
        // with.
        let rooted = if glob == "**" || glob.starts_with("**/") { format!("/{glob}") } else { glob.to_owned() };
        if !rooted.starts_with('/') {
            return Err(format!("expected a glob that begins with / or with **/, found {glob:?}"));
        }
        if rooted.contains("//") {
            return Err(format!("expected one slash between names, for no path has more; found {glob:?}"));
        }
        let mut compiler = Compiler { rest: rooted.as_bytes(), before: 0, ops: Vec::new(), captures: 0 };
        compiler.sequence(false)?;
        let (ops, captures) = (compiler.ops, compiler.captures);
        Ok(Glob { prefix: literals(ops.iter()), suffix: suffix(&ops), ops, captures })
    }

    /// How many captures a match has.
    pub fn captures(&self) -> usize {
        self.captures
    }

    /// Whether it matches the whole of this path, which begins with a slash.
    pub fn is_match(&self, path: &[u8]) -> bool {
        if !self.may_match(path) {
            return false;
        }
        // The usual globs: a path as it is, and everything in a folder.
        match &self.ops[self.prefix.len()..] {
            [] => path.len() == self.prefix.len(),
            [Op::Split(..), Op::Byte(b'/'), ..] if self.ends_in_all() => {
                matches!(path.get(self.prefix.len()), None | Some(b'/'))
            }
            _ => self.run(path).is_some(),
        }
    }

    /// Some paths that it matches: with each of its alternatives, and with one of two characters
    /// or nothing for a wildcard.
    pub fn examples(&self) -> Vec<Vec<u8>> {
        let mut examples = self.examples_with(|op| (b'a'..=b'z').chain(0..=u8::MAX).find(|byte| op.takes(*byte)));
        examples.extend(self.examples_with(|op| (0..=u8::MAX).chain(b'a'..=b'z').rfind(|byte| op.takes(*byte))));
        examples.retain(|example| std::str::from_utf8(example).is_ok() && self.is_match(example));
        examples.sort_unstable();
        examples.dedup();
        examples
    }

    /// Those with the byte that is chosen for each operation which takes one.
    fn examples_with(&self, choose: impl Fn(&Op) -> Option<u8>) -> Vec<Vec<u8>> {
        const EXAMPLES_MAX: usize = 16;
        const WAYS_MAX: usize = 256;
        let mut examples = Vec::new();
        // Operations to go on at, with the path so far and the splits that it has come through.
        let mut ways = vec![(0, Vec::new(), Vec::new())];
        for _ in 0..WAYS_MAX {
            let Some((mut op, mut path, mut splits)) = ways.pop() else { break };
            loop {
                op = match self.ops.get(op) {
                    Some(&Op::Jump(to)) => to,
                    // The second time around, a repetition ends.
                    Some(&Op::Split(_, end)) if splits.contains(&op) => end,
                    Some(&Op::Split(first, second)) => {
                        splits.push(op);
                        ways.push((second, path.clone(), splits.clone()));
                        first
                    }
                    Some(Op::Save(_)) => op + 1,
                    Some(taking) => {
                        let Some(byte) = choose(taking) else { break };
                        path.push(byte);
                        op + 1
                    }
                    None => {
                        examples.push(path);
                        break;
                    }
                };
            }
            if examples.len() >= EXAMPLES_MAX {
                break;
            }
        }
        examples
    }

    /// What the wildcards stand for, when it matches the whole of this path. One that stands for
    /// nothing is empty.
    pub fn find(&self, path: &[u8]) -> Option<Captures> {
        if self.may_match(path) { self.run(path) } else { None }
    }

    fn may_match(&self, path: &[u8]) -> bool {
        path.len() >= self.prefix.len().max(self.suffix.len())
            && path.starts_with(&self.prefix)
            && path.ends_with(&self.suffix)
    }

    /// Whether nothing but `/**` follows the prefix.
    fn ends_in_all(&self) -> bool {
        self.ops.len() == self.prefix.len() + ALL_BENEATH_OPS
    }

    /// Runs the program over the path.
    fn run(&self, path: &[u8]) -> Option<Captures> {
        let saved = Machine::new(&self.ops, path).run()?;
        Some(saved.chunks_exact(2).take(self.captures).map(|pair| pair[0]..pair[1].max(pair[0])).collect())
    }
}

/// Places that one match remembers: where each capture begins and ends.
type Saved = [usize; 2 * CAPTURES_MAX];

/// A program on its way over a path.
struct Machine<'a> {
    ops: &'a [Op],
    path: &'a [u8],
    /// A bit for each operation at each place in the path, once it was tried there: it would fail
    /// again.
    tried: Vec<u64>,
    saved: Saved,
    /// What is tried when the current way has failed, the last first.
    later: Vec<Later>,
}

enum Later {
    /// This operation at this place.
    Try(usize, usize),
    /// A capture is what it was before the way that has failed.
    Restore(usize, usize),
}

impl<'a> Machine<'a> {
    fn new(ops: &'a [Op], path: &'a [u8]) -> Machine<'a> {
        let bits = (ops.len() + 1) * (path.len() + 1);
        let tried = vec![0; bits.div_ceil(64)];
        Machine { ops, path, tried, saved: [0; 2 * CAPTURES_MAX], later: vec![Later::Try(0, 0)] }
    }

    /// The captures of the first way that takes the whole path.
    fn run(&mut self) -> Option<Saved> {
        while let Some(later) = self.later.pop() {
            match later {
                Later::Try(op, at) if self.follow(op, at) => return Some(self.saved),
                Later::Try(..) => (),
                Later::Restore(slot, before) => self.saved[slot] = before,
            }
        }
        None
    }

    /// Goes one way as far as it leads. Whether that is the end of both.
    fn follow(&mut self, mut op: usize, mut at: usize) -> bool {
        while self.is_new(op, at) {
            match self.ops.get(op) {
                None if at == self.path.len() => return true,
                Some(&Op::Jump(to)) => op = to,
                Some(&Op::Split(first, second)) => {
                    self.later.push(Later::Try(second, at));
                    op = first;
                }
                Some(&Op::Save(slot)) => {
                    self.later.push(Later::Restore(slot, self.saved[slot]));
                    self.saved[slot] = at;
                    op += 1;
                }
                Some(taking) if self.path.get(at).is_some_and(|byte| taking.takes(*byte)) => {
                    op += 1;
                    at += 1;
                }
                _ => return false,
            }
        }
        false
    }

    fn is_new(&mut self, op: usize, at: usize) -> bool {
        let bit = op * (self.path.len() + 1) + at;
        let (word, mask) = (&mut self.tried[bit / 64], 1 << (bit % 64));
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }
}

impl Op {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Op::Byte(expected) => byte == *expected,
            Op::Any => true,
            Op::NotSlash => byte != b'/',
            Op::Continuation => byte & 0xc0 == 0x80,
            Op::Class { negated, ranges } => {
                byte != b'/' && ranges.iter().any(|&(low, high)| (low..=high).contains(&byte)) != *negated
            }
            Op::Split(..) | Op::Jump(_) | Op::Save(_) => false,
        }
    }
}

/// The bytes that the operations begin with.
fn literals<'a>(ops: impl Iterator<Item = &'a Op>) -> Vec<u8> {
    ops.map_while(|op| if let Op::Byte(byte) = op { Some(*byte) } else { None }).collect()
}

/// The bytes that the operations end with, unless some way leads around them.
fn suffix(ops: &[Op]) -> Vec<u8> {
    let mut suffix = literals(ops.iter().rev());
    let entered = ops.iter().flat_map(|op| match op {
        Op::Split(first, second) => [*first, *second],
        Op::Jump(to) => [*to, 0],
        _ => [0, 0],
    });
    let latest = entered.max().unwrap_or(0);
    suffix.truncate(ops.len().saturating_sub(latest));
    suffix.reverse();
    suffix
}

/// Operations of `/**` at the end of a glob.
const ALL_BENEATH_OPS: usize = 7;

struct Compiler<'a> {
    rest: &'a [u8],
    /// The byte before the rest, as it was written.
    before: u8,
    ops: Vec<Op>,
    captures: usize,
}

impl Compiler<'_> {
    /// Compiles up to the end of the glob, or in braces up to a comma or the closing brace, which
    /// stays.
    fn sequence(&mut self, in_braces: bool) -> Result<(), String> {
        while let [byte, tail @ ..] = self.rest {
            if in_braces && matches!(byte, b',' | b'}') {
                break;
            }
            let all = self.rest;
            self.rest = tail;
            match byte {
                b'/' if all == b"/**" && !in_braces => self.all_beneath()?,
                b'*' if tail.first() == Some(&b'*') => self.folders(in_braces)?,
                b'*' => {
                    let capture = self.begin_capture()?;
                    self.repeat(Op::NotSlash);
                    self.end_capture(capture);
                }
                b'?' => {
                    self.ops.push(Op::NotSlash);
                    self.repeat(Op::Continuation);
                }
                b'[' => self.class()?,
                b'{' if in_braces => return Err("expected no braces within braces".to_owned()),
                b'{' => self.alternatives()?,
                b'}' => return Err("expected a { before the }, or \\} for the character itself".to_owned()),
                b'\\' => {
                    let [escaped, tail @ ..] = tail else { return Err("expected a character behind \\".to_owned()) };
                    self.ops.push(Op::Byte(*escaped));
                    self.rest = tail;
                }
                _ => self.ops.push(Op::Byte(*byte)),
            }
            self.before = *byte;
        }
        Ok(())
    }

    /// `/**` at the end.
    fn all_beneath(&mut self) -> Result<(), String> {
        self.rest = b"";
        let split = self.split();
        self.ops.push(Op::Byte(b'/'));
        let capture = self.begin_capture()?;
        self.repeat(Op::Any);
        self.end_capture(capture);
        self.end_split(split);
        Ok(())
    }

    /// `**/`, of which the first asterisk is taken already.
    fn folders(&mut self, in_braces: bool) -> Result<(), String> {
        if in_braces || self.before != b'/' || !self.rest.starts_with(b"*/") {
            return Err("expected ** to stand alone between slashes, as in /a/**/b".to_owned());
        }
        self.rest = &self.rest[2..];
        let split = self.split();
        let capture = self.begin_capture()?;
        self.ops.push(Op::NotSlash);
        self.repeat(Op::Any);
        self.end_capture(capture);
        self.ops.push(Op::Byte(b'/'));
        self.end_split(split);
        Ok(())
    }

    /// `{a,b}`, behind the opening brace.
    fn alternatives(&mut self) -> Result<(), String> {
        let capture = self.begin_capture()?;
        let mut ends = Vec::new();
        loop {
            let split = self.split();
            self.sequence(true)?;
            ends.push(self.ops.len());
            self.ops.push(Op::Jump(0));
            self.end_split(split);
            let [byte, tail @ ..] = self.rest else { return Err("expected a } behind the {".to_owned()) };
            self.rest = tail;
            if *byte == b'}' {
                break;
            }
        }
        // Behind the last alternative no way leads on: a class that takes nothing.
        self.ops.push(Op::Class { negated: false, ranges: Vec::new() });
        let end = self.ops.len();
        ends.into_iter().for_each(|at| self.ops[at] = Op::Jump(end));
        self.end_capture(capture);
        Ok(())
    }

    /// `[a-z]`, behind the opening bracket.
    fn class(&mut self) -> Result<(), String> {
        const FORM: &str = "expected characters of ASCII between [ and ], as in [a-z] or [!0-9]";
        let end = self.rest.iter().skip(1).position(|&byte| byte == b']').ok_or(FORM)? + 1;
        let (mut inside, tail) = (&self.rest[..end], &self.rest[end + 1..]);
        self.rest = tail;
        let negated = matches!(inside, [b'!' | b'^', _, ..]);
        inside = if negated { &inside[1..] } else { inside };
        let mut ranges = Vec::new();
        while let [low, tail @ ..] = inside {
            let (high, tail) = if let [b'-', high, tail @ ..] = tail { (high, tail) } else { (low, tail) };
            if !low.is_ascii() || !high.is_ascii() || low > high || *low == b'/' {
                return Err(FORM.to_owned());
            }
            ranges.push((*low, *high));
            inside = tail;
        }
        self.ops.push(Op::Class { negated, ranges });
        if negated {
            self.repeat(Op::Continuation);
        }
        Ok(())
    }

    /// The operation any number of times, as often as it can be.
    fn repeat(&mut self, op: Op) {
        let start = self.ops.len();
        self.ops.extend([Op::Split(start + 1, start + 3), op, Op::Jump(start)]);
    }

    /// Begins what may be left out.
    fn split(&mut self) -> usize {
        self.ops.push(Op::Split(0, 0));
        self.ops.len() - 1
    }

    fn end_split(&mut self, split: usize) {
        self.ops[split] = Op::Split(split + 1, self.ops.len());
    }

    fn begin_capture(&mut self) -> Result<usize, String> {
        let capture = self.captures;
        if capture == CAPTURES_MAX {
            return Err(format!("expected at most {CAPTURES_MAX} of *, ** and {{}}"));
        }
        self.captures += 1;
        self.ops.push(Op::Save(2 * capture));
        Ok(capture)
    }

    fn end_capture(&mut self, capture: usize) {
        self.ops.push(Op::Save(2 * capture + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_has_examples() {
        for (glob, expected) in [
            ("/a", &["/a"][..]),
            ("/{a,bc,}", &["/", "/a", "/bc"]),
            ("/*.js", &["/.js", "/a.js", "/z.js"]),
            ("/a/**", &["/a", "/a/", "/a/a", "/a/z"]),
            ("/[x-y]/[!a]", &["/x/b", "/y/z"]),
        ] {
            let found = Glob::new(glob).expect(glob).examples();
            let found: Vec<_> = found.iter().map(|example| String::from_utf8_lossy(example)).collect();
            assert_eq!(found, expected, "{glob}");
        }
        for glob in ["/**/{a,b,c}/**/{d,e}*?*/**", &"/*".repeat(9), "/?"] {
            let glob = Glob::new(glob).expect(glob);
            let found = glob.examples();
            assert!(!found.is_empty() && found.iter().all(|example| glob.is_match(example)));
        }
    }

    /// What the captures of a match are; nothing when there is none.
    fn find(glob: &str, path: &str) -> Option<Vec<String>> {
        let compiled = Glob::new(glob).expect(glob);
        let found = compiled.find(path.as_bytes());
        assert_eq!(compiled.is_match(path.as_bytes()), found.is_some(), "{glob} {path}");
        found.map(|captures| {
            assert_eq!(captures.len(), compiled.captures());
            captures.into_iter().map(|range| path[range].to_owned()).collect()
        })
    }

    #[test]
    fn a_glob_matches_whole_paths_and_captures_what_its_wildcards_stand_for() {
        let yes = |glob: &str, path: &str, captures: &[&str]| {
            assert_eq!(
                find(glob, path).as_deref(),
                Some(&*captures.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()),
                "{glob} {path}"
            );
        };
        let no = |glob: &str, path: &str| assert_eq!(find(glob, path), None, "{glob} {path}");
        yes("/", "/", &[]);
        yes("/a.html", "/a.html", &[]);
        no("/a.html", "/a.htmlx");
        no("/a.html", "/b/a.html");
        no("/a.html", "/a");
        yes("/*.html", "/a.html", &["a"]);
        yes("/*.html", "/.html", &[""]);
        no("/*.html", "/b/a.html");
        yes("/a-*-*", "/a-b-c-d", &["b-c", "d"]);
        yes("/*/x", "/a/x", &["a"]);
        no("/*/x", "/a/b/x");
        yes("/a/**", "/a", &[""]);
        yes("/a/**", "/a/", &[""]);
        yes("/a/**", "/a/b/c.txt", &["b/c.txt"]);
        no("/a/**", "/ab");
        yes("/**", "/", &[""]);
        yes("/**", "/a/b/", &["a/b/"]);
        yes("**", "/a", &["a"]);
        yes("**/*.js", "/a.js", &["", "a"]);
        yes("**/*.js", "/a/b/c.js", &["a/b", "c"]);
        no("**/*.js", "/a/b/c.css");
        yes("/a/**/b", "/a/b", &[""]);
        yes("/a/**/b", "/a/x/y/b", &["x/y"]);
        no("/a/**/b", "/a/xb");
        yes("/**/a/**", "/x/a/y", &["x", "y"]);
        yes("**/*.{js,css}", "/s/a.css", &["s", "a", "css"]);
        no("**/*.{js,css}", "/s/a.cs");
        yes("/{a,b/c,}/x", "/b/c/x", &["b/c"]);
        yes("/x{,.html}", "/x", &[""]);
        yes("/{a*,b?}", "/alpha", &["alpha", "lpha"]);
        yes("/{a*,b?}", "/bc", &["bc", ""]);
        yes("/?.txt", "/\u{e9}.txt", &[]);
        no("/?.txt", "/ab.txt");
        yes("/[a-c0]x", "/bx", &[]);
        no("/[a-c0]x", "/dx");
        yes("/[!a-c]x", "/\u{20ac}x", &[]);
        no("/[!a-c]", "/a");
        yes("/a[]]", "/a]", &[]);
        yes(r"/\*\{", "/*{", &[]);
        yes("/caf\u{e9}/*", "/caf\u{e9}/x", &["x"]);
        assert!(Glob::new("/*").expect("a glob").is_match(b"/\xff\r\n"), "any bytes");
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        let check = |glob: &str, expected: &str| {
            let error = Glob::new(glob).expect_err(glob);
            assert!(error.contains(expected), "{glob}: {error}");
        };
        check("", "begins with /");
        check("*.js", "begins with /");
        check("a/**", "begins with /");
        check("//a", "one slash");
        check("/a**", "stand alone");
        check("/a**/b", "stand alone");
        check("/**b", "stand alone");
        check("/{a,**/b}", "stand alone");
        check("/{a", "a } behind");
        check("/a}", "a { before");
        check("/{a,{b,c}}", "no braces within");
        check("/[a", "between [ and ]");
        check("/[]", "between [ and ]");
        check("/[z-a]", "between [ and ]");
        check("/[\u{e9}]", "between [ and ]");
        check("/a\\", "behind \\");
        check(&"/*".repeat(CAPTURES_MAX + 1), "at most 9");
        check(&format!("/{}", "a".repeat(GLOB_BYTES_MAX)), "at most 256 bytes");
    }

    /// The steps are counted, not the time: each is an operation at a byte where it was not tried.
    #[test]
    fn a_hostile_path_costs_a_bounded_number_of_steps() {
        let path = [&b"/"[..], &b"a/".repeat(2_000), b"b"].concat();
        for glob in ["/**/a*a*a*a*a*a*x", "/**/a/**/a/**/a/**/a/**/x", "/{a,a*,*a}*{a,a*,*a}x", "**/*.{js,b}"] {
            let glob = Glob::new(glob).expect("a glob");
            let mut machine = Machine::new(&glob.ops, &path);
            assert!(machine.run().is_none());
            let steps = machine.tried.iter().map(|word| word.count_ones() as usize).sum::<usize>();
            assert!(steps <= (glob.ops.len() + 1) * (path.len() + 1), "{steps} steps");
            assert!(machine.later.capacity() <= 4 * path.len(), "{} ways at once", machine.later.capacity());
            assert!(!glob.is_match(&path));
        }
    }
}
