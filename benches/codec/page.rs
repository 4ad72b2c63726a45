//! What the codec benchmark shows: docs/CODECS.md.

use crate::{Pass, Set, Side, SIDES};

type Row<'a> = (&'a Set, usize, Vec<Option<Pass>>);

/// A demand on the geometric means, relative to blosc2's defaults: ratio, encoding, decoding.
const TARGETS: &[(&str, f64, Option<f64>, f64)] = &[
    ("`auto`, `speed`", 1.0, Some(10.0), 2.0),
    ("`auto`, `balanced`", 1.4, Some(5.0), 1.0),
    ("`auto`, `size`", 1.9, None, 0.7),
];

/// One set as a line for the terminal.
pub fn line(set: &Set, best: &[Option<Pass>], nbytes: usize) -> String {
    let mut text = format!("{:12}", set.name);
    for pass in best {
        match pass {
            Some(p) => {
                let [ratio, encode, decode] = figures(p, nbytes);
                text.push_str(&format!(" | {ratio:7.2} {encode:5.2} {decode:5.2}"));
            }
            None => text.push_str(" | -"),
        }
    }
    text
}

/// Ratio, and GB/s of elements each way.
fn figures(pass: &Pass, nbytes: usize) -> [f64; 3] {
    let n = nbytes as f64;
    [n / pass.stored as f64, n / pass.encode / 1e9, n / pass.decode / 1e9]
}

/// Geometric means of [`figures`] over all sets; nothing for a side that did not run.
fn means(rows: &[Row<'_>], side: usize) -> Option<[f64; 3]> {
    let mut sums = [0.0; 3];
    for (_, nbytes, best) in rows {
        for (sum, figure) in sums.iter_mut().zip(figures(best[side].as_ref()?, *nbytes)) {
            *sum += figure.ln();
        }
    }
    Some(sums.map(|s| (s / rows.len() as f64).exp()))
}

/// The whole page.
pub fn page(rows: &[Row<'_>], chunk: usize, mib: usize, versions: &str) -> String {
    let mut out = String::from(
        "# Codecs measured\n\n<!-- Written by `make bench-codec`. Edit benches/codec instead. -->\n\n\
         How small the chunk codecs make arrays, and how fast, beside [Blosc2](https://www.blosc.org) (python-blosc2), lz4 and \
         zlib. ",
    );
    out.push_str(&format!(
        "{} data sets of {mib} MiB from one seed ([datasets.py](../benches/codec/datasets.py)), the same bytes for all, in \
         chunks of {} KiB, one thread; `size` makes its own chunks, of 1 MiB. Ours is what storing an array does: sampling, encoding, the chunk's buffer, its \
         checksum. GB/s are of elements; the best of several passes counts, and the sides take turns.",
        rows.len(),
        chunk >> 10
    ));
    if !versions.is_empty() {
        out.push_str(&format!(" Measured with {versions}, on {}.", processor()));
    }
    out.push_str("\n\n## Geometric means\n\n");
    let base = SIDES.iter().position(|s| matches!(s, Side::Theirs(..))).and_then(|i| means(rows, i));
    out.push_str(
        "| | ratio | encode GB/s | decode GB/s | ratio to blosc2 | encode | decode |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for (i, side) in SIDES.iter().enumerate() {
        let Some([ratio, encode, decode]) = means(rows, i) else { continue };
        out.push_str(&format!("| {} | {ratio:.2} | {encode:.2} | {decode:.2} |", side.name()));
        match base {
            Some([r, e, d]) => out.push_str(&format!(" {:.2} | {:.1} | {:.2} |\n", ratio / r, encode / e, decode / d)),
            None => out.push_str(" | | |\n"),
        }
    }
    if let Some(base) = base {
        out.push_str(&targets(rows, base));
    }
    out.push_str("\n## Each set\n\nRatios.\n\n| set | dtype | what |");
    SIDES.iter().for_each(|s| out.push_str(&format!(" {} |", s.name())));
    out.push_str("\n|---|---|---|");
    SIDES.iter().for_each(|_| out.push_str("--:|"));
    for (set, nbytes, best) in rows {
        out.push_str(&format!("\n| {} | {} | {} |", set.name, set.dtype.name(), set.what));
        for pass in best {
            let text = pass.as_ref().map_or(String::new(), |p| format!("{:.2}", figures(p, *nbytes)[0]));
            out.push_str(&format!(" {text} |"));
        }
    }
    out.push('\n');
    out
}

/// What is demanded of the means, and whether it is there.
fn targets(rows: &[Row<'_>], base: [f64; 3]) -> String {
    let mut out =
        String::from("\nWhat is aimed at, relative to blosc2's defaults:\n\n| | aim | here | |\n|---|---|---|---|\n");
    let theirs = SIDES.iter().position(|s| matches!(s, Side::Theirs(..))).unwrap_or(0);
    for (name, ratio, encode, decode) in TARGETS {
        let Some(side) = SIDES.iter().position(|s| s.name() == *name) else { continue };
        let Some(means) = means(rows, side) else { continue };
        let here: Vec<f64> = means.iter().zip(base).map(|(m, b)| m / b).collect();
        let mut demands = vec![("ratio", *ratio, here[0]), ("decode", *decode, here[2])];
        demands.extend(encode.map(|e| ("encode", e, here[1])));
        for (what, aim, here) in demands {
            let verdict = if here >= aim { "reached" } else { "missed" };
            out.push_str(&format!("| {name}: {what} | ≥ {aim} | {here:.2} | {verdict} |\n"));
        }
        if encode.is_none() {
            let larger = |(_, _, best): &&Row<'_>| match (&best[side], &best[theirs]) {
                (Some(ours), Some(theirs)) => ours.stored as f64 > theirs.stored as f64 * 1.02,
                _ => false,
            };
            let names: Vec<&str> = rows.iter().filter(larger).map(|(set, ..)| set.name.as_str()).collect();
            let (here, verdict) =
                if names.is_empty() { ("none".into(), "reached") } else { (names.join(", "), "missed") };
            out.push_str(&format!("| {name}: sets more than 2% larger | none | {here} | {verdict} |\n"));
        }
    }
    out
}

/// The processor's name.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        text.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ").map(|(_, n)| n.trim().to_owned()));
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
