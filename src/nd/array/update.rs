//! Arithmetic over a selection: `a[index] op= value`, and for lists `np.op.at(a, index, value)`.

use std::cell::RefCell;

use super::edit::Edit;
use super::layout::{Layout, Patch};
use super::Array;
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::copy_region;
use crate::nd::index::Selection;
use crate::nd::kernels::cast::cast;
use crate::nd::kernels::elementwise::{Operand, Operator};
use crate::nd::memory;
use crate::nd::shape::Shape;

/// Elements that are gathered, computed and put back at once.
const BLOCK: usize = 512;

/// Words that hold as many of the largest elements.
const ROOM: usize = BLOCK * 2;

impl Array {
    /// Computes `element op value` over a selection that was resolved for this array, and casts back to its dtype.
    ///
    /// `values` (C order, aligned or not) are of `dtype`, the one that [`Operator::compute_dtype`] answers for this array's
    /// and theirs, and of the shape `shape`; they broadcast as in `a[index] op= value`. Repeated positions in lists are
    /// computed one after the other, as by NumPy's `op.at`. Answers how many were written. `limit` is as for
    /// [`Array::write`].
    ///
    /// # Errors
    /// `SHAPE` where the values do not broadcast, or have more axes than the selection; `VALUE` for negative exponents of
    /// integers; `LIMIT`, `CORRUPT`, `OOM`; then nothing was changed.
    ///
    /// # Panics
    /// Where the bytes are not those of the shape: a bug in the caller.
    pub fn update(
        &mut self,
        selection: &Selection,
        operator: Operator,
        dtype: Dtype,
        values: &[u8],
        shape: &Shape,
        limit: usize,
    ) -> Result<usize> {
        assert_eq!(values.len(), shape.len_or_max().saturating_mul(dtype.itemsize()), "the bytes of the shape");
        check_operand(shape, selection)?;
        let layout = Layout::new(shape, selection.out_shape())?;
        let written = selection.out_shape().len_or_max();
        if written > 0 {
            operator.check_values(dtype, values)?;
        }
        let room = RefCell::new(vec![0; 3 * ROOM]);
        let compute = Compute { operator, target: self.dtype, dtype, values, room };
        self.edit(selection, &layout, &compute, limit)?;
        Ok(written)
    }
}

/// Refuses a second operand that would make the result larger than the selection.
///
/// # Errors
/// `SHAPE`.
pub fn check_operand(value: &Shape, selection: &Selection) -> Result<()> {
    if value.ndim() > selection.out_shape().ndim() {
        return Err(Error::Broadcast { value: value.clone(), to: selection.out_shape().clone() });
    }
    super::check_broadcast(value, selection)
}

/// An operator and its second operand.
struct Compute<'v> {
    operator: Operator,
    /// The array's dtype.
    target: Dtype,
    /// The dtype of the values, in which is computed.
    dtype: Dtype,
    values: &'v [u8],
    /// Room for blocks of values, of elements and of elements cast: kept, because a line may be short.
    room: RefCell<Vec<u64>>,
}

/// Elements of one line, as [`Patch`] has them for several.
struct Line {
    start: usize,
    step: isize,
    value: usize,
    value_step: isize,
    count: usize,
}

impl Edit for Compute<'_> {
    fn reads(&self) -> bool {
        true
    }

    fn block(&self, elements: &mut [u8], patch: &Patch) {
        let Some(inner) = patch.counts.len().checked_sub(1) else {
            return self.line(
                elements,
                Line { start: patch.start, step: 1, value: patch.value_start, value_step: 0, count: 1 },
            );
        };
        let mut at: crate::nd::grid::PerAxis<usize> = smallvec::SmallVec::from_elem(0, inner);
        let (mut start, mut value) = (patch.start as isize, patch.value_start as isize);
        loop {
            let (step, value_step) = (patch.steps[inner], patch.value_steps[inner]);
            // In bounds, by the promise of whoever made the patch.
            let line =
                Line { start: start as usize, step, value: value as usize, value_step, count: patch.counts[inner] };
            self.line(elements, line);
            // The next line, the innermost of the other axes fastest.
            let mut axis = inner;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                at[axis] += 1;
                start += patch.steps[axis];
                value += patch.value_steps[axis];
                if at[axis] < patch.counts[axis] {
                    break;
                }
                start -= patch.steps[axis] * patch.counts[axis] as isize;
                value -= patch.value_steps[axis] * patch.counts[axis] as isize;
                at[axis] = 0;
            }
        }
    }

    fn points(&self, elements: &mut [u8], points: &[(usize, usize)]) {
        if self.target == self.dtype {
            return self.operator.apply_at(self.dtype, elements, self.values, points);
        }
        for (start, value) in points {
            self.line(elements, Line { start: *start, step: 1, value: *value, value_step: 0, count: 1 });
        }
    }
}

