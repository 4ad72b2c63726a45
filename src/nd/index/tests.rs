use super::*;

fn select(shape: &[usize], text: &str) -> Result<(String, Vec<usize>)> {
    let shape = Shape::new(shape)?;
    let selection = Index::parse(text.as_bytes())?.resolve(&shape)?;
    Ok((selection.out_shape().to_string(), selection.positions(&shape).collect()))
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
    ] {
        assert_eq!(select(&[3, 4], text), Ok((out.to_owned(), positions.to_vec())), "{text}");
    }
}
