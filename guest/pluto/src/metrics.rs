//! What the server counts, and the page that tells it: Prometheus' text exposition format, version
//! 0.0.4.
//!
//! Names and units are as Prometheus' conventions have them: seconds and bytes, `_total` behind a
//! counter. Labels take values from fixed sets, so that no client can make the page longer.

use crate::access::{Access, End};
use pluto_http::media::Media;
use pluto_http::method::Method;
use pluto_sdk::now;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::{Display, Write};
use std::task::{Poll, Waker};

/// What the page is.
pub static MEDIA: Media = Media { essence: Cow::Borrowed("text/plain; version=0.0.4"), text: true };

/// The methods that are told apart, by the place of their counters.
const METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "other"];

/// The classes of status codes, by the place of their counters.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the buckets for durations, in microseconds, and as the page has them. From a
/// kept file to a download that takes minutes; a quotient of two to ten says enough, and each
/// bucket is a line.
const BUCKETS: [(u64, &str); 11] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (1_000, "0.001"),
    (5_000, "0.005"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
    (60_000_000, "60"),
    (600_000_000, "600"),
];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What one port counts, from its start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// When it began: nanoseconds since the Unix epoch.
    began: u64,
    /// Connections that were accepted.
    accepted: Counter,
    /// Connections that were closed.
    closed: Counter,
    /// Connections that were closed because nothing was asked for.
    pub timeouts_idle: Counter,
    /// Heads that did not arrive in time.
    pub timeouts_head: Counter,
    /// Bodies that did not arrive in time.
    pub timeouts_body: Counter,
    /// Responses that were not taken in time.
    pub timeouts_write: Counter,
    /// Requests that were refused with the end of their connection.
    pub refused: Counter,
    /// Files that were at hand when they were asked for.
    pub cache_hits: Counter,
    /// Files that had to be opened.
    pub cache_misses: Counter,
    /// Reloads that replaced the configuration.
    reloads: Counter,
    /// Reloads that left it as it was.
    reloads_failed: Counter,
    /// Responses, by method and class of status.
    responses: [[Counter; CLASSES.len()]; METHODS.len()],
    content_bytes: Counter,
    cut: Counter,
    /// How many took no longer than the bound of this bucket, and longer than that of the one
    /// before.
    durations: [Counter; BUCKETS.len() + 1],
    duration_nanoseconds: Counter,
    /// Lines of the log that the host could not write in time.
    log_lines_lost: Counter,
    /// Who waits until something is counted.
    waits: RefCell<Option<Waker>>,
}

/// What the server knows without counting.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The most connections that are accepted.
    pub connections_max: u64,
    /// Files that are kept.
    pub files_kept: u64,
    /// Linear memory; a native build has none of its own.
    pub memory_bytes: Option<u64>,
    /// Told to stop.
    pub draining: bool,
}

impl Metrics {
    /// Counts from now on.
    pub fn new() -> Metrics {
        Metrics { began: now(), ..Metrics::default() }
    }

    /// A client is accepted.
    pub fn connected(&self) {
        self.accepted.count();
        self.tell();
    }

    /// A client's connection is closed.
    pub fn disconnected(&self) {
        self.closed.count();
        self.tell();
    }

    /// The configuration was read again, or could not be.
    pub fn reloaded(&self, success: bool) {
        let counter = if success { &self.reloads } else { &self.reloads_failed };
        counter.count();
        self.tell();
    }

    /// The host has lost so many lines of the log.
    pub fn lost_log_lines(&self, lines: u64) {
        self.log_lines_lost.add(lines);
        self.tell();
    }

    /// A response has ended.
    pub fn responded(&self, access: &Access, end: End) {
        let method = match access.method() {
            Method::Get => 0,
            Method::Head => 1,
            Method::Options => 2,
            _ => 3,
        };
        let class = usize::from(access.status() / 100).clamp(1, CLASSES.len()) - 1;
        self.responses[method][class].count();
        self.content_bytes.add(access.bytes_sent(end));
        self.cut.add(u64::from(!end.whole));
        let nanoseconds = access.duration(end);
        let bucket = BUCKETS.iter().take_while(|(micros, _)| nanoseconds > micros * 1_000).count();
        self.durations[bucket].count();
        self.duration_nanoseconds.add(nanoseconds);
        self.tell();
    }

