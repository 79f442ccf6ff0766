//! What all conversations of a port share, and what a reload replaces.

use crate::access::Form;
use crate::limits::{FIGURES_SECONDS, LINGERING_CLIENTS_MAX};
use crate::metrics::{self, Metrics};
use crate::operator::{self, Reply, ServerStatus};
use crate::options::Options;
use crate::site::answer::Answer;
use crate::site::{Lookup, Site};
use pluto_http::date::Date;
use pluto_http::request::{Action, RequestContext};
use pluto_sdk::shards::{Gather, Post, gather, post};
use pluto_sdk::{Pending, error, info, join, now, sleep, warn};
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// One port: who answers there, under which limits, and what is counted.
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
    /// Clients that are waited for behind their last response.
    pub lingering: Lingering,
    /// It is known that there is no other shard.
    alone: Cell<bool>,
}

/// What answers on a port.
#[derive(Debug)]
enum Service {
    /// A site. A reload replaces it as a whole, between two turns; a request keeps the one that it
    /// began with, so that no response is made of two configurations.
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
    /// What all shards of this server have counted is asked for, once it is known what this one
    /// has.
    Metrics(Rc<Server>, Pending<Post>, Pending<Gather>),
}

impl Server {
    /// A port on which this site answers.
    pub fn new(options: Options, site: Site) -> Server {
        Server::serving(options, Service::Site(RefCell::new(Rc::new(site))))
    }

    /// The port on which the operator is told of another. Its own requests are neither logged nor
    /// counted there.
    pub fn operator(server: Rc<Server>) -> Server {
        let options = Options { access_log: Form::Off, ..server.options.clone() };
        Server::serving(options, Service::Operator(server))
    }

    fn serving(options: Options, service: Service) -> Server {
        let date = RefCell::new(Date::at(now()));
        Server {
            options,
            metrics: Metrics::new(),
            service,
            date,
            draining: Cell::new(false),
            lingering: Lingering::default(),
            alone: Cell::new(false),
        }
    }

    /// Begins to answer a request. Files are asked for at once, so that several requests wait
    /// together.
    pub fn answer(&self, action: Action, context: &RequestContext) -> Answering {
        if matches!(&action, Action::Refuse(error) if error.fatal) {
            self.metrics.refused.count();
        }
        match &self.service {
            Service::Operator(server) => match operator::answer(server.status(), action) {
                Reply::Ready(found) => Answering::Known(Answer::plain(found)),
                Reply::GatherMetrics => Answering::Metrics(Rc::clone(server), post(server.figures()), gather()),
            },
            Service::Site(site) => {
                let site = Rc::clone(&site.borrow());
                let lookup = site.look_up(action, context);
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
    pub fn wants_facts(&self) -> bool {
        match &self.service {
            Service::Site(site) => site.borrow().wants_facts(),
            Service::Operator(_) => false,
        }
    }

    /// The operator has said stop: from now on the health page says so.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// What the operator is told.
    fn status(&self) -> ServerStatus<'_> {
        ServerStatus { metrics: &self.metrics, now: self.metrics_now(), is_alone: self.is_alone() }
    }

    /// What the metrics page tells besides what is counted.
    fn metrics_now(&self) -> metrics::Now {
        let files_kept = match &self.service {
            Service::Site(site) => site.borrow().files_kept(),
            Service::Operator(_) => 0,
        };
        metrics::Now {
            connections_max: self.options.connections,
            files_kept: files_kept as u64,
            memory_bytes: metrics::memory_bytes(),
            draining: self.draining.get(),
        }
    }

    /// Whether it is known that this server is one shard.
    fn is_alone(&self) -> bool {
        self.alone.get()
    }

    /// Leaves what is counted for the other shards, if there are any: at most once in
    /// `FIGURES_SECONDS`, and only while there is something new.
    pub async fn share_figures(&self) {
        self.alone.set(gather().await.is_ok_and(|shards| shards.len() == 1));
        let mut left = Vec::new();
        while !self.is_alone() {
            let figures = self.figures();
            if figures == left {
                self.metrics.changed().await;
                continue;
            }
            left.clone_from(&figures);
            if let Err(error) = post(figures).await {
                warn!("cannot publish this shard's metrics: {error}");
            }
            sleep(Duration::from_secs(FIGURES_SECONDS)).await;
        }
    }

    /// Leaves them a last time.
    pub async fn share_last_figures(&self) {
        if !self.is_alone() {
            // Nobody is left who could do anything about an error.
            let _ = post(self.figures()).await;
        }
    }

    fn figures(&self) -> Vec<u8> {
        self.metrics.figures(self.metrics_now())
    }

    /// The date of the current second.
    pub fn date(&self) -> Ref<'_, Date> {
        self.date.borrow_mut().set(now());
        self.date.borrow()
    }

    /// Reads again what can be read again: what the site is made of. Connections, and responses
    /// under way, go on; kept files are forgotten. When it cannot be read, the operator is told
    /// why, and the site stays as it was.
    pub async fn reload(&self) {
        let Service::Site(current) = &self.service else { return };
        match Site::load(&self.options).await {
            Ok(site) => {
                self.metrics.reloaded(true);
                let before = current.replace(Rc::new(site));
                // Behind the borrow: dropping the last of a site gives its files back.
                drop(before);
                info!(
                    "reloaded: the configuration and the files are read again; options and limits stay until a restart"
                );
            }
            Err(error) => {
                self.metrics.reloaded(false);
                error!("reload failed, and nothing has changed: {error}");
            }
        }
    }
}

/// How many clients are waited for behind their last response.
#[derive(Debug, Default)]
pub struct Lingering(Cell<usize>);

/// One of them, until this is dropped.
#[derive(Debug)]
pub struct LingeringClient<'a>(&'a Lingering);

impl Lingering {
    /// One more, unless there are too many.
    pub fn enter(&self) -> Option<LingeringClient<'_>> {
        (self.0.get() < LINGERING_CLIENTS_MAX).then(|| {
            self.0.set(self.0.get() + 1);
            LingeringClient(self)
        })
    }
}

impl Drop for LingeringClient<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

impl Answering {
    /// The answer, if nothing has to be waited for.
    pub fn at_once(self) -> Result<Answer, Answering> {
        match self {
            Answering::Known(answer) => Ok(answer),
            gathering @ Answering::Metrics(..) => Err(gathering),
            Answering::Site(site, lookup) => lookup.at_once().map_err(|lookup| Answering::Site(site, lookup)),
        }
    }

    /// The answer, when it is known.
    pub async fn answer(self, context: &RequestContext) -> Answer {
        match self {
            Answering::Site(site, lookup) => site.find(lookup, context).await,
            Answering::Known(answer) => answer,
            Answering::Metrics(server, post, gather) => {
                let (_, gathered) = join(post, gather).await;
                Answer::plain(operator::metrics(server.status(), gathered))
            }
        }
    }
}
