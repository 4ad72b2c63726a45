//! Whole messages, NumPy's recorded answers, and laws.

use proptest::prelude::*;

use super::*;

fn select(shape: &[usize], text: &str) -> Result<(Shape, Vec<usize>)> {
    let shape = Shape::new(shape)?;
    let selection = Index::parse(text.as_bytes())?.resolve(&shape)?;
    Ok((selection.out_shape().clone(), selection.positions(&shape).collect()))
}

fn message(shape: &[usize], text: &str) -> String {
    select(shape, text).expect_err(text).to_string()
}

#[test]
fn ok_integers_and_slices() {
    for (text, out, positions) in [
        ("", "(3, 4)", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11][..]),
        ("()", "(3, 4)", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("1", "(4,)", &[4, 5, 6, 7]),
        ("-1, -1", "()", &[11]),
        ("..., 1:3", "(3, 2)", &[1, 2, 5, 6, 9, 10]),
        ("::-2, 0", "(2,)", &[8, 0]),
        (" 1 : , None , 3 ", "(2, 1)", &[7, 11]),
        ("5:, 0", "(0,)", &[]),
        (":99999999999999999999, -99999999999999999999::99999999999999999999", "(3, 1)", &[0, 4, 8]),
    ] {
        let (got, got_positions) = select(&[3, 4], text).unwrap();
        assert_eq!((got.to_string().as_str(), &got_positions[..]), (out, positions), "{text}");
    }
}

#[test]
fn ok_lists() {
    for (text, out, positions) in [
        ("[0,-1], 1", "(2,)", &[1, 9][..]),
        ("[[2], [0]], [0, 3]", "(2, 2)", &[8, 11, 0, 3]),
        ("[True, false, TRUE], 0", "(2,)", &[0, 8]),
        ("1, [0, 0, 1]", "(3,)", &[4, 4, 5]),
        ("[1], None, [2]", "(1, 1)", &[6]),
        ("[]", "(0, 4)", &[]),
        ("True, 1, 1", "(1,)", &[5]),
        ("False, [99]", "(0, 4)", &[]),
    ] {
        let (got, got_positions) = select(&[3, 4], text).unwrap();
        assert_eq!((got.to_string().as_str(), &got_positions[..]), (out, positions), "{text}");
    }
}

#[test]
fn err_text_says_the_column_and_what_is_wrong() {
    for (text, want) in [
        ("1.5", "INDEX column 1: '1.5' is not an integer"),
        ("0, 1e3", "INDEX column 4: '1e3' is not an integer"),
        (".5", "INDEX column 1: '.5' is not an integer"),
        ("[0, nan]", "INDEX column 5: 'nan' is not an index (use integers, slices, lists, ..., None, True, False)"),
        ("foo", "INDEX column 1: 'foo' is not an index (use integers, slices, lists, ..., None, True, False)"),
        ("..., 0, ...", "INDEX column 9: a second '...' (an index has at most one)"),
        ("0, ::0", "INDEX column 6: a slice step of 0 (use 1 or more, or -1 or less)"),
        ("0,,1", "INDEX column 3: an index is missing before ','"),
        (",", "INDEX column 1: an index is missing before ','"),
        ("0 1", "INDEX column 3: '1' where ',' should stand"),
        ("0]", "INDEX column 2: ']' where ',' should stand"),
        ("0)", "INDEX column 2: ')' where ',' should stand"),
        ("(0", "INDEX column 3: the text ends before ')'"),
        ("(0 1)", "INDEX column 4: '1' where ',' or ')' should stand"),
        ("(0) 1", "INDEX column 5: '1' where the end of the text should stand"),
        ("0x1", "INDEX column 1: '0x1' is not an integer"),
        ("1_000", "INDEX column 1: '1_000' is not an integer"),
        ("-", "INDEX column 2: the text ends where an integer should stand"),
        ("--1", "INDEX column 2: '-' where an integer should stand"),
        ("1:x", "INDEX column 3: 'x' is not an index (use integers, slices, lists, ..., None, True, False)"),
        ("1:True", "INDEX column 3: a slice is made of integers (as in 0:10:2)"),
        ("1:2:3:4", "INDEX column 6: ':' where ',' should stand"),
        ("[0", "INDEX column 3: the text ends before ']'"),
        ("[0,", "INDEX column 4: the text ends before ']'"),
        ("[,]", "INDEX column 2: an element is missing before ','"),
        ("[0:2]", "INDEX column 3: ':' where ',' or ']' should stand"),
        ("[None]", "INDEX column 2: a list holds integers, booleans or lists of them"),
        ("[1, True]", "INDEX column 5: a list holds integers or booleans, not both"),
        ("[[0, 1], [2]]", "INDEX column 10: a ragged list: length 1 where the lists before it have length 2"),
        ("[0, [1]]", "INDEX column 5: a ragged list: a list where the others hold an element"),
        ("[[0], 1]", "INDEX column 7: a ragged list: an element where the others hold a list"),
        ("[[[0]], []]", "INDEX column 9: a ragged list: an empty list where the others hold lists"),
        ("\u{e9}", "INDEX column 1: '\u{e9}' where an integer should stand"),
        ("\r\n\0", "INDEX column 3: '\u{fffd}' where an integer should stand"),
    ] {
        assert_eq!(message(&[3, 4], text), want, "{text}");
    }
    assert_eq!(message(&[9], &"0,".repeat(129)), "INDEX column 257: an index has at most 128 parts");
    assert_eq!(message(&[9], &"[".repeat(65)), "INDEX column 65: lists nest more than 64 deep");
    assert_eq!(
        Index::parse(&vec![b' '; MAX_TEXT + 1]).unwrap_err().to_string(),
        "LIMIT an index would take 1048577 bytes, the limit is 1048576"
    );
}

