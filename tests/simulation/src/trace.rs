//! What happened, in order: a hash of everything, and the end of it as text when somebody wants to read it.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    hash::{DefaultHasher, Hasher},
    time::Duration,
};

/// Lines that are kept for a reader.
const TAIL: usize = 4_000;

/// Whether lines are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The hash only.
    #[default]
    Hash,
    /// The last lines as well.
    Tail,
}

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    keep: Keep,
    hash: DefaultHasher,
    line: String,
    tail: VecDeque<String>,
    lines: u64,
}

impl Trace {
    /// An empty record.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// Adds a line.
    pub fn note(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{:>12.6} {what}", now.as_secs_f64());
        self.hash.write(self.line.as_bytes());
        self.lines += 1;
        if self.keep == Keep::Tail {
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(self.line.clone());
        }
    }

    /// The hash of all lines so far.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// How many lines there were.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The last lines, when they are kept.
    pub fn tail(&self) -> impl Iterator<Item = &str> {
        self.tail.iter().map(String::as_str)
    }
}
