//! The elements at some ranks among more elements than are kept at a time, found in a few passes over them.
//!
//! ```text
//! pass 1   counts the keys by their first bits          -> spans: the leading bits of the keys at the wanted ranks
//! pass 2.. counts the keys of those spans by more bits  -> shorter spans, while they hold too many elements
//! last     collects the keys of the spans; those at the wanted ranks are selected
//! ```
//! A key is an unsigned integer of the elements' own order. A pass looks at up to 16 bits more, so that there are few of them, and
//! where no bit is left the spans are the answer. A table takes at most 8 MiB.

use super::quantile::{select, Answers, Key, Ranking, Sortable};
use crate::nd::dtype::dispatch;
use crate::nd::error::{Error, Result};
use crate::nd::kernels::{elements, Unaligned};

/// Entries of a table of counts.
const TABLE: usize = 1 << 20;
/// The fewest and the most bits that a pass looks at; of few elements fewer.
const BITS: std::ops::RangeInclusive<u32> = 6..=16;

/// What a pass is given at a time.
#[derive(Clone, Copy)]
pub enum Given<'a> {
    /// Elements, and one byte for each of them, 0 where it does not count.
    All(&'a [u8], Option<&'a [u8]>),
    /// One element, so many times.
    Same(&'a [u8], u64),
}

impl Given<'_> {
    /// Calls `f` with elements that count, and how often.
    #[inline(always)]
    fn each<T: Sortable>(&self, mut f: impl FnMut(T, u64)) {
        match self {
            Given::All(bytes, None) => elements::<Unaligned<T>>(bytes).iter().for_each(|x| f(x.get(), 1)),
            Given::All(bytes, Some(mask)) => {
                let kept = elements::<Unaligned<T>>(bytes).iter().zip(*mask).filter(|(_, &keep)| keep != 0);
                kept.for_each(|(x, _)| f(x.get(), 1));
            }
            Given::Same(_, 0) => {}
            Given::Same(element, times) => f(bytemuck::pod_read_unaligned(element), *times),
        }
    }
}

