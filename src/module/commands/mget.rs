//! `ND.MGET n key [key ...] [SLICE index] [format | NPZ]`

use triomphe::Arc;

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::input::check_bytes;
use crate::module::output::{self, Content, Format};
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{integer, key, string, Access, Keys, Spec, FORMAT_OF_SEVERAL};
use crate::nd::array::{Array, Effort};
use crate::nd::format::{npy, npz};
use crate::nd::index::{Index, Selection};

/// See the module comment.
pub struct Mget;

/// A parsed call.
pub struct Call<'a> {
    keys: Vec<Key<'a>>,
    index: Option<Index>,
    format: Many,
}

/// How several arrays are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Many {
    /// Each in this format.
    Each(Format),
    /// All in one `.npz` file.
    Npz,
}

impl Command for Mget {
    const SPEC: Spec = Spec {
        name: "ND.MGET",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns several arrays, or the same part of each.",
        complexity: "O(N) where N is the number of bytes of all arrays",
        keys: Keys::Counted(Access::Read),
        args: &[
            integer("numkeys"),
            key("key").multiple(),
            string("index").after("SLICE").optional(),
            FORMAT_OF_SEVERAL,
        ],
        reply: "A list with an array for each key, nil where the key is missing or holds another type. With `NPZ` one .npz \
                file, its members named by key.",
        notes: &[
            "A format that cannot carry one of the arrays, or an index that does not fit one, refuses the whole call. Keys that \
             are missing have no member in the .npz file.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let n = args.count("the number of keys")?;
        let keys = args.keys(n)?;
        let index = if args.word("SLICE") { Some(Index::parse(args.bytes("an index")?)?) } else { None };
        let format = if args.word("NPZ") { Many::Npz } else { Many::Each(Format::at_end(args)) };
        Ok(Call { keys, index, format })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut total = 0usize;
        let mut cost = Cost::LEAST;
        let mut parts = Vec::with_capacity(call.keys.len());
        for key in &call.keys {
            let array = match db.read(*key) {
                Err(Refusal::WrongType) => None,
                other => other?,
            };
            let Some(array) = array else {
                parts.push(None);
                continue;
            };
            let selection = call.index.as_ref().map(|index| super::slice::resolve(&array, index)).transpose();
            let selection = selection.map_err(|refusal| refusal.of_key(key.bytes()))?;
            let effort = selection.as_ref().map_or_else(|| array.effort(), |s| array.effort_of(s));
            total = total.saturating_add(effort.bytes);
            cost = call.format.cost(cost, effort, array.dtype().itemsize());
            parts.push(Some((array, selection.map(Box::new))));
        }
        check_bytes("the reply", total, &config::MAX_RESULT_BYTES)?;
        let named = if call.format.needs_names() { call.keys.as_slice() } else { &[] };
        let names: Vec<Vec<u8>> = named.iter().map(|key| key.bytes().to_vec()).collect();
        db.finish(cost, move |reply| match call.format {
            Many::Npz => reply_npz(&names, &parts, total, reply),
            Many::Each(format) => reply_each(&names, &parts, format, reply),
        })
    }
}

impl Many {
    /// Whether keys are written, or said where an array is refused: only where one can be.
    fn needs_names(self) -> bool {
        matches!(self, Many::Npz | Many::Each(Format::Npy | Format::Arrow))
    }

    fn cost(self, before: Cost, effort: Effort, itemsize: usize) -> Cost {
        match self {
            Many::Each(format) => format.cost(before, effort, itemsize),
            Many::Npz => Format::Npy.cost(before, effort, itemsize).and(Work::Compute, effort.bytes), // its checksum
        }
    }
}

/// A key's array, and what is selected of it; nothing where the key is missing or holds another type. Two words: there are many,
/// and most are whole.
type Part = Option<(Arc<Array>, Option<Box<Selection>>)>;

fn content((array, selection): &(Arc<Array>, Option<Box<Selection>>)) -> Result<Content<'_>> {
    match selection {
        Some(selection) => super::slice::read(array, selection),
        None => Ok(Content::whole(array)),
    }
}

/// The head of the list is out: what fails now (a damaged chunk) is said in the array's place.
fn or_error_inside(outcome: Result<()>, reply: &Reply) {
    if let Err(refusal) = outcome {
        reply.error(&refusal);
    }
}

fn reply_each(names: &[Vec<u8>], parts: &[Part], format: Format, reply: &Reply) -> Result<()> {
    // Whole arrays as bytes need no look ahead.
    if format.is_bytes() && parts.iter().flatten().all(|(_, selection)| selection.is_none()) {
        reply.array(parts.len());
        for part in parts {
            match part {
                None => reply.null(),
                Some((array, _)) => or_error_inside(output::reply_array(array, format, reply), reply),
            }
        }
        return Ok(());
    }
    // The general way: what each format needs is checked for every array before the head of the list goes out.
    let contents = parts.iter().map(|p| p.as_ref().map(content).transpose()).collect::<Result<Vec<_>>>()?;
    let mut least = 0usize;
    for (i, content) in contents.iter().enumerate() {
        let Some(content) = content else { continue };
        content.check(format).map_err(|refusal| match names.get(i) {
            Some(name) => refusal.of_key(name),
            None => refusal,
        })?;
        least = least.saturating_add(format.reply_bytes(content.nbytes(), content.dtype));
    }
    check_bytes("the reply", least, &config::MAX_RESULT_BYTES)?;
    reply.array(contents.len());
    for content in &contents {
        match content {
            None => reply.null(),
            Some(content) => or_error_inside(content.reply(format, reply), reply),
        }
    }
    Ok(())
}

fn reply_npz(names: &[Vec<u8>], parts: &[Part], nbytes: usize, reply: &Reply) -> Result<()> {
    let mut file = npz::Writer::with_capacity(nbytes + 512 * names.len())?;
    for (name, part) in names.iter().zip(parts) {
        let Some(part) = part else { continue };
        let content = content(part)?;
        let head = npy::header(content.dtype, &content.shape).map_err(|why| Refusal::from(why).of_key(name))?;
        content.with_bytes(&[], &[], |bytes| file.member(name, &head, &mut std::iter::once(bytes)))??;
    }
    reply.bulk(&file.finish());
    Ok(())
}
