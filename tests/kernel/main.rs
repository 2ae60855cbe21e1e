//! The program in this kernel, fed with captures and crafted frames by
//! BPF_PROG_TEST_RUN. Needs root, touches no interface.

mod captures;
