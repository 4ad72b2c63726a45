//! `ND.ITEM key index`

use crate::module::args::{Args, Key};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec};
use crate::nd::error::Error;
use crate::nd::index::Index;

/// See the module comment.
pub struct Item;

impl Command for Item {
    const SPEC: Spec = Spec {
        name: "ND.ITEM",
        flags: "readonly fast",
        since: "0.1.0",
        summary: "Returns one element of an array as a number.",
        complexity: "O(1), plus the bytes of the chunk where it is encoded",
        keys: Keys::One(Access::Read),
        args: &[key("key"), string("index")],
        reply: "The element as a scalar; nil where the key is missing. An index that selects none or several elements is an error.",
        notes: &["As `a[index].item()`: `ND.ITEM m 1,2`, and `()` for the element of an array of rank 0."],
    };

    type Call<'a> = (Key<'a>, Index);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        Ok((key, Index::parse(args.bytes("an index")?)?))
    }

    fn run((key, index): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        db.answer(key, |array| {
            let shape = array.shape();
            let selection = index.resolve(&shape)?;
            let mut positions = selection.positions(&shape);
            match (selection.out_shape().len_or_max(), positions.next()) {
                (1, Some(position)) => db.reply().scalar(&array.element(position)?),
                _ => return Err(Error::NotOneElement { shape: selection.out_shape().clone() }.into()),
            }
            Ok(())
        })
    }
}
