//! The few calls of bpf(2) that aya does not offer, or offers with a
//! fallback that cannot be pinned.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya_obj::generated::{
    BPF_F_AFTER, BPF_F_MMAPABLE, bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_map_info,
};
use filter_ebpf::abi::Pod;

/// Native XDP only (`XDP_FLAGS_DRV_MODE`, include/uapi/linux/if_link.h).
pub(crate) const XDP_NATIVE: u32 = 1 << 2;
/// Generic XDP only (`XDP_FLAGS_SKB_MODE`).
pub(crate) const XDP_GENERIC: u32 = 1 << 1;

/// Attaches an XDP program by a link; never falls back to netlink.
pub(crate) fn link_xdp(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    link_create(program, ifindex, bpf_attach_type::BPF_XDP, flags)
}

/// Attaches a tc program to an interface's egress by a TCX link (6.6).
pub(crate) fn link_tcx_egress(program: BorrowedFd<'_>, ifindex: u32) -> io::Result<OwnedFd> {
    link_create(
        program,
        ifindex,
        bpf_attach_type::BPF_TCX_EGRESS,
        // Behind every program that is there already.
        BPF_F_AFTER,
    )
}

fn link_create(
    program: BorrowedFd<'_>,
    ifindex: u32,
    kind: bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = zeroed_attr();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.__bindgen_anon_2.target_ifindex = ifindex;
    attr.link_create.attach_type = kind as u32;
    attr.link_create.flags = flags;
    fd_call(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Puts `program` in the place of the link's present one, in one step.
pub(crate) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = zeroed_attr();
    attr.link_update.link_fd = raw(link);
    attr.link_update.__bindgen_anon_1.new_prog_fd = raw(program);
    call(bpf_cmd::BPF_LINK_UPDATE, &mut attr).map(drop)
}

/// Opens a program by the kernel's number.
pub(crate) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    fd_call(bpf_cmd::BPF_PROG_GET_FD_BY_ID, &mut attr)
}

/// What hangs on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    /// Program the link runs.
    pub program_id: u32,
    /// Interface; 0 once it is gone.
    pub ifindex: u32,
}

/// Reads what hangs on an XDP or TCX link.
pub(crate) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // SAFETY: integers, for which zero is a value.
    let mut info: bpf_link_info = unsafe { std::mem::zeroed() };
    info_by_fd(link, &mut info)?;
    // The interface is the first word of both variants (`xdp.ifindex`,
    // `tcx.ifindex`).
    // SAFETY: integers, for which every pattern is a value.
    let ifindex = unsafe { info.__bindgen_anon_1.xdp.ifindex };
    Ok(LinkInfo {
        program_id: info.prog_id,
        ifindex,
    })
}

/// Shape of a map as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub kind: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
}

/// Makes a map without BTF.
pub(crate) fn create_map(name: &str, shape: Shape) -> io::Result<OwnedFd> {
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_1.map_type = shape.kind;
    attr.__bindgen_anon_1.key_size = shape.key_size;
    attr.__bindgen_anon_1.value_size = shape.value_size;
    attr.__bindgen_anon_1.max_entries = shape.max_entries;
    attr.__bindgen_anon_1.map_flags = shape.flags;
    // SAFETY: a plain array of the zeroed union; its last byte stays zero.
    let field = unsafe { &mut attr.__bindgen_anon_1.map_name };
    let room = field.len() - 1;
    for (to, from) in field.iter_mut().take(room).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    fd_call(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

/// Reads the shape of a map.
pub(crate) fn map_shape(map: BorrowedFd<'_>) -> io::Result<Shape> {
    // SAFETY: integers, for which zero is a value.
    let mut info: bpf_map_info = unsafe { std::mem::zeroed() };
    info_by_fd(map, &mut info)?;
    Ok(Shape {
        kind: info.type_,
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
        flags: info.map_flags,
    })
}

fn info_by_fd<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = zeroed_attr();
    attr.info.bpf_fd = raw(object);
    attr.info.info_len = size_of::<T>() as u32;
    attr.info.info = (&raw mut *info) as u64;
    call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

/// Pins an object.
pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = raw(object);
    call(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Opens a pinned object.
pub(crate) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    fd_call(bpf_cmd::BPF_OBJ_GET, &mut attr)
}

/// Writes elements `0..` of an array map from `bytes` in one copy.
///
/// `bytes` holds whole values one behind the other; the rest of the map
/// stays as it is. Mappable arrays are mapped, others get one batch
/// (`BPF_MAP_UPDATE_BATCH`, 5.6).
pub(crate) fn fill_array(map: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let shape = map_shape(map)?;
    let size = shape.value_size as usize;
    if size == 0 || !bytes.len().is_multiple_of(size) {
        return Err(io::Error::other(format!(
            "{} bytes are no whole number of values of {size} bytes",
            bytes.len()
        )));
    }
    let count = bytes.len() / size;
    if count > shape.max_entries as usize {
        return Err(io::Error::other(format!(
            "{count} values do not fit a map of {}",
            shape.max_entries
        )));
    }
    if count == 0 {
        return Ok(());
    }
    if shape.flags & BPF_F_MMAPABLE != 0 {
        fill_mapped(map, bytes, size)
    } else {
        fill_batch(map, bytes, count as u32)
    }
}

fn fill_mapped(map: BorrowedFd<'_>, bytes: &[u8], size: usize) -> io::Result<()> {
    // Elements lie at multiples of 8 bytes (kernel/bpf/arraymap.c).
    let stride = size.next_multiple_of(8);
    let len = bytes.len() / size * stride;
    // SAFETY: a fresh mapping of a map that holds at least `len` bytes; the
    // kernel rounds the length up to whole pages, as the map's memory is.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            map.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if stride == size {
        // SAFETY: the mapping is `len` bytes and nobody else has it yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast(), len) };
    } else {
        for (i, value) in bytes.chunks_exact(size).enumerate() {
            // SAFETY: `i * stride + size` lies below `len`.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    value.as_ptr(),
                    start.cast::<u8>().add(i * stride),
                    size,
                );
            }
        }
    }
    // SAFETY: the mapping made above.
    unsafe { libc::munmap(start, len) };
    Ok(())
}

