//! What the bytes of an object are: responsible for recognising compression by content, never by
//! name, and for undoing it as a stream: gzip with any number of members, zstd with any number of
//! frames, or plain text.
//!
//! Invariant: every byte before the place where a stream is damaged comes out before the damage is
//! reported.
//!
//! Memory: one read buffer of 128 KiB and the decompressor's window (zstd: at most 128 MiB, and
//! only for files compressed with such a window).

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

/// Bytes read from the source at a time when they have to be decompressed.
const READ_BYTES: usize = 128 * 1024;
/// Bytes that are enough to recognise every format.
const HEAD_BYTES: usize = 16;

const READABLE: &str = "hearback reads JSON, plain or compressed with gzip or zstd";

/// What a stream of bytes begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    Zstd,
    /// Something that is no feedback, by its name.
    Foreign(&'static str),
}

impl Format {
    /// Recognises a format by its magic number; whatever has none is plain.
    pub(crate) fn of(head: &[u8]) -> Self {
        const MAGIC: [(&[u8], Format); 16] = [
            (&[0x1f, 0x8b], Format::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Format::Zstd),
            (b"PAR1", Format::Foreign("a Parquet file")),
            (b"PK\x03\x04", Format::Foreign("a ZIP archive")),
            (b"PK\x05\x06", Format::Foreign("an empty ZIP archive")),
            (b"\xff\x06\x00\x00sNaPpY", Format::Foreign("compressed with Snappy")),
            (b"\x82SNAPPY\x00", Format::Foreign("compressed with Snappy")),
            (b"BZh", Format::Foreign("compressed with bzip2")),
            (b"\xfd7zXZ\x00", Format::Foreign("compressed with xz")),
            (b"\x04\x22\x4d\x18", Format::Foreign("compressed with LZ4")),
            (b"7z\xbc\xaf\x27\x1c", Format::Foreign("a 7z archive")),
            (b"Obj\x01", Format::Foreign("an Avro file")),
            (b"ORC", Format::Foreign("an ORC file")),
            (b"SQLite format 3\0", Format::Foreign("an SQLite database")),
            (b"\xff\xfe", Format::Foreign("UTF-16 text")),
            (b"\xfe\xff", Format::Foreign("UTF-16 text")),
        ];
        for (magic, format) in MAGIC {
            if head.starts_with(magic) {
                return format;
            }
        }
        // RFC 8878 section 3.1.2: a skippable frame may come before the first one with content.
        if head.len() >= 4 && (0x50..=0x5f).contains(&head[0]) && head[1..4] == [0x2a, 0x4d, 0x18] {
            return Self::Zstd;
        }
        match head {
            [b'{' | b'[', 0, second, 0, ..] if *second != 0 => Self::Foreign("UTF-16 text"),
            [0, b'{' | b'[', 0, second, ..] if *second != 0 => Self::Foreign("UTF-16 text"),
            _ => Self::Plain,
        }
    }
}

/// The object's bytes ended badly. What was read before stays read.
#[derive(Debug)]
pub(crate) struct Damage(pub(crate) String);

impl Damage {
    /// For content nobody here reads.
    pub(crate) fn foreign(what: &str) -> Self {
        Self(format!("cannot be read: it is {what}; {READABLE}"))
    }
}

/// How reading into a buffer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// As far as was asked for.
    Goal,
    /// Nothing more for now; the stream is quiet but not at its end.
    Idle,
    /// To the end of the object.
    End,
}

/// The raw bytes of an object, whatever holds them.
pub(crate) type Raw = Box<dyn Read + Send>;

/// The decompressed bytes of an object.
pub(crate) struct Content {
    decoding: Decoding,
    compression: Option<&'static str>,
    stored: Arc<AtomicU64>,
}

enum Decoding {
    /// Too little seen to tell.
    Unknown {
        source: Counted,
        head: Vec<u8>,
    },
    Plain(io::Chain<Cursor<Vec<u8>>, Counted>),
    Gzip(Box<Gunzip>),
    Zstd(zstd::Decoder<'static, Compressed>),
    /// Ended, well or badly.
    Over,
}

impl Content {
    pub(crate) fn new(raw: Raw) -> Self {
        let stored = Arc::new(AtomicU64::new(0));
        let source = Counted { raw, stored: Arc::clone(&stored) };
        let decoding = Decoding::Unknown { source, head: Vec::with_capacity(HEAD_BYTES) };
        Self { decoding, compression: None, stored }
    }

