//! Returns freed memory to the system, so that large documents do not leave the process large.

/// Makes the C library map large blocks separately and return them when they are freed. By default it raises the size
/// threshold for this to that of the last freed block, and keeps a heap for each of many threads. That left twice as
/// much memory in use after a hundred documents of a megabyte. Call this before starting threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back() {
    use std::ffi::c_int;

    // From malloc.h of the GNU C library.
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;
    /// The library's initial threshold.
    const LARGE: c_int = 128 << 10;
    /// The number of threads that work at once on a small machine.
    const HEAPS: c_int = 4;

    #[expect(
        unsafe_code,
        reason = "mallopt(3) is a function of the C library; it takes two numbers and keeps no pointer"
    )]
    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    for (parameter, value) in [(M_MMAP_THRESHOLD, LARGE), (M_ARENA_MAX, HEAPS)] {
        if mallopt(parameter, value) == 0 {
            tracing::debug!(
                parameter,
                "memory is returned to the system as the C library does by default"
            );
        }
    }
}

/// Other C libraries do so by default.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
