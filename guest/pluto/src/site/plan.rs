//! What is decided about a request before anybody looks at a file: by its head and the
//! configuration alone, without waiting for anything.
//!
//! A plan holds the path that it was made for. Whoever carries it out serves that path, so that
//! what was guarded and what is served are the same.

use super::answer::Redirect;
use crate::limits::PATH_BYTES_MAX;
use crate::policy::address::INDEX;
use crate::policy::hosts::{FILE, VirtualHost, VirtualHosts};
use crate::policy::users::{Credentials, Users};
use crate::policy::{Policy, redirect};
use pluto_http::request::{Action, RequestContext};
use pluto_http::status::{HttpError, Status};
use pluto_http::target::{Path, PathAndQuery};
use std::borrow::Cow;
use std::rc::Rc;

/// What all plans rest on.
#[derive(Debug)]
pub struct Rules {
    sites: Rc<VirtualHosts>,
    allow_hidden: bool,
}

/// What is to be done about a request, by which site.
#[derive(Debug)]
pub struct Plan {
    /// The site.
    pub site: VirtualHost,
    /// Only some may read what it asks for.
    pub private: bool,
    /// What comes first.
    pub step: Step,
}

/// The first step of a plan.
#[derive(Debug)]
pub enum Step {
    /// To find out whether these are the credentials of a user; then to go on by [`route`].
    LogIn(PathAndQuery, Credentials, Rc<Users>),
    /// What needs no login, or whose login is known to be right.
    Route(Route),
}

/// Where a request leads that may be answered.
#[derive(Debug)]
pub enum Route {
    /// To an answer that needs no file, about this.
    Answer(Immediate, Option<PathAndQuery>),
    /// To the file at this path.
    File(PathAndQuery),
}

/// An answer that needs no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Immediate {
    /// The methods that are allowed.
    Options,
    /// It is elsewhere.
    Redirect(Redirect),
    /// An error.
    HttpError(HttpError),
}

const MISDIRECTED: HttpError = HttpError::soft(Status::MisdirectedRequest, "There is no site of this name here.");

/// For whoever asks for what is protected, and is not known to be one of its users.
pub const UNAUTHORIZED: HttpError = HttpError::soft(Status::Unauthorized, "This is only for those who log in.");

const MOVED: &str = "It is at another address.";

/// Why a directory is asked for again.
const ADD_A_SLASH: &str = "This is a directory: its address ends in a slash.";

impl Rules {
    /// The rules of these sites. With `allow_hidden`, names that begin with a dot are served.
    pub fn new(sites: Rc<VirtualHosts>, allow_hidden: bool) -> Rules {
        Rules { sites, allow_hidden }
    }

    /// What the configurations say, in a few words.
    pub fn summary(&self) -> String {
        self.sites.summary()
    }

    /// Whether there is one site, and no configuration: then there is nothing to plan but whether
    /// a path is served.
    pub fn is_plain(&self) -> bool {
        matches!(&*self.sites, VirtualHosts::One(VirtualHost { policy: None, .. }))
    }

    /// Whether a file of this path may be served as far as its name goes. The host takes no longer
    /// path.
    pub fn may_serve(&self, path: &Path) -> bool {
        !self.is_hidden(path) && path.bytes().len() <= PATH_BYTES_MAX
    }

    /// Whether the path is treated as that of nothing. Configurations and users are never served,
    /// wherever they are.
    pub fn is_hidden(&self, path: &Path) -> bool {
        path.is_hidden() && (!self.allow_hidden || is_ours(path))
    }

    /// Decides, in this order: which site, who may read, what is elsewhere. The error is that no
    /// site is meant, which none has a page for.
    pub fn plan(&self, action: Action, context: &RequestContext) -> Result<Plan, HttpError> {
        let host = context.facts.as_ref().and_then(|facts| facts.host.as_deref());
        let site = match (self.sites.find(host), &action) {
            (Some(site), _) => site.clone(),
            (None, Action::Refuse(error)) => return Err(*error),
            (None, _) => return Err(MISDIRECTED),
        };
        let about = || context.facts.as_ref().and_then(|facts| facts.unserved.clone());
        let immediate = |immediate| (Step::Route(Route::Answer(immediate, about())), false);
        let (step, private) = match action {
            Action::Serve(resource) => self.admit(&site, resource, context),
            Action::Options => immediate(Immediate::Options),
            Action::Refuse(error) => {
                let elsewhere =
                    if error.status == Status::MethodNotAllowed { self.elsewhere(&site, context) } else { None };
                immediate(elsewhere.map_or(Immediate::HttpError(error), Immediate::Redirect))
            }
        };
        Ok(Plan { site, private, step })
    }

