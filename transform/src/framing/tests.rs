use super::*;

/// Every cut that the splitter gives when it is fed in pieces of `size` bytes, and the shape there.
fn cuts(text: &str, size: usize) -> Vec<(usize, Shape)> {
    let mut splitter = Splitter::new();
    let mut found = Vec::new();
    for (i, piece) in text.as_bytes().chunks(size).enumerate() {
        if let Some(cut) = splitter.advance(piece) {
            found.push((i * size + cut.at, cut.shape));
        }
    }
    found
}

#[test]
fn a_line_end_between_documents_is_a_boundary() {
    assert_eq!(last_boundary(b"{\"a\":1}\n{\"b\":2}\n{\"c\""), Some(16));
    assert_eq!(last_boundary(b"{\"a\":1} \r\n \n {\"b\""), Some(12));
}

#[test]
fn a_line_end_inside_a_document_is_not_a_boundary() {
    assert_eq!(last_boundary(b"{\n\"a\": [\n{\n},\n{\n}\n]\n}\n"), None);
    assert_eq!(last_boundary(b"{\"a\":1}{\"b\":2}"), None);
    assert_eq!(last_boundary(b""), None);
}

#[test]
fn documents_without_line_ends_are_cut_apart() {
    let text = r#"{"a":"}{"}{"b":{"c":[1,2]}}{"d":"\"}{"}"#;
    assert_eq!(
        cuts(text, 1),
        vec![(10, Shape::Documents), (27, Shape::Documents), (39, Shape::Documents)]
    );
    assert_eq!(cuts(text, 1000), vec![(39, Shape::Documents)]);
}

#[test]
fn a_top_level_array_is_cut_behind_its_elements() {
    let text = "[{\"a\":[{}]},\n {\"b\":2}]\n{\"c\":3}";
    assert_eq!(
        cuts(text, 1),
        vec![
            (11, Shape::ArrayElements),
            (21, Shape::ArrayElements),
            (22, Shape::Documents),
            (30, Shape::Documents)
        ]
    );
}

#[test]
fn a_document_cut_off_inside_a_string_hides_nothing_behind_its_line() {
    let text = "{\"a\":\"cut of\n{\"b\":2}\n{\"c\":3}\n";
    assert_eq!(cuts(text, 1).last(), Some(&(28, Shape::Documents)));
    assert_eq!(cuts(text, 1000), vec![(28, Shape::Documents)]);
}

#[test]
fn a_document_cut_off_between_tokens_hides_nothing_behind_its_line() {
    let text = "{\"a\":{\"x\":1}\n{\"b\":2}\n{\"c\":3}\n";
    assert_eq!(cuts(text, 1).last(), Some(&(28, Shape::Documents)));
}

#[test]
fn the_pieces_do_not_matter() {
    let mut text = String::new();
    for i in 0..200 {
        let escapes = "\\\\".repeat(i % 5);
        text.push_str(&format!("{{\"k{i}\":\"{escapes}\\\"{{[\",\"l\":[{{}},[{i}]]}}"));
        if i % 3 == 0 {
            text.push('\n');
        }
    }
    let all = cuts(&text, 1);
    assert_eq!(all.len(), 200);
    for size in [2, 7, 63, 64, 65, 128, 1000] {
        for cut in cuts(&text, size) {
            assert!(all.contains(&cut), "pieces of {size} give {cut:?}");
        }
    }
}
