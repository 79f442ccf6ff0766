//! The command line of the server: the granted port, the root, and what an operator can change.

use crate::limits;
use pluto_sdk::Symlinks;

/// What the operator wants. Seconds, bytes and counts are at least 1.
#[derive(Clone, Debug)]
pub struct Options {
    /// The granted port.
    pub port: u16,
    /// The root as the operator named it, for the log; the host knows where it is.
    pub root: String,
    /// `--connections`.
    pub connections: u64,
    /// `--head-seconds`.
    pub head_seconds: u64,
    /// `--body-seconds`.
    pub body_seconds: u64,
    /// `--idle-seconds`.
    pub idle_seconds: u64,
    /// `--write-seconds`.
    pub write_seconds: u64,
    /// `--linger-seconds`.
    pub linger_seconds: u64,
    /// `--grace-seconds`.
    pub grace_seconds: u64,
    /// `--body-bytes`.
    pub body_bytes: u64,
    /// `--linger-bytes`.
    pub linger_bytes: u64,
    /// `--symlinks`.
    pub symlinks: Symlinks,
    /// `--allow-hidden`.
    pub allow_hidden: bool,
    /// Not `--no-access-log`.
    pub access_log: bool,
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve.
    Serve(Options),
    /// Explain the options: `--help`.
    Help,
}

/// An option that takes a number.
struct Number {
    name: &'static str,
    default: u64,
    max: u64,
    help: &'static str,
    field: fn(&mut Options) -> &mut u64,
}

const DAY_SECONDS: u64 = 24 * 60 * 60;
const BYTES_MAX: u64 = 1 << 40;

static NUMBERS: [Number; 9] = [
    Number {
        name: "--connections",
        default: limits::CONNECTIONS_DEFAULT,
        max: limits::CONNECTIONS_MAX,
        help: "clients that are connected at once; more wait",
        field: |options| &mut options.connections,
    },
    Number {
        name: "--head-seconds",
        default: limits::HEAD_SECONDS_DEFAULT,
        max: DAY_SECONDS,
        help: "for a request head to arrive, from its first byte to its last",
        field: |options| &mut options.head_seconds,
    },
    Number {
        name: "--body-seconds",
        default: limits::BODY_SECONDS_DEFAULT,
        max: DAY_SECONDS,
        help: "for a request body to arrive, which is dropped",
        field: |options| &mut options.body_seconds,
    },
    Number {
        name: "--idle-seconds",
        default: limits::IDLE_SECONDS_DEFAULT,
        max: DAY_SECONDS,
        help: "that a client may be connected without a request",
        field: |options| &mut options.idle_seconds,
    },
    Number {
        name: "--write-seconds",
        default: limits::WRITE_SECONDS_DEFAULT,
        max: DAY_SECONDS,
        help: "for a client to take the next piece of a response",
        field: |options| &mut options.write_seconds,
    },
    Number {
        name: "--linger-seconds",
        default: limits::LINGER_SECONDS_DEFAULT,
        max: DAY_SECONDS,
        help: "to read on after the last response, so that it gets there",
        field: |options| &mut options.linger_seconds,
    },
    Number {
        name: "--grace-seconds",
        default: limits::GRACE_SECONDS_DEFAULT,
        max: DAY_SECONDS,
        help: "for clients still served when the server is stopped",
        field: |options| &mut options.grace_seconds,
    },
    Number {
        name: "--body-bytes",
        default: limits::BODY_BYTES_DEFAULT,
        max: BYTES_MAX,
        help: "of a request body that are dropped to keep a connection",
        field: |options| &mut options.body_bytes,
    },
    Number {
        name: "--linger-bytes",
        default: limits::LINGER_BYTES_DEFAULT,
        max: BYTES_MAX,
        help: "to drop after the last response",
        field: |options| &mut options.linger_bytes,
    },
];

/// The options that take no number: how they are written, and what they do.
static WORDS: [(&str, &str); 4] = [
    ("--symlinks follow|deny", "whether symbolic links are followed, inside the root [follow]"),
    ("--allow-hidden", "serve names that begin with a dot (.well-known always is)"),
    ("--no-access-log", "log no line for each request, which is faster"),
    ("--help", "explain the options"),
];

/// Reads the arguments: the port, the root, then options as `--name value` or `--name=value`. An error is one line for
/// the operator.
pub fn parse(args: &[String]) -> Result<Command, String> {
    if args.iter().any(|arg| arg == "--help") {
        return Ok(Command::Help);
    }
    let [port, root, rest @ ..] = args else {
        return Err(format!("expected a port and a folder to serve, found {args:?}; {}", summary()));
    };
    let port = port.parse().map_err(|_| format!("expected a port from 0 to 65535, found {port:?}"))?;
    if root.starts_with("--") {
        return Err(format!("expected a folder to serve before the options, found {root:?}; {}", summary()));
    }
    let mut options = Options::new(port, root.clone());
    let mut rest = rest.iter().map(String::as_str);
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg, None),
        };
        options.set(name, value, &mut rest)?;
    }
    Ok(Command::Serve(options))
}

