//! The same traffic as objects: named as Firehose names what it puts into S3, some compressed, some
//! without line ends.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::dice::Derived;
use super::text::{DAY, HOUR, MINUTE, SECOND, civil};
use super::transport::Transport;
use super::{CHUNK, Progress, Scenario, Tally, truth};

/// Writes the scenario into `count` objects (at least one) under `dir`, of about equally many
/// documents each, named `YYYY/MM/DD/HH/email-feedback-1-YYYY-MM-DD-HH-MM-SS-uuid` by the arrival of
/// their first document, and returns what was written. Every third or so is gzip, half of those
/// without `.gz` in their name. The files hold the documents of [`super::write()`], though not
/// wrapped the same way: each object has one shape.
///
/// An object is complete when it has its name: it is written under a name that begins with a dot
/// first. The scenario is simulated twice, the first time to count documents.
///
/// # Errors
///
/// Of creating folders and files and of writing them.
pub fn write_files(
    scenario: &Scenario,
    dir: &Path,
    count: usize,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<Tally> {
    let count = count.max(1) as u64;
    let per_object = truth(scenario).documents.div_ceil(count).max(1);
    let mut transport = Transport::new(scenario);
    let mut chunk = Vec::with_capacity(CHUNK * 2);
    let mut bytes = 0;
    for number in 0..count {
        let mut traits = Derived::new(scenario.seed, number, 7);
        let last = number + 1 == count;
        let until = if last { u64::MAX } else { transport.documents() + per_object };
        transport.begin_object(u64::MAX);
        chunk.clear();
        if !transport.document(&mut chunk) {
            break;
        }
        let compressed = traits.below(3) == 0;
        let object = name(transport.last_arrival(), compressed, &mut traits);
        let path = dir.join(&object);
        // The name has folders in it, and the folder exists before the file.
        let folder = path.parent().unwrap_or(dir);
        fs::create_dir_all(folder)?;
        let unfinished = folder.join(format!(".unfinished-{number}"));
        let file = fs::File::create(&unfinished)?;
        let mut sink = if compressed {
            Sink::Gzip(Box::new(GzEncoder::new(file, Compression::fast())))
        } else {
            Sink::Plain(file)
        };
        loop {
            let more = transport.documents() < until && transport.document(&mut chunk);
            if !more {
                transport.finish(&mut chunk);
            }
            if chunk.len() >= CHUNK || !more {
                sink.write_all(&chunk)?;
                bytes += chunk.len() as u64;
                chunk.clear();
                let messages = transport.messages();
                progress(Progress { messages, of: scenario.messages, bytes });
            }
            if !more {
                break;
            }
        }
        sink.finish()?;
        fs::rename(&unfinished, &path)?;
    }
    Ok(transport.into_tally(bytes))
}

enum Sink {
    Plain(fs::File),
    Gzip(Box<GzEncoder<fs::File>>),
}

impl Sink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Gzip(encoder) => encoder.finish()?.flush(),
        }
    }
}

fn name(arrival: i64, compressed: bool, traits: &mut Derived) -> String {
    let (year, month, day) = civil(arrival.div_euclid(DAY));
    let of_day = arrival.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / HOUR, of_day / MINUTE % 60, of_day / SECOND % 60);
    let mut uuid = Vec::new();
    let (high, low) = (traits.next(), traits.next());
    super::text::Pen::new(&mut uuid, true).uuid(high, low);
    let uuid = String::from_utf8_lossy(&uuid);
    let suffix = if compressed && traits.below(2) == 0 { ".gz" } else { "" };
    format!(
        "{year:04}/{month:02}/{day:02}/{hour:02}/email-feedback-1-{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}-{uuid}{suffix}"
    )
}
