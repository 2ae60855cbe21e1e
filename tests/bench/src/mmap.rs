//! Copies a table into a BPF array that may be mapped.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

use anyhow::{Context as _, Result, ensure};

/// Writes `values` from element 0 on; the array has room for them: the kernel
/// rounds an element's size up to 8 bytes.
pub(crate) fn copy(map: BorrowedFd<'_>, values: &[u64]) -> Result<()> {
    let len = size_of_val(values);
    // SAFETY: a new shared mapping of a BPF array, which has BPF_F_MMAPABLE
    // and rounds its size up to whole pages; nothing else uses the address.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            map.as_raw_fd(),
            0,
        )
    };
    ensure!(
        memory != libc::MAP_FAILED,
        "cannot map a table: {}",
        io::Error::last_os_error()
    );
    // SAFETY: the mapping has `len` bytes, and `values` lies elsewhere.
    unsafe { ptr::copy_nonoverlapping(values.as_ptr(), memory.cast(), values.len()) };
    // SAFETY: the mapping made above, used no more.
    let unmapped = unsafe { libc::munmap(memory, len) };
    (unmapped == 0)
        .then_some(())
        .context("cannot unmap a table")
}