#[test]
fn err_what_the_shape_does_not_hold() {
    for (text, want) in [
        ("0, 12", "INDEX axis 1: index 12 is out of bounds for length 4 (use -4 to 3)"),
        ("-4", "INDEX axis 0: index -4 is out of bounds for length 3 (use -3 to 2)"),
        ("..., [0, 4]", "INDEX axis 1: index 4 is out of bounds for length 4 (use -4 to 3)"),
        ("99999999999999999999", "INDEX axis 0: index 9223372036854775807 is out of bounds for length 3 (use -3 to 2)"),
        ("0, 0, 0", "INDEX 3 indices for an array of 2 dimensions (use at most 2)"),
        ("[[[True]]]", "INDEX 3 indices for an array of 2 dimensions (use at most 2)"),
        ("[True, False, True, True]", "INDEX axis 0: boolean list of length 4 for length 3"),
        ("...,[[True],[False],[False]]", "INDEX axis 1: boolean list of length 1 for length 4"),
        (
            "[0, 1], [0, 1, 2]",
            "INDEX lists of shapes (2,) and (3,) do not broadcast together (use equal lengths, or 1)",
        ),
        (
            "True, False, [0, 1]",
            "INDEX lists of shapes (0,) and (2,) do not broadcast together (use equal lengths, or 1)",
        ),
    ] {
        assert_eq!(message(&[3, 4], text), want, "{text}");
    }
    let many = ["None"; 63].join(",");
    assert_eq!(message(&[3, 4], &many), "SHAPE 65 dimensions given, at most 64 are allowed");
    assert_eq!(message(&[3, 4], &format!("{many},[0]")), "SHAPE 65 dimensions given, at most 64 are allowed");
    assert_eq!(message(&[0], "0"), "INDEX axis 0: index 0 is out of bounds for length 0 (the axis is empty)");
}

#[test]
fn err_a_selection_too_large_to_count_is_refused_before_it_is_built() {
    let columns: Vec<String> = (0..7)
        .map(|i| {
            let element = format!("{}0{}", "[".repeat(i), "]".repeat(i));
            format!("[{}]", vec![element; 1_000].join(","))
        })
        .collect();
    assert_eq!(
        message(&[1; 7], &columns.join(",")),
        "LIMIT the selection would take 1000000000000000000000 elements, the limit is 9223372036854775807"
    );
}

#[test]
fn small_basic_indexes_stay_off_the_heap() {
    for (dims, text) in [(&[9, 9, 9, 9][..], "1:5, ..., None, -1"), (&[9, 9, 9, 9], "0,1,2,3"), (&[5], "10:20")] {
        let index = Index::parse(text.as_bytes()).unwrap();
        let Selection::Basic(basic) = index.resolve(&Shape::new(dims).unwrap()).unwrap() else { panic!("{text}") };
        assert!(!index.items.spilled() && !basic.axes.spilled() && basic.out_shape.ndim() <= 4, "{text}");
    }
}

#[test]
fn the_longest_texts_answer() {
    for unit in [":,", "None,", "[],", "[0],", "[[],", "0,", "[", "[[0,", "True,", "...,", "(", "-", "9", " ", "\0"] {
        let text = unit.repeat(MAX_TEXT / unit.len());
        let _ = select(&[0, 3], &text);
        let _ = select(&[0, 3], &format!("[{}]", &text[..text.len() - 2]));
        let _ = parse_axes(text.as_bytes());
    }
}

