//! What the machine gives a process: responsible for defaults that fit it.

use std::fs;

const MIB: u64 = 1 << 20;
/// Memory of a statement where nobody knows how much there is.
const USUAL_MEMORY: u64 = 2048 * MIB;
/// Memory of a statement on the smallest machine.
const LEAST_MEMORY: u64 = 256 * MIB;

/// Threads that run at the same time, by the cores that this process may use.
pub(super) fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// Memory that one statement may use, in bytes, a multiple of 1 MiB: half of what the machine or the container
/// has, 2 GiB where that cannot be told.
pub(super) fn statement_memory() -> u64 {
    let limits = [
        memory_of_machine(),
        limit_of_group("/sys/fs/cgroup/memory.max"),
        limit_of_group("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ];
    let Some(memory) = limits.into_iter().flatten().min() else { return USUAL_MEMORY };
    (memory / 2 / MIB * MIB).max(LEAST_MEMORY)
}

/// `MemTotal` of proc_meminfo(5).
fn memory_of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The limit of the control group that the process runs in, as inside a container ("Control Group v2" and
/// "Memory Resource Controller" in the kernel's documentation). None without a limit: v2 says `max`, v1 gives
/// a number that is larger than any memory, which the smaller of the limits leaves out.
fn limit_of_group(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}
