//! The command line and its options.

mod choices;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::limits;
use pluto_engine::compile::Product;
use pluto_lab::explain::{Detail, Filter};
use pluto_live::DriverChoice;
use pluto_live::console::{Format, Verbosity};
use pluto_trace::engine_kind::EngineKind;

/// Runs a server that is a WebAssembly component and can do four things: send requests, receive
/// answers, read the time, and log.
#[derive(Debug, Parser)]
#[command(
    name = "pluto-host",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "pluto-host [OPTIONS] GUEST PORT [ROOT] [GUEST ARGS]...\n       pluto-host <COMMAND>",
    after_help = AFTER_HELP
)]
pub struct Cli {
    /// What to do; without a command, run a guest.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The guest to run.
    #[command(flatten)]
    pub run: Option<Run>,
}

/// Commands besides running a guest.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a guest imports and exports, and whether the host would run it
    Inspect {
        /// The guest's .wasm file
        guest: PathBuf,
        /// Compile in this process and without limits: for tools that look into one process only,
        /// such as valgrind
        #[arg(long, hide = true)]
        compile_here: bool,
    },
    /// Run a guest on a recorded trace, and check that it sends the recorded requests
    Replay {
        /// The guest's .wasm file
        guest: PathBuf,
        /// The trace that `--record` has written
        trace: PathBuf,
        /// Choose what executes the guest. The run is the same on each
        #[arg(long, value_name = "ENGINE", default_value = "native", value_parser = choices::engine())]
        engine: EngineKind,
        /// Compare only what clients and the file system see: the bytes and the end of each
        /// connection, and which files are opened or listed. The guest may be rewritten, and send
        /// other requests in another order. HTTP dates may be 2 s apart
        #[arg(long)]
        loose: bool,
        /// Begin at the last key frame at or before this time, instead of at the beginning. In
        /// seconds since the start, or with a unit, such as 1.5 or 250ms. Only the recorded guest
        /// can begin there
        #[arg(long, value_name = "TIME", value_parser = nanoseconds, conflicts_with_all = ["loose", "from_turn"])]
        from: Option<u64>,
        /// Begin at the last key frame at or before this turn, counted from 0
        #[arg(long, value_name = "TURN", conflicts_with = "loose")]
        from_turn: Option<u64>,
        /// Limit the memory of a guest, whatever the trace says. In bytes, or with K, M or G
        #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
        memory_max: u64,
    },
    /// Run two guests with the clients of a recorded run, and summarise how their responses differ
    #[command(after_help = DIFF_HELP)]
    Diff {
        /// The trace that `--record` has written, from which the clients are taken
        trace: PathBuf,
        /// The .wasm file of the guest whose responses are expected
        #[arg(value_name = "GUEST_A")]
        first: PathBuf,
        /// The .wasm file of the guest that is compared with it
        #[arg(value_name = "GUEST_B")]
        second: PathBuf,
        /// Limit the memory of a guest, whatever the trace says. In bytes, or with K, M or G
        #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
        memory_max: u64,
    },
    /// Show what happened in a recorded run, turn by turn
    Explain(Explain),
    /// Convert a trace to text for people, or text to a trace
    Trace {
        /// The form to convert to
        #[command(subcommand)]
        form: Form,
    },
    /// Convert a core module with an embedded world to a component
    Componentize {
        /// The core module, as a compiler writes it for wasm32-unknown-unknown
        module: PathBuf,
        /// Write the component to this file
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Compile what comes on standard input, within bounds: what this program starts when it
    /// loads a guest
    #[command(hide = true)]
    CompileGuest {
        /// What is made
        #[arg(value_parser = choices::product())]
        product: Product,
        /// How many bytes come
        length: u64,
        /// The number of the process that has started this one
        parent: i32,
    },
}

