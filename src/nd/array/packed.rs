//! A shape in sixteen bytes: what the many small arrays keep.

use smallvec::SmallVec;

use crate::nd::memory;
use crate::nd::shape::Shape;

/// A shape in sixteen bytes, for the many small arrays.
#[derive(Clone, Debug)]
pub(super) enum PackedShape {
    Short { ndim: u8, dims: [u32; 3] },
    Long(Box<Shape>),
}

impl PackedShape {
    pub(super) fn new(shape: &Shape) -> PackedShape {
        let mut dims = [0; 3];
        if shape.ndim() <= dims.len() && shape.iter().all(|d| u32::try_from(*d).is_ok()) {
            for (packed, d) in dims.iter_mut().zip(shape.iter()) {
                *packed = *d as u32; // fits, by the test above
            }
            return PackedShape::Short { ndim: shape.ndim() as u8, dims };
        }
        PackedShape::Long(Box::new(shape.clone()))
    }

    pub(super) fn to_shape(&self) -> Shape {
        match self {
            PackedShape::Short { ndim, dims } => {
                let dims: SmallVec<[usize; 3]> = dims[..*ndim as usize].iter().map(|d| *d as usize).collect();
                Shape::new(&dims).expect("at most three dimensions")
            }
            PackedShape::Long(shape) => (**shape).clone(),
        }
    }

    /// How many elements.
    #[inline]
    pub(super) fn size(&self) -> usize {
        match self {
            PackedShape::Short { ndim: 1, dims } => dims[0] as usize,
            PackedShape::Short { ndim, dims } => dims[..*ndim as usize].iter().map(|d| *d as usize).product(),
            PackedShape::Long(shape) => shape.checked_size().expect("checked when the array was made"),
        }
    }

    #[inline]
    pub(super) fn is(&self, shape: &[usize]) -> bool {
        match self {
            PackedShape::Short { ndim, dims } => match shape {
                [length] => *ndim == 1 && *length == dims[0] as usize,
                _ => shape.len() == *ndim as usize && shape.iter().zip(dims).all(|(a, b)| *a == *b as usize),
            },
            PackedShape::Long(own) => own[..] == *shape,
        }
    }

    pub(super) fn memory(&self) -> usize {
        match self {
            PackedShape::Short { .. } => 0,
            PackedShape::Long(shape) => {
                // A `SmallVec` grows by doubling.
                let spilled = if shape.ndim() > 4 { shape.ndim().next_power_of_two() * 8 } else { 0 };
                memory::size_class(std::mem::size_of::<Shape>()) + memory::size_class(spilled)
            }
        }
    }
}
