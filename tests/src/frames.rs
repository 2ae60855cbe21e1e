//! Frames, byte by byte.
