use std::io::{Cursor, Read};

use super::*;

/// Reads all chunks of some stored bytes.
fn chunks(
    stored: impl Read + Send + 'static,
    usual: usize,
    longest: usize,
) -> Vec<(u64, Kind, Vec<u8>, Option<String>)> {
    let mut stream = ChunkStream::new(Content::new(Box::new(stored)), Limits { usual, longest });
    let mut buffer = Buffer::default();
    let mut chunks = Vec::new();
    loop {
        let Some(chunk) = stream.next(&mut buffer) else { continue };
        let end = chunk.end.map(|end| match end {
            End::Whole => String::new(),
            End::Damaged(damage) => damage.0,
        });
        let over = end.is_some();
        chunks.push((chunk.offset, chunk.kind, buffer.filled().to_vec(), end));
        if over {
            return chunks;
        }
    }
}

fn of(bytes: &[u8], usual: usize, longest: usize) -> Vec<(u64, Kind, Vec<u8>, Option<String>)> {
    chunks(Cursor::new(bytes.to_vec()), usual, longest)
}

/// Chunks are the bytes, in order, at the offsets they say.
fn assert_complete(chunks: &[(u64, Kind, Vec<u8>, Option<String>)], bytes: &[u8]) {
    let mut offset = 0;
    for (at, _, chunk, _) in chunks {
        assert_eq!(*at, offset);
        assert_eq!(chunk[..], bytes[offset as usize..offset as usize + chunk.len()]);
        offset += chunk.len() as u64;
    }
    assert_eq!(offset, bytes.len() as u64);
}

fn documents(count: usize, between: &str) -> String {
    let document = |i: usize| {
        format!(
            "{{\"eventType\":\"Send\",\"mail\":{{\"messageId\":\"{i}\",\"tags\":[{{\"a\":1}},{{\"b\":\"}}{{\"}}]}}}}"
        )
    };
    (0..count).map(document).collect::<Vec<_>>().join(between)
}

fn parses(chunk: &[u8]) -> usize {
    let values = serde_json::Deserializer::from_slice(chunk).into_iter::<serde_json::Value>();
    let mut count = 0;
    for value in values {
        value.expect("a chunk has whole documents");
        count += 1;
    }
    count
}

#[test]
fn streams_of_documents_are_cut_between_them_whatever_stands_there() {
    for between in ["\n", "\r\n", "", " ", "\n\n\n"] {
        let bytes = documents(500, between).into_bytes();
        for usual in [64, 1000, 1 << 20] {
            let chunks = of(&bytes, usual, 1 << 20);
            assert_complete(&chunks, &bytes);
            let count: usize = chunks.iter().map(|(_, _, chunk, _)| parses(chunk)).sum();
            assert_eq!(count, 500, "between {between:?}, usual {usual}");
            assert!(usual > bytes.len() || chunks.len() > 5);
        }
    }
}

#[test]
fn one_array_that_holds_everything_is_cut_between_its_elements() {
    let bytes = format!("[{}]\n{}", documents(500, ",\n"), documents(3, "\n")).into_bytes();
    let chunks = of(&bytes, 1000, 1 << 20);
    assert_complete(&chunks, &bytes);
    assert!(chunks.len() > 20);
    assert_eq!(chunks[0].1, Kind::Documents(Shape::Documents));
    assert_eq!(chunks[1].1, Kind::Documents(Shape::ArrayElements));
    for (_, _, chunk, _) in &chunks[1..10] {
        let element = chunk.trim_ascii().strip_prefix(b",").expect("elements after a comma");
        assert_eq!(element.last(), Some(&b'}'));
    }
}

#[test]
fn a_document_of_several_chunks_is_kept_whole() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let bytes = format!("{{\"b\":1}}\n{long}\n{{\"c\":2}}\n").into_bytes();
    let chunks = of(&bytes, 1000, 1 << 20);
    assert_complete(&chunks, &bytes);
    assert!(
        chunks
            .iter()
            .any(|(_, _, chunk, _)| memchr::memmem::find(chunk, long.as_bytes()).is_some())
    );
}

