//! What all conversations of a port share, and what a reload replaces.

use crate::access::Form;
use crate::http::date::Date;
use crate::http::request::{Action, Terms};
use crate::metrics::{self, Metrics};
use crate::operator;
use crate::options::Options;
use crate::site::{Answer, Lookup, Site};
use pluto_sdk::{error, info, now};
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

/// One port: who answers there, on which terms, and what is counted.
#[derive(Debug)]
pub struct Server {
    /// What the operator has said on the command line. It stays as it is.
    pub options: Options,
    /// What happens here.
    pub metrics: Metrics,
    service: Service,
    /// The current second, written once for all responses in it.
    date: RefCell<Date>,
    draining: Cell<bool>,
}

/// What answers on a port.
#[derive(Debug)]
enum Service {
    /// A site. A reload replaces it as a whole, between two turns; a request keeps the one that it began with, so that
    /// no response is made of two configurations.
    Site(RefCell<Rc<Site>>),
    /// What the operator is told of that server.
    Operator(Rc<Server>),
}

/// A request that is being answered, by the site as it was when the request came.
#[derive(Debug)]
pub enum Answering {
    /// It waits for this lookup.
    Site(Rc<Site>, Lookup),
    /// It is answered.
    Known(Answer),
}

impl Server {
    /// A port on which this site answers.
    pub fn new(options: Options, site: Site) -> Server {
        Server::serving(options, Service::Site(RefCell::new(Rc::new(site))))
    }

    /// The port on which the operator is told of another. Its own requests are neither logged nor counted there.
    pub fn operator(server: Rc<Server>) -> Server {
        let options = Options { access_log: Form::Off, ..server.options.clone() };
        Server::serving(options, Service::Operator(server))
    }

    fn serving(options: Options, service: Service) -> Server {
        let date = RefCell::new(Date::at(now()));
        Server { options, metrics: Metrics::new(), service, date, draining: Cell::new(false) }
    }

    /// Begins to answer a request. Files are asked for at once, so that several requests wait together.
    pub fn answer(&self, action: Action, terms: &Terms) -> Answering {
        if matches!(&action, Action::Refuse(fault) if fault.fatal) {
            self.metrics.refused.count();
        }
        match &self.service {
            Service::Operator(server) => {
                let found = operator::answer(server, action);
                Answering::Known(Answer::plain(found))
            }
            Service::Site(site) => {
                let site = Rc::clone(&site.borrow());
                let lookup = site.look_up(action, terms);
                match lookup.is_kept() {
                    Some(true) => self.metrics.cache_hits.count(),
                    Some(false) => self.metrics.cache_misses.count(),
                    None => (),
                }
                Answering::Site(site, lookup)
            }
        }
    }

    /// Whether what answers here looks at what a request says besides its target.
    pub fn asks(&self) -> bool {
        match &self.service {
            Service::Site(site) => site.borrow().asks(),
            Service::Operator(_) => false,
        }
    }

    /// The operator has said stop: from now on the health page says so.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// Whether the operator has said stop.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// What the metrics page tells besides what is counted.
    pub fn metrics_now(&self) -> metrics::Now {
        let files_kept = match &self.service {
            Service::Site(site) => site.borrow().files_kept(),
            Service::Operator(_) => 0,
        };
        metrics::Now { connections_max: self.options.connections, files_kept, draining: self.is_draining() }
    }

    /// The date of the current second.
    pub fn date(&self) -> Ref<'_, Date> {
        self.date.borrow_mut().set(now());
        self.date.borrow()
    }

    /// Reads again what can be read again: what the site is made of. Connections, and responses under way, go on; kept
    /// files are forgotten. When it cannot be read, the operator is told why, and the site stays as it was.
    pub async fn reload(&self) {
        let Service::Site(current) = &self.service else { return };
        match Site::load(&self.options).await {
            Ok(site) => {
                self.metrics.reloads.count();
                let before = current.replace(Rc::new(site));
                // Behind the borrow: dropping the last of a site gives its files back.
                drop(before);
                info!(
                    "reloaded: the configuration and the files are read again; options and limits stay until a restart"
                );
            }
            Err(error) => {
                self.metrics.reloads_failed.count();
                error!("not reloaded, everything stays as it was: {error}");
            }
        }
    }
}

impl Answering {
    /// The answer, if nothing has to be waited for.
    pub fn at_once(self) -> Result<Answer, Answering> {
        match self {
            Answering::Known(answer) => Ok(answer),
            Answering::Site(site, lookup) => lookup.at_once().map_err(|lookup| Answering::Site(site, lookup)),
        }
    }

    /// The answer, when it is known.
    pub async fn answer(self, terms: &Terms) -> Answer {
        match self {
            Answering::Site(site, lookup) => site.find(lookup, terms).await,
            Answering::Known(answer) => answer,
        }
    }
}
