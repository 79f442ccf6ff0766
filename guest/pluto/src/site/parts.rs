//! What a site is made of, each part for itself: what carries out a plan is given the parts.

use super::error_pages::{ErrorPages, Missing};
use super::failures::Failures;
use super::files::Files;
use super::listing::Listings;
use super::logins::Logins;
use super::plan::Rules;

/// The parts of a site.
#[derive(Debug)]
pub struct Parts {
    /// What is decided by.
    pub rules: Rules,
    /// The files, and what is kept of them.
    pub files: Files,
    /// Who has logged in.
    pub logins: Logins,
    /// Directories that are being listed.
    pub listings: Listings,
    /// Where the pages for errors are.
    pub error_pages: ErrorPages,
    /// Paths that name nothing.
    pub missing: Missing,
    /// Files that could not be opened.
    pub failures: Failures,
}
