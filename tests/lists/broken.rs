//! Bad list files, each with the message a person gets.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use filter_agent::lists::update::{Store, Subscription, update};
use indicatif::ProgressBar;

use crate::server::Temp;

#[test]
fn every_broken_list_gets_its_message() -> Result<()> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/lists/broken"));
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    let mut cases = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "message") {
            continue;
        }
        cases += 1;
        let list = Subscription::new("broken", path.display().to_string());
        let error = match update(&store, &list, true, 1, &ProgressBar::hidden()) {
            Ok(outcome) => anyhow::bail!("{} was taken: {outcome:?}", path.display()),
            Err(error) => error.to_string(),
        };
        let got = error.replace(&format!("{}/", folder.display()), "") + "\n";
        let beside = path.with_added_extension("message");
        if std::env::var_os("LISTS_WRITE").is_some() {
            fs::write(&beside, &got)?;
        }
        let want = fs::read_to_string(&beside).with_context(|| beside.display().to_string())?;
        ensure!(got == want, "{}: {got}", path.display());
        ensure!(
            store.meta("broken")?.is_none(),
            "{} left a copy",
            path.display()
        );
    }
    ensure!(cases >= 10, "only {cases} cases");
    Ok(())
}
