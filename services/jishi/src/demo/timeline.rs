//! How a story is shown while it happens.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use indicatif::ProgressBar;
use kernel::Instant;

/// What somebody is called, in Chinese and English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// In Chinese.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
}

/// The exchange, when the time or a rule acts.
pub const EXCHANGE: Who = Who { zh: "交易平台", en: "exchange" };

/// Somebody who only watches.
pub const SPECTATOR: Who = Who { zh: "观众", en: "spectator" };

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The exchange's time.
    pub at: Instant,
    /// Who did it.
    pub who: Who,
    /// What was done, in Chinese and English.
    pub what: (String, String),
    /// What came of it.
    pub result: String,
}

/// Observes a story.
pub trait Timeline: Send + Sync {
    /// A new chapter begins.
    fn chapter(&self, zh: &str, en: &str);
    /// Something happened.
    fn entry(&self, entry: &Entry);
}

/// Shows nothing.
pub struct Silent;

impl Timeline for Silent {
    fn chapter(&self, _: &str, _: &str) {}
    fn entry(&self, _: &Entry) {}
}

/// Writes aligned lines, and moves a spinner where there is a terminal.
pub struct Printed<W: Write + Send> {
    out: Mutex<W>,
    spinner: ProgressBar,
}

const WHO: usize = 21;
const WHAT: usize = 73;

impl<W: Write + Send> Printed<W> {
    /// Writes to `out`. The spinner is on the error output, and only if that is a terminal.
    pub fn new(out: W) -> Self {
        let spinner = ProgressBar::new_spinner();
        spinner.enable_steady_tick(std::time::Duration::from_millis(100));
        Self { out: Mutex::new(out), spinner }
    }

    /// Writes one line as it is. A reader who has gone away stops nothing.
    pub fn line(&self, line: &str) {
        self.spinner.suspend(|| {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        });
    }

    /// Ends the spinner.
    pub fn finish(&self) {
        self.spinner.finish_and_clear();
    }
}

impl<W: Write + Send> Timeline for Printed<W> {
    fn chapter(&self, zh: &str, en: &str) {
        self.spinner.set_message(format!("{zh} {en}"));
        self.line(&format!("\n── {zh} · {en}"));
    }

    fn entry(&self, entry: &Entry) {
        let who = padded(&format!("{} {}", entry.who.zh, entry.who.en), WHO);
        let what = padded(&format!("{} · {}", entry.what.0, entry.what.1), WHAT);
        self.line(format!("{}  {who} {what} {}", china_time(entry.at), entry.result).trim_end());
    }
}

/// Month, day and time in China Standard Time.
#[must_use]
pub fn china_time(at: Instant) -> String {
    at.plus_seconds(8 * 3_600).utc().format("%m-%d %H:%M:%S").to_string()
}

fn padded(text: &str, width: usize) -> String {
    let columns: usize = text.chars().map(columns).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(columns)))
}

/// Columns that a terminal gives to a character: two to Chinese characters and full-width marks.
fn columns(character: char) -> usize {
    let wide = matches!(u32::from(character), 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x20000..=0x3FFFD);
    if wide { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_time_is_chinas() {
        assert_eq!(padded("竞买人甲 A", 12), "竞买人甲 A  ");
        assert_eq!(padded("（G10：≤ 3）", 4), "（G10：≤ 3）");
        assert_eq!(china_time(Instant(1_790_000_000_000)), "09-21 22:13:20");
    }
}
