//! The name of a trace, in which the operator may leave a place for the time or the process.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Returns the name with `%t` replaced by the time of the start in UTC, as in 20261130T101500Z,
/// `%p` by the number of this process, and `%%` by a percent sign.
pub fn expand(name: &Path, start: SystemTime, process: u32) -> PathBuf {
    let (mut expanded, mut bytes) = (Vec::new(), name.as_os_str().as_bytes().iter().copied());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            expanded.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b't') => expanded.extend(stamp(start).as_bytes()),
            Some(b'p') => expanded.extend(process.to_string().as_bytes()),
            Some(b'%') => expanded.push(b'%'),
            other => expanded.extend([b'%'].into_iter().chain(other)),
        }
    }
    OsString::from_vec(expanded).into()
}

/// The time in the basic format of ISO 8601, which has no colon.
fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_name_has_the_time_and_the_process_in_their_places() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_033_700);
        let expanded = |name: &str| expand(Path::new(name), start, 42).display().to_string();
        assert_eq!(expanded("run.trace"), "run.trace");
        assert_eq!(expanded("%t.%p.trace"), "20261130T101500Z.42.trace");
        assert_eq!(expanded("100%%/%x%"), "100%/%x%");
    }
}
