//! Updates from a path: checksums, signatures, a full disk, odd folders.

use std::fs;

use anyhow::{Result, ensure};
use filter_agent::lists::update::{
    FetchError, Outcome, Store, Subscription, Trust, TrustError, UpdateError,
};

use crate::server::Temp;
use crate::update::{NEW, OLD, in_force, run};

const SIGNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lists/signed");

#[test]
fn a_path_and_a_file_url_work_like_a_url() -> Result<()> {
    let temp = Temp::new()?;
    let store = Store::open(temp.path().join("state"))?;
    let path = temp.path().join("school.txt");
    fs::write(&path, OLD)?;
    for location in [
        path.display().to_string(),
        format!("file://{}", path.display()),
    ] {
        let list = Subscription::new("test", location);
        run(&store, &list, 1)?;
        assert_eq!(in_force(&store, "test")?.len(), 4);
        ensure!(
            matches!(run(&store, &list, 2)?, Outcome::Current(_)),
            "the same content is no update"
        );
    }
    fs::remove_file(&path)?;
    let error = run(
        &store,
        &Subscription::new("test", path.display().to_string()),
        3,
    )
    .unwrap_err();
    let text = error.to_string();
    ensure!(
        text.starts_with("cannot read ") && text.ends_with("there is no such file"),
        "{text}"
    );
    assert_eq!(in_force(&store, "test")?.len(), 4);
    for wrong in ["ftp://lists.example/x", "", "file://server/share"] {
        let error = run(&store, &Subscription::new("test", wrong), 4).unwrap_err();
        ensure!(
            matches!(error, UpdateError::Fetch(FetchError::Location { .. })),
            "{wrong}: {error}"
        );
    }
    // What never ends.
    let mut endless = Subscription::new("test", "/dev/zero");
    endless.max_bytes = 1 << 20;
    let error = run(&store, &endless, 5).unwrap_err();
    ensure!(error.to_string().contains("regular file"), "{error}");
    Ok(())
}

#[test]
fn checksums_are_kept_to() -> Result<()> {
    let temp = Temp::new()?;
    let store = Store::open(temp.path().join("state"))?;
    let path = temp.path().join("list.txt");
    fs::write(&path, OLD)?;
    let digest = sha256_of(OLD);
    let wrong = digest.replace(|c: char| c.is_ascii_digit(), "0");
    let sums = temp.path().join("SHA256SUMS");
    fs::write(&sums, format!("{wrong}  other.txt\n{digest}  list.txt\n"))?;
    let none = temp.path().join("NONE");
    fs::write(&none, "nothing here\n")?;
    let mut list = Subscription::new("test", path.display().to_string());
    for (trust, passes) in [
        (Trust::Sha256(digest.to_uppercase()), true),
        (Trust::Sha256(wrong), false),
        (Trust::Sha256File(sums.display().to_string()), true),
        (Trust::Sha256File(none.display().to_string()), false),
        (
            Trust::Sha256File(temp.path().join("missing").display().to_string()),
            false,
        ),
    ] {
        list.trust = trust;
        let got = run(&store, &list, 1);
        assert_eq!(got.is_ok(), passes, "{:?}: {got:?}", list.trust);
        ensure!(
            passes || matches!(got, Err(UpdateError::Trust(_))),
            "{got:?}"
        );
    }
    Ok(())
}

fn sha256_of(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn signatures_are_kept_to() -> Result<()> {
    let temp = Temp::new()?;
    let store = Store::open(temp.path().join("state"))?;
    let public_key = fs::read_to_string(format!("{SIGNED}/minisign.pub"))?;
    let public_key = public_key.lines().nth(1).unwrap_or("").to_owned();
    let mut list = Subscription::new("test", format!("{SIGNED}/list.txt"));
    list.trust = Trust::Minisign {
        public_key: public_key.clone(),
        signature: None,
    };
    run(&store, &list, 1)?;

    let changed = temp.path().join("list.txt");
    fs::write(
        &changed,
        [
            &fs::read(format!("{SIGNED}/list.txt"))?[..],
            b"more.example\n",
        ]
        .concat(),
    )?;
    list.location = changed.display().to_string();
    list.trust = Trust::Minisign {
        public_key: public_key.clone(),
        signature: Some(format!("{SIGNED}/list.txt.minisig")),
    };
    let error = run(&store, &list, 2).unwrap_err();
    ensure!(
        matches!(error, UpdateError::Trust(TrustError::Signature { .. })),
        "{error}"
    );

    list.trust = Trust::Minisign {
        public_key,
        signature: None,
    };
    let error = run(&store, &list, 3).unwrap_err();
    ensure!(
        matches!(error, UpdateError::Trust(TrustError::Fetch(_))),
        "no signature: {error}"
    );

    list.trust = Trust::Minisign {
        public_key: "untrusted comment".to_owned(),
        signature: None,
    };
    let error = run(&store, &list, 4).unwrap_err();
    ensure!(
        matches!(error, UpdateError::Trust(TrustError::Key { .. })),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_full_disk_keeps_the_old_copy_and_says_so() -> Result<()> {
    let temp = Temp::new()?;
    let mount = temp.path().join("small");
    fs::create_dir(&mount)?;
    let _mounted = match SmallDisk::mount(&mount, "64k") {
        Ok(mounted) => mounted,
        Err(error) => {
            println!("skipped: a small file system needs root ({error})");
            return Ok(());
        }
    };
    let store = Store::open(&mount)?;
    let path = temp.path().join("list.txt");
    fs::write(&path, OLD)?;
    let list = Subscription::new("test", path.display().to_string());
    run(&store, &list, 1)?;
    let long: String = (0..20_000).map(|i| format!("host{i}.example\n")).collect();
    fs::write(&path, long)?;
    let error = run(&store, &list, 2).unwrap_err();
    ensure!(matches!(error, UpdateError::Write { .. }), "{error}");
    ensure!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(in_force(&store, "test")?.len(), 4);
    fs::write(&path, NEW)?;
    run(&store, &list, 3)?;
    assert_eq!(in_force(&store, "test")?.len(), 3, "room is left again");
    Ok(())
}

/// A file system in memory that is soon full.
struct SmallDisk<'a>(&'a std::path::Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a std::path::Path, size: &str) -> Result<Self> {
        let options = format!("size={size}");
        nix::mount::mount(
            Some("lists"),
            path,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options.as_str()),
        )?;
        Ok(Self(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount(self.0);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() -> Result<()> {
    let temp = Temp::new()?;
    let path = temp.path().join("a-file");
    fs::write(&path, b"")?;
    let error = Store::open(path.join("state")).unwrap_err();
    ensure!(error.to_string().starts_with("cannot write "), "{error}");
    let store = Store::open(temp.path())?;
    for name in ["", "../x", ".hidden", "a/b", "a b", &"x".repeat(65)] {
        let error = run(&store, &Subscription::new(name, "x"), 1).unwrap_err();
        ensure!(
            matches!(error, UpdateError::Name { .. }),
            "{name:?}: {error}"
        );
    }
    Ok(())
}

#[test]
fn two_updates_do_not_run_at_once() -> Result<()> {
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    let other = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(temp.path().join(".lock"))?;
    other.try_lock()?;
    let path = temp.path().join("list.txt");
    fs::write(&path, OLD)?;
    let list = Subscription::new("test", path.display().to_string());
    let error = run(&store, &list, 1).unwrap_err();
    ensure!(matches!(error, UpdateError::Busy { .. }), "{error}");
    other.unlock()?;
    run(&store, &list, 2)?;
    Ok(())
}
