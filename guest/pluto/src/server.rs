//! What all conversations of a port share, and what a reload replaces.

use crate::http::date::Date;
use crate::http::request::{Action, Terms};
use crate::options::Options;
use crate::site::{Answer, Lookup, Site};
use pluto_sdk::{error, info, now};
use std::cell::{Ref, RefCell};
use std::rc::Rc;

/// One port: who answers there, and on which terms.
#[derive(Debug)]
pub struct Server {
    /// What the operator has said on the command line. It stays as it is.
    pub options: Options,
    /// What answers. A reload replaces it as a whole, between two turns; a request keeps the one that it began with, so
    /// that no response is made of two configurations.
    site: RefCell<Rc<Site>>,
    /// The current second, written once for all responses in it.
    date: RefCell<Date>,
}

/// A request that is being answered, by the site as it was when the request came.
#[derive(Debug)]
pub struct Answering {
    site: Rc<Site>,
    lookup: Lookup,
}

impl Server {
    /// A port on which this site answers.
    pub fn new(options: Options, site: Site) -> Server {
        Server { site: RefCell::new(Rc::new(site)), date: RefCell::new(Date::at(now())), options }
    }

    /// Begins to answer a request. Files are asked for at once, so that several requests wait together.
    pub fn answer(&self, action: Action) -> Answering {
        let site = Rc::clone(&self.site.borrow());
        Answering { lookup: site.look_up(action), site }
    }

    /// The date of the current second.
    pub fn date(&self) -> Ref<'_, Date> {
        self.date.borrow_mut().set(now());
        self.date.borrow()
    }

    /// Reads again what can be read again: what the site is made of. Connections, and responses under way, go on; kept
    /// files are forgotten. When it cannot be read, the operator is told why, and the site stays as it was.
    pub async fn reload(&self) {
        match Site::load(&self.options).await {
            Ok(site) => {
                let before = self.site.replace(Rc::new(site));
                // Behind the borrow: dropping the last of a site gives its files back.
                drop(before);
                info!("reloaded: the files that were kept are read again; options and limits stay until a restart");
            }
            Err(error) => error!("not reloaded, everything stays as it was: {error}"),
        }
    }
}

impl Answering {
    /// The answer, when it is known.
    pub async fn answer(self, terms: &Terms) -> Answer {
        self.site.find(self.lookup, terms).await
    }
}
