//! What a head means: what is asked for, where the body ends, whether the connection is kept (RFC
//! 9110, RFC 9112).

use super::authority;
use super::body::{Framing, FramingFields};
use super::conditional::{Conditions, is_condition};
use super::encoding::Accepted;
use super::facts::RequestFacts;
use super::forwarded::ForwardedFields;
use super::head::{Head, Version};
use super::method::Method;
use super::status::{HttpError, Status};
use super::syntax;
use super::target::{Path, PathAndQuery, Target};
use crate::limits::{LOGGED_FIELD_BYTES_MAX, LOGGED_LINE_BYTES_MAX};

/// A request, with nothing borrowed from the bytes that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub action: Action,
    /// How it is answered.
    pub context: RequestContext,
}

/// How a request is answered, whatever it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The request line as it came, without its end; a part of it when it was refused before its
    /// end. No more is kept than the access log shows, and one byte more to tell that there was
    /// more.
    pub line: Vec<u8>,
    /// The method.
    pub method: Method,
    /// Whether another request may follow on the connection.
    pub persistent: bool,
    /// Whether nothing more is to come from the client: it ends the connection with this request,
    /// by `Connection: close` (RFC 9112 §9.6) or because it speaks HTTP/1.0, and the request has
    /// no body.
    pub ends: bool,
    /// The version: one of HTTP/1.0 must be told that the connection is kept.
    pub version: Version,
    /// Under which conditions a representation is wanted, and which part; of a request that has
    /// any, and asks for a file.
    pub conditions: Option<Box<Conditions>>,
    /// The codings in which the client takes a representation.
    pub accepted: Accepted,
    /// What the access log shows besides, in the forms that show it.
    pub logged: Option<Box<LoggedFields>>,
    /// What a site's policy looks at, when there is one.
    pub facts: Option<Box<RequestFacts>>,
}

/// Fields that the access log shows, as they came: of each no more than is shown, and a byte to
/// tell that there was more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedFields {
    /// `Host`.
    pub host: Option<Vec<u8>>,
    /// `Referer`.
    pub referer: Option<Vec<u8>>,
    /// `User-Agent`.
    pub user_agent: Option<Vec<u8>>,
    /// Those of proxies, when they are looked at.
    pub forwarded: Option<ForwardedFields>,
}

/// Which fields of a request are kept for the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedFields {
    /// `Host`, `Referer` and `User-Agent`.
    pub shown: bool,
    /// Those that say who the request comes from.
    pub forwarded: bool,
}

impl LoggedFields {
    /// Those of a head, of which some fields may not have come; of a field that came twice, the
    /// first.
    pub fn read(head: Head<'_>, wanted: WantedFields) -> LoggedFields {
        let forwarded = wanted.forwarded.then(|| ForwardedFields::read(head));
        let mut logged = LoggedFields { forwarded, ..LoggedFields::default() };
        for (name, value) in head.fields().filter(|_| wanted.shown) {
            let field = match name.len() {
                4 if name.eq_ignore_ascii_case(b"host") => &mut logged.host,
                7 if name.eq_ignore_ascii_case(b"referer") => &mut logged.referer,
                10 if name.eq_ignore_ascii_case(b"user-agent") => &mut logged.user_agent,
                _ => continue,
            };
            field.get_or_insert_with(|| value[..value.len().min(LOGGED_FIELD_BYTES_MAX + 1)].to_vec());
        }
        logged
    }

    /// What they hold, in bytes.
    pub fn weight(&self) -> usize {
        let fields = [&self.host, &self.referer, &self.user_agent];
        let shown = fields.iter().filter_map(|it| it.as_ref()).map(Vec::len).sum::<usize>();
        size_of::<LoggedFields>() + shown + self.forwarded.as_ref().map_or(0, ForwardedFields::weight)
    }
}

/// What a request comes to, before anybody has looked at a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve what this names.
    Serve(PathAndQuery),
    /// Say which methods are allowed.
    Options,
    /// Refuse it.
    Refuse(HttpError),
}

