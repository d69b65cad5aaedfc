//! What the system's allocator does with memory that a statement has freed.

/// Free memory that is kept for the next statement, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 256 << 20;

/// Larger blocks come from the system and go back to it one by one; the most that glibc allows.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: i32 = 32 << 20;

/// Keeps freed memory for the statements to come. By default glibc gives large blocks back
/// at once: a grouping that grows its tables then waits for the same pages again and again, which took a
/// fifth of its time. Reading into a lake is better off with the default: as fast, in less memory.
pub(super) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two numbers and may be called at any time (mallopt(3)). Where it refuses, things
    // stay as they were.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
