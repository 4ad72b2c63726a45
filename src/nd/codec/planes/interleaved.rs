//! Planes by interleaving bytes, sixteen elements at a time.
//!
//! Registers hold sixteen bytes each. With the number of a register before the place in it, every byte has an address of
//! `log2 S + 4` bits: of elements it is `element, byte of it`, of planes `plane, element`. Interleaving each register of the first
//! half with its like in the second moves the first bit of all addresses to the end, one instruction for a register. Sixteen elements
//! are taken apart by four such rounds, and put together by `log2 S`.

use safe_arch::{
    add_i32_m128i, add_i64_m128i, byte_shl_imm_u128_m128i, byte_shr_imm_u128_m128i, m128i, set_splat_i64_m128i,
    shl_imm_u64_m128i, shr_imm_u64_m128i, shuffle_ai_f32_all_m128i, sub_i32_m128i, sub_i64_m128i,
    unpack_high_i64_m128i, unpack_high_i8_m128i, unpack_low_i8_m128i, zeroed_m128i,
};

use super::loops;

/// Bytes of a register, and elements of a group.
const GROUP: usize = 16;

/// Groups whose planes are looked up at once.
const GROUPS: usize = 4;

/// Rounds that take a group apart: as many as a place in a register has bits.
const APART: u32 = GROUP.trailing_zeros();

#[inline(always)]
fn rounds<const S: usize>(mut registers: [m128i; S], count: u32) -> [m128i; S] {
    for _ in 0..count {
        let mut next = registers;
        for i in 0..S / 2 {
            let (first, second) = (registers[i], registers[i + S / 2]);
            next[2 * i] = unpack_low_i8_m128i(first, second);
            next[2 * i + 1] = unpack_high_i8_m128i(first, second);
        }
        registers = next;
    }
    registers
}

#[inline(always)]
fn apart<const S: usize>(elements: [m128i; S]) -> [m128i; S] {
    if S == 1 {
        return elements;
    }
    rounds(elements, APART)
}

#[inline(always)]
fn together<const S: usize>(planes: [m128i; S]) -> [m128i; S] {
    rounds(planes, S.trailing_zeros())
}

/// Writes to planes what `apart` makes of each group of elements, and answers how many elements that were.
///
/// Loops, here and below, and no closures over arrays: the compiler leaves those apart where they may panic.
#[inline(always)]
fn each_apart<const S: usize>(
    items: &[[u8; S]],
    planes: &mut [&mut [u8]; S],
    mut apart: impl FnMut([m128i; S]) -> [m128i; S],
) -> usize {
    let whole = items.len() / GROUP;
    let groups = items[..whole * GROUP].as_flattened().as_chunks::<GROUP>().0;
    for (g, group) in groups.chunks_exact(S).enumerate() {
        let mut registers = [zeroed_m128i(); S];
        registers.iter_mut().zip(group).for_each(|(register, bytes)| *register = bytemuck::cast(*bytes));
        for (plane, bytes) in planes.iter_mut().zip(apart(registers)) {
            plane[g * GROUP..][..GROUP].copy_from_slice(&bytemuck::cast::<_, [u8; GROUP]>(bytes));
        }
    }
    whole * GROUP
}

/// Writes to elements what `together` makes of each group of their planes, and answers how many elements that were.
#[inline(always)]
fn each_together<const S: usize>(
    planes: [&[u8]; S],
    items: &mut [[u8; S]],
    mut together: impl FnMut([m128i; S]) -> [m128i; S],
) -> usize {
    let whole = items.len() / GROUP;
    let groups = items[..whole * GROUP].as_flattened_mut().as_chunks_mut::<GROUP>().0;
    let many = whole / GROUPS * GROUPS;
    for (b, groups) in groups.chunks_exact_mut(GROUPS * S).enumerate() {
        let mut blocks = [&[[0; GROUP]; GROUPS]; S];
        for (block, plane) in blocks.iter_mut().zip(&planes) {
            *block = &plane[b * GROUPS * GROUP..].as_chunks().0.as_chunks().0[0];
        }
        for (g, group) in groups.chunks_exact_mut(S).enumerate() {
            let mut registers = [zeroed_m128i(); S];
            for (register, block) in registers.iter_mut().zip(&blocks) {
                *register = bytemuck::cast(block[g]);
            }
            group.iter_mut().zip(together(registers)).for_each(|(to, bytes)| *to = bytemuck::cast(bytes));
        }
    }
    for (g, group) in groups.chunks_exact_mut(S).enumerate().skip(many) {
        let mut registers = [zeroed_m128i(); S];
        for (register, plane) in registers.iter_mut().zip(&planes) {
            *register = bytemuck::cast(plane[g * GROUP..].as_chunks::<GROUP>().0[0]);
        }
        group.iter_mut().zip(together(registers)).for_each(|(to, bytes)| *to = bytemuck::cast(bytes));
    }
    whole * GROUP
}