/// The two forms of a trace.
#[derive(Debug, Subcommand)]
pub enum Form {
    /// Write a trace as text to standard output. The text names the guest by its SHA-256 and does
    /// not contain it
    Text {
        /// The trace that `--record` or `trace binary` has written
        trace: PathBuf,
    },
    /// Make a trace from text, to be replayed
    Binary {
        /// The text that `trace text` has written. Where you have edited it, write `sent ?` for
        /// the requests that you do not know: a replay does not compare them
        text: PathBuf,
        /// Put this guest into the trace: a .wasm file with the SHA-256 that the text names
        #[arg(long, value_name = "FILE")]
        guest: PathBuf,
        /// Write the trace to this file
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

/// How to run a guest.
#[derive(Args, Debug)]
pub struct Run {
    /// The guest: a component, or a core module with an embedded world
    #[arg(value_name = "GUEST")]
    pub guest: PathBuf,

    /// The port that the guest may listen on. It is also the guest's first argument. 0 lets the
    /// system choose a port
    #[arg(value_name = "PORT", value_parser = port)]
    pub port: u16,

    /// The folder that the guest may read, which is also its second argument; then the guest's
    /// own arguments. If the folder is missing, or the first argument begins with a dash, the
    /// guest can read no file
    #[arg(value_name = "ROOT] [GUEST ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,

    /// Listen on this address. 0.0.0.0 or :: accepts connections from every network of this
    /// machine
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,

    /// Let the guest listen on a further port, such as one for metrics. 0 lets the system choose
    /// a port. Without an address, the port accepts connections from this machine only, whatever
    /// --listen says. Can be repeated
    #[arg(long = "grant-port", value_name = "[ADDR:]PORT", value_parser = address)]
    pub grant_ports: Vec<SocketAddr>,

    /// Let symbolic links beneath ROOT lead into this folder, too. Without it, a link that leaves
    /// ROOT is refused. Can be repeated
    #[arg(long = "grant-folder", value_name = "DIR")]
    pub grant_folders: Vec<PathBuf>,

    /// Choose the I/O backend
    #[arg(long, value_name = "DRIVER", default_value = "auto", value_parser = choices::driver())]
    pub driver: DriverChoice,

    /// Serve with this many threads, each with its own instance of the guest. The system
    /// distributes clients among them [default: one for each core that this process may use; 1
    /// with --record, because a trace is the run of one instance]
    #[arg(long, value_name = "N", value_parser = shards)]
    shards: Option<usize>,

    /// Limit the memory of the guest in each shard. In bytes, or with K, M or G
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    pub memory_max: u64,

    /// Choose how the guest's log is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = choices::format())]
    pub log: Format,

    /// Append the guest's log to this file, instead of writing it to standard output. SIGUSR1
    /// opens the file again, as tools that rotate logs want it
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// Write only log lines of this level or a more important one
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = choices::verbosity())]
    pub log_level: Verbosity,

    /// Record the run in this file, to be replayed exactly: everything that the guest receives,
    /// and the guest itself. With several --shards, run.trace becomes run.1.trace, run.2.trace
    /// and so on. In the name, %t stands for the time of the start and %p for the process. A trace
    /// that is there is not overwritten. If the file is a pipe, its reader must be there first
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Overwrite the trace that the file of --record holds
    #[arg(long, requires = "record")]
    pub overwrite: bool,

    /// Put a key frame into the trace after this many bytes of it: the guest's memory, at which a
    /// replay can begin. In bytes, or with K, M or G. The guest must ask for signals, as guests
    /// on the SDK do [default: 32M]
    #[arg(long, value_name = "SIZE", default_value_t = limits::KEY_FRAME_BYTES_BETWEEN, hide_default_value = true, value_parser = size, requires = "record")]
    pub key_frame_every: u64,

    /// Record in memory, and keep only this much of the end of the trace. In bytes, or with K, M
    /// or G. The host writes them when the guest traps, fails or is ended by the host, and at
    /// each SIGUSR1, to the FILE of --record or to pluto-host.TIME.PID.trace in the current
    /// folder. Several shards write a file each, with the shard's number in its name
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "key_frame_every")]
    pub flight_recorder: Option<u64>,

    /// Compile the guest at every start, and keep no compiled code in ~/.cache/pluto-host/code (or
    /// $XDG_CACHE_HOME/pluto-host/code)
    #[arg(long)]
    pub no_cache: bool,
}

/// What to tell of a recorded run.
#[derive(Args, Debug)]
pub struct Explain {
    /// The trace that `--record` has written
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Show only what concerns this connection. Connections are numbered from 1 in the order in
    /// which they were accepted
    #[arg(long, value_name = "N")]
    pub connection: Option<u64>,

