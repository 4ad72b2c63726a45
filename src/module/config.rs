//! Settings: load arguments, `CONFIG GET/SET ndarray.*`, and their one list.

use std::ffi::{c_char, c_int, c_longlong, c_void, CStr};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, Ordering};

use redis_module::raw;

use super::ffi::{c_text, ERR, OK};
use crate::nd::array::StoreOptions;
use crate::nd::chunk::MAX_CHUNK_BYTES;
use crate::nd::codec::Policy;
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

    /// Its value now.
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
/// `ndarray.max-result-bytes`: the largest array that one reply carries.
pub static MAX_RESULT_BYTES: Whole = Whole::bytes(c"max-result-bytes", 1 << 30, 1 << 10, i64::MAX);
/// `ndarray.threads`: how many workers there are for long reads; 0 for none. The default is set at load.
pub static THREADS: Whole = Whole::number(c"threads", 1, 0, 256, raw::REDISMODULE_CONFIG_IMMUTABLE);
/// `ndarray.offload-us`: work estimated to take longer, in microseconds, goes to a worker.
pub static OFFLOAD_US: Whole = Whole::number(c"offload-us", 200, 0, 3_600_000_000, raw::REDISMODULE_CONFIG_DEFAULT);
/// `ndarray.codec`: the policy of arrays that are given none.
static CODEC: AtomicI64 = AtomicI64::new(Policy::Auto as i64);

const NUMBERS: [&Whole; 6] = [&CHUNK_BYTES, &INLINE_BYTES, &MAX_ARRAY_BYTES, &MAX_RESULT_BYTES, &THREADS, &OFFLOAD_US];
const CODEC_NAME: &CStr = c"codec";

/// The codec policy now.
pub fn codec() -> Policy {
    Policy::from_code(CODEC.load(Ordering::Relaxed) as u8).unwrap_or_default() // set from a `Policy` only
}

/// How arrays are stored where a command says nothing else.
pub fn store_options() -> StoreOptions {
    StoreOptions {
        policy: codec(),
        chunk_shape: None,
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
        if name.as_bytes() == CODEC_NAME.to_bytes() {
            let policy = Policy::parse(value).map_err(|e| e.to_string())?;
            CODEC.store(policy as i64, Ordering::Relaxed);
            continue;
        }
        let known = || {
            let names = NUMBERS.iter().map(|b| b.name).chain([CODEC_NAME]).map(|n| n.to_string_lossy());
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
        let names: Vec<_> = Policy::ALL.iter().map(|p| c_text(p.name())).collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
        let values: Vec<c_int> = Policy::ALL.iter().map(|p| *p as c_int).collect();
        let refused = choice(
            ctx,
            CODEC_NAME.as_ptr(),
            codec() as c_int,
            raw::REDISMODULE_CONFIG_DEFAULT,
            pointers.as_mut_ptr(),
            values.as_ptr(),
            values.len() as c_int,
            Some(get_codec),
            Some(set_codec),
            None,
            null_mut(),
        ) == ERR;
        if refused {
            return Err("the setting codec was refused".into());
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
    (*data.cast::<Whole>()).value.store(value, Ordering::Relaxed);
    OK
}

unsafe extern "C" fn get_codec(_name: *const c_char, _data: *mut c_void) -> c_int {
    codec() as c_int
}

unsafe extern "C" fn set_codec(
    _name: *const c_char,
    value: c_int,
    _data: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    CODEC.store(i64::from(value), Ordering::Relaxed);
    OK
}