impl Request {
    /// Reads a complete head, all but its line (see `line_bytes_kept`), and says how its body is
    /// framed. A body that is not to be read (after a fatal error, or because the client waits for
    /// permission to send it) is `Framing::None`, and the request not persistent. With `asks`,
    /// what a site's policy looks at is kept.
    pub fn read(head: Head<'_>, wants_facts: bool) -> (Request, Framing) {
        let method = Method::parse(head.method());
        let parts = Target::parse(head.target());
        let facts = wants_facts.then(|| Box::new(RequestFacts::read(head, parts.as_ref().ok())));
        let named = parts.and_then(|parts| Named::read(head.target(), parts));
        let (action, resource) = decide(method, named);
        let mut request = Request::new(head, method, action);
        request.context.facts = facts;
        request.set_unserved(resource);
        let fields = match Fields::read(head) {
            Ok(fields) => fields,
            Err(error) => {
                request.refuse(error);
                return (request.with_line(head.line()), Framing::None);
            }
        };
        request.context.persistent = fields.persistent;
        request.context.accepted = fields.accepted;
        if fields.conditional {
            request.read_conditions(head);
        }
        match (&request.action, fields.framing) {
            // After a fatal error nothing more is read.
            (Action::Refuse(error), _) if error.fatal => request.context.persistent = false,
            // RFC 9110 §10.1.1: the final status at once instead of 100, and then the end, for the
            // body may or may not come.
            (_, Framing::Length(_) | Framing::Chunked) if fields.waits => request.context.persistent = false,
            (_, framing) => {
                // What is refused may have a body that nothing announces: a tunnel's, or that of
                // an old client.
                let is_known = matches!(method, Method::Get | Method::Head | Method::Options);
                request.context.ends = is_known && !fields.persistent && framing == Framing::None;
                return (request, framing);
            }
        }
        (request, Framing::None)
    }

    /// A request that is refused, whose head may not be complete.
    pub fn refused(head: Head<'_>, error: HttpError) -> Request {
        Request::new(head, Method::parse(head.method()), Action::Refuse(error)).with_line(head.line())
    }

    /// With a copy of its line.
    pub fn with_line(mut self, line: &[u8]) -> Request {
        self.context.line = line[..line_bytes_kept(line.len())].to_vec();
        self
    }

    fn new(head: Head<'_>, method: Method, action: Action) -> Request {
        let context = RequestContext {
            line: Vec::new(),
            method,
            persistent: false,
            ends: false,
            version: head.version(),
            conditions: None,
            accepted: Accepted::default(),
            logged: None,
            facts: None,
        };
        Request { action, context }
    }

    fn read_conditions(&mut self, head: Head<'_>) {
        // RFC 9110 §13.2.1: they count for nothing where the answer would be no success; OPTIONS
        // has no representation.
        if let Action::Serve(_) = self.action {
            match Conditions::read(self.context.method, &head.fields()) {
                Ok(conditions) => self.context.conditions = Some(Box::new(conditions)),
                Err(error) => self.refuse(error),
            }
        }
    }

    /// The same request, with an error found later.
    pub fn fail(&mut self, error: HttpError) {
        self.refuse(error);
        self.context.persistent &= !error.fatal;
    }

    /// A site's policy looks at what a request is about, also when it is refused.
    fn refuse(&mut self, error: HttpError) {
        if let Action::Serve(resource) = std::mem::replace(&mut self.action, Action::Refuse(error)) {
            self.set_unserved(Some(resource));
        }
    }

    fn set_unserved(&mut self, resource: Option<PathAndQuery>) {
        if let (Some(facts), Some(resource)) = (&mut self.context.facts, resource) {
            facts.unserved = Some(resource);
        }
    }
}

/// How many bytes of a request line are kept, of so many.
pub fn line_bytes_kept(line_bytes: usize) -> usize {
    line_bytes.min(LOGGED_LINE_BYTES_MAX + 1)
}

/// What a target names.
enum Named {
    /// The server itself.
    Server,
    /// What no file can be called.
    Nothing,
    Resource(PathAndQuery),
}

impl Named {
    /// What the target of a head names, which is parsed here and nowhere else.
    fn read(target: &[u8], parts: Target) -> Result<Named, HttpError> {
        let Target::Resource { path, query, .. } = parts else { return Ok(Named::Server) };
        Ok(match Path::parse(&target[path])? {
            Some(path) => Named::Resource(PathAndQuery { path, query: query.map(|query| target[query].to_vec()) }),
            None => Named::Nothing,
        })
    }
}

