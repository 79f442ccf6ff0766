//! The arguments of the echo server.

use std::time::Duration;

/// The options of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) port: u16,
    /// Whether a connection is closed after the bytes of one read were sent back.
    pub(crate) once: bool,
    /// How long a client may send nothing before its connection is closed.
    pub(crate) idle: Option<Duration>,
}

impl Options {
    /// Reads `PORT [ROOT] [--once] [--idle SECONDS]`. An error says what to do.
    pub(crate) fn parse(args: &[String]) -> Result<Options, String> {
        let mut args = args.iter().map(String::as_str).peekable();
        let port = args.next().ok_or("no port: give one as the first argument")?;
        let port = port.parse().map_err(|_| format!("`{port}` is no port: give a number from 0 to 65535"))?;
        // The root, which the host passes here when it has one.
        args.next_if(|arg| !arg.starts_with("--"));
        let mut options = Options { port, once: false, idle: None };
        while let Some(arg) = args.next() {
            match arg {
                "--once" => options.once = true,
                "--idle" => options.idle = Some(parse_seconds(args.next())?),
                other => return Err(format!("`{other}` is no option of echo: use --once or --idle SECONDS")),
            }
        }
        Ok(options)
    }
}

fn parse_seconds(arg: Option<&str>) -> Result<Duration, String> {
    let seconds = arg.and_then(|arg| arg.parse().ok()).filter(|&seconds| seconds > 0);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "--idle needs a whole number of seconds after it, at least 1: --idle 30".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let options = |port, once, idle: Option<u64>| Options { port, once, idle: idle.map(Duration::from_secs) };
        for (line, expected) in [
            ("8000", options(8000, false, None)),
            ("8000 html/", options(8000, false, None)),
            ("8000 html/ --once", options(8000, true, None)),
            ("8000 --once --idle 5", options(8000, true, Some(5))),
            ("8000 html/ --idle 5", options(8000, false, Some(5))),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn bad_arguments_are_told_what_to_do() {
        let seconds = "--idle needs a whole number of seconds after it, at least 1: --idle 30";
        for (line, expected) in [
            ("", "no port: give one as the first argument"),
            ("--once", "`--once` is no port: give a number from 0 to 65535"),
            ("65536", "`65536` is no port: give a number from 0 to 65535"),
            ("1 --idle", seconds),
            ("1 --idle 0", seconds),
            ("1 --idle soon", seconds),
            ("1 html/ more", "`more` is no option of echo: use --once or --idle SECONDS"),
        ] {
            assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
        }
    }

    fn parse(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }
}
