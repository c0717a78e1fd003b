//! How the process gives memory back: large documents come and go, and must not leave their room behind.

/// Has the C library take large pieces from the system and give them back when they are freed. Of itself it raises the size from
/// which it does so to that of what was freed last, and keeps a heap for each of many threads: twice as much memory stayed after
/// a hundred documents of a megabyte. To be called before there are threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back() {
    use std::ffi::c_int;

    // malloc.h of the GNU C library.
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;
    /// What the library begins with.
    const LARGE: c_int = 128 << 10;
    /// As many as threads that work at once on a small machine.
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
                "memory is given back as the C library does of itself"
            );
        }
    }
}

/// Other C libraries do so of themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
