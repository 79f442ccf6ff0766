//! The measured servers, each with the settings that suit it best.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::machine::{self, SERVER_CORE};
use crate::workspace::{self, Result, folder};

/// A server, in one of the ways in which it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// pluto-host with the web server.
    Pluto,
    /// The same once more: how far two measurements of one thing are apart.
    Again,
    /// On epoll.
    Poll,
    /// With `--record` into a file.
    Recorded,
    /// With `--flight-recorder`.
    Flight,
    /// One shard, on any core.
    OneShard,
    /// Two shards, on any two cores.
    TwoShards,
    Nginx,
    Lighttpd,
    H2o,
    /// wasmtime's own server, whose guest sends 1 KiB.
    WasmtimeServe,
    /// Receives and sends what pluto has sent before, and does nothing else.
    Floor,
}

/// A server that runs.
pub(crate) struct Running {
    child: Child,
    pub(crate) name: &'static str,
    pub(crate) shards: u32,
    pub(crate) port: u16,
}

impl Running {
    /// The process that was started.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM, for nginx's master has children to end.
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The variable in which `cargo xtask bench` names the program `wasmtime`, and beside which it has
/// put that program's guest, `target/bench/proxy.wasm`.
const WASMTIME_VARIABLE: &str = "PLUTO_BENCH_WASMTIME";

/// How long a server may take until it accepts.
const START_SECONDS_MAX: u64 = 10;

impl Server {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Server::Pluto => "pluto",
            Server::Again => "pluto again",
            Server::Poll => "pluto, epoll",
            Server::Recorded => "pluto, recorded",
            Server::Flight => "pluto, flight recorder",
            Server::OneShard => "pluto, one shard",
            Server::TwoShards => "pluto, two shards",
            Server::Nginx => "nginx",
            Server::Lighttpd => "lighttpd",
            Server::H2o => "h2o",
            Server::WasmtimeServe => "wasmtime serve",
            Server::Floor => "floor",
        }
    }

    /// The program that must be there besides our own; `wasmtime` is built by `cargo xtask bench`.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Server::Nginx => Some("nginx"),
            Server::Lighttpd => Some("lighttpd"),
            Server::H2o => Some("h2o"),
            Server::WasmtimeServe => Some("wasmtime"),
            _ => None,
        }
    }

    /// Its threads, each of which is to have as many clients as one has alone, and a load
    /// generator's.
    pub(crate) fn shards(self) -> u32 {
        if self == Server::TwoShards { 2 } else { 1 }
    }

    /// Starts it on the server's core, and waits until it accepts.
    pub(crate) fn start(self, root: &Path, logs: bool) -> Result<Running> {
        self.start_with(root, Settings { logs, ..Settings::default() })
    }

    /// The same, with settings.
    pub(crate) fn start_with(self, root: &Path, settings: Settings) -> Result<Running> {
        let port = free_port()?;
        let command = self.command(root, port, settings)?;
        let cores =
            if matches!(self, Server::OneShard | Server::TwoShards) { &machine::all_cores() } else { SERVER_CORE };
        let mut running = self.spawn(&mut machine::on_cores(cores, &command), port)?;
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.child.try_wait().ok().flatten();
            if ended.is_some() || begin.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                let why = fs::read_to_string(log(self, "err")).unwrap_or_default();
                return Err(format!("{} does not serve: {}", self.name(), why.trim()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    /// Starts it, and does not wait.
    pub(crate) fn spawn(self, command: &mut Command, port: u16) -> Result<Running> {
        let output =
            |name: &str| fs::File::create(log(self, name)).map_err(|error| format!("cannot write a log: {error}"));
        command.stdin(Stdio::null()).stdout(output("out")?).stderr(output("err")?);
        let child = command.spawn().map_err(|error| format!("cannot start {}: {error}", self.name()))?;
        Ok(Running { child, name: self.name(), shards: self.shards(), port })
    }

    /// The command line that starts it.
    pub(crate) fn command(self, root: &Path, port: u16, settings: Settings) -> Result<Command> {
        let Settings { logs, .. } = settings;
        let (program, option, text) = match self {
            Server::Nginx => ("nginx", "-c", nginx(root, port, settings)),
            Server::Lighttpd => ("lighttpd", "-f", lighttpd(root, port, logs)),
            Server::H2o => ("h2o", "-c", h2o(root, port, logs)),
            Server::WasmtimeServe => {
                let program = std::env::var_os(WASMTIME_VARIABLE)
                    .ok_or("`wasmtime serve` is not here: `cargo xtask bench` builds it, or says why it cannot")?;
                let mut serve = Command::new(program);
                serve.args(["serve", "--addr", &format!("127.0.0.1:{port}")]).arg(folder().join("proxy.wasm"));
                return Ok(serve);
            }
            Server::Floor => {
                let mut floor = Command::new(workspace::target().join("release/floor"));
                floor.arg(port.to_string()).arg(answer());
                return Ok(floor);
            }
            _ => return Ok(self.pluto(root, port, settings)),
        };
        let mut command = Command::new(program);
        command.args([option, &configure(self, program, text)?]);
        if self == Server::Lighttpd {
            command.arg("-D");
        }
        Ok(command)
    }

    fn pluto(self, root: &Path, port: u16, settings: Settings) -> Command {
        let mut command = Command::new(workspace::host());
        match self {
            Server::Poll => drop(command.args(["--driver", "poll"])),
            Server::Recorded => drop(command.arg("--record").arg(trace())),
            // As much as is recorded in two seconds: from then on its memory is used again.
            Server::Flight => drop(command.args(["--flight-recorder", "16M"])),
            _ => {}
        }
        command.args(["--shards", &self.shards().to_string()]);
        if settings.no_cache {
            command.arg("--no-cache");
        }
        if settings.idle {
            command.args(["--listen", "0.0.0.0"]);
        }
        command.arg(workspace::target().join("guests/pluto.wasm")).arg(port.to_string()).arg(root);
        if !settings.logs {
            command.arg("--no-access-log");
        }
        if settings.idle {
            let connections = machine::files_max().min(CONNECTIONS_MAX).to_string();
            command.args(["--connections", &connections, "--idle-seconds", "3600"]);
        }
        command
    }
}

/// The most that our web server's `--connections` can be told: `CONNECTIONS_MAX` of
/// guest/pluto/src/limits.rs.
pub(crate) const CONNECTIONS_MAX: u32 = 50_000;

/// How a server is started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings {
    /// It writes an access log.
    pub(crate) logs: bool,
    /// Ours compiles the guest.
    pub(crate) no_cache: bool,
    /// It bears that very many clients do nothing for long, on any address of this machine: one
    /// address of theirs has ports for 28,000.
    pub(crate) idle: bool,
}

/// What `Server::Floor` sends.
pub(crate) fn answer() -> std::path::PathBuf {
    log(Server::Floor, "answer")
}

/// What `Server::Recorded` writes.
pub(crate) fn trace() -> std::path::PathBuf {
    log(Server::Recorded, "trace")
}

fn log(server: Server, name: &str) -> std::path::PathBuf {
    folder().join(format!("{}.{name}", server.name().replace([' ', ','], "-")))
}

/// Another server may take it before ours does; then ours says so.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("there is no free port: {error}"))
}

