//! How shapes are cut into chunks, where an element lies, and which parts a selection has.

use super::*;

fn grid(shape: &[usize], chunk: &[usize]) -> Grid {
    Grid::new(&Shape::new(shape).unwrap(), &Shape::new(chunk).unwrap(), Dtype::Float64).unwrap()
}

#[test]
fn ragged_edges_are_cut_off() {
    let g = grid(&[5, 7], &[2, 3]);
    assert_eq!(g.len(), 9);
    assert_eq!((&g.chunk(5).offset[..], &g.chunk(5).shape[..]), (&[2, 6][..], &[2, 1][..]));
    assert_eq!((&g.chunk(8).offset[..], &g.chunk(8).shape[..]), (&[4, 6][..], &[1, 1][..]));
    assert!(!g.is_contiguous());
    assert!(grid(&[5, 7], &[2, 7]).is_contiguous());
    assert!(grid(&[5, 7], &[1, 3]).is_contiguous());
    assert!(grid(&[], &[]).is_contiguous());
    assert_eq!(g.chunks().map(|c| c.size()).sum::<usize>(), 35);
    assert_eq!(grid(&[0, 7], &[2, 7]).chunks().count(), 0);
}

#[test]
fn automatic_chunks_are_runs_near_the_target() {
    for (shape, want) in [
        (&[1000][..], &[1000][..]),
        (&[100_000], &[8192]),
        (&[1797, 8, 8], &[128, 8, 8]),
        (&[10_000, 9000], &[1, 4500]),
        (&[3, 10_000], &[1, 5000]),
        (&[1, 1, 100_000], &[1, 1, 8192]),
        (&[], &[]),
        (&[0, 5], &[1, 5]),
    ] {
        let shape = Shape::new(shape).unwrap();
        let chunk = auto_chunk_shape(&shape, Dtype::Float64, 65536);
        assert!(Grid::new(&shape, &chunk, Dtype::Float64).unwrap().is_contiguous(), "{shape}");
        assert_eq!(&chunk.iter().map(|c| (*c).max(1)).collect::<Vec<_>>()[..], want, "{shape}");
    }
}

#[test]
fn raw_chunks_are_whole_numbers_of_automatic_ones() {
    for (shape, want) in [
        (&[1000][..], &[1000][..]),
        (&[1_000_000], &[131_072]),
        (&[1797, 8, 8], &[1797, 8, 8]),
        (&[17970, 8, 8], &[2048, 8, 8]),
        (&[10_000, 9000], &[14, 9000]),
        (&[3, 10_000], &[3, 10_000]),
        (&[2, 1000, 1000], &[1, 128, 1000]),
        (&[4, 30, 1000], &[4, 30, 1000]),
        (&[], &[]),
    ] {
        let shape = Shape::new(shape).unwrap();
        let small = auto_chunk_shape(&shape, Dtype::Float64, 65536);
        let long = raw_chunk_shape(&shape, Dtype::Float64, small.clone(), 1 << 20);
        assert_eq!(&long[..], want, "{shape}");
        assert!(long.len_or_max() * 8 <= 1 << 20);
        let grid = Grid::new(&shape, &long, Dtype::Float64).unwrap();
        assert!(grid.is_contiguous(), "{shape}");
        let borders = |chunk: &Shape| -> Vec<usize> {
            let grid = Grid::new(&shape, chunk, Dtype::Float64).unwrap();
            let strides = shape.c_strides();
            grid.chunks().map(|c| c.offset.iter().zip(&strides).map(|(o, s)| o * s).sum()).collect()
        };
        let small = borders(&small);
        assert!(borders(&long).iter().all(|b| small.binary_search(b).is_ok()), "{shape}");
    }
}

