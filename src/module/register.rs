//! From a [`Command`] to a command of the server: the C entry point, and registration with all that the `Spec` says.

use std::ffi::{c_int, CStr, CString};
use std::mem;
use std::ptr::{null, null_mut, NonNull};

use redis_module::raw;

use super::args::Args;
use super::config;
use super::db::Db;
use super::error::{Refusal, Result};
use super::ffi::{api, c_text, guard, leak, log, ERR, OK};
use super::spec::{Access, ArgKind, ArgSpec, Keys, Spec};
use crate::nd::error::Error;

/// A command: a type, because a C callback carries no data of ours.
pub trait Command {
    /// What it looks like from outside.
    const SPEC: Spec;

    /// The parsed call. It may point into the arguments.
    type Call<'a>;

    /// Reads the arguments, and nothing else. Whatever is left afterwards is refused.
    ///
    /// # Errors
    /// What is wrong with them.
    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>>;

    /// Looks at the database, changes it, and writes the reply: all of it, or an error and nothing before it.
    ///
    /// # Errors
    /// Why the call is refused; then nothing was changed and nothing written.
    fn run(call: Self::Call<'_>, db: &Db<'_>) -> Result<()>;
}

/// The entry point of command `C`.
///
/// # Safety
/// Called by the server as a command callback.
pub unsafe extern "C" fn entry<C: Command>(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    guard(
        C::SPEC.name,
        || {
            // SAFETY: the context lives (ffi invariant 1).
            unsafe { api!(RedisModule_ReplyWithError(ctx, c"ERR internal error".as_ptr())) };
        },
        || {
            // SAFETY: `argc` live strings, none null (ffi invariant 3).
            let argv: &[NonNull<raw::RedisModuleString>] = unsafe {
                std::slice::from_raw_parts(
                    argv.cast::<NonNull<raw::RedisModuleString>>(),
                    usize::try_from(argc).unwrap_or(0),
                )
            };
            // SAFETY: the strings live until this call returns.
            let mut args = unsafe { Args::new(argv) };
            if !matches!(C::SPEC.keys, Keys::One(_)) {
                // SAFETY: the context lives (ffi invariant 1); servers without the question do not ask it.
                if unsafe { raw::RedisModule_IsKeysPositionRequest.is_some_and(|is_request| is_request(ctx) != 0) } {
                    return show_keys(ctx, &mut args, C::SPEC.keys);
                }
            }
            let db = Db::new(ctx, argv);
            let attempt = |args: &mut Args<'_>| {
                let call = C::parse(args)?;
                args.finish(|| C::SPEC.usage())?;
                C::run(call, &db)
            };
            let mut outcome = attempt(&mut args);
            if matches!(outcome, Err(Refusal::Library(Error::Limit { .. } | Error::AboveSetting { .. })))
                && C::SPEC.is_write()
                && db.is_replayed()
            {
                // Whoever sent it has done it. A refused call has changed nothing, so it can be tried again.
                let _lifted = config::lift_array_limit();
                // SAFETY: as above.
                outcome = attempt(&mut unsafe { Args::new(argv) });
            }
            if let Err(refusal) = outcome {
                db.reply().error(&refusal);
            }
        },
    );
    OK
}

/// Tells the server where the keys of a call stand. Key specs say so too, as far as they can, but Redis up to 7.2 routes in
/// a cluster, and refuses keys of several slots, by this alone. A count that lies has no keys: the call itself will refuse it.
fn show_keys(ctx: *mut raw::RedisModuleCtx, args: &mut Args<'_>, keys: Keys) {
    match keys {
        Keys::One(access) => show_key(ctx, 1, access),
        Keys::Counted(access) => {
            let Ok(n) = args.count("the number of keys") else { return };
            let first = args.position();
            (first..first + n).for_each(|position| show_key(ctx, position, access));
        }
        Keys::OneAndSource { access, at } => {
            show_key(ctx, 1, access);
            if args.is_word_at(at, "KEY") && args.position() + args.left() > at + 1 {
                show_key(ctx, at + 1, Access::Read);
            }
        }
        Keys::OneAndMask(access) => {
            show_key(ctx, 1, access);
            if let Some(word) = args.position_of("WHERE") {
                show_key(ctx, word + 1, Access::Read);
            }
        }
    }
}

