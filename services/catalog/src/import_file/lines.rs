//! NDJSON: one row per line.

use std::io::{BufRead, BufReader, Read};

use contracts::hub::catalog::v1::ImportRow;

use super::{RowError, json};

/// Longest line that is read; the rest of a longer one is skipped.
const MAX_LINE: u64 = 1024 * 1024;

/// The rows of NDJSON text, one per line.
pub fn read_ndjson<R: Read + Send>(
    file: R,
) -> impl Iterator<Item = Result<ImportRow, RowError>> + Send {
    Lines {
        reader: BufReader::with_capacity(64 * 1024, file),
        line: 0,
        buffer: Vec::new(),
        failed: false,
    }
}

struct Lines<R> {
    reader: BufReader<R>,
    line: i64,
    buffer: Vec<u8>,
    failed: bool,
}

impl<R: Read> Lines<R> {
    /// Reads the next line into the buffer. Returns how many bytes it has; 0 at the end.
    fn fill(&mut self) -> std::io::Result<usize> {
        self.buffer.clear();
        self.line += 1;
        (&mut self.reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut self.buffer)
    }

    fn skip_rest(&mut self) -> std::io::Result<()> {
        loop {
            let available = self.reader.fill_buf()?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(available.len(), |position| position + 1);
            let at_end = available.is_empty();
            self.reader.consume(used);
            if end.is_some() || at_end {
                return Ok(());
            }
        }
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<ImportRow, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.failed {
                return None;
            }
            match self.fill() {
                Ok(0) => return None,
                Ok(length) if length as u64 == MAX_LINE && !self.buffer.ends_with(b"\n") => {
                    if let Err(error) = self.skip_rest() {
                        self.failed = true;
                        return Some(Err(RowError::of_line(self.line, error)));
                    }
                    return Some(Err(RowError::of_line(self.line, "is longer than 1 MiB")));
                }
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(RowError::of_line(self.line, error)));
                }
            }
            let Ok(text) = std::str::from_utf8(&self.buffer) else {
                return Some(Err(RowError::of_line(self.line, "is not UTF-8")));
            };
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Some(json::row(text, self.line));
            }
        }
    }
}