#[test]
fn a_record_that_is_too_long_comes_in_parts_and_the_next_one_is_read_again() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let bytes = format!("{{\"b\":1}}\n{long}\n{{\"c\":2}}\n{{\"d\":3}}\n").into_bytes();
    let chunks = of(&bytes, 1000, 20_000);
    assert_complete(&chunks, &bytes);
    let parts: Vec<u32> = chunks
        .iter()
        .filter_map(|(_, kind, _, _)| match kind {
            Kind::Overlong { part } => Some(*part),
            Kind::Documents(_) => None,
        })
        .collect();
    assert_eq!(parts, (1..=parts.len() as u32).collect::<Vec<_>>());
    assert!(chunks.iter().all(|(_, _, chunk, _)| chunk.len() <= 20_000));
    let after: Vec<_> = chunks
        .iter()
        .skip_while(|(_, kind, _, _)| *kind != Kind::Overlong { part: parts.len() as u32 })
        .skip(1)
        .collect();
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].1, Kind::Documents(Shape::Documents));
    assert_eq!(after[0].2, b"{\"c\":2}\n{\"d\":3}\n");
}

#[test]
fn bytes_without_any_boundary_are_bounded_and_complete() {
    for byte in [0u8, b'{', b'"', b'\n', b'x', 0xff] {
        let bytes = vec![byte; 100_000];
        let chunks = of(&bytes, 1000, 8000);
        assert_complete(&chunks, &bytes);
        assert!(chunks.iter().all(|(_, _, chunk, _)| chunk.len() <= 8000), "byte {byte}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped_and_offsets_know_it() {
    let chunks = of(b"\xef\xbb\xbf{}\n", 1000, 8000);
    assert_eq!(chunks.len(), 1);
    assert_eq!((chunks[0].0, chunks[0].2.as_slice()), (3, &b"{}\n"[..]));
    assert_eq!(
        of(b"", 1000, 8000),
        [(0, Kind::Documents(Shape::Documents), Vec::new(), Some(String::new()))]
    );
}

#[test]
fn a_damaged_object_ends_with_its_last_whole_document() {
    let text = documents(50_000, "\n");
    let stored = zstd::encode_all(text.as_bytes(), 1).expect("memory");
    let chunks = of(&stored[..stored.len() / 2], 1000, 1 << 20);
    let read: Vec<u8> = chunks.iter().flat_map(|(_, _, chunk, _)| chunk.clone()).collect();
    assert!(text.as_bytes().starts_with(&read));
    assert_eq!(read.trim_ascii_end().last(), Some(&b'}'));
    assert!(parses(&read) > 100);
    let damage = chunks.last().and_then(|(_, _, _, end)| end.clone()).expect("an end");
    assert!(damage.starts_with("its zstd data ends too early"), "{damage}");
}

#[test]
fn what_is_compressed_twice_is_refused() {
    let once = zstd::encode_all(&b"{}\n"[..], 1).expect("memory");
    let twice = zstd::encode_all(&once[..], 1).expect("memory");
    let chunks = of(&twice, 1000, 8000);
    assert_eq!(chunks.len(), 1);
    assert!(chunks[0].2.is_empty());
    assert!(chunks[0].3.as_deref().expect("an end").contains("compressed once more"));
}

/// Gives its pieces one by one and is quiet in between.
struct Slow(Vec<Option<Vec<u8>>>);

impl Read for Slow {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        match self.0.pop() {
            None => Ok(0),
            Some(None) => Err(std::io::ErrorKind::WouldBlock.into()),
            Some(Some(mut piece)) => {
                let count = target.len().min(piece.len());
                target[..count].copy_from_slice(&piece[..count]);
                if count < piece.len() {
                    self.0.push(Some(piece.split_off(count)));
                }
                Ok(count)
            }
        }
    }
}

#[test]
fn a_quiet_stream_gives_the_documents_it_has() {
    let piece = |text: &str| Some(text.as_bytes().to_vec());
    let pieces = vec![
        piece("  {\"first\":\"document\"}\n{\"a\""),
        None,
        piece(":1}"),
        None,
        None,
        piece("\n"),
        None,
    ];
    let chunks = chunks(Slow(pieces.into_iter().rev().collect()), 1000, 8000);
    let texts: Vec<&[u8]> = chunks.iter().map(|(_, _, chunk, _)| chunk.as_slice()).collect();
    assert_eq!(texts, [&b"  {\"first\":\"document\"}\n"[..], b"{\"a\":1}", b"\n"]);
}

#[test]
fn white_space_without_end_does_not_take_forever() {
    let mut bytes = b"{}".to_vec();
    bytes.resize(8 << 20, b'\n');
    bytes.extend_from_slice(b"]{}");
    let begun = std::time::Instant::now();
    assert_complete(&of(&bytes, 4 << 20, 64 << 20), &bytes);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "quadratic");
}