impl Compute<'_> {
    /// One line: in place where the elements are a run of the dtype in which is computed, else in blocks that are
    /// gathered, cast, computed, cast back and put where they were.
    fn line(&self, elements: &mut [u8], line: Line) {
        let (size, wide) = (self.target.itemsize(), self.dtype.itemsize());
        let mut one_words = [0u64; 2];
        let one = memory::bytes_mut(&mut one_words, wide);
        one.copy_from_slice(&self.values[line.value * wide..][..wide]);
        let is_run = line.step == 1 && self.target == self.dtype;
        if is_run && line.value_step == 0 {
            let target = &mut elements[line.start * size..][..line.count * size];
            return self.operator.apply(self.dtype, target, Operand::One(one));
        }
        let mut room = self.room.borrow_mut();
        let (value_words, rest) = room.split_at_mut(ROOM);
        let (target_words, wide_words) = rest.split_at_mut(ROOM);
        let mut done = 0;
        while done < line.count {
            let n = BLOCK.min(line.count - done);
            let start = line.start.wrapping_add_signed(line.step * done as isize);
            let value = line.value.wrapping_add_signed(line.value_step * done as isize);
            done += n;
            let operand = match line.value_step {
                0 => Operand::One(one),
                step => {
                    let room = memory::bytes_mut(value_words, n * wide);
                    copy_region(self.values, value, &[step], room, 0, &[1], &[n], wide);
                    Operand::Each(room)
                }
            };
            if is_run {
                self.operator.apply(self.dtype, &mut elements[start * size..][..n * size], operand);
                continue;
            }
            let gathered = memory::bytes_mut(target_words, n * size);
            copy_region(elements, start, &[line.step], gathered, 0, &[1], &[n], size);
            if self.target == self.dtype {
                self.operator.apply(self.dtype, gathered, operand);
            } else {
                let computed = memory::bytes_mut(wide_words, n * wide);
                cast(self.target, gathered, self.dtype, computed);
                self.operator.apply(self.dtype, computed, operand);
                cast(self.dtype, computed, self.target, gathered);
            }
            copy_region(gathered, 0, &[1], elements, start, &[line.step], &[n], size);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::nd::array::{Array, StoreOptions};
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::index::{Index, Selection};
    use crate::nd::kernels::elementwise::Operator;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    fn select(index: &str, shape: &Shape) -> Selection {
        Index::parse(index.as_bytes()).unwrap().resolve(shape).unwrap()
    }

    /// The array that holds 0, 1, 2, … in several kinds of storage.
    fn storages(dtype: Dtype, shape: &Shape, bytes: &[u8]) -> Vec<Array> {
        let mut arrays = Vec::new();
        for chunk in [None, Some([7, 5, 6]), Some([2, 2, 4]), Some([1, 5, 6])] {
            for policy in [Policy::Raw, Policy::Lz4] {
                let options = StoreOptions {
                    chunk_shape: chunk.map(Shape::from),
                    policy,
                    codec_given: chunk.is_some(),
                    ..StoreOptions::default()
                };
                arrays.push(Array::from_source(dtype, shape, &mut SliceSource::new(bytes), &options).unwrap());
            }
        }
        arrays
    }

    fn all(array: &Array) -> Vec<u8> {
        let mut out = Vec::with_capacity(array.nbytes());
        array.read_run(0, array.size(), &mut out).unwrap();
        out
    }

    #[test]
    fn an_update_is_element_by_element_and_repeats_add_up() {
        let shape = Shape::from([7, 5, 6]);
        let start: Vec<i32> = (0..210).collect();
        for index in [
            "...",
            "1",
            "::-1",
            "-1,...,2",
            "::2,1:4,::-3",
            "None,2:5,None",
            "0:0",
            "[0,6,3,3]",
            ":,[4,0,4]",
            "[1,2],:,[5,0]",
            "::2,[[0],[4]],[1,2,3]",
            "2,1,[0,0,0,5]",
            "[[0,1],[1,0]]",
            "...,[5,5]",
        ] {
            let selection = select(index, &shape);
            let out = selection.out_shape().clone();
            let count = out.checked_size().unwrap();
            for scalar in [false, true] {
                let value_shape = if scalar { Shape::scalar() } else { out.clone() };
                let value: Vec<i64> = (0..if scalar { 1 } else { count as i64 }).map(|i| 3 + i).collect();
                let mut want = start.clone();
                for (k, p) in selection.positions(&shape).enumerate() {
                    want[p] = want[p].wrapping_mul(value[k % value.len()] as i32);
                }
                // In int64, cast back, and in int32 itself.
                let narrow: Vec<i32> = value.iter().map(|v| *v as i32).collect();
                let wide_bytes: &[u8] = bytemuck::cast_slice(&value);
                let narrow_bytes: &[u8] = bytemuck::cast_slice(&narrow);
                for (dtype, bytes) in [(Dtype::Int64, wide_bytes), (Dtype::Int32, narrow_bytes)] {
                    for mut array in storages(Dtype::Int32, &shape, bytemuck::cast_slice(&start)) {
                        let snapshot = array.clone();
                        let written = array.update(&selection, Operator::Mul, dtype, bytes, &value_shape, 1 << 20);
                        assert_eq!(written.unwrap(), count);
                        assert_eq!(
                            bytemuck::cast_slice::<i32, u8>(&want),
                            &all(&array)[..],
                            "{index} {dtype} {scalar}"
                        );
                        assert_eq!(bytemuck::cast_slice::<i32, u8>(&start), &all(&snapshot)[..]);
                        array.verify().unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn a_constant_stays_one() {
        let shape = Shape::from([1 << 20, 1 << 20]);
        let options = StoreOptions::default();
        let zeros = crate::nd::scalar::Scalar::of(0.5f64);
        let mut array = Array::filled(&shape, zeros, &options).unwrap();
        let two = 2.0f64.to_le_bytes();
        let row = select("7", &shape);
        array.update(&row, Operator::Add, Dtype::Float64, &two, &Shape::scalar(), 1 << 20).unwrap();
        array.update(&row, Operator::Mul, Dtype::Float64, &two, &Shape::scalar(), 1 << 20).unwrap();
        let flat = (7 << 20) + 12345;
        assert_eq!(array.element(flat).unwrap(), crate::nd::scalar::Scalar::of(5.0f64));
        assert_eq!(array.stored_bytes(), 128 * 8);
        array.update(&row, Operator::Div, Dtype::Float64, &10.0f64.to_le_bytes(), &Shape::scalar(), 1 << 20).unwrap();
        assert_eq!(array.stored_bytes(), 0, "the fill value again");
    }

    #[test]
    fn err_refused_operands_change_nothing() {
        let shape = Shape::from([7, 5, 6]);
        let start: Vec<i8> = (0..210).map(|i| i as i8).collect();
        let mut array = storages(Dtype::Int8, &shape, bytemuck::cast_slice(&start)).remove(0);
        let selection = select("1", &shape);
        let mut refused = |bytes: &[u8], value: &Shape| {
            array.update(&selection, Operator::Pow, Dtype::Int8, bytes, value, 1 << 20).unwrap_err().to_string()
        };
        let negative = "VALUE integers to the negative integer power -1 have no integer answer (use a float array)";
        assert_eq!(refused(&[255], &Shape::scalar()), negative);
        let shape_error = "SHAPE a value of shape (1, 1, 1) does not broadcast to the selection's shape (5, 6)";
        assert_eq!(refused(&[1], &Shape::from([1, 1, 1])), shape_error);
        assert_eq!(bytemuck::cast_slice::<i8, u8>(&start), &all(&array)[..]);
    }
}
