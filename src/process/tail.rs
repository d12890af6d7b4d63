//! Reads the lines of a file that someone is still writing.

use std::io::{self, Read};

use fs_err::File;

use super::Redactor;

/// Longer lines are cut: nothing that people read is longer, and memory stays bounded.
pub(super) const LONGEST_LINE: usize = 64 * 1024;
/// How much is read before others get their turn.
const AT_ONCE: usize = 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// A file, read line by line as it grows. Every line comes out redacted.
pub(super) struct Tail {
    file: File,
    line: Vec<u8>,
    left_out: usize,
    redactor: Redactor,
}

impl Tail {
    pub fn new(file: File, redactor: Redactor) -> Self {
        Self { file, line: Vec::new(), left_out: 0, redactor }
    }

    /// Gives the complete lines that are there; says whether it stopped before the file's end.
    pub fn lines(&mut self, mut take: impl FnMut(&str)) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..AT_ONCE / CHUNK {
            let count = self.file.read(&mut chunk)?;
            if count == 0 {
                return Ok(false);
            }
            let mut rest = &chunk[..count];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.add(&rest[..end]);
                take(&self.finish_line());
                rest = &rest[end + 1..];
            }
            self.add(rest);
        }
        Ok(true)
    }

    /// Gives what is left once nobody writes any more, an unfinished last line included.
    pub fn rest(&mut self, mut take: impl FnMut(&str)) -> io::Result<()> {
        while self.lines(&mut take)? {}
        if !self.line.is_empty() {
            take(&self.finish_line());
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) {
        // Beyond the cut so much is kept that a secret which begins before it is seen whole.
        let room = (LONGEST_LINE + self.redactor.longest()).saturating_sub(self.line.len());
        let kept = bytes.len().min(room);
        self.line.extend_from_slice(&bytes[..kept]);
        self.left_out += bytes.len() - kept;
    }

    fn finish_line(&mut self) -> String {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        let text = String::from_utf8_lossy(&self.line);
        let mut line = self.redactor.redact_capped(&text, LONGEST_LINE);
        if self.left_out > 0 || text.len() > LONGEST_LINE {
            line.push_str(" [the line goes on and was cut here]");
        }
        self.line.clear();
        self.left_out = 0;
        line
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use secrecy::SecretString;

    use super::*;

    fn tail(text: &[u8], redactor: &Redactor) -> (std::fs::File, Tail) {
        let mut writer = tempfile::NamedTempFile::new().unwrap();
        writer.write_all(text).unwrap();
        let reader = File::open(writer.path()).unwrap();
        (writer.into_file(), Tail::new(reader, redactor.clone()))
    }

    fn lines(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        tail.lines(|line| lines.push(line.to_owned())).unwrap();
        lines
    }

    #[test]
    fn gives_lines_as_they_become_whole() {
        let (mut writer, mut tail) = tail(b"one\r\ntw", &Redactor::default());
        assert_eq!(lines(&mut tail), ["one"]);
        writer.write_all(b"o\n\nthree").unwrap();
        assert_eq!(lines(&mut tail), ["two", ""]);
        let mut rest = Vec::new();
        tail.rest(|line| rest.push(line.to_owned())).unwrap();
        assert_eq!(rest, ["three"]);
    }

    #[test]
    fn survives_bytes_that_are_no_text() {
        let (_writer, mut tail) = tail(b"a\xff\x00b\n", &Redactor::default());
        assert_eq!(lines(&mut tail), ["a\u{fffd}\u{0}b"]);
    }

    #[test]
    fn cuts_a_line_of_a_megabyte_and_leaks_no_half_secret() {
        let redactor = Redactor::knowing(&[SecretString::from("SECRETSECRET")]);
        let mut text = vec![b'x'; LONGEST_LINE - 5];
        text.extend_from_slice(b"SECRETSECRET");
        text.resize(1024 * 1024, b'y');
        text.extend_from_slice(b"\nnext\n");
        let (_writer, mut tail) = tail(&text, &redactor);
        let mut all = Vec::new();
        tail.rest(|line| all.push(line.to_owned())).unwrap();
        assert_eq!(all.len(), 2);
        assert!(!all[0].contains('S'), "half a secret is left");
        assert!(all[0].len() < LONGEST_LINE + 100 && all[0].ends_with("was cut here]"));
        assert_eq!(all[1], "next");
    }

    #[test]
    fn keeps_memory_bounded_without_any_line_end() {
        let (_writer, mut tail) = tail(&vec![b'x'; 3 * 1024 * 1024], &Redactor::default());
        assert!(lines(&mut tail).is_empty());
        assert!(tail.line.len() <= LONGEST_LINE);
    }
}