    /// Waits until a client has come or gone, a response has ended, there was a reload, or lines
    /// of the log were lost: nothing else is counted but on the way to one of these. For one task.
    pub async fn changed(&self) {
        let mut is_waiting = false;
        std::future::poll_fn(|cx| {
            let mut waits = self.waits.borrow_mut();
            if is_waiting && waits.is_none() {
                return Poll::Ready(());
            }
            is_waiting = true;
            *waits = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn tell(&self) {
        if self.waits.borrow().is_some()
            && let Some(waker) = self.waits.take()
        {
            waker.wake();
        }
    }

    /// What this shard has counted, for the others: numbers of eight bytes, in a fixed order.
    pub fn figures(&self, now: Now) -> Vec<u8> {
        let reloads = [&self.reloads, &self.reloads_failed];
        let counted = self.summed().chain(reloads).map(Counter::get);
        let known = [now.files_kept, now.memory_bytes.unwrap_or(0)];
        counted.chain(known).flat_map(u64::to_le_bytes).collect()
    }

    /// The page of a server that is several shards, from what each has counted.
    pub fn page_of_all(&self, now: Now, figures: &[Vec<u8>]) -> String {
        let sum = Metrics { began: self.began, ..Metrics::default() };
        let mut all = Now { files_kept: 0, memory_bytes: now.memory_bytes.map(|_| 0), ..now };
        for figures in figures {
            let mut numbers = figures.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            let mut next = || numbers.next().unwrap_or(0);
            sum.summed().for_each(|counter| counter.0.set(counter.get().saturating_add(next())));
            // Each shard obeys each signal: what one of them has not done yet is on its way.
            for counter in [&sum.reloads, &sum.reloads_failed] {
                counter.0.set(counter.get().max(next()));
            }
            all.files_kept = all.files_kept.saturating_add(next());
            all.memory_bytes = all.memory_bytes.map(|bytes| bytes.saturating_add(next()));
        }
        sum.page(all)
    }

    /// The counters whose sum over all shards is that of the server.
    fn summed(&self) -> impl Iterator<Item = &Counter> {
        let single = [
            &self.accepted,
            &self.closed,
            &self.timeouts_idle,
            &self.timeouts_head,
            &self.timeouts_body,
            &self.timeouts_write,
            &self.refused,
            &self.cache_hits,
            &self.cache_misses,
            &self.content_bytes,
            &self.cut,
            &self.duration_nanoseconds,
            &self.log_lines_lost,
        ];
        single.into_iter().chain(self.responses.iter().flatten()).chain(&self.durations)
    }

    /// The page.
    pub fn page(&self, now: Now) -> String {
        let mut page = Page { text: String::with_capacity(8 << 10) };
        self.write_requests(&mut page);
        self.write_connections(&mut page, now);
        self.write_files(&mut page, now);
        self.write_process(&mut page, now);
        page.text
    }

    fn write_requests(&self, page: &mut Page) {
        page.family("pluto_http_requests_total", "counter", "Requests that were answered, by method and status class.");
        for (method, counters) in METHODS.iter().zip(&self.responses) {
            for (class, counter) in CLASSES.iter().zip(counters) {
                let labels = [("method", *method), ("code", *class)];
                // One that was never seen is no line, but for the usual.
                if counter.get() > 0 || *method == "GET" {
                    page.sample("pluto_http_requests_total", &labels, counter.get());
                }
            }
        }
        page.counter(
            "pluto_http_response_content_bytes_total",
            "Content of responses that the system has taken, without heads.",
            &self.content_bytes,
        );
        page.counter("pluto_http_responses_cut_total", "Responses that did not get to their end.", &self.cut);
        page.counter(
            "pluto_http_requests_refused_total",
            "Requests that were malformed, too large or too late, and ended their connection.",
            &self.refused,
        );
        let name = "pluto_http_timeouts_total";
        page.family(name, "counter", "Connections on which a client took too long, by what it was in the middle of.");
        for (phase, counter) in [
            ("idle", &self.timeouts_idle),
            ("head", &self.timeouts_head),
            ("body", &self.timeouts_body),
            ("write", &self.timeouts_write),
        ] {
            page.sample(name, &[("phase", phase)], counter.get());
        }
        self.write_durations(page);
    }

    fn write_durations(&self, page: &mut Page) {
        let name = "pluto_http_request_duration_seconds";
        page.family(name, "histogram", "From the whole request to the end of its response.");
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (bound, counter) in BUCKETS.iter().map(|(_, bound)| *bound).chain(["+Inf"]).zip(&self.durations) {
            count += counter.get();
            page.sample(&bucket, &[("le", bound)], count);
        }
        page.sample(&format!("{name}_sum"), &[], Seconds(self.duration_nanoseconds.get()));
        page.sample(&format!("{name}_count"), &[], count);
    }

    fn write_connections(&self, page: &mut Page, now: Now) {
        let open = self.accepted.get().saturating_sub(self.closed.get());
        page.counter("pluto_connections_accepted_total", "Connections that were accepted.", &self.accepted);
        page.gauge("pluto_connections_open", "Connections that are open.", open);
        page.gauge("pluto_connections_max", "The most connections that are accepted at once.", now.connections_max);
    }

    fn write_files(&self, page: &mut Page, now: Now) {
        page.gauge("pluto_files_kept", "Files that are kept because they are asked for often.", now.files_kept);
        page.counter("pluto_file_cache_hits_total", "Requests for a file that was kept.", &self.cache_hits);
        page.counter("pluto_file_cache_misses_total", "Requests that looked for a file.", &self.cache_misses);
    }

    fn write_process(&self, page: &mut Page, now: Now) {
        let name = "pluto_reloads_total";
        page.family(name, "counter", "Reloads of the configuration, by result.");
        page.sample(name, &[("result", "success")], self.reloads.get());
        page.sample(name, &[("result", "failure")], self.reloads_failed.get());
        page.counter(
            "pluto_log_lines_lost_total",
            "Lines of the log that were lost, because they could not be written in time.",
            &self.log_lines_lost,
        );
        page.gauge(
            "pluto_draining",
            "1 when the server was told to stop, and serves its last clients.",
            u8::from(now.draining),
        );
        if let Some(bytes) = now.memory_bytes {
            page.gauge(
                "pluto_memory_bytes",
                "Linear memory of the guest, in all shards together; --memory-max of the host limits it for each.",
                bytes,
            );
        }
        page.gauge("pluto_start_time_seconds", "When the server began, since the Unix epoch.", Seconds(self.began));
        let uptime = pluto_sdk::now().saturating_sub(self.began);
        page.gauge("pluto_uptime_seconds", "For how long the server has run.", Seconds(uptime));
        let name = "pluto_build_info";
        page.family(name, "gauge", "Always 1; the label says which version this is.");
        page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    }
}

/// The memory of the component; a native build has none of its own.
pub fn memory_bytes() -> Option<u64> {
    #[cfg(target_arch = "wasm32")]
    return Some((core::arch::wasm32::memory_size(0) as u64) << 16);
    #[cfg(not(target_arch = "wasm32"))]
    None
}

/// Nanoseconds, written as seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A page in the making. Names, texts and labels are the server's own, and need no escaping.
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.family(name, "counter", help);
        self.sample(name, &[], counter.get());
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{value}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_and_say_what_they_are() {
        assert!(BUCKETS.is_sorted());
        for (micros, text) in BUCKETS {
            let seconds: f64 = text.parse().expect("a number");
            assert_eq!((seconds * 1e6).round() as u64, micros);
        }
    }

    #[test]
    fn seconds_are_written_without_loss() {
        assert_eq!(Seconds(1_000_000_001).to_string(), "1.000000001");
        assert_eq!(Seconds(0).to_string(), "0.000000000");
    }
}