/// The form of an access log that ours writes when nothing is said, as Apache's formats have it.
const COMMON: &str = "%h %l %u %t \"%r\" %s %b";

fn configure(server: Server, name: &str, text: String) -> Result<String> {
    let path = log(server, &format!("{name}.conf"));
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path.display().to_string())
}

fn nginx(root: &Path, port: u16, settings: Settings) -> String {
    let (folder, root) = (folder(), root.display());
    let folder = folder.display();
    let (connections, timeout) = if settings.idle { (machine::files_max(), 3_600) } else { (30_000, 75) };
    let address = if settings.idle { "" } else { "127.0.0.1:" };
    let access = if settings.logs { format!("{folder}/nginx.access short buffer=64k flush=1s") } else { "off".into() };
    format!(
        "daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.error; worker_processes 1; worker_rlimit_nofile {files};
user root; events {{ worker_connections {connections}; use epoll; multi_accept on; }}
http {{ include /etc/nginx/mime.types; default_type application/octet-stream; server_tokens off;
sendfile on; sendfile_max_chunk 1m; tcp_nopush on; tcp_nodelay on; keepalive_timeout {timeout}; keepalive_requests 1000000000;
open_file_cache max=10000 inactive=60s; open_file_cache_valid 1s; open_file_cache_min_uses 1; open_file_cache_errors on;
log_format short '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent';
access_log {access}; log_not_found off; client_body_temp_path {folder}/nginx.tmp; proxy_temp_path {folder}/nginx.tmp; fastcgi_temp_path {folder}/nginx.tmp;
uwsgi_temp_path {folder}/nginx.tmp; scgi_temp_path {folder}/nginx.tmp;
server {{ listen {address}{port} backlog=4096 reuseport; root {root}; index index.html; }} }}
",
        files = machine::files_max()
    )
}

fn lighttpd(root: &Path, port: u16, logs: bool) -> String {
    let folder = folder();
    let (folder, root) = (folder.display(), root.display());
    let (module, access) = if logs {
        (
            ", \"mod_accesslog\"",
            format!("accesslog.filename = \"{folder}/lighttpd.access\"\naccesslog.format = {COMMON:?}\n"),
        )
    } else {
        ("", String::new())
    };
    format!(
        "server.modules = (\"mod_indexfile\", \"mod_staticfile\"{module})
server.document-root = \"{root}\"\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\nindex-file.names = (\"index.html\")
server.max-keep-alive-requests = 60000\nserver.max-connections = 20000\nserver.max-fds = 60000\nserver.tag = \"lighttpd\"
server.event-handler = \"linux-sysepoll\"\nserver.network-backend = \"sendfile\"\nserver.stat-cache-engine = \"simple\"
{access}mimetype.assign = (\".html\" => \"text/html; charset=utf-8\", \".css\" => \"text/css; charset=utf-8\", \".js\" => \"text/javascript; charset=utf-8\",
  \".svg\" => \"image/svg+xml\", \".woff2\" => \"font/woff2\", \"\" => \"application/octet-stream\")
"
    )
}

fn h2o(root: &Path, port: u16, logs: bool) -> String {
    let folder = folder();
    let access = if logs {
        format!("access-log:\n  path: {}/h2o.access\n  format: {COMMON:?}\n", folder.display())
    } else {
        String::new()
    };
    format!(
        "num-threads: 1\nmax-connections: 20000\nhttp1-request-timeout: 75\nlisten:\n  host: 127.0.0.1\n  port: {port}\n{access}\
hosts:\n  default:\n    paths:\n      /:\n        file.dir: {}\nuser: root\n",
        root.display()
    )
}
