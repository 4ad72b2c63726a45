//! The floor: a module that parses nothing and checks nothing, and so shows what the server's module interface alone leaves
//! of the speed of its own commands. `make bench` loads it beside the real one.
//!
//! `FLOOR.*` take the arguments of their `ND.*` siblings, as the benchmark sends them, and look at keys and bytes only. They do
//! what no module can leave out: find the key, copy the bytes, say that the key changed, replicate. **Anything but what the
//! benchmark sends them ends the server.** Not a model of how to write a module: `src/module` is.

use std::ffi::{c_int, c_long, c_void};
use std::ptr::{null_mut, NonNull};
use std::slice::from_raw_parts;
use std::sync::atomic::{AtomicPtr, Ordering};

use raw::{RedisModuleCtx as Ctx, RedisModuleIO as Io, RedisModuleString as Text};
use redis_module::raw;

/// Calls the module API; a panic in a C callback ends the process.
macro_rules! api {
    ($name:ident($($arg:expr),* $(,)?)) => {
        raw::$name.expect(stringify!($name))($($arg),*)
    };
}

const OK: c_int = raw::REDISMODULE_OK as c_int;
const READ: c_int = raw::REDISMODULE_READ as c_int;
const WRITE: c_int = READ | raw::REDISMODULE_WRITE as c_int;

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(null_mut());

/// A value: the length, and so many bytes behind it.
#[repr(C)]
struct Value {
    len: usize,
}

impl Value {
    unsafe fn bytes(value: *const Value) -> &'static [u8] {
        from_raw_parts(value.add(1).cast(), (*value).len)
    }

    unsafe fn new(bytes: &[u8]) -> *mut Value {
        let value: *mut Value = api!(RedisModule_Alloc(size_of::<Value>() + bytes.len())).cast();
        (*value).len = bytes.len();
        value.add(1).cast::<u8>().copy_from(bytes.as_ptr(), bytes.len());
        value
    }
}

unsafe fn bytes<'a>(text: *const Text) -> &'a [u8] {
    let mut len = 0;
    let start = api!(RedisModule_StringPtrLen(text, &mut len));
    from_raw_parts(start.cast(), len)
}

unsafe fn args<'a>(argv: *mut *mut Text, argc: c_int) -> &'a [*mut Text] {
    from_raw_parts(argv, usize::try_from(argc).unwrap_or(0))
}

unsafe fn number(text: *const Text) -> usize {
    let mut n = 0;
    api!(RedisModule_StringToLongLong(text, &mut n));
    usize::try_from(n).unwrap_or(0)
}

unsafe fn put(ctx: *mut Ctx, name: *mut Text, new: &[u8]) {
    let key: *mut raw::RedisModuleKey = api!(RedisModule_OpenKey(ctx, name, WRITE)).cast();
    let ours = TYPE.load(Ordering::Relaxed);
    let old: *mut Value = match api!(RedisModule_ModuleTypeGetType(key)) == ours {
        true => api!(RedisModule_ModuleTypeGetValue(key)).cast(),
        false => null_mut(),
    };
    if !old.is_null() && (*old).len == new.len() {
        old.add(1).cast::<u8>().copy_from(new.as_ptr(), new.len());
        let never = i64::from(raw::REDISMODULE_NO_EXPIRE);
        if api!(RedisModule_GetAbsExpire(key)) != never {
            api!(RedisModule_SetAbsExpire(key, never));
        }
    } else {
        api!(RedisModule_ModuleTypeSetValue(key, ours, Value::new(new).cast()));
    }
    api!(RedisModule_CloseKey(key));
}

unsafe fn announce(ctx: *mut Ctx, name: *mut Text) {
    api!(RedisModule_SignalModifiedKey(ctx, name));
    api!(RedisModule_NotifyKeyspaceEvent(ctx, raw::REDISMODULE_NOTIFY_MODULE as c_int, c"nd.set".as_ptr(), name));
}

unsafe fn with_value(ctx: *mut Ctx, name: *mut Text, f: impl FnOnce(&[u8])) {
    let key: *mut raw::RedisModuleKey = api!(RedisModule_OpenKey(ctx, name, READ)).cast();
    f(Value::bytes(api!(RedisModule_ModuleTypeGetValue(key)).cast()));
    api!(RedisModule_CloseKey(key));
}

unsafe fn reply(ctx: *mut Ctx, bytes: &[u8]) {
    api!(RedisModule_ReplyWithStringBuffer(ctx, bytes.as_ptr().cast(), bytes.len()));
}

/// `FLOOR.SET key dtype shape BLOB bytes`
unsafe extern "C" fn set(ctx: *mut Ctx, argv: *mut *mut Text, argc: c_int) -> c_int {
    let args = args(argv, argc);
    put(ctx, args[1], bytes(args[5]));
    api!(RedisModule_ReplicateVerbatim(ctx));
    announce(ctx, args[1]);
    api!(RedisModule_ReplyWithSimpleString(ctx, c"OK".as_ptr()))
}