    /// Show only what happened at this time or later. In seconds since the start, or with a unit,
    /// such as 1.5 or 250ms
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub from: Option<u64>,

    /// Show only what happened at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub to: Option<u64>,

    /// Replace what clients sent and were sent, paths, names, arguments and log lines by their
    /// lengths
    #[arg(long)]
    pub no_data: bool,

    /// Show texts whole, however long they are
    #[arg(long, conflicts_with = "no_data")]
    pub full: bool,

    /// Write a page for a browser to this file, instead of text to standard output
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Limit the memory of the guest, whatever the trace says. In bytes, or with K, M or G
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    pub memory_max: u64,
}

impl Explain {
    /// Returns how much is shown of each text.
    pub fn detail(&self) -> Detail {
        match (self.no_data, self.full) {
            (true, _) => Detail::Lengths,
            (false, false) => Detail::Beginnings,
            (false, true) => Detail::Whole,
        }
    }

    /// Returns the filter of events.
    pub fn filter(&self) -> Filter {
        Filter { connection: self.connection, from: self.from.unwrap_or(0), to: self.to.unwrap_or(u64::MAX) }
    }
}

/// The last part of the help text of `diff`.
const DIFF_HELP: &str = "\
Both guests meet the clients of the trace. The clients send what they sent, when they sent it,
whatever they are answered. Files are what they were. A path that nobody asked for in the recording
does not exist.

Exit codes:
  0    nothing differs
  3    something differs; each kind of difference is shown with its count and one example

Example:
  pluto-host diff run.trace old.wasm target/guests/pluto.wasm";

/// The last part of the help text.
const AFTER_HELP: &str = "\
Options of the host stand before GUEST. What follows ROOT is for the guest. The web server lists its
own options, with its limits and timeouts:
  pluto-host target/guests/pluto.wasm 0 html/ --help

Exit codes (with several shards, that of the first that did not end well):
  0    the guest ended without error, or was stopped by Ctrl-C, SIGTERM or SIGQUIT
  1    the host could not start; the message says what to change
  2    the command line could not be understood
  3    a replay differs from the recorded run, or two guests differ
  4    the host ended the guest, because it trapped or exceeded a limit
  5    the guest ended with an error of its own
  130  a second Ctrl-C, or one before the guest ran, ended the process at once
  131  the same by SIGQUIT
  143  the same by SIGTERM

Signals: INT, TERM and QUIT stop the server, HUP reloads it, USR1 opens the file of --log-file
again and writes the flight recorder. Others are ignored; a message says so.

Example:
  pluto-host target/guests/pluto.wasm 8000 html/";

impl Run {
    /// Returns the folder that the guest may read.
    pub fn root(&self) -> Option<&str> {
        self.rest.first().map(String::as_str).filter(|first| !first.starts_with('-'))
    }

    /// Returns the number of shards.
    pub fn shards(&self) -> usize {
        self.shards.unwrap_or_else(|| if self.has_one_shard_to_record() { 1 } else { cores() })
    }

    /// Returns whether the operator has named the number of shards.
    pub fn wants_shards(&self) -> bool {
        self.shards.is_some()
    }

    /// Returns whether there would be more shards if the run were not recorded.
    pub fn has_one_shard_to_record(&self) -> bool {
        self.shards.is_none() && self.record.is_some() && self.flight_recorder.is_none() && cores() > 1
    }

    /// Returns the guest's arguments: the port, the folder, and the rest.
    pub fn guest_arguments(&self) -> Vec<String> {
        std::iter::once(self.port.to_string()).chain(self.rest.iter().cloned()).collect()
    }
}

/// Returns the number of cores that this process may use, by its affinity and its control group.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(pluto_trace::limits::SHARDS_MAX))
}

fn shards(text: &str) -> Result<usize, String> {
    let shards = text.parse().ok().filter(|shards| (1..=pluto_trace::limits::SHARDS_MAX).contains(shards));
    shards.ok_or_else(|| format!("the number of shards is one from 1 to {}", pluto_trace::limits::SHARDS_MAX))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "a port is a number from 0 to 65535, such as 8000".to_owned())
}

