//! Files that hold what clients have sent: only their owner may read them.

use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The mode of such a file.
pub const MODE: u32 = 0o600;

/// Creates a private file, or empties one that is there, with these flags besides. Waits until a
/// pipe has a reader, unless the flags say otherwise.
pub fn create(path: &Path, flags: OFlags) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(MODE).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        // It may have been there, with another mode.
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}
