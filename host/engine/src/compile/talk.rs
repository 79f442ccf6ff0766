//! The protocol between the two processes. One gets a file, and returns what it made of it, or a
//! message. Whatever that process does, the other waits no longer than its limit.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};

use crate::limits;

/// What a process has said.
#[derive(Default)]
pub struct Said {
    /// On standard output.
    pub product: Vec<u8>,
    /// On standard error.
    pub words: Vec<u8>,
}

/// Gives a process its input and takes what it says, so many bytes of it at most, until it has
/// ended: what it has said, and how it ended; no way when it was killed because that took too
/// long.
pub fn with(
    child: &mut Child,
    input: &[u8],
    product_bytes_max: u64,
    deadline: Instant,
) -> (Said, io::Result<Option<ExitStatus>>) {
    let mut said = Said::default();
    let talked = talk(child, input, product_bytes_max, deadline, &mut said);
    let ended = talked.and_then(|()| wait(child, deadline));
    if !matches!(ended, Ok(Some(_))) {
        // It is not to go on, whatever it is that went wrong here.
        let _ = child.kill();
        let _ = child.wait();
    }
    (said, ended)
}

/// Gives and takes until the process has closed what it says it on, or there is no more time.
fn talk(
    child: &mut Child,
    mut input: &[u8],
    product_bytes_max: u64,
    deadline: Instant,
    said: &mut Said,
) -> io::Result<()> {
    let mut stdin = child.stdin.take();
    let mut output = Listener::of(child.stdout.take(), product_bytes_max)?;
    let mut words = Listener::of(child.stderr.take(), limits::COMPILER_WORDS_BYTES_MAX as u64)?;
    if let Some(stdin) = &stdin {
        ioctl_fionbio(stdin, true)?;
    }
    while output.is_open() || words.is_open() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let given = stdin.iter().map(|stdin| PollFd::new(stdin, PollFlags::OUT));
        let taken = [output.as_polled(), words.as_polled()].into_iter().flatten();
        let mut polled: Vec<PollFd<'_>> = given.chain(taken).collect();
        match poll(&mut polled, Some(&timespec(left))) {
            // A signal is none of this: it is looked at when this has ended.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        give(&mut stdin, &mut input)?;
        output.take(&mut said.product)?;
        words.take(&mut said.words)?;
    }
    Ok(())
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}

/// Writes what is taken at once; the end of it all closes the pipe.
fn give(stdin: &mut Option<ChildStdin>, input: &mut &[u8]) -> io::Result<()> {
    let Some(pipe) = stdin else { return Ok(()) };
    match pipe.write(input) {
        Ok(written) => *input = &input[written..],
        Err(error) if is_later(&error) => return Ok(()),
        // It has failed, and its words say why.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => *input = &[],
        Err(error) => return Err(error),
    }
    if input.is_empty() {
        *stdin = None;
    }
    Ok(())
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A pipe on which the process says something.
struct Listener<P> {
    /// None once it is closed.
    pipe: Option<P>,
    bytes_max: u64,
}

/// What is read at a time: as much as a pipe holds.
const PIECE_BYTES: usize = 64 << 10;

impl<P: Read + AsFd> Listener<P> {
    fn of(pipe: Option<P>, bytes_max: u64) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe, bytes_max })
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    fn as_polled(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN))
    }

    /// Takes what there is. What is too much is read all the same, and dropped: the process is to
    /// come to its end.
    fn take(&mut self, said: &mut Vec<u8>) -> io::Result<()> {
        let mut piece = [0; PIECE_BYTES];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(read) => {
                    let room = usize::try_from(self.bytes_max).unwrap_or(usize::MAX) - said.len();
                    said.extend_from_slice(&piece[..read.min(room)]);
                }
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How often it is looked whether a process that says nothing more has ended.
const LOOK_EVERY: Duration = Duration::from_micros(200);

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Talks to a shell.
    fn shell(script: &str, input: &[u8], seconds: f64) -> (Said, Option<ExitStatus>) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let deadline = Instant::now() + Duration::from_secs_f64(seconds);
        let (said, ended) = with(&mut child, input, 1_000_000, deadline);
        (said, ended.expect("it can be waited for"))
    }

    #[test]
    fn a_process_gets_all_and_what_it_says_is_taken_up_to_a_limit() {
        let input: Vec<u8> = (0..900_000_u32).map(|number| number as u8).collect();
        let (said, ended) = shell("cat; echo words >&2; exit 3", &input, 60.0);
        assert!(said.product == input && said.words == b"words\n");
        assert_eq!(ended.and_then(|status| status.code()), Some(3));
        let (said, ended) = shell("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2", b"", 60.0);
        assert_eq!((said.product.len(), said.words.len()), (1_000_000, limits::COMPILER_WORDS_BYTES_MAX));
        assert!(ended.is_some_and(|status| status.success()));
    }

    #[test]
    fn a_process_that_reads_nothing_or_does_not_end_is_waited_for_no_longer_than_that() {
        let input = vec![0; 900_000];
        let begin = Instant::now();
        let (said, ended) = shell("exec 0<&-; echo no >&2; exit 1", &input, 60.0);
        assert!(said.words == b"no\n" && ended.and_then(|status| status.code()) == Some(1));
        for script in ["exec sleep 60", "echo words; exec sleep 60", "exec sleep 60 >&- 2>&-"] {
            assert!(shell(script, &input, 0.2).1.is_none(), "{script}");
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}
