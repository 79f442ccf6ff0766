//! A run as text: turn by turn, a line for each thing that happened.

use std::io::{self, Write};

use super::words::span;
use super::{Event, Mark};

/// Writes the text.
pub struct Text<W> {
    out: W,
    /// The turn whose heading was written last.
    turn: Option<u64>,
}

impl<W: Write> Text<W> {
    /// Creates a text that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out, turn: None }
    }

    /// Writes names and their values, a line each.
    pub fn table(&mut self, rows: &[(&'static str, String)]) -> io::Result<()> {
        rows.iter().try_for_each(|(name, value)| writeln!(self.out, "{name:<13}{value}"))
    }

    /// Writes an event, with the heading of its turn if it is the first event of the turn.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.turn.replace(event.turn) != Some(event.turn) {
            writeln!(self.out, "\nturn {} at {}", event.turn, span(event.time))?;
        }
        let side = match event.mark {
            Mark::Sent => "sent",
            Mark::Got | Mark::Failed => "got ",
            Mark::Logged => return writeln!(self.out, "  log  {}", event.text),
        };
        match event.request {
            0 => writeln!(self.out, "  {side} {}", event.text),
            number => writeln!(self.out, "  {side} #{number} {}", event.text),
        }
    }

    /// Writes how the run ended, and the totals.
    pub fn end(&mut self, ending: &str, totals: &[(&'static str, String)]) -> io::Result<()> {
        writeln!(self.out, "\nend: {ending}\n")?;
        self.table(totals)?;
        self.out.flush()
    }
}