/// Writes byte `j` of each element to plane `j`; each plane is as long as `items`.
#[inline(always)]
pub fn split<const S: usize>(items: &[[u8; S]], mut planes: [&mut [u8]; S]) {
    let from = each_apart(items, &mut planes, apart);
    loops::split(&items[from..], planes.map(|plane| &mut plane[from..]));
}

/// Writes the elements whose bytes stand in the planes, each of which is as long as `items`.
#[inline(always)]
pub fn join<const S: usize>(planes: [&[u8]; S], items: &mut [[u8; S]]) {
    let from = each_together(planes, items, together);
    loops::join(planes.map(|plane| &plane[from..]), &mut items[from..]);
}

macro_rules! differences {
    ($($word:ty, $size:literal: $differences:ident $differences_from:ident $sub:ident, $sums:ident $sums_from:ident $add:ident [$($shift:literal)*] $last:expr;)*) => {$(
        /// [`split`] of the differences of neighbours, wrapping; the first element is its own.
        #[inline(always)]
        pub fn $differences(items: &[[u8; $size]], mut planes: [&mut [u8]; $size]) {
            let mut before = zeroed_m128i();
            let from = each_apart(items, &mut planes, |group| {
                apart(group.map(|elements| {
                    let last = byte_shr_imm_u128_m128i::<{ 16 - $size }>(before);
                    before = elements;
                    $sub(elements, byte_shl_imm_u128_m128i::<$size>(elements) | last)
                }))
            });
            let before = from.checked_sub(1).map_or(0, |last| <$word>::from_le_bytes(items[last]));
            loops::$differences_from(before, &items[from..], planes.map(|plane| &mut plane[from..]));
        }

        /// Undoes what the differences did: [`join`], and adds to each element all before it, wrapping.
        #[inline(always)]
        pub fn $sums(planes: [&[u8]; $size], items: &mut [[u8; $size]]) {
            let mut before = zeroed_m128i();
            let from = each_together(planes, items, |planes| {
                together(planes).map(|elements| {
                    // Moved by one element, by two and so on, and added each time, a register holds its own sums.
                    let mut sums = elements;
                    $(sums = $add(sums, byte_shl_imm_u128_m128i::<$shift>(sums));)*
                    let upto = $add(sums, before);
                    before = $add(before, $last(sums));
                    upto
                })
            });
            let sum = from.checked_sub(1).map_or(0, |last| <$word>::from_le_bytes(items[last]));
            loops::$sums_from(sum, planes.map(|plane| &plane[from..]), &mut items[from..]);
        }
    )*};
}

differences! {
    u32, 4: differences_4 differences_4_from sub_i32_m128i, sums_4 sums_4_from add_i32_m128i [4 8] shuffle_ai_f32_all_m128i::<0xff>;
    u64, 8: differences_8 differences_8_from sub_i64_m128i, sums_8 sums_8_from add_i64_m128i [8] |sums| unpack_high_i64_m128i(sums, sums);
}

/// Turns squares of 8 x 8 bits over, sixteen of them that stand side by side. Twice is nothing.
#[inline(always)]
fn turn(mut rows: [m128i; 8]) -> [m128i; 8] {
    #[inline(always)]
    fn swap<const SHIFT: i32>(rows: &mut [m128i; 8], a: usize, b: usize, mask: u64) {
        let mask = set_splat_i64_m128i(mask.cast_signed());
        let t = (shr_imm_u64_m128i::<SHIFT>(rows[a]) ^ rows[b]) & mask;
        rows[b] ^= t;
        rows[a] ^= shl_imm_u64_m128i::<SHIFT>(t);
    }
    super::turn!(&mut rows, swap);
    rows
}

/// Writes bit `k` of each byte to row `k`, the first of eight bytes to the lowest bit; each row is as long as `bytes`.
#[inline(always)]
pub fn to_bits(bytes: &[[u8; 8]], mut rows: [&mut [u8]; 8]) {
    let from = each_apart(bytes, &mut rows, |squares| turn(apart(squares)));
    loops::to_bits(&bytes[from..], rows.map(|row| &mut row[from..]));
}

/// Writes the bytes whose bits stand in the rows, each of which is as long as `bytes`.
#[inline(always)]
pub fn from_bits(rows: [&[u8]; 8], bytes: &mut [[u8; 8]]) {
    let from = each_together(rows, bytes, |rows| together(turn(rows)));
    loops::from_bits(rows.map(|row| &row[from..]), &mut bytes[from..]);
}