/// `FLOOR.MSET n key [key ...] dtype shape BLOB bytes [...]`
unsafe extern "C" fn mset(ctx: *mut Ctx, argv: *mut *mut Text, argc: c_int) -> c_int {
    let args = args(argv, argc);
    let (names, values) = args[2..].split_at(number(args[1]));
    names.iter().zip(values.chunks(4)).for_each(|(name, value)| put(ctx, *name, bytes(value[3])));
    api!(RedisModule_ReplicateVerbatim(ctx));
    names.iter().for_each(|name| announce(ctx, *name));
    api!(RedisModule_ReplyWithSimpleString(ctx, c"OK".as_ptr()))
}

/// `FLOOR.GET key BLOB`
unsafe extern "C" fn get(ctx: *mut Ctx, argv: *mut *mut Text, argc: c_int) -> c_int {
    with_value(ctx, args(argv, argc)[1], |bytes| reply(ctx, bytes));
    OK
}

/// `FLOOR.MGET n key [key ...] BLOB`
unsafe extern "C" fn mget(ctx: *mut Ctx, argv: *mut *mut Text, argc: c_int) -> c_int {
    let args = args(argv, argc);
    let names = &args[2..][..number(args[1])];
    api!(RedisModule_ReplyWithArray(ctx, names.len() as c_long));
    names.iter().for_each(|name| with_value(ctx, *name, |bytes| reply(ctx, bytes)));
    OK
}

/// `FLOOR.GATHER n key [key ...] BLOB`
unsafe extern "C" fn gather(ctx: *mut Ctx, argv: *mut *mut Text, argc: c_int) -> c_int {
    let args = args(argv, argc);
    let names = &args[2..][..number(args[1])];
    let (mut joined, mut is_there) = (Vec::new(), Vec::with_capacity(names.len()));
    for name in names {
        with_value(ctx, *name, |bytes| {
            joined.reserve_exact(if joined.is_empty() { names.len() * bytes.len() } else { 0 });
            joined.extend_from_slice(bytes);
        });
        is_there.push(1);
    }
    api!(RedisModule_ReplyWithArray(ctx, 2));
    reply(ctx, &joined);
    reply(ctx, &is_there);
    OK
}

unsafe extern "C" fn load(io: *mut Io, _version: c_int) -> *mut c_void {
    let mut len = 0;
    let Some(start) = NonNull::new(api!(RedisModule_LoadStringBuffer(io, &mut len))) else { return null_mut() };
    let value = Value::new(from_raw_parts(start.as_ptr().cast(), len));
    api!(RedisModule_Free(start.as_ptr().cast()));
    value.cast()
}

unsafe extern "C" fn save(io: *mut Io, value: *mut c_void) {
    let bytes = Value::bytes(value.cast());
    api!(RedisModule_SaveStringBuffer(io, bytes.as_ptr().cast(), bytes.len()));
}

unsafe extern "C" fn free(value: *mut c_void) {
    api!(RedisModule_Free(value));
}

/// Called by the server to load the module.
///
/// # Safety
/// Called by a Redis server, once.
#[no_mangle]
#[allow(non_snake_case)]
pub unsafe extern "C" fn RedisModule_OnLoad(ctx: *mut Ctx, _argv: *mut *mut Text, _argc: c_int) -> c_int {
    if raw::Export_RedisModule_Init(ctx, c"floor".as_ptr(), 1, raw::REDISMODULE_APIVER_1 as c_int) != OK {
        return raw::REDISMODULE_ERR as c_int;
    }
    // What is not here is absent: a plain C struct, for which all zeros are valid.
    let mut methods = raw::RedisModuleTypeMethods { ..std::mem::zeroed() };
    methods.version = u64::from(raw::REDISMODULE_TYPE_METHOD_VERSION);
    methods.rdb_load = Some(load);
    methods.rdb_save = Some(save);
    methods.free = Some(free);
    TYPE.store(api!(RedisModule_CreateDataType(ctx, c"FLOOR----".as_ptr(), 0, &mut methods)), Ordering::Relaxed);
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED;
    api!(RedisModule_SetModuleOptions(ctx, options as c_int));
    let commands: [(_, raw::RedisModuleCmdFunc, _, _); 5] = [
        (c"FLOOR.SET", Some(set), c"write deny-oom", 1),
        (c"FLOOR.MSET", Some(mset), c"write deny-oom", 0),
        (c"FLOOR.GET", Some(get), c"readonly", 1),
        (c"FLOOR.MGET", Some(mget), c"readonly", 0),
        (c"FLOOR.GATHER", Some(gather), c"readonly", 0),
    ];
    for (name, run, flags, key) in commands {
        api!(RedisModule_CreateCommand(ctx, name.as_ptr(), run, flags.as_ptr(), key, key, key));
    }
    OK
}