/// What is to be done, from the request line alone; and what the target names, when it is not to
/// be served.
fn decide(method: Method, named: Result<Named, HttpError>) -> (Action, Option<PathAndQuery>) {
    // RFC 9110 §9.1: not recognised, or recognised but not allowed. TRACE and CONNECT are of the
    // latter kind. A method that is not recognised may have a target of another form, as CONNECT
    // has (RFC 9112 §3.2.3); that of the others is as wrong as with GET.
    let refusal = match method {
        Method::Unknown => Some(HttpError::soft(Status::NotImplemented, "The method is not known here.")),
        Method::Refused | Method::Connect => {
            Some(HttpError::soft(Status::MethodNotAllowed, "Files can be read here, and nothing else."))
        }
        Method::Get | Method::Head | Method::Options => None,
    };
    match (refusal, named) {
        (Some(_) | None, Err(error)) if !may_have_any_target(method) => (Action::Refuse(error), None),
        (Some(_), Ok(Named::Server)) if !may_have_any_target(method) => (Action::Refuse(ASTERISK), None),
        (Some(error), Ok(Named::Resource(resource))) => (Action::Refuse(error), Some(resource)),
        (Some(error), _) | (None, Err(error)) => (Action::Refuse(error), None),
        (None, Ok(Named::Resource(resource))) if method == Method::Options => (Action::Options, Some(resource)),
        (None, Ok(_)) if method == Method::Options => (Action::Options, None),
        (None, Ok(Named::Resource(resource))) => (Action::Serve(resource), None),
        (None, Ok(Named::Nothing)) => (Action::Refuse(HttpError::NOT_FOUND), None),
        (None, Ok(Named::Server)) => (Action::Refuse(ASTERISK), None),
    }
}

const ASTERISK: HttpError = HttpError::bad("Only OPTIONS has an asterisk for a target.");

/// Whether nothing is known of the targets of a method, or it has one of its own kind.
fn may_have_any_target(method: Method) -> bool {
    matches!(method, Method::Unknown | Method::Connect)
}

/// What the fields say. A field that the server does not know is ignored (RFC 9110 §5.1).
#[derive(Clone, Copy, Debug)]
struct Fields {
    framing: Framing,
    persistent: bool,
    /// The client waits for `100 Continue`.
    waits: bool,
    /// There is one of the fields that make a request conditional.
    conditional: bool,
    accepted: Accepted,
}

impl Fields {
    fn read(head: Head<'_>) -> Result<Fields, HttpError> {
        let version = head.version();
        let mut host = Host(None);
        let mut framing = FramingFields::default();
        let mut connection = ConnectionOptions::default();
        let (mut waits, mut conditional) = (false, false);
        let mut accepted = None;
        for (name, value) in head.fields() {
            match name.len() {
                4 if name.eq_ignore_ascii_case(b"host") => host.push(value)?,
                6 if name.eq_ignore_ascii_case(b"expect") => waits |= expectation(value, version)?,
                10 if name.eq_ignore_ascii_case(b"connection") => connection.read(value),
                14 if name.eq_ignore_ascii_case(b"content-length") => framing.content_length(value)?,
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => framing.transfer_encoding(value)?,
                15 if name.eq_ignore_ascii_case(b"accept-encoding") => {
                    accepted.get_or_insert_with(|| Accepted::read(lines(head, b"accept-encoding")));
                }
                5 | 8 | 13 | 17 | 19 => conditional |= is_condition(name),
                _ => (),
            }
        }
        host.check(version)?;
        let (framing, persistent) = (framing.framing(version)?, connection.persistent(version));
        Ok(Fields { framing, persistent, waits, conditional, accepted: accepted.unwrap_or_default() })
    }
}

/// The values of all lines of a field.
fn lines<'a>(head: Head<'a>, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    head.fields().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// `Host`: exactly one in HTTP/1.1, and a valid one in every version (RFC 9112 §3.2). In an
/// absolute target the authority wins, but a Host must be there and valid all the same.
struct Host<'a>(Option<&'a [u8]>);

impl<'a> Host<'a> {
    fn push(&mut self, value: &'a [u8]) -> Result<(), HttpError> {
        match self.0.replace(value) {
            None => Ok(()),
            Some(_) => Err(HttpError::bad("A request has one Host.")),
        }
    }

    fn check(&self, version: Version) -> Result<(), HttpError> {
        match self.0 {
            None if version == Version::Http11 => Err(HttpError::bad("A request of HTTP/1.1 has a Host.")),
            Some(host) if !authority::is_valid(host) => {
                Err(HttpError::bad("A Host is a name or an address, and perhaps a port."))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the client waits for permission to send its body (RFC 9110 §10.1.1).
fn expectation(value: &[u8], version: Version) -> Result<bool, HttpError> {
    match value.eq_ignore_ascii_case(b"100-continue") {
        _ if version == Version::Http10 => Ok(false),
        true => Ok(true),
        false => Err(HttpError::fatal(Status::ExpectationFailed, "The only expectation known here is 100-continue.")),
    }
}

/// The options of `Connection` that matter here (RFC 9112 §9.3); the others are ignored.
#[derive(Clone, Copy, Debug, Default)]
struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
}

impl ConnectionOptions {
    fn read(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = syntax::trim(option);
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn persistent(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

#[cfg(test)]
mod tests;
