//! What is kept of files, so that they are neither opened, read nor compressed again for each
//! request.
//!
//! | module | what is in it |
//! |---|---|
//! | [`representation`] | a file as it is sent, and the others beside it: what is known of them |
//! | [`cache`] | files that are kept, and for how long |
//! | [`digests`] | entity tags, by the digest of the content |
//! | [`known_digests`] | the digests that are remembered |
//! | [`long_files`] | digests of files that are too long for the host |
//! | [`compression`], `gzip` | forms that the server makes itself |
//! | [`two_generation_map`] | a map of bounded size |
//! | [`budget`] | what all of something may take together |

pub mod budget;
pub mod cache;
pub mod compression;
pub mod digests;
mod gzip;
pub mod known_digests;
pub mod long_files;
pub mod representation;
pub mod two_generation_map;
