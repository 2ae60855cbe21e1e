//! Opens the file of a list.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::words::closest;

/// As [`File::open`]; the error of a file that is not there names the one in
/// its folder that was probably meant.
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), missing(path)),
        _ => error,
    })
}

fn missing(path: &Path) -> String {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = folder.read_dir() else {
        return format!("there is no folder {}", folder.display());
    };
    let names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let typed = path.file_name().and_then(|name| name.to_str());
    let near = typed.and_then(|typed| closest(typed, names.iter().map(String::as_str)));
    match near {
        Some(near) => format!("there is no such file; did you mean \"{near}\"?"),
        None => "there is no such file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_told_with_the_nearest_of_its_folder() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lists");
        for (name, want) in [
            (
                "improt.rs",
                "there is no such file; did you mean \"import.rs\"?",
            ),
            ("adult.txt", "there is no such file"),
        ] {
            let error = open(&here.join(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert_eq!(error.to_string(), want);
        }
        let error = open(&here.join("none/adult.txt")).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no folder ") && error.ends_with("none"),
            "{error}"
        );
        assert!(open(&here.join("open.rs")).is_ok());
    }
}