#[test]
fn automatic_chunks_are_never_refused() {
    for shape in [&[1000, 600][..], &[1000, 4097], &[5000, 3, 700], &[100_000], &[70, 4095, 2], &[200, 2049, 1, 3]] {
        let shape = Shape::new(shape).unwrap();
        for dtype in [Dtype::UInt8, Dtype::Float32, Dtype::Complex128] {
            for target in [LEAST_TARGET, LEAST_TARGET + 1, 6000, 65536] {
                Grid::new(&shape, &auto_chunk_shape(&shape, dtype, target), dtype).unwrap();
            }
        }
    }
}

#[test]
fn runs_are_found_in_their_chunk() {
    for (shape, chunk) in [(&[5, 7][..], &[2, 7][..]), (&[5, 7], &[1, 3]), (&[35], &[4])] {
        let g = grid(shape, chunk);
        let mut flat = 0;
        for c in g.chunks() {
            for i in 0..c.size() {
                assert_eq!(g.chunk_of_run(flat + i), (c.clone(), flat));
            }
            flat += c.size();
        }
    }
}

#[test]
fn parts_cover_a_selection_once_and_read_the_right_elements() {
    let shape = [5usize, 7, 3];
    let source: Vec<u8> = (0..105).collect();
    for chunk in [[2, 3, 2], [5, 7, 3], [1, 2, 3], [1, 4, 3]] {
        let g = grid(&shape, &chunk);
        for (step, start) in [(1isize, 0usize), (-1, 4), (2, 1), (-2, 4)] {
            let axes = [
                AxisRange { start, step, len: if step.abs() == 2 { 2 } else { 4 } },
                AxisRange { start: 6, step: -3, len: 3 },
                AxisRange { start: 0, step: 1, len: 3 },
            ];
            let size: usize = axes.iter().map(|a| a.len).product();
            let mut out = vec![255u8; size];
            let lens: Vec<usize> = axes.iter().map(|a| a.len).collect();
            g.parts(&axes, |p| {
                let mut elements = vec![0; p.chunk.size()];
                let from: usize = p.chunk.offset.iter().zip(c_steps(&shape)).map(|(o, s)| o * s as usize).sum();
                copy_region(
                    &source,
                    from,
                    &c_steps(&shape),
                    &mut elements,
                    0,
                    &c_steps(&p.chunk.shape),
                    &p.chunk.shape,
                    1,
                );
                copy_region(
                    &elements,
                    p.chunk_start,
                    &p.chunk_strides,
                    &mut out,
                    p.out_start,
                    &c_steps(&lens),
                    &p.counts,
                    1,
                );
                Ok(())
            })
            .unwrap();
            let at = |a: &AxisRange, i: usize| (a.start as isize + a.step * i as isize) as usize;
            let mut want = Vec::new();
            for i in 0..axes[0].len {
                for j in 0..axes[1].len {
                    for k in 0..axes[2].len {
                        want.push(source[at(&axes[0], i) * 21 + at(&axes[1], j) * 3 + at(&axes[2], k)]);
                    }
                }
            }
            assert_eq!(out, want, "chunk {chunk:?}, step {step}");
        }
    }
}

#[test]
fn err_chunk_shapes_that_do_not_fit() {
    let shape = Shape::from([1000, 1000]);
    for (chunk, text) in [
        (&[10][..], "SHAPE chunk shape (10,) for an array of shape (1000, 1000): it must have as many axes as the array"),
        (&[0, 10], "SHAPE chunk shape (0, 10) for an array of shape (1000, 1000): every length must be at least 1"),
        (
            &[1, 1],
            "SHAPE chunk shape (1, 1) for an array of shape (1000, 1000): more than 64 chunks, of less than 1024 bytes each, cost more \
             than they hold",
        ),
    ] {
        let e = Grid::new(&shape, &Shape::new(chunk).unwrap(), Dtype::Float64).unwrap_err();
        assert_eq!(e.to_string(), text);
    }
    let huge = Shape::from([1 << 20, 1 << 10]);
    let e = Grid::new(&huge, &huge, Dtype::Float64).unwrap_err();
    assert_eq!(e.to_string(), "LIMIT a chunk would take 8589934592 bytes, the limit is 16777216");
}