    /// Where a request is sent that writes: what is elsewhere is so for every method (RFC 9110
    /// §15.4), and 307 and 308 are there for this. Not beneath a rule for who may read, of which
    /// nobody was asked.
    fn elsewhere(&self, site: &VirtualHost, context: &RequestContext) -> Option<Redirect> {
        let (policy, facts) = (site.policy.as_ref()?, context.facts.as_ref()?);
        let resource = facts.unserved.as_ref()?;
        let is_open = self.may_serve(&resource.path) && policy.guard(resource.path.bytes()).is_none();
        if is_open { redirected(policy, resource) } else { None }
    }

    /// Who may read the path, and what follows. Whether only some may.
    fn admit(&self, site: &VirtualHost, resource: PathAndQuery, context: &RequestContext) -> (Step, bool) {
        let error = |error, resource| Step::Route(Route::Answer(Immediate::HttpError(error), Some(resource)));
        let path = resource.path.bytes();
        // No rule is tried on a path that is too long.
        if !self.may_serve(&resource.path) || site.policy.as_ref().is_some_and(|policy| policy.is_secret(path)) {
            return (error(HttpError::NOT_FOUND, resource), false);
        }
        let Some((_, users)) = site.policy.as_ref().and_then(|policy| policy.guard(path)) else {
            return (Step::Route(route(site, resource)), false);
        };
        let value = context.facts.as_ref().and_then(|facts| facts.authorization.as_deref());
        let step = match value.and_then(Credentials::parse) {
            None => error(UNAUTHORIZED, resource),
            Some(credentials) => Step::LogIn(resource, credentials, Rc::clone(users)),
        };
        (step, true)
    }
}

/// Where a request for a file leads whose client may read it: elsewhere, or to the file.
pub fn route(site: &VirtualHost, resource: PathAndQuery) -> Route {
    match site.policy.as_ref().and_then(|policy| redirected(policy, &resource)) {
        Some(redirect) => Route::Answer(Immediate::Redirect(redirect), Some(resource)),
        None => Route::File(resource),
    }
}

/// What a rule for redirects says of a path.
fn redirected(policy: &Policy, resource: &PathAndQuery) -> Option<Redirect> {
    if policy.config.redirects.is_empty() {
        return None;
    }
    let address = [b"/", resource.path.bytes()].concat();
    let (status, location) = redirect::find(&policy.config.redirects, &address, resource.query.as_deref())?;
    Some(Redirect { status, location, why: MOVED })
}

/// The same thing for good at another address of the site, with the query.
pub fn moved(resource: &PathAndQuery, address: &Path) -> Redirect {
    Redirect { status: Status::MovedPermanently, location: resource.location_of(address), why: MOVED }
}

/// What names a directory without its slash has it at another address.
pub fn to_directory(resource: &PathAndQuery) -> Option<Redirect> {
    let location = resource.directory_location()?;
    Some(Redirect { status: Status::MovedPermanently, location, why: ADD_A_SLASH })
}

/// The path of the file that a path names: for that of a directory its index, which has this name.
pub fn file_of<'a>(path: &'a Path, index: &[u8]) -> Cow<'a, [u8]> {
    match path.is_directory() {
        true => Cow::Owned([path.bytes(), index].concat()),
        false => Cow::Borrowed(path.bytes()),
    }
}

/// The path of the file that is looked for first at a path of a site.
pub fn first_file_of<'a>(site: &VirtualHost, path: &'a Path) -> Cow<'a, [u8]> {
    let index = site.policy.as_ref().and_then(|policy| policy.index().first());
    file_of(path, index.map_or(INDEX, Vec::as_slice))
}