#[test]
fn ok_axes() {
    for (text, want) in [
        ("0", &[0][..]),
        ("0,-1", &[0, -1]),
        (" ( 1 , 0 ) ", &[1, 0]),
        ("1,", &[1]),
        ("()", &[]),
        ("99999999999999999999", &[i64::MAX]),
    ] {
        assert_eq!(parse_axes(text.as_bytes()).unwrap(), want, "{text}");
    }
    assert_eq!(normalize_axes(&[-1, 0, 2], 4).unwrap()[..], [0, 2, 3]);
    assert_eq!(normalize_axes(&[], 0).unwrap()[..], [0; 0]);
}

#[test]
fn err_axes() {
    let parsed = |text: &[u8]| parse_axes(text).unwrap_err().to_string();
    assert_eq!(parsed(b""), "INDEX column 1: an axis is missing (as in 0 or 0,-1)");
    assert_eq!(parsed(b"0,,1"), "INDEX column 3: an axis is missing before ','");
    assert_eq!(parsed(b"1.0"), "INDEX column 1: '1.0' is not an integer");
    assert_eq!(parsed(b"x"), "INDEX column 1: 'x' is not an integer");
    let normalized = |axes: &[i64], ndim| normalize_axes(axes, ndim).unwrap_err().to_string();
    assert_eq!(normalized(&[2], 2), "INDEX axis 2 is out of bounds for an array of 2 dimensions (use -2 to 1)");
    assert_eq!(
        normalized(&[i64::MIN], 2),
        "INDEX axis -9223372036854775808 is out of bounds for an array of 2 dimensions (use -2 to 1)"
    );
    assert_eq!(normalized(&[0], 0), "INDEX axis 0 is out of bounds for an array of 0 dimensions");
    assert_eq!(normalized(&[0, 1, -2], 2), "INDEX axis 0 is named twice");
}

/// The word that stands for an error in the recorded answers.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::OutOfBounds { .. } => "bounds",
        Error::TooManyIndices { .. } => "too-many",
        Error::BooleanLength { .. } => "boolean",
        Error::ListBroadcast { .. } => "broadcast",
        Error::Rank { .. } => "rank",
        Error::IndexSyntax { what, .. } if what.contains("step") => "step",
        Error::IndexSyntax { what, .. } if what.contains("second '...'") => "ellipsis",
        Error::IndexSyntax { what, .. } if what.contains("ragged") => "ragged",
        Error::IndexSyntax { what, .. } if what.contains("deep") => "rank",
        Error::IndexSyntax { what, .. } if what.contains("parts") => "too-many",
        Error::IndexSyntax { .. } => "syntax",
        _ => "another",
    }
}

/// A selection as `tests/golden/record_index.py` writes it.
fn recorded(answer: &Result<(Shape, Vec<usize>)>) -> String {
    match answer {
        Err(error) => format!("error\t{}", kind(error)),
        Ok((shape, positions)) if positions.len() > 12 => {
            let hash =
                positions.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, &p| (h ^ p as u64).wrapping_mul(0x100_0000_01b3));
            format!("{shape}\t#{}:{hash:016x}", positions.len()).replace(' ', "")
        }
        Ok((shape, positions)) => {
            let listed: Vec<String> = positions.iter().map(usize::to_string).collect();
            format!("{shape}\t{}", listed.join(",")).replace(' ', "")
        }
    }
}