/// Parses a port, with the address to bind. Without an address, the port is for this machine only.
fn address(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    alone.or_else(|_| text.parse()).map_err(|_| {
        "expected a port, or an address of this machine and a port, such as 9100, 10.0.0.1:9100 or [::1]:9100"
            .to_owned()
    })
}

/// Parses a number of bytes, with or without a unit of 1024, as `dd` and `nginx` take it.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
        format!(
            "a size is a number of bytes, or one with K, M or G, such as {}M",
            pluto_engine::limits::MEMORY_BYTES_DEFAULT >> 20
        )
    })
}

/// Parses a span of time to nanoseconds: a number of seconds, or a number with a unit.
fn nanoseconds(text: &str) -> Result<u64, String> {
    let is_number = text.parse::<f64>().is_ok();
    let span = humantime::parse_duration(&if is_number { format!("{text}s") } else { text.to_owned() });
    let nanoseconds = span.ok().and_then(|span| u64::try_from(span.as_nanos()).ok());
    nanoseconds.ok_or_else(|| "a time is a number of seconds, or one with a unit, such as 1.5 or 250ms".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run(arguments: &str) -> Result<Run, clap::Error> {
        let words = std::iter::once("pluto-host").chain(arguments.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.run.expect("no command was given"))
    }

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_port_and_the_folder_are_the_guests_first_arguments() {
        let full = run("guest.wasm 8000 html/ --idle 5").expect("understood");
        assert_eq!(full.root(), Some("html/"));
        assert_eq!(full.guest_arguments(), ["8000", "html/", "--idle", "5"]);
        let rootless = run("--log off guest.wasm 8000 --once").expect("understood");
        assert_eq!((rootless.root(), rootless.log), (None, Format::Off));
        assert_eq!(rootless.guest_arguments(), ["8000", "--once"]);
    }

    #[test]
    fn only_this_machine_by_default() {
        assert!(run("guest.wasm 8000").expect("understood").listen.is_loopback());
    }

    #[test]
    fn a_further_port_is_for_this_machine_only_unless_it_has_an_address() {
        let run = run("--listen :: --grant-port 9100 --grant-port [::1]:0 guest.wasm 8000").expect("understood");
        assert_eq!(run.grant_ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:9100", "[::1]:0"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [
            "",
            "guest.wasm",
            "guest.wasm http",
            "guest.wasm 65536",
            "--memory-max 5X guest.wasm 1",
            "--grant-port a guest.wasm 1",
            "--key-frame-every 1M guest.wasm 1",
            "--shards 0 guest.wasm 1",
            "--shards 257 guest.wasm 1",
            "--shards all guest.wasm 1",
        ] {
            assert!(run(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn there_are_as_many_shards_as_cores_unless_the_run_is_recorded_or_the_operator_says_otherwise() {
        let shards = |options: &str| run(&format!("{options} guest.wasm 1")).expect("understood").shards();
        assert_eq!(shards(""), cores());
        assert_eq!(shards("--flight-recorder 1M --record a.trace"), cores());
        assert_eq!(shards("--record a.trace"), 1);
        assert_eq!(shards("--record a.trace --shards 3"), 3);
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", Some(1)), ("64K", Some(65_536)), ("1GiB", Some(1 << 30)), ("20000000000G", None)] {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
        for text in ["", "0", "M", "-1", "1.5G", "5 M", "5Q"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_help_names_the_defaults_that_hold() {
        let mut command = Cli::command();
        let help = command.render_long_help().to_string();
        for (default, bytes) in
            [("1G", pluto_engine::limits::MEMORY_BYTES_DEFAULT), ("32M", limits::KEY_FRAME_BYTES_BETWEEN)]
        {
            assert!(help.contains(&format!("[default: {default}]")), "{default}: {help}");
            assert_eq!(size(default), Ok(bytes));
        }
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1.5", Some(1_500_000_000)),
            ("250ms", Some(250_000_000)),
            ("1m 2s", Some(62_000_000_000)),
        ] {
            assert_eq!(nanoseconds(text).ok(), expected, "{text}");
        }
        for text in ["", "-1", "inf", "NaN", "1e99", "5 parsecs"] {
            assert!(nanoseconds(text).is_err(), "{text:?}");
        }
    }
}
