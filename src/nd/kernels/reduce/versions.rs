//! Functions compiled for several instruction sets; the one that the processor has is chosen when they are called.
//!
//! Lanes and order stand in the source and are the same in all of them, and no target has a fused multiply-add, so the
//! bits are too. A generic function would be dispatched by slower means: there is one function for each element type.

/// Defines `fn name(arguments) = body;` for AVX-512, AVX2 and what every machine has. After `, avx2 =` may stand what does the
/// same, to the bit, with the intrinsics of AVX2: in place they are safe functions.
macro_rules! versions {
    ($(fn $name:ident($($arg:ident: $t:ty),* $(,)?) $(-> $out:ty)? = $body:expr $(, avx2 = $wide:expr)?;)*) => {$(
        fn $name($($arg: $t),*) $(-> $out)? {
            #[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
            fn dispatched($($arg: $t),*) $(-> $out)? {
                $crate::nd::kernels::reduce::versions::version!($body $(, $wide)?)
            }
            #[cfg(test)]
            if $crate::nd::kernels::reduce::versions::is_portable() {
                return $body;
            }
            dispatched($($arg),*)
        }
    )*};
}
pub(super) use versions;

/// The one of two bodies that is meant for the target.
macro_rules! version {
    ($body:expr) => {
        $body
    };
    ($body:expr, $wide:expr) => {
        multiversion::target::match_target! {
            "x86_64+avx2" => $wide,
            _ => $body,
        }
    };
}
pub(super) use version;

#[cfg(test)]
thread_local! {
    static PORTABLE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread takes what every machine has.
#[cfg(test)]
pub fn is_portable() -> bool {
    PORTABLE.get()
}

/// Runs `f` with the dispatch forced down to what every machine has.
#[cfg(test)]
pub fn portable<R>(f: impl FnOnce() -> R) -> R {
    PORTABLE.set(true);
    let out = f();
    PORTABLE.set(false);
    out
}
