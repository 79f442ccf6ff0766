//! What a guest is answered in tests, in the host's types: both sides have bindings of their own.

use pluto_host::contract as host;
use pluto_sdk::contract as sdk;

/// The same answer in the host's types.
pub fn answer(answer: sdk::Answer) -> host::Answer {
    host::Answer { id: answer.id, reply: reply(answer.reply) }
}

fn reply(reply: sdk::Reply) -> host::Reply {
    match reply {
        sdk::Reply::Listening(port) => host::Reply::Listening(port),
        sdk::Reply::Accepted(sdk::Accepted { connection, peer }) => {
            let address = match peer.address {
                sdk::IpAddress::Ipv4(address) => host::IpAddress::Ipv4(address),
                sdk::IpAddress::Ipv6(address) => host::IpAddress::Ipv6(address),
            };
            let peer = host::SocketAddress { address, port: peer.port };
            host::Reply::Accepted(host::Accepted { connection, peer })
        }
        sdk::Reply::Data(bytes) => host::Reply::Data(bytes),
        sdk::Reply::Written(bytes) => host::Reply::Written(bytes),
        sdk::Reply::Done => host::Reply::Done,
        sdk::Reply::Opened(sdk::Opened { file, metadata: facts }) => {
            host::Reply::Opened(host::Opened { file, metadata: metadata(facts) })
        }
        sdk::Reply::Loaded(sdk::Loaded { buffer, length }) => host::Reply::Loaded(host::Loaded { buffer, length }),
        sdk::Reply::Digested(sdk::Digested { digest, size, modified, changed }) => {
            host::Reply::Digested(host::Digested { digest, size, modified, changed })
        }
        sdk::Reply::Listed(entries) => {
            let entry = |entry: sdk::Entry| host::Entry { name: entry.name, metadata: metadata(entry.metadata) };
            host::Reply::Listed(entries.into_iter().map(entry).collect())
        }
        sdk::Reply::Gathered(posts) => host::Reply::Gathered(posts),
        sdk::Reply::Changed(name) => host::Reply::Changed(name),
        sdk::Reply::Elapsed => host::Reply::Elapsed,
        sdk::Reply::Signal(signal) => host::Reply::Signal(match signal {
            sdk::Signal::Stop => host::Signal::Stop,
            sdk::Signal::Reload => host::Signal::Reload,
            sdk::Signal::Pause => host::Signal::Pause,
            sdk::Signal::LogLost(lines) => host::Signal::LogLost(lines),
        }),
        sdk::Reply::Failed(error) => host::Reply::Failed(failure(error)),
    }
}

fn metadata(facts: sdk::Metadata) -> host::Metadata {
    let kind = match facts.kind {
        sdk::Kind::Regular => host::Kind::Regular,
        sdk::Kind::Directory => host::Kind::Directory,
        sdk::Kind::Symlink => host::Kind::Symlink,
        sdk::Kind::Other => host::Kind::Other,
    };
    let sdk::Metadata { size, modified, changed, inode, .. } = facts;
    host::Metadata { kind, size, modified, changed, inode }
}

fn failure(error: sdk::Error) -> host::Error {
    use sdk::Error::*;
    match error {
        NotPermitted => host::Error::NotPermitted,
        BadHandle => host::Error::BadHandle,
        Invalid => host::Error::Invalid,
        Busy => host::Error::Busy,
        Cancelled => host::Error::Cancelled,
        TooLarge => host::Error::TooLarge,
        Exhausted => host::Error::Exhausted,
        AddressInUse => host::Error::AddressInUse,
        Disconnected => host::Error::Disconnected,
        NotFound => host::Error::NotFound,
        AccessDenied => host::Error::AccessDenied,
        IsDirectory => host::Error::IsDirectory,
        NotDirectory => host::Error::NotDirectory,
        NotRegular => host::Error::NotRegular,
        Symlink => host::Error::Symlink,
        Truncated => host::Error::Truncated,
        Io => host::Error::Io,
    }
}