/// The lines that `--help` shows.
pub fn help() -> Vec<String> {
    let mut lines = vec![
        "usage: pluto-host pluto.wasm PORT ROOT [OPTION...]".to_owned(),
        "Serves the files beneath ROOT over HTTP/1.1.".to_owned(),
    ];
    lines.extend(NUMBERS.iter().map(|number| {
        let what = if number.name.ends_with("-seconds") { "seconds " } else { "" };
        format!("  {:<24}{what}{} [{}]", format!("{} N", number.name), number.help, number.default)
    }));
    lines.extend(WORDS.iter().map(|(word, help)| format!("  {word:<24}{help}")));
    lines
}

impl Options {
    /// The defaults.
    pub fn new(port: u16, root: String) -> Options {
        let mut options = Options {
            port,
            root,
            connections: 0,
            head_seconds: 0,
            body_seconds: 0,
            idle_seconds: 0,
            write_seconds: 0,
            linger_seconds: 0,
            grace_seconds: 0,
            body_bytes: 0,
            linger_bytes: 0,
            symlinks: Symlinks::Follow,
            allow_hidden: false,
            access_log: true,
        };
        for number in &NUMBERS {
            *(number.field)(&mut options) = number.default;
        }
        options
    }

    fn set<'a>(
        &mut self,
        name: &str,
        value: Option<&'a str>,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut required = || value.or_else(|| rest.next()).unwrap_or_default();
        if let Some(number) = NUMBERS.iter().find(|number| number.name == name) {
            let value = required();
            let parsed = value.parse().ok().filter(|parsed| (1..=number.max).contains(parsed));
            *(number.field)(self) =
                parsed.ok_or_else(|| format!("{name}: expected a number from 1 to {}, found {value:?}", number.max))?;
            return Ok(());
        }
        match (name, value) {
            ("--symlinks", _) => {
                self.symlinks = match required() {
                    "follow" => Symlinks::Follow,
                    "deny" => Symlinks::Refuse,
                    other => return Err(format!("--symlinks: expected follow or deny, found {other:?}")),
                };
            }
            ("--allow-hidden", None) => self.allow_hidden = true,
            ("--no-access-log", None) => self.access_log = false,
            _ => return Err(format!("expected an option, found {name:?}; {}", summary())),
        }
        Ok(())
    }
}

/// All options in one line.
fn summary() -> String {
    let numbers = NUMBERS.iter().map(|number| format!("{} N", number.name));
    let all: Vec<String> = numbers.chain(WORDS.iter().map(|(word, _)| (*word).to_owned())).collect();
    format!("the options are {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_number_has_an_option_that_sets_it_and_a_line_of_help() {
        let text = help().join("\n");
        for number in &NUMBERS {
            for line in [format!("80 html {} 7", number.name), format!("80 html {}=7", number.name)] {
                let Ok(Command::Serve(mut found)) = parsed(&line) else { panic!("{line}") };
                let mut expected = Options::new(80, "html".to_owned());
                assert!(*(number.field)(&mut expected) > 1, "{}", number.name);
                *(number.field)(&mut expected) = 7;
                assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{line}");
                assert_eq!(*(number.field)(&mut found), 7, "{line}");
            }
            assert!(text.contains(&format!("{} N", number.name)) && text.contains(&format!("[{}]", number.default)));
            assert!(summary().contains(number.name));
        }
    }

    #[test]
    fn flags_are_taken() {
        let line = "80 html --allow-hidden --symlinks deny --no-access-log";
        let Ok(Command::Serve(found)) = parsed(line) else { panic!("{line}") };
        assert!(found.allow_hidden && !found.access_log && matches!(found.symlinks, Symlinks::Refuse));
        assert!(matches!(parsed("80 html --help"), Ok(Command::Help)));
        assert!(matches!(parsed("80 --help"), Ok(Command::Help)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |line: &str, expected: &str| match parsed(line) {
            Err(error) => assert!(error.starts_with(expected) && !error.contains('\n'), "{line}: {error}"),
            Ok(found) => panic!("{line}: {found:?}"),
        };
        check("80", "expected a port and a folder to serve, found [\"80\"]; the options are --connections N, ");
        check("web html", "expected a port from 0 to 65535, found \"web\"");
        check("80 --allow-hidden", "expected a folder to serve before the options");
        check("80 html --idle-seconds 0", "--idle-seconds: expected a number from 1 to 86400, found \"0\"");
        check("80 html --idle-seconds", "--idle-seconds: expected a number from 1 to 86400, found \"\"");
        check("80 html --connections 25001", "--connections: expected a number from 1 to 25000, found \"25001\"");
        check("80 html --idle-seconds=1h", "--idle-seconds: expected a number from 1 to 86400, found \"1h\"");
        check("80 html --symlinks maybe", "--symlinks: expected follow or deny, found \"maybe\"");
        check("80 html --allow-hidden=yes", "expected an option, found \"--allow-hidden\"");
        check("80 html more", "expected an option, found \"more\"; the options are --connections N, ");
    }
}
