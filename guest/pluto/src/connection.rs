//! One client's conversation: reads, looks up, writes, and watches the time. What is said is
//! decided in [`pluto_http`].

use crate::access::{self, Access, Form};
use crate::limits::{LINGER_PROGRESS_BYTES, PIECE_BYTES_START};
use crate::outbox::{Gathered, Outbox, next_piece};
use crate::scarcity::{self, Holder};
use crate::server::{Answering, Server};
use crate::site::answer::{Answer, Found};
use crate::site::respond::{self, Body, Response};
use crate::store::representation::Content;
use pluto_http::inbound::{Inbound, Phase};
use pluto_http::limits::READ_BYTES;
use pluto_http::method::Method;
use pluto_http::multipart::Multipart;
use pluto_http::request::{Request, RequestContext, WantedFields};
use pluto_http::response::{Envelope, Persistence};
use pluto_sdk::net::Read;
use pluto_sdk::{Client, Error, Level, Pending, now, warn};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// Serves one client until one of both has had enough, and closes the connection.
pub fn converse(client: Client, server: Rc<Server>) -> impl Future<Output = ()> {
    // Made before the future, which then holds it once: what an `async fn` is given it holds
    // beside what it makes of that.
    let mut conversation = Conversation::new(client, server);
    async move {
        match conversation.run().await {
            End::Whole if !conversation.finished => conversation.linger().await,
            _ => (),
        }
    }
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At once: nothing is on its way that matters, or the client is to notice that the response
    /// is not whole.
    Cut,
    /// Behind the last response, which is to arrive whole, whatever the client still sends.
    Whole,
}

/// A request that is being answered.
struct Exchange {
    context: RequestContext,
    answering: Answering,
    /// When the request was complete.
    began: u64,
}

/// A response that takes its time.
type Waiting<'a> = Pin<Box<dyn Future<Output = Result<(), End>> + 'a>>;

/// What is kept of a client's requests for the access log. What a peer says of its own clients is
/// looked at only when it is trusted.
fn wanted_fields(client: &Client, server: &Server) -> WantedFields {
    let (form, trusted) = (server.options.access_log, &server.options.trusted_proxies);
    let forwarded = form != Form::Off && !trusted.is_empty() && trusted.contains(client.connection.peer().ip());
    WantedFields { shown: form.has_fields(), forwarded }
}

struct Conversation {
    client: Client,
    server: Rc<Server>,
    /// The client's address as the access log has it, once that is asked for.
    peer: OnceCell<String>,
    deadline: Holder,
    inbound: Inbound,
    /// A read that was sent ahead, with the last write.
    reading: Option<Pending<Read>>,
    /// For which phase the deadline is set; none while requests are answered.
    armed_for: Option<Phase>,
    exchanges: VecDeque<Exchange>,
    outbox: Outbox,
    /// Content for one write.
    piece: u64,
    /// The client has ended its direction.
    ended: bool,
    /// Nothing more is to come from the client: it has ended its direction, or its last request
    /// said so.
    finished: bool,
    /// The last response has been written, or stands in the outbox.
    closing: bool,
    /// Our direction ends behind what was sent last.
    shut: bool,
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.server.metrics.disconnected();
    }
}

impl Conversation {
    fn new(client: Client, server: Rc<Server>) -> Conversation {
        server.metrics.connected();
        Conversation {
            peer: OnceCell::new(),
            deadline: Holder::default(),
            inbound: Inbound::new(server.options.head, server.options.body_bytes)
                .log_fields(wanted_fields(&client, &server)),
            reading: None,
            armed_for: None,
            exchanges: VecDeque::new(),
            outbox: Outbox::default(),
            piece: PIECE_BYTES_START,
            ended: false,
            finished: false,
            closing: false,
            shut: false,
            client,
            server,
        }
    }