/// `INDEX_GOLDEN` names another recording to be judged by.
#[test]
fn every_recorded_answer_of_numpy_is_ours_too() {
    let path = std::env::var("INDEX_GOLDEN")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/index.tsv").to_owned());
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut lines, mut wrong) = (0, Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        lines += 1;
        let mut fields = line.splitn(3, '\t');
        let (shape, index, want) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        let got = recorded(&select(&Shape::parse(shape.as_bytes()).unwrap(), index));
        if got != want {
            wrong.push(format!("{shape}  {index}\n    NumPy: {want}\n    here:  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {lines} differ\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(lines >= 4_000, "{path} holds only {lines} lines");
}

/// Texts of the grammar's own words, most of them near-misses.
fn near_misses() -> impl Strategy<Value = String> {
    let words = [
        "0",
        "1",
        "-1",
        "7",
        "-9223372036854775808",
        "9223372036854775808",
        ":",
        "::",
        ":-1",
        "...",
        ".",
        ",",
        ",",
        "[",
        "]",
        "[0,1]",
        "[True,False]",
        "[]",
        "None",
        "newaxis",
        "np.newaxis",
        "True",
        "False",
        "(",
        ")",
        " ",
        "1.5",
        "e",
        "[[0],[1]]",
        "\t",
        "é",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..12).prop_map(|w| w.concat())
}

/// A shape, and an index that often fits it.
fn fitting() -> impl Strategy<Value = (Vec<usize>, String)> {
    prop::collection::vec(0usize..5, 0..6).prop_flat_map(|shape| {
        let items: Vec<_> = shape
            .iter()
            .map(|&len| {
                let n = i64::try_from(len).unwrap();
                let within = -n..n.max(1 - n);
                let slice = (-n - 1..=n + 1, -n - 1..=n + 1, prop::sample::select(vec![1i64, 2, -1, -2, 9]));
                prop_oneof![
                    4 => slice.prop_map(|(a, b, s)| format!("{a}:{b}:{s}")),
                    3 => Just(":".to_owned()),
                    2 => within.clone().prop_map(|i| i.to_string()),
                    1 => Just("None,:".to_owned()),
                    1 => Just("...".to_owned()),
                    1 => prop::collection::vec(within, 2).prop_map(|v| format!("{v:?}")),
                    1 => prop::collection::vec(any::<bool>(), len).prop_map(|v| format!("{v:?}")),
                ]
            })
            .collect();
        (Just(shape), items.prop_map(|items| items.join(",")))
    })
}

fn check_laws(dims: &[usize], text: &[u8]) {
    let shape = Shape::new(dims).unwrap();
    let Ok(selection) = Index::parse(text).and_then(|index| index.resolve(&shape)) else { return };
    let size = shape.checked_size().unwrap();
    let out = selection.out_shape().checked_size().unwrap();
    let positions: Vec<usize> = selection.positions(&shape).take(10_000).collect();
    assert_eq!(positions.len(), out.min(10_000));
    assert!(positions.iter().all(|&p| p < size));
    match &selection {
        Selection::Basic(basic) => {
            assert_eq!(basic.axes.len(), shape.ndim());
            for (range, &dim) in basic.axes.iter().zip(shape.iter()) {
                check_range(range, dim);
            }
            let run = positions
                .windows(2)
                .all(|w| w[1] == w[0] + 1)
                .then(|| (positions.first().copied().unwrap_or(0), positions.len()));
            assert_eq!(basic.is_contiguous_run(&shape), run);
        }
        Selection::Advanced(a) => {
            let count = |ranges: &[(usize, AxisRange)]| ranges.iter().map(|(_, r)| r.len).product::<usize>();
            for (axis, range) in a.outer().iter().chain(a.inner()) {
                check_range(range, shape[*axis]);
            }
            assert_eq!(count(a.outer()) * a.point_count() * count(a.inner()), out);
            assert_eq!(three_loops(a, &shape), positions);
            if let Some((axis, taken)) = a.as_take() {
                for (p, &position) in taken.iter().enumerate() {
                    let mut coordinates = vec![0; shape.ndim()];
                    a.point(p, &mut coordinates);
                    assert_eq!(coordinates[axis], position);
                }
            }
        }
    }
}

fn check_range(range: &AxisRange, dim: usize) {
    assert!((0..range.len).all(|i| range.at(i) < dim));
    assert!(range.len > 1 || range.step == 1);
    assert!(range.len > 0 || range.start == 0);
}

/// The order that the module comment of `advanced` promises, written down as it says.
fn three_loops(a: &Advanced, shape: &Shape) -> Vec<usize> {
    fn each(ranges: &[(usize, AxisRange)], coordinates: &mut Vec<usize>, then: &mut dyn FnMut(&mut Vec<usize>)) {
        match ranges {
            [] => then(coordinates),
            [(axis, range), rest @ ..] => {
                for i in 0..range.len {
                    coordinates[*axis] = range.at(i);
                    each(rest, coordinates, then);
                }
            }
        }
    }
    let strides = shape.c_strides();
    let mut found = Vec::new();
    each(a.outer(), &mut vec![0; shape.ndim()], &mut |coordinates| {
        for p in 0..a.point_count() {
            a.point(p, coordinates);
            each(a.inner(), coordinates, &mut |c| found.push(c.iter().zip(&strides).map(|(c, s)| c * s).sum()));
        }
    });
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parsing_any_bytes_answers(text in prop::collection::vec(any::<u8>(), 0..40), dims in prop::collection::vec(0usize..4, 0..4)) {
        check_laws(&dims, &text);
        let _ = parse_axes(&text);
    }

    #[test]
    fn near_misses_keep_the_laws(text in near_misses(), dims in prop::collection::vec(0usize..4, 0..4)) {
        check_laws(&dims, text.as_bytes());
        let _ = parse_axes(text.as_bytes());
    }

    #[test]
    fn positions_are_within_the_array_and_as_many_as_the_result_holds((dims, text) in fitting()) {
        check_laws(&dims, text.as_bytes());
    }
}