    /// Bytes taken from the source so far, as stored.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Whether the object is compressed; `false` until its beginning was seen.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// Reads into `target` and gives back how many bytes were read, and how it ended.
    pub(crate) fn fill(&mut self, target: &mut [u8]) -> (usize, Result<Filled, Damage>) {
        let mut filled = 0;
        loop {
            if filled == target.len() {
                return (filled, Ok(Filled::Goal));
            }
            match self.read(&mut target[filled..]) {
                Ok(0) => {
                    self.decoding = Decoding::Over;
                    return (filled, Ok(Filled::End));
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (filled, Ok(Filled::Idle));
                }
                Err(error) => {
                    let damage = self.damage(&error);
                    self.decoding = Decoding::Over;
                    return (filled, Err(damage));
                }
            }
        }
    }

    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.decoding {
                Decoding::Unknown { .. } => self.recognise()?,
                Decoding::Plain(source) => return source.read(target),
                Decoding::Gzip(members) => return members.read(target),
                Decoding::Zstd(frames) => return frames.read(target),
                Decoding::Over => return Ok(0),
            }
        }
    }

    /// Reads the beginning and decides. May be interrupted by a quiet stream, and goes on after it.
    fn recognise(&mut self) -> io::Result<()> {
        let Decoding::Unknown { source, head } = &mut self.decoding else { return Ok(()) };
        let mut piece = [0; HEAD_BYTES];
        while head.len() < HEAD_BYTES {
            let count = source.read(&mut piece[..HEAD_BYTES - head.len()])?;
            if count == 0 {
                break;
            }
            head.extend_from_slice(&piece[..count]);
        }
        let format = Format::of(head);
        if let Format::Foreign(what) = format {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is {what}; {READABLE}"),
            ));
        }
        let Decoding::Unknown { source, head } =
            std::mem::replace(&mut self.decoding, Decoding::Over)
        else {
            return Ok(());
        };
        self.compression = match format {
            Format::Gzip => Some("gzip"),
            Format::Zstd => Some("zstd"),
            Format::Plain | Format::Foreign(_) => None,
        };
        let source = Cursor::new(head).chain(source);
        self.decoding = match format {
            Format::Gzip => {
                Decoding::Gzip(Box::new(Gunzip::new(BufReader::with_capacity(READ_BYTES, source))))
            }
            Format::Zstd => Decoding::Zstd(zstd::Decoder::with_buffer(BufReader::with_capacity(
                READ_BYTES, source,
            ))?),
            _ => Decoding::Plain(source),
        };
        Ok(())
    }

    fn damage(&self, error: &io::Error) -> Damage {
        let Some(kind) = self.compression else {
            return Damage(format!("cannot be read: {error}"));
        };
        if error.raw_os_error().is_some() {
            return Damage(format!(
                "cannot be read to its end: {error}; what came before was read"
            ));
        }
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends too early, it was cut off".to_owned(),
            _ => format!("is damaged ({error})"),
        };
        Damage(format!(
            "its {kind} data {what}; what came before was read, and it will be read again once it is repaired"
        ))
    }
}

/// Compressed bytes: those that were looked at to tell the format, then the rest.
type Compressed = BufReader<io::Chain<Cursor<Vec<u8>>, Counted>>;

/// gzip members, one after the other (RFC 1952 section 2.2: a file is a series of members).
struct Gunzip {
    member: Member,
}

enum Member {
    Inside(Box<GzDecoder<Compressed>>),
    Between(Compressed),
    Over,
}

