//! The tasks of this workspace that cargo cannot do by itself. `cargo xtask help` lists them.
//!
//! Exit codes: 0 when all went well, 1 when a step failed, 2 when the command line was not understood. `serve`
//! becomes the host, so its exit code is the host's.

mod bench;
mod count;
mod debian;
mod guests;
mod judge;
mod serve;
mod source;
mod test;
mod tidy;
mod toolchain;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  build            build the host and the guests: target/release/pluto-host, target/guests/NAME.wasm
  serve [-- ARGS]  build, then run the host with ARGS
                   (default: target/guests/pluto.wasm 8000 html/, in the workspace's folder)
  test             run every check and every test; stop at the first that fails
  tidy             check the house rules only (`test` does this too)
  bench [OPTIONS]  measure the web server against nginx, lighttpd and h2o, and write docs/speed.md;
                   --quick takes a minute or two and writes nothing, --only WORD takes all with that word in its name,
                   --rounds N and --seconds N (5 of 3) say how often and how long each is measured
  count [OPTIONS]  count the instructions of a request, and fail when there are more than before (`test` does this too);
                   --only WORD takes some kinds of requests, --update REASON writes the new counts down
  judge            let httplint and REDbot look at the web server's responses (wants PyPI)
  judge --grid     ask nginx, lighttpd, apache2 and h2o every case of tests/conformance too (wants these four)
  setup            install only what compiling guests needs (`build` does this too)
  help             print this text
";

/// What can go wrong is always for a person to read: what was expected, what was found, what to do.
type Result<T, E = String> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["build"] => workspace::build(),
        ["serve", "--", args @ ..] | ["serve", args @ ..] => serve::serve(args),
        ["test"] => test::test(),
        ["bench", options @ ..] => bench::bench(options),
        ["count", options @ ..] => workspace::build().and_then(|()| count::count(options)),
        ["tidy"] => tidy::tidy(),
        ["judge"] => judge::judge(),
        ["judge", "--grid"] => judge::grid(),
        ["setup"] => toolchain::set_up().map(|_| workspace::say("guests can be compiled on this machine")),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
