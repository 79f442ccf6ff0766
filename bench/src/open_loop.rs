//! Clients that send requests at a fixed rate, whatever they are answered; and clients that hold a
//! connection and do nothing.
//!
//! A client that waits for an answer before its next request asks a slow server less often, and so
//! underestimates how slow it is (*coordinated omission*). Here each request is due at a fixed
//! moment. Its latency counts from that moment, also when no connection was free to send it. One
//! thread polls all connections without sleeping, so that the time to wake up does not count; it
//! needs a core of its own. It runs as a process of its own, for which that core and a limit of
//! open files are set.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;

use crate::machine;
use crate::workspace::Result;

/// Latencies, in microseconds, by how many of a thousand requests had no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latencies {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// How exactly latencies are counted: to a thousandth of each.
const LATENCY_DIGITS: u8 = 3;

/// The longest latency that is told from longer ones: an hour. The histogram has all its memory
/// from the beginning, 250 KB, since to grow it would take time that is measured.
const LATENCY_NANOS_MAX: u64 = 3_600_000_000_000;

/// How long answers are waited for behind the last request.
const REST: Duration = Duration::from_secs(5);

/// Asks a server so many times a second, over so many connections.
pub(crate) fn ask(port: u16, rate: u64, seconds: u64, connections: usize, path: &str) -> Result<Latencies> {
    let mut own = own_command("open-loop")?;
    own.args([port.to_string(), rate.to_string(), seconds.to_string(), connections.to_string(), path.to_owned()]);
    let output = machine::on_cores(&machine::load_cores(), &own).output();
    let output = output.map_err(|error| format!("cannot run the open-loop load: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [p50, p99, p999] => Ok(Latencies { p50: *p50, p99: *p99, p999: *p999 }),
        _ => Err(format!("the open-loop load failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Connections that were used once, and are idle until this is dropped.
pub(crate) struct Held(Child);

impl Held {
    /// Opens so many, each with a request that was answered.
    pub(crate) fn open(port: u16, connections: usize, path: &str) -> Result<Self> {
        let mut own = own_command("hold")?;
        own.args([port.to_string(), connections.to_string(), path.to_owned()]);
        let mut command = machine::on_cores(&machine::load_cores(), &own);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut held = Self(child.map_err(|error| format!("cannot hold connections: {error}"))?);
        let mut begin = [0; 5];
        let read = held.0.stdout.as_mut().map(|out| out.read_exact(&mut begin));
        match read {
            Some(Ok(())) if begin == *b"ready" => Ok(held),
            _ => Err(format!("{connections} connections could not be opened, as said above")),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own_command(task: &str) -> Result<Command> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find ourselves: {error}"))?;
    let mut command = Command::new(own);
    command.arg(task);
    Ok(command)
}

/// What the clients of a fixed rate are told.
#[derive(Debug, Args)]
pub(crate) struct OpenLoop {
    port: u16,
    /// Requests a second.
    rate: NonZeroU64,
    seconds: u64,
    connections: usize,
    path: String,
}

/// What the idle clients are told.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    port: u16,
    connections: u32,
    path: String,
}

/// Does what `ask` starts: `open-loop PORT RATE SECONDS CONNECTIONS PATH`.
pub(crate) fn open_loop(options: &OpenLoop) -> Result<()> {
    let OpenLoop { port, rate, seconds, connections, path } = options;
    let rate = rate.get();
    let clients = (0..*connections).map(|_| Client::connect(&format!("127.0.0.1:{port}"), path));
    let mut clients = clients.collect::<Result<Vec<Client>>>()?;
    let latencies = run(&mut clients, Duration::from_nanos(1_000_000_000 / rate), rate * seconds)?;
    let micros = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1e3;
    println!("{:.1} {:.1} {:.1}", micros(0.5), micros(0.99), micros(0.999));
    Ok(())
}

/// Does what `Held::open` starts: `hold PORT CONNECTIONS PATH`.
pub(crate) fn hold(options: &Hold) -> Result<()> {
    let Hold { port, connections, path } = options;
    // An address of the server has ports for 28,000 clients of one address.
    let address = |number: u32| format!("127.0.0.{}:{port}", 1 + number / 20_000);
    let clients = (0..*connections).map(|number| Client::connect(&address(number), path));
    let clients = clients.collect::<Result<Vec<Client>>>()?;
    println!("ready");
    // Until we are killed, or whoever has started us has ended.
    let _ = std::io::stdin().read(&mut [0]);
    drop(clients);
    Ok(())
}

/// A connection of a client.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    /// Bytes of each response: all are the same but for the date.
    response: usize,
    /// When the request that waits for its answer was due.
    due: Option<Instant>,
    received: usize,
}

impl Client {
    /// Connects, and asks once.
    fn connect(address: &str, path: &str) -> Result<Self> {
        let failed = |error: std::io::Error| format!("{address}: {error}");
        let mut stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(REST)).map_err(failed)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        stream.write_all(&request).map_err(failed)?;
        let mut bytes = Vec::new();
        let mut piece = [0; 4_096];
        let response = loop {
            let count = stream.read(&mut piece).map_err(failed)?;
            bytes.extend_from_slice(&piece[..count]);
            if let Some(length) = response_bytes(&bytes).filter(|length| *length <= bytes.len()) {
                break length;
            }
            if count == 0 {
                return Err(format!("{address}: no whole response: {}", String::from_utf8_lossy(&bytes)));
            }
        };
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(Self { stream, request, response, due: None, received: 0 })
    }

    fn send(&mut self, due: Instant) -> Result<()> {
        self.stream.write_all(&self.request).map_err(|error| format!("cannot send: {error}"))?;
        (self.due, self.received) = (Some(due), 0);
        Ok(())
    }

    /// When the request was due whose answer is there now.
    fn answered(&mut self, piece: &mut [u8]) -> Result<Option<Instant>> {
        match self.stream.read(piece) {
            Ok(0) => Err("the server has closed a connection".into()),
            Ok(count) => {
                self.received += count;
                Ok(if self.received < self.response { None } else { self.due.take() })
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(format!("cannot receive: {error}")),
        }
    }
}

/// How long a response is, once its head is there.
fn response_bytes(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    Some(head + length.trim().parse::<usize>().ok()?)
}

/// Sends as many requests, one each `interval`. Returns their latencies in nanoseconds.
fn run(clients: &mut [Client], interval: Duration, requests: u64) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, LATENCY_DIGITS)
        .map_err(|error| format!("no histogram: {error}"))?;
    let mut free: Vec<usize> = (0..clients.len()).collect();
    let (mut busy, mut waiting): (Vec<usize>, VecDeque<Instant>) = Default::default();
    let (begin, mut sent) = (Instant::now(), 0);
    let end = begin + interval * u32::try_from(requests).map_err(|_| "too many requests")? + REST;
    let mut piece = vec![0; 64 << 10];
    while latencies.len() < requests {
        let now = Instant::now();
        if now > end {
            return Err(format!("{} of {requests} requests were not answered", requests - latencies.len()));
        }
        while sent < requests && begin + interval * sent as u32 <= now {
            waiting.push_back(begin + interval * sent as u32);
            sent += 1;
        }
        while !free.is_empty()
            && let Some(due) = waiting.pop_front()
            && let Some(client) = free.pop()
        {
            clients[client].send(due)?;
            busy.push(client);
        }
        let mut at = 0;
        while at < busy.len() {
            let client = busy[at];
            match clients[client].answered(&mut piece)? {
                Some(due) => {
                    let nanos = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    latencies.saturating_record(nanos);
                    free.push(busy.swap_remove(at));
                }
                None => at += 1,
            }
        }
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::{Client, response_bytes, run};

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// A server of one client, which answers its second request late.
    fn late_server(late: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it listens").to_string();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client comes");
            let mut request = [0; 1_024];
            for number in 0.. {
                match client.read(&mut request) {
                    Ok(1..) if number == 1 => thread::sleep(late),
                    Ok(1..) => {}
                    _ => return,
                }
                client.write_all(RESPONSE).expect("the client is there");
            }
        });
        address
    }

    #[test]
    fn a_latency_is_counted_from_when_a_request_was_due() {
        let address = late_server(Duration::from_millis(100));
        let mut clients = vec![Client::connect(&address, "/").unwrap_or_else(|why| panic!("{why}"))];
        let latencies = run(&mut clients, Duration::from_millis(1), 50).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(latencies.len(), 50);
        // The last is due after 49 ms, and waits behind the one that is answered after 100.
        assert!(latencies.min() >= 50_000_000, "{}", latencies.min());
    }

    #[test]
    fn the_length_of_a_response_is_in_its_head() {
        assert_eq!(response_bytes(RESPONSE), Some(RESPONSE.len()));
        assert_eq!(response_bytes(&RESPONSE[..20]), None);
    }
}