fn show_key(ctx: *mut raw::RedisModuleCtx, position: usize, access: Access) {
    let Ok(position) = c_int::try_from(position) else { return };
    // SAFETY: the context asks for positions; reading pointers that are written once.
    unsafe {
        match (raw::RedisModule_KeyAtPosWithFlags, c_int::try_from(key_flags(access))) {
            (Some(key_at), Ok(flags)) => key_at(ctx, position, flags),
            _ => api!(RedisModule_KeyAtPos(ctx, position)),
        }
    }
}

/// The ACL category of every command, where the server lets modules add one (Redis 7.4 and later).
pub const CATEGORY: &CStr = c"ndarray";

/// Makes the category known.
pub fn register_category(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: during load, with a context that lives; reading a pointer that is written once.
    unsafe {
        let Some(add) = raw::RedisModule_AddACLCategory else { return false };
        let added = add(ctx, CATEGORY.as_ptr()) == OK;
        if !added {
            log(ctx, c"notice", "the ACL category 'ndarray' could not be added");
        }
        added
    }
}

/// Registers command `C`.
///
/// # Errors
/// The name of the step that the server refused.
pub fn register<C: Command>(ctx: *mut raw::RedisModuleCtx, with_category: bool) -> Result<(), String> {
    let spec = &C::SPEC;
    let name = c_text(spec.name);
    let (first, last, step, getkeys) = match spec.keys {
        Keys::One(_) => (1, 1, 1, ""),
        Keys::Counted(_) => (0, 0, 0, " getkeys-api"),
        Keys::OneAndSource { .. } | Keys::OneAndMask(_) => (1, 1, 1, " getkeys-api"),
    };
    let flags = c_text(&format!("{}{getkeys}", spec.flags));
    // SAFETY: during load; the server copies names and flags.
    unsafe {
        if api!(RedisModule_CreateCommand(ctx, name.as_ptr(), Some(entry::<C>), flags.as_ptr(), first, last, step))
            == ERR
        {
            return Err(format!("{}: the command could not be created", spec.name));
        }
        let command = api!(RedisModule_GetCommand(ctx, name.as_ptr()));
        if command.is_null() {
            return Err(format!("{}: the command is not there", spec.name));
        }
        if let Some(set_info) = raw::RedisModule_SetCommandInfo {
            let info = command_info(spec);
            if set_info(command, &*info) == ERR {
                return Err(format!("{}: the server refused its description", spec.name));
            }
        }
        if let (true, Some(set_categories)) = (with_category, raw::RedisModule_SetCommandACLCategories) {
            let access = if spec.is_write() { "write" } else { "read" };
            let categories = c_text(&format!("ndarray {access}"));
            if set_categories(command, categories.as_ptr()) == ERR {
                return Err(format!("{}: the server refused its ACL categories", spec.name));
            }
        }
    }
    Ok(())
}

static VERSION: raw::RedisModuleCommandInfoVersion = raw::RedisModuleCommandInfoVersion {
    version: 1,
    sizeof_historyentry: mem::size_of::<raw::RedisModuleCommandHistoryEntry>(),
    sizeof_keyspec: mem::size_of::<raw::RedisModuleCommandKeySpec>(),
    sizeof_arg: mem::size_of::<raw::RedisModuleCommandArg>(),
};