    async fn run(&mut self) -> End {
        loop {
            let turn = match self.take_requests() || !self.outbox.is_empty() {
                true => self.answer().await,
                false => self.fill().await,
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    /// Takes the requests that have come. What is known at once is put into the outbox; for the
    /// others, as many as are looked up together, files are asked for. Whether there are any of
    /// these.
    fn take_requests(&mut self) -> bool {
        if self.inbound.may_have_request() {
            self.inbound.set_wants_facts(self.server.wants_facts());
            while self.exchanges.len() < scarcity::files_at_once()
                && !self.closing
                && !self.outbox.is_full(self.piece)
                && let Some(request) = self.inbound.next_request()
            {
                self.begin(request);
            }
        }
        !self.exchanges.is_empty()
    }

    fn begin(&mut self, Request { action, context }: Request) {
        let began = now();
        let answering = match self.server.answer(action, &context).at_once() {
            // Told to stop, the server first looks how many requests there are, for the last
            // response says so.
            Ok(answer) if self.exchanges.is_empty() && !self.client.stopping() && self.has_room(&answer) => {
                return self.put(context, answer, began);
            }
            Ok(answer) => Answering::Known(answer),
            Err(answering) => answering,
        };
        if self.exchanges.capacity() == 0 {
            // Most clients wait for an answer before they ask for more.
            self.exchanges.reserve_exact(1);
        }
        self.exchanges.push_back(Exchange { context, answering, began });
    }

    /// Answers the requests that wait, in their order, and writes what stands in the outbox.
    async fn answer(&mut self) -> Result<(), End> {
        self.armed_for = None;
        loop {
            while !self.exchanges.is_empty() {
                if let Some(waiting) = self.answer_known() {
                    waiting.await?;
                }
                if self.outbox.is_full(self.piece) {
                    self.flush(false).await?;
                }
            }
            // What was behind them goes out with the same write, unless one has just been made.
            if self.outbox.is_empty() || self.closing || !self.take_requests() {
                break;
            }
        }
        if !self.outbox.is_empty() {
            self.flush(self.closing).await?;
        }
        if self.closing { Err(End::Whole) } else { Ok(()) }
    }

    /// Answers the requests that wait, in their order, as long as their answers are known and
    /// there is room for these. Returns how the next one is answered, when it is another: boxed,
    /// so that an idle client does not pay for what is rare.
    fn answer_known(&mut self) -> Option<Waiting<'_>> {
        while let Some(Exchange { context, answering, began }) = self.exchanges.pop_front() {
            match answering {
                Answering::Known(answer) if self.has_room(&answer) => self.put(context, answer, began),
                answering => return Some(Box::pin(self.answer_later(Exchange { context, answering, began }))),
            }
            if self.outbox.is_full(self.piece) {
                break;
            }
        }
        None
    }

    /// Answers a request whose file is waited for, or whose response takes several writes.
    async fn answer_later(&mut self, Exchange { context, answering, began }: Exchange) -> Result<(), End> {
        let answer = answering.answer(&context).await;
        if self.has_room(&answer) {
            self.put(context, answer, began);
            return Ok(());
        }
        Box::pin(self.send(context, answer, began)).await
    }

    /// Whether the next write has room for all of a response.
    fn has_room(&self, answer: &Answer) -> bool {
        match &answer.found {
            Found::File(file) | Found::ErrorPage(_, file) => file.length() <= self.outbox.room(file, self.piece),
            _ => true,
        }
    }

    /// Puts a response for which there is room into the outbox.
    fn put(&mut self, context: RequestContext, answer: Answer, began: u64) {
        let (body, access) = self.put_head(context, answer, began);
        let file = match body {
            Body::Written => None,
            Body::File(file, part) => {
                self.outbox.push_range(&file, part.start, part.end - part.start);
                Some(file)
            }
            Body::Parts(file, multipart) => {
                for index in 0..multipart.count() {
                    multipart.write_part_head(index, self.outbox.own());
                    let part = multipart.part(index);
                    self.outbox.push_range(&file, part.start, part.end - part.start);
                }
                multipart.write_end(self.outbox.own());
                Some(file)
            }
        };
        self.outbox.end_response(access, file);
    }

    /// Puts a response into the outbox whose content is too long for one write, and writes as
    /// often as that takes.
    async fn send(&mut self, context: RequestContext, answer: Answer, began: u64) -> Result<(), End> {
        let (body, access) = self.put_head(context, answer, began);
        match body {
            Body::Written => {
                self.outbox.end_response(access, None);
                Ok(())
            }
            Body::File(file, part) => self.send_part(file, part, access).await,
            Body::Parts(file, multipart) => self.send_parts(file, &multipart, access).await,
        }
    }

    /// Puts all of a response but what comes from a file into the outbox.
    fn put_head(&mut self, context: RequestContext, mut answer: Answer, began: u64) -> (Body, Access) {
        // Told to stop, the server says so in the last response that is under way.
        let stopping = self.client.stopping() && self.exchanges.is_empty();
        let persistent = context.persistent && !stopping;
        self.closing |= !persistent;
        // A client that has sent more all the same is not believed.
        self.finished |= context.ends && !self.inbound.has_more();
        let aside = answer.aside.take();
        let response = self.write_head(&context, answer, persistent);
        let mut access = Access::new(context.line, context.method, response.status.code(), response.bytes, began)
            .with_fields(context.logged);
        if let Some(aside) = aside {
            self.outbox.hold(aside.reservation);
            access.set_user(aside.user);
        }
        (response.body, access)
    }

    /// Writes all of a response but what comes from a file.
    fn write_head(&mut self, context: &RequestContext, answer: Answer, persistent: bool) -> Response {
        let date = self.server.date();
        let envelope = Envelope {
            date: &date,
            persistence: Persistence::new(persistent, context.version),
            content: context.method != Method::Head,
            extra: &answer.extra,
        };
        let out = self.outbox.own();
        let start = out.len();
        let response = respond::write(out, &envelope, answer.found, context, now());
        if let Some(edits) = answer.edits {
            edits.of(response.status).apply(out, start);
        }
        response
    }

    /// Puts a part of a file, or all of it, behind its head.
    async fn send_part(&mut self, file: Rc<Content>, part: Range<u64>, mut access: Access) -> Result<(), End> {
        self.send_range(&file, part, 0, &mut access).await?;
        self.outbox.end_response(access, Some(file));
        Ok(())
    }

    /// Puts several parts of a file behind their head, and what is to stand between them.
    async fn send_parts(&mut self, file: Rc<Content>, multipart: &Multipart, mut access: Access) -> Result<(), End> {
        let mut before = 0;
        for index in 0..multipart.count() {
            let own = self.outbox.own().len();
            multipart.write_part_head(index, self.outbox.own());
            before += (self.outbox.own().len() - own) as u64;
            let part = multipart.part(index);
            before = self.send_range(&file, part, before, &mut access).await?;
        }
        multipart.write_end(self.outbox.own());
        self.outbox.end_response(access, Some(file));
        Ok(())
    }

    /// Puts a range of a file into the outbox, in pieces that a slow client takes in time.
    /// `before` says how much content of the response there is before; returns how much there is
    /// with it.
    async fn send_range(
        &mut self,
        file: &Content,
        range: Range<u64>,
        before: u64,
        access: &mut Access,
    ) -> Result<u64, End> {
        let mut offset = range.start;
        while offset < range.end {
            let room = self.outbox.room(file, self.piece);
            if room == 0 {
                if let Err(end) = self.flush(false).await {
                    self.log(access, false);
                    return Err(end);
                }
                access.set_sent(before + offset - range.start);
                continue;
            }
            let length = room.min(range.end - offset);
            self.outbox.push_range(file, offset, length);
            offset += length;
        }
        Ok(before + range.end - range.start)
    }

    /// Writes what has gathered, which may be the last that the client is sent; with it, asks for
    /// what the client sends next, unless there is more to answer.
    async fn flush(&mut self, last: bool) -> Result<(), End> {
        let Gathered { parts, content, holds_files } = self.outbox.take();
        let began = now();
        let connection = &self.client.connection;
        let writing = if last { connection.write_last(parts) } else { connection.write(parts) };
        self.shut = last;
        // They are closed in the same batch.
        self.outbox.release_files();
        if self.reads_ahead() {
            self.reading = Some(self.client.connection.read(self.inbound.room()));
        }
        self.deadline.set(Duration::from_secs(self.server.options.write_seconds));
        // The requests behind it may have their files already.
        if holds_files || !self.exchanges.is_empty() {
            self.deadline.begin();
        }
        let written = self.deadline.limit(writing).await;
        self.deadline.end();
        if content >= self.piece {
            self.piece = next_piece(self.piece, now() - began);
        }
        let whole = matches!(written, Ok(Ok(_)));
        self.outbox.accesses().iter().for_each(|access| self.log(access, whole));
        self.outbox.forget_accesses();
        match written {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(Error::Truncated)) => warn!("a file became shorter while it was sent to {}", self.peer()),
            // The client reads no more, or is gone.
            Err(_) => self.server.metrics.timeouts_write.count(),
            Ok(Err(Error::Disconnected)) => (),
            Ok(Err(error)) => warn!("a response to {} was cut: {error}", self.peer()),
        }
        Err(End::Cut)
    }

    /// Whether what the client sends next is asked for before it has its response: when all that
    /// came is answered, so that one read is all that can gather here behind a client that does
    /// not read. Behind what the client says is its last request nothing is.
    fn reads_ahead(&self) -> bool {
        self.reading.is_none() && self.exchanges.is_empty() && self.inbound.is_hungry()
    }

    /// Reads once, within the time that the client has for what it is in the middle of.
    async fn fill(&mut self) -> Result<(), End> {
        if self.ended {
            return self.interrupt(Inbound::end);
        }
        let phase = self.inbound.phase();
        if self.armed_for != Some(phase) {
            self.arm(phase);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.client.connection.read(self.inbound.room()));
        let was_stopping = self.client.stopping();
        let waiting = self.deadline.limit(&mut reading);
        let read = match phase {
            Phase::Idle => self.client.until_stop(waiting).await,
            _ => Some(waiting.await),
        };
        let Some(read) = read else {
            // The server was told to stop. An idle client has its responses, and has sent nothing
            // else: there is nothing to wait for. One that was served since then was not told that
            // this is the end, and may have sent its next request by now.
            self.reading = Some(reading);
            return Err(if was_stopping { End::Whole } else { End::Cut });
        };
        match read {
            Ok(Ok(bytes)) if bytes.is_empty() => {
                (self.ended, self.finished) = (true, true);
                self.interrupt(Inbound::end)
            }
            Ok(Ok(bytes)) => {
                self.inbound.feed(bytes);
                Ok(())
            }
            Ok(Err(_)) => Err(End::Cut),
            Err(_) => {
                self.count_timeout(phase);
                self.interrupt(Inbound::time_out)
            }
        }
    }

    fn count_timeout(&self, phase: Phase) {
        let metrics = &self.server.metrics;
        match phase {
            Phase::Idle => metrics.timeouts_idle.count(),
            Phase::Head => metrics.timeouts_head.count(),
            Phase::Body => metrics.timeouts_body.count(),
            Phase::Over => (),
        }
    }

    fn arm(&mut self, phase: Phase) {
        let options = &self.server.options;
        self.deadline.set(Duration::from_secs(match phase {
            Phase::Idle => options.idle_seconds,
            Phase::Head => options.head_seconds,
            Phase::Body | Phase::Over => options.body_seconds,
        }));
        self.armed_for = Some(phase);
        if phase == Phase::Idle {
            self.inbound.shrink();
            self.outbox.shrink();
            if self.exchanges.capacity() > 1 {
                self.exchanges = VecDeque::new();
            }
        }
    }

    /// Refuses what the client is in the middle of; when that is nothing, the conversation is
    /// over.
    fn interrupt(&mut self, how: impl Fn(&mut Inbound) -> Option<Request>) -> Result<(), End> {
        let request = how(&mut self.inbound).ok_or(End::Cut)?;
        self.begin(request);
        Ok(())
    }

    /// RFC 9112 §9.6: says that nothing more comes, and drops what the client still sends, so that
    /// no reset overtakes the last response. Ends when the client does, when it sends too little
    /// in a time or too much in all, or at once when too many are waited for like this.
    async fn linger(&mut self) {
        let options = &self.server.options;
        let connection = &self.client.connection;
        let _shutting = if self.shut { None } else { Some(connection.shutdown()) };
        let Some(_lingering) = self.server.lingering.enter() else { return };
        let (mut left, mut progress) = (options.linger_bytes, 0);
        let time = Duration::from_secs(options.linger_seconds);
        self.deadline.set(time);
        let mut reading = self.reading.take().unwrap_or_else(|| connection.read(READ_BYTES));
        while let Ok(Ok(bytes)) = self.deadline.limit(reading).await {
            let count = bytes.len() as u64;
            (left, progress) = (left.saturating_sub(count), progress + count);
            if count == 0 || left == 0 {
                return;
            }
            if progress >= LINGER_PROGRESS_BYTES {
                progress = 0;
                self.deadline.set(time);
            }
            reading = connection.read(READ_BYTES);
        }
    }

    fn peer(&self) -> &str {
        self.peer.get_or_init(|| self.client.connection.peer().ip().to_string())
    }

    fn log(&self, access: &Access, whole: bool) {
        let end = access::End { time: now(), whole };
        self.server.metrics.responded(access, end);
        let form = self.server.options.access_log;
        if form != Form::Off {
            let remote = self.remote(access);
            pluto_sdk::log::log(Level::Info, access.format(form, &remote, &self.server.date(), end));
        }
    }

    /// Who a request comes from: the client that a trusted proxy has passed it on for, or else the
    /// peer.
    fn remote(&self, access: &Access) -> Cow<'_, str> {
        let peer = self.client.connection.peer().ip();
        let client =
            access.forwarded().map(|it| it.client(peer, |from| self.server.options.trusted_proxies.contains(from)));
        match client.filter(|client| *client != peer) {
            None => Cow::Borrowed(self.peer()),
            Some(client) => Cow::Owned(client.to_string()),
        }
    }
}
