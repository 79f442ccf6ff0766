//! The exit codes of the process.

/// The exit codes, as the help text documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The guest ended well, or was stopped.
    Well = 0,
    /// The host could not start.
    CannotStart = 1,
    /// A replay is not the run that was recorded, or two guests differ.
    Diverged = 3,
    /// The host ended the guest.
    GuestEnded = 4,
    /// The guest ended with an error of its own.
    GuestFailed = 5,
}
