//! What is seen of a guest in a simulated world.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use crate::behaviour::{Behaviour, Ended, Observer, Store};
use crate::limits;
use pluto_contract::Level;
use pluto_contract::stop::Exit;

/// What came of a run in a scene.
pub struct Seen {
    pub(super) observer: Observer,
    pub(super) unknown: Unknown,
    /// The last lines of the guest's log.
    log: VecDeque<(Level, String)>,
    /// The time in the world: nanoseconds since the Unix epoch.
    pub(super) time: u64,
    /// Why the world could go on no more.
    pub(super) over: Option<Ended>,
}

/// What a guest asked that the scene cannot tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Paths that the recorded guest never asked for; answered `not-found`.
    pub paths: BTreeSet<Vec<u8>>,
    /// Paths of files whose content it had not read; answered `io`.
    pub contents: BTreeSet<Vec<u8>>,
    /// How many more there were of either.
    pub more: u64,
}

impl Seen {
    /// Nothing yet, at the time at which the world begins. Bytes and paths are kept in `store`.
    pub(super) fn new(time: u64, store: Rc<RefCell<Store>>) -> Self {
        Self { observer: Observer::new(store), unknown: Unknown::default(), log: VecDeque::new(), time, over: None }
    }

    /// What the guest did in a run that has ended so.
    pub fn into_behaviour(mut self, exit: &Exit) -> (Behaviour, Unknown) {
        let ended = self.over.unwrap_or_else(|| Ended::Exit(exit.clone()));
        self.observer.ended(self.time, ended);
        (self.observer.into_behaviour(), self.unknown)
    }

    /// The last lines of the guest's log.
    pub fn log(&self) -> impl Iterator<Item = &(Level, String)> {
        self.log.iter()
    }

    pub(super) fn add_line(&mut self, level: Level, message: &str) {
        if self.log.len() == limits::SCENE_LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back((level, message.to_owned()));
    }
}

impl Unknown {
    pub(super) fn path(&mut self, path: &[u8]) {
        self.more += note(&mut self.paths, path);
    }

    pub(super) fn content(&mut self, path: &[u8]) {
        self.more += note(&mut self.contents, path);
    }
}

/// 1 when there is no room.
fn note(paths: &mut BTreeSet<Vec<u8>>, path: &[u8]) -> u64 {
    if paths.contains(path) {
        return 0;
    }
    let room = paths.len() < limits::SCENE_UNKNOWN_PATHS_MAX;
    if room {
        paths.insert(path.to_owned());
    }
    u64::from(!room)
}
