//! The tasks of this workspace that cargo cannot do by itself. `cargo xtask help` lists them.
//!
//! Exit codes: 0 when all went well, 1 when a step failed, 2 when the command line was not
//! understood. `serve` becomes the host, so its exit code is the host's.

mod bench;
mod build;
mod contract;
mod count;
mod deny;
mod docs;
mod examples;
mod guests;
mod install;
mod judge;
mod metadata;
mod serve;
mod test;
mod tidy;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use install::Asked;

const USAGE: &str = "\
Usage: cargo xtask COMMAND [OPTIONS]

Commands:
  build            build the host and the guests: target/release/pluto-host, target/guests/NAME.wasm
  serve [-- ARGS]  build, then run the host with ARGS
                   (default: target/guests/pluto.wasm 8000 html/, in the workspace's folder)
  test             run every check and every test; stop at the first that fails
  tidy             check the house rules only (`test` does this too);
                   --count takes what was mended off the lists of exceptions
  graph            draw the crates and their dependencies into ARCHITECTURE.md
  deny             check the dependencies' licences and sources against deny.toml (`test` does this too)
  docs             compile the documentation, private items included, without a warning (`test` does this too)
  examples         build each guest of examples/ as a stranger would, and inspect it (`test` does this too)
  bench [OPTIONS]  measure the web server against nginx, lighttpd and h2o, and write docs/speed.md;
                   --quick takes a minute or two and writes nothing, --only WORD takes all with that word in its name,
                   --rounds N and --seconds N (5 of 3) say how often and how long each is measured
  count [OPTIONS]  count the instructions of a request, and fail when there are more than before (`test` does this too);
                   --only WORD takes some kinds of requests, --update REASON writes the new counts down
  judge            let httplint and REDbot look at the web server's responses (needs PyPI)
  judge --grid     ask nginx, lighttpd, apache2 and h2o every case of tests/conformance too
  setup            get only what compiling guests needs (`build` does this too)
  help             print this text

Options of build, serve, test, bench, count, judge and setup:
  --install        install missing packages of Debian. CI=true means the same, and so does being root where there is apt-get
  --no-install     install nothing, and say which command is missing and how to get it
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (asked, words) = asked(&words);
    let done = match words.as_slice() {
        ["build"] => build::build(asked),
        ["serve", "--", args @ ..] | ["serve", args @ ..] => serve::serve(args, asked),
        ["test"] => test::test(asked),
        ["bench", options @ ..] => bench::bench(options, asked),
        ["count", options @ ..] => {
            count::set_up(asked).and_then(|()| build::build(asked)).and_then(|()| count::count(options))
        }
        ["tidy"] => tidy::tidy(),
        ["tidy", "--count"] => tidy::count(),
        ["graph"] => tidy::draw(),
        ["deny"] => deny::deny(),
        ["docs"] => docs::docs(),
        ["examples"] => build::build(asked).and_then(|()| examples::examples(asked)),
        ["judge"] => judge::judge(asked),
        ["judge", "--grid"] => judge::grid(asked),
        ["setup"] => toolchain::set_up(asked).map(|_| workspace::say("guests can be compiled on this machine")),
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

/// Takes `--install` and `--no-install` out of a command line. The last of them counts. After
/// `serve`, they must come first, because all further arguments are the host's.
fn asked<'a>(words: &[&'a str]) -> (Asked, Vec<&'a str>) {
    let mut asked = Asked::Nothing;
    let mut rest: Vec<&str> = Vec::new();
    for &word in words {
        let is_ours = rest.len() == 1 || rest.first() != Some(&"serve");
        match word {
            "--install" if is_ours && !rest.is_empty() => asked = Asked::Install,
            "--no-install" if is_ours && !rest.is_empty() => asked = Asked::NoInstall,
            _ => rest.push(word),
        }
    }
    (asked, rest)
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked};

    #[test]
    fn options_about_installing_are_found_in_a_command_line() {
        let check = |words: &str, expected: Asked, rest: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            assert_eq!(asked(&words), (expected, rest.split(' ').collect()), "{words:?}");
        };
        check("build", Asked::Nothing, "build");
        check("build --install", Asked::Install, "build");
        check("count --only 304 --no-install", Asked::NoInstall, "count --only 304");
        check("test --install --no-install", Asked::NoInstall, "test");
        check("serve --install a.wasm 80", Asked::Install, "serve a.wasm 80");
        check("serve -- a.wasm 80 --install", Asked::Nothing, "serve -- a.wasm 80 --install");
        check("serve a.wasm --install", Asked::Nothing, "serve a.wasm --install");
    }
}
