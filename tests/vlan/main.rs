//! The filter below real VLAN devices; runs where the kernel has 8021q.

mod topology;