fn fill_batch(map: BorrowedFd<'_>, bytes: &[u8], count: u32) -> io::Result<()> {
    let keys: Vec<u32> = (0..count).collect();
    let mut attr = zeroed_attr();
    attr.batch.keys = keys.as_ptr() as u64;
    attr.batch.values = bytes.as_ptr() as u64;
    attr.batch.count = count;
    attr.batch.map_fd = raw(map);
    call(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr)?;
    // SAFETY: the kernel wrote the number of elements it took.
    let done = unsafe { attr.batch.count };
    if done != count {
        return Err(io::Error::other(format!("{done} of {count} values taken")));
    }
    Ok(())
}

/// Reads a whole per-CPU array and folds each element's values of all CPUs
/// by `add` into `zero`.
pub(crate) fn sum_per_cpu<V: Pod, S: Copy>(
    map: BorrowedFd<'_>,
    zero: S,
    add: impl Fn(&mut S, V),
) -> io::Result<Vec<S>> {
    let shape = map_shape(map)?;
    if shape.value_size as usize != size_of::<V>() {
        return Err(io::Error::other("the map holds values of another size"));
    }
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    let stride = size_of::<V>().next_multiple_of(8);
    let values = read_array(map, shape.max_entries, cpus * stride)?;
    let mut sums = vec![zero; shape.max_entries as usize];
    for (sum, element) in sums.iter_mut().zip(values.chunks_exact(cpus * stride)) {
        for value in element.chunks_exact(stride) {
            if let Some(value) = V::from_bytes(value) {
                add(sum, value);
            }
        }
    }
    Ok(sums)
}

/// Share of an array's words of eight bytes that are not zero.
pub(crate) fn array_fill(map: BorrowedFd<'_>) -> io::Result<f64> {
    let shape = map_shape(map)?;
    let values = read_array(map, shape.max_entries, shape.value_size as usize)?;
    let (words, []) = values.as_chunks::<8>() else {
        return Err(io::Error::other("the map does not hold words"));
    };
    let used = words.iter().filter(|word| **word != [0; 8]).count();
    Ok(used as f64 / words.len().max(1) as f64)
}

/// All values of an array (`BPF_MAP_LOOKUP_BATCH`, 5.13), `stride` bytes
/// each.
fn read_array(map: BorrowedFd<'_>, count: u32, stride: usize) -> io::Result<Vec<u8>> {
    let mut keys = vec![0_u32; count as usize];
    let mut values = vec![0_u8; count as usize * stride];
    let mut next = 0_u32;
    let mut attr = zeroed_attr();
    attr.batch.out_batch = (&raw mut next) as u64;
    attr.batch.keys = keys.as_mut_ptr() as u64;
    attr.batch.values = values.as_mut_ptr() as u64;
    attr.batch.count = count;
    attr.batch.map_fd = raw(map);
    match call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) {
        // The end of the map was reached: not an error here. An array gives
        // its elements in their order (kernel/bpf/syscall.c,
        // `generic_map_lookup_batch`).
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(values),
    }
}

/// Share of a hash map's entries in use.
///
/// Entries that come and go meanwhile may be missed or met twice: the walk
/// begins anew where its last key is gone (kernel/bpf/hashtab.c,
/// `htab_map_get_next_key`), so it ends after as many steps as fit the map.
pub(crate) fn hash_fill(map: BorrowedFd<'_>) -> io::Result<f64> {
    let shape = map_shape(map)?;
    let mut key = vec![0_u8; shape.key_size as usize];
    let mut next = key.clone();
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_2.map_fd = raw(map);
    let mut count = 0;
    while count < shape.max_entries {
        attr.__bindgen_anon_2.key = if count == 0 { 0 } else { key.as_ptr() as u64 };
        attr.__bindgen_anon_2.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
        match call(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
            Ok(_) => count += 1,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
            Err(error) => return Err(error),
        }
        std::mem::swap(&mut key, &mut next);
    }
    Ok(f64::from(count) / f64::from(shape.max_entries.max(1)))
}

/// Waits until every CPU has left the programs that it ran when this was
/// called.
///
/// `MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu` (kernel/sched/membarrier.c),
/// and XDP and tc programs run under RCU. On kernels where it is not to be
/// had (nohz_full) a pause of 100 ms stands in, a thousand times the longest
/// run of a program.
pub(crate) fn wait_for_running_programs() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: takes two integers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0) };
    if result != 0 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

fn zeroed_attr() -> bpf_attr {
    // SAFETY: integers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<libc::c_long> {
    // SAFETY: `attr` is the union bpf(2) takes, of its full size; what its
    // pointers point to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_int,
            &raw mut *attr,
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn fd_call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = call(command, attr)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}
