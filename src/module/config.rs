//! Settings: load arguments, `CONFIG GET/SET ndarray.*`, and their one list.

use std::ffi::{c_char, c_int, c_longlong, c_void, CStr};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::OnceLock;
use std::thread::ThreadId;

use redis_module::raw;

use super::ffi::{api, c_text, guard, ERR, OK};
use crate::nd::array::StoreOptions;
use crate::nd::chunk::MAX_CHUNK_BYTES;
use crate::nd::codec::{Compression, Policy};
use crate::nd::decoded;
use crate::nd::error::Error;
use crate::nd::grid::LEAST_TARGET;

/// A whole number between two bounds.
pub struct Whole {
    name: &'static CStr,
    least: i64,
    most: i64,
    /// How the server shows and changes it: `REDISMODULE_CONFIG_*`.
    flags: u32,
    value: AtomicI64,
}

impl Whole {
    /// A number of bytes.
    const fn bytes(name: &'static CStr, default: i64, least: i64, most: i64) -> Whole {
        Whole { name, least, most, flags: raw::REDISMODULE_CONFIG_MEMORY, value: AtomicI64::new(default) }
    }

    /// Any other number.
    const fn number(name: &'static CStr, default: i64, least: i64, most: i64, flags: u32) -> Whole {
        Whole { name, least, most, flags, value: AtomicI64::new(default) }
    }

    /// Its name, without the module's.
    pub fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }

    /// A refusal of the library for a limit that was this one, with its name.
    pub fn named(&self, error: Error) -> Error {
        match error {
            Error::Limit { what, given, limit, unit: "bytes" } if limit == self.get() as u128 => {
                let given = usize::try_from(given).unwrap_or(usize::MAX);
                Error::AboveSetting { what, given, limit: self.get(), setting: self.name() }
            }
            other => other,
        }
    }

    /// Its value now.
    #[inline]
    pub fn get(&self) -> usize {
        usize::try_from(self.value.load(Ordering::Relaxed)).unwrap_or(0) // never negative: `least` is not
    }
}

/// `ndarray.chunk-bytes`: how large chunks are made where no `CHUNK` is given.
pub static CHUNK_BYTES: Whole = Whole::bytes(c"chunk-bytes", 64 << 10, LEAST_TARGET as i64, MAX_CHUNK_BYTES as i64);
/// `ndarray.inline-bytes`: arrays up to this size are one plain buffer.
pub static INLINE_BYTES: Whole = Whole::bytes(c"inline-bytes", 4 << 10, 0, 1 << 20);
/// `ndarray.max-array-bytes`: the most elements, in bytes, that one command stores or reads through.
pub static MAX_ARRAY_BYTES: Whole = Whole::bytes(c"max-array-bytes", 4 << 30, 1 << 10, i64::MAX);
/// Lets arrays of any size pass until what it answers is dropped: for writes that were done elsewhere before.
pub fn lift_array_limit() -> impl Drop {
    struct Lifted(i64);
    impl Drop for Lifted {
        fn drop(&mut self) {
            MAX_ARRAY_BYTES.value.store(self.0, Ordering::Relaxed);
        }
    }
    Lifted(MAX_ARRAY_BYTES.value.swap(i64::MAX, Ordering::Relaxed))
}
/// `ndarray.max-result-bytes`: the largest array that one reply carries.
pub static MAX_RESULT_BYTES: Whole = Whole::bytes(c"max-result-bytes", 1 << 30, 1 << 10, i64::MAX);
/// `ndarray.threads`: how many workers there are for long reads; 0 for none. The default is set at load.
pub static THREADS: Whole = Whole::number(c"threads", 1, 0, 256, raw::REDISMODULE_CONFIG_IMMUTABLE);
/// `ndarray.offload-us`: work estimated to take longer, in microseconds, goes to a worker.
pub static OFFLOAD_US: Whole = Whole::number(c"offload-us", 200, 0, 3_600_000_000, raw::REDISMODULE_CONFIG_DEFAULT);
/// `ndarray.compact-after`: arrays that nobody has written to for so many seconds are made smaller; 0 for never.
pub static COMPACT_AFTER: Whole = Whole::number(c"compact-after", 0, 0, 1_000_000_000, raw::REDISMODULE_CONFIG_DEFAULT);
/// `ndarray.decoded-bytes`: how much memory decoded chunks may take that short reads ask for again and again; 0 for none.
pub static DECODED_BYTES: Whole = Whole::bytes(c"decoded-bytes", 16 << 20, 0, i64::MAX);

/// How much of `maxmemory` is in use, of what the server would refuse writes or drop keys for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum MemoryInUse {
    /// Less than half, or there is no limit.
    Little,
    /// Half of it, or more.
    Half,
    /// Nine tenths, or more: nothing should be kept for later.
    Most,
}

