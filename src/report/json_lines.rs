//! The events as they are, one JSON object a line, for programs.

use std::io::Write;

use crate::events::{Event, Gone, Reader};

/// Writes every event as a line.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write + Send> JsonLines<W> {
    /// A reader that writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Reader for JsonLines<W> {
    fn read(&mut self, event: &Event) -> Result<(), Gone> {
        let mut line = serde_json::to_vec(event).map_err(|_| Gone)?;
        line.push(b'\n');
        // Each line is handed on at once: who reads it wants to know now.
        self.out.write_all(&line).and_then(|()| self.out.flush()).map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::events::{Kind, VERSION};

    fn event() -> Event {
        let kind = Kind::Note { message: "two\nlines".into() };
        Event { v: VERSION, time: Timestamp::UNIX_EPOCH, run: "r1".into(), event: kind }
    }

    #[test]
    fn an_event_is_one_line_that_reads_back() {
        let mut out = Vec::new();
        JsonLines::new(&mut out).read(&event()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event());
    }

    #[test]
    fn a_closed_output_ends_the_reader() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(JsonLines::new(writer).read(&event()), Err(Gone));
    }
}
