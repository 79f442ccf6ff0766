//! Logins: what is verified once is remembered, and verifying takes no more than its share.
//!
//! A client can make the server compute a hash with every wrong password. So there is one hash
//! under way at a time, computed in steps with rests between them, in which everybody else is
//! served; a bounded number waits for it; and what was right, or wrong, is known without a hash
//! when it comes again. That keeps the site going, not the login: who fills the queue keeps those
//! out whose login is not remembered yet.

use crate::limits::{BCRYPT_REST_MILLIS, BCRYPT_ROUNDS_AT_ONCE, LOGINS_KEPT_MAX, LOGINS_WAITING_MAX};
use crate::policy::users::{Credentials, LoginDigest, Users};
use crate::queue::Queue;
use pluto_sdk::sleep;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// What was verified, and who waits.
#[derive(Debug, Default)]
pub struct Logins {
    right: RefCell<BTreeSet<LoginDigest>>,
    wrong: RefCell<BTreeSet<LoginDigest>>,
    queue: Queue,
}

/// What credentials turn out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Those of a user.
    Right,
    /// Not those of a user.
    Wrong,
    /// Too many wait to be verified.
    Busy,
}

impl Login {
    /// The user whose credentials these are.
    pub fn user(self, credentials: Credentials) -> Option<String> {
        (self == Login::Right).then_some(credentials.user)
    }
}

impl Logins {
    /// What is known of credentials already.
    pub fn known(&self, users: &Users, credentials: &Credentials) -> Option<Login> {
        let login = users.login_digest(credentials);
        if self.right.borrow().contains(&login) {
            return Some(Login::Right);
        }
        self.wrong.borrow().contains(&login).then_some(Login::Wrong)
    }

    /// Verifies credentials; at once, when they were before.
    pub async fn verify(&self, users: &Users, credentials: &Credentials) -> Login {
        if let Some(known) = self.known(users, credentials) {
            return known;
        }
        let Some(place) = self.queue.enter(LOGINS_WAITING_MAX) else { return Login::Busy };
        place.wait().await;
        // Somebody before may have had the same: a browser asks for several files at once.
        if let Some(known) = self.known(users, credentials) {
            return known;
        }
        let (hash, is_user) = users.hash(&credentials.user);
        let mut verification = hash.verify(&credentials.password);
        let matches = loop {
            if let Some(matches) = verification.step(BCRYPT_ROUNDS_AT_ONCE) {
                break matches;
            }
            // An error means that the server is ending.
            let _ = sleep(Duration::from_millis(BCRYPT_REST_MILLIS)).await;
        };
        let right = matches && is_user;
        remember(if right { &self.right } else { &self.wrong }, users.login_digest(credentials));
        if right { Login::Right } else { Login::Wrong }
    }
}

/// Forgets all when there are too many, so that wrong ones never take the place of right ones.
fn remember(logins: &RefCell<BTreeSet<LoginDigest>>, login: LoginDigest) {
    let mut logins = logins.borrow_mut();
    if logins.len() >= LOGINS_KEPT_MAX {
        logins.clear();
    }
    logins.insert(login);
}