impl Gunzip {
    fn new(source: Compressed) -> Self {
        Self { member: Member::Inside(Box::new(GzDecoder::new(source))) }
    }

    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.member {
                Member::Inside(member) => {
                    let count = member.read(target)?;
                    if count > 0 {
                        return Ok(count);
                    }
                    let Member::Inside(member) = std::mem::replace(&mut self.member, Member::Over)
                    else {
                        return Ok(0);
                    };
                    self.member = Member::Between(member.into_inner());
                }
                Member::Between(source) => {
                    let next = source.fill_buf()?;
                    match next.first() {
                        None => self.member = Member::Over,
                        // gzip(1): "trailing zero bytes" pad tapes and blocks, and are ignored.
                        Some(0) => source.consume(1),
                        Some(0x1f) => {
                            let Member::Between(source) =
                                std::mem::replace(&mut self.member, Member::Over)
                            else {
                                return Ok(0);
                            };
                            self.member = Member::Inside(Box::new(GzDecoder::new(source)));
                        }
                        Some(_) => {
                            return Err(io::Error::new(
                                io::ErrorKind::InvalidData,
                                "there are other bytes behind its end",
                            ));
                        }
                    }
                }
                Member::Over => return Ok(0),
            }
        }
    }
}

/// Counts what is taken from the source.
struct Counted {
    raw: Raw,
    stored: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(target)?;
        self.stored.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn read_all(stored: Vec<u8>) -> (Vec<u8>, Result<Filled, String>) {
        let mut content = Content::new(Box::new(Cursor::new(stored)));
        let mut target = vec![0; 8 << 20];
        let (count, end) = content.fill(&mut target);
        target.truncate(count);
        (target, end.map_err(|damage| damage.0))
    }

    #[test]
    fn every_compression_is_recognised_by_content() {
        let text = b"{\"eventType\":\"Send\"}\n".repeat(1000);
        let zstd = zstd::encode_all(&text[..], 1).expect("memory");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], &zstd].concat();
        for stored in [text.clone(), gzip(&text), zstd, skippable] {
            assert_eq!(read_all(stored), (text.clone(), Ok(Filled::End)));
        }
    }

    #[test]
    fn members_and_frames_behind_one_another_are_one_stream() {
        let two = [gzip(b"one\n"), gzip(b""), gzip(b"two\n")].concat();
        assert_eq!(read_all(two), (b"one\ntwo\n".to_vec(), Ok(Filled::End)));
        let padded = [gzip(b"one\n"), vec![0; 700]].concat();
        assert_eq!(read_all(padded), (b"one\n".to_vec(), Ok(Filled::End)));
        let frames = [
            zstd::encode_all(&b"one\n"[..], 1).expect("memory"),
            zstd::encode_all(&b"two\n"[..], 1).expect("memory"),
        ]
        .concat();
        assert_eq!(read_all(frames), (b"one\ntwo\n".to_vec(), Ok(Filled::End)));
    }

    #[test]
    fn a_truncated_stream_gives_what_it_has_and_then_says_so() {
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|i| format!("{}\n", i.wrapping_mul(2_654_435_761)).into_bytes())
            .collect();
        for (stored, kind) in
            [(gzip(&text), "gzip"), (zstd::encode_all(&text[..], 1).expect("memory"), "zstd")]
        {
            let (read, end) = read_all(stored[..stored.len() / 2].to_vec());
            assert!(
                read.len() > text.len() / 4 && text.starts_with(&read),
                "{kind}: {} bytes",
                read.len()
            );
            let problem = end.expect_err("damage");
            assert!(problem.starts_with(&format!("its {kind} data ends too early")), "{problem}");
        }
    }

    #[test]
    fn damage_and_foreign_content_are_named() {
        let mut flipped = gzip(&b"{}\n".repeat(1000));
        let last = flipped.len() - 6;
        flipped[last] ^= 0xff;
        let (_, end) = read_all(flipped);
        assert!(end.expect_err("damage").starts_with("its gzip data is damaged"));

        for (stored, name) in [
            (&b"PAR1\x15\x04"[..], "a Parquet file"),
            (b"PK\x03\x04\x14", "a ZIP archive"),
            (b"\xff\xfe{\0\"\0", "UTF-16 text"),
            (b"{\0\"\0", "UTF-16 text"),
            (b"\xff\x06\x00\x00sNaPpY\x01", "compressed with Snappy"),
        ] {
            let (read, end) = read_all(stored.to_vec());
            assert!(read.is_empty());
            assert_eq!(
                end.expect_err("refused"),
                format!("cannot be read: it is {name}; {READABLE}")
            );
        }
        assert_eq!(read_all(Vec::new()), (Vec::new(), Ok(Filled::End)));
    }
}