/// The description as the server takes it. Its strings and tables are leaked: once per command and process, a few
/// hundred bytes, and no question of who frees what.
fn command_info(spec: &Spec) -> Box<raw::RedisModuleCommandInfo> {
    // SAFETY: plain C structs, for which all zeros are valid and end the tables.
    let (mut info, mut key_specs) = unsafe {
        (
            Box::new(mem::zeroed::<raw::RedisModuleCommandInfo>()),
            Box::new(mem::zeroed::<[raw::RedisModuleCommandKeySpec; 3]>()),
        )
    };
    key_specs[0].flags = key_flags(spec.keys.access());
    key_specs[0].begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    key_specs[0].bs.index.pos = 1;
    match spec.keys {
        Keys::One(_) | Keys::OneAndSource { .. } | Keys::OneAndMask(_) => {
            key_specs[0].find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
            key_specs[0].fk.range.lastkey = 0;
            key_specs[0].fk.range.keystep = 1;
        }
        Keys::Counted(_) => {
            key_specs[0].find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_KEYNUM;
            key_specs[0].fk.keynum.keynumidx = 0;
            key_specs[0].fk.keynum.firstkey = 1;
            key_specs[0].fk.keynum.keystep = 1;
        }
    }
    let word = match spec.keys {
        Keys::OneAndSource { at, .. } => Some((c"KEY", at)),
        Keys::OneAndMask(_) => Some((c"WHERE", 2)),
        Keys::One(_) | Keys::Counted(_) => None,
    };
    if let Some((word, from)) = word {
        // A spec can look for the word, but not tell it from bytes that read the same: both are marked as not the whole
        // truth, so that the server asks the command itself.
        let incomplete = u64::from(raw::REDISMODULE_CMD_KEY_INCOMPLETE);
        key_specs[0].flags |= incomplete;
        key_specs[1].flags = key_flags(Access::Read) | incomplete;
        key_specs[1].begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_KEYWORD;
        key_specs[1].bs.keyword.keyword = word.as_ptr();
        key_specs[1].bs.keyword.startfrom = c_int::try_from(from).unwrap_or(1);
        key_specs[1].find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
        key_specs[1].fk.range.lastkey = 0;
        key_specs[1].fk.range.keystep = 1;
    }
    info.version = &VERSION;
    info.summary = leak(spec.summary);
    info.complexity = leak(spec.complexity);
    info.since = leak(spec.since);
    info.arity = spec.arity();
    info.key_specs = Box::leak(key_specs).as_mut_ptr();
    info.args = arg_table(spec.args);
    info
}

fn key_flags(access: Access) -> u64 {
    let flags = match access {
        Access::Read => raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS,
        Access::ReadMeta => raw::REDISMODULE_CMD_KEY_RO,
        Access::Overwrite => raw::REDISMODULE_CMD_KEY_OW | raw::REDISMODULE_CMD_KEY_UPDATE,
        Access::Update => raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_UPDATE,
    };
    u64::from(flags)
}

fn arg_table(args: &'static [ArgSpec]) -> *mut raw::RedisModuleCommandArg {
    let text =
        |s: &str| if s.is_empty() { null() } else { CString::new(s).map_or(null(), |s| s.into_raw().cast_const()) };
    let mut table: Vec<raw::RedisModuleCommandArg> = args
        .iter()
        .map(|arg| raw::RedisModuleCommandArg {
            name: text(arg.name),
            type_: match arg.kind {
                ArgKind::Key => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY,
                ArgKind::String => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
                ArgKind::Integer => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER,
                ArgKind::Double => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_DOUBLE,
                ArgKind::UnixTime => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_UNIX_TIME,
                ArgKind::Token => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN,
                ArgKind::OneOf => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF,
                ArgKind::Block => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK,
            },
            key_spec_index: match (arg.kind, arg.token) {
                (ArgKind::Key, "") => 0,
                (ArgKind::Key, _) => 1, // the second key, behind its word
                _ => -1,
            },
            token: text(arg.token),
            summary: null(),
            since: null(),
            flags: (if arg.optional { raw::REDISMODULE_CMD_ARG_OPTIONAL } else { 0 }
                | if arg.multiple { raw::REDISMODULE_CMD_ARG_MULTIPLE } else { 0 }) as c_int,
            deprecated_since: null(),
            subargs: if arg.args.is_empty() { null_mut() } else { arg_table(arg.args) },
            display_text: null(),
        })
        .collect();
    // SAFETY: a plain C struct; all zeros end the table.
    table.push(unsafe { mem::zeroed() });
    Box::leak(table.into_boxed_slice()).as_mut_ptr()
}
