//! What a view hands to a reduction, block by block and many at once.

use super::*;
use crate::nd::array::StoreOptions;
use crate::nd::codec::Policy;
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::reduce::Reduction;
use crate::nd::source::SliceSource;

fn array(dtype: Dtype, shape: &[usize], chunk: Option<&[usize]>, bytes: &[u8]) -> Arc<Array> {
    let chunk_shape = chunk.map(|c| Shape::new(c).unwrap());
    let options = StoreOptions { chunk_shape, ..StoreOptions::default() };
    let shape = Shape::new(shape).unwrap();
    Arc::new(Array::from_source(dtype, &shape, &mut SliceSource::new(bytes), &options).unwrap())
}

/// The elements of a view, put where its blocks say, and its mask.
fn gathered(view: &View) -> (Vec<u8>, Vec<u8>) {
    let mut out = (vec![255; view.size()], vec![255; view.size()]);
    let steps = c_steps(view.shape());
    view.blocks(&mut |block| {
        let size: usize = block.lens.iter().product();
        let elements = match block.elements {
            Block::Elements(bytes) => bytes.to_vec(),
            Block::Fill(element) => element.repeat(size),
        };
        assert_eq!(elements.len(), size);
        let start = block.offset.iter().zip(&steps).map(|(o, s)| o * *s as usize).sum();
        let own = c_steps(block.lens);
        let mask = block.mask.map_or(vec![1; size], <[u8]>::to_vec);
        copy_region(&elements, 0, &own, &mut out.0, start, &steps, block.lens, 1);
        copy_region(&mask, 0, &own, &mut out.1, start, &steps, block.lens, 1);
        Ok(())
    })
    .unwrap();
    out
}

#[test]
fn blocks_are_what_the_index_selects_and_the_mask_broadcasts() {
    let shape = [7usize, 5, 6];
    let bytes: Vec<u8> = (0..210).collect();
    let mask_bytes: Vec<u8> = (0..30).map(|i| u8::from(i % 3 == 1)).collect();
    for chunk in [None, Some(&[7usize, 5, 6][..]), Some(&[2, 2, 4]), Some(&[1, 5, 6]), Some(&[3, 5, 1])] {
        let array = array(Dtype::UInt8, &shape, chunk, &bytes);
        for index in ["", "...", "1", "::-2", "1:6,2", "None,3:,None,::2,-1", "2,3,4", ":,:,::-1", "[0,3],1:", "3:3"] {
            let index = Index::parse(index.as_bytes()).unwrap();
            let selection = index.resolve(&Shape::from(shape)).unwrap();
            let want: Vec<u8> = selection.positions(&Shape::from(shape)).map(|p| bytes[p]).collect();
            let view = View::new(array.clone(), Some(&index), None).unwrap();
            assert_eq!(gathered(&view).0, want, "{index:?} in chunks {chunk:?}");
        }
        for (mask_shape, mask_chunk) in [
            (&[5usize, 6][..], None),
            (&[5, 1], None),
            (&[6], None),
            (&[1], None),
            (&[], None),
            (&[5, 6], Some(&[2, 3][..])),
        ] {
            let size: usize = mask_shape.iter().product();
            let mask = self::array(Dtype::Bool, mask_shape, mask_chunk, &mask_bytes[..size]);
            let view = View::new(array.clone(), None, Some(mask)).unwrap();
            let (elements, got) = gathered(&view);
            assert_eq!(elements, bytes);
            for (i, m) in got.iter().enumerate() {
                let at = match mask_shape {
                    [5, 6] => i % 30,
                    [5, 1] => i / 6 % 5,
                    [6] => i % 6,
                    _ => 0,
                };
                assert_eq!(*m, mask_bytes[at], "{mask_shape:?} at {i}");
            }
        }
    }
}

#[test]
fn the_blocks_of_a_chunk_at_once_give_the_bits_of_one_after_the_other() {
    for shape in [&[3000, 64][..], &[600, 784], &[40, 9000], &[400, 3, 90], &[100_000]] {
        let size: usize = shape.iter().product();
        let parts = (0..size as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12) as f64 * 1e-13 + 0.5);
        let bytes: Vec<u8> = parts.flat_map(f64::to_le_bytes).collect();
        for (policy, most) in [(Policy::Raw, None), (Policy::Raw, Some(37)), (Policy::Lz4, Some(29))] {
            let options = StoreOptions { policy, ..StoreOptions::default() };
            let whole = Shape::new(shape).unwrap();
            let mut source = SliceSource::new(&bytes);
            let mut array = Array::from_source(Dtype::Float64, &whole, &mut source, &options).unwrap();
            if let Some(less) = most {
                let none: Vec<usize> = std::iter::once(0).chain(shape[1..].iter().copied()).collect();
                let none = Shape::new(&none).unwrap();
                array.append(0, &[], &none, Some(shape[0] - less), &options, usize::MAX).unwrap();
            }
            let view = View::new(Arc::new(array), None, None).unwrap();
            for op in [Op::Sum, Op::Var, Op::Prod, Op::Max, Op::ArgMax, Op::Norm, Op::Any, Op::Mean] {
                for axis in 0..shape.len() as i64 {
                    let axes = AxisSet::new(&[axis], shape.len()).unwrap();
                    let options = Options::default();
                    let plan = Reduction::with(op, Dtype::Float64, view.shape(), &axes, &options).unwrap();
                    let (mut state, mut one_by_one) = (plan.start().unwrap(), plan.start().unwrap());
                    view.add_to(std::slice::from_mut(&mut state)).unwrap();
                    view.blocks(&mut |block| view.add_block(block, std::slice::from_mut(&mut one_by_one))).unwrap();
                    assert!(state.finish() == one_by_one.finish(), "{op:?} of {shape:?} over {axis}, {policy:?}");
                }
            }
        }
    }
}

#[test]
fn masks_of_another_dtype_or_shape_are_refused() {
    let of = |dtype, shape: &[usize]| array(dtype, shape, None, &vec![0; shape.iter().product::<usize>()]);
    let refuse = |mask| View::new(of(Dtype::UInt8, &[2, 3]), None, Some(mask)).unwrap_err().to_string();
    assert_eq!(refuse(of(Dtype::UInt8, &[2, 3])), "DTYPE WHERE takes no uint8 (a mask is an array of bool)");
    assert_eq!(
        refuse(of(Dtype::Bool, &[2])),
        "SHAPE a mask of shape (2,) does not broadcast to (2, 3), the shape of what is reduced"
    );
    assert_eq!(
        refuse(of(Dtype::Bool, &[1, 2, 3])),
        "SHAPE a mask of shape (1, 2, 3) does not broadcast to (2, 3), the shape of what is reduced"
    );
}
