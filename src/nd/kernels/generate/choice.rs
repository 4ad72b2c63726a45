//! Random positions, with and without replacement: those of `numpy.random.default_rng(seed).choice(population, n)`.
//!
//! Without replacement NumPy has two ways, and so have we: where many of a large population are wanted, the tail of a
//! Fisher-Yates shuffle; else Floyd's sampling (Bentley and Floyd, "A sample of brilliance", 1987), shuffled at the end. Which of the two
//! it is decides the numbers, so the bounds are NumPy's.

use std::collections::HashMap;

use super::random::{within, Bounded, Pcg64};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};

/// A sample has at most this many rows: the draw itself takes some bytes for each.
pub const MAX_SAMPLE: usize = 16 << 20;

/// Up to this population the tail of a shuffle is drawn from Floyd's sets.
const SMALL: usize = 10_000;
/// Above it, where more than one in so many is wanted, from a shuffle.
const FEW: usize = 50;

/// `n` random positions below `population`, in the order NumPy draws them.
///
/// # Errors
/// `VALUE` where there are not enough to choose from; `LIMIT` above `MAX_SAMPLE`; `OOM`.
pub fn choice(population: usize, n: usize, replace: bool, seed: u64) -> Result<Vec<usize>> {
    if n > MAX_SAMPLE {
        return Err(Error::Limit { what: "the sample", given: n as u128, limit: MAX_SAMPLE as u128, unit: "rows" });
    }
    if n == 0 {
        return Ok(Vec::new());
    }
    if population == 0 {
        return Err(Error::value(format!("{n} rows are asked for, the axis is empty")));
    }
    if !replace && n > population {
        return Err(Error::value(format!(
            "{n} rows are asked for, the axis has {population} (use REPLACE to take some more than once)"
        )));
    }
    let mut out = reserved(n)?;
    if replace {
        let mut draw = Bounded::new(seed, Dtype::Int64, 0, population as i128 - 1);
        out.extend((0..n).map(|_| draw.next() as usize)); // below the population
    } else {
        let random = Pcg64::seeded(seed);
        if population > SMALL && n > population / FEW {
            tail_of_shuffle(population, n, random, &mut out)?;
        } else {
            floyd(population, n, random, &mut out)?;
        }
    }
    Ok(out)
}

fn reserved<T>(n: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    out.try_reserve_exact(n).map_err(|_| Error::OutOfMemory { bytes: n * std::mem::size_of::<T>() })?;
    Ok(out)
}

/// A random position from 0 to `last`.
fn up_to(random: &mut Pcg64, last: usize) -> usize {
    within(random, last as u64) as usize // at most `last`
}

/// The last `n` places of `0..population`, shuffled from the back. What was swapped away is remembered by its place, so
/// that a few rows of a long axis do not ask for a list as long as the axis.
fn tail_of_shuffle(population: usize, n: usize, mut random: Pcg64, out: &mut Vec<usize>) -> Result<()> {
    let first = population - n;
    let mut moved: HashMap<usize, usize> = HashMap::new();
    moved.try_reserve(n).map_err(|_| Error::OutOfMemory { bytes: 16 * n })?;
    out.resize(n, 0);
    for place in (first.max(1)..population).rev() {
        let from = up_to(&mut random, place);
        let own = moved.remove(&place).unwrap_or(place);
        out[place - first] = if from == place { own } else { moved.insert(from, own).unwrap_or(from) };
    }
    if first == 0 {
        out[0] = moved.remove(&0).unwrap_or(0);
    }
    Ok(())
}

/// `n` different numbers below `population`: one draw each, and a set of those that are taken.
fn floyd(population: usize, n: usize, mut random: Pcg64, out: &mut Vec<usize>) -> Result<()> {
    const FREE: usize = usize::MAX;
    let slots = (n + n / 2 + 1).next_power_of_two();
    let mask = slots - 1;
    let mut taken: Vec<usize> = reserved(slots)?;
    taken.resize(slots, FREE);
    // The slot of a number: its own, or the free one where it belongs.
    let slot = |taken: &[usize], number: usize| {
        let mut at = number & mask;
        while taken[at] != FREE && taken[at] != number {
            at = (at + 1) & mask;
        }
        at
    };
    for last in population - n..population {
        let drawn = up_to(&mut random, last);
        let at = slot(&taken, drawn);
        let number = if taken[at] == FREE { drawn } else { last };
        let at = slot(&taken, number);
        taken[at] = number;
        out.push(number);
    }
    for place in (1..n).rev() {
        out.swap(place, up_to(&mut random, place));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_numpys() {
        // numpy.random.default_rng(seed).choice(population, n, replace)
        for (population, n, replace, seed, want) in [
            (10, 4, false, 1, &[6, 4, 9, 3][..]),
            (10, 10, false, 2, &[2, 3, 8, 0, 4, 1, 9, 5][..]),
            (1, 1, false, 0, &[0][..]),
            (1000000, 5, false, 7, &[625093, 684178, 944901, 578292, 897212][..]),
            (20000, 401, false, 9, &[95, 15715, 9071, 1482, 2724, 3388, 19086, 5228][..]),
            (20000, 400, false, 9, &[8406, 8341, 7963, 7121, 10852, 16478, 17625, 3729][..]),
            (10001, 10001, false, 4, &[9125, 6712, 8355, 6939, 3796, 2392, 7750, 1397][..]),
            (10000, 9999, false, 4, &[5153, 6697, 3602, 7949, 2470, 2846, 211, 9376][..]),
            (1099511627776, 3, false, 5, &[566606446456, 885110075050, 888340292868][..]),
            (1000, 5, true, 11, &[133, 128, 797, 499, 590][..]),
            (1099511627776, 3, true, 12, &[275784408220, 1040965869305, 208159964176][..]),
            (4294967296, 3, true, 13, &[3848090812, 3714277353, 3520779263][..]),
            (4294967301, 4, false, 13, &[3483318977, 3673496332, 1122903573, 3714277355][..]),
            (200000, 5000, false, 21, &[31678, 190935, 18354, 85519, 144706, 107464, 126852, 17998][..]),
        ] {
            assert_eq!(choice(population, n, replace, seed).unwrap()[..want.len()], *want, "{n} of {population}");
        }
    }

    #[test]
    fn nothing_is_chosen_twice_without_replacement() {
        for (population, n) in [(1, 1), (5, 5), (10_000, 10_000), (10_001, 10_001), (20_000, 401), (1 << 40, 1000)] {
            let mut chosen = choice(population, n, false, 3).unwrap();
            assert!(chosen.iter().all(|p| *p < population));
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), n, "{n} of {population}");
        }
    }

    #[test]
    fn err_more_than_there_are() {
        let text = |population, n, replace| choice(population, n, replace, 1).unwrap_err().to_string();
        assert_eq!(
            text(3, 4, false),
            "VALUE 4 rows are asked for, the axis has 3 (use REPLACE to take some more than once)"
        );
        assert_eq!(text(0, 1, true), "VALUE 1 rows are asked for, the axis is empty");
        assert_eq!(
            text(usize::MAX, 1 << 40, true),
            "LIMIT the sample would take 1099511627776 rows, the limit is 16777216"
        );
        assert!(choice(0, 0, false, 1).unwrap().is_empty());
    }
}