/// Hands all elements to a function, the same ones each time it is called.
pub type Pass<'p> = &'p mut dyn FnMut(&mut dyn FnMut(Given<'_>)) -> Result<()>;

/// Keys with the same leading bits, one of which has a wanted rank.
struct Span<K> {
    lead: K,
    /// Elements below it, and in it.
    below: usize,
    count: usize,
}

/// The answers of a ranking that has one cell, which keeps at most `scratch` bytes of elements.
///
/// # Errors
/// `VALUE` for a quantile of no elements; `OOM`; whatever a pass answers.
pub fn narrowed(ranking: &Ranking, scratch: usize, pass: Pass<'_>) -> Result<Vec<u8>> {
    dispatch!(ranking.plan.dtype, T => narrowed_as::<T>(ranking, scratch, pass))
}

fn narrowed_as<T: Sortable>(ranking: &Ranking, scratch: usize, pass: Pass<'_>) -> Result<Vec<u8>> {
    let (dtype, _) = ranking.result();
    let mut out = vec![0; ranking.quantiles() * dtype.itemsize()];
    let answers = Answers { rank: &ranking.rank, dtype, skips_nan: ranking.skips_nan, cells: 1 };
    let bits = bits_for(ranking.cells().0, 1).min(T::Key::BITS);
    // Bits of a key that were not looked at.
    let mut left = T::Key::BITS - bits;
    let mut table = zeroed(1 << bits)?;
    let mut nan = 0;
    #[allow(clippy::eq_op)] // NaN alone differs from itself
    pass(&mut |given| {
        given.each(|x: T, times| match x != x {
            true => nan += times,
            false => table[x.key().digit(left, bits)] += times,
        });
    })?;
    let count = table.iter().sum::<u64>() as usize; // at most the size of an array
    if answers.write_nan::<T>(0, count, nan, &mut out)? {
        return Ok(out);
    }
    let mut wanted = Vec::new();
    ranking.rank.wanted(count, &mut wanted);
    let all = [Span { lead: bytemuck::Zeroable::zeroed(), below: 0, count }];
    let mut spans = split(&all, &table, bits, &wanted);
    while left > 0 && held(&spans).saturating_mul(std::mem::size_of::<T>()) > scratch {
        let bits = bits_for(held(&spans), spans.len()).min(left);
        table = zeroed(spans.len() << bits)?;
        let leads: Vec<T::Key> = spans.iter().map(|span| span.lead).collect();
        each_found::<T>(&leads, left, pass, |at, key, times| {
            table[at << bits | key.digit(left - bits, bits)] += times;
        })?;
        spans = split(&spans, &table, bits, &wanted);
        left -= bits;
    }
    drop(table);
    let found = if left == 0 { leads_at(&spans, &wanted) } else { collected::<T>(&spans, left, &wanted, pass)? };
    let found: Vec<T> = found.into_iter().map(T::of_key).collect();
    answers.write(0, count, &wanted, &found, &mut out);
    Ok(out)
}

/// How many bits a pass over so many elements in so many spans looks at.
fn bits_for(elements: usize, spans: usize) -> u32 {
    let of_elements = elements.max(1).ilog2().clamp(*BITS.start(), *BITS.end());
    of_elements.min((TABLE / spans).max(2).ilog2())
}

fn zeroed<T: Copy + bytemuck::Zeroable>(len: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    let bytes = len.saturating_mul(std::mem::size_of::<T>());
    out.try_reserve_exact(len).map_err(|_| Error::OutOfMemory { bytes })?;
    out.resize(len, T::zeroed());
    Ok(out)
}

/// How many elements spans hold.
fn held<K>(spans: &[Span<K>]) -> usize {
    spans.iter().map(|span| span.count).sum()
}

/// The parts of spans that hold wanted ranks, where the counts of each span's parts stand in a table one after the other.
fn split<K: Key>(spans: &[Span<K>], table: &[u64], bits: u32, wanted: &[usize]) -> Vec<Span<K>> {
    let mut wanted = wanted.iter().peekable();
    let mut parts = Vec::new();
    for (span, counts) in spans.iter().zip(table.chunks_exact(1 << bits)) {
        let mut below = span.below;
        for (digit, &count) in counts.iter().enumerate() {
            let (count, lead) = (count as usize, span.lead.followed_by(digit, bits)); // at most the size of an array
            if wanted.next_if(|&&rank| rank < below + count).is_some() {
                while wanted.next_if(|&&rank| rank < below + count).is_some() {}
                parts.push(Span { lead, below, count });
            }
            below += count;
        }
    }
    parts
}

/// Calls `f` with the keys of spans: in which span, the key, and how often.
#[allow(clippy::eq_op)]
fn each_found<T: Sortable>(
    leads: &[T::Key],
    left: u32,
    pass: Pass<'_>,
    mut f: impl FnMut(usize, T::Key, u64),
) -> Result<()> {
    pass(&mut |given| match leads {
        [lead] => given.each(|x: T, times| {
            let key = x.key();
            if key.leading(left) == *lead && x == x {
                f(0, key, times);
            }
        }),
        _ => given.each(|x: T, times| {
            let key = x.key();
            match leads.binary_search(&key.leading(left)) {
                Ok(at) if x == x => f(at, key, times),
                _ => {}
            }
        }),
    })
}

/// The keys at the wanted ranks, where nothing but them is left of the spans.
fn leads_at<K: Key>(spans: &[Span<K>], wanted: &[usize]) -> Vec<K> {
    wanted.iter().map(|&rank| spans[spans.partition_point(|span| span.below + span.count <= rank)].lead).collect()
}

/// The keys at the wanted ranks, after a last pass that collects all keys of the spans.
fn collected<T: Sortable>(spans: &[Span<T::Key>], left: u32, wanted: &[usize], pass: Pass<'_>) -> Result<Vec<T::Key>> {
    let leads: Vec<T::Key> = spans.iter().map(|span| span.lead).collect();
    let mut keys: Vec<T::Key> = zeroed(held(spans))?;
    // Where the next key of each span goes.
    let mut next: Vec<usize> = Vec::with_capacity(spans.len());
    for span in spans {
        next.push(next.last().copied().unwrap_or(0));
        if let Some(end) = next.last_mut() {
            *end += span.count;
        }
    }
    for (end, span) in next.iter_mut().zip(spans) {
        *end -= span.count;
    }
    each_found::<T>(&leads, left, pass, |at, key, times| {
        let from = next[at];
        next[at] += times as usize;
        keys[from..next[at]].fill(key);
    })?;
    let mut found = Vec::with_capacity(wanted.len());
    let (mut rest, mut wanted) = (&mut keys[..], wanted);
    for span in spans {
        let (own, others) = rest.split_at_mut(span.count);
        let inside = wanted.partition_point(|&rank| rank < span.below + span.count);
        select(own, wanted[..inside].iter().map(|rank| rank - span.below), |key| found.push(key));
        (rest, wanted) = (others, &wanted[inside..]);
    }
    Ok(found)
}