impl MemoryInUse {
    fn of(ratio: f32) -> MemoryInUse {
        match ratio {
            r if r >= 0.9 => MemoryInUse::Most,
            r if r >= 0.5 => MemoryInUse::Half,
            _ => MemoryInUse::Little,
        }
    }
}

/// The bits of the share of `maxmemory` that was in use when the main thread looked last.
static IN_USE: AtomicU32 = AtomicU32::new(0);

/// Says how much memory decoded chunks may take now. Called on the main thread, when the module is loaded and at every tick of the
/// server's clock.
pub fn share_out_memory() {
    MAIN.get_or_init(|| std::thread::current().id());
    decoded::set_room(if is_memory_short() { 0 } else { DECODED_BYTES.get() });
}

/// Whether nothing should be kept in memory for later. Asked on the main thread.
pub fn is_memory_short() -> bool {
    look_at_memory() == MemoryInUse::Most
}

/// The thread that the server runs commands on.
static MAIN: OnceLock<ThreadId> = OnceLock::new();

fn is_main_thread() -> bool {
    MAIN.get() == Some(&std::thread::current().id())
}

fn look_at_memory() -> MemoryInUse {
    // SAFETY: on the main thread; the answer is 0 where there is no limit.
    let ratio = unsafe { api!(RedisModule_GetUsedMemoryRatio()) };
    IN_USE.store(ratio.to_bits(), Ordering::Relaxed);
    MemoryInUse::of(ratio)
}

/// How much memory is in use: on the main thread now, on others at the last tick of the server's clock.
pub fn memory_in_use() -> MemoryInUse {
    if is_main_thread() {
        return look_at_memory();
    }
    MemoryInUse::of(f32::from_bits(IN_USE.load(Ordering::Relaxed)))
}

/// One of a list of words.
pub struct Word {
    name: &'static CStr,
    /// The words, each with its number; of several with one number, the first is shown.
    words: fn() -> Vec<(String, c_int)>,
    value: AtomicI64,
}

impl Word {
    fn get(&self) -> c_int {
        self.value.load(Ordering::Relaxed) as c_int // set from a `c_int` only
    }
}

/// `ndarray.codec`: the policy of arrays that are given none.
static CODEC: Word = Word { name: c"codec", words: codecs, value: AtomicI64::new(0) };
/// `ndarray.compression`: what the codec `auto` strives for.
static COMPRESSION: Word = Word { name: c"compression", words: compressions, value: AtomicI64::new(0) };

fn codecs() -> Vec<(String, c_int)> {
    Policy::words().into_iter().map(|(word, policy)| (word, c_int::from(policy.code()))).collect()
}

fn compressions() -> Vec<(String, c_int)> {
    (0..).zip(Compression::ALL).map(|(i, c)| (c.name().to_owned(), i)).collect()
}

const NUMBERS: [&Whole; 8] = [
    &CHUNK_BYTES,
    &INLINE_BYTES,
    &MAX_ARRAY_BYTES,
    &MAX_RESULT_BYTES,
    &THREADS,
    &OFFLOAD_US,
    &COMPACT_AFTER,
    &DECODED_BYTES,
];
const WORDS: [&Word; 2] = [&CODEC, &COMPRESSION];

/// What the codec `auto` strives for now.
pub fn compression() -> Compression {
    usize::try_from(COMPRESSION.get()).ok().and_then(|i| Compression::ALL.get(i)).copied().unwrap_or_default()
}

/// The codec policy now.
pub fn codec() -> Policy {
    match u8::try_from(CODEC.get()).ok().and_then(Policy::from_code) {
        None | Some(Policy::Auto(_)) => Policy::Auto(compression()),
        Some(other) => other,
    }
}

/// How arrays are stored where a command says nothing else.
pub fn store_options() -> StoreOptions {
    StoreOptions {
        policy: codec(),
        chunk_shape: None,
        chunk_auto: false,
        chunk_bytes: CHUNK_BYTES.get(),
        inline_bytes: INLINE_BYTES.get(),
        codec_given: false,
    }
}

