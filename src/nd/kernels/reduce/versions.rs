//! Functions compiled for several instruction sets; the one that the processor has is chosen when they are called.
//!
//! Lanes and order stand in the source and are the same in all of them, and no target has a fused multiply-add, so the
//! bits are too. A generic function would be dispatched by slower means: there is one function for each element type.

/// Defines `fn name(arguments) = body;` for AVX-512, AVX2 and what every machine has.
macro_rules! versions {
    ($(fn $name:ident($($arg:ident: $t:ty),* $(,)?) $(-> $out:ty)? = $body:expr;)*) => {$(
        fn $name($($arg: $t),*) $(-> $out)? {
            #[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
            fn dispatched($($arg: $t),*) $(-> $out)? {
                $body
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
