//! `ND.ATTRSET key name json [name json ...]`, `ND.ATTRGET key [name ...]`, `ND.ATTRDEL key name [name ...]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::input::check_bytes;
use crate::module::register::Command;
use crate::module::spec::{block, key, string, Access, Keys, Spec};
use crate::nd::attributes::Attributes;
use crate::nd::error::{quoted, Error};

/// `ND.ATTRSET`
pub struct AttrSet;

impl Command for AttrSet {
    const SPEC: Spec = Spec {
        name: "ND.ATTRSET",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Sets attributes of an array: names with JSON texts.",
        complexity: "O(A) where A is the number of attributes",
        keys: Keys::One(Access::Update),
        args: &[key("key"), block("attribute", &[string("name"), string("json")]).multiple()],
        reply: "The number of names that are new. A missing key is an error.",
        notes: &[
            "Texts are checked and kept without needless white space. All attributes of an array take at most 1 MiB. They \
             are saved, copied and replicated with the array, and do not change its digest.",
        ],
    };

    type Call<'a> = (Key<'a>, Vec<(&'a [u8], String)>);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        let mut list = Vec::new();
        while args.left() > 0 {
            let name = args.bytes("a name")?;
            let text = args.bytes("the JSON text of the last name")?;
            list.push((name, Attributes::check(name, text)?));
        }
        if list.is_empty() {
            return Err(Error::syntax("a name and its JSON text are missing at the end").into());
        }
        Ok((key, list))
    }

    fn run((key, list): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut slot = db.write(key);
        let array = slot.array()?.ok_or_else(|| Refusal::NoKey { key: quoted(key.bytes()) })?;
        // On a copy first: a refusal must leave the array as it was, snapshots or not.
        let mut attributes = array.attributes().clone();
        let added = attributes.set(list)?;
        slot.change(|array| *array.attributes_mut() = attributes);
        drop(slot);
        db.commit(c"nd.attrset", &[key]);
        db.reply().size(added);
        Ok(())
    }
}

/// `ND.ATTRGET`
pub struct AttrGet;

impl Command for AttrGet {
    const SPEC: Spec = Spec {
        name: "ND.ATTRGET",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns attributes of an array.",
        complexity: "O(A) where A is the number of attributes",
        keys: Keys::One(Access::Read),
        args: &[key("key"), string("name").optional().multiple()],
        reply: "A map of names to JSON texts: all of them, in the order they were first set, or those named, nil for a name \
                that is not there. Nil where the key is missing.",
        notes: &[],
    };

    type Call<'a> = (Key<'a>, Vec<&'a [u8]>);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        let names = (0..args.left()).map(|_| args.bytes("a name")).collect::<Result<_>>()?;
        Ok((key, names))
    }

    fn run((key, names): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        let reply = db.reply();
        let Some(array) = db.read(key)? else {
            reply.null();
            return Ok(());
        };
        let attributes = array.attributes();
        if names.is_empty() {
            reply.map(attributes.len());
            for (name, text) in attributes.iter() {
                reply.bulk(name);
                reply.bulk(text.as_bytes());
            }
            return Ok(());
        }
        // One long text may be asked for any number of times.
        let total = attributes.get_all(&names).fold(0usize, |n, (_, text)| n.saturating_add(text.map_or(0, str::len)));
        check_bytes("the reply", total, &config::MAX_RESULT_BYTES)?;
        reply.map(names.len());
        for (name, text) in attributes.get_all(&names) {
            reply.bulk(name);
            match text {
                Some(text) => reply.bulk(text.as_bytes()),
                None => reply.null(),
            }
        }
        Ok(())
    }
}

/// `ND.ATTRDEL`
pub struct AttrDel;

impl Command for AttrDel {
    const SPEC: Spec = Spec {
        name: "ND.ATTRDEL",
        flags: "write",
        since: "0.1.0",
        summary: "Removes attributes of an array.",
        complexity: "O(A) where A is the number of attributes",
        keys: Keys::One(Access::Update),
        args: &[key("key"), string("name").multiple()],
        reply: "The number of attributes removed. A missing key is an error.",
        notes: &[],
    };

    type Call<'a> = (Key<'a>, Vec<&'a [u8]>);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        let first = args.bytes("a name")?;
        let mut names = vec![first];
        while args.left() > 0 {
            names.push(args.bytes("a name")?);
        }
        Ok((key, names))
    }

    fn run((key, names): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut slot = db.write(key);
        let array = slot.array()?.ok_or_else(|| Refusal::NoKey { key: quoted(key.bytes()) })?;
        let mut attributes = array.attributes().clone();
        let removed = attributes.remove(&names);
        if removed > 0 {
            slot.change(|array| *array.attributes_mut() = attributes);
            drop(slot);
            db.commit(c"nd.attrdel", &[key]);
        }
        db.reply().size(removed);
        Ok(())
    }
}
