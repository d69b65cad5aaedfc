//! Progress of an application on stderr: a bar on a terminal, a line every ten seconds otherwise.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Session;
use crate::ops::logs::LogFormat;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How one application is shown while it goes on.
pub(super) struct Shown {
    quiet: bool,
    format: LogFormat,
    segment: String,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Shown {
    pub(super) fn new(session: &Session, segment: &str) -> Self {
        let text = !session.quiet && session.log_format == LogFormat::Text;
        let bar = (text && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            // The template is a constant that parses; a plain bar is the fallback.
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta} left")
            {
                bar.set_style(style);
            }
            bar.set_message(segment.to_owned());
            bar
        });
        Self {
            quiet: session.quiet,
            format: session.log_format,
            segment: segment.to_owned(),
            bar,
            last_line: Mutex::new(Instant::now()),
        }
    }

    /// So many changes of so many are done.
    pub(super) fn update(&self, done: u64, of: u64) {
        if self.quiet || of == 0 {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            return;
        }
        let Ok(mut last) = self.last_line.lock() else { return };
        if last.elapsed() < LINE_EVERY {
            return;
        }
        *last = Instant::now();
        match self.format {
            LogFormat::Json => tracing::info!(segment = self.segment, done, of, "progress"),
            LogFormat::Text => eprintln!("{}: {done} of {of} changes", self.segment),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
