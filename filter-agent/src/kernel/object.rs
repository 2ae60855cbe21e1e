//! The kernel half, embedded.

/// The linked BPF object (ELF with BTF), aligned as aya's parser needs it.
pub fn object() -> &'static [u8] {
    aya::include_bytes_aligned!(env!("FILTER_BPF_OBJECT_PATH"))
}
