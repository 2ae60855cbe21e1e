//! Lists: every format, packing, damage, and updates.
//!
//! `FORMAT/NAME.in` is a list, `FORMAT/NAME.expected` what an import of it
//! gives. After a wanted change write the expectations anew with
//! `LISTS_WRITE=1` and read the difference.

mod broken;
mod find;
mod formats;
mod mutate;
mod packing;
mod record;
mod server;
mod update;
mod update_local;
