//! Tells people what happened in a recorded run.

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufWriter, Stdout};
use std::path::Path;
use std::process;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::exit_status::ExitStatus;
use super::report::report;
use super::setup::engine;
use crate::cli::Explain;
use pluto_lab::explain::text::Text;
use pluto_lab::explain::{Event, Explainer, html};
use pluto_lab::replaying::{go_to, play, skip_to_begin};
use pluto_lab::trace_file::{Trace, open};
use pluto_trace::Header;
use pluto_trace::engine_kind::EngineKind;
use pluto_trace::replay::{Outcome, Step};

/// Replays a trace with the guest that is in it, and tells what happens.
pub fn explain(options: &Explain) -> Result<ExitStatus> {
    let trace = &options.trace;
    if options.from > options.to && options.to.is_some() {
        bail!("--from is later than --to, so that nothing lies between them");
    }
    let mut reader = open(trace)?;
    let (header, guest) = (reader.header.clone(), std::mem::take(&mut reader.guest));
    if let Some(page) = &options.html {
        check_place(page, trace)?;
    }
    let engine = engine(false)?;
    if let Some(from) = options.from {
        let from = header.start.saturating_add(from);
        go_to(&mut reader, |key| key.time <= from)?;
    }
    let narrator = Rc::new(RefCell::new(Narrator::new(header.clone(), options, &mut reader)?));
    narrator.borrow_mut().begin()?;
    let listener = narrator.clone();
    let observer = Box::new(move |step: &mut Step| listener.borrow_mut().step(step));
    let outcome = play(&engine, &guest, reader, options.memory_max, u64::MAX, Some(observer))
        .context("the guest in the trace")?;
    narrator.borrow_mut().end(&outcome, options)?;
    if let Some(error) = &outcome.error {
        bail!("{}: {error}", trace.display());
    }
    if outcome.divergence.is_some() {
        report(&format!("the replay is another run than was recorded, after turn {}", outcome.turns));
        if let Some(note) = header.differs_in_engine(EngineKind::Native) {
            report(&format!("note: {note}"));
        }
        return Ok(ExitStatus::Diverged);
    }
    Ok(ExitStatus::Well)
}

/// A page must not take the place of the trace that it explains.
fn check_place(page: &Path, trace: &Path) -> Result<()> {
    if let (Ok(page), Ok(trace)) = (page.canonicalize(), trace.canonicalize())
        && page == trace
    {
        bail!("{} is the trace itself: give --html another file", page.display());
    }
    Ok(())
}

/// Watches the replay, and writes what happens.
struct Narrator {
    explainer: Explainer,
    header: Header,
    output: Output,
    /// Why the text could not be written.
    error: Option<io::Error>,
}

/// The destination of the events.
enum Output {
    /// Text on standard output, written at once.
    Text(Text<BufWriter<Stdout>>),
    /// A page, written at the end: the first events, and the number of events that are left out.
    Page(Vec<Event>, u64),
}

impl Narrator {
    fn new(header: Header, options: &Explain, trace: &mut Trace) -> Result<Self> {
        let output = match &options.html {
            Some(_) => Output::Page(Vec::new(), 0),
            None => Output::Text(Text::new(BufWriter::new(io::stdout()))),
        };
        let mut explainer = Explainer::new(&header, !options.no_data, options.filter());
        skip_to_begin(trace, &mut explainer)?;
        Ok(Self { explainer, header, output, error: None })
    }

    fn begin(&mut self) -> Result<()> {
        let about = self.explainer.about(&self.header);
        match &mut self.output {
            Output::Text(text) => written(text.table(&about)),
            Output::Page(..) => Ok(()),
        }
    }

    fn step(&mut self, step: &Step) {
        let (output, error) = (&mut self.output, &mut self.error);
        self.explainer.step(step, |event| match output {
            Output::Text(text) if error.is_none() => *error = written_or_over(text.event(&event)),
            Output::Page(events, _) if events.len() < pluto_lab::limits::EXPLAIN_PAGE_EVENTS_MAX => events.push(event),
            Output::Page(_, left_out) => *left_out += 1,
            Output::Text(_) => {}
        });
    }

    fn end(&mut self, outcome: &Outcome, options: &Explain) -> Result<()> {
        if let Some(error) = self.error.take() {
            return written(Err(error));
        }
        let (ending, totals) = (self.explainer.ending(outcome), self.explainer.totals());
        match (&mut self.output, &options.html) {
            (Output::Page(events, left_out), Some(path)) => {
                let about = [self.explainer.about(&self.header), totals].concat();
                let page = html::page(&about, &ending, events, *left_out);
                fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
                report(&format!("{}: {} events, {left_out} left out; {ending}", path.display(), events.len()));
            }
            (Output::Text(text), _) => written(text.end(&ending, &totals))?,
            (Output::Page(..), None) => {}
        }
        let last = self.explainer.connections();
        match options.connection {
            Some(number) if number == 0 || number > last => {
                bail!("there is no connection {number} in this trace; the last one is {last}")
            }
            _ => Ok(()),
        }
    }
}

fn written(result: io::Result<()>) -> Result<()> {
    written_or_over(result).map_or(Ok(()), |error| Err(error).context("cannot write the explanation"))
}

/// Returns the error of a write. A closed pipe is no error, because nobody reads any more.
fn written_or_over(result: io::Result<()>) -> Option<io::Error> {
    let error = result.err()?;
    if error.kind() == io::ErrorKind::BrokenPipe {
        process::exit(ExitStatus::Well as i32);
    }
    Some(error)
}