/// Takes `name value` pairs as the `loadmodule` line gives them, with or without the `ndarray.` prefix.
///
/// # Errors
/// A sentence for the log.
pub fn take_load_arguments(args: &[&[u8]]) -> Result<(), String> {
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as i64); // far below the type's bound
    THREADS.value.store((cores - 1).clamp(1, THREADS.most), Ordering::Relaxed);
    for pair in args.chunks(2) {
        let name = text(pair[0]).to_ascii_lowercase();
        let name = name.strip_prefix("ndarray.").unwrap_or(&name);
        let [_, value] = pair else { return Err(format!("the load argument '{name}' has no value")) };
        if let Some(setting) = WORDS.iter().find(|w| w.name.to_bytes() == name.as_bytes()) {
            let words = (setting.words)();
            let found = words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word.as_bytes()));
            let (_, number) = found.ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
                format!("load argument {name}: unknown word '{}' (use one of: {})", text(value), known.join(", "))
            })?;
            setting.value.store(i64::from(*number), Ordering::Relaxed);
            continue;
        }
        let known = || {
            let names = NUMBERS.iter().map(|b| b.name).chain(WORDS.map(|w| w.name)).map(|n| n.to_string_lossy());
            names.collect::<Vec<_>>().join(", ")
        };
        let setting = NUMBERS.iter().find(|b| b.name.to_bytes() == name.as_bytes());
        let setting = setting.ok_or_else(|| format!("unknown load argument '{name}' (use one of: {})", known()))?;
        let is_memory = setting.flags & raw::REDISMODULE_CONFIG_MEMORY != 0;
        let number = if is_memory { memory_size(&text(value)) } else { text(value).parse().ok() };
        let number = number.filter(|n| (setting.least..=setting.most).contains(n));
        let number = number.ok_or_else(|| {
            format!(
                "load argument {name}: '{}' is not a {} from {} to {}",
                text(value),
                if is_memory { "size" } else { "number" },
                setting.least,
                setting.most
            )
        })?;
        setting.value.store(number, Ordering::Relaxed);
    }
    Ok(())
}

/// A number of bytes with Redis's units: `64kb` is 65,536, `64k` is 64,000.
fn memory_size(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: i64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(unit)
}

/// Registers every setting, the load arguments being their defaults, and reads the configuration file's values.
///
/// # Errors
/// A sentence for the log.
pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), String> {
    // SAFETY: during load; reading pointers that are written once. The callbacks have the types the API asks for, and
    // their private data are statics.
    unsafe {
        let (Some(numeric), Some(choice), Some(load)) =
            (raw::RedisModule_RegisterNumericConfig, raw::RedisModule_RegisterEnumConfig, raw::RedisModule_LoadConfigs)
        else {
            return Ok(()); // before Redis 7.0: load arguments only
        };
        for setting in NUMBERS {
            let (get, set) = (Some(get_number as _), Some(set_number as _));
            let flags = setting.flags;
            let now = setting.value.load(Ordering::Relaxed);
            let data: *mut c_void = std::ptr::from_ref(setting).cast_mut().cast();
            if numeric(ctx, setting.name.as_ptr(), now, flags, setting.least, setting.most, get, set, None, data) == ERR
            {
                return Err(format!("the setting {} was refused (default {now})", setting.name.to_string_lossy()));
            }
        }
        for setting in WORDS {
            let words = (setting.words)();
            let names: Vec<_> = words.iter().map(|(word, _)| c_text(word)).collect();
            let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
            let values: Vec<c_int> = words.iter().map(|(_, value)| *value).collect();
            let refused = choice(
                ctx,
                setting.name.as_ptr(),
                setting.get(),
                raw::REDISMODULE_CONFIG_DEFAULT,
                pointers.as_mut_ptr(),
                values.as_ptr(),
                values.len() as c_int, // some dozens
                Some(get_word),
                Some(set_word),
                None,
                std::ptr::from_ref(setting).cast_mut().cast(),
            ) == ERR;
            if refused {
                return Err(format!("the setting {} was refused", setting.name.to_string_lossy()));
            }
        }
        if load(ctx) == ERR {
            return Err("a setting of the configuration file was refused".into());
        }
    }
    Ok(())
}

unsafe extern "C" fn get_number(_name: *const c_char, data: *mut c_void) -> c_longlong {
    // SAFETY: the static that was registered.
    (*data.cast::<Whole>()).value.load(Ordering::Relaxed)
}

unsafe extern "C" fn set_number(
    _name: *const c_char,
    value: c_longlong,
    data: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: the static that was registered. The server has checked the bounds.
    let setting = &*data.cast::<Whole>();
    setting.value.store(value, Ordering::Relaxed);
    if std::ptr::eq(setting, &DECODED_BYTES) {
        guard("CONFIG SET", || (), share_out_memory);
    }
    OK
}

unsafe extern "C" fn get_word(_name: *const c_char, data: *mut c_void) -> c_int {
    // SAFETY: the static that was registered.
    (*data.cast::<Word>()).get()
}

unsafe extern "C" fn set_word(
    _name: *const c_char,
    value: c_int,
    data: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: the static that was registered. The server has found the number in the list.
    (*data.cast::<Word>()).value.store(i64::from(value), Ordering::Relaxed);
    OK
}