/// Whether a path is that of a configuration or of users.
fn is_ours(path: &Path) -> bool {
    let name = path.bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    name == FILE.as_bytes() || name == b".htpasswd"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::config::Config;
    use pluto_http::head::Scanner;
    use pluto_http::request::Request;
    use std::collections::BTreeMap;

    const CONFIG: &str = "[[redirects]]\nsource = \"/old/**\"\ndestination = \"/new/$1\"\nkind = 308\n\
        [[basic-auth]]\nsource = \"/in/**\"\nusers = \".users\"\n";
    const USERS: &str = "a:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";

    fn rules() -> Rules {
        let config = Config::default().read("c", CONFIG).expect("a configuration");
        let users = BTreeMap::from([(b".users".to_vec(), Users::parse(USERS).expect("users"))]);
        let policy = Some(Rc::new(Policy::new(config, users, FILE)));
        Rules::new(
            Rc::new(VirtualHosts::Hosts(BTreeMap::from([(
                "a".to_owned(),
                VirtualHost { folder: b"a/".to_vec(), policy },
            )]))),
            false,
        )
    }

    /// A request line and fields, each ended by a semicolon; and the plan in words.
    #[track_caller]
    fn check(head: &str, expected: &str) {
        let text = format!("{}\r\n", head.replace(';', "\r\n"));
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(text.as_bytes()), Ok(true), "{head}");
        let (request, _) = Request::read(scanner.head(text.as_bytes()), true);
        let found = match rules().plan(request.action, &request.context) {
            Err(error) => error.status.code().to_string(),
            Ok(Plan { private, step, .. }) => {
                let what = match step {
                    Step::LogIn(resource, credentials, _) => {
                        format!("{} as {}", resource.path.escape(), credentials.user)
                    }
                    Step::Route(Route::File(resource)) => resource.path.escape(),
                    Step::Route(Route::Answer(Immediate::Options, _)) => "options".to_owned(),
                    Step::Route(Route::Answer(Immediate::HttpError(error), _)) => error.status.code().to_string(),
                    Step::Route(Route::Answer(Immediate::Redirect(redirect), _)) => {
                        format!("{} {}", redirect.status.code(), redirect.location)
                    }
                };
                if private { format!("private {what}") } else { what }
            }
        };
        assert_eq!(found, expected, "{head}");
    }

    #[test]
    fn a_plan_follows_from_the_head_and_the_rules() {
        check("GET /x?y HTTP/1.1;Host: b;", "421");
        check("GET /x HTTP/1.1;Host: a;Host: a;", "400");
        check("GET /x/../z HTTP/1.1;Host: a;", "/z");
        check("GET /.git/x HTTP/1.1;Host: a;", "404");
        check("GET /.users HTTP/1.1;Host: a;", "404");
        check(&format!("GET /{} HTTP/1.1;Host: a;", "x".repeat(PATH_BYTES_MAX + 1)), "404");
        check("GET /old/x?y HTTP/1.1;Host: a;", "308 /new/x?y");
        check("POST /old/x?y HTTP/1.1;Host: a;", "308 /new/x?y");
        check("POST /x HTTP/1.1;Host: a;", "405");
        check("POST /in/x HTTP/1.1;Host: a;", "405");
        check("OPTIONS /x HTTP/1.1;Host: a;", "options");
    }

    /// However a path is written, who may read it is asked of the path that is served.
    #[test]
    fn the_path_that_is_guarded_is_the_path_that_is_served() {
        for path in ["/in/x", "/in/./x", "/y/../in/x", "//in//x", "/%69n/x", "/%2e/in/x", "/in/x?in", "/in/%78"] {
            check(&format!("GET {path} HTTP/1.1;Host: a;"), "private 401");
            check(&format!("GET {path} HTTP/1.1;Host: a;Authorization: Basic YTpi;"), "private /in/x as a");
            check(&format!("GET http://a{path} HTTP/1.1;Host: b;"), "private 401");
        }
        check("GET /in/../x HTTP/1.1;Host: a;", "/x");
    }
}
