//! `ND.MGET n key [key ...] [SLICE index] [format | NPZ]`

use triomphe::Arc;

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::input::check_bytes;
use crate::module::output::{self, Content, Format};
use crate::module::register::Command;
use crate::module::spec::{integer, key, string, Access, Keys, Spec, FORMAT_OF_SEVERAL};
use crate::nd::array::Array;
use crate::nd::format::{npy, npz};
use crate::nd::index::Index;

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
        let arrays = call
            .keys
            .iter()
            .map(|key| match db.read(*key) {
                Err(Refusal::WrongType) => Ok(None),
                other => {
                    if let (Ok(Some(array)), None) = (&other, &call.index) {
                        total = total.saturating_add(array.nbytes());
                    }
                    other
                }
            })
            .collect::<Result<Vec<Option<Arc<Array>>>>>()?;
        check_bytes("the reply", total, config::MAX_RESULT_BYTES.get())?;
        match (&call.index, call.format) {
            (None, Many::Each(format)) if format.is_bytes() => {
                db.reply().array(arrays.len());
                for array in &arrays {
                    match array {
                        None => db.reply().null(),
                        Some(array) => or_error_inside(output::reply_array(array, format, db.reply()), db),
                    }
                }
                Ok(())
            }
            _ => reply_contents(&call, &arrays, db),
        }
    }
}

/// The head of the list is out: what fails now (a damaged chunk) is said in the array's place.
fn or_error_inside(outcome: Result<()>, db: &Db<'_>) {
    if let Err(refusal) = outcome {
        db.reply().error(&refusal);
    }
}

/// The general way: what each format needs is checked for every array before the head of the list goes out.
fn reply_contents(call: &Call<'_>, arrays: &[Option<Arc<Array>>], db: &Db<'_>) -> Result<()> {
    let mut contents = Vec::with_capacity(arrays.len());
    let mut total = 0usize;
    for array in arrays {
        let content = match (array.as_deref(), &call.index) {
            (None, _) => None,
            (Some(array), None) => Some(Content::whole(array)),
            (Some(array), Some(index)) => Some(super::slice::select(array, index)?),
        };
        // After each, because selections take memory, and all of them may be of one array.
        total = total.saturating_add(content.as_ref().map_or(0, Content::nbytes));
        check_bytes("the reply", total, config::MAX_RESULT_BYTES.get())?;
        contents.push(content);
    }
    let Many::Each(format) = call.format else { return reply_npz(&call.keys, &contents, db) };
    let mut least = 0usize;
    for content in contents.iter().flatten() {
        content.check(format)?;
        least = least.saturating_add(format.least_reply(content.nbytes(), content.dtype.itemsize()));
    }
    check_bytes("the reply", least, config::MAX_RESULT_BYTES.get())?;
    db.reply().array(contents.len());
    for content in &contents {
        match content {
            None => db.reply().null(),
            Some(content) => or_error_inside(content.reply(format, db.reply()), db),
        }
    }
    Ok(())
}

fn reply_npz(keys: &[Key<'_>], contents: &[Option<Content<'_>>], db: &Db<'_>) -> Result<()> {
    let elements: usize = contents.iter().flatten().map(Content::nbytes).sum();
    let mut file = npz::Writer::with_capacity(elements + 512 * keys.len())?;
    for (key, content) in keys.iter().zip(contents) {
        let Some(content) = content else { continue };
        let head = npy::header(content.dtype, &content.shape)?;
        content.with_bytes(&[], &[], |bytes| file.member(key.bytes(), &head, &mut std::iter::once(bytes)))??;
    }
    db.reply().bulk(&file.finish());
    Ok(())
}
